//! What `--cluster` adds: a Redis of the demo's own, and a second gateway with the same file.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use portcullis_core::time::Clock;

use crate::config::{Config, ListenAddress};
use crate::server::{Server, StartError};

/// A `redis-server` that keeps nothing. It ends with this value.
pub(super) struct Redis {
    folder: PathBuf,
    process: Child,
}

impl Redis {
    /// Starts one on a socket in a folder of its own.
    ///
    /// # Errors
    /// There is none, with how to get it; or it does not start.
    pub(super) fn start() -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("portcullis-demo-{}", std::process::id()));
        let failed = |error: io::Error| {
            match error.kind() {
            ErrorKind::NotFound => "there is no redis-server\n  get it:  apt-get install redis-server  (dnf install redis, brew install redis)\n  \
                                    or name one that runs:  REDIS_URL=redis://127.0.0.1:6379 portcullis demo --cluster"
                .to_owned(),
            _ => format!("redis-server does not start: {error}"),
        }
        };
        fs::create_dir_all(&folder).map_err(|error| format!("no folder for Redis at {}: {error}", folder.display()))?;
        let process = Command::new("redis-server")
            .args(["--port", "0", "--unixsocketperm", "700", "--save", "", "--appendonly", "no", "--dir"])
            .arg(&folder)
            .arg("--unixsocket")
            .arg(folder.join("redis.sock"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match process {
            Ok(process) => Ok(Self { folder, process }),
            Err(error) => {
                let _ = fs::remove_dir_all(&folder);
                Err(failed(error))
            }
        }
    }

    pub(super) fn url(&self) -> String {
        format!("unix:{}", self.folder.join("redis.sock").display())
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may be gone already, and so may the folder.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A gateway beside the first: the same file, and an admin door of its own.
///
/// # Errors
/// As [`Server::start`].
pub(super) fn second(mut config: Config) -> Result<Server, StartError> {
    if let Some(ListenAddress::Tcp { port, .. }) = config.settings.admin.as_mut().map(|admin| &mut admin.address) {
        *port = port.saturating_add(1);
    }
    Server::start(config, Clock::system())
}

/// What to try with the two.
pub(super) fn lesson(first: &str, second: &str, token: &str, redis: Option<u32>) -> String {
    let gone = match redis {
        Some(pid) => format!(
            r"
3. Redis hangs: no request waits for it longer than 25 ms, and after that none at all. Each gateway goes on with its
   share, half of the limit, from what it has let through itself; the log below says limit_by=share. Then Redis goes on, and nobody is reset.

     kill -STOP {pid}
     curl -i {first}/users/grace -H 'Authorization: Bearer '$TOKEN; curl http://127.0.0.1:9901/readyz
     kill -CONT {pid}
"
        ),
        None => String::new(),
    };
    format!(
        r#"
Two gateways run examples/shop.toml now, with one line between them: REDIS_URL. They listen on
{first} and {second}. In another terminal:

  TOKEN={token}

1. 100 a minute for each user, whichever gateway is asked: they count down together, to the same 429.

     for i in $(seq 55); do for gateway in {first} {second}; do curl -s -o /dev/null -w "%{{http_code}} " $gateway/users/ada -H "Authorization: Bearer $TOKEN"; done; done

2. What one knows of the other.

     curl -s http://127.0.0.1:9901/metrics | grep portcullis_store
{gone}
Ctrl-C ends the demo, and its Redis. One log line for each request follows.
"#
    )
}
