//! RFC 9111, sections 4.2.4 and 5.2.1: what a stored answer is good for, as the client has it.

use super::*;

fn control(lines: &str) -> RequestControl {
    RequestControl::of(&controlled(lines))
}

#[test]
fn what_becomes_of_a_stored_answer() {
    use Reuse::{Fresh, Revalidate, Stale, WhileRevalidating};
    for (stored, asked, second, expected) in [
        ("max-age=60", "", 0, Fresh),
        ("max-age=60", "", 59, Fresh),
        ("max-age=60", "", 60, Revalidate),
        ("max-age=60 | age: 30", "", 29, Fresh),
        ("max-age=60 | age: 30", "", 30, Revalidate),
        // 5.2.2.4
        ("no-cache, max-age=60 | etag: \"a\"", "", 0, Revalidate),
        ("no-cache=\"x\", max-age=60 | etag: \"a\"", "", 0, Revalidate),
        ("no-cache, max-age=60 | etag: \"a\"", "max-stale", 0, Revalidate),
        // 5.2.1.4, 5.4
        ("max-age=60", "no-cache", 0, Revalidate),
        ("max-age=60", "pragma: no-cache", 0, Revalidate),
        ("max-age=60, immutable", "no-cache", 0, Revalidate),
        // 5.2.1.1
        ("max-age=60", "max-age=0", 0, Fresh),
        ("max-age=60", "max-age=0", 1, Revalidate),
        ("max-age=60", "max-age=10", 10, Fresh),
        ("max-age=60", "max-age=10", 11, Revalidate),
        ("max-age=60 | age: 5", "max-age=4", 0, Revalidate),
        ("max-age=60", "max-age=100", 60, Revalidate),
        ("max-age=60", "max-age=x", 1, Revalidate),
        // 5.2.1.3
        ("max-age=60", "min-fresh=10", 50, Fresh),
        ("max-age=60", "min-fresh=10", 51, Revalidate),
        ("max-age=60", "min-fresh=x", 0, Revalidate),
        ("max-age=60", "min-fresh=1, max-stale", 60, Revalidate),
        // 5.2.1.2
        ("max-age=60 | etag: \"a\"", "max-stale", 1000, Stale),
        ("max-age=60 | etag: \"a\"", "max-stale=10", 70, Stale),
        ("max-age=60 | etag: \"a\"", "max-stale=10", 71, Revalidate),
        ("max-age=60 | etag: \"a\"", "max-stale=0", 60, Stale),
        ("max-age=60 | etag: \"a\"", "max-stale=0", 61, Revalidate),
        ("max-age=60 | etag: \"a\"", "max-age=70, max-stale=100", 65, Stale),
        ("max-age=60 | etag: \"a\"", "max-age=70, max-stale=100", 71, Revalidate),
        ("max-age=60, must-revalidate | etag: \"a\"", "max-stale", 60, Revalidate),
        ("max-age=60, proxy-revalidate | etag: \"a\"", "max-stale", 60, Revalidate),
        ("s-maxage=60 | etag: \"a\"", "max-stale", 60, Revalidate),
        // RFC 5861, section 3
        ("max-age=60, stale-while-revalidate=30", "", 60, WhileRevalidating),
        ("max-age=60, stale-while-revalidate=30", "", 89, WhileRevalidating),
        ("max-age=60, stale-while-revalidate=30", "", 90, Revalidate),
        ("max-age=60, stale-while-revalidate=30", "no-cache", 60, Revalidate),
        ("max-age=60, stale-while-revalidate=30", "max-age=0", 60, Revalidate),
        ("max-age=60, stale-while-revalidate=30", "max-age=80", 70, WhileRevalidating),
        ("max-age=60, stale-while-revalidate=30", "min-fresh=1", 60, Revalidate),
        ("max-age=60, stale-while-revalidate=30", "max-stale=5", 70, WhileRevalidating),
        ("max-age=60, stale-while-revalidate=30, must-revalidate", "", 60, Revalidate),
        ("s-maxage=60, stale-while-revalidate=30", "", 60, Revalidate),
        // Directives of a request that say nothing of use
        ("max-age=60", "no-store", 0, Fresh),
        ("max-age=60", "only-if-cached", 0, Fresh),
        ("max-age=60", "foo, bar=1", 0, Fresh),
        ("max-age=60, stale-if-error=100", "", 60, Revalidate),
    ] {
        let got = reuse(&freshness(stored), &control(asked), at(second));
        assert_eq!(got, expected, "{stored} asked {asked:?} at {second}");
    }
}

/// RFC 5861, section 4, and RFC 9111, section 4.2.4.
#[test]
fn what_stands_in_for_a_failure() {
    for (stored, asked, second, expected) in [
        ("max-age=60, stale-if-error=30", "", 60, true),
        ("max-age=60, stale-if-error=30", "", 89, true),
        ("max-age=60, stale-if-error=30", "", 90, false),
        ("max-age=60, stale-if-error=0", "", 60, false),
        ("max-age=60 | etag: \"a\"", "", 60, false),
        // It was fresh, and only the client wanted it newer
        ("max-age=60", "max-age=0", 10, true),
        ("max-age=60", "no-cache", 10, false),
        ("max-age=60, stale-if-error=30", "no-cache", 70, false),
        ("max-age=60 | etag: \"a\"", "stale-if-error=30", 90, true),
        ("max-age=60 | etag: \"a\"", "stale-if-error=30", 91, false),
        ("max-age=60, must-revalidate, stale-if-error=30", "", 60, false),
        ("max-age=60, proxy-revalidate, stale-if-error=30", "", 60, false),
        ("s-maxage=60, stale-if-error=30", "", 60, false),
        ("max-age=60, must-revalidate | etag: \"a\"", "stale-if-error=30", 60, false),
        ("no-cache, stale-if-error=30 | etag: \"a\"", "", 0, false),
        ("cdn-cache-control: max-age=60, stale-if-error=30", "", 60, true),
    ] {
        let got = stands_in(&freshness(stored), &control(asked), at(second));
        assert_eq!(got, expected, "{stored} asked {asked:?} at {second}");
    }
    for status in 100..=999 {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(is_failure(status), [500, 502, 503, 504].contains(&status.as_u16()), "{status}");
    }
}
