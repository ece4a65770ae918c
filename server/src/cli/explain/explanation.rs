//! What `explain` found, as data. Made once; `text.rs` draws it for people, and `--json` prints it as it stands here.
//!
//! The document is stable: a field keeps its name and its meaning, and new ones are added. What was not reached, because the
//! request was refused before, is null. No token and no secret is in it.

use serde::Serialize;

/// What would happen to a request, and why.
#[derive(Debug, Default, Serialize)]
pub(super) struct Explanation {
    /// Whether steps 1 to 3 let it through.
    pub(super) admitted: bool,
    /// The request as it was given, without its query and user information: they may hold a token.
    pub(super) request: Asked,
    /// Whom it is from.
    pub(super) client: Client,
    /// Its header fields that are removed before anything reads them, with the reason.
    pub(super) removed: Vec<Removed>,
    /// The canonical path.
    pub(super) path: Option<String>,
    /// Every route in the file's order.
    pub(super) candidates: Vec<Candidate>,
    /// The one that takes it.
    pub(super) route: Option<Taking>,
    /// Who may pass.
    pub(super) auth: Option<Access>,
    /// Who it is from; null on a public route, too.
    pub(super) identity: Option<Known>,
    /// Header fields that say so to the upstream.
    pub(super) sets: Vec<Field>,
    /// What the route requires; null where it requires nothing.
    pub(super) require: Option<Condition>,
    /// What it is counted by.
    pub(super) limits: Option<Vec<Counted>>,
    /// What the cache does; null where the route keeps nothing.
    pub(super) cache: Option<Cache>,
    /// What answers.
    pub(super) target: Option<Target>,
    /// Where tokens stood that the upstream does not see.
    pub(super) hides: Vec<String>,
    /// What the route does to the header fields of the request to the upstream and of the answer to the client.
    pub(super) fields: Vec<Ruled>,
    /// What the gateway answers by itself; null where the upstream does.
    pub(super) answer: Option<Answer>,
}

/// The request as it was given.
#[derive(Debug, Default, Serialize)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) url: String,
    /// Who connects: an address, or "unix".
    pub(super) peer: String,
}

/// Whom a request is from: who connects, or for whom a trusted proxy speaks.
#[derive(Debug, Default, Serialize)]
pub(super) struct Client {
    /// Null over a unix socket.
    pub(super) address: Option<String>,
    /// What there is to say of it, if anything is.
    pub(super) why: Option<String>,
}

/// A header field that the gateway takes away.
#[derive(Debug, Serialize)]
pub(super) struct Removed {
    pub(super) name: String,
    pub(super) why: &'static str,
}

/// A route, and why it won or lost.
#[derive(Debug, Serialize)]
pub(super) struct Candidate {
    pub(super) route: String,
    /// Whether its host and path are the request's.
    pub(super) matches: bool,
    pub(super) takes_it: bool,
    pub(super) why: String,
}

/// The route that takes the request.
#[derive(Debug, Serialize)]
pub(super) struct Taking {
    pub(super) name: String,
    pub(super) pattern: String,
}

/// Who may pass a route.
#[derive(Debug, Serialize)]
pub(super) struct Access {
    /// Whether everybody may, and nobody is identified.
    pub(super) public: bool,
    /// The verifiers of which one must accept it.
    pub(super) verifiers: Vec<Verifier>,
}

/// A verifier of the route.
#[derive(Debug, Serialize)]
pub(super) struct Verifier {
    pub(super) name: String,
    /// Where its tokens stand, the first present wins.
    pub(super) token: Vec<String>,
    /// What a token must be; null for API keys.
    pub(super) jwt: Option<Jwt>,
}

/// What a JSON Web Token must be.
#[derive(Debug, Serialize)]
pub(super) struct Jwt {
    pub(super) algorithms: Vec<&'static str>,
    /// Null where it is not checked.
    pub(super) issuer: Option<String>,
    /// What its keys are, never the keys.
    pub(super) keys: String,
}

