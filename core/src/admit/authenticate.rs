//! Step 2: who a request is from, by the word of the first of a route's verifiers that accepts its token.

use std::sync::Arc;
use std::time::Duration;

use super::Services;
use crate::auth::{Auth, AuthError, Challenge, ForwardedClaims, Identity};
use crate::limit::Charge;
use crate::plan::Access;
use crate::rejection::Rejection;
use crate::source::Facts;

/// A token that was accepted.
#[derive(Clone, Debug)]
pub struct Accepted<'p> {
    /// By whom.
    pub auth: &'p Auth,
    /// What the upstream is told of it.
    pub claims: ForwardedClaims,
    /// Whose it is.
    pub identity: Arc<Identity>,
}

/// Step 2: the identity behind the request's token.
///
/// The verifiers are asked in their order, each for the token in its own places; one whose token is not there is passed over,
/// and the first that accepts decides. What the others would have said of theirs is not asked.
///
/// Only failed verifications are counted, for each client and verifier, once a request and only when nobody accepted it; a
/// client over its bound is refused before a signature is checked. A token that was verified before still passes.
///
/// # Errors
/// When nobody accepts: 503 if one had no keys to check with, else 429 if one was not asked after too many failures, else
/// 401, with a challenge of every verifier.
pub async fn authenticate<'p>(
    auths: impl Iterator<Item = &'p Auth> + Clone,
    facts: &Facts<'_>,
    services: Services<'_>,
) -> Result<Accepted<'p>, Rejection> {
    let mut nobody = Nobody::default();
    for (place, auth) in auths.clone().enumerate() {
        match ask(auth, facts, services).await {
            Ok(Some(accepted)) => return Ok(accepted),
            Ok(None) => nobody.challenge = nobody.challenge.asking(auth.scheme),
            Err(refused) => nobody.note(place, auth, refused),
        }
    }
    // Only now: a token that one verifier refuses and another accepts is no failure.
    for (_, auth) in auths.enumerate().filter(|(place, _)| nobody.has_refused(*place)) {
        count_failure(auth, facts, services).await;
    }
    Err(nobody.rejection())
}

/// What [`authenticate`] comes to where the first token that is there is one that its verifier remembers: found without waiting, and
/// nothing is counted. None where it takes more than that.
#[cfg(feature = "tower")]
pub(crate) fn recall<'p>(
    auths: impl Iterator<Item = &'p Auth>,
    facts: &Facts<'_>,
    services: Services<'_>,
) -> Option<Accepted<'p>> {
    for auth in auths {
        if let Some(token) = auth.token.find(facts.headers, facts.query).ok()? {
            let identity = auth.verifier.recall(&token, services.clock.unix())?;
            let claims = auth.claims(&identity).ok()?;
            return Some(Accepted { auth, claims, identity });
        }
    }
    None
}

/// Why one verifier did not accept a token that is there.
#[derive(Clone, Copy, Debug)]
enum Refused {
    /// It does not hold.
    Invalid(&'static str),
    /// The client failed too often to be asked.
    Throttled(Duration),
    /// There are no keys.
    Unavailable,
}

impl From<AuthError> for Refused {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Invalid(reason) => Self::Invalid(reason),
            AuthError::Unavailable => Self::Unavailable,
        }
    }
}

/// What one verifier says; none when its token is not there.
async fn ask<'p>(auth: &'p Auth, facts: &Facts<'_>, services: Services<'_>) -> Result<Option<Accepted<'p>>, Refused> {
    let Some(token) = auth.token.find(facts.headers, facts.query)? else { return Ok(None) };
    let now = services.clock.unix();
    let identity = match auth.verifier.recall(&token, now) {
        Some(identity) => identity,
        None => {
            may_fail(auth, facts, services).await?;
            auth.verifier.verify(&token, now).await?
        }
    };
    let claims = auth.claims(&identity)?;
    Ok(Some(Accepted { auth, claims, identity }))
}

/// Whether the client has failures left.
async fn may_fail(auth: &Auth, facts: &Facts<'_>, services: Services<'_>) -> Result<(), Refused> {
    let Some(charge) = failure_charge(auth, 0, facts, services) else { return Ok(()) };
    match services.store.take(&[charge]).await {
        Ok(verdict) if !verdict.admitted => Err(Refused::Throttled(verdict.wait)),
        // Only an answer refuses: a store that does not decide must not keep good tokens out.
        _ => Ok(()),
    }
}

/// Counts a failed verification against its client.
async fn count_failure(auth: &Auth, facts: &Facts<'_>, services: Services<'_>) {
    if let Some(charge) = failure_charge(auth, 1, facts, services)
        && let Err(error) = services.store.take(&[charge]).await
    {
        tracing::warn!(%error, verifier = &*auth.name, "a failed verification was not counted");
    }
}

fn failure_charge(auth: &Auth, cost: u32, facts: &Facts<'_>, services: Services<'_>) -> Option<Charge> {
    auth.failures.as_ref().map(|rule| Charge { cost, ..rule.charge(&services.subject_key(), facts) })
}

/// What is known while nobody has accepted the request.
#[derive(Clone, Copy, Debug, Default)]
struct Nobody {
    challenge: Challenge,
    /// Of the first that refused.
    reason: Option<&'static str>,
    /// A bit for each verifier that refused, by its place.
    refused: u8,
    /// The longest wait.
    throttled: Option<Duration>,
    unavailable: bool,
}

/// A bit for each.
const _: () = assert!(Access::MOST <= u8::BITS as usize);

impl Nobody {
    fn note(&mut self, place: usize, auth: &Auth, refused: Refused) {
        match refused {
            Refused::Invalid(reason) => {
                self.challenge = self.challenge.refusing(auth.scheme);
                self.reason = self.reason.or(Some(reason));
                self.refused |= bit(place);
            }
            Refused::Throttled(wait) => self.throttled = self.throttled.max(Some(wait)),
            Refused::Unavailable => self.unavailable = true,
        }
    }

    fn has_refused(self, place: usize) -> bool {
        self.refused & bit(place) != 0
    }

    fn rejection(self) -> Rejection {
        let challenge = self.challenge;
        match self {
            Self { unavailable: true, .. } => Rejection::VerifierUnavailable,
            Self { throttled: Some(retry_after), .. } => Rejection::TooManyFailures { retry_after },
            Self { reason: Some(reason), .. } => Rejection::InvalidToken { challenge, reason },
            Self { reason: None, .. } => Rejection::MissingToken { challenge },
        }
    }
}

fn bit(place: usize) -> u8 {
    u32::try_from(place).ok().and_then(|place| 1_u8.checked_shl(place)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
