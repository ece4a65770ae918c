use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Version};
use portcullis_core::caching::{self, Ask, storable};
use portcullis_core::plan::CacheRule;
use portcullis_core::route::Params;
use portcullis_core::source::Facts;
use portcullis_core::time::{ManualClock, UnixTime};

use super::super::head::Source;
use super::super::purge::Purged;
use super::super::stored::{Head, Stored};
use super::*;
use crate::observe::RouteSeries;

const MIB: usize = 1024 * 1024;

struct Bench {
    clock: Clock,
    hand: ManualClock,
    route: Arc<RouteSeries>,
    store: Store,
}

impl Bench {
    fn new(size: usize) -> Self {
        let (clock, hand) = Clock::manual(UnixTime::from_secs(1_790_000_000));
        let metrics = Arc::new(Metrics::new(&clock));
        let (route, store) = (metrics.route("all"), Store::new(size as u64, clock.clone(), metrics));
        Self { clock, hand, route, store }
    }

    fn head(&self, lines: &[(&'static str, &str)], request: &HeaderMap, began: u64) -> Head {
        let fields = HeaderMap::from_iter(
            lines.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())),
        );
        let now = self.clock.now();
        let facts = Facts {
            client: None,
            headers: request,
            host: "",
            identity: None,
            method: &Method::GET,
            params: Params::EMPTY,
            path: "/",
            query: None,
        };
        let rule = CacheRule::on();
        let ask = Ask::of(&rule, &facts, false).unwrap();
        let wall = self.clock.unix();
        let came = caching::Answered { status: StatusCode::OK, headers: &fields, asked: now, received: now, wall };
        let may_be = storable(&rule, &ask, &came, &|_| false).unwrap();
        let mut selected = Vec::new();
        may_be.vary.write(request, &mut selected);
        let url = "http://shop.test:80/";
        let origin = Origin { began, slot: self.store.slot(url.as_bytes()), tags: Box::default(), url: url.into() };
        let source = Source { length: None, status: StatusCode::OK, version: Version::HTTP_11 };
        let route = Arc::clone(&self.route);
        Head::new(fields, &Default::default(), may_be, (selected.into(), origin, route), source)
    }

    /// Stores so many bytes under a key, by a request with these fields.
    fn put_for(&self, key: &str, size: usize, lines: &[(&'static str, &str)], request: &HeaderMap) -> bool {
        let head = self.head(lines, request, self.store.last());
        let Some(claim) = self.store.budget().claim((head.weight() + size) as u64) else { return false };
        let body = Bytes::from(vec![0; size]);
        let stored = Stored { body, _claim: claim, head: Arc::new(head), is_softened: AtomicBool::new(false) };
        self.store.put(key.as_bytes(), &Arc::new(stored))
    }

    fn put(&self, key: &str, size: usize) -> bool {
        self.put_for(key, size, &[("cache-control", "max-age=60")], &HeaderMap::new())
    }

    fn has_for(&self, key: &str, request: &HeaderMap) -> bool {
        self.store.find(key.as_bytes(), request, &mut Vec::new()).0.is_some()
    }

    fn has(&self, key: &str) -> bool {
        self.has_for(key, &HeaderMap::new())
    }
}

fn language(value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(http::header::ACCEPT_LANGUAGE, HeaderValue::from_static(value))])
}

/// C15: a scan of ten times its size never takes it over its bound, and what is asked for often stays.
#[test]
fn a_scan_neither_outgrows_nor_flushes_it() {
    let bench = Bench::new(8 * MIB);
    let (mut most, mut held, mut missed) = (0, 0, 0);
    for cold in 0..8000 {
        if cold % 50 == 0 {
            for hot in 0..20 {
                let key = format!("hot {hot}");
                if !bench.has(&key) {
                    missed += usize::from(cold > 4000);
                    bench.put(&key, 50 * 1024);
                }
            }
        }
        bench.store.relieve();
        held += usize::from(bench.put(&format!("cold {cold}"), 10 * 1024));
        most = most.max(bench.store.budget().used());
    }
    assert!(held > 7900, "{held} were stored");
    assert!(most <= (8 * MIB + 8 * MIB / 10) as u64, "{most} bytes");
    bench.store.run_pending();
    assert!(bench.store.weight() <= 8 * MIB as u64, "{}", bench.store.weight());
    assert!(missed < 80, "{missed} of 1600 that are asked for often");
}

