//! The connection: how it is made, and one question and its answer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, RedisConnectionInfo, RedisResult, ServerErrorKind, Value};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

use crate::error::Undecided;
use crate::script;
use crate::url::{Place, Target};

/// How many requests may wait for an answer at once; one more is refused at once. More would wait longer than they may.
pub(crate) const MOST_WAITING: usize = 4096;

/// When a peer that says nothing is asked whether it is there, and when it is given up. Everything asked has a deadline of its own;
/// this is for connections that nobody asks anything.
const KEEPALIVE: Duration = Duration::from_secs(5);
const GIVEN_UP: Duration = Duration::from_secs(10);

/// How long one server of a cluster may take to be connected to, and to answer: after that the client looks for it anew. Every
/// request has its own deadline, which is shorter.
const CLUSTER_CONNECTS: Duration = Duration::from_millis(250);
const CLUSTER_ANSWERS: Duration = Duration::from_secs(1);

/// How often a cluster's client follows what it is told: a key that moved, and once more.
const CLUSTER_FOLLOWS: u32 = 2;
/// And after how many milliseconds at most.
const CLUSTER_RESTS: u64 = 5;

/// A connection that is up: one socket, or one for each server of a cluster. Callers share it; answers come in the order of
/// questions, and an answer that nobody waits for any more is nobody's.
pub(crate) struct Link {
    connection: Connection,
    /// What the server calls the script.
    sha: Box<str>,
}

enum Connection {
    Cluster(ClusterConnection),
    /// And the task that reads and writes, which ends with it.
    Server(MultiplexedConnection, Driver),
}

struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Link {
    /// Connects, signs in, and leaves the script with the server.
    pub(crate) async fn to(target: &Target, tls: Option<&Arc<ClientConfig>>) -> Result<Self, Undecided> {
        let connection = match target {
            Target::Cluster(servers) => {
                let client = ClusterClientBuilder::new(servers.iter().cloned())
                    .tcp_settings(
                        TcpSettings::default().set_nodelay(true).set_keepalive(keepalive()).set_user_timeout(GIVEN_UP),
                    )
                    .connection_timeout(CLUSTER_CONNECTS)
                    .response_timeout(CLUSTER_ANSWERS)
                    .overall_response_timeout(Some(CLUSTER_ANSWERS))
                    .retries(CLUSTER_FOLLOWS)
                    .min_retry_wait(1)
                    .max_retry_wait(CLUSTER_RESTS)
                    .build()?;
                Connection::Cluster(client.get_async_connection().await?)
            }
            Target::Server(place, settings) => server(place, settings, tls).await?,
        };
        let link = Self::with(connection).await?;
        if link.is_only_a_part().await { Err(Undecided::InCluster) } else { Ok(link) }
    }

    /// The same over a stream that is there.
    #[cfg(test)]
    pub(crate) async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Self, Undecided> {
        let settings = RedisConnectionInfo::default().set_skip_set_lib_name();
        Self::with(multiplexed(stream, &settings).await?).await
    }

    async fn with(connection: Connection) -> Result<Self, Undecided> {
        let mut link = Self { connection, sha: "".into() };
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(script::SOURCE);
        match link.ask(&load).await? {
            Value::BulkString(sha) => link.sha = String::from_utf8_lossy(&sha).into(),
            Value::SimpleString(sha) => link.sha = sha.into(),
            _ => return Err(Undecided::Reply),
        }
        Ok(link)
    }

    /// Whether what is spoken to as one server has a part of the keys only. Who may not ask will hear it later.
    async fn is_only_a_part(&self) -> bool {
        if self.is_cluster() {
            return false;
        }
        let mut info = redis::cmd("INFO");
        info.arg("cluster");
        let Ok(Value::BulkString(text)) = self.ask(&info).await else { return false };
        text.split(|byte| byte.is_ascii_whitespace()).any(|line| line == b"cluster_enabled:1")
    }

    /// Whether its server, or its runtime, has left it. A cluster's goes on with those servers that are there.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(&self.connection, Connection::Server(_, Driver(driver)) if driver.is_finished())
    }

    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.connection, Connection::Cluster(_))
    }

    /// One question and its answer.
    pub(crate) async fn ask(&self, command: &Cmd) -> RedisResult<Value> {
        let answer = match &self.connection {
            Connection::Cluster(cluster) => cluster.clone().req_packed_command(command).await,
            Connection::Server(server, _) => server.clone().send_packed_command(command).await,
        };
        answer.and_then(Value::extract_error)
    }

    /// Runs the script over these keys, and gives it to the server again where that has lost it.
    pub(crate) async fn run(&self, keys: &[Vec<u8>], asked: &[u8], now: Option<&[u8]>) -> Result<Vec<u8>, Undecided> {
        let command = |name: &str, script: &str| {
            let mut command = Cmd::with_capacity(5 + keys.len(), 96 + 64 * keys.len() + asked.len());
            command.arg(name).arg(script).arg(keys.len()).arg(keys).arg(asked);
            if let Some(now) = now {
                command.arg(now);
            }
            command
        };
        let answer = match self.ask(&command("EVALSHA", &self.sha)).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                // Boxed: hardly a request comes here.
                Box::pin(self.ask(&command("EVAL", script::SOURCE))).await
            }
            answer => answer,
        };
        match answer? {
            Value::BulkString(reply) => Ok(reply),
            _ => Err(Undecided::Reply),
        }
    }
}

async fn server(
    place: &Place,
    settings: &RedisConnectionInfo,
    tls: Option<&Arc<ClientConfig>>,
) -> Result<Connection, Undecided> {
    Ok(match place {
        Place::Unix(path) => multiplexed(UnixStream::connect(path).await.map_err(broken)?, settings).await?,
        Place::Tcp(host, port) => multiplexed(tcp(host, *port).await.map_err(broken)?, settings).await?,
        Place::Tls(host, port) => {
            let (Some(tls), Ok(name)) = (tls, ServerName::try_from(host.to_string())) else {
                return Err(broken(io::Error::new(io::ErrorKind::InvalidInput, "no name that a certificate can have")));
            };
            let stream = tcp(host, *port).await.map_err(broken)?;
            let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await.map_err(broken)?;
            multiplexed(stream, settings).await?
        }
    })
}

fn broken(error: io::Error) -> Undecided {
    Undecided::from(redis::RedisError::from(error))
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    // Off in the client by default: a question would wait for the answer to the one before it.
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    socket.set_tcp_keepalive(&keepalive())?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(GIVEN_UP))?;
    Ok(stream)
}

fn keepalive() -> TcpKeepalive {
    TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE)
}

async fn multiplexed(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    settings: &RedisConnectionInfo,
) -> RedisResult<Connection> {
    // Room for all who may wait, so that nobody waits for room; the deadlines are our own.
    let config = AsyncConnectionConfig::new().set_pipeline_buffer_size(MOST_WAITING).set_response_timeout(None);
    let (connection, driver) = MultiplexedConnection::new_with_config(settings, stream, config).await?;
    let driver = Driver(tokio::spawn(driver).abort_handle());
    Ok(Connection::Server(connection, driver))
}
