//! Times as text.

use std::fmt::Write as _;

use jiff::Timestamp;
use portcullis_core::time::{Clock, Moment};

use super::values::push_fraction;

/// Writes moments as RFC 3339 has them, in UTC with milliseconds; the text of a second is made once and kept.
#[derive(Debug, Default)]
pub(super) struct Stamp {
    second: u64,
    /// `2026-11-24T04:51:07`
    text: String,
}

const NANOS: u64 = 1_000_000_000;

impl Stamp {
    /// Appends `at`, as in `2026-11-24T04:51:07.042Z`.
    pub(super) fn push(&mut self, out: &mut Vec<u8>, at: Moment, clock: &Clock) {
        let (second, millis) = (at.as_nanos() / NANOS, at.as_nanos() % NANOS / 1_000_000);
        if second != self.second || self.text.is_empty() {
            self.second = second;
            self.text.clear();
            let second = wall(second, clock.unix().as_secs(), clock.now().as_nanos() / NANOS);
            let timestamp = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
            // Writing to a string does not fail.
            let _ = write!(self.text, "{timestamp}");
            self.text.truncate("2026-11-24T04:51:07".len());
        }
        out.extend_from_slice(self.text.as_bytes());
        push_fraction(out, millis);
        out.push(b'Z');
    }
}

/// The second as the wall clock has it, which says `unix` when the moments say `moment`: they part when the machine sleeps
/// or somebody sets the clock.
fn wall(second: u64, unix: u64, moment: u64) -> i64 {
    let ahead = unix.cast_signed().saturating_sub(moment.cast_signed());
    // One second is what whole seconds cannot tell.
    let ahead = if (-1..=1).contains(&ahead) { 0 } else { ahead };
    second.cast_signed().saturating_add(ahead).max(0)
}

#[cfg(test)]
mod tests {
    use portcullis_core::time::UnixTime;

    use super::*;

    fn stamps(times: &[u64]) -> Vec<String> {
        let (clock, _) = Clock::manual(UnixTime::from_secs(0));
        let mut stamp = Stamp::default();
        let text = |millis: &u64| {
            let mut out = Vec::new();
            stamp.push(&mut out, Moment::from_nanos(millis * 1_000_000), &clock);
            String::from_utf8(out).unwrap()
        };
        times.iter().map(text).collect()
    }

    #[test]
    fn is_rfc_3339() {
        assert_eq!(
            stamps(&[0, 999, 951_782_400_007, 951_782_399_999, 1_795_495_867_042]),
            [
                "1970-01-01T00:00:00.000Z",
                "1970-01-01T00:00:00.999Z",
                "2000-02-29T00:00:00.007Z",
                "2000-02-28T23:59:59.999Z",
                "2026-11-24T04:51:07.042Z"
            ]
        );
    }

    #[test]
    fn the_end_of_time_is_a_time_too() {
        let (clock, _) = Clock::manual(UnixTime::from_secs(0));
        let mut out = Vec::new();
        Stamp::default().push(&mut out, Moment::from_nanos(u64::MAX), &clock);
        assert_eq!(out, b"2554-07-21T23:34:33.709Z");
    }

    #[test]
    fn follows_the_wall_clock_when_the_two_part() {
        assert_eq!(wall(1000, 1000, 1000), 1000);
        assert_eq!(wall(1000, 1001, 1000), 1000, "the two read one after the other");
        assert_eq!(wall(1000, 4600, 1000), 4600, "an hour asleep");
        assert_eq!(wall(1000, 400, 1000), 400, "set back");
        assert_eq!(wall(10, 0, 1000), 0, "never before the epoch");
    }
}
