//! What a 401 asks for: its `WWW-Authenticate` (RFC 9110, section 11.6.1).

use http::HeaderValue;

/// How a verifier wants to be shown tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scheme {
    /// API keys. `ApiKey` is a name of our own: none is registered for them, and RFC 9110 wants a challenge with every 401.
    ApiKey,
    /// Bearer tokens (RFC 6750).
    Bearer,
}

/// The schemes by which a route's verifiers would have taken a token. Says `error="invalid_token"` only of a bearer token that
/// was there and was refused: a client that sent none is told no error (RFC 6750, section 3.1), and no client which check
/// failed.
///
/// ```
/// use portcullis_core::auth::{Challenge, Scheme};
/// let both = Challenge::default().asking(Scheme::ApiKey).asking(Scheme::Bearer);
/// assert_eq!(both.value(), "Bearer, ApiKey");
/// assert_eq!(both.refusing(Scheme::Bearer).value(), "Bearer error=\"invalid_token\", ApiKey");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    api_key: bool,
    bearer: Bearer,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Bearer {
    Asked,
    #[default]
    NotAsked,
    Refused,
}

impl Challenge {
    /// The same, and a token of this scheme would have done.
    #[must_use]
    pub fn asking(mut self, scheme: Scheme) -> Self {
        match (scheme, self.bearer) {
            (Scheme::ApiKey, _) => self.api_key = true,
            (Scheme::Bearer, Bearer::NotAsked) => self.bearer = Bearer::Asked,
            (Scheme::Bearer, _) => {}
        }
        self
    }

    /// The same, and a token of this scheme was there and did not hold.
    #[must_use]
    pub fn refusing(mut self, scheme: Scheme) -> Self {
        match scheme {
            Scheme::ApiKey => self.api_key = true,
            Scheme::Bearer => self.bearer = Bearer::Refused,
        }
        self
    }

    /// The field's value; one that asks for nothing asks for a bearer token, since a 401 must ask for something.
    pub const fn value(self) -> HeaderValue {
        HeaderValue::from_static(match (self.bearer, self.api_key) {
            (Bearer::Asked | Bearer::NotAsked, false) => "Bearer",
            (Bearer::Asked, true) => "Bearer, ApiKey",
            (Bearer::NotAsked, true) => "ApiKey",
            (Bearer::Refused, false) => "Bearer error=\"invalid_token\"",
            (Bearer::Refused, true) => "Bearer error=\"invalid_token\", ApiKey",
        })
    }
}
