//! Which endpoint may be picked, and when there is none.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::{Ask, Asked, Driver, EndpointIndex, pools};
use crate::testing::ScriptedRandom;
use crate::testing::rules::{at_once, holds, same};
use crate::upstream::{Pool, Snapshot};

/// How often each pool is asked.
const PICKS: usize = 500;

pub(super) fn an_empty_pool_has_none(driver: &dyn Driver) {
    let mut asked = Asked::new(driver, &[]);
    for _ in 0..20 {
        same!(asked.pick(&[]), None, "an empty pool");
    }
}

pub(super) fn only_of_the_pool(driver: &dyn Driver) {
    for weights in pools() {
        let mut asked = Asked::new(driver, &weights);
        for _ in 0..PICKS {
            let picked = asked.pick(&[]);
            holds!(picked.is_none_or(|index| index.0 < asked.len()), "{picked:?}, of {} endpoints", asked.len());
        }
    }
}

/// Some that were tried, never all of them.
fn some(asked: &mut Asked) -> Vec<EndpointIndex> {
    let (len, drawn) = (asked.len(), asked.random.draw());
    let mut tried: Vec<_> = (0..len).filter(|index| drawn >> (index % 64) & 1 == 1).map(EndpointIndex).collect();
    // In any order, since they were tried in any order.
    let turn = asked.random.below(tried.len());
    tried.rotate_left(turn);
    if tried.len() == len {
        tried.pop();
    }
    tried
}

pub(super) fn what_was_tried_is_not_picked(driver: &dyn Driver) {
    for weights in pools() {
        let mut asked = Asked::new(driver, &weights);
        for _ in 0..PICKS {
            let tried = some(&mut asked);
            let picked = asked.pick(&tried);
            holds!(picked.is_none_or(|index| !tried.contains(&index)), "{picked:?}, tried: {tried:?}");
        }
        let all: Vec<_> = (0..asked.len()).map(EndpointIndex).collect();
        for _ in 0..PICKS {
            same!(asked.pick(&all), None, "a pool of {} whose endpoints were all tried", asked.len());
        }
    }
}

pub(super) fn none_only_when_all_were_tried(driver: &dyn Driver) {
    for weights in pools() {
        let mut asked = Asked::new(driver, &weights);
        for _ in 0..PICKS {
            let tried = some(&mut asked);
            let picked = asked.pick(&tried);
            holds!(picked.is_some(), "{picked:?}, of {} endpoints, tried: {tried:?}", asked.len());
        }
    }
}

pub(super) fn each_endpoint_is_reached(driver: &dyn Driver) {
    for weights in pools() {
        let mut asked = Asked::new(driver, &weights);
        for _ in 0..50 {
            let mut tried = Vec::new();
            while tried.len() < asked.len() {
                tried.extend(asked.picks(&tried));
            }
            same!(asked.pick(&tried), None, "a pool of {} whose endpoints were all tried", asked.len());
        }
    }
}

pub(super) fn busy_endpoints_change_nothing(driver: &dyn Driver) {
    let mut asked = Asked::new(driver, &[3, 1, 2, 1]);
    let servers = asked.pool.members().iter().map(|member| (member.endpoint.url().clone(), member.weight));
    // Another pool of the same endpoints: its leases count on both.
    let pool = Pool::new("busy", Snapshot::new(servers, Some(&asked.pool)), Arc::clone(&asked.picker));
    let mut leases = Vec::new();
    for turn in 0..PICKS {
        let random = asked.random.draw();
        leases.extend(pool.lease(&Ask { key: None, tried: &[], random }));
        same!(leases.len(), turn + 1, "leases");
        let tried = some(&mut asked);
        asked.picks(&tried);
    }
}

pub(super) fn threads_may_pick_at_once(driver: &dyn Driver) {
    let asked = Asked::new(driver, &[3, 1, 2, 1]);
    let (pool, picker) = (&asked.pool, &asked.picker);
    at_once((0..4).map(|seed| {
        move || {
            let mut random = ScriptedRandom::seeded(seed);
            for _ in 0..PICKS {
                let tried = [EndpointIndex(random.below(4))];
                let picked = picker.pick(pool, &Ask { key: None, tried: &tried, random: random.draw() });
                holds!(picked.is_some_and(|index| index.0 < 4 && index != tried[0]), "{picked:?}, tried: {tried:?}");
            }
        }
    }));
}

pub(super) fn the_largest_weights_overflow_nothing(driver: &dyn Driver) {
    let most = NonZeroU32::MAX.get();
    for weights in [vec![most; 9], vec![most, 1], vec![1, most, most - 1, 2]] {
        let mut asked = Asked::new(driver, &weights);
        for _ in 0..PICKS {
            let tried = some(&mut asked);
            asked.picks(&tried);
        }
    }
}
