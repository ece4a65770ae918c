//! Entity tags (RFC 9110, section 8.8.3).

/// An entity tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Etag<'a> {
    weak: bool,
    /// What stands between the quotes.
    opaque: &'a [u8],
}

impl<'a> Etag<'a> {
    /// The tag that a field's value is. None for what is none, or more than one.
    pub(super) fn of(text: &'a [u8]) -> Option<Self> {
        let mut list = Etags { rest: text.trim_ascii() };
        list.next().filter(|_| list.rest.is_empty())
    }

    pub(super) fn is_weak(self) -> bool {
        self.weak
    }

    /// Weak comparison: the same text (RFC 9110, section 8.8.3.2).
    pub(super) fn is_weakly(self, other: Etag<'_>) -> bool {
        self.opaque == other.opaque
    }

    /// Strong comparison: the same text, and neither is weak.
    pub(super) fn is_strongly(self, other: Etag<'_>) -> bool {
        !self.weak && !other.weak && self.is_weakly(other)
    }
}

/// A list of tags; it ends where something else comes.
#[derive(Clone, Debug)]
pub(super) struct Etags<'a> {
    rest: &'a [u8],
}

impl<'a> Etags<'a> {
    pub(super) fn of(list: &'a [u8]) -> Self {
        Self { rest: list }
    }
}

impl<'a> Iterator for Etags<'a> {
    type Item = Etag<'a>;

    fn next(&mut self) -> Option<Etag<'a>> {
        let skip = self.rest.iter().position(|byte| !matches!(byte, b',' | b' ' | b'\t'))?;
        let list = self.rest.get(skip..)?;
        let (weak, quoted) = list.strip_prefix(b"W/").map_or((false, list), |quoted| (true, quoted));
        let text = quoted.strip_prefix(b"\"")?;
        // A tag has no escapes: a comma or a backslash in it is a character like others.
        let end = text.iter().position(|byte| *byte == b'"')?;
        self.rest = text.get(end + 1..).unwrap_or_default();
        Some(Etag { weak, opaque: text.get(..end)? })
    }
}
