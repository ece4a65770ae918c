//! A header value put together on the stack.

use http::HeaderValue;

/// A header value of at most `MAX` bytes, put together on the stack, so that it is allocated once and at its size.
pub(super) struct Line<const MAX: usize> {
    bytes: [u8; MAX],
    len: usize,
}

impl<const MAX: usize> Line<MAX> {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; MAX], len: 0 }
    }

    /// None when it does not fit: a value is never cut.
    pub(super) fn push(&mut self, text: &[u8]) -> Option<()> {
        let end = self.len.checked_add(text.len())?;
        self.bytes.get_mut(self.len..end)?.copy_from_slice(text);
        self.len = end;
        Some(())
    }

    /// Lower-case hex digits, two for each byte.
    pub(super) fn push_hex(&mut self, bytes: &[u8]) -> Option<()> {
        let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
        let end = self.len.checked_add(bytes.len().checked_mul(2)?)?;
        for (pair, byte) in self.bytes.get_mut(self.len..end)?.chunks_exact_mut(2).zip(bytes) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        self.len = end;
        Some(())
    }

    /// The value; none when a byte in it may not stand in a header.
    pub(super) fn value(&self) -> Option<HeaderValue> {
        HeaderValue::from_bytes(self.bytes.get(..self.len)?).ok()
    }
}

/// What `format!` writes goes on the line too.
impl<const MAX: usize> std::fmt::Write for Line<MAX> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.push(text.as_bytes()).ok_or(std::fmt::Error)
    }
}
