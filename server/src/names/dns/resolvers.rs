//! DNS servers, and what one question comes to.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Resolver, TokioResolver};
use tokio::time::timeout;

use super::Family;
use super::search::Outcome;

/// For one question, all servers together.
const LONGEST: Duration = Duration::from_secs(6);
/// For one question to one server, unless the system says less.
const LONGEST_QUESTION: Duration = Duration::from_secs(2);

/// Who is asked, and what a name may be short for.
pub(super) struct Resolvers {
    all: TokioResolver,
    /// Domains that are put behind a name.
    pub(super) search: Vec<Name>,
    /// With so many dots, a name is first asked for as it is written.
    pub(super) ndots: usize,
}

impl Resolvers {
    /// These servers; without any, those of the system's configuration.
    ///
    /// Made anew for each look-up: what the system's configuration says may have changed, and nothing is to be remembered.
    ///
    /// # Errors
    /// The system's configuration cannot be read, or names no server.
    pub(super) fn new(servers: Option<&[SocketAddr]>) -> Result<Self, NetError> {
        let (config, mut options) = match servers {
            None => read_system_conf()?,
            Some(servers) => {
                let servers = servers.iter().copied().map(server).collect();
                (ResolverConfig::from_name_servers(servers), ResolverOpts::default())
            }
        };
        // What holds for how long is decided in one place, and that is not here.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        options.timeout = options.timeout.min(LONGEST_QUESTION);
        let ndots = options.ndots;
        let (domain, search, servers) = config.into_parts();
        // The machine's own domain is the list where none is written (resolv.conf(5)).
        let search = if search.is_empty() { domain.into_iter().collect() } else { search };
        let config = ResolverConfig::from_name_servers(servers);
        let builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
        Ok(Self { all: builder.with_options(options).build()?, search, ndots })
    }

    /// The addresses of one family that a fully qualified name has.
    pub(super) async fn ask(&self, name: Name, of: RecordType) -> Outcome {
        match timeout(LONGEST, ask(self.all.clone(), name, of)).await {
            Err(_) => Err(format!("no answer within {LONGEST:?}")),
            Ok(outcome) => outcome,
        }
    }
}

async fn ask(resolver: TokioResolver, name: Name, of: RecordType) -> Outcome {
    match resolver.lookup(name, of).await {
        Ok(lookup) => Ok(Some(Family::of(&lookup))),
        Err(error) => match &error {
            NetError::Dns(DnsError::NoRecordsFound(none)) if is_no_name(none) => Ok(None),
            NetError::Dns(DnsError::NoRecordsFound(none)) if is_no_record(none) => Ok(Some(Family::default())),
            _ => Err(error.to_string()),
        },
    }
}

fn is_no_name(none: &NoRecords) -> bool {
    none.response_code == ResponseCode::NXDomain
}

/// Not where a server only knows others that may know (RFC 2308, section 2.2).
fn is_no_record(none: &NoRecords) -> bool {
    none.response_code == ResponseCode::NoError && (none.ns.is_none() || none.soa.is_some())
}

/// A server that is asked over UDP, and over TCP where an answer is too long for that.
fn server(address: SocketAddr) -> NameServerConfig {
    let mut connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    connections.iter_mut().for_each(|connection| connection.port = address.port());
    NameServerConfig::new(address.ip(), true, connections.into())
}
