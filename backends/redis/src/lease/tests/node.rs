//! A node of the model: its account, what it knows of the others, and a clock of its own.

use std::num::NonZeroU32;

use portcullis_core::limit::Charge;
use portcullis_core::time::Moment;

use crate::lease::account::{Account, Outcome, Rest};
use crate::lease::bound::Part;
use crate::lease::members::{Beat, MOST_NODES, Members};
use crate::lease::order::{Grant, Order};

/// How many beats have to count fewer nodes before that is believed, as the keeper has it.
const BELIEVED: u32 = 10;

#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: u32,
    pub(super) account: Account,
    members: Members,
    nodes: NonZeroU32,
    fewer: u32,
    until: Option<Moment>,
    settled: u32,
    /// Its clock is so much ahead of the server's.
    ahead: u64,
    pub(super) next_beat: u64,
    pub(super) next_tick: u64,
    pub(super) next_sweep: u64,
    /// It is stopped until then.
    pub(super) stopped: u64,
}

impl Node {
    pub(super) fn new(name: u32, charge: &Charge, ahead: u64, now: u64) -> Self {
        let at = Moment::from_nanos(now + ahead);
        Self {
            name,
            account: Account::new(charge, at),
            members: Members::default(),
            nodes: NonZeroU32::MIN,
            fewer: 0,
            until: None,
            settled: MOST_NODES,
            ahead,
            next_beat: now,
            next_tick: now,
            next_sweep: now,
            stopped: 0,
        }
    }

    fn time(&self, now: u64) -> Moment {
        Moment::from_nanos(now + self.ahead)
    }

    fn part(&self, now: u64) -> Part {
        let may = self.until.is_some_and(|until| self.time(now) < until);
        if may { Part::of(self.account.charge.overshoot, self.nodes) } else { Part::NONE }
    }

    /// Decides here; none: the store has to.
    pub(super) fn spend(&mut self, cost: u32, now: u64) -> Option<bool> {
        let (part, at) = (self.part(now), self.time(now));
        if !part.covers(cost) {
            return None;
        }
        match self.account.spend(cost, part, at) {
            Outcome::Ask => None,
            Outcome::Refused(_) => Some(false),
            Outcome::Owed | Outcome::Spent => Some(true),
        }
    }

    pub(super) fn refund(&mut self, cost: u32, now: u64) {
        self.account.refund(cost, self.part(now), self.time(now));
    }

    pub(super) fn order(&mut self, now: u64) -> Option<Order> {
        let (part, at) = (self.part(now), self.time(now));
        self.account.wants(at).then(|| self.account.order(part, at))
    }

    pub(super) fn sweep(&mut self, now: u64) -> Option<Order> {
        let (part, at) = (self.part(now), self.time(now));
        let rest = self.account.rest(part, at);
        if self.account.is_settled(Part::of(self.account.charge.overshoot, self.nodes), at) {
            self.settled = self.nodes.get();
        }
        match rest {
            Rest::Order(order) => Some(order),
            Rest::Forget | Rest::Keep => None,
        }
    }

    pub(super) fn failed(&mut self, order: &Order, now: u64) {
        self.account.failed(order, self.time(now));
    }

    pub(super) fn owed(&self) -> u32 {
        self.account.ahead().1
    }

    pub(super) fn granted(&mut self, grant: Grant, standing: &portcullis_core::limit::Standing, sent: u64, now: u64) {
        self.account.granted(grant, standing, self.part(now), (self.time(sent), self.time(now)));
        // Without a queue: the next tick finds it by itself.
        self.account.is_busy = false;
    }

    /// What it says with a beat.
    pub(super) fn says(&self) -> u32 {
        self.settled
    }

    pub(super) fn hears(&mut self, count: u32, settled: u32, sent: u64) {
        self.fewer = if count < self.nodes.get() { self.fewer + 1 } else { 0 };
        if self.fewer == 0 || self.fewer >= BELIEVED {
            self.fewer = 0;
            if count != self.nodes.get() {
                self.settled = self.settled.min(count.min(self.nodes.get()));
            }
            self.nodes = NonZeroU32::new(count).unwrap();
        }
        self.until = self.members.hear(Beat { sent: self.time(sent), nodes: self.nodes, settled });
    }
}
