//! The value of a header made for one request.

use http::HeaderValue;

use super::{Piece, TemplateError, pieces};
use crate::source::Facts;

/// The longest value that is made for a header, in bytes; a longer one is not sent.
pub const MAX_HEADER: usize = 8 * 1024;

/// A compiled template of a header's value, such as "{claim:tenant}" or "Basic abc".
///
/// Only visible ASCII, with spaces between, becomes a header; parameters, `{rest}` and `{path}` stand as in the canonical
/// path. One without values is made once, and a request only counts a reference on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderTemplate(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Text without values.
    Fixed(HeaderValue),
    Made(Box<[Piece]>),
}

impl HeaderTemplate {
    /// Compiles `text`, where the route's path has the parameters `params`.
    ///
    /// # Errors
    /// A brace that is not closed or not opened; a name that is neither a parameter nor a source; text that is not visible
    /// ASCII with spaces between.
    pub fn parse(text: &str, params: &[&str]) -> Result<Self, TemplateError> {
        let pieces = pieces(text, 0..text.len(), params)?;
        let fits = |piece: &Piece| !matches!(piece, Piece::Text(text) if !is_visible(text));
        let unfit = || TemplateError::new(0..text.len(), "a header has visible ASCII only, and spaces between");
        if !pieces.iter().all(fits) || text.starts_with(' ') || text.ends_with(' ') {
            return Err(unfit());
        }
        if pieces.iter().any(|piece| !matches!(piece, Piece::Text(_))) {
            return Ok(Self(Kind::Made(pieces.into())));
        }
        HeaderValue::from_str(text).map(|value| Self(Kind::Fixed(value))).map_err(|_| unfit())
    }

    /// Whether it has values of requests in it.
    pub fn has_values(&self) -> bool {
        matches!(self.0, Kind::Made(_))
    }

    /// Whether it reads what only a verified identity has.
    pub fn needs_identity(&self) -> bool {
        matches!(&self.0, Kind::Made(pieces) if pieces.iter().any(Piece::needs_identity))
    }

    /// The value for one request. None when a value is absent or empty (an upstream must never take an empty header for
    /// a trusted one), or has a character that is not visible ASCII, or when all is over [`MAX_HEADER`]: the header is not
    /// sent at all.
    pub fn render(&self, facts: &Facts<'_>) -> Option<HeaderValue> {
        let pieces = match &self.0 {
            Kind::Fixed(value) => return Some(value.clone()),
            Kind::Made(pieces) => pieces,
        };
        let mut out = String::with_capacity(64);
        for piece in pieces {
            match piece {
                Piece::Param(name) => push(&mut out, facts.params.get(name)?)?,
                Piece::Path => push(&mut out, facts.path)?,
                Piece::Source(source) => push(&mut out, &source.text(facts)?)?,
                Piece::Text(text) => out.push_str(text),
            }
        }
        if out.len() > MAX_HEADER || out.starts_with(' ') || out.ends_with(' ') {
            return None;
        }
        HeaderValue::try_from(out).ok()
    }
}

fn push(out: &mut String, value: &str) -> Option<()> {
    let fits = !value.is_empty() && value.len() <= MAX_HEADER && is_visible(value);
    fits.then(|| out.push_str(value))
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}
