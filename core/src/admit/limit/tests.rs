use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use http::{HeaderMap, Method};

use super::*;
use crate::limit::{Algorithm, MemoryStore, Mode, RateLimitStore};
use crate::route::Params;
use crate::subject::SubjectKey;
use crate::time::{Clock, UnixTime};

/// A store that several nodes share, and that can be lost.
struct Cluster {
    asked: AtomicUsize,
    lost: AtomicBool,
    memory: MemoryStore,
    nodes: NonZeroU32,
    /// Where it counts what it admitted for this node, if anywhere.
    local: Option<MemoryStore>,
    /// Once it has learnt it.
    subjects: Mutex<Option<SubjectKey>>,
    /// What was admitted without it: how much, of how much.
    without: Mutex<Vec<(u32, u32)>>,
}

impl RateLimitStore for Cluster {
    fn take(&self, charges: &[Charge]) -> Taken {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.lost.load(Ordering::Relaxed) {
            return Answer::later(async { Err(StoreError::new("it does not answer")) });
        }
        self.memory.take(charges)
    }

    fn nodes(&self) -> NonZeroU32 {
        self.nodes
    }

    fn subjects(&self) -> Option<SubjectKey> {
        self.subjects.lock().unwrap().clone()
    }

    fn local(&self) -> Option<&MemoryStore> {
        self.local.as_ref()
    }

    fn admitted_without(&self, charges: &[Charge]) {
        let told = charges.iter().map(|charge| (charge.cost, charge.quota.count.get()));
        self.without.lock().unwrap().extend(told);
    }
}

/// A node: what it shares, its own memory, and what was said of a request.
struct Node {
    clock: Clock,
    local: Option<MemoryStore>,
    store: Cluster,
    subjects: SubjectKey,
}

impl Node {
    /// One of so many nodes, whose store is lost.
    fn alone_of(nodes: u32) -> Self {
        let (clock, _) = Clock::manual(UnixTime::from_secs(1_800_000_000));
        let memory = || MemoryStore::with(clock.clone(), 100);
        Self {
            local: Some(memory()),
            store: Cluster {
                asked: AtomicUsize::new(0),
                lost: AtomicBool::new(true),
                memory: memory(),
                nodes: NonZeroU32::new(nodes).unwrap(),
                local: None,
                subjects: Mutex::default(),
                without: Mutex::default(),
            },
            clock,
            subjects: SubjectKey::random(),
        }
    }

    fn limit(&self, limits: &Limits) -> Result<Option<Verdict>, Rejection> {
        let headers = HeaderMap::new();
        let facts = nobody(&headers);
        let services =
            Services { clock: &self.clock, local: self.local.as_ref(), store: &self.store, subjects: &self.subjects };
        match pin!(limit(limits, &facts, services)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(limited) => limited,
            Poll::Pending => panic!("nothing has to wait here"),
        }
    }

    /// How many of a thousand requests pass.
    fn admits(&self, limits: &Limits) -> usize {
        (0..1000).filter(|_| self.limit(limits).is_ok()).count()
    }
}

/// A request of whom nothing is known.
fn nobody(headers: &HeaderMap) -> Facts<'_> {
    Facts {
        client: None,
        headers,
        host: "",
        identity: None,
        method: &Method::GET,
        params: Params::EMPTY,
        path: "/",
        query: None,
    }
}

fn rule(name: &str, rate: &str, on_failure: OnFailure) -> Rule {
    Rule::new(name, rate.parse().unwrap()).on_failure(on_failure)
}

fn limits(rules: impl IntoIterator<Item = Rule>) -> Limits {
    Limits::new(rules.into_iter().map(Arc::new).collect())
}

/// R08
#[test]
fn without_a_store_each_limit_goes_by_its_own_word() {
    for (on_failure, admitted) in [(OnFailure::Allow, 1000), (OnFailure::Deny, 0), (OnFailure::Share, 30)] {
        let (node, limits) = (Node::alone_of(3), limits([rule("it", "90/min", on_failure)]));
        assert_eq!(node.admits(&limits), admitted, "{on_failure:?}");
        node.store.lost.store(false, Ordering::Relaxed);
        assert_eq!(node.admits(&limits), 90, "{on_failure:?}: the store counts as if nothing had been");
    }
    assert_eq!(rule("it", "1/s", OnFailure::Allow).mode(Mode::Shadow).without_store(), OnFailure::Allow);
    assert_eq!(Rule::new("it", "1/s".parse().unwrap()).without_store(), OnFailure::Share);
}

#[test]
fn one_that_is_denied_refuses_with_503_whatever_the_others_say() {
    let (node, limits) =
        (Node::alone_of(1), limits([rule("open", "9/min", OnFailure::Allow), rule("shut", "9/min", OnFailure::Deny)]));
    assert_eq!(node.limit(&limits), Err(Rejection::StoreUnavailable));
}

