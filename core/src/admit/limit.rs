//! Step 3: all the limits of a request, together or not at all; and what becomes of them when the store does not decide.

use std::sync::Arc;

use super::Services;
use crate::answer::Answer;
use crate::limit::{Charge, ChargeSet, OnFailure, Rule, StoreError, Verdict};
use crate::plan::Limits;
use crate::rejection::Rejection;
use crate::source::Facts;

/// What the store says, now or later.
pub(crate) type Taken = Answer<Result<Verdict, StoreError>>;

/// Step 3: all the limits of a request, together or not at all. Shadow ones refuse nothing.
///
/// When the store does not decide, each limit's own [`OnFailure`] does: the request is refused if one that is enforced says
/// [`Deny`](OnFailure::Deny), those that say [`Share`](OnFailure::Share) are counted together in the memory that the store has for
/// it, else in [`Services::local`], and those that say [`Allow`](OnFailure::Allow) are not counted.
///
/// # Errors
/// 429 when one does not hold, 503 when the store does not decide and a limit says that this refuses.
pub async fn limit(limits: &Limits, facts: &Facts<'_>, services: Services<'_>) -> Result<Option<Verdict>, Rejection> {
    match ask(limits, facts, services)? {
        Some(taken) => decide(limits, facts, services, taken.await),
        None => Ok(None),
    }
}

/// Asks the store about all limits; none where there are no limits.
///
/// # Errors
/// 500 for more limits than [`Limits::MOST`].
pub(crate) fn ask(limits: &Limits, facts: &Facts<'_>, services: Services<'_>) -> Result<Option<Taken>, Rejection> {
    let subjects = services.subject_key();
    let charge = |rule: &Rule| rule.charge(&subjects, facts);
    Ok(match &*limits.rules {
        [] => None,
        [only] => Some(services.store.take(&[charge(only)])),
        [first, ..] => {
            // On the stack, filled up with copies and cut to length: no allocation.
            let first = charge(first);
            let charges: [Charge; Limits::MOST] =
                std::array::from_fn(|place| limits.rules.get(place).map_or(first, |rule| charge(rule)));
            Some(services.store.take(charges.get(..limits.rules.len()).ok_or(Rejection::Internal)?))
        }
    })
}

/// What follows from what the store said.
///
/// # Errors
/// See [`limit`].
pub(crate) fn decide(
    limits: &Limits,
    facts: &Facts<'_>,
    services: Services<'_>,
    taken: Result<Verdict, StoreError>,
) -> Result<Option<Verdict>, Rejection> {
    match taken {
        Ok(verdict) => judge(limits, verdict),
        Err(error) => {
            // The store says once that it is lost; to say so for each request would be one more thing that goes wrong.
            tracing::debug!(%error, "a limit was not decided");
            without_store(limits, facts, services)
        }
    }
}

fn judge(limits: &Limits, verdict: Verdict) -> Result<Option<Verdict>, Rejection> {
    if verdict.admitted {
        return Ok(Some(verdict));
    }
    let rule = limits.rules.get(verdict.decided).ok_or(Rejection::Internal)?;
    Err(Rejection::Limited { rule: Arc::clone(rule.shared_name()), verdict })
}

/// Each limit's own policy, and this node's share of those that have one.
#[cold]
fn without_store(limits: &Limits, facts: &Facts<'_>, services: Services<'_>) -> Result<Option<Verdict>, Rejection> {
    let local = services.store.local().or(services.local);
    let refuses = |rule: &Rule| match rule.without_store() {
        OnFailure::Allow => false,
        OnFailure::Deny => true,
        OnFailure::Share => local.is_none(),
    };
    if limits.rules.iter().any(|rule| !rule.is_shadow() && refuses(rule)) {
        return Err(Rejection::StoreUnavailable);
    }
    let shared = |(_, rule): &(usize, &Arc<Rule>)| rule.without_store() == OnFailure::Share;
    let (places, rules): (Vec<usize>, Vec<&Arc<Rule>>) = limits.rules.iter().enumerate().filter(shared).unzip();
    let Some(local) = local.filter(|_| !rules.is_empty()) else { return Ok(None) };
    let (nodes, subjects) = (services.store.nodes(), services.subject_key());
    let charges: Vec<Charge> = rules.iter().map(|rule| rule.charge(&subjects, facts)).collect();
    let shares: Vec<Charge> = charges.iter().map(|charge| charge.share(nodes)).collect();
    let verdict = local.decide(&shares);
    if verdict.admitted {
        let held = charges.iter().enumerate().filter(|(index, _)| !verdict.would_refuse.contains(*index));
        let held: Vec<Charge> = held.map(|(_, charge)| *charge).collect();
        services.store.admitted_without(&held);
    }
    // It was said of some of the limits, and is read as said of all.
    let place = |index: usize| places.get(index).copied().unwrap_or(usize::MAX);
    let would_refuse = verdict.would_refuse.indices().fold(ChargeSet::EMPTY, |set, index| set.with(place(index)));
    judge(limits, Verdict { decided: place(verdict.decided), would_refuse, alone: true, ..verdict })
}

#[cfg(test)]
mod tests;
