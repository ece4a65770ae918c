//! Arithmetic that holds for any answer: no age below zero, none that goes back, nothing that overflows.

use proptest::prelude::*;

use super::*;

fn seconds() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..200, Just(1 << 31), Just((1 << 31) - 1), Just(u64::from(u32::MAX)), Just(u64::MAX), any::<u64>()]
}

fn number(name: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        seconds().prop_map(move |secs| format!("{name}={secs}, ")),
        Just(format!("{name}=x, "))
    ]
}

prop_compose! {
    fn lines()(
        max in number("max-age"), shared in number("s-maxage"), behind in number("stale-while-revalidate"),
        on_error in number("stale-if-error"), flag in prop_oneof![Just(""), Just("must-revalidate"), Just("no-cache"), Just("public")],
        age in prop::option::of(seconds()), tag: bool, date in prop::option::of(0_u64..4_000_000_000),
    ) -> HeaderMap {
        let mut headers = fields(&[&format!("cache-control: {max}{shared}{behind}{on_error}{flag}")]);
        let mut add = |name: &'static str, text: String| headers.try_append(name, text.parse::<HeaderValue>().unwrap()).map(drop).unwrap();
        if let Some(age) = age {
            add("age", age.to_string());
        }
        if tag {
            add("etag", "\"a\"".to_owned());
        }
        if let Some(date) = date {
            add("date", httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(date)));
        }
        headers
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn time_only_makes_older(
        headers in lines(), asked: u64, received: u64, wall in seconds(), rule_secs in seconds(),
        mut times in prop::collection::vec(any::<u64>(), 2..12),
    ) {
        let route = Some(Duration::from_secs(rule_secs));
        let rule = CacheRule { ttl: route, stale_if_error: route, stale_while_revalidate: route, ..CacheRule::on() };
        let answer = Answered {
            status: StatusCode::OK,
            headers: &headers,
            asked: Moment::from_nanos(asked),
            received: Moment::from_nanos(received),
            wall: UnixTime::from_secs(wall),
        };
        let Ok(Storable { freshness, .. }) = storable(&rule, &nobody(), &answer, &|_| false) else { return Ok(()) };
        times.push(received);
        times.sort_unstable();
        let mut before: Option<(u32, i64, [bool; 3])> = None;
        for time in times {
            let now = Moment::from_nanos(time);
            let state = [freshness.is_fresh(now), freshness.serves_while_revalidating(now), freshness.serves_on_error(now)];
            let (age, ttl) = (freshness.age(now), freshness.ttl(now));
            prop_assert!(age <= MAX_SECONDS);
            prop_assert_eq!(ttl, i64::from(freshness.lifetime()) - i64::from(age));
            if time >= received {
                // Fresh says the same as the age does, but for what the end of time cuts off.
                prop_assert!(!freshness.is_fresh(now) || ttl > 0 || age == MAX_SECONDS);
                if let Some((older, _, could)) = before {
                    prop_assert!(age >= older);
                    prop_assert!((0..3).all(|at| could[at] || !state[at]), "{:?} {:?}", could, state);
                }
                before = Some((age, ttl, state));
            }
            // Who asks for less staleness than nothing gets none, whatever is allowed.
            let strict = RequestControl { no_cache: true, ..RequestControl::default() };
            prop_assert_eq!(reuse(&freshness, &strict, now), Reuse::Revalidate);
            prop_assert!(!stands_in(&freshness, &strict, now));
            let plain = reuse(&freshness, &RequestControl::default(), now);
            prop_assert_eq!(plain == Reuse::Fresh, freshness.is_fresh(now));
            if now >= freshness.kept_until() {
                prop_assert!(plain == Reuse::Revalidate && !freshness.serves_on_error(now));
            }
            let purged = freshness.made_stale(now);
            prop_assert!(!purged.is_fresh(now) && purged.age(now) == age && purged.ttl(now) <= 0);
        }
    }

    /// What a must-revalidate, an s-maxage or a no-cache forbids, no window and no client allows.
    #[test]
    fn nothing_stale_where_it_is_forbidden(headers in lines(), later in 0_u64..10_000_000_000_000_000_000) {
        let control = ResponseControl::of(&headers);
        let route = Some(Duration::from_secs(1 << 40));
        let rule = CacheRule { stale_if_error: route, stale_while_revalidate: route, ..CacheRule::on() };
        let Ok(Storable { freshness, .. }) = storable(&rule, &nobody(), &answer(200, &headers), &|_| false) else { return Ok(()) };
        let now = Moment::from_nanos(later);
        if control.forbids_stale() && !freshness.is_fresh(now) {
            for lines in ["", "max-stale", "stale-if-error=2147483648", "max-stale, stale-if-error=9999"] {
                let asked = RequestControl::of(&controlled(lines));
                prop_assert_eq!(reuse(&freshness, &asked, now), Reuse::Revalidate);
                prop_assert!(!stands_in(&freshness, &asked, now));
            }
        }
    }
}
