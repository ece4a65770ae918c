//! A Redis Cluster of a test's own.

use super::eventually;
use super::server::Server;

/// Three `redis-server` processes that are one cluster, each with a third of the keys. They end with this value.
#[derive(Debug)]
pub struct Cluster {
    servers: Vec<Server>,
}

/// A server that is gone is replaced after two seconds.
const OPTIONS: [&str; 4] = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];

/// How many places of keys there are, and how many servers.
const SLOTS: usize = 16_384;
const SERVERS: usize = 3;

impl Cluster {
    /// One that is up.
    ///
    /// # Panics
    /// There is no `redis-server`, or they do not become a cluster.
    pub fn start() -> Self {
        let servers: Vec<_> = (0..SERVERS).map(|_| Server::on_port(&OPTIONS)).collect();
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

    /// Adds a server that takes over when the one at `place` is gone.
    ///
    /// # Panics
    /// It does not become a replica.
    pub fn add_replica(&mut self, place: usize) {
        let replica = Server::on_port(&OPTIONS);
        let Some(primary) = self.servers.get(place) else { panic!("no server {place}") };
        let name = primary.text(&["CLUSTER", "MYID"]);
        primary.ask(&["CLUSTER", "MEET", "127.0.0.1", &replica.port().to_string()]);
        eventually("they have met", || replica.try_ask(&["CLUSTER", "REPLICATE", &name]).is_ok());
        eventually("it is a replica", || replica.text(&["INFO", "replication"]).contains("master_link_status:up"));
        self.servers.push(replica);
    }

    /// Moves the place of a key, with all keys that are there, from the server that has it to the one after it.
    ///
    /// # Panics
    /// It cannot be moved.
    pub fn move_place(&mut self, key: &str) {
        let Some(slot) = self.servers.first().map(|server| server.number(&["CLUSTER", "KEYSLOT", key])) else { return };
        let from = usize::try_from(slot).unwrap_or_default() * SERVERS / SLOTS;
        let ends = [self.servers.get(from), self.servers.get((from + 1) % SERVERS)];
        let [Some(from), Some(to)] = ends else { panic!("no servers") };
        let (slot, port) = (slot.to_string(), to.port().to_string());
        let [from_name, to_name] = [from, to].map(|server| server.text(&["CLUSTER", "MYID"]));
        to.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_name]);
        from.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_name]);
        for key in from.texts(&["CLUSTER", "GETKEYSINSLOT", &slot, "1000"]) {
            from.ask(&["MIGRATE", "127.0.0.1", &port, &key, "0", "1000"]);
        }
        for server in [to, from].into_iter().chain(&self.servers) {
            server.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_name]);
        }
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
    let info = server.text(&["CLUSTER", "INFO"]);
    let says = |line: &str| info.lines().any(|known| known == line);
    says("cluster_state:ok") && says(&format!("cluster_known_nodes:{SERVERS}")) && says("cluster_slots_ok:16384")
}
