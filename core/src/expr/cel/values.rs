//! The request as the engine's values: each field is made when the expression asks for it, and borrows what it can.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use ::cel::ExecutionError;
use ::cel::common::traits::{self, Container, Indexer, Iterable, Sizer};
use ::cel::common::types::{CelInt, CelString, MAP_TYPE, Type};
use ::cel::common::value::{CowVal, Val};
use ::cel::context::VariableResolver;
use http::header::{COOKIE, HeaderName};
use percent_encoding::percent_decode_str;

use super::failure::ours;
use super::json;
use super::kind::Fields;
use crate::source::Facts;

/// The names of the contract, for one request.
pub(super) struct Names<'f> {
    pub(super) facts: &'f Facts<'f>,
    /// How many elements a list or map may have.
    pub(super) most: usize,
}

impl VariableResolver for Names<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let fields = Fields::named(name)?;
        if fields == Fields::Identity && self.facts.identity.is_none() {
            return None;
        }
        Some(CowVal::owned(Lazy::new(fields, self.facts, self.most)))
    }
}

/// A value with fields, none of which is made yet.
#[derive(Clone, Debug)]
struct Lazy<'v> {
    facts: &'v Facts<'v>,
    fields: Fields,
    /// The engine walks borrowed elements, so they have to be somewhere.
    keys: OnceLock<Box<[CelString<'v>]>>,
    most: usize,
}

impl<'v> Lazy<'v> {
    fn new(fields: Fields, facts: &'v Facts<'v>, most: usize) -> Self {
        Self { facts, fields, keys: OnceLock::new(), most }
    }

    fn field(&self, name: &str) -> Result<Box<dyn Val + 'v>, ExecutionError> {
        let absent = || ExecutionError::NoSuchKey(Arc::new(name.to_owned()));
        let text = match self.fields {
            Fields::Claims => {
                let claim = self.facts.identity.and_then(|identity| identity.claims().get(name)).ok_or_else(absent)?;
                return json::read(claim, self.most);
            }
            Fields::Headers => self.header(name)?,
            Fields::Identity => return self.identity(name).ok_or_else(absent),
            Fields::Params => self.facts.params.get(name).map(Cow::Borrowed),
            Fields::Query => self.parameter(name)?,
            Fields::Request => return self.request(name).ok_or_else(absent),
        };
        Ok(boxed(text.ok_or_else(absent)?))
    }

    fn request(&self, name: &str) -> Option<Box<dyn Val + 'v>> {
        let text = match name {
            "client" => Cow::Owned(self.facts.client?.to_string()),
            "headers" => return Some(self.within(Fields::Headers)),
            "host" => Cow::Borrowed(self.facts.host),
            "method" => Cow::Borrowed(self.facts.method.as_str()),
            "path" => Cow::Borrowed(self.facts.path),
            "query" => return Some(self.within(Fields::Query)),
            _ => return None,
        };
        Some(boxed(text))
    }

    fn identity(&self, name: &str) -> Option<Box<dyn Val + 'v>> {
        let identity = self.facts.identity?;
        match name {
            "claims" => Some(self.within(Fields::Claims)),
            "id" => Some(boxed(Cow::Borrowed(identity.id()))),
            "verifier" => Some(boxed(Cow::Borrowed(identity.verifier()))),
            _ => None,
        }
    }

    fn within(&self, fields: Fields) -> Box<dyn Val + 'v> {
        Box::new(Lazy::new(fields, self.facts, self.most))
    }

    /// All lines of a field as one value (RFC 9110, section 5.3; for cookies RFC 9113, section 8.2.3). One that is not text is an error
    /// and not absent: the upstream sees it.
    fn header(&self, name: &str) -> Result<Option<Cow<'v, str>>, ExecutionError> {
        let headers = self.facts.headers;
        let mut lines =
            headers.get_all(name).iter().map(|line| line.to_str().map_err(|_| ours("a header is not text")));
        let Some(first) = lines.next().transpose()? else { return Ok(None) };
        let Some(second) = lines.next() else { return Ok(Some(Cow::Borrowed(first))) };
        let between = if name == COOKIE.as_str() { "; " } else { ", " };
        let rest = std::iter::once(second).chain(lines);
        let joined = rest.map(|line| line.map(|line| [between, line].concat())).collect::<Result<String, _>>()?;
        Ok(Some(Cow::Owned([first, &joined].concat())))
    }

    /// The one value of a query parameter, percent-decoded once.
    fn parameter(&self, name: &str) -> Result<Option<Cow<'v, str>>, ExecutionError> {
        let mut values =
            pairs(self.facts).filter(|(key, _)| decoded(key).is_some_and(|key| key == name)).map(|(_, value)| value);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(ours("a query parameter was sent twice"));
        }
        decoded(value).map(Some).ok_or_else(|| ours("a query parameter is not text"))
    }

    fn has(&self, name: &str) -> bool {
        match self.fields {
            Fields::Claims => self.facts.identity.is_some_and(|identity| identity.claims().contains_key(name)),
            Fields::Headers => self.facts.headers.contains_key(name),
            Fields::Params => self.facts.params.get(name).is_some(),
            Fields::Query => pairs(self.facts).any(|(key, _)| decoded(key).is_some_and(|key| key == name)),
            Fields::Identity | Fields::Request => false,
        }
    }

    fn keys(&self) -> &[CelString<'v>] {
        self.keys.get_or_init(|| {
            let mut keys: Vec<Cow<'v, str>> = match self.fields {
                Fields::Claims => {
                    let claims = self.facts.identity.into_iter().flat_map(|identity| identity.claims().keys());
                    claims.map(|name| Cow::Borrowed(name.as_str())).collect()
                }
                Fields::Headers => self.facts.headers.keys().map(HeaderName::as_str).map(Cow::Borrowed).collect(),
                Fields::Params => self.facts.params.iter().map(|(name, _)| Cow::Borrowed(name)).collect(),
                Fields::Query => pairs(self.facts).filter_map(|(key, _)| decoded(key)).collect(),
                Fields::Identity | Fields::Request => Vec::new(),
            };
            keys.sort_unstable();
            keys.dedup();
            keys.into_iter().map(CelString::from).collect()
        })
    }
}

