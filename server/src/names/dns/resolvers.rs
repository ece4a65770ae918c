//! DNS servers, and what one question comes to.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Resolver, TokioResolver};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Family;
use super::search::Outcome;

/// For one question, all servers together.
const LONGEST: Duration = Duration::from_secs(6);
/// For one question to one server, unless the system says less. Over UDP it is sent again meanwhile.
const LONGEST_QUESTION: Duration = Duration::from_secs(2);
/// After which the next server is asked beside those that have not answered.
const PATIENCE: Duration = Duration::from_millis(500);

/// Who is asked, and what a name may be short for.
pub(super) struct Resolvers {
    /// One for each server, so that what one of them says is not taken for the answer of all.
    all: Vec<(IpAddr, TokioResolver)>,
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
        // Whether and who is asked again is decided here.
        options.attempts = 0;
        let ndots = options.ndots;
        let (domain, search, servers) = config.into_parts();
        // The machine's own domain is the list where none is written (resolv.conf(5)).
        let search = if search.is_empty() { domain.into_iter().collect() } else { search };
        let resolver = |server: NameServerConfig| {
            let (address, config) = (server.ip, ResolverConfig::from_name_servers(vec![server]));
            let builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
            Ok((address, builder.with_options(options.clone()).build()?))
        };
        let all = servers.into_iter().map(resolver).collect::<Result<_, NetError>>()?;
        Ok(Self { all, search, ndots })
    }

    /// The addresses of one family that a fully qualified name has.
    pub(super) async fn ask(&self, name: Name, of: RecordType) -> Outcome {
        match timeout(LONGEST, self.first_answer(name, of)).await {
            Err(_) => Err(format!("no answer within {LONGEST:?}")),
            Ok(outcome) => outcome,
        }
    }

    /// One server after the other is asked, the next at once where one cannot say. The first that can is believed.
    async fn first_answer(&self, name: Name, of: RecordType) -> Outcome {
        let (mut asked, mut rest) = (JoinSet::new(), self.all.iter());
        let mut failure = "there is no DNS server".to_owned();
        loop {
            if let Some((address, resolver)) = rest.next() {
                let (address, answer) = (*address, ask(resolver.clone(), name.clone(), of));
                asked.spawn(async move { answer.await.map_err(|error| format!("{address}: {error}")) });
            }
            let patience = if rest.len() == 0 { LONGEST } else { PATIENCE };
            match timeout(patience, asked.join_next()).await {
                Ok(Some(Ok(Ok(answer)))) => return Ok(answer),
                Ok(Some(Ok(Err(error)))) => failure = error,
                Ok(Some(Err(error))) => failure = error.to_string(),
                Ok(None) => return Err(failure),
                // No answer yet, and somebody else may have one.
                Err(_) => {}
            }
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
