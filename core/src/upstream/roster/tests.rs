//! The roster under a manual clock: what leaves the pool, what comes back, and what never leaves.

use std::sync::atomic::AtomicUsize;

use proptest::prelude::*;

use super::*;
use crate::testing::ScriptedRandom;
use crate::testing::upstream::{Claims, Driver, conformance};
use crate::upstream::{Ask, EndpointIndex, Hash, LeastRequest, PeakEwma, Random, RoundRobin};

const START: Moment = Moment::from_nanos(1_800_000_000_000_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn members(ports: impl IntoIterator<Item = usize>) -> Vec<Member> {
    let member = |port| Member {
        endpoint: Arc::new(Endpoint::new(format!("http://127.0.0.1:{port}").parse().unwrap())),
        weight: NonZeroU32::MIN,
    };
    ports.into_iter().map(member).collect()
}

/// A roster on ports from 0, and what it told.
fn roster(endpoints: usize, settings: RosterSettings) -> (Roster, Arc<Mutex<Vec<String>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&heard);
    let roster = Roster::new("users", members(1..=endpoints), |pool| Arc::new(RoundRobin::new(pool)), settings, START);
    let roster = roster.telling(move |change| {
        let of = |endpoint: &Endpoint| endpoint.authority().rsplit(':').next().unwrap().to_owned();
        told.lock().unwrap().push(match change {
            Change::Ejected { endpoint, rest } => format!("{} ejected {}", of(endpoint), rest.as_secs()),
            Change::Healthy(endpoint) => format!("{} healthy", of(endpoint)),
            Change::Panicking => "panicking".to_owned(),
            Change::PanicOver => "panic over".to_owned(),
            Change::Returned(endpoint) => format!("{} returned", of(endpoint)),
            Change::Unhealthy(endpoint) => format!("{} unhealthy", of(endpoint)),
        });
    });
    (roster, heard)
}

fn ejecting() -> RosterSettings {
    RosterSettings { eject: Some(Eject::default()), ..RosterSettings::default() }
}

fn all() -> RosterSettings {
    RosterSettings { health: Some(Thresholds::default()), ..ejecting() }
}

fn ports(pool: &Pool) -> Vec<usize> {
    let port = |member: &Member| member.endpoint.authority().rsplit(':').next().unwrap().parse().unwrap();
    pool.snapshot().members().iter().map(port).collect()
}

fn weights(pool: &Pool) -> Vec<u32> {
    pool.snapshot().members().iter().map(|member| member.weight.get()).collect()
}

fn heard(told: &Mutex<Vec<String>>) -> Vec<String> {
    std::mem::take(&mut *told.lock().unwrap())
}

/// So many attempts at the endpoint on `port` fail.
fn fail(roster: &Roster, port: usize, times: usize, now: Moment) {
    let endpoint = Arc::clone(&roster.endpoints()[port - 1]);
    (0..times).for_each(|_| roster.settle(&endpoint, false, now));
}

fn check(roster: &Roster, port: usize, results: &str, now: Moment) {
    let endpoint = Arc::clone(&roster.endpoints()[port - 1]);
    results.chars().for_each(|result| roster.check(&endpoint, result == '+', now));
}

#[test]
fn who_fails_five_times_in_a_row_rests_and_returns() {
    let (roster, told) = roster(2, ejecting());
    fail(&roster, 1, 4, START);
    roster.settle(&roster.endpoints()[0], true, START);
    fail(&roster, 1, 4, START);
    assert_eq!(ports(&roster.pool(START)), [1, 2], "never five in a row");
    fail(&roster, 1, 1, START);
    assert_eq!(ports(&roster.pool(START)), [2]);
    // What comes in late of requests from before the ejection says nothing new.
    fail(&roster, 1, 9, START + SECOND);
    assert_eq!(ports(&roster.pool(START + 9 * SECOND)), [2]);
    assert_eq!(ports(&roster.pool(START + 11 * SECOND)), [1, 2]);
    fail(&roster, 1, 4, START + 11 * SECOND);
    assert_eq!(ports(&roster.pool(START + 11 * SECOND)), [1, 2], "it begins with none");
    fail(&roster, 1, 1, START + 11 * SECOND);
    assert_eq!(ports(&roster.pool(START + 30 * SECOND)), [2], "and rests for longer");
    assert_eq!(ports(&roster.pool(START + 34 * SECOND)), [1, 2]);
    let heard = heard(&told);
    let heard: Vec<_> = heard.iter().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(heard, ["1 ejected", "1 returned", "1 ejected", "1 returned"]);
}

