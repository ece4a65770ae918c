//! What is called what on the server.

use portcullis_core::limit::{Algorithm, Charge};

const DIGITS: [u8; 16] = *b"0123456789abcdef";

/// The names of everything under one prefix.
///
/// - `PREFIX:{TAG}:SUBJECT` and a letter for the algorithm: what a subject has spent; `TAG` and `SUBJECT` are hexadecimal digits.
/// - `PREFIX:epoch`, in a cluster `PREFIX:{TAG}:epoch`: names the data.
/// - `PREFIX:key`: what subjects are hashed under.
/// - `PREFIX:nodes`: who counts here.
/// - `PREFIX:news`: what nodes tell each other.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    prefix: Box<[u8]>,
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.as_bytes().into() }
    }

    /// Where a charge is counted. The part in braces is what a cluster places a key by: all that is charged to one client in
    /// a request is in one place.
    pub(crate) fn charge(&self, charge: &Charge) -> Vec<u8> {
        let mut key = self.tagged(charge.subject.tag(), 33);
        for byte in charge.subject.as_u128().to_be_bytes() {
            key.extend(hex(byte));
        }
        key.push(match charge.quota.algorithm {
            Algorithm::FixedWindow => b'f',
            Algorithm::SlidingLog => b'l',
            Algorithm::SlidingWindow => b's',
            _ => b'b',
        });
        key
    }

    /// The epoch of all data on one server.
    pub(crate) fn epoch(&self) -> Vec<u8> {
        self.named(b"epoch")
    }

    /// The epoch of what has this tag, in a cluster.
    pub(crate) fn epoch_of(&self, tag: u8) -> Vec<u8> {
        let mut key = self.tagged(tag, 5);
        key.extend_from_slice(b"epoch");
        key
    }

    pub(crate) fn subjects(&self) -> Vec<u8> {
        self.named(b"key")
    }

    pub(crate) fn nodes(&self) -> Vec<u8> {
        self.named(b"nodes")
    }

    pub(crate) fn news(&self) -> Vec<u8> {
        self.named(b"news")
    }

    fn named(&self, name: &[u8]) -> Vec<u8> {
        [&*self.prefix, b":", name].concat()
    }

    fn tagged(&self, tag: u8, more: usize) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.prefix.len() + 6 + more);
        key.extend_from_slice(&self.prefix);
        key.extend_from_slice(b":{");
        key.extend(hex(tag));
        key.extend_from_slice(b"}:");
        key
    }
}

fn hex(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 15].map(|digit| DIGITS.get(usize::from(digit)).copied().unwrap_or(b'0'))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portcullis_core::limit::{MAX_PERIOD, Mode, Quota};
    use portcullis_core::subject::{RuleId, Subject};

    use super::*;

    #[test]
    fn a_key_says_who_and_counted_how() {
        let quota = Quota {
            count: 1.try_into().unwrap(),
            period: MAX_PERIOD.min(Duration::from_secs(1)),
            burst: 1.try_into().unwrap(),
            algorithm: Algorithm::FixedWindow,
        };
        let rule = RuleId::of("per-user");
        let charge =
            Charge { rule, subject: Subject::overflow(rule), quota, cost: 1, mode: Mode::Enforce, overshoot: 0 };
        let keys = Keys::new("shop");
        let text = |key: Vec<u8>| String::from_utf8(key).unwrap();
        assert_eq!(text(keys.charge(&charge)), "shop:{00}:00000000000000000193ad4ba1d672abf");
        assert_eq!(text(keys.epoch()), "shop:epoch");
        assert_eq!(text(keys.epoch_of(0xa7)), "shop:{a7}:epoch");
        assert_eq!([text(keys.subjects()), text(keys.nodes())], ["shop:key", "shop:nodes"]);
    }
}
