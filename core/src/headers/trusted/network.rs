//! A network of IP addresses, as it is written in a configuration.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Addresses that begin with the same bits: `10.0.0.0/8`, `2001:db8::/32`, or one address. One that maps IPv4 into IPv6
/// is the IPv4 network.
///
/// ```
/// use portcullis_core::headers::Network;
/// let network: Network = "10.0.0.0/8".parse()?;
/// assert!(network.contains([10, 1, 2, 3].into()) && !network.contains([11, 0, 0, 1].into()));
/// assert!("10.1.2.3/8".parse::<Network>().is_err(), "bits behind the prefix");
/// # Ok::<(), portcullis_core::headers::NetworkError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is not a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkError {
    /// Not an address, or not with a prefix of as many bits as it has.
    Malformed,
    /// Bits are set behind the prefix: either it or the address is a mistake. The network that the prefix says.
    Unaligned(Network),
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("neither an address nor a network"),
            Self::Unaligned(network) => write!(f, "bits are set behind the prefix; the network is {network}"),
        }
    }
}

impl std::error::Error for NetworkError {}

impl Network {
    /// Whether `address`, in its canonical form ([`IpAddr::to_canonical`]), is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
                (bits(self.address) ^ bits(address)).checked_shr(self.host_bits()).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// Whether it is every address of its kind.
    pub const fn is_everybody(&self) -> bool {
        self.prefix == 0
    }

    fn host_bits(&self) -> u32 {
        u32::from(width(self.address) - self.prefix)
    }
}

const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Malformed)?;
        let prefix = match prefix {
            None => width(address),
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|prefix| *prefix <= width(address)).ok_or(NetworkError::Malformed)?
            }
            Some(_) => return Err(NetworkError::Malformed),
        };
        let network = Self { address, prefix }.canonical();
        let aligned = network.aligned();
        if aligned == network { Ok(network) } else { Err(NetworkError::Unaligned(aligned)) }
    }
}

impl Network {
    /// The one spelling: what lies wholly within the mapped addresses is IPv4.
    fn canonical(self) -> Self {
        match (self.address.to_canonical(), self.prefix.checked_sub(96)) {
            (address @ IpAddr::V4(_), Some(prefix)) if self.address.is_ipv6() => Self { address, prefix },
            _ => self,
        }
    }

    /// The same without bits behind the prefix.
    fn aligned(self) -> Self {
        let host_bits = self.host_bits();
        let kept = |bits: u128| bits.checked_shr(host_bits).and_then(|bits| bits.checked_shl(host_bits)).unwrap_or(0);
        let address = match self.address {
            // No bit is added, so what came from 32 fits in 32.
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(kept(bits(self.address))).unwrap_or(0).into()),
            IpAddr::V6(_) => IpAddr::V6(kept(bits(self.address)).into()),
        };
        Self { address, ..self }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == width(self.address) {
            return write!(f, "{}", self.address);
        }
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    fn has(text: &str, address: &str) -> bool {
        network(text).contains(address.parse().unwrap())
    }

    #[test]
    fn borders() {
        assert!(has("10.0.0.0/8", "10.255.255.255") && !has("10.0.0.0/8", "11.0.0.0"));
        assert!(has("192.0.2.7", "192.0.2.7") && !has("192.0.2.7/32", "192.0.2.6"));
        assert!(has("0.0.0.0/0", "255.1.2.3") && !has("0.0.0.0/0", "::1"));
        assert!(has("::/0", "2001:db8::1") && !has("::/0", "192.0.2.1"));
        assert!(has("2001:db8::/32", "2001:db8:ffff::1") && !has("2001:db8::/32", "2001:db9::1"));
        assert!(has("::1", "::1") && !has("::1/128", "::2"));
        assert!(has("::ffff:10.0.0.0/104", "10.1.2.3") && has("::ffff:192.0.2.1", "192.0.2.1"));
    }

    #[test]
    fn spellings() {
        for (text, shown) in [("10.0.0.0/8", "10.0.0.0/8"), ("::1/128", "::1"), ("::ffff:10.0.0.0/104", "10.0.0.0/8")] {
            assert_eq!(network(text).to_string(), shown);
        }
        assert!(network("::/0").is_everybody() && !network("10.0.0.0/8").is_everybody());
        for text in
            ["", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/+8", "a.test", "10.0.0.0/8/8", "[::1]"]
        {
            assert_eq!(text.parse::<Network>(), Err(NetworkError::Malformed), "{text}");
        }
        assert_eq!("10.1.2.3/8".parse::<Network>(), Err(NetworkError::Unaligned(network("10.0.0.0/8"))));
        assert_eq!("2001:db8::1/64".parse::<Network>(), Err(NetworkError::Unaligned(network("2001:db8::/64"))));
    }
}
