//! What the script is asked, and what it answers: packed, since a number that is written out is formatted here and read there.

use std::time::Duration;

use portcullis_core::limit::{Algorithm, Charge, Mode, Quota};

use crate::lease::Order;
use crate::standing::Told;

/// What runs on the server.
pub(crate) const SOURCE: &str = include_str!("script.lua");

/// Names the data that a node has counted in; 0 is none.
pub(crate) type Epoch = u64;

/// A server's time: seconds and nanoseconds, as the script packs it.
pub(crate) type ServerTime = [u8; 9];

/// How long a key outlives what it says, so that nothing is forgotten by rounding or while a clock is set.
const LONGER: Duration = Duration::from_secs(1);

const SHADOW: u8 = 4;
const ABOVE: u8 = 8;
const SPENDS: u8 = 16;
const BACK: u8 = 32;

const BILLION: u64 = 1_000_000_000;

/// What is asked of the script.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask {
    /// Takes the charges.
    Take,
    /// Gives back what a take at that time spent.
    Refund(ServerTime),
}

/// What the script said.
#[derive(Debug)]
pub(crate) struct Reply<'r> {
    /// The epoch of the data.
    pub(crate) epoch: Epoch,
    /// How it decided; none where the epoch is not the one that was named.
    pub(crate) decided: Option<Decided<'r>>,
}

/// How the script decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decided<'r> {
    /// When, by the server's clock.
    pub(crate) at: ServerTime,
    /// A record for each charge.
    records: &'r [[u8; RECORD]],
}

/// How one charge stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    /// Whether it was looked at: a shadow charge is not where an enforced one does not hold.
    pub(crate) judged: bool,
    pub(crate) holds: bool,
    /// Whether it was counted.
    pub(crate) spent: bool,
    pub(crate) told: Told,
}

const RECORD: usize = 25;

/// What `ask` is in the script's first argument: of a node that knows `known`, and offers another where there is none.
pub(crate) fn packed<'c>(
    ask: Ask,
    known: Epoch,
    offered: Epoch,
    charges: impl ExactSizeIterator<Item = &'c Charge>,
) -> Vec<u8> {
    let (what, asked) = match ask {
        Ask::Take => (0, ServerTime::default()),
        Ask::Refund(asked) => (1, asked),
    };
    let mut into = head(what, known, offered, &asked, 31 * charges.len());
    charges.for_each(|charge| pack(charge, &mut into));
    into
}

/// What begins the argument, with room for so many bytes after it.
fn head(what: u8, known: Epoch, offered: Epoch, asked: &ServerTime, room: usize) -> Vec<u8> {
    let mut into = Vec::with_capacity(26 + room);
    into.push(what);
    into.extend_from_slice(&known.to_be_bytes());
    into.extend_from_slice(&offered.to_be_bytes());
    into.extend_from_slice(asked);
    into
}

/// The same for orders of the banker.
pub(crate) fn packed_orders(known: Epoch, offered: Epoch, orders: &[Order]) -> Vec<u8> {
    let mut into = head(2, known, offered, &ServerTime::default(), 40 * orders.len());
    for order in orders {
        let (flags, count) = if order.back > 0 { (BACK, order.back) } else { (SPENDS, order.take) };
        // What one takes: how many there will be is found out there.
        pack_one(&order.charge.quota, flags, count, order.charge.quota.interval(), &mut into);
        into.extend_from_slice(&packed_time(order.at));
    }
    into
}

/// A time in nanoseconds as the script packs it.
fn packed_time(nanos: u64) -> ServerTime {
    let [.., a, b, c, d, e] = (nanos / BILLION).to_be_bytes();
    let [.., f, g, h, i] = (nanos % BILLION).to_be_bytes();
    [a, b, c, d, e, f, g, h, i]
}

/// A time in nanoseconds of what the script packed.
fn nanos(time: ServerTime) -> u64 {
    let [a, b, c, d, e, f, g, h, i] = time;
    let seconds = u64::from_be_bytes([0, 0, 0, a, b, c, d, e]);
    seconds.saturating_mul(BILLION).saturating_add(u32::from_be_bytes([f, g, h, i]).into())
}

/// What the script says of so many orders.
#[derive(Debug)]
pub(crate) struct Filled<'r> {
    /// The epoch of the data.
    pub(crate) epoch: Epoch,
    /// When that was, by the server's clock, in nanoseconds; and what was given. None where the epoch is not the one that was named.
    pub(crate) given: Option<(u64, &'r [[u8; RECORD + 4]])>,
}

