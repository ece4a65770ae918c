use std::sync::Arc;

use portcullis_core::plan::Plan;
use portcullis_core::time::Clock;

use super::Servers;
use crate::background::Background;
use crate::config::{ResolverSettings, from_text};
use crate::gateway::Brought;
use crate::live::Ground;
use crate::names::Names;
use crate::observe::Metrics;

/// An upstream for each of these lists of servers.
fn plan(upstreams: &[(&str, &str)]) -> Plan {
    let upstream = |(name, servers): &(&str, &str)| {
        format!("[upstreams.{name}]\nservers = [{servers}]\n[[routes]]\npath = \"/{name}\"\nupstream = \"{name}\"\n")
    };
    let upstreams: String = upstreams.iter().map(upstream).collect();
    from_text("test", &format!("listen = [\"127.0.0.1:0\"]\n{upstreams}")).unwrap().plan
}

/// A reload that takes a name away, and one that brings it back, while others have it all the time.
#[test]
fn who_no_longer_has_a_name_is_no_longer_among_those_it_tells() {
    let (background, clock) = (Background::default(), Clock::system());
    let (metrics, names, brought) = (Arc::new(Metrics::new(&clock)), Names::default(), Brought::default());
    let ground = Ground { background: &background, clock: &clock, metrics: &metrics, names: &names, brought: &brought };
    // Port 9 of this machine: nobody answers, and so the list never changes.
    let resolver = ResolverSettings { servers: Some([([127, 0, 0, 1], 9).into()].into()), loopback: true };
    let new = |plan: &Plan, place: usize, old: Option<&Arc<Servers>>| {
        Servers::new(&plan.upstreams[place], old, &resolver, ground)
    };
    let with = plan(&[("a", "\"http://app.test\""), ("b", "\"http://app.test\"")]);
    let without = plan(&[("a", "\"http://127.0.0.1:9\""), ("b", "\"http://app.test\"")]);
    let (a, _b) = (new(&with, 0, None), new(&with, 1, None));
    let name = a.written().names().next().cloned().unwrap();
    assert_eq!(name.told(), 2);
    for _ in 0..5 {
        new(&without, 0, Some(&a));
        new(&with, 0, Some(&a));
        assert_eq!(name.told(), 2);
        // The same when the upstream goes altogether, and comes back.
        let another = new(&with, 0, None);
        another.stop();
        drop(another);
    }
    new(&with, 0, Some(&a));
    assert!(name.told() <= 3, "{}", name.told());
}
