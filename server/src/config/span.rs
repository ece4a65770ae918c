//! Where something stands in the file.

use std::ops::Range;

use super::redact::mask;

/// Bytes of the configuration text.
pub(crate) type Span = Range<usize>;

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct At<T> {
    /// Where.
    pub(crate) span: Span,
    /// What.
    pub(crate) value: T,
}

impl<T> At<T> {
    /// `value`, written at `span`.
    pub(crate) fn new(value: T, span: Span) -> Self {
        Self { span, value }
    }

    /// The same place with what `change` makes of the value.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> At<U> {
        At { span: self.span, value: change(self.value) }
    }
}

/// What a key was set to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Given<T> {
    /// The key is not there.
    #[default]
    Absent,
    /// The key is there and its value is not acceptable; that has been noted, so that nobody must complain again.
    Broken,
    /// The value.
    Value(T),
}

impl<T> Given<T> {
    /// The value, whatever the reason that there is none.
    pub(crate) fn value(self) -> Option<T> {
        match self {
            Self::Absent | Self::Broken => None,
            Self::Value(value) => Some(value),
        }
    }

    /// The value by reference.
    pub(crate) fn get(&self) -> Option<&T> {
        match self {
            Self::Absent | Self::Broken => None,
            Self::Value(value) => Some(value),
        }
    }

    /// Whether the key is not there.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// What `next` makes of the value.
    pub(crate) fn and_then<U>(self, next: impl FnOnce(T) -> Given<U>) -> Given<U> {
        match self {
            Self::Absent => Given::Absent,
            Self::Broken => Given::Broken,
            Self::Value(value) => next(value),
        }
    }
}

/// A string as it is used, and as it was written.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Text {
    /// Whether the value stands between its quotes byte for byte, so that a place in it is a place in the file.
    pub(crate) literal: bool,
    /// Where it was written, quotes included.
    pub(crate) span: Span,
    /// Whether a variable was missing and a placeholder stands in for it.
    pub(crate) unset: bool,
    /// With every `${NAME}` replaced. May hold what nobody may see: problems show [`Text::shown`].
    pub(crate) value: String,
    /// As written.
    pub(crate) written: String,
}

impl Text {
    /// The string as written, fit for a message: no control characters, at most 60 characters, nothing from the
    /// environment.
    pub(crate) fn shown(&self) -> String {
        shown(&self.written)
    }

    /// Whether the value came, in whole or in part, from outside the file.
    pub(crate) fn is_resolved(&self) -> bool {
        self.value != self.written
    }

    /// The place of some bytes of the value; the whole string when its bytes are not those of the file.
    pub(crate) fn part(&self, range: &Span) -> Span {
        if !self.literal {
            return self.span.clone();
        }
        // One byte for the opening quote.
        let base = self.span.start + 1;
        base + range.start..(base + range.end).min(self.span.end)
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Text").field(&self.written).finish()
    }
}

/// `text` without control characters and without the user information of URLs, cut at 60 characters.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 60;
    let text = mask(text, &[]);
    let mut shown: String = text
        .chars()
        .take(MOST)
        .map(|char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char })
        .collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}