impl<'r> Filled<'r> {
    /// Reads what the script says of so many orders; none where it is not that.
    pub(crate) fn read(reply: &'r [u8], orders: usize) -> Option<Self> {
        let (epoch, rest) = reply.split_first_chunk()?;
        let epoch = Epoch::from_be_bytes(*epoch);
        if rest.is_empty() {
            return Some(Self { epoch, given: None });
        }
        let (at, rest) = rest.split_first_chunk()?;
        let (records, more) = rest.as_chunks();
        (records.len() == orders && more.is_empty()).then_some(Self { epoch, given: Some((nanos(*at), records)) })
    }
}

/// How an order was filled: how much was given, and how the limit stands then.
pub(crate) fn filled(record: &[u8; RECORD + 4]) -> (u32, Record) {
    let (record, count) = record.split_first_chunk().unwrap_or((&[0; RECORD], &[]));
    (count.try_into().map(u32::from_be_bytes).unwrap_or_default(), Record::read(record))
}

fn pack(charge: &Charge, into: &mut Vec<u8>) {
    let (quota, cost) = (&charge.quota, charge.cost.max(1));
    let is_above = cost > quota.limit();
    // Within the time that a bucket fills in, unless it is above the limit, when nobody asks.
    let takes = if is_above { Duration::ZERO } else { quota.interval().saturating_mul(cost) };
    let flags = if charge.mode == Mode::Shadow { SHADOW } else { 0 }
        | if is_above { ABOVE } else { 0 }
        | if charge.cost > 0 { SPENDS } else { 0 };
    pack_one(quota, flags, cost, takes, into);
}

/// Packs what is asked under a quota: how much, and the time that a bucket takes for it.
fn pack_one(quota: &Quota, flags: u8, cost: u32, takes: Duration, into: &mut Vec<u8>) {
    // One that is not counted does not come here.
    into.push(number(quota.algorithm).unwrap_or_default() | flags);
    into.extend_from_slice(&quota.limit().to_be_bytes());
    into.extend_from_slice(&cost.to_be_bytes());
    // A bucket's period is the time in which it fills.
    for time in [quota.window(), takes] {
        // At most 36 years.
        into.extend_from_slice(&u32::try_from(time.as_secs()).unwrap_or(u32::MAX).to_be_bytes());
        into.extend_from_slice(&time.subsec_nanos().to_be_bytes());
    }
    let lives = (quota.whole_after() + LONGER).as_millis() + 1;
    let [_, _, lives @ ..] = u64::try_from(lives).unwrap_or(u64::MAX >> 16).to_be_bytes();
    into.extend_from_slice(&lives);
}

/// The algorithm's place in the script's list; none where the script does not count by it.
fn number(algorithm: Algorithm) -> Option<u8> {
    Some(match algorithm {
        Algorithm::TokenBucket => 0,
        Algorithm::FixedWindow => 1,
        Algorithm::SlidingWindow => 2,
        Algorithm::SlidingLog => 3,
        _ => return None,
    })
}

/// Whether the script counts by it.
pub(crate) fn counts(algorithm: Algorithm) -> bool {
    number(algorithm).is_some()
}

impl<'r> Reply<'r> {
    /// Reads what the script says of so many charges; none where it is not that.
    pub(crate) fn read(reply: &'r [u8], charges: usize) -> Option<Self> {
        let (epoch, rest) = reply.split_first_chunk()?;
        let epoch = Epoch::from_be_bytes(*epoch);
        if rest.is_empty() {
            return Some(Self { epoch, decided: None });
        }
        let (at, rest) = rest.split_first_chunk()?;
        let (records, more) = rest.as_chunks();
        let decided = Decided { at: *at, records };
        (records.len() == charges && more.is_empty()).then_some(Self { epoch, decided: Some(decided) })
    }
}

impl Decided<'_> {
    /// How the charges stand, in the order in which they were asked.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record> {
        self.records.iter().map(Record::read)
    }
}

impl Record {
    fn read(record: &[u8; RECORD]) -> Self {
        let (flags, numbers) = (record.first().copied().unwrap_or_default(), record.get(1..).unwrap_or_default());
        let mut numbers = numbers.as_chunks().0.iter().map(|number| u32::from_be_bytes(*number));
        let mut next = || numbers.next().unwrap_or_default();
        let (first, second) = (next(), next());
        let mut time = || Duration::from_secs(next().into()) + Duration::from_nanos(next().into());
        let told = Told { first, second, time: time(), other: time() };
        Self { judged: flags & 1 != 0, holds: flags & 2 != 0, spent: flags & 4 != 0, told }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_reply_is_none() {
        let whole = [0; 8 + 9 + RECORD];
        for length in 0..whole.len() {
            let reply = Reply::read(&whole[..length], 1);
            // An epoch alone is an answer: other data.
            assert_eq!(reply.is_some(), length == 8, "{length}");
        }
        assert!(Reply::read(&whole, 1).is_some_and(|reply| reply.decided.is_some()));
        assert!(Reply::read(&whole, 2).is_none());
        assert!(Reply::read(&[&whole[..], &[0]].concat(), 1).is_none());
    }
}
