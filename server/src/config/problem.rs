//! One thing that is wrong, or worth a warning, and where.

use super::span::Span;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The file is not applied.
    Error,
    /// The file is applied; somebody should look.
    Warning,
}

/// One thing that is wrong with a configuration, or worth a warning: what, where, what is accepted instead and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Other places that it has to do with, each with what is there.
    pub(crate) also: Vec<(Span, String)>,
    /// Which file all these places are in: 0 for the configuration, then those that were read with it.
    pub(crate) file: usize,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// What stands beside the underlined text.
    pub(crate) label: Option<String>,
    /// How bad it is.
    pub(crate) level: Level,
    /// What is accepted, and what else helps to understand.
    pub(crate) notes: Vec<String>,
    /// The place; none for a file that could not be read.
    pub(crate) span: Option<Span>,
    /// What is wrong, in one line.
    pub(crate) title: String,
}

impl Problem {
    /// An error at `span`.
    pub(crate) fn error(span: &Span, title: impl Into<String>) -> Self {
        Self::new(Level::Error, Some(span.clone()), title.into())
    }

    /// An error of the file as a whole.
    pub(crate) fn of_file(title: impl Into<String>) -> Self {
        Self::new(Level::Error, None, title.into())
    }

    /// A warning at `span`.
    pub(crate) fn warning(span: &Span, title: impl Into<String>) -> Self {
        Self::new(Level::Warning, Some(span.clone()), title.into())
    }

    fn new(level: Level, span: Option<Span>, title: String) -> Self {
        Self { also: Vec::new(), file: 0, hint: None, label: None, level, notes: Vec::new(), span, title }
    }

    /// The same, with a word beside the underlined text.
    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The same, in another file than the configuration.
    pub(crate) fn in_file(mut self, file: usize) -> Self {
        self.file = file;
        self
    }

    /// The same, with another place.
    pub(crate) fn also(mut self, span: &Span, label: impl Into<String>) -> Self {
        self.also.push((span.clone(), label.into()));
        self
    }

    /// The same, with what is accepted.
    pub(crate) fn accepted(self, accepted: impl AsRef<str>) -> Self {
        self.note(format!("accepted: {}", accepted.as_ref()))
    }

    /// The same, with one more sentence.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The same, with what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, with a hint where there is one.
    pub(crate) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    /// What is wrong, in one line.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// How bad it is.
    pub fn level(&self) -> Level {
        self.level
    }
}
