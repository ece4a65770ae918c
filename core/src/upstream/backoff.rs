//! How long to wait before a request is sent again.

use std::time::Duration;

use crate::time::nanos;

/// The longest pause is so many times the base.
const LONGEST: u32 = 10;

/// How long to wait before retry number `retry` (0 is the first): a random time from zero to below `base`, doubled with
/// each retry, at most ten times `base`.
///
/// The whole pause is drawn, not only a part of it ("full jitter": Exponential Backoff And Jitter, AWS Architecture
/// Blog, 2015), so that those who failed together do not come back together; that also made the fewest requests of the
/// ways compared there. The bound of ten times is Envoy's. `random` is fresh randomness, all 64 bits of it.
///
/// ```
/// use std::time::Duration;
/// use portcullis_core::upstream::backoff;
///
/// let base = Duration::from_millis(25);
/// assert_eq!(backoff(base, 0, 0), Duration::ZERO);
/// assert_eq!(backoff(base, 0, u64::MAX / 2).as_millis(), 12);
/// assert_eq!(backoff(base, 2, u64::MAX / 2).as_millis(), 49); // half of 100, nearly
/// assert!(backoff(base, u32::MAX, u64::MAX) <= Duration::from_millis(250));
/// ```
pub fn backoff(base: Duration, retry: u32, random: u64) -> Duration {
    let times = 2_u32.checked_pow(retry).map_or(LONGEST, |times| times.min(LONGEST));
    let longest = nanos(base.saturating_mul(times));
    // The upper half of the product is below `longest`: a fraction of it, drawn evenly.
    Duration::from_nanos(((u128::from(longest) * u128::from(random)) >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn doubles_up_to_ten_times() {
        let longest = |retry| backoff(Duration::from_secs(1), retry, u64::MAX).as_millis() + 1;
        assert_eq!(
            [0, 1, 2, 3, 4, 31, 32, u32::MAX].map(longest),
            [1000, 2000, 4000, 8000, 10_000, 10_000, 10_000, 10_000]
        );
    }

    proptest! {
        #[test]
        fn stays_within_its_bound(base in any::<Duration>(), retry in any::<u32>(), random in any::<u64>()) {
            prop_assert!(backoff(base, retry, random) <= base.saturating_mul(10));
            prop_assert!(backoff(base, 0, random) <= base);
            prop_assert_eq!(backoff(base, retry, 0), Duration::ZERO);
        }
    }
}
