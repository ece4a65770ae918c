//! What the claims of a token must say.

use serde_json::{Map, Value};

use super::{AuthError, reason};
use crate::auth::identity::claim;
use crate::time::UnixTime;

/// The last second of the year 9999: what is later is a mistake (often milliseconds) or an attempt.
const LATEST: f64 = 253_402_300_799.0;

/// What a verifier wants of claims.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) audience: Expected,
    pub(super) id_claim: Box<str>,
    pub(super) issuer: Expected,
    /// In seconds.
    pub(super) leeway: u64,
}

/// What a claim may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// Anything, or absent: it is not looked at.
    Any,
    /// One of these.
    OneOf(Vec<Box<str>>),
}

/// What claims that hold amount to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) id: Box<str>,
    /// `exp`.
    pub(super) expires: UnixTime,
    /// When the token will no longer be accepted: `exp` and the leeway.
    pub(super) until: UnixTime,
}

impl Rules {
    /// Everything but the id's own rules, which are [`crate::auth::Identity`]'s.
    pub(super) fn check(&self, claims: &Map<String, Value>, now: UnixTime) -> Result<Accepted, AuthError> {
        // Fractions are cut so that they never help: `exp` down, `nbf` up.
        let expires = seconds(claims, "exp")?.map(f64::floor).map(whole).ok_or(AuthError::Invalid(reason::TIME))?;
        let until = UnixTime::from_secs(expires.saturating_add(self.leeway));
        if now >= until {
            return Err(AuthError::Invalid(reason::EXPIRED));
        }
        if let Some(begins) = seconds(claims, "nbf")?.map(f64::ceil).map(whole)
            && now.as_secs().saturating_add(self.leeway) < begins
        {
            return Err(AuthError::Invalid(reason::NOT_YET_VALID));
        }
        seconds(claims, "iat")?;
        if !self.issuer.is_met_by(claims.get("iss").and_then(Value::as_str).as_slice()) {
            return Err(AuthError::Invalid(reason::ISSUER));
        }
        if !self.audience.is_met_by(&audiences(claims.get("aud"))) {
            return Err(AuthError::Invalid(reason::AUDIENCE));
        }
        let id = claim(claims, &self.id_claim).and_then(Value::as_str).ok_or(AuthError::Invalid(reason::ID))?;
        Ok(Accepted { id: id.into(), expires: UnixTime::from_secs(expires), until })
    }
}

impl Expected {
    fn is_met_by(&self, given: &[&str]) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(accepted) => given.iter().any(|given| accepted.iter().any(|accepted| **accepted == **given)),
        }
    }
}

/// A time as seconds since the epoch, possibly with a fraction (NumericDate of RFC 7519, section 2). Texts, negative
/// numbers and ones out of range are refused, not read in some helpful way.
fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<f64>, AuthError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| (0.0..=LATEST).contains(seconds));
    seconds.map(Some).ok_or(AuthError::Invalid(reason::TIME))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and from 0 to LATEST")]
fn whole(seconds: f64) -> u64 {
    seconds as u64
}

/// Who the token is for: a text, or a list of nothing but texts (RFC 7519, section 4.1.3); otherwise nobody.
fn audiences(aud: Option<&Value>) -> Vec<&str> {
    match aud {
        Some(Value::Array(list)) => list.iter().map(Value::as_str).collect::<Option<_>>().unwrap_or_default(),
        Some(Value::String(one)) => vec![one],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn check(exp: f64, nbf: f64, now: u64, leeway: u64) -> Result<Accepted, AuthError> {
        let rules = Rules { audience: Expected::Any, id_claim: "sub".into(), issuer: Expected::Any, leeway };
        let claims = json!({ "sub": "ada", "exp": exp, "nbf": nbf });
        rules.check(claims.as_object().unwrap(), UnixTime::from_secs(now))
    }

    #[test]
    fn a_fraction_never_helps() {
        let times = |exp: f64, nbf: f64| check(exp, nbf, 100, 0).map(|accepted| accepted.until.as_secs());
        assert_eq!(times(101.9, 100.0), Ok(101));
        assert_eq!(times(100.9, 100.0), Err(AuthError::Invalid(reason::EXPIRED)));
        assert_eq!(times(101.0, 100.1), Err(AuthError::Invalid(reason::NOT_YET_VALID)));
    }

    proptest! {
        /// J03: a token holds from `nbf` less the leeway to `exp` and the leeway, its end not included.
        #[test]
        fn a_token_holds_between_its_times(exp in 0_u32..300, nbf in 0_u32..300, now in 0_u64..400, leeway in 0_u64..=60) {
            let accepted = check(f64::from(exp), f64::from(nbf), now, leeway);
            let (exp, nbf) = (u64::from(exp), u64::from(nbf));
            let holds = now < exp + leeway && now + leeway >= nbf;
            prop_assert_eq!(accepted.is_ok(), holds);
            if let Ok(accepted) = accepted {
                prop_assert_eq!((accepted.expires.as_secs(), accepted.until.as_secs()), (exp, exp + leeway));
            }
        }
    }
}
