//! `[store]`: where limits live. Memory only; the keys of other stores may be written at their defaults.

use portcullis_core::limit::OnFailure;

use crate::config::IN_CODE;
use crate::config::section::{Harmless, Section};
use crate::config::span::{At, Given};

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) on_failure: Given<At<&'static str>>,
    pub(crate) url: Given<At<&'static str>>,
}

impl Store {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        section.not_built("prefix", Harmless::Word("portcullis"));
        section.not_built("timeout", Harmless::Word("25ms"));
        Self {
            on_failure: section.word("on_failure", &OnFailure::ALL.map(OnFailure::name), &[]),
            url: section.word("url", &["memory", IN_CODE], &["redis://", "rediss://", "redis+cluster://"]),
        }
    }
}
