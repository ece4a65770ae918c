//! Names by DNS and the system's hosts file: this and what is under it is the one place that names `hickory-resolver`.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::Hosts;
use hickory_resolver::lookup::Lookup;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use portcullis_core::Answer;
use portcullis_core::upstream::{Discovered, Discovery, DiscoveryError, EndpointUrl, Place};

use self::resolvers::Resolvers;
use self::search::{Found, candidates, first_found};
use super::allowed::refusal;
use crate::config::ResolverSettings;

mod resolvers;
mod search;

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
    /// Under which name: one that is written may be short for several.
    name: Option<Name>,
    v4: Family,
    v6: Family,
    refused: Vec<IpAddr>,
}

/// The addresses of one family, and for how long they hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

    async fn ask(&self, name: Name) -> Result<Family, DiscoveryError> {
        let resolvers = Resolvers::new(self.settings.servers.as_deref());
        let resolvers = resolvers.map_err(|error| DiscoveryError::new(error.to_string()))?;
        let names = candidates(&name, &resolvers.search, resolvers.ndots);
        let found = first_found(names, |name, of| resolvers.ask(name, of)).await.map_err(DiscoveryError::new)?;
        Ok(self.last.lock().unwrap_or_else(PoisonError::into_inner).take(found))
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

impl Last {
    /// What a name stands for now. One family that cannot be looked up keeps what it had: a resolver that does not answer for one of
    /// them takes no servers away.
    fn take(&mut self, Found { name, v4, v6 }: Found) -> Family {
        if self.name.as_ref() != Some(&name) {
            // What another name had is another's.
            (self.name, self.v4, self.v6) = (Some(name), Family::default(), Family::default());
        }
        for (family, outcome) in [(&mut self.v4, v4), (&mut self.v6, v6)] {
            match outcome {
                Ok(found) => *family = found.unwrap_or_default(),
                Err(error) => tracing::debug!(error, "one family of addresses is not found"),
            }
        }
        let families = [&self.v4, &self.v6].into_iter().filter(|family| !family.addresses.is_empty());
        let holds = families.map(|family| family.holds).min().unwrap_or_default();
        let addresses = self.v4.addresses.iter().chain(&self.v6.addresses).copied().collect();
        Family { addresses, holds }
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

/// What the hosts file says of a name; none where it says nothing.
fn in_hosts(name: &Name) -> Option<Family> {
    // Without the file, it says nothing.
    let hosts = Hosts::from_system().ok()?;
    let found = [RecordType::A, RecordType::AAAA].map(|of| hosts.lookup_static_host(&Query::query(name.clone(), of)));
    let found = found.iter().flatten().flat_map(|lookup| lookup.answers());
    let addresses: Vec<_> = found.filter_map(|record| record.data.ip_addr()).collect();
    (!addresses.is_empty()).then_some(Family { addresses, holds: HOSTS_HOLD })
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

#[cfg(test)]
mod tests {
    use super::search::Outcome;
    use super::*;

    fn some(address: &str, seconds: u64) -> Outcome {
        let addresses = vec![address.parse().unwrap()];
        Ok(Some(Family { addresses, holds: Duration::from_secs(seconds) }))
    }

    fn found(name: &str, v4: Outcome, v6: Outcome) -> Found {
        Found { name: Name::from_ascii(name).unwrap(), v4, v6 }
    }

    fn texts(family: Family) -> Vec<String> {
        family.addresses.into_iter().map(|address| address.to_string()).collect()
    }

    #[test]
    fn a_family_that_is_not_answered_for_keeps_what_it_had_and_one_that_is_gone_does_not() {
        let (mut last, fails) = (Last::default(), || Err("no answer".to_owned()));
        let both = last.take(found("a.", some("192.0.2.1", 9), some("2001:db8::1", 5)));
        assert_eq!((both.holds.as_secs(), texts(both)), (5, vec!["192.0.2.1".to_owned(), "2001:db8::1".to_owned()]));
        assert_eq!(texts(last.take(found("a.", fails(), some("2001:db8::2", 5)))), ["192.0.2.1", "2001:db8::2"]);
        assert_eq!(texts(last.take(found("a.", some("192.0.2.2", 9), fails()))), ["192.0.2.2", "2001:db8::2"]);
        for none in [Ok(None), Ok(Some(Family::default()))] {
            assert_eq!(texts(last.take(found("a.", some("192.0.2.1", 9), none))), ["192.0.2.1"]);
            last.take(found("a.", fails(), some("2001:db8::1", 5)));
        }
    }

    #[test]
    fn what_another_name_had_is_not_kept() {
        let mut last = Last::default();
        last.take(found("a.", some("192.0.2.1", 9), some("2001:db8::1", 9)));
        let now = last.take(found("b.", Err("no answer".to_owned()), some("2001:db8::2", 9)));
        assert_eq!(texts(now), ["2001:db8::2"]);
    }
}
