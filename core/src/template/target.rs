//! A path, and perhaps a query, made for one request.

use std::borrow::Cow;
use std::ops::Range;

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{Piece, TemplateError, Unfit, find_outside, pieces};
use crate::admit::MAX_TARGET;
use crate::route::canonicalise;
use crate::source::Facts;

/// A compiled template of a path with or without a query, such as "/v2/{rest}" or "/search?q={id}".
///
/// In the path a source's value goes in as one segment: `/`, `?`, `#`, `%` and their like are encoded; what is empty, or has a
/// dot segment between slashes of either kind, is refused, so that no value can change which resource is named, whatever
/// an upstream decodes. Parameters, `{rest}` and `{path}` are canonical already and go in as they are. In the query every
/// value is one value: all but unreserved characters are encoded, and parameters are decoded before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetTemplate {
    path: Box<[Piece]>,
    query: Option<Box<[Piece]>>,
}

/// What a [`TargetTemplate`] is for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The path: canonical.
    pub path: String,
    /// The query without its `?`; none when the template has none, so that the request's own holds.
    pub query: Option<String>,
}

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

/// All but what is unreserved (RFC 3986, section 2.3): a `+` would be read as a space, a `&` as the end of the value.
const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl TargetTemplate {
    /// Compiles `text`, where the route's path has the parameters `params`.
    ///
    /// # Errors
    /// It begins neither with `/` nor with `{path}`; it has a fragment; a brace that is not closed or not opened; a name that
    /// is neither a parameter nor a source; text that cannot stand in a path or a query; a path that no values make good.
    pub fn parse(text: &str, params: &[&str]) -> Result<Self, TemplateError> {
        Self::parse_part(text, 0..text.len(), params)
    }

    /// The same of a part of `text`.
    pub(super) fn parse_part(text: &str, range: Range<usize>, params: &[&str]) -> Result<Self, TemplateError> {
        let part = text.get(range.clone()).unwrap_or_default();
        if !part.starts_with('/') && !part.starts_with("{path}") {
            return Err(TemplateError::new(range, "a path template starts with `/`"));
        }
        if let Some(at) = find_outside(part, &['#']) {
            let at = range.start + at;
            return Err(TemplateError::new(at..at + 1, "a path template has no fragment: it would not be sent"));
        }
        let end = find_outside(part, &['?']).map_or(range.end, |at| range.start + at);
        let path = pieces(text, range.start..end, params)?;
        if part.to_ascii_lowercase().contains("%2e") {
            return Err(TemplateError::new(range.start..end, "a dot is written as it is, not as an escape"));
        }
        if let Err(why) = render_sample(&path) {
            return Err(TemplateError::new(range.start..end, format!("no request can have this path: {why}")));
        }
        if end == range.end {
            return Ok(Self { path: path.into(), query: None });
        }
        let query = pieces(text, end + 1..range.end, params)?;
        if let Some(bad) = query.iter().find_map(unfit_for_query) {
            let message = format!("a query has no {bad:?} as it is; write it as an escape, like %20");
            return Err(TemplateError::new(end + 1..range.end, message));
        }
        Ok(Self { path: path.into(), query: Some(query.into()) })
    }

    /// Whether it reads what only a verified identity has.
    pub fn needs_identity(&self) -> bool {
        self.path.iter().chain(self.query.iter().flatten()).any(Piece::needs_identity)
    }

    /// The path and query for one request.
    ///
    /// # Errors
    /// [`Unfit`] when a value is absent, or cannot be one segment, or what comes out is over [`MAX_TARGET`].
    pub fn render(&self, facts: &Facts<'_>) -> Result<Rendered, Unfit> {
        let mut path = String::with_capacity(64);
        for piece in &self.path {
            match piece {
                Piece::Param(name) => path.push_str(facts.params.get(name).ok_or(Unfit)?),
                Piece::Path => path.push_str(facts.path),
                Piece::Source(source) => push_segment(&mut path, &source.text(facts).ok_or(Unfit)?)?,
                Piece::Text(text) => path.push_str(text),
            }
        }
        let path = finished(path).map_err(|_| Unfit)?;
        let query = self.query.as_deref().map(|query| render_query(query, facts)).transpose()?;
        if path.len() + query.as_ref().map_or(0, |query| query.len() + 1) > MAX_TARGET {
            return Err(Unfit);
        }
        Ok(Rendered { path, query })
    }
}

