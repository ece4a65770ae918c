//! A template is text with `{…}` in it: path parameters and sources, encoded for the place they go to.
//!
//! `{NAME}` is a path parameter of the route, else a source. What a value becomes depends on where it goes, and in no place
//! can it become more than a value: a segment of a path stays one segment, a value of a query one value, and a header has
//! visible characters only. A template is compiled once; rendering looks nothing up but the request's own values.

use std::fmt;
use std::ops::Range;

use crate::source::{self, Source};

mod header;
mod redirect;
mod target;

pub use header::{HeaderTemplate, MAX_HEADER};
pub use redirect::RedirectTemplate;
pub use target::{Rendered, TargetTemplate};

/// Why a text is not a template, and which bytes of it are at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// The place in the text.
    pub span: Range<usize>,
    message: String,
}

impl TemplateError {
    fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into() }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TemplateError {}

/// A value that the template needs is absent, or no encoding makes it safe in its place: the request is a 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfit;

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// A path parameter, `rest` among them.
    Param(Box<str>),
    /// The canonical path.
    Path,
    /// Any other source.
    Source(Source),
    /// What stands there as it is.
    Text(Box<str>),
}

impl Piece {
    /// `params` are the names of the route's path parameters.
    fn named(name: &str, params: &[&str], span: Range<usize>) -> Result<Self, TemplateError> {
        let own = name.strip_prefix("param:").unwrap_or(name);
        if params.contains(&own) {
            return Ok(Self::Param(own.into()));
        }
        if name == "path" {
            return Ok(Self::Path);
        }
        let source = name.parse::<Source>().map_err(|_| {
            let accepted = source::ACCEPTED;
            let message =
                format!("`{name}` is neither a parameter of this route's path nor a source; sources are {accepted}");
            TemplateError::new(span.clone(), message)
        })?;
        if let Some(absent) = source.params().find(|param| !params.contains(param)) {
            return Err(TemplateError::new(span, format!("this route's path has no parameter `{absent}`")));
        }
        Ok(Self::Source(source))
    }

    /// Whether the value is one that a verifier vouches for.
    fn needs_identity(&self) -> bool {
        matches!(self, Self::Source(source) if source.needs_identity())
    }
}

/// The parts of `text` within `range`. Places in errors are places in `text`.
fn pieces(text: &str, range: Range<usize>, params: &[&str]) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut at = range.start;
    while let Some(tail) = text.get(at..range.end).filter(|tail| !tail.is_empty()) {
        if let Some(inner) = tail.strip_prefix('{') {
            let length =
                inner.find('}').ok_or_else(|| TemplateError::new(at..range.end, "this brace is never closed"))?;
            let name = inner.get(..length).unwrap_or_default();
            pieces.push(Piece::named(name, params, at..at + length + 2)?);
            at += length + 2;
        } else {
            let length = tail.find('{').unwrap_or(tail.len());
            let literal = tail.get(..length).unwrap_or_default();
            if let Some(stray) = literal.find('}') {
                return Err(TemplateError::new(at + stray..at + stray + 1, "this brace was never opened"));
            }
            pieces.push(Piece::Text(literal.into()));
            at += length;
        }
    }
    Ok(pieces)
}

/// Where one of `chars` first stands outside braces.
fn find_outside(text: &str, chars: &[char]) -> Option<usize> {
    let mut inside = false;
    text.char_indices().find_map(|(at, char)| {
        match char {
            '{' => inside = true,
            '}' => inside = false,
            _ => {}
        }
        (!inside && chars.contains(&char)).then_some(at)
    })
}

#[cfg(test)]
mod tests;
