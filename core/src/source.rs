//! A source names one value of a request ("identity", "header:x", "a+b"); compiled once, read without an engine.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::{HeaderMap, HeaderName, Method};

use crate::auth::Identity;
use crate::caching::key::part;
use crate::route::Params;
use crate::subject::{RuleId, Subject, SubjectHasher, SubjectKey};

/// What the steps may read of a request: its head, made canonical, and what earlier steps found out.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The client's address; none on a unix listener without a trusted forwarding header.
    pub client: Option<IpAddr>,
    /// The fields as they arrived, identity headers removed.
    pub headers: &'a HeaderMap,
    /// The canonical host: lower case, no port, no trailing dot; empty when the request names none.
    pub host: &'a str,
    /// Who the request is from, once a verifier has said so.
    pub identity: Option<&'a Identity>,
    /// The method.
    pub method: &'a Method,
    /// The route's path parameters.
    pub params: Params<'a>,
    /// The canonical path.
    pub path: &'a str,
    /// The query without its `?`, as it arrived.
    pub query: Option<&'a str>,
}

/// A compiled source: alternatives, the first that is present wins; each joins one or more values, all of which must be
/// present.
///
/// ```
/// use portcullis_core::source::Source;
/// let source: Source = "claim:tenant+host".parse()?;
/// assert_eq!(source.to_string(), "claim:tenant+host");
/// assert!("headers:x".parse::<Source>().is_err());
/// # Ok::<(), portcullis_core::source::SourceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source(Box<[Box<[Value]>]>);

/// One value a source can name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Claim(Box<str>),
    Client,
    Cookie(Box<str>),
    Everyone,
    Header(HeaderName),
    Host,
    Identity,
    Method,
    Param(Box<str>),
    Path,
    Query(Box<str>),
}

/// Why a text is not a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError(String);

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SourceError {}

/// What every source error ends with.
pub const ACCEPTED: &str = "\"identity\", \"client\", \"claim:NAME\", \"header:NAME\", \"cookie:NAME\", \"query:NAME\", \
                            \"param:NAME\", \"host\", \"path\", \"method\", \"everyone\", or two of them joined: \"a+b\"";

impl Source {
    /// Several alternatives in order: the first present wins.
    pub fn first_of(sources: impl IntoIterator<Item = Self>) -> Self {
        Self(sources.into_iter().flat_map(|source| source.0.into_vec()).collect())
    }

    /// The default key of a limit: the identity, else the client's address.
    pub fn identity_or_client() -> Self {
        Self(Box::new([Box::new([Value::Identity]), Box::new([Value::Client])]))
    }

    /// Whether a client can choose the value freely, so that a limit keyed by it does not bind the client.
    pub fn is_chosen_by_client(&self) -> bool {
        self.0.iter().flatten().any(|value| {
            matches!(value, Value::Cookie(_) | Value::Header(_) | Value::Param(_) | Value::Path | Value::Query(_))
        })
    }

    /// Whether it is there only for who was verified: every alternative reads the identity or a claim.
    pub fn needs_identity(&self) -> bool {
        let reads = |value: &Value| matches!(value, Value::Claim(_) | Value::Identity);
        self.0.iter().all(|alternative| alternative.iter().any(reads))
    }

    /// Whether a cookie is part of it.
    pub fn reads_cookie(&self) -> bool {
        self.0.iter().flatten().any(|value| matches!(value, Value::Cookie(_)))
    }

    /// Whether the host is part of it, which a client can choose where a route takes any.
    pub fn reads_host(&self) -> bool {
        self.0.iter().flatten().any(|value| *value == Value::Host)
    }

    /// Whether the method is part of it, which a client can choose where a route takes any.
    pub fn reads_method(&self) -> bool {
        self.0.iter().flatten().any(|value| *value == Value::Method)
    }

    /// Whether the path is part of it.
    pub fn reads_path(&self) -> bool {
        self.0.iter().flatten().any(|value| *value == Value::Path)
    }

    /// Every name that the source reads as `param:NAME`, for checks against a route's path.
    pub fn params(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flatten().filter_map(|value| match value {
            Value::Param(name) => Some(&**name),
            _ => None,
        })
    }

