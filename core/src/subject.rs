//! Who a request is counted as: a fixed-size, keyed hash, never the raw value.

use std::fmt;
use std::hash::Hasher;
use std::net::IpAddr;

use siphasher::sip128::{Hasher128, SipHasher13};

use crate::limit::Algorithm;

/// A rule's own number: a fixed hash of its name, the same on every node and after every restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(u64);

impl RuleId {
    /// The id of the rule called `name`.
    pub fn of(name: &str) -> Self {
        // Rule names are the operator's, so a fixed key is enough: nobody gains by making two of them meet.
        let mut hasher = siphasher::sip::SipHasher13::new_with_keys(0, 0);
        hasher.write(name.as_bytes());
        Self(hasher.finish())
    }

    /// The id as a number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// The secret that subjects are hashed under, so that a client cannot choose values that meet another client's.
///
/// A memory store's is random; nodes that share a store share one.
#[derive(Clone)]
pub struct SubjectKey([u8; 16]);

impl SubjectKey {
    /// From bytes that several nodes share.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// A fresh one from the operating system's randomness.
    pub fn random() -> Self {
        Self(rand::random())
    }
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectKey(..)")
    }
}

/// Who a request is counted as under one rule: 128 bits of SipHash-1-3 over (rule, kind of source, verifier, value),
/// each length-prefixed, so that `a` + `b:c` never meets `a:b` + `c`. Sixteen bytes whatever the value's length.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(u128);

impl Subject {
    /// The subject as a number, for a store's own key.
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// The one bucket that new keys of `rule` share when a store is full.
    pub const fn overflow(rule: RuleId) -> Self {
        // Not a hash: 64 zero bits never come out of one in practice, and if they did, one client would share.
        Self(rule.0 as u128)
    }

    /// The same subject under another number for each algorithm, for a store that keeps one number for one count.
    pub(crate) const fn counted_by(self, algorithm: Algorithm) -> Self {
        // The upper half, which is zero in the shared buckets: those of two rules stay apart.
        Self(self.0 ^ ((algorithm as u128) << 64))
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({:032x})", self.0)
    }
}

/// Collects what a subject is made of.
pub(crate) struct SubjectHasher(SipHasher13);

impl SubjectHasher {
    pub(crate) fn new(key: &SubjectKey, rule: RuleId) -> Self {
        let mut hasher = SipHasher13::new_with_key(&key.0);
        hasher.write(&rule.0.to_le_bytes());
        Self(hasher)
    }

    /// One value of `kind` (a number for each kind of source), as text.
    pub(crate) fn text(&mut self, kind: u8, text: &[u8]) {
        self.0.write(&[kind]);
        self.0.write(&(text.len() as u64).to_le_bytes());
        self.0.write(text);
    }

    /// A client's address: IPv4 whole, an IPv4 address mapped into IPv6 as IPv4, IPv6 by its /64.
    pub(crate) fn address(&mut self, kind: u8, address: IpAddr) {
        match address.to_canonical() {
            IpAddr::V4(v4) => self.text(kind, &v4.octets()),
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, g, h, ..] = v6.octets();
                self.text(kind, &[a, b, c, d, e, f, g, h]);
            }
        }
    }

    pub(crate) fn finish(self) -> Subject {
        Subject(self.0.finish128().as_u128())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parts: &[(u8, &[u8])]) -> Subject {
        let mut hasher = SubjectHasher::new(&SubjectKey::from_bytes([7; 16]), RuleId::of("rule"));
        parts.iter().for_each(|(kind, text)| hasher.text(*kind, text));
        hasher.finish()
    }

    fn client(address: &str) -> Subject {
        let mut hasher = SubjectHasher::new(&SubjectKey::from_bytes([7; 16]), RuleId::of("rule"));
        hasher.address(2, address.parse().unwrap());
        hasher.finish()
    }

    /// R04
    #[test]
    fn borders_between_values_count() {
        assert_ne!(of(&[(1, b"a"), (1, b"b:c")]), of(&[(1, b"a:b"), (1, b"c")]));
        assert_ne!(of(&[(1, b"ab")]), of(&[(1, b"a"), (1, b"b")]));
        assert_ne!(of(&[(1, b"a")]), of(&[(2, b"a")]));
    }

    /// R02
    #[test]
    fn addresses_are_grouped_as_clients_have_them() {
        assert_eq!(client("2001:db8:1:2::1"), client("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(client("2001:db8:1:2::1"), client("2001:db8:1:3::1"));
        assert_eq!(client("::ffff:192.0.2.7"), client("192.0.2.7"));
        assert_ne!(client("192.0.2.7"), client("192.0.2.8"));
    }

    /// What nodes share and what outlives a restart must not change with a build.
    #[test]
    fn a_rule_has_the_same_number_for_ever() {
        assert_eq!(RuleId::of("per-user").as_u64(), 0x0193_ad4b_a1d6_72ab);
    }

    #[test]
    fn the_key_is_not_shown() {
        assert_eq!(format!("{:?}", SubjectKey::from_bytes([7; 16])), "SubjectKey(..)");
    }
}
