//! A `redis-server` of a test's own.

use std::fmt;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub use redis::Value;
use redis::{ConnectionLike as _, RedisResult};
use tempfile::TempDir;

use super::eventually;

/// A `redis-server` process. It ends with this value.
pub struct Server {
    address: Address,
    /// Where it runs and writes; removed afterwards.
    folder: TempDir,
    options: Vec<String>,
    process: Option<Child>,
}

enum Address {
    Port(u16),
    Socket(PathBuf),
}

impl Server {
    /// One on a unix socket, that keeps nothing on disk.
    ///
    /// # Panics
    /// There is no `redis-server`, or it does not start.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// The same with further options, as its command line has them.
    ///
    /// # Panics
    /// There is no `redis-server`, or it does not start.
    pub fn with(options: &[&str]) -> Self {
        let folder = folder();
        let socket = folder.path().join("redis.sock");
        Self::run(Address::Socket(socket), folder, options)
    }

    /// One on a free port of this machine, with these options.
    ///
    /// # Panics
    /// There is no `redis-server`, or it does not start.
    pub fn on_port(options: &[&str]) -> Self {
        Self::run(Address::Port(free_port()), folder(), options)
    }

    fn run(address: Address, folder: TempDir, options: &[&str]) -> Self {
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let mut server = Self { address, folder, options, process: None };
        server.start_again();
        server
    }

    /// Where it is.
    pub fn url(&self) -> String {
        match &self.address {
            Address::Port(port) => format!("redis://127.0.0.1:{port}"),
            Address::Socket(path) => format!("unix:{}", path.display()),
        }
    }

    /// Its port; 0 on a socket.
    pub fn port(&self) -> u16 {
        match self.address {
            Address::Port(port) => port,
            Address::Socket(_) => 0,
        }
    }

    /// Starts it again where it was, with nothing in it, after [`kill`](Self::kill).
    ///
    /// # Panics
    /// It does not start.
    pub fn start_again(&mut self) {
        let mut command = Command::new("redis-server");
        match &self.address {
            Address::Port(port) => command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]),
            Address::Socket(path) => command.args(["--port", "0", "--unixsocket"]).arg(path),
        };
        command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(self.folder.path()).args(&self.options);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.process = Some(process.unwrap_or_else(|error| missing(&error)));
        eventually("redis-server answers", || self.try_ask(&["PING"]).is_ok_or_signs_in());
    }

    /// Ends it as a crash does (`kill -9`).
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may be gone already.
            drop(process.kill());
            drop(process.wait());
        }
    }

    /// Stops it in the middle of what it does, connections open: it hangs.
    pub fn hang(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let Some(process) = &self.process else { return };
        let done = Command::new("kill").args([signal, &process.id().to_string()]).status();
        assert!(done.is_ok_and(|status| status.success()), "kill {signal}");
    }

    /// What it answers to a command.
    ///
    /// # Panics
    /// It does not answer, or with an error.
    pub fn ask(&self, command: &[&str]) -> Value {
        self.try_ask(command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// The same, or why not.
    ///
    /// # Errors
    /// It does not answer, or with an error.
    pub fn try_ask(&self, command: &[&str]) -> RedisResult<Value> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_connection_with_timeout(Duration::from_secs(1))?;
        let (name, arguments) = command.split_first().unwrap_or((&"PING", &[]));
        let mut asked = redis::cmd(name);
        arguments.iter().for_each(|argument| {
            asked.arg(argument);
        });
        connection.req_command(&asked).and_then(Value::extract_error)
    }

    /// Every key that it has.
    ///
    /// # Panics
    /// It does not say.
    pub fn keys(&self) -> Vec<String> {
        self.texts(&["KEYS", "*"])
    }

    /// What it answers, as several texts.
    ///
    /// # Panics
    /// It does not answer, or with something else.
    pub fn texts(&self, command: &[&str]) -> Vec<String> {
        self.read(command)
    }

    /// What it answers, as text.
    ///
    /// # Panics
    /// It does not answer, or with what is no text.
    pub fn text(&self, command: &[&str]) -> String {
        self.read(command)
    }

    /// What it answers, as a number.
    ///
    /// # Panics
    /// It does not answer, or with what is no number.
    pub fn number(&self, command: &[&str]) -> i64 {
        self.read(command)
    }

    fn read<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        redis::from_redis_value(self.ask(command)).unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.url()).finish()
    }
}

trait Answers {
    fn is_ok_or_signs_in(&self) -> bool;
}

impl Answers for RedisResult<Value> {
    /// One that asks for a password is up too.
    fn is_ok_or_signs_in(&self) -> bool {
        match self {
            Ok(_) => true,
            Err(error) => error.code() == Some("NOAUTH"),
        }
    }
}

fn folder() -> TempDir {
    TempDir::new().unwrap_or_else(|error| panic!("no folder: {error}"))
}

/// A port that was free a moment ago, and whose bus of a cluster, 10,000 above, was too. Both are below those that a system gives to
/// connections, of which there are many while tests run; drawn, because other tests draw as well.
///
/// # Panics
/// There is none.
pub fn free_port() -> u16 {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let mut drawn = (0..1_000).map(|_| rand::random_range(11_000..22_000));
    let free = drawn.find(|&port| is_free(port) && is_free(port + 10_000));
    free.unwrap_or_else(|| panic!("no free port"))
}

fn missing(error: &io::Error) -> ! {
    panic!(
        "redis-server does not start ({error}); these tests need it: `apt-get install redis-server`, `dnf install redis`, \
         `brew install redis`, or `./test.sh --install`"
    )
}