/// A verified identity.
#[derive(Debug, Serialize)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) verifier: String,
}

/// A header field.
#[derive(Debug, Serialize)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) value: String,
}

/// An expression, and its value for this request.
#[derive(Debug, Serialize)]
pub(super) struct Condition {
    pub(super) expression: String,
    /// Null where it has none.
    pub(super) value: Option<bool>,
    /// Why it has none.
    pub(super) error: Option<String>,
}

/// A limit that the request counts against.
#[derive(Debug, Serialize)]
pub(super) struct Counted {
    pub(super) name: String,
    /// How it counts: rate, algorithm, burst.
    pub(super) counting: String,
    pub(super) cost: u32,
    /// The source that was taken.
    pub(super) key: String,
    /// What the source is in this request; null where it may be a secret, and where a client has no address.
    pub(super) value: Option<String>,
    /// Whether the value may be a secret.
    pub(super) hidden: bool,
    /// The most that can pass in any period.
    pub(super) worst_case: String,
}

/// What the cache does with a request.
#[derive(Debug, Serialize)]
pub(super) struct Cache {
    /// The word of why it goes past it; null where it does not.
    pub(super) bypass: Option<&'static str>,
    /// The same as a sentence.
    pub(super) why: Option<String>,
    /// What tells it from other requests.
    pub(super) key: Vec<KeyPart>,
    /// What is kept of an answer, and for how long.
    pub(super) keeps: Vec<String>,
}

/// A part of a key.
#[derive(Debug, Serialize)]
pub(super) struct KeyPart {
    pub(super) name: String,
    /// Null where it is absent, and where it may be a secret.
    pub(super) value: Option<String>,
    /// Whether the value may be a secret.
    pub(super) hidden: bool,
}

/// What answers.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Target {
    /// The gateway itself, which sends the client elsewhere.
    Redirect { location: String },
    /// The gateway itself.
    Respond,
    /// One of several upstreams: the shares, the sum of their weights, how the choice is made, and what is chosen if that is sure.
    Split {
        shares: Vec<Share>,
        total: u64,
        why: String,
        chosen: Option<Pool>,
        #[serde(flatten)]
        forward: Forward,
    },
    /// An upstream.
    Upstream {
        #[serde(flatten)]
        pool: Pool,
        #[serde(flatten)]
        forward: Forward,
    },
}

/// An upstream's part in a split.
#[derive(Debug, Serialize)]
pub(super) struct Share {
    pub(super) upstream: String,
    pub(super) weight: u32,
}

/// An upstream.
#[derive(Debug, Serialize)]
pub(super) struct Pool {
    pub(super) name: String,
    pub(super) servers: Vec<String>,
    pub(super) balance: String,
    /// What answers when it has failed; null where nothing does.
    pub(super) fallback: Option<String>,
    /// What keeps it, its servers and their clients from harm.
    pub(super) guards: Vec<String>,
}

/// What an upstream is asked for; the client's own query is not shown.
#[derive(Debug, Serialize)]
pub(super) struct Forward {
    pub(super) method: String,
    pub(super) path: String,
    /// How often it may be sent again, and after what; null where that is up to the upstream that is chosen.
    pub(super) retries: Option<String>,
    /// What it may change the connection to; null for nothing.
    pub(super) upgrade: Option<String>,
}

/// What a route does to one header field.
#[derive(Debug, Serialize)]
pub(super) struct Ruled {
    /// Of the "request", or of the "answer".
    pub(super) of: &'static str,
    /// "removes", "sets" or "adds".
    pub(super) verb: &'static str,
    pub(super) name: String,
    /// Null for what is removed.
    pub(super) value: Option<String>,
}

/// An answer of the gateway itself.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The stable code of a refusal.
    pub(super) code: Option<&'static str>,
    /// What more there is to say of a refusal.
    pub(super) why: Option<String>,
}