fn render_query(query: &[Piece], facts: &Facts<'_>) -> Result<String, Unfit> {
    let mut out = String::with_capacity(64);
    for piece in query {
        match piece {
            // A parameter's escapes stand for characters; the path itself is a text that has escapes.
            Piece::Param(name) => {
                let value =
                    percent_decode_str(facts.params.get(name).ok_or(Unfit)?).decode_utf8().map_err(|_| Unfit)?;
                push_value(&mut out, &value)?;
            }
            Piece::Path => push_value(&mut out, facts.path)?,
            Piece::Source(source) => push_value(&mut out, &source.text(facts).ok_or(Unfit)?)?,
            Piece::Text(text) => out.push_str(text),
        }
    }
    Ok(out)
}

/// The template with harmless values: what is wrong with it then is wrong with every request.
fn render_sample(path: &[Piece]) -> Result<String, Cow<'static, str>> {
    let sample = path.iter().map(|piece| match piece {
        Piece::Path => "/x",
        Piece::Param(_) | Piece::Source(_) => "x",
        Piece::Text(text) => text,
    });
    finished(sample.collect())
}

/// A rendered path made canonical: an empty `{rest}` between slashes leaves two of them. A dot segment is never resolved
/// here: it would be one that a value made together with the text beside it.
fn finished(path: String) -> Result<String, Cow<'static, str>> {
    if has_dot_segment(&path, &['/']) {
        return Err("it has a dot segment".into());
    }
    let canonical = canonicalise(&path).map_err(|error| error.as_str())?;
    let changed = (canonical.as_str() != path).then(|| canonical.as_str().to_owned());
    Ok(changed.unwrap_or(path))
}

/// One value as one segment.
fn push_segment(out: &mut String, value: &str) -> Result<(), Unfit> {
    // No encoding makes a dot segment safe: `%2E` is the same as `.` (RFC 3986, section 6.2.2), and there are servers that
    // decode `%2F` before they resolve dots.
    let is_text = !value.is_empty() && value.len() <= MAX_TARGET && !value.contains(char::is_control);
    if !is_text || has_dot_segment(value, &['/', '\\']) {
        return Err(Unfit);
    }
    out.extend(utf8_percent_encode(value, SEGMENT));
    Ok(())
}

/// One value of a query. A control character is refused: it has no business in a text, and some readers end at NUL.
fn push_value(out: &mut String, value: &str) -> Result<(), Unfit> {
    if value.len() > MAX_TARGET || value.contains(char::is_control) {
        return Err(Unfit);
    }
    out.extend(utf8_percent_encode(value, QUERY_VALUE));
    Ok(())
}

/// Whether a part between `separators` is `.` or `..`, also with parameters behind a `;`, which some servers cut off.
fn has_dot_segment(text: &str, separators: &[char]) -> bool {
    text.split(separators).any(|part| matches!(part.split(';').next(), Some("." | "..")))
}

/// The first character that may not stand in a query as it is (RFC 3986, section 3.4); a `%` begins an escape.
fn unfit_for_query(piece: &Piece) -> Option<char> {
    let Piece::Text(text) = piece else { return None };
    let is_escape = |behind: &str| behind.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if !text.split('%').skip(1).all(is_escape) {
        return Some('%');
    }
    text.chars().find(|char| !matches!(char, '!'..='~') || matches!(char, '"' | '<' | '>' | '\\' | '^' | '`' | '|'))
}