    /// Who the request is counted as by this source under `rule`; where no alternative is present, the client.
    ///
    /// An identity counts with its verifier, so that two verifiers never share a bucket. Allocates nothing unless a
    /// claim is not a string or a query value is percent-coded.
    pub fn subject(&self, key: &SubjectKey, rule: RuleId, facts: &Facts<'_>) -> Subject {
        self.present(key, rule, facts).unwrap_or_else(|| {
            let mut hasher = SubjectHasher::new(key);
            match facts.client {
                Some(address) => hasher.address(Value::Client.kind(), address),
                // All of them together, so that nobody goes uncounted. No address is as long as this.
                None => hasher.text(Value::Client.kind(), b"no address"),
            }
            hasher.finish(rule)
        })
    }

    /// The same; none where no alternative is present.
    pub fn present(&self, key: &SubjectKey, rule: RuleId, facts: &Facts<'_>) -> Option<Subject> {
        self.0.iter().find_map(|alternative| {
            let mut hasher = SubjectHasher::new(key);
            alternative.iter().all(|value| value.hash(facts, &mut hasher)).then(|| hasher.finish(rule))
        })
    }

    /// Puts the value behind what is in `out`, such that no two values have the same bytes: kind, name and text of each part, with their
    /// lengths before them. Where no alternative is present, that they are absent, and false. Allocates nothing where `out` has room,
    /// unless a claim is not a string or a query value is percent-coded.
    pub(crate) fn write_key(&self, facts: &Facts<'_>, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        for alternative in &self.0 {
            out.push(u8::try_from(alternative.len()).unwrap_or(u8::MAX));
            if alternative.iter().all(|value| value.write_key(facts, out)) {
                return true;
            }
            out.truncate(start);
        }
        // No alternative has no parts.
        out.push(0);
        false
    }

    /// The value as text (an identity is its id); joined values are put side by side with a `+` between. None when no
    /// alternative is present.
    pub fn text<'a>(&'a self, facts: &Facts<'a>) -> Option<Cow<'a, str>> {
        self.0.iter().find_map(|alternative| match &**alternative {
            [value] => value.text(facts),
            several => {
                let texts = several.iter().map(|value| value.text(facts)).collect::<Option<Vec<_>>>()?;
                Some(Cow::Owned(texts.join("+")))
            }
        })
    }

    /// Which alternative a request would be counted by, as written: for `explain` and logs. `client` where none is
    /// present.
    pub fn chosen(&self, facts: &Facts<'_>) -> String {
        self.0
            .iter()
            .find(|alternative| alternative.iter().all(|value| value.text(facts).is_some()))
            .map_or_else(|| "client".to_owned(), |alternative| joined(alternative))
    }
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let values = text.split('+').map(str::trim).map(Value::parse).collect::<Result<Box<[_]>, _>>()?;
        Ok(Self(Box::new([values])))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.0.iter().map(|alternative| joined(alternative)).collect();
        f.write_str(&all.join(", "))
    }
}

fn joined(values: &[Value]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join("+")
}

impl Value {
    fn parse(text: &str) -> Result<Self, SourceError> {
        let named = |make: fn(Box<str>) -> Self, name: &str| {
            if name.is_empty() {
                Err(SourceError(format!("`{text}` names nothing after its colon")))
            } else {
                Ok(make(name.into()))
            }
        };
        match text.split_once(':') {
            Some(("claim", name)) => named(Self::Claim, name),
            Some(("cookie", name)) => named(Self::Cookie, name),
            Some(("header", name)) => HeaderName::from_bytes(name.as_bytes())
                .map(Self::Header)
                .map_err(|_| SourceError(format!("`{name}` is not a header name"))),
            Some(("param", name)) => named(Self::Param, name),
            Some(("query", name)) => named(Self::Query, name),
            _ => match text {
                "client" => Ok(Self::Client),
                "everyone" => Ok(Self::Everyone),
                "host" => Ok(Self::Host),
                "identity" => Ok(Self::Identity),
                "method" => Ok(Self::Method),
                "path" => Ok(Self::Path),
                _ => Err(SourceError(format!("`{text}` is not a source"))),
            },
        }
    }

