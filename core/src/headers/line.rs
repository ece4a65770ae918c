//! A header value put together on the stack.

use http::HeaderValue;

/// A header value of at most `MAX` bytes, put together on the stack, so that it is allocated once and at its size.
#[derive(Debug)]
pub(crate) struct Line<const MAX: usize> {
    bytes: [u8; MAX],
    len: usize,
}

impl<const MAX: usize> Line<MAX> {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; MAX], len: 0 }
    }

    /// None when it does not fit: a value is never cut.
    pub(crate) fn push(&mut self, text: &[u8]) -> Option<()> {
        let end = self.len.checked_add(text.len())?;
        self.bytes.get_mut(self.len..end)?.copy_from_slice(text);
        self.len = end;
        Some(())
    }

    /// Lower-case hex digits, two for each byte. None also for bytes that are no multiple of four.
    pub(crate) fn push_hex(&mut self, bytes: &[u8]) -> Option<()> {
        let (words, []) = bytes.as_chunks() else { return None };
        words.iter().try_for_each(|word| self.push(&hex(u32::from_be_bytes(*word))))
    }

    /// What is on it.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The value; none when a byte in it may not stand in a header.
    pub(crate) fn value(&self) -> Option<HeaderValue> {
        HeaderValue::from_bytes(self.as_bytes()).ok()
    }
}

/// The eight hex digits of a number, all at once: a request gets some ninety of them.
fn hex(number: u32) -> [u8; 8] {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    // Each half goes apart from the other, and each half of that, until every digit has a byte of its own.
    let mut digits = u64::from(number);
    for (shift, halves) in [(16, 0x0000_ffff_0000_ffff), (8, 0x00ff_00ff_00ff_00ff), (4, 0x0f0f_0f0f_0f0f_0f0f)] {
        digits = (digits | digits << shift) & halves;
    }
    // 1 where six more would be sixteen: a letter.
    let letters = (digits + 6 * ONES) >> 4 & ONES;
    (digits + u64::from(b'0') * ONES + u64::from(b'a' - b'9' - 1) * letters).to_be_bytes()
}

/// What `format!` writes goes on the line too.
impl<const MAX: usize> std::fmt::Write for Line<MAX> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.push(text.as_bytes()).ok_or(std::fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_what_the_library_writes() {
        let numbers = (0..32).flat_map(|shift| (0..16).map(move |digit: u32| digit.rotate_left(shift)));
        for number in numbers.chain([0x0123_4567, 0x89ab_cdef, 0x9a9a_a9a9, u32::MAX]) {
            assert_eq!(hex(number), *format!("{number:08x}").as_bytes());
        }
    }
}
