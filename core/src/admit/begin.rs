//! Steps 2 and 3 in pieces, for who cannot hold a future that borrows: what goes without waiting is done at once, and of the rest
//! only what has to wait is kept.

use std::sync::Arc;

use super::authenticate::recall;
use super::limit::{Taken, ask, decide};
use super::{Accepted, Admitted, Refused, Routed, Services};
use crate::answer::Answer;
use crate::auth::{ForwardedClaims, Identity};
use crate::limit::{StoreError, Verdict};
use crate::plan::{Access, AuthIndex};

/// How far a request came without waiting.
#[derive(Debug)]
pub(crate) enum Begun<'p> {
    /// The store was asked, and has not answered: [`Routed::conclude`] says what its answer comes to.
    Asked(Option<Known>, Taken),
    /// Both steps are done.
    Done(Result<Admitted<'p>, Refused>),
    /// A token has to be checked. Nothing was spent: [`Routed::admit`] begins anew.
    Unknown,
}

/// Who was accepted: [`Accepted`], and borrows nothing.
#[derive(Debug)]
pub(crate) struct Known {
    auth: AuthIndex,
    claims: ForwardedClaims,
    identity: Arc<Identity>,
}

impl<'p> Routed<'p, '_> {
    /// Steps 2 and 3, as far as they need not wait.
    pub(crate) fn begin(&self, services: Services<'_>) -> Begun<'p> {
        let known = match &self.route.access {
            Access::Public => None,
            Access::Verified(verifiers) => match self.recall(verifiers, services) {
                Some(known) => Some(known),
                None => return Begun::Unknown,
            },
        };
        let facts = self.facts(known.as_ref().map(|known| &*known.identity));
        if let Err(rejection) = self.required(facts.identity) {
            return Begun::Done(self.concluded(self.accepted(known), Err(rejection)));
        }
        match ask(&self.route.limits, &facts, services) {
            Ok(Some(Answer::Now(taken))) => Begun::Done(self.conclude(known, taken, services)),
            Ok(Some(later)) => Begun::Asked(known, later),
            Ok(None) => Begun::Done(self.concluded(self.accepted(known), Ok(None))),
            Err(rejection) => Begun::Done(self.concluded(self.accepted(known), Err(rejection))),
        }
    }

    /// The outcome of both steps, now that the store has answered.
    pub(crate) fn conclude(
        &self,
        known: Option<Known>,
        taken: Result<Verdict, StoreError>,
        services: Services<'_>,
    ) -> Result<Admitted<'p>, Refused> {
        let facts = self.facts(known.as_ref().map(|known| &*known.identity));
        let limited = decide(&self.route.limits, &facts, services, taken);
        self.concluded(self.accepted(known), limited)
    }

    fn recall(&self, verifiers: &[AuthIndex], services: Services<'_>) -> Option<Known> {
        let auth = |index: &AuthIndex| self.plan.auths.get(index.0);
        let accepted = recall(verifiers.iter().filter_map(auth), &self.facts(None), services)?;
        let is_it = |index: &&AuthIndex| auth(index).is_some_and(|auth| std::ptr::eq(auth, accepted.auth));
        let index = *verifiers.iter().find(is_it)?;
        Some(Known { auth: index, claims: accepted.claims, identity: accepted.identity })
    }

    fn accepted(&self, known: Option<Known>) -> Option<Accepted<'p>> {
        let Known { auth, claims, identity } = known?;
        Some(Accepted { auth: self.plan.auths.get(auth.0)?, claims, identity })
    }
}
