//! Names by DNS and the system's hosts file: the one place that names `hickory-resolver`.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, Resolver, TokioResolver};
use portcullis_core::Answer;
use portcullis_core::upstream::{Discovered, Discovery, DiscoveryError, EndpointUrl, Place};
use tokio::time::timeout;

use super::allowed::refusal;
use crate::config::ResolverSettings;

/// For one family of addresses, all servers and search domains together.
const LONGEST: Duration = Duration::from_secs(6);
/// For one question to one server, unless the system says less.
const LONGEST_QUESTION: Duration = Duration::from_secs(2);
/// How long what the hosts file says holds: it has no TTL, and may be edited.
const HOSTS_HOLD: Duration = Duration::from_secs(30);

/// What looks up one name.
pub(super) fn discovery(settings: &ResolverSettings) -> Option<Arc<dyn Discovery>> {
    Some(Arc::new(Dns { settings: settings.clone(), last: Arc::default() }))
}

#[derive(Clone)]
struct Dns {
    settings: ResolverSettings,
    last: Arc<Mutex<Last>>,
}

/// What the last look-up found.
#[derive(Debug, Default)]
struct Last {
    v4: Family,
    v6: Family,
    refused: Vec<IpAddr>,
}

/// The addresses of one family, and for how long they hold.
#[derive(Clone, Debug, Default)]
struct Family {
    addresses: Vec<IpAddr>,
    holds: Duration,
}

impl Discovery for Dns {
    fn discover(&self, url: &EndpointUrl) -> Answer<Result<Discovered, DiscoveryError>> {
        let (dns, url) = (self.clone(), url.clone());
        Answer::later(async move { dns.find(&url).await })
    }
}

impl Dns {
    async fn find(&self, url: &EndpointUrl) -> Result<Discovered, DiscoveryError> {
        let (host, port) = url.name().ok_or_else(|| DiscoveryError::new("it is no name"))?;
        let name = Name::from_ascii(host).map_err(|error| DiscoveryError::new(error.to_string()))?;
        let from_hosts = if self.settings.servers.is_none() { in_hosts(&name) } else { None };
        // Whoever writes the hosts file may write what this program runs as well.
        let loopback = self.settings.loopback || from_hosts.is_some();
        let Family { mut addresses, holds } = match from_hosts {
            Some(found) => found,
            None => self.ask(name).await?,
        };
        let refused = drain(&mut addresses, |address| refusal(*address, loopback).is_some());
        self.tell(url, &refused, loopback);
        if addresses.is_empty() && !refused.is_empty() {
            return Err(DiscoveryError::new("all its addresses are refused"));
        }
        let unreachable = drain(&mut addresses, |address| !has_route(*address));
        if addresses.is_empty() {
            // Then it is better to say so when somebody connects.
            addresses = unreachable;
        }
        let places = addresses.into_iter().map(|address| Place::at(SocketAddr::new(address, port))).collect();
        Ok(Discovered { places, holds })
    }

    /// Both families, of the same name: where search domains are put behind it, those of the family that was found first. One family that
    /// cannot be looked up keeps what it had: a resolver that does not answer for one of them takes no servers away.
    async fn ask(&self, name: Name) -> Result<Family, DiscoveryError> {
        let resolver = self.resolver().map_err(|error| DiscoveryError::new(error.to_string()))?;
        let v4 = look_up(&resolver, name.clone(), RecordType::A).await;
        let found_as = v4.as_ref().ok().and_then(Option::as_ref).map(|found| found.query().name().clone());
        let v6 = look_up(&resolver, found_as.unwrap_or(name), RecordType::AAAA).await;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let last = &mut *last;
        let failed = [&v4, &v6].map(|outcome| outcome.as_ref().err().cloned());
        for (family, outcome) in [(&mut last.v4, v4), (&mut last.v6, v6)] {
            if let Ok(found) = outcome {
                *family = found.as_ref().map(Family::of).unwrap_or_default();
            }
        }
        match failed {
            [Some(error), Some(_)] => return Err(DiscoveryError::new(error)),
            [None, Some(error)] | [Some(error), None] => tracing::debug!(error, "one family of addresses is not found"),
            [None, None] => {}
        }
        let families = [&last.v4, &last.v6].into_iter().filter(|family| !family.addresses.is_empty());
        let holds = families.map(|family| family.holds).min();
        let addresses = last.v4.addresses.iter().chain(&last.v6.addresses).copied().collect();
        let holds = holds.ok_or_else(|| DiscoveryError::new("the name has no address"))?;
        Ok(Family { addresses, holds })
    }

