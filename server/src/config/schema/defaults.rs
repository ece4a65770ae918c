//! `[defaults]`: what a route gets when it does not say.

use super::limits::Use;
use crate::config::section::Section;
use crate::config::span::{At, Given, Text};

#[derive(Debug)]
pub(crate) struct Defaults {
    pub(crate) auth: Given<At<Vec<Text>>>,
    pub(crate) limits: Given<At<Vec<Use>>>,
}

impl Defaults {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        Self { auth: section.texts("auth"), limits: section.value("limits").and_then(Use::read_all) }
    }
}
