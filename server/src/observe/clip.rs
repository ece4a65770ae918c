//! A bounded copy of bytes that a client chose.

use std::fmt::{self, Write as _};

/// A copy of a client's bytes for the log, cut at [`Clip::MAX`]; up to 46 of them take no allocation.
///
/// It is a copy and not a reference count on purpose: a request's URI and header fields are slices of the buffer that
/// its connection reads into, and whoever keeps one of them keeps that buffer from being used again for as long as the
/// response streams.
#[derive(Clone, PartialEq, Eq)]
pub struct Clip(Kept);

#[derive(Clone, PartialEq, Eq)]
enum Kept {
    Heap(Box<[u8]>),
    Inline { len: u8, bytes: [u8; INLINE] },
}

/// Makes a clip 48 bytes long; a UUID, most paths and most hosts fit.
const INLINE: usize = 46;

impl Clip {
    /// How many bytes are kept at most; where more came, "…" follows them.
    pub const MAX: usize = 1024;

    /// Copies `bytes`, which may be anything, UTF-8 or not.
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        let mut inline = [0; INLINE];
        if let (Some(place), Ok(len)) = (inline.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            place.copy_from_slice(bytes);
            return Self(Kept::Inline { len, bytes: inline });
        }
        Self(Kept::Heap(match bytes.get(..Self::MAX) {
            Some(start) if bytes.len() > Self::MAX => [start, "…".as_bytes()].concat().into(),
            Some(_) | None => bytes.into(),
        }))
    }

    /// What was kept, not escaped.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Kept::Heap(bytes) => bytes,
            Kept::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
        }
    }
}

/// On one line whatever a client sent: control characters are escaped, and what is no UTF-8 is replaced.
impl fmt::Display for Clip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in String::from_utf8_lossy(self.as_bytes()).chars() {
            match char {
                _ if char.is_control() => write!(f, "{}", char.escape_default())?,
                _ => f.write_char(char)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Clip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_fits_and_cuts_the_rest() {
        for len in [0, 1, 45, 46, 47, 1023, 1024] {
            let bytes = vec![b'a'; len];
            assert_eq!(Clip::new(&bytes).as_bytes(), bytes, "{len} bytes");
        }
        let cut = Clip::new(vec![b'a'; 1025]);
        assert_eq!(cut.as_bytes().len(), Clip::MAX + "…".len());
        assert!(cut.as_bytes().ends_with("a…".as_bytes()));
    }

    #[test]
    fn is_one_line_of_text_whatever_came() {
        assert_eq!(Clip::new("/größe").to_string(), "/größe");
        assert_eq!(Clip::new(b"/a\nb\x1b[0m\xff").to_string(), "/a\\nb\\u{1b}[0m\u{fffd}");
    }

    #[test]
    fn is_small() {
        assert_eq!(size_of::<Clip>(), 48);
    }
}
