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

/// Who a request is counted as under one rule: 128 bits of SipHash-1-3 over (kind of source, verifier, value), each
/// length-prefixed, so that `a` + `b:c` never meets `a:b` + `c`. Sixteen bytes whatever the value's length.
///
/// The rule's number is mixed into the low half. So the same client is another subject under each rule, and all its subjects
/// have their high half in common, which says nothing about who it is; see [`tag`](Self::tag).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(u128);

impl Subject {
    /// The subject as a number, for a store's own key.
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// A byte that is the same for the same client under every rule, and spread evenly over clients.
    ///
    /// For stores that are cut into parts: what one request is charged for the same client goes to one part by it, and can be
    /// taken there in one step. 256 of them are enough to spread over the parts, and few enough to keep something for each.
    pub const fn tag(self) -> u8 {
        (self.0 >> 120) as u8
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
    pub(crate) fn new(key: &SubjectKey) -> Self {
        Self(SipHasher13::new_with_key(&key.0))
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

    /// Who that is under `rule`.
    pub(crate) fn finish(self, rule: RuleId) -> Subject {
        // Two subjects of one client differ as their rules do; two of different clients meet as seldom as the hash does.
        Subject(self.0.finish128().as_u128() ^ u128::from(rule.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parts: &[(u8, &[u8])]) -> Subject {
        under("rule", parts)
    }

    fn under(rule: &str, parts: &[(u8, &[u8])]) -> Subject {
        let mut hasher = SubjectHasher::new(&SubjectKey::from_bytes([7; 16]));
        parts.iter().for_each(|(kind, text)| hasher.text(*kind, text));
        hasher.finish(RuleId::of(rule))
    }

    fn client(address: &str) -> Subject {
        let mut hasher = SubjectHasher::new(&SubjectKey::from_bytes([7; 16]));
        hasher.address(2, address.parse().unwrap());
        hasher.finish(RuleId::of("rule"))
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

    #[test]
    fn one_client_is_another_subject_under_each_rule_and_has_one_tag() {
        let (one, other) = (under("one", &[(1, b"ann")]), under("other", &[(1, b"ann")]));
        assert_ne!(one, other);
        assert_eq!(one.as_u128() >> 64, other.as_u128() >> 64);
        assert_eq!(one.tag(), other.tag());
        // What the algorithms tell apart is not the tag, and what shares a bucket has one of its own.
        for algorithm in Algorithm::ALL {
            assert_eq!(one.counted_by(algorithm).tag(), one.tag());
        }
        assert_eq!(Subject::overflow(RuleId::of("one")).tag(), 0);
    }

    #[test]
    fn tags_are_spread_evenly_over_clients() {
        let mut seen = [0_u32; 256];
        for number in 0..256_u32 * 100 {
            seen[usize::from(of(&[(1, &number.to_le_bytes())]).tag())] += 1;
        }
        assert!(seen.iter().all(|seen| (50..160).contains(seen)), "{seen:?}");
    }

    /// What nodes share and what outlives a restart must not change with a build.
    #[test]
    fn a_subject_has_the_same_number_for_ever() {
        assert_eq!(client("192.0.2.7").as_u128(), 0x32d7_cff0_1249_b087_af59_6a15_6ec8_d158);
    }

    #[test]
    fn a_rule_has_the_same_number_for_ever() {
        assert_eq!(RuleId::of("per-user").as_u64(), 0x0193_ad4b_a1d6_72ab);
    }

    #[test]
    fn the_key_is_not_shown() {
        assert_eq!(format!("{:?}", SubjectKey::from_bytes([7; 16])), "SubjectKey(..)");
    }
}
