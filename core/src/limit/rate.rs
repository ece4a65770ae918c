//! `100/min`: how many in which period, as an operator writes it.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use super::quota::{MAX_PERIOD, MIN_PERIOD};

/// The most that a rate may count in a period.
pub const MAX_COUNT: u32 = 1_000_000_000;

/// How many in which period: `100/s`, `100/min`, `1000/h`, `5000/day`, `100/90s`.
///
/// ```
/// use portcullis_core::limit::Rate;
/// use std::time::Duration;
///
/// let rate: Rate = "100/1m30s".parse()?;
/// assert_eq!((rate.count.get(), rate.period), (100, Duration::from_secs(90)));
/// assert_eq!("5000/day".parse::<Rate>()?.to_string(), "5000/day");
/// assert!("100 per minute".parse::<Rate>().is_err());
/// # Ok::<(), portcullis_core::limit::RateError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many: 1 to [`MAX_COUNT`] when read from text.
    pub count: NonZeroU32,
    /// In which period: 1 ms to 366 days when read from text.
    pub period: Duration,
}

/// Why a text is not a rate; the message ends with what is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateError(String);

impl fmt::Display for RateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; accepted: COUNT/PERIOD, as in \"100/s\", \"100/min\", \"1000/h\", \"5000/day\" or \"100/1m30s\"",
            self.0
        )
    }
}

impl std::error::Error for RateError {}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let (count, period) = text.split_once('/').ok_or_else(|| RateError("a rate has a `/`".to_owned()))?;
        Ok(Self { count: parse_count(count)?, period: parse_period(period)? })
    }
}

/// As short as it can be written; what it says reads back as the same rate.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.count)?;
        match self.period.as_millis() {
            1_000 => f.write_str("s"),
            60_000 => f.write_str("min"),
            3_600_000 => f.write_str("h"),
            86_400_000 => f.write_str("day"),
            _ => f.write_str(&written(self.period)),
        }
    }
}

/// A period as a sum of days, hours, minutes, seconds and milliseconds: `1m30s`. Finer parts are left out.
pub(super) fn written(period: Duration) -> String {
    let mut rest = period.as_millis();
    let mut text = String::new();
    for (unit, millis) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        let whole = rest / millis;
        rest %= millis;
        if whole > 0 {
            text.push_str(&format!("{whole}{unit}"));
        }
    }
    text
}

fn parse_count(text: &str) -> Result<NonZeroU32, RateError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let count = digits.then(|| text.parse().ok()).flatten().filter(|count: &NonZeroU32| count.get() <= MAX_COUNT);
    count.ok_or_else(|| RateError(format!("`{text}` is not a count from 1 to {MAX_COUNT}")))
}

/// One unit (`min`), or a sum of NUMBER UNIT (`1m30s`).
fn parse_period(text: &str) -> Result<Duration, RateError> {
    let period = unit_millis(text).or_else(|| sum_millis(text)).map(Duration::from_millis).ok_or_else(|| {
        RateError(format!("`{text}` is not a period: a unit (ms, s, m, min, h, d, day) or a sum of numbers with units"))
    })?;
    if (MIN_PERIOD..=MAX_PERIOD).contains(&period) {
        Ok(period)
    } else {
        Err(RateError(format!("`{text}` is not a period from 1 ms to 366 days")))
    }
}

fn unit_millis(unit: &str) -> Option<u64> {
    Some(match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" | "day" => 86_400_000,
        _ => return None,
    })
}

fn sum_millis(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut sum = 0_u64;
    while !rest.is_empty() {
        let (number, after) = rest.split_at_checked(rest.find(|c: char| !c.is_ascii_digit())?)?;
        let (unit, after) = after.split_at_checked(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()))?;
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(unit_millis(unit)?)?)?;
        rest = after;
    }
    Some(sum).filter(|_| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_the_contract_lists_is_read() {
        for (text, count, millis) in [
            ("100/s", 100, 1_000),
            ("100/min", 100, 60_000),
            ("100/m", 100, 60_000),
            ("1000/h", 1_000, 3_600_000),
            ("5000/day", 5_000, 86_400_000),
            ("5000/7d", 5_000, 604_800_000),
            ("100/90s", 100, 90_000),
            ("100/1m30s", 100, 90_000),
            ("1/250ms", 1, 250),
            ("1000000000/366d", 1_000_000_000, 366 * 86_400_000),
        ] {
            let rate: Rate = text.parse().expect(text);
            assert_eq!((rate.count.get(), rate.period), (count, Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_rate_says_what_is() {
        for text in [
            "",
            "/",
            "100",
            "100/",
            "/s",
            "0/s",
            "-1/s",
            "+1/s",
            "1_000/s",
            "1.5/s",
            " 1/s",
            "1/ s",
            "1/S",
            "1/sec",
            "1/1",
            "1/0s",
            "1/367d",
            "1/1m30",
            "1/m30s",
            "1000000001/s",
            "99999999999999999999/s",
            "1/99999999999999999999d",
            "1/18446744073709551615d",
            "1/s/s",
            "1/µs",
            "１/s",
        ] {
            let error = text.parse::<Rate>().expect_err(text).to_string();
            assert!(error.contains("\"100/min\""), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = text.parse::<Rate>();
        }

        #[test]
        fn what_is_written_reads_back(count in 1..=MAX_COUNT, millis in 1_u64..=366 * 86_400_000) {
            let rate = Rate { count: NonZeroU32::new(count).unwrap(), period: Duration::from_millis(millis) };
            prop_assert_eq!(rate.to_string().parse::<Rate>(), Ok(rate));
        }
    }
}
