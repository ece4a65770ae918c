//! Decides a request from what this node holds and may owe, as far as it can, and asks the store for the rest.

use std::sync::Arc;

use portcullis_core::Answer;
use portcullis_core::limit::{Charge, ChargeSet, Mode, Standing, StoreError, Tally, Verdict};
use portcullis_core::time::Moment;

use super::account::Outcome;
use super::book::place;
use crate::shared::Shared;
use crate::state::count;

/// So many charges can be told apart. A request with more is decided by the store.
const MOST: usize = 64;

/// How far a request is decided.
#[derive(Debug, Default)]
struct Decision {
    tally: Tally,
    /// What was paid here.
    spent: ChargeSet,
    /// What the store has to decide.
    ask: ChargeSet,
}

/// What a store answers.
type Answered = Result<Verdict, StoreError>;

/// Takes all charges, or none. `ask` has the store decide some.
pub(crate) fn take(
    shared: &Arc<Shared>,
    charges: &[Charge],
    ask: impl FnOnce(&[Charge]) -> Answer<Answered>,
) -> Answer<Answered> {
    if charges.len() > MOST {
        return ask(charges);
    }
    let now = shared.clock.now();
    let mut decision = Decision::default();
    of(charges, Mode::Enforce).for_each(|(index, charge)| decision.pay(shared, index, charge, now));
    if decision.tally.is_refused() {
        decision.give_back(shared, charges, now);
        count(&shared.counts.leased);
        return Answer::Now(Ok(decision.tally.verdict()));
    }
    for (index, charge) in of(charges, Mode::Shadow) {
        // Where the store decides anything that is enforced, it decides what hangs on that.
        if decision.asks_enforced(charges) {
            decision.ask = decision.ask.with(index);
        } else {
            decision.pay(shared, index, charge, now);
        }
    }
    if decision.ask.is_empty() {
        count(&shared.counts.leased);
        shared.see(charges);
        let verdict = decision.tally.verdict();
        shared.remember(charges, &verdict);
        return Answer::Now(Ok(verdict));
    }
    if decision.spent.is_empty() && decision.ask.indices().count() == charges.len() {
        return ask(charges);
    }
    let asked: Vec<Charge> = decision.ask.indices().filter_map(|index| charges.get(index).copied()).collect();
    let (shared, charges) = (Arc::clone(shared), Box::from(charges));
    match ask(&asked) {
        Answer::Now(answer) => Answer::Now(decision.merge(&shared, &charges, answer)),
        Answer::Later(answer) => Answer::later(async move { decision.merge(&shared, &charges, answer.await) }),
    }
}

fn of(charges: &[Charge], mode: Mode) -> impl Iterator<Item = (usize, &Charge)> {
    charges.iter().enumerate().filter(move |(_, charge)| charge.mode == mode)
}

impl Decision {
    fn asks_enforced(&self, charges: &[Charge]) -> bool {
        of(charges, Mode::Enforce).any(|(index, _)| self.ask.contains(index))
    }

    /// Pays one charge, or has to ask.
    fn pay(&mut self, shared: &Shared, index: usize, charge: &Charge, now: Moment) {
        let leases = &shared.leases;
        let part = leases.part(charge.overshoot, now);
        let paid = (charge.overshoot > 0 && part.covers(charge.cost)).then(|| {
            leases.book.change(charge, now, |account| {
                account.charge = *charge;
                let outcome = account.spend(charge.cost, leases.part(charge.overshoot, now), now);
                let wait = if let Outcome::Refused(wait) = outcome { Some(wait) } else { None };
                let standing = account.standing(wait, now);
                let wants = account.wants(now);
                account.is_busy |= wants;
                (outcome, standing, wants)
            })
        });
        let Some(Some((outcome, standing, wants))) = paid else {
            if charge.overshoot > 0 {
                count(&shared.counts.narrow);
            }
            self.ask = self.ask.with(index);
            return;
        };
        if wants {
            leases.want(place(charge));
        }
        match outcome {
            Outcome::Ask => {
                count(&shared.counts.dry);
                self.ask = self.ask.with(index);
                return;
            }
            Outcome::Owed => {
                count(&shared.counts.owed);
                self.spent = self.spent.with(index);
            }
            Outcome::Spent => self.spent = self.spent.with(index),
            Outcome::Refused(_) => {}
        }
        self.tally.add(index, charge.mode, standing);
    }

    fn give_back(&self, shared: &Shared, charges: &[Charge], now: Moment) {
        for charge in self.spent.indices().filter_map(|index| charges.get(index)) {
            shared.leases.book.change_known(place(charge), |account| {
                account.refund(charge.cost, shared.leases.part(charge.overshoot, now), now);
            });
        }
    }

    /// What was decided here, and what the store says to the rest.
    fn merge(mut self, shared: &Shared, charges: &[Charge], answer: Answered) -> Answered {
        let verdict = match answer {
            Ok(verdict) => verdict,
            Err(error) => {
                self.give_back(shared, charges, shared.clock.now());
                return Err(error);
            }
        };
        let index = |asked: usize| self.ask.indices().nth(asked).unwrap_or_default();
        let clamped = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        // Of what was asked the store told the one that decides, which is the only one that can decide here.
        let decided = index(verdict.decided);
        let mode = charges.get(decided).map_or(Mode::Enforce, |charge| charge.mode);
        let standing = Standing {
            limit: clamped(verdict.limit),
            remaining: clamped(verdict.remaining),
            reset: verdict.reset,
            wait: (!verdict.admitted).then_some(verdict.wait),
        };
        self.tally.add(decided, mode, standing);
        let would_refuse = verdict.would_refuse.indices().map(index);
        would_refuse.for_each(|index| {
            self.tally.add(index, Mode::Shadow, Standing { wait: Some(verdict.wait), ..standing });
        });
        if verdict.admitted {
            let nothing = Tally::default().verdict();
            let spent = self.spent.indices().filter_map(|index| charges.get(index));
            spent.for_each(|charge| shared.remember(std::slice::from_ref(charge), &nothing));
        } else {
            self.give_back(shared, charges, shared.clock.now());
        }
        Ok(Verdict { alone: verdict.alone, ..self.tally.verdict() })
    }
}
