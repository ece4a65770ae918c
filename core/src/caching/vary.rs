//! `Vary`: which fields of the request an answer was chosen by (RFC 9111, section 4.1).

use std::sync::Arc;

use http::header::{ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE, VARY};
use http::{HeaderMap, HeaderName};

use super::key::part;

/// How many fields an answer may be chosen by; one that names more is not stored.
pub const MAX_VARY: usize = 16;

/// How many variants of one key a store should keep; over it the one that was used longest ago goes.
pub const MAX_VARIANTS: usize = 64;

/// The fields that an answer was chosen by: in lower case, in order, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct VaryNames(Option<Arc<[HeaderName]>>);

/// Why an answer's `Vary` forbids to store it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VaryError {
    /// It names everything, or what is no field.
    Any,
    /// More than [`MAX_VARY`].
    TooMany,
}

impl VaryNames {
    /// All lines of `Vary` together. Allocates nothing where there is none.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, VaryError> {
        let mut names: Vec<HeaderName> = Vec::new();
        for member in crate::headers::members(headers, &VARY) {
            // What is no name cannot be compared, and neither can `*`, which is one in form.
            let name = HeaderName::from_bytes(member).ok().filter(|name| name.as_str() != "*").ok_or(VaryError::Any)?;
            if !names.contains(&name) {
                names.push(name);
            }
            if names.len() > MAX_VARY {
                return Err(VaryError::TooMany);
            }
        }
        if names.is_empty() {
            return Ok(Self(None));
        }
        names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        Ok(Self(Some(names.into())))
    }

    /// The names.
    pub fn names(&self) -> &[HeaderName] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Whether there are none: one answer for all.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Puts what a request has in these fields behind what is in `out`: two requests that get the same bytes get the
    /// same answer. A field that is absent is another thing than an empty one. Several lines are one; in the fields
    /// that negotiate, white space around commas and the case of letters say nothing. Allocates nothing where `out` has
    /// room.
    pub fn write(&self, request: &HeaderMap, out: &mut Vec<u8>) {
        for name in self.names() {
            part(out, name.as_str().as_bytes());
            value(request, name, out);
        }
    }
}

/// One field's value, all lines together, with its length before it; absent is another thing.
fn value(request: &HeaderMap, name: &HeaderName, out: &mut Vec<u8>) {
    let mut lines = request.get_all(name).iter().peekable();
    if lines.peek().is_none() {
        out.push(0);
        return;
    }
    out.push(1);
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    let negotiates = [ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE].contains(name);
    let mut first = true;
    for line in lines {
        if !std::mem::take(&mut first) {
            out.extend_from_slice(if negotiates { b"," } else { b", " });
        }
        if negotiates { normalised(line.as_bytes(), out) } else { out.extend_from_slice(line.as_bytes().trim_ascii()) }
    }
    let length = u32::try_from(out.len() - length_at - 4).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(length_at..length_at + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// A list without white space around its commas and semicolons, in lower case.
fn normalised(line: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    for byte in line.trim_ascii() {
        match byte {
            b' ' | b'\t' if matches!(out.get(start..).and_then(<[u8]>::last), Some(b',' | b';') | None) => {}
            b',' | b';' => {
                while out.len() > start && matches!(out.last(), Some(b' ' | b'\t')) {
                    out.pop();
                }
                out.push(*byte);
            }
            _ => out.push(byte.to_ascii_lowercase()),
        }
    }
}
