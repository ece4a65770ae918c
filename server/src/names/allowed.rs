//! Which addresses a name may stand for.
//!
//! Whoever answers for a name decides where requests go, with all that they carry. What no server of anybody's is reached at is refused,
//! and so is what only this machine can reach: a name that turns to 169.254.169.254 is after the credentials of the machine (the
//! metadata service of clouds, which with some is at other addresses too), and one that turns to 127.0.0.1 after what listens there and
//! trusts who is inside.

#[cfg(any(feature = "dns", test))]
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether it is this machine's own name, whatever a resolver says (RFC 6761, section 6.3).
pub(super) fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host == "localhost" || host.ends_with(".localhost")
}

/// Where clouds have their metadata services, other than at link-local addresses: AWS over IPv6, and Alibaba Cloud.
#[cfg(any(feature = "dns", test))]
const METADATA: [IpAddr; 2] =
    [IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)), IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200))];

#[cfg(any(feature = "dns", test))]
/// Why a name may not stand for this address; none when it may.
pub(super) fn refusal(address: IpAddr, loopback: bool) -> Option<&'static str> {
    let address = address.to_canonical();
    let (is_link_local, is_broadcast) = match address {
        IpAddr::V4(address) => (address.is_link_local(), address.is_broadcast()),
        IpAddr::V6(address) => match translated(address) {
            Some(inner) => return refusal(inner, loopback),
            None => (address.is_unicast_link_local(), false),
        },
    };
    if address.is_unspecified() {
        return Some("unspecified");
    }
    if address.is_multicast() || is_broadcast {
        return Some("multicast");
    }
    if is_link_local {
        return Some("link-local");
    }
    if METADATA.contains(&address) {
        return Some("metadata");
    }
    (address.is_loopback() && !loopback).then_some("loopback")
}

#[cfg(any(feature = "dns", test))]
/// The IPv4 address that one of 64:ff9b::/96 leads to, where a network translates (RFC 6052, section 2.1).
fn translated(address: Ipv6Addr) -> Option<IpAddr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() else { return None };
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Some(IpAddr::from([a, b, c, d]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_name_may_stand_for() {
        let refusal = |address: &str| refusal(address.parse().unwrap(), false);
        for address in ["10.0.0.1", "192.168.1.1", "203.0.113.7", "2001:db8::1", "fd00::1", "64:ff9b::203.0.113.7"] {
            assert_eq!(refusal(address), None, "{address}");
        }
        for address in ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254"] {
            assert_eq!(refusal(address), Some("link-local"), "{address}");
        }
        for address in ["fd00:ec2::254", "100.100.100.200", "::ffff:100.100.100.200", "64:ff9b::100.100.100.200"] {
            assert_eq!(refusal(address), Some("metadata"), "{address}");
        }
        // What is beside them is somebody's server.
        assert_eq!([refusal("fd00:ec2::253"), refusal("100.100.100.201")], [None; 2]);
        for address in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(refusal(address), Some("loopback"), "{address}");
        }
        assert_eq!([refusal("0.0.0.0"), refusal("::")], [Some("unspecified"); 2]);
        assert_eq!([refusal("224.0.0.1"), refusal("255.255.255.255"), refusal("ff02::1")], [Some("multicast"); 3]);
    }

    #[test]
    fn loopback_may_be_allowed_and_nothing_else_with_it() {
        let refusal = |address: &str| refusal(address.parse().unwrap(), true);
        assert_eq!([refusal("127.0.0.1"), refusal("::1")], [None; 2]);
        assert_eq!([refusal("0.0.0.0"), refusal("169.254.1.1")], [Some("unspecified"), Some("link-local")]);
        assert_eq!(refusal("fd00:ec2::254"), Some("metadata"));
    }

    #[test]
    fn localhost_is_a_name_and_all_under_it() {
        let names = ["localhost", "localhost.", "api.localhost", "localhost.example", "notlocalhost"];
        assert_eq!(names.map(is_localhost), [true, true, true, false, false]);
    }
}