/// The refusal, the numbers and the shadow limits are told by their places among all limits.
#[test]
fn those_that_share_hold_together_and_are_told_apart() {
    let node = Node::alone_of(2);
    let limits = limits([
        rule("open", "2/min", OnFailure::Allow),
        rule("seen", "4/min", OnFailure::Share).mode(Mode::Shadow),
        rule("wide", "100/min", OnFailure::Share),
        rule("tight", "10/min", OnFailure::Share),
    ]);
    let verdicts: Vec<_> = (0..5).map(|_| node.limit(&limits).unwrap().unwrap()).collect();
    assert!(verdicts.iter().all(|verdict| (verdict.decided, verdict.limit) == (3, 5)), "{verdicts:?}");
    let shadow: Vec<_> = verdicts.iter().map(|verdict| verdict.would_refuse.indices().collect::<Vec<_>>()).collect();
    assert_eq!(shadow, [vec![], vec![], vec![1], vec![1], vec![1]]);
    let Err(Rejection::Limited { rule, verdict }) = node.limit(&limits) else { panic!("the share is used up") };
    assert_eq!((&*rule, verdict.decided, verdict.remaining), ("tight", 3, 0));
}

#[test]
fn a_limit_in_shadow_refuses_nothing_without_a_store_either() {
    for on_failure in [OnFailure::Allow, OnFailure::Deny, OnFailure::Share] {
        let mut node = Node::alone_of(2);
        let limits = limits([rule("seen", "4/min", on_failure).mode(Mode::Shadow)]);
        assert_eq!(node.admits(&limits), 1000);
        node.local = None;
        assert_eq!(node.admits(&limits), 1000);
    }
}

/// Where there is nothing to share from, the safe way.
#[test]
fn a_share_of_no_memory_is_refused() {
    let node = Node { local: None, ..Node::alone_of(2) };
    assert_eq!(node.limit(&limits([rule("it", "4/min", OnFailure::Share)])), Err(Rejection::StoreUnavailable));
    assert_eq!(node.limit(&limits([rule("it", "4/min", OnFailure::Allow)])), Ok(None));
}

#[test]
fn nothing_is_asked_where_nothing_is_limited_and_too_much_is_no_plan() {
    let node = Node::alone_of(1);
    assert_eq!(node.limit(&limits([])), Ok(None));
    let many = limits((0..=Limits::MOST).map(|number| rule(&number.to_string(), "1/s", OnFailure::Allow)));
    assert_eq!(node.limit(&many), Err(Rejection::Internal));
    assert_eq!(node.store.asked.load(Ordering::Relaxed), 0);
}

/// A store that counted for this node knows what it has let through: the share goes on from there.
#[test]
fn the_memory_of_the_store_goes_before_the_nodes_own() {
    let window = rule("it", "90/min", OnFailure::Share).algorithm(Algorithm::FixedWindow);
    let (mut node, limits) = (Node::alone_of(3), limits([window]));
    let memory = MemoryStore::with(node.clock.clone(), 100);
    let spent = limits.rules[0].charge(&node.subjects, &nobody(&HeaderMap::new()));
    let Answer::Now(Ok(verdict)) = memory.take(&[Charge { cost: 20, ..spent }]) else { panic!("memory answers") };
    assert!(verdict.admitted);
    node.store.local = Some(memory);
    assert_eq!(node.admits(&limits), 10);
    // And one that brings its memory needs no other.
    node.local = None;
    assert_eq!(node.limit(&limits).unwrap_err().status(), 429);
}

/// A store across the network learns late what subjects are hashed under, and may learn another.
#[test]
fn the_key_of_subjects_is_asked_for_each_request() {
    let (node, limits) = (Node::alone_of(1), limits([rule("it", "1/min", OnFailure::Share)]));
    node.store.lost.store(false, Ordering::Relaxed);
    assert_eq!(node.admits(&limits), 1, "under the node's own");
    for key in [[1; 16], [2; 16]] {
        *node.store.subjects.lock().unwrap() = Some(SubjectKey::from_bytes(key));
        assert_eq!(node.admits(&limits), 1);
    }
}

/// A store hears of what was admitted without it, and of nothing else.
#[test]
fn what_is_admitted_without_the_store_is_told_to_it() {
    let node = Node::alone_of(2);
    let rules = [
        rule("share", "4/min", OnFailure::Share),
        rule("dear", "8/min", OnFailure::Share).costing(2),
        rule("allow", "1/min", OnFailure::Allow),
        rule("shadow", "2/min", OnFailure::Share).mode(Mode::Shadow),
    ];
    assert_eq!(node.admits(&limits(rules)), 2);
    // Of the shadow one only what holds, and all of them as they are without a share.
    assert_eq!(*node.store.without.lock().unwrap(), [(1, 4), (2, 8), (1, 2), (1, 4), (2, 8)]);
}