#[test]
fn never_more_than_the_share_is_ejected_and_never_the_last() {
    for (endpoints, max, out) in [
        (1, 0.5, 0),
        (2, 0.5, 1),
        (3, 0.5, 1),
        (4, 0.5, 2),
        (10, 0.29, 2),
        (100, 0.29, 29),
        (3, 1.0, 2),
        (1, 1.0, 0),
        (5, 0.0, 0),
    ] {
        let eject = Some(Eject { max, ..Eject::default() });
        let (roster, _) = roster(endpoints, RosterSettings { eject, ..RosterSettings::default() });
        (1..=endpoints).for_each(|port| fail(&roster, port, 50, START));
        assert_eq!(roster.pool(START).snapshot().members().len(), endpoints - out, "{endpoints} {max}");
        assert!(!roster.state_at(START).panicking);
        assert_eq!(roster.pool(START + 60 * SECOND).snapshot().members().len(), endpoints);
    }
}

/// Two of three are dead by their checks: the third gets all requests.
#[test]
fn a_check_is_heeded_while_anybody_is_healthy() {
    let (roster, told) = roster(3, all());
    check(&roster, 1, "--", START);
    assert_eq!(ports(&roster.pool(START)), [1, 2, 3]);
    check(&roster, 1, "-", START);
    check(&roster, 2, "---", START);
    assert_eq!(ports(&roster.pool(START)), [3]);
    fail(&roster, 3, 50, START);
    assert_eq!(ports(&roster.pool(START)), [3], "the last is not ejected");
    check(&roster, 3, "---", START);
    assert_eq!(ports(&roster.pool(START)), [1, 2, 3], "nobody is healthy: all are asked");
    assert!(roster.state_at(START).panicking);
    check(&roster, 2, "++", START);
    assert_eq!(ports(&roster.pool(START)), [2]);
    assert!(!roster.state_at(START).panicking);
    let last = ["1 unhealthy", "2 unhealthy", "3 unhealthy", "panicking", "2 healthy", "panic over"];
    assert_eq!(heard(&told), last);
}

#[test]
fn below_the_panic_share_health_is_ignored() {
    let health = Some(Thresholds { panic: 0.5, ..Thresholds::default() });
    let (roster, told) = roster(4, RosterSettings { health, ..RosterSettings::default() });
    check(&roster, 1, "---", START);
    check(&roster, 2, "---", START);
    assert_eq!(ports(&roster.pool(START)), [3, 4], "half is enough");
    check(&roster, 3, "---", START);
    assert_eq!(ports(&roster.pool(START)), [1, 2, 3, 4]);
    assert!(roster.state_at(START).endpoints.iter().all(|endpoint| endpoint.asked));
    check(&roster, 1, "++", START);
    assert_eq!(ports(&roster.pool(START)), [1, 4]);
    assert_eq!(heard(&told)[2..], ["3 unhealthy", "panicking", "1 healthy", "panic over"]);
}

/// Two rest, and then a check takes out one more: too many, so that the one whose rest ends first is asked before it ends.
#[test]
fn who_rests_is_asked_where_checks_take_out_too_many() {
    let (roster, _) = roster(4, all());
    fail(&roster, 1, 5, START + SECOND);
    fail(&roster, 2, 5, START);
    assert_eq!(ports(&roster.pool(START)), [3, 4]);
    check(&roster, 3, "---", START);
    assert_eq!(ports(&roster.pool(START)), [2, 4]);
    check(&roster, 4, "---", START);
    assert_eq!(ports(&roster.pool(START)), [1, 2]);
    let state = roster.state_at(START);
    let codes: Vec<_> = state.endpoints.iter().map(|one| (one.standing.code(), one.asked)).collect();
    assert_eq!(codes, [("ejected", true), ("ejected", true), ("unhealthy", false), ("unhealthy", false)]);
    check(&roster, 4, "++", START);
    assert_eq!(ports(&roster.pool(START)), [2, 4]);
}

