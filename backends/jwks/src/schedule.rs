//! When to fetch again: arithmetic only.

use std::time::Duration;

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL};

/// An issuer that wants to be asked more often than this is asked so often.
const SHORTEST: Duration = Duration::from_secs(30);

/// The first rest after a failure; each further one is twice as long.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// The longest rest after a failure.
const LAST_RETRY: Duration = Duration::from_secs(60);

/// How long the issuer says that its answer is fresh: `max-age` less `Age` (RFC 9111, section 4.2). None where it says nothing
/// that we follow.
pub(crate) fn freshness(headers: &HeaderMap) -> Option<Duration> {
    let directives = headers.get_all(CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok());
    let max_age = directives.flat_map(|line| line.split(',')).find_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        let value = value.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("max-age").then(|| value.parse::<u64>().ok())?
    })?;
    let age = headers.get(AGE).and_then(|age| age.to_str().ok()?.trim().parse::<u64>().ok()).unwrap_or(0);
    Some(Duration::from_secs(max_age.saturating_sub(age)))
}

/// How long to rest after a good fetch. `random` is from 0 to 1; up to a tenth is taken off by it.
pub(crate) fn after_success(period: Duration, freshness: Option<Duration>, random: f64) -> Duration {
    let rest = freshness.map_or(period, |fresh| fresh.clamp(SHORTEST.min(period), period));
    rest.mul_f64(1.0 - random.clamp(0.0, 1.0) / 10.0)
}

/// How long to rest after `failures` in a row, of which there is one at least. Up to a half is taken off by `random`.
pub(crate) fn after_failure(period: Duration, failures: u32, random: f64) -> Duration {
    let doubled = FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(LAST_RETRY).min(period.max(FIRST_RETRY)).mul_f64(1.0 - random.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(lines: &[(&'static str, &'static str)]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.try_append(*name, value.parse().unwrap()).unwrap();
        }
        freshness(&headers).map(|fresh| fresh.as_secs())
    }

    #[test]
    fn the_issuer_says_how_long() {
        assert_eq!(fresh(&[]), None);
        assert_eq!(fresh(&[("cache-control", "public, Max-Age=600")]), Some(600));
        assert_eq!(fresh(&[("cache-control", "public"), ("cache-control", "max-age=\"60\"")]), Some(60));
        assert_eq!(fresh(&[("cache-control", "max-age=600"), ("age", "500")]), Some(100));
        assert_eq!(fresh(&[("cache-control", "max-age=600"), ("age", "900")]), Some(0));
        for nonsense in [
            "no-store",
            "max-age",
            "max-age=",
            "max-age=-1",
            "max-age=soon",
            "s-maxage=5",
            "max-age=99999999999999999999",
        ] {
            assert_eq!(fresh(&[("cache-control", nonsense)]), None, "{nonsense}");
        }
    }

    #[test]
    fn a_rest_is_the_period_or_a_shorter_freshness() {
        const PERIOD: Duration = Duration::from_secs(600);
        let rest =
            |fresh: Option<u64>, random| after_success(PERIOD, fresh.map(Duration::from_secs), random).as_secs_f64();
        assert_eq!(rest(None, 0.0), 600.0);
        assert_eq!(rest(None, 1.0), 540.0);
        assert_eq!(rest(Some(120), 0.0), 120.0);
        assert_eq!(rest(Some(86_400), 0.0), 600.0);
        assert_eq!(rest(Some(0), 0.0), 30.0);
        assert_eq!(after_success(Duration::from_secs(5), Some(Duration::ZERO), 0.0).as_secs(), 5);
    }

    #[test]
    fn retries_come_later_and_later() {
        const PERIOD: Duration = Duration::from_secs(600);
        let rests: Vec<_> = (1..=9).map(|failures| after_failure(PERIOD, failures, 0.0).as_secs()).collect();
        assert_eq!(rests, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(after_failure(PERIOD, u32::MAX, 1.0).as_secs(), 30);
        assert_eq!(after_failure(Duration::from_secs(5), 9, 0.0).as_secs(), 5);
    }
}
