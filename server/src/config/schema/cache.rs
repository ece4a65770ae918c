//! `[cache]`: not built yet.

use crate::config::section::{Harmless, Section};

pub(crate) fn read(section: &mut Section<'_>) {
    section.not_built("size", Harmless::Word("256MiB"));
}
