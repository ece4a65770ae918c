//! A gateway on free ports.

use std::net::SocketAddr;

use portcullis::config::{Config, LoadOptions, Report, from_text_with};
use portcullis::{Server, StartError};
use portcullis_core::time::Clock;

use crate::{Client, Message, SECRET};

/// A running gateway; it stops with the value.
#[derive(Debug)]
pub struct Gateway {
    server: Option<Server>,
}

/// What the tests' configurations begin with: free ports, two workers, no access log.
const PRELUDE: &str = r#"
listen = ["127.0.0.1:0"]
[server]
workers = 2
[admin]
listen = "127.0.0.1:0"
[log]
access = "off"
"#;

impl Gateway {
    /// Runs a configuration, with free ports, two workers and no access log unless it listens itself. `${SECRET}` in it is [`SECRET`].
    pub fn start(text: &str) -> Self {
        Self::with_clock(text, Clock::system())
    }

    /// The same on another clock.
    pub fn with_clock(text: &str, clock: Clock) -> Self {
        let config = Self::config(text).unwrap_or_else(|report| panic!("{report}"));
        Self { server: Some(Server::start(config, clock).unwrap_or_else(|error| panic!("{error}"))) }
    }

    /// The configuration behind a text.
    pub fn config(text: &str) -> Result<Config, Report> {
        let text = if text.contains("listen = ") { text.to_owned() } else { format!("{PRELUDE}{text}") };
        let env = |name: &str| (name == "SECRET").then(|| SECRET.to_owned());
        from_text_with("test.toml", &text, &env, LoadOptions::default())
    }

    /// Takes over another configuration.
    pub fn reload(&mut self, text: &str) -> Result<(), StartError> {
        let config = Self::config(text).unwrap_or_else(|report| panic!("{report}"));
        self.server.as_mut().unwrap().reload(config)
    }

    /// Where clients arrive.
    pub fn address(&self) -> SocketAddr {
        self.server().addresses()[0]
    }

    /// The server.
    pub fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    /// GET on a connection of its own.
    pub fn get(&self, target: &str, fields: &[&str]) -> Message {
        Client::get(self.address(), target, fields)
    }

    /// A request of the admin door.
    pub fn admin(&self, target: &str) -> Message {
        Client::get(self.server().admin_address().expect("an admin listener"), target, &["connection: close"])
    }

    /// The value of a line of the metrics, such as `portcullis_panics_total`.
    pub fn metric(&self, line: &str) -> Option<f64> {
        let text = self.admin("/metrics").text();
        let value = text.lines().find_map(|known| known.strip_prefix(line)?.strip_prefix(' '))?;
        value.parse().ok()
    }

    /// Stops as on SIGTERM; whether everything ended within the grace.
    pub fn shutdown(mut self) -> bool {
        let server = self.server.take().unwrap();
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(server.shutdown())
    }
}
