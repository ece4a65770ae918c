//! Which path and query an upstream is asked for.

use std::borrow::Cow;

use crate::rejection::Rejection;
use crate::source::Facts;
use crate::template::{TargetTemplate, Unfit};

/// Which path an upstream is asked for: always made from the canonical one that was matched, authenticated and limited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// The canonical path as it is.
    Keep,
    /// The canonical path without these leading bytes: a literal prefix of the route's pattern.
    StripPrefix(Box<str>),
    /// A template.
    Template(TargetTemplate),
}

/// The path and query for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten<'a> {
    /// The path: canonical.
    pub path: Cow<'a, str>,
    /// The query without its `?`; none or empty for none.
    pub query: Option<Cow<'a, str>>,
}

impl Rewrite {
    /// The path and query for one request. The query is the request's, unless the template has one of its own.
    ///
    /// # Errors
    /// 400 when a value that the template needs is absent or does not fit.
    pub fn apply<'a>(&self, facts: &Facts<'a>) -> Result<Rewritten<'a>, Rejection> {
        let path = match self {
            Self::Keep => Cow::Borrowed(facts.path),
            Self::StripPrefix(prefix) => {
                // The route's pattern begins with the prefix (compile checks it), so it can only be missing by our fault.
                let rest = facts.path.strip_prefix(&**prefix).ok_or(Rejection::Internal)?;
                if rest.starts_with('/') { Cow::Borrowed(rest) } else { Cow::Owned(format!("/{rest}")) }
            }
            Self::Template(template) => {
                let rendered = template.render(facts)?;
                let query = rendered.query.map(Cow::Owned).or(facts.query.map(Cow::Borrowed));
                return Ok(Rewritten { path: Cow::Owned(rendered.path), query });
            }
        };
        Ok(Rewritten { path, query: facts.query.map(Cow::Borrowed) })
    }
}

impl From<Unfit> for Rejection {
    fn from(Unfit: Unfit) -> Self {
        Self::BadRequest("the request lacks a value that this route needs, or it does not fit")
    }
}