/// Who failed at all others may come to one that rests, and to nobody twice.
#[test]
fn who_rests_is_the_last_resort() {
    let (roster, _) = roster(6, all());
    [1, 2].into_iter().for_each(|port| fail(&roster, port, 5, START));
    check(&roster, 3, "---", START);
    let pool = roster.pool(START);
    assert_eq!((ports(&pool), pool.reachable()), (vec![4, 5, 6], 5), "the unhealthy one is none");
    let mut tried = crate::upstream::Tried::new();
    let mut random = 6;
    let order: Vec<_> = std::iter::from_fn(|| {
        random += 1;
        let ask = Ask { key: None, tried: tried.as_slice(), random };
        let lease = pool.lease(&ask).or_else(|| pool.last_resort(tried.as_slice(), random))?;
        tried.insert(lease.index());
        assert_eq!(lease.endpoint().in_flight(), 1);
        Some(lease.endpoint().authority().rsplit(':').next().unwrap().to_owned())
    })
    .collect();
    let mut rested = order[3..].to_vec();
    rested.sort();
    assert_eq!((order.len(), rested), (5, vec!["1".to_owned(), "2".to_owned()]));
    // Nobody rests who is asked in any case.
    let (roster, _) = self::roster(2, ejecting());
    fail(&roster, 1, 5, START);
    assert_eq!(roster.pool(START).reachable(), 2);
    assert!(roster.pool(START + 11 * SECOND).last_resort(&[], 0).is_none());
}

#[test]
fn who_returns_gets_its_weight_by_steps() {
    let (roster, _) = roster(2, RosterSettings { slow_start: 10 * SECOND, ..ejecting() });
    assert_eq!(weights(&roster.pool(START)), [1, 1], "at first nobody is new");
    let rest = |roster: &Roster| roster.rest(&roster.endpoints()[1], 5 * SECOND, START);
    assert!(rest(&roster));
    let at = |seconds: u32| roster.pool(START + seconds * SECOND);
    assert_eq!((weights(&at(4)), weights(&at(5)), weights(&at(6))), (vec![1], vec![10, 1], vec![10, 2]));
    let pool = at(6);
    let standing = roster.state_at(START + 6 * SECOND).endpoints[1].standing;
    assert_eq!(standing, EndpointStanding::Warming { share: 0.2 });
    assert!(Arc::ptr_eq(&pool, &roster.pool(START + 6 * SECOND + SECOND / 2)), "between steps nothing is made anew");
    // Nobody asked for a while.
    assert_eq!((weights(&at(13)), weights(&at(14)), weights(&at(60))), (vec![10, 9], vec![1, 1], vec![1, 1]));
}

#[test]
fn what_stays_goes_on_and_what_is_new_warms_up() {
    let (roster, _) = roster(3, RosterSettings { slow_start: 10 * SECOND, ..all() });
    let pool = roster.pool(START);
    let leases: Vec<_> = (0..6).filter_map(|_| pool.pick("ada", &crate::upstream::Tried::new())).collect();
    leases.iter().for_each(|lease| lease.observe(SECOND, START));
    fail(&roster, 1, 4, START);
    check(&roster, 2, "---", START);
    roster.replace(members([4, 2, 1]), START);
    assert_eq!(ports(&roster.pool(START)), [4, 1]);
    assert_eq!(weights(&roster.pool(START)), [1, 10]);
    let kept = Arc::clone(&roster.pool(START).snapshot().members()[1].endpoint);
    assert_eq!((kept.in_flight(), kept.failures(), kept.latency(START)), (2, 4, Some(SECOND)));
    // The one that is gone is still in use by a request, whose result is nobody's.
    fail(&roster, 1, 1, START);
    roster.settle(&pool.snapshot().members()[2].endpoint, false, START);
    roster.replace(members([]), START);
    assert!(roster.pool(START).snapshot().members().is_empty());
    assert!(!roster.state_at(START).panicking);
}

#[test]
fn a_name_may_stand_for_several() {
    let at = |address: &str, url: &str| Member {
        endpoint: Arc::new(Endpoint::new(url.parse().unwrap()).at(address.parse().unwrap())),
        weight: NonZeroU32::MIN,
    };
    let url = "http://users.test:80";
    let (roster, _) = roster(0, ejecting());
    roster.replace([at("10.0.0.1:80", url), at("10.0.0.2:80", url), at("10.0.0.1:80", url)], START);
    let before = roster.endpoints();
    roster.replace([at("10.0.0.3:80", url), at("10.0.0.2:80", url)], START);
    let after = roster.endpoints();
    assert_eq!((before.len(), after.len()), (2, 2));
    assert!(Arc::ptr_eq(&before[1], &after[1]));
}

