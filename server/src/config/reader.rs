//! What the walk over one file shares.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;

use super::problem::Problem;
use super::report::Read;
use super::resolve::Surroundings;
use super::span::Span;
use super::taken::Taken;

/// What the walk over one file shares: the text, what is around it, and what was found.
pub(crate) struct Reader<'f> {
    pub(crate) found: RefCell<Found>,
    /// Whether a key that is unknown where it stands is looked for elsewhere in the schema: not in files of another form, nor
    /// while the schema is made.
    pub(crate) knows_homes: bool,
    pub(crate) source: &'f str,
    pub(crate) surroundings: Surroundings<'f>,
}

/// What a walk found beside the values.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Files that the configuration names, also those that could not be read: all of them are watched. Whoever reads one
    /// gets its path from [`Reader::file`].
    pub(crate) files: BTreeSet<PathBuf>,
    /// What is wrong.
    pub(crate) problems: Vec<Problem>,
    /// The texts of the files that have places of their own in reports.
    pub(crate) read: Vec<Read>,
    /// Places that reports must not show.
    pub(crate) secrets: Vec<Span>,
    /// What each value was taken as; none where nobody asked.
    pub(crate) taken: Option<Vec<(Span, Taken)>>,
}

impl Reader<'_> {
    /// The file that is named as `written`: relative to the folder of the configuration, and watched from now on.
    pub(crate) fn file(&self, written: &str) -> PathBuf {
        let path = self.surroundings.path(written);
        self.found.borrow_mut().files.insert(path.clone());
        path
    }

    pub(crate) fn note(&self, problem: Problem) {
        self.found.borrow_mut().problems.push(problem);
    }

    /// Says what the value at `span` is taken as, whether it is fit or not.
    pub(crate) fn took(&self, span: Span, taken: impl FnOnce() -> Taken) {
        if let Some(list) = &mut self.found.borrow_mut().taken {
            list.push((span, taken()));
        }
    }
}