fn boxed<'v>(text: Cow<'v, str>) -> Box<dyn Val + 'v> {
    Box::new(CelString::from(text))
}

fn pairs<'v>(facts: &Facts<'v>) -> impl Iterator<Item = (&'v str, &'v str)> + use<'v> {
    let pairs = facts.query.into_iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn decoded(text: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(text).decode_utf8().ok()
}

fn key(key: &dyn Val) -> Result<&str, ExecutionError> {
    key.downcast_ref::<CelString>().map(CelString::inner).ok_or_else(|| ours("a key is not text"))
}

impl Val for Lazy<'_> {
    fn get_type(&self) -> &Type {
        &MAP_TYPE
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'w>(&'b self) -> Option<&'b (dyn Indexer + 'w)>
    where
        Self: 'w,
    {
        Some(self)
    }

    fn as_iterable<'b, 'w>(&'b self) -> Option<&'b (dyn Iterable + 'w)>
    where
        Self: 'w,
    {
        // What must not be walked is an error, and the engine says so.
        (self.keys().len() <= self.most).then_some(self as &(dyn Iterable + 'w))
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    fn clone_as_boxed<'w>(&self) -> Box<dyn Val + 'w>
    where
        Self: 'w,
    {
        Box::new(self.clone())
    }
}

impl Container for Lazy<'_> {
    fn contains(&self, value: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(self.has(key(value)?))
    }
}

impl Indexer for Lazy<'_> {
    fn get<'b, 'w>(&'b self, name: &dyn Val) -> Result<CowVal<'b, 'w>, ExecutionError>
    where
        Self: 'w,
    {
        self.field(key(name)?).map(CowVal::Owned)
    }

    fn steal<'w>(self: Box<Self>, name: &dyn Val) -> Result<Box<dyn Val + 'w>, ExecutionError>
    where
        Self: 'w,
    {
        self.field(key(name)?).map(|value| value as Box<dyn Val + 'w>)
    }
}

impl Iterable for Lazy<'_> {
    fn iter<'b, 'w>(&'b self) -> Box<dyn traits::Iterator<'b, 'w> + 'b>
    where
        Self: 'w,
    {
        Box::new(Keys(self.keys().iter()))
    }
}

impl Sizer for Lazy<'_> {
    fn size(&self) -> CelInt {
        CelInt::from(i64::try_from(self.keys().len()).unwrap_or(i64::MAX))
    }
}

struct Keys<'b, 'v>(std::slice::Iter<'b, CelString<'v>>);

impl<'b, 'v: 'w, 'w> traits::Iterator<'b, 'w> for Keys<'b, 'v> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'w)> {
        self.0.next().map(|key| key as &'b (dyn Val + 'w))
    }
}
