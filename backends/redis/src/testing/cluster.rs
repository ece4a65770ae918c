//! A Redis Cluster of a test's own.

use super::eventually;
use super::server::{Server, Value};

/// Three `redis-server` processes that are one cluster, each with a third of the keys. They end with this value.
#[derive(Debug)]
pub struct Cluster {
    servers: Vec<Server>,
}

/// How many places of keys there are, and how many servers.
const SLOTS: usize = 16_384;
const SERVERS: usize = 3;

impl Cluster {
    /// One that is up.
    ///
    /// # Panics
    /// There is no `redis-server`, or they do not become a cluster.
    pub fn start() -> Self {
        let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
        let servers: Vec<_> = (0..SERVERS).map(|_| Server::on_port(&options)).collect();
        let Some((first, others)) = servers.split_first() else { panic!("no servers") };
        for (index, server) in servers.iter().enumerate() {
            let [from, to] = [index, index + 1].map(|part| part * SLOTS / SERVERS);
            server.ask(&["CLUSTER", "ADDSLOTSRANGE", &from.to_string(), &(to - 1).to_string()]);
            server.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]);
        }
        for other in others {
            first.ask(&["CLUSTER", "MEET", "127.0.0.1", &other.port().to_string()]);
        }
        eventually("the cluster is one", || servers.iter().all(is_whole));
        Self { servers }
    }

    /// Where it is: its first server, which knows the others.
    pub fn url(&self) -> String {
        let ports: Vec<_> = self.servers.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
        format!("redis+cluster://{}", ports.join(","))
    }

    /// Its servers.
    pub fn servers(&mut self) -> &mut [Server] {
        &mut self.servers
    }
}

fn is_whole(server: &Server) -> bool {
    let info = match server.ask(&["CLUSTER", "INFO"]) {
        Value::BulkString(text) => String::from_utf8_lossy(&text).into_owned(),
        Value::VerbatimString { text, .. } => text,
        _ => return false,
    };
    let says = |line: &str| info.lines().any(|known| known == line);
    says("cluster_state:ok") && says(&format!("cluster_known_nodes:{SERVERS}")) && says("cluster_slots_ok:16384")
}
