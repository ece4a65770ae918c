//! A template is text with `{…}` in it: path parameters and sources, encoded for the place they go to.

use std::fmt;
use std::ops::Range;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::source::{self, Facts, Source};

/// A compiled path template, such as "/v2/{rest}" or "/tenants/{claim:tenant}/{id}".
///
/// `{NAME}` is a path parameter of the route, else a source. A source's value goes in as one segment: `/`, `?`, `#`, `%`
/// are encoded and a dot segment is refused, so that no value can change which resource is named. Parameters, `{rest}` and `{path}` are
/// canonical already and go in as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate(Box<[Piece]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Param(Box<str>),
    Path,
    Source(Source),
    Text(Box<str>),
}

/// Why a text is not a template, and which bytes of it are at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// The place in the text.
    pub span: Range<usize>,
    message: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TemplateError {}

/// A value that the template needs is absent or empty, or is a dot segment, which no encoding makes safe (RFC 3986,
/// section 6.2.2.2: `%2E` is the same as `.`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfit;

/// What may not stand in a segment as it is (RFC 3986, section 3.3), and `%`, since a value is text, not a path.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

impl PathTemplate {
    /// Compiles `text`, whose parameters are those in `params`.
    ///
    /// # Errors
    /// No leading slash, an unclosed or empty brace, or a name that is neither a parameter nor a source.
    pub fn parse(text: &str, params: &[&str]) -> Result<Self, TemplateError> {
        if !text.starts_with('/') {
            return Err(TemplateError { span: 0..text.len(), message: "a path template starts with `/`".into() });
        }
        if let Some(at) = text.find(['?', '#']) {
            let message = "a path template has no query and no fragment; the query is kept as it came".into();
            return Err(TemplateError { span: at..at + 1, message });
        }
        let mut pieces = Vec::new();
        let mut at = 0;
        while let Some(tail) = text.get(at..).filter(|tail| !tail.is_empty()) {
            if let Some(inner) = tail.strip_prefix('{') {
                let length = inner.find('}').ok_or_else(|| TemplateError {
                    span: at..text.len(),
                    message: "this brace is never closed".into(),
                })?;
                let name = inner.get(..length).unwrap_or_default();
                pieces.push(Piece::named(name, params, at..at + length + 2)?);
                at += length + 2;
            } else {
                let length = tail.find('{').unwrap_or(tail.len());
                pieces.push(Piece::Text(tail.get(..length).unwrap_or_default().into()));
                at += length;
            }
        }
        Ok(Self(pieces.into()))
    }

    /// The path for one request.
    ///
    /// # Errors
    /// [`Unfit`] when a value is not there or cannot be one segment: the request is answered with 400.
    pub fn render(&self, facts: &Facts<'_>) -> Result<String, Unfit> {
        let mut out = String::with_capacity(64);
        for piece in &self.0 {
            match piece {
                Piece::Param(name) => out.push_str(facts.params.get(name).ok_or(Unfit)?),
                Piece::Path => out.push_str(facts.path),
                Piece::Source(source) => push_segment(&mut out, &source.text(facts).ok_or(Unfit)?)?,
                Piece::Text(text) => out.push_str(text),
            }
        }
        Ok(out)
    }
}

impl Piece {
    fn named(name: &str, params: &[&str], span: Range<usize>) -> Result<Self, TemplateError> {
        if name == "path" {
            return Ok(Self::Path);
        }
        if params.contains(&name) {
            return Ok(Self::Param(name.into()));
        }
        name.parse().map(Self::Source).map_err(|_| TemplateError {
            span,
            message: format!(
                "`{name}` is neither a parameter of this route's path nor a source; sources are {}",
                source::ACCEPTED
            ),
        })
    }
}

/// One value as one segment.
fn push_segment(out: &mut String, value: &str) -> Result<(), Unfit> {
    if matches!(value, "" | "." | "..") {
        return Err(Unfit);
    }
    out.extend(utf8_percent_encode(value, SEGMENT));
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Method};

    use super::*;
    use crate::route::Params;

    fn render(template: &str, header: &'static str) -> Result<String, Unfit> {
        let mut headers = HeaderMap::new();
        headers.try_insert("x-value", HeaderValue::from_static(header)).unwrap();
        let facts = Facts {
            client: None,
            headers: &headers,
            host: "shop.test",
            identity: None,
            method: &Method::GET,
            params: Params::EMPTY,
            path: "/a/b",
            query: None,
        };
        PathTemplate::parse(template, &[]).unwrap().render(&facts)
    }

    #[test]
    fn a_hostile_value_stays_one_segment() {
        assert_eq!(render("/t/{header:x-value}/x", "../../admin").unwrap(), "/t/..%2F..%2Fadmin/x");
        assert_eq!(render("/t/{header:x-value}/x", ".."), Err(Unfit));
        assert_eq!(render("/t/{header:x-value}/x", ""), Err(Unfit));
        assert_eq!(render("/t/{header:x-value}", "a?b#c%2f").unwrap(), "/t/a%3Fb%23c%252f");
        assert_eq!(render("/t/{header:x-value}", "a\\b").unwrap(), "/t/a%5Cb");
    }

    #[test]
    fn an_absent_value_is_unfit() {
        assert_eq!(render("/t/{claim:tenant}", "x"), Err(Unfit));
        assert_eq!(render("/v2{path}", "x").unwrap(), "/v2/a/b");
    }

    #[test]
    fn faults_name_their_place() {
        assert_eq!(PathTemplate::parse("/a/{nope}", &["id"]).unwrap_err().span, 3..9);
        assert_eq!(PathTemplate::parse("/a/{id", &["id"]).unwrap_err().span, 3..6);
        assert!(PathTemplate::parse("a", &[]).is_err());
        assert!(PathTemplate::parse("/a?b={id}", &["id"]).is_err());
    }
}
