//! `[store]`: where limits live.

use std::time::Duration;

use portcullis_core::limit::OnFailure;

use crate::config::section::Section;
use crate::config::span::{At, Given, Text};
use crate::config::value::Value;

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) on_failure: Given<At<&'static str>>,
    pub(crate) prefix: Given<Text>,
    pub(crate) timeout: Given<At<Duration>>,
    pub(crate) url: Given<Text>,
}

impl Store {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        Self {
            on_failure: section.word("on_failure", &OnFailure::ALL.map(OnFailure::name), &[]),
            prefix: section.text("prefix"),
            timeout: section.duration("timeout"),
            url: section.value("url").and_then(Value::private_url),
        }
    }
}
