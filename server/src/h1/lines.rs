//! Fields as the lines that they are sent as.

use http::{HeaderName, HeaderValue};
use portcullis_core::headers::{HeaderError, SetField};

/// Fields as the lines that they are sent as, behind those of a map: what we say ourselves needs no map of its own. Whoever
/// sets a field here sees to it that the map has none of its name.
#[derive(Debug, Default)]
pub(crate) struct Lines(Vec<u8>);

impl Lines {
    /// Nothing yet, with room for so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// The lines, each with its end.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Empty again, with the room that it has.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Something that is no field.
    pub(crate) fn push(&mut self, text: &[u8]) {
        self.0.extend_from_slice(text);
    }

    /// One field's line.
    pub(crate) fn push_field(&mut self, name: &HeaderName, value: &[u8]) {
        push_field(&mut self.0, name, value);
    }
}

impl SetField for Lines {
    fn set_field(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), HeaderError> {
        self.push_field(name, value.as_bytes());
        Ok(())
    }

    fn add_field(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), HeaderError> {
        self.set_field(name, value)
    }

    fn set_text(&mut self, name: &HeaderName, text: &[u8]) -> Result<(), HeaderError> {
        self.push_field(name, text);
        Ok(())
    }
}

/// Appends one field's line.
pub(crate) fn push_field(to: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    let name = name.as_str().as_bytes();
    to.reserve(name.len() + value.len() + 4);
    to.extend_from_slice(name);
    to.extend_from_slice(b": ");
    to.extend_from_slice(value);
    to.extend_from_slice(b"\r\n");
}