#[test]
fn what_a_change_turns_off_is_forgotten() {
    let (roster, _) = roster(4, all());
    fail(&roster, 1, 5, START);
    check(&roster, 2, "---", START);
    let change = |settings| {
        roster.change(members(1..=4), |_| Arc::new(LeastRequest), settings, START);
        ports(&roster.pool(START))
    };
    assert_eq!(change(all()), [3, 4], "what stays on goes on");
    assert_eq!(change(ejecting()), [2, 3, 4]);
    assert_eq!(change(RosterSettings::default()), [1, 2, 3, 4]);
    fail(&roster, 1, 50, START);
    check(&roster, 1, "------", START);
    assert!(!roster.rest(&roster.endpoints()[0], SECOND, START));
    assert_eq!(ports(&roster.pool(START)), [1, 2, 3, 4]);
}

/// Threads fail at one endpoint: whoever makes it five ejects it, once.
#[test]
fn threads_eject_once_for_each_run_of_failures() {
    let eject = Some(Eject { failures: 8.try_into().unwrap(), ..Eject::default() });
    let (roster, told) = roster(2, RosterSettings { eject, ..RosterSettings::default() });
    let endpoint = &roster.endpoints()[0];
    let ejected = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    ejected.fetch_add(usize::from(endpoint.has_failed(8)), Ordering::Relaxed);
                }
            });
        }
    });
    // A failure that comes between the eighth and its taking the count back is part of that run.
    let (ejected, left) = (ejected.into_inner(), endpoint.failures());
    assert!((1..=500).contains(&ejected) && left < 8, "{ejected} {left}");
    endpoint.forget_failures();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1000).for_each(|_| roster.settle(endpoint, false, START)));
        }
        scope.spawn(|| (0..1000).for_each(|_| drop(roster.pool(START).pick("ada", &crate::upstream::Tried::new()))));
    });
    assert_eq!(heard(&told).len(), 1);
    assert_eq!(roster.state_at(START).endpoints[0].ejections, 1);
    assert!(roster.endpoints().iter().all(|endpoint| endpoint.in_flight() == 0));
}

/// Pools as a roster makes them, of endpoints some of which are out or warming up.
struct OutOfARoster(Claims, fn(&Snapshot) -> Arc<dyn UpstreamPicker>);

impl Driver for OutOfARoster {
    fn picker(&self, pool: &Snapshot) -> Arc<dyn UpstreamPicker> {
        // The suite's endpoints, and as many that are ejected: none of the latter is ever picked.
        let theirs: Vec<_> = pool.members().to_vec();
        let count = theirs.len();
        let others = members(20_001..=20_000 + count);
        let roster = Roster::new("users", theirs.into_iter().chain(others), self.1, ejecting(), START);
        for endpoint in &roster.endpoints()[count..] {
            (0..5).for_each(|_| roster.settle(endpoint, false, START));
        }
        let made = roster.pool(START);
        assert_eq!(made.snapshot().members().len(), count);
        Arc::new(Through(made))
    }
    fn claims(&self) -> Claims {
        self.0
    }
}

/// Picks from the roster's pool, whatever it is asked about; the suite's has the same members in the same places.
struct Through(Arc<Pool>);

impl UpstreamPicker for Through {
    fn pick(&self, pool: &Snapshot, ask: &Ask<'_>) -> Option<EndpointIndex> {
        let index = self.0.lease(ask)?.index();
        let picked = self.0.snapshot().get(index)?;
        let theirs = pool.members().iter().position(|member| member.endpoint.is_where(&picked.endpoint))?;
        Some(EndpointIndex(theirs))
    }
}

#[test]
fn pickers_conform_over_the_pools_of_a_roster() {
    conformance(&OutOfARoster(Claims::default(), |pool| Arc::new(RoundRobin::new(pool))));
    conformance(&OutOfARoster(Claims { retries: true, ..Claims::default() }, |_| Arc::new(LeastRequest)));
    conformance(&OutOfARoster(Claims { retries: true, ..Claims::default() }, |_| Arc::new(PeakEwma)));
    conformance(&OutOfARoster(Claims { retries: true, ..Claims::default() }, |_| Arc::new(Random)));
    conformance(&OutOfARoster(Claims { retries: true, keys: true, ..Claims::default() }, |pool| {
        Arc::new(Hash::new(pool))
    }));
}