    /// Made anew for each look-up: what the system's configuration says may have changed, and nothing is to be remembered.
    fn resolver(&self) -> Result<TokioResolver, NetError> {
        let provider = TokioRuntimeProvider::default();
        let mut builder = match &self.settings.servers {
            None => Resolver::builder(provider)?,
            Some(servers) => {
                let servers = servers.iter().copied().map(server).collect();
                Resolver::builder_with_config(ResolverConfig::from_name_servers(servers), provider)
            }
        };
        let options = builder.options_mut();
        // What holds for how long is decided in one place, and that is not here.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        options.timeout = options.timeout.min(LONGEST_QUESTION);
        builder.build()
    }

    /// One line for addresses that are refused, when they are others than the last time.
    fn tell(&self, url: &EndpointUrl, refused: &[IpAddr], loopback: bool) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        for address in refused.iter().filter(|address| !last.refused.contains(address)) {
            let kind = refusal(*address, loopback).unwrap_or_default();
            tracing::warn!(server = %url, %address, kind, "a name stands for an address that no name may stand for: it is left out");
        }
        last.refused = refused.to_vec();
    }
}

impl Family {
    fn of(lookup: &Lookup) -> Self {
        let records = lookup.answers();
        // Of a name that is another's name, the shorter TTL counts.
        let ttl = records.iter().map(|record| record.ttl).min().unwrap_or_default();
        let addresses = records.iter().filter_map(|record| record.data.ip_addr()).collect();
        Self { addresses, holds: Duration::from_secs(ttl.into()) }
    }
}

/// The records of one type; none where the name has none.
///
/// # Errors
/// Nobody could say.
async fn look_up(resolver: &TokioResolver, name: Name, of: RecordType) -> Result<Option<Lookup>, String> {
    match timeout(LONGEST, resolver.lookup(name, of)).await {
        Err(_) => Err(format!("no answer within {LONGEST:?}")),
        Ok(Ok(lookup)) => Ok(Some(lookup)),
        Ok(Err(error)) if error.is_no_records_found() => Ok(None),
        Ok(Err(error)) => Err(error.to_string()),
    }
}

/// What the hosts file says of a name; none where it says nothing.
fn in_hosts(name: &Name) -> Option<Family> {
    // Without the file, it says nothing.
    let hosts = Hosts::from_system().ok()?;
    let found = [RecordType::A, RecordType::AAAA].map(|of| hosts.lookup_static_host(&Query::query(name.clone(), of)));
    let found = found.iter().flatten().flat_map(|lookup| lookup.answers());
    let addresses: Vec<_> = found.filter_map(|record| record.data.ip_addr()).collect();
    (!addresses.is_empty()).then_some(Family { addresses, holds: HOSTS_HOLD })
}

/// A server that is asked over UDP, and over TCP where an answer is too long for that.
fn server(address: SocketAddr) -> NameServerConfig {
    let mut connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    connections.iter_mut().for_each(|connection| connection.port = address.port());
    NameServerConfig::new(address.ip(), true, connections.into())
}

/// Whether this machine has a way to an address at all; no packet is sent to find out. A machine without IPv6 has none to half of the
/// addresses of most names.
fn has_route(address: IpAddr) -> bool {
    let any: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    UdpSocket::bind(any).and_then(|socket| socket.connect((address, 9))).is_ok()
}

/// Takes those out for which `leaves` holds.
fn drain(addresses: &mut Vec<IpAddr>, leaves: impl Fn(&IpAddr) -> bool) -> Vec<IpAddr> {
    let (out, stay) = addresses.iter().copied().partition(|address| leaves(address));
    *addresses = stay;
    out
}
