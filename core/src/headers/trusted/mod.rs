//! Which peers are believed when they say whom they speak for, and what they say (RFC 7239 and `X-Forwarded-For`).
//!
//! Fields are read from the right: what stands there was written by the peer itself, and what is left of it by whoever that
//! peer had it from. So nothing that a client puts in front changes how the part behind it is read.

use std::net::IpAddr;

use http::header::{FORWARDED, HeaderMap};

use super::{Proto, X_FORWARDED_FOR, X_FORWARDED_PROTO, only};

mod element;
mod list;
mod network;
mod node;

pub use network::{Network, NetworkError};

use element::Element;
use list::FromTheRight;
use node::Node;

/// How many proxies in a row are believed, the peer not counted. Longer chains are loops or attacks.
pub const MAX_HOPS: usize = 32;

/// The one family of fields that trusted proxies are believed by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there are two families")]
pub enum Family {
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// `X-Forwarded-For` and `X-Forwarded-Proto`.
    #[default]
    XForwardedFor,
}

impl Family {
    /// The name of its field.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::XForwardedFor => "x-forwarded-for",
        }
    }
}

/// The peers whose forwarding fields are believed; nobody by default.
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use portcullis_core::headers::{Family, Proto, TrustedProxies};
///
/// let proxies = TrustedProxies::new(["10.0.0.0/8".parse()?], Family::XForwardedFor);
/// let told = HeaderMap::from_iter([
///     ("x-forwarded-for".parse()?, HeaderValue::from_static("6.6.6.6, 192.0.2.7, 10.0.0.2")),
/// ]);
/// let peer = [10, 0, 0, 1].into();
/// let arrival = proxies.arrival(Some(peer), Proto::Http, &told);
/// assert_eq!(arrival.client, Some([192, 0, 2, 7].into()), "the first from the right that nobody vouches for");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    family: Family,
    networks: Box<[Network]>,
    unix: bool,
}

/// Where a request came from, as far as it is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The client's address, an IPv4 address inside IPv6 as IPv4. None for a peer on a unix socket that is not believed, or
    /// that did not say.
    pub client: Option<IpAddr>,
    /// How the client spoke to the first of us.
    pub proto: Proto,
}

impl TrustedProxies {
    /// Peers in these networks, by `family`.
    pub fn new(networks: impl IntoIterator<Item = Network>, family: Family) -> Self {
        Self { family, networks: networks.into_iter().collect(), unix: false }
    }

    /// The same and peers on a unix socket.
    #[must_use]
    pub fn and_unix(self) -> Self {
        Self { unix: true, ..self }
    }

    /// The one family that is believed.
    pub const fn family(&self) -> Family {
        self.family
    }

    /// The networks.
    pub fn networks(&self) -> &[Network] {
        &self.networks
    }

    /// Whether peers on a unix socket are believed.
    pub const fn trusts_unix(&self) -> bool {
        self.unix
    }

    /// Whether a peer is believed; one without an address is on a unix socket.
    pub fn trust(&self, peer: Option<IpAddr>) -> bool {
        match peer {
            None => self.unix,
            Some(_) if self.networks.is_empty() => false,
            Some(address) => {
                let address = address.to_canonical();
                self.networks.iter().any(|network| network.contains(address))
            }
        }
    }

    /// Where a request came from: whoever connected, unless it is believed; then the first address from the right that is not
    /// a trusted proxy's. `proto` is how the peer speaks to us.
    ///
    /// An element that is malformed, `unknown` or obfuscated ends the walk, and whoever wrote it stands for what is behind it.
    /// So does a chain of more than [`MAX_HOPS`]. `X-Forwarded-Proto` counts where it is said once, `proto` of `Forwarded`
    /// where it stands with the last address that is believed; what is neither `http` nor `https` counts as not said. Hosts are
    /// never believed: many a proxy passes a client's own on.
    ///
    /// Allocates nothing, and looks at no field of a peer that is not believed.
    pub fn arrival(&self, peer: Option<IpAddr>, proto: Proto, fields: &HeaderMap) -> Arrival {
        let arrival = Arrival { client: peer.map(|address| address.to_canonical()), proto };
        if !self.trust(peer) {
            return arrival;
        }
        match self.family {
            Family::Forwarded => self.by_forwarded(arrival, fields),
            Family::XForwardedFor => self.by_x_forwarded(arrival, fields),
        }
    }

    fn by_x_forwarded(&self, mut arrival: Arrival, fields: &HeaderMap) -> Arrival {
        if let Some(proto) = only(fields, &X_FORWARDED_PROTO).and_then(|value| Proto::parse(value.as_bytes())) {
            arrival.proto = proto;
        }
        for element in FromTheRight::of(fields, &X_FORWARDED_FOR).take(MAX_HOPS) {
            let Some(Node::Address(address)) = Node::bare(element) else { break };
            arrival.client = Some(address);
            if !self.trust(arrival.client) {
                break;
            }
        }
        arrival
    }

    fn by_forwarded(&self, mut arrival: Arrival, fields: &HeaderMap) -> Arrival {
        let seen = arrival.proto;
        for element in FromTheRight::of(fields, &FORWARDED).take(MAX_HOPS) {
            let Some(element) = Element::parse(element) else { break };
            // The last proxy that we believe says how it was spoken to; where it does not, nobody else's word stands for it.
            arrival.proto = element.proto.unwrap_or(seen);
            let Some(Node::Address(address)) = element.node else { break };
            arrival.client = Some(address);
            if !self.trust(arrival.client) {
                break;
            }
        }
        arrival
    }
}

#[cfg(test)]
mod tests;