    /// A number of its own for each kind, so that `header:x` and `cookie:x` of the same value differ. Part of what nodes
    /// share: never renumber.
    const fn kind(&self) -> u8 {
        match self {
            Self::Identity => 1,
            Self::Client => 2,
            Self::Claim(_) => 3,
            Self::Header(_) => 4,
            Self::Cookie(_) => 5,
            Self::Query(_) => 6,
            Self::Param(_) => 7,
            Self::Host => 8,
            Self::Path => 9,
            Self::Method => 10,
            Self::Everyone => 11,
        }
    }

    /// What follows the colon; empty where nothing does.
    fn name(&self) -> &str {
        match self {
            Self::Claim(name) | Self::Cookie(name) | Self::Param(name) | Self::Query(name) => name,
            Self::Header(name) => name.as_str(),
            Self::Client | Self::Everyone | Self::Host | Self::Identity | Self::Method | Self::Path => "",
        }
    }

    /// Adds the value; false when it is absent.
    fn hash(&self, facts: &Facts<'_>, hasher: &mut SubjectHasher) -> bool {
        match self {
            Self::Client => facts.client.is_some_and(|address| {
                hasher.address(self.kind(), address);
                true
            }),
            Self::Identity => facts.identity.is_some_and(|identity| {
                hasher.text(self.kind(), identity.verifier().as_bytes());
                hasher.text(self.kind(), identity.id().as_bytes());
                true
            }),
            _ => self.text(facts).is_some_and(|text| {
                // The name too: one value in two headers, or in two claims, is two subjects.
                hasher.text(self.kind(), self.name().as_bytes());
                hasher.text(self.kind(), text.as_bytes());
                true
            }),
        }
    }

    /// [`Source::write_key`]; false when it is absent.
    fn write_key(&self, facts: &Facts<'_>, out: &mut Vec<u8>) -> bool {
        out.push(self.kind());
        part(out, self.name().as_bytes());
        match self {
            Self::Identity => facts.identity.is_some_and(|identity| {
                part(out, identity.verifier().as_bytes());
                part(out, identity.id().as_bytes());
                true
            }),
            _ => self.text(facts).is_some_and(|text| {
                part(out, text.as_bytes());
                true
            }),
        }
    }

    fn text<'a>(&'a self, facts: &Facts<'a>) -> Option<Cow<'a, str>> {
        match self {
            Self::Claim(path) => facts.identity.and_then(|identity| identity.claim_text(path)),
            Self::Client => facts.client.map(|address| Cow::Owned(address.to_string())),
            Self::Cookie(name) => cookie(facts.headers, name).map(Cow::Borrowed),
            Self::Everyone => Some(Cow::Borrowed("everyone")),
            Self::Header(name) => facts.headers.get(name).and_then(|value| value.to_str().ok()).map(Cow::Borrowed),
            Self::Host => Some(facts.host).filter(|host| !host.is_empty()).map(Cow::Borrowed),
            Self::Identity => facts.identity.map(|identity| Cow::Borrowed(identity.id())),
            Self::Method => Some(Cow::Borrowed(facts.method.as_str())),
            Self::Param(name) => facts.params.get(name).map(Cow::Borrowed),
            Self::Path => Some(Cow::Borrowed(facts.path)),
            Self::Query(name) => facts.query.and_then(|query| query_value(query, name)),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim(name) => write!(f, "claim:{name}"),
            Self::Client => f.write_str("client"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Everyone => f.write_str("everyone"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Host => f.write_str("host"),
            Self::Identity => f.write_str("identity"),
            Self::Method => f.write_str("method"),
            Self::Param(name) => write!(f, "param:{name}"),
            Self::Path => f.write_str("path"),
            Self::Query(name) => write!(f, "query:{name}"),
        }
    }
}

/// The first cookie called `name` (RFC 6265, section 4.2).
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(http::header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value.trim_matches('"')))
}

/// The first value of `name`, percent-decoded once; a value that is not UTF-8 is absent.
fn query_value<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = percent_encoding::percent_decode_str(key).decode_utf8().ok()?;
        (key == name).then(|| percent_encoding::percent_decode_str(value).decode_utf8().ok())?
    })
}

#[cfg(test)]
mod tests;
