//! RFC 9111, sections 4.2.3 and 5.1: age.

use super::*;

#[test]
fn how_old_an_answer_is() {
    const MOST: u32 = MAX_SECONDS;
    for (lines, delay, age) in [
        ("", 0, 0),
        ("age: 10", 0, 10),
        // The request was under way: it may have been that much older (4.2.3)
        ("", 7, 7),
        ("age: 10", 7, 17),
        // By its date
        ("date: Tue, 24 Nov 2026 11:59:00 GMT", 0, 60),
        ("date: Tue, 24 Nov 2026 11:59:00 GMT | age: 10", 0, 60),
        ("date: Tue, 24 Nov 2026 11:59:00 GMT | age: 90", 0, 90),
        ("date: Tue, 24 Nov 2026 11:59:00 GMT | age: 55", 7, 62),
        ("date: Tuesday, 24-Nov-26 11:59:00 GMT", 0, 60),
        ("date: Tue Nov 24 11:59:00 2026", 0, 60),
        // A clock that is ahead, and what is no date
        ("date: Tue, 24 Nov 2026 13:00:00 GMT", 0, 0),
        ("date: Tue, 24 Nov 2026 13:00:00 GMT | age: 3", 0, 3),
        ("date: Fri, 31 Dec 9999 23:59:59 GMT", 0, 0),
        ("date: x", 0, 0),
        ("date: ", 0, 0),
        ("date: Tue, 24 Nov 2026 11:59:00 GMT | date: Tue, 24 Nov 2026 11:58:00 GMT", 0, 0),
        ("date: Thu, 01 Jan 1970 00:00:00 GMT", 0, 1_795_521_600),
        // 5.1: the first of several; what is no number is ignored
        ("age: 10, 20", 0, 10),
        ("age: 20, 10", 0, 20),
        ("age: 10 | age: 20", 0, 10),
        ("age: 20 | age: 10", 0, 20),
        ("age: 10, x", 0, 10),
        ("age: x, 10", 0, 0),
        ("age: -10", 0, 0),
        ("age: +10", 0, 0),
        ("age: 1.5", 0, 0),
        ("age: 10s", 0, 0),
        ("age: \"10\"", 0, 0),
        ("age: 0x10", 0, 0),
        ("age: 10;foo=bar", 0, 0),
        ("age: ", 0, 0),
        ("age: , 10", 0, 10),
        ("age: 0010", 0, 10),
        // 1.2.2
        ("age: 2147483647", 0, MOST - 1),
        ("age: 2147483648", 0, MOST),
        ("age: 2147483649", 0, MOST),
        ("age: 2147483648", 10, MOST),
        ("age: 99999999999999999999999", 0, MOST),
        ("age: 99999999999999999999999", 10, MOST),
    ] {
        let headers = controlled(&format!("max-age=1, stale-if-error=2147483648 | {lines} | etag: \"a\""));
        let asked = Moment::from_nanos(RECEIVED.as_nanos() - delay * 1_000_000_000);
        let answered = Answered { asked, ..answer(200, &headers) };
        let freshness = storable(&CacheRule::on(), &nobody(), &answered, &|_| false).unwrap().freshness;
        assert_eq!(freshness.age(RECEIVED), age, "{lines}");
        assert_eq!(freshness.age(at(100)), age.saturating_add(100).min(MOST), "{lines}");
        assert_eq!(freshness.ttl(RECEIVED), 1 - i64::from(age), "{lines}");
    }
}

#[test]
fn a_fresh_answer_becomes_stale_at_its_lifetime() {
    let fresh = freshness("max-age=60 | age: 20");
    assert!(fresh.is_fresh(at(0)) && fresh.is_fresh(at(39)) && !fresh.is_fresh(at(40)));
    assert_eq!((fresh.age(at(39)), fresh.ttl(at(39)), fresh.ttl(at(40)), fresh.ttl(at(70))), (59, 1, 0, -30));
    let nearly = RECEIVED + Duration::from_nanos(39_999_999_999);
    assert!(fresh.is_fresh(nearly) && fresh.age(nearly) == 59);
    // Before it came, which a clock never says, it is as fresh as it was.
    assert_eq!(fresh.age(Moment::default()), 20);
    // Without a validator nothing could be done with it afterwards.
    assert_eq!((fresh.kept_until(), fresh.received(), fresh.lifetime()), (at(40), RECEIVED, 60));
    assert_eq!(freshness("max-age=60 | age: 20 | etag: \"a\"").kept_until(), at(40) + KEPT_FOR_VALIDATION);
    assert_eq!(freshness("max-age=60, stale-if-error=100, stale-while-revalidate=50").kept_until(), at(160));
    assert_eq!(freshness("no-cache, max-age=60 | etag: \"a\"").kept_until(), RECEIVED + KEPT_FOR_VALIDATION);
    assert_eq!(freshness("max-age=60, must-revalidate, stale-if-error=100").kept_until(), at(60));
}

#[test]
fn no_cache_is_never_fresh() {
    let asked = freshness("no-cache, max-age=60, stale-while-revalidate=60, stale-if-error=60 | etag: \"a\"");
    for second in [0, 1, 59, 60, 100] {
        let now = at(second);
        assert!(!asked.is_fresh(now) && !asked.serves_while_revalidating(now) && !asked.serves_on_error(now));
    }
    assert!(!asked.may_be_stale());
}

#[test]
fn a_soft_purge_makes_it_stale_and_no_younger() {
    let fresh = freshness("max-age=60, stale-while-revalidate=30, stale-if-error=100");
    let purged = fresh.made_stale(at(10));
    assert!(!purged.is_fresh(at(10)) && purged.is_fresh(at(9)));
    assert!(purged.serves_while_revalidating(at(89)) && !purged.serves_while_revalidating(at(90)));
    assert!(purged.serves_on_error(at(159)) && !purged.serves_on_error(at(160)));
    assert_eq!((purged.ttl(at(10)), purged.ttl(at(15)), purged.age(at(15))), (0, -5, 15));
    // What is stale already stays as stale as it was.
    assert_eq!(fresh.made_stale(at(70)).ttl(at(70)), -10);
    assert_eq!(freshness("no-cache | etag: \"a\"").made_stale(at(1)).kept_until(), RECEIVED + KEPT_FOR_VALIDATION);
}
