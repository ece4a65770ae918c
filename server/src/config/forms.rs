//! The forms of values that repeat everywhere: durations and sizes. (A rate is `portcullis_core::limit::Rate`.)

use std::time::Duration;

/// What a duration looks like.
pub(crate) const DURATION: &str = "a duration such as \"250ms\", \"5s\", \"1m30s\", \"2h\" or \"7d\"";

/// What a size looks like.
pub(crate) const SIZE: &str = "a size such as \"64KiB\" or \"10MiB\"";

/// The longest duration: longer ones are mistakes, and adding them to a time must never overflow.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// The largest size: nothing that a gateway holds or counts is larger.
const LARGEST: u64 = 1 << 50;

/// Reads "250ms", "1m30s", "7d": whole numbers with the units ms, s, m (or min), h, d, at most 366 days.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    // humantime reads more than we accept: "5M" as five months is a trap beside "5m".
    let units = text.split(|char: char| char.is_ascii_digit()).filter(|unit| !unit.is_empty());
    for unit in units {
        if !matches!(unit, "ms" | "s" | "m" | "min" | "h" | "d") {
            return Err(format!("`{}` is not a unit of time; units are ms, s, m, h and d", unit.trim()));
        }
    }
    let accepted = || format!("write {DURATION}");
    // It also reads a bare zero, and spaces.
    let is_plain = text.ends_with(|char: char| char.is_ascii_alphabetic());
    let duration = humantime::parse_duration(text).ok().filter(|_| is_plain).ok_or_else(accepted)?;
    if duration > LONGEST { Err("the longest duration is 366d".to_owned()) } else { Ok(duration) }
}

/// Reads "64KiB", "10MiB", "1GB" (1000-based), "512B".
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let unit = text.trim_start_matches(|char: char| char.is_ascii_digit() || char == '.').trim_start();
    if !matches!(unit, "B" | "kB" | "KB" | "KiB" | "MB" | "MiB" | "GB" | "GiB" | "TB" | "TiB") {
        return Err("a size needs a unit: B, KiB, MiB or GiB (1024-based), or kB, MB or GB (1000-based)".to_owned());
    }
    let size = text.parse::<bytesize::ByteSize>().map_err(|_| "this is not a number with a unit".to_owned())?.as_u64();
    if size > LARGEST { Err("the largest size is 1024TiB".to_owned()) } else { Ok(size) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        for bad in ["", "5", "5M", "s", "-1s", "1.5x", "5 parsecs", "999999999999999999999s", "400d", "5mo", "1y"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("1kB"), Ok(1_000));
        assert_eq!(size("1.5MiB"), Ok(1_572_864));
        for bad in ["", "5", "5M", "MiB", "-1KiB", "5 pounds", "99999999TiB", ".KiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
