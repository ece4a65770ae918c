//! Where a client is sent instead.

use http::HeaderValue;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::{TargetTemplate, TemplateError, Unfit, find_outside};
use crate::route::canonical_host;
use crate::source::Facts;

/// A compiled template of a URL, such as `https://shop.test{path}` or `/new/{rest}`.
///
/// The scheme and the host are text: no value of a request ever gets into them, so nobody can be sent anywhere else. What
/// stands behind is a [`TargetTemplate`]: its path is canonical, and never begins with two slashes. Without a query of its own
/// it takes the request's along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectTemplate {
    /// `https://shop.test`; empty for a path on the host that was asked.
    origin: Box<str>,
    target: TargetTemplate,
}

/// What may not stand in a query as it is (RFC 3986, section 3.4). `%` is left: what arrived has escapes.
const QUERY: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

impl RedirectTemplate {
    /// Compiles `text`, where the route's path has the parameters `params`.
    ///
    /// # Errors
    /// It begins with neither `http://`, `https://`, a single `/` nor `{path}`; the host is none, or has a value in it; and
    /// whatever [`TargetTemplate::parse`] refuses.
    pub fn parse(text: &str, params: &[&str]) -> Result<Self, TemplateError> {
        if text.starts_with("//") {
            let message = "a redirect does not begin with `//`: name the scheme, or begin with one `/`";
            return Err(TemplateError::new(0..2, message));
        }
        let origin = if text.starts_with('/') || text.starts_with("{path}") { 0 } else { origin(text)? };
        let (written, rest) = text.split_at_checked(origin).unwrap_or((text, ""));
        let target = if rest.is_empty() || rest.starts_with('?') {
            // A host alone, with or without a query: its path is `/`. Places stay right: the query stands at the end.
            let with_path = format!("{}/{rest}", " ".repeat(origin.saturating_sub(1)));
            TargetTemplate::parse_part(&with_path, origin.saturating_sub(1)..with_path.len(), params)?
        } else {
            TargetTemplate::parse_part(text, origin..text.len(), params)?
        };
        Ok(Self { origin: written.into(), target })
    }

    /// Whether it reads what only a verified identity has.
    pub fn needs_identity(&self) -> bool {
        self.target.needs_identity()
    }

    /// The value of `Location` for one request (RFC 9110, section 10.2.2).
    ///
    /// # Errors
    /// As [`TargetTemplate::render`].
    pub fn render(&self, facts: &Facts<'_>) -> Result<HeaderValue, Unfit> {
        let rendered = self.target.render(facts)?;
        let mut url = String::with_capacity(self.origin.len() + rendered.path.len() + 64);
        url.push_str(&self.origin);
        url.push_str(&rendered.path);
        match (rendered.query.as_deref(), facts.query) {
            (Some("") | None, None) | (Some(""), Some(_)) => {}
            (Some(query), _) => {
                url.push('?');
                url.push_str(query);
            }
            (None, Some(query)) => {
                url.push('?');
                url.extend(utf8_percent_encode(query, QUERY));
            }
        }
        HeaderValue::try_from(url).map_err(|_| Unfit)
    }
}

/// How many bytes of `text` are the scheme and the host.
fn origin(text: &str) -> Result<usize, TemplateError> {
    let Some(scheme) = ["https://", "http://"].into_iter().find(|scheme| text.starts_with(scheme)) else {
        let message = "a redirect begins with `https://`, `http://` or `/`";
        return Err(TemplateError::new(0..text.len(), message));
    };
    let behind = text.get(scheme.len()..).unwrap_or_default();
    let path = find_outside(behind, &['/', '?', '#']).unwrap_or(behind.len());
    let end = scheme.len() + behind.find('{').unwrap_or(behind.len()).min(path);
    let rest = text.get(end..).unwrap_or_default();
    if rest.starts_with('{') && !rest.starts_with("{path}") {
        let close = end + rest.find('}').map_or(rest.len(), |at| at + 1);
        return Err(TemplateError::new(
            end..close,
            "a redirect's host never comes from a value: between the host and a value stands a `/`",
        ));
    }
    let host = text.get(scheme.len()..end).unwrap_or_default();
    canonical_host(host).map_err(|error| {
        let span = if host.is_empty() { 0..text.len() } else { scheme.len()..end };
        TemplateError::new(span, format!("the redirect's host is none: {error}"))
    })?;
    Ok(end)
}