/// While an endpoint warms up, a picker by key moves hardly any keys beside those that it takes.
#[test]
fn a_step_of_slow_start_moves_few_keys() {
    let settings = RosterSettings { slow_start: 10 * SECOND, ..ejecting() };
    let roster = Roster::new("users", members(1..=5), |pool| Arc::new(Hash::new(pool)), settings, START);
    let of = |pool: &Pool| -> Vec<_> {
        let ask = |key| Ask { key: Some(key), tried: &[], random: 0 };
        let mut random = ScriptedRandom::seeded(7);
        (0..10_000).map(|_| pool.lease(&ask(random.draw())).unwrap().endpoint().authority().to_owned()).collect()
    };
    let whole = of(&roster.pool(START));
    roster.rest(&roster.endpoints()[0], 5 * SECOND, START);
    let first = roster.endpoints()[0].authority().to_owned();
    let mut before = of(&roster.pool(START));
    for step in 0..10 {
        let after = of(&roster.pool(START + (5 + step) * SECOND));
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after);
        assert!(moved.clone().all(|(_, after)| *after == first), "only to the one that warms up");
        assert!((50..600).contains(&moved.count()));
        before = after;
    }
    assert_eq!(before, whole);
}

#[derive(Clone, Debug)]
enum Event {
    Check(usize, bool),
    Fail(usize),
    Ok(usize),
    Pass(u32),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0_usize..8, any::<bool>()).prop_map(|(of, passed)| Event::Check(of, passed)),
        (0_usize..8).prop_map(Event::Fail),
        (0_usize..8).prop_map(Event::Fail),
        (0_usize..8).prop_map(Event::Ok),
        (1_u32..20).prop_map(Event::Pass),
    ]
}

proptest! {
    /// Whatever happens: somebody is always asked; as many as the share leaves, as far as they are healthy; nobody who is unhealthy
    /// unless it panics; and when everything heals, all are back with their weights.
    #[test]
    fn the_floor_holds_and_everything_heals(
        endpoints in 1_usize..8,
        max in 0.0..=1.0_f64,
        panic in 0.0..=1.0_f64,
        events in prop::collection::vec(event(), 0..200),
    ) {
        let eject = Eject { failures: 2.try_into().unwrap(), max, ..Eject::default() };
        let settings = RosterSettings {
            eject: Some(eject),
            health: Some(Thresholds { panic, ..Thresholds::default() }),
            slow_start: 5 * SECOND,
        };
        let (roster, _) = roster(endpoints, settings);
        let (all, mut now) = (roster.endpoints(), START);
        for event in events {
            match event {
                Event::Check(of, passed) => roster.check(&all[of % endpoints], passed, now),
                Event::Fail(of) => roster.settle(&all[of % endpoints], false, now),
                Event::Ok(of) => roster.settle(&all[of % endpoints], true, now),
                Event::Pass(seconds) => now = now + seconds * SECOND,
            }
            let (pool, state) = (roster.pool(now), roster.state_at(now));
            let asked = pool.snapshot().members().len();
            let of = |code| state.endpoints.iter().filter(|one| one.standing.code() == code).count();
            let healthy = endpoints - of("unhealthy");
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a handful")]
            let may_be_out = (max * endpoints as f64 + 1e-9).floor() as usize;
            prop_assert!(asked >= 1.max(healthy.min(endpoints - may_be_out)), "{state:?}");
            prop_assert_eq!(asked, state.endpoints.iter().filter(|one| one.asked).count());
            prop_assert_eq!(state.panicking, healthy == 0 || (healthy as f64) < panic * endpoints as f64 - 1e-9);
            prop_assert!(state.panicking || state.endpoints.iter().all(|one| one.standing.code() != "unhealthy" || !one.asked));
        }
        for endpoint in &all {
            roster.check(endpoint, true, now);
            roster.check(endpoint, true, now);
            roster.settle(endpoint, true, now);
        }
        // Whoever rested warms up from when somebody asks.
        now = now + 400 * SECOND;
        prop_assert_eq!(roster.pool(now).snapshot().members().len(), endpoints);
        now = now + 5 * SECOND;
        prop_assert_eq!(weights(&roster.pool(now)), vec![1; endpoints]);
        prop_assert!(roster.state_at(now).endpoints.iter().all(|one| one.standing == EndpointStanding::Ready && one.asked));
    }
}