#[test]
fn variants_are_found_by_what_they_were_chosen_by() {
    let bench = Bench::new(8 * MIB);
    let lines = [("cache-control", "max-age=60"), ("vary", "accept-language")];
    for language in [language("de"), language("en"), HeaderMap::new()] {
        assert!(!bench.has_for("key", &language));
        bench.put_for("key", 1, &lines, &language);
        assert!(bench.has_for("key", &language));
    }
    assert!(bench.has_for("key", &language("de")) && !bench.has_for("key", &language("fr")));
    for number in 0..MAX_VARIANTS + 5 {
        bench.put_for("key", 1, &lines, &language(Box::leak(format!("x{number}").into())));
    }
    let entry = bench.store.entries.get(&b"key"[..]).unwrap();
    assert_eq!(entry.len(), MAX_VARIANTS);
    bench.hand.advance(Duration::from_secs(61));
    bench.put_for("key", 1, &lines, &language("de"));
    assert_eq!(bench.store.entries.get(&b"key"[..]).unwrap().len(), 1, "what cannot be used is not carried along");
}

#[test]
fn what_was_invalidated_is_not_found() {
    let bench = Bench::new(8 * MIB);
    bench.put("one", 1);
    bench.put("two", 1);
    let slot = bench.store.slot(b"http://shop.test:80/");
    let began = bench.store.last();
    bench.store.invalidate([(slot + 1) % SLOTS]);
    assert!(bench.has("one") && bench.has("two"));
    bench.store.invalidate([slot]);
    assert!(!bench.has("one") && !bench.has("two"), "whatever key it has");
    assert!(!bench.store.is_current(began, slot), "and what began before is not stored after");
    bench.put("one", 1);
    assert!(bench.has("one"));
}

#[test]
fn a_purge_finds_what_is_stored_and_what_is_on_its_way() {
    let bench = Bench::new(8 * MIB);
    let purge = |what, soft| Purge { what, soft };
    let url = || Purged::Url("http://shop.test:80/".into());
    let lines = [("cache-control", "max-age=60"), ("cache-tag", "red, blue")];
    for what in [url(), Purged::All, Purged::Tag("blue".into()), Purged::Prefix("http://shop.test:80".into())] {
        bench.put_for("key", 1, &lines, &HeaderMap::new());
        let on_its_way = bench.head(&lines, &HeaderMap::new(), bench.store.last());
        assert_eq!(bench.store.purge(&purge(what.clone(), false)), 1, "{what:?}");
        assert!(!bench.has("key"), "{what:?}");
        let claim = bench.store.budget().claim(1000).unwrap();
        let late = Stored {
            body: Bytes::new(),
            _claim: claim,
            head: Arc::new(on_its_way),
            is_softened: AtomicBool::new(false),
        };
        assert!(!bench.store.put(b"key", &Arc::new(late)), "{what:?}");
    }
    assert_eq!(bench.store.purge(&purge(Purged::Tag("green".into()), false)), 0);
    bench.put_for("key", 1, &lines, &HeaderMap::new());
    assert_eq!(bench.store.purge(&purge(Purged::Tag("red".into()), true)), 1);
    let (found, _) = bench.store.find(b"key", &HeaderMap::new(), &mut Vec::new());
    assert!(!found.unwrap().freshness(bench.clock.now()).is_fresh(bench.clock.now()));
}

/// Eviction is told, by route; replacing is none.
#[test]
fn evictions_are_counted() {
    let clock = Clock::system();
    let metrics = Arc::new(Metrics::new(&clock));
    let (route, size) = (metrics.route("all"), MIB);
    let store = Store::new(size as u64, clock.clone(), Arc::clone(&metrics));
    let (_, hand) = Clock::manual(clock.unix());
    let bench = Bench { clock, hand, route, store };
    (0..10).for_each(|_| assert!(bench.put("key", 1000)));
    let evictions = || {
        let reading = crate::observe::metrics::CacheReading { bytes: 0, keys: 0, size: 0, waiting: 0 };
        let readings = crate::observe::metrics::Readings { cache: Some(reading), ..Default::default() };
        let mut record = crate::observe::Record::new(bench.clock.now(), Method::GET, Version::HTTP_11);
        (record.route, record.cache) = (Some(Arc::clone(&bench.route)), Some(crate::observe::CacheOutcome::Miss));
        metrics.finished(&record, Duration::ZERO);
        let text = metrics.encode(readings);
        let line = text.lines().find_map(|line| line.strip_prefix("portcullis_cache_evictions_total{route=\"all\"} "));
        line.unwrap().parse::<u64>().unwrap()
    };
    bench.store.run_pending();
    assert_eq!(evictions(), 0);
    for number in 0..30 {
        bench.store.relieve();
        bench.put(&format!("other {number}"), 100_000);
    }
    bench.store.run_pending();
    assert!(evictions() >= 10, "{}", evictions());
}
