//! `[log]`.

use crate::config::section::Section;
use crate::config::span::{At, Given, Text};

#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) access: Given<Text>,
    pub(crate) format: Given<At<&'static str>>,
    pub(crate) level: Given<At<&'static str>>,
}

impl Log {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        Self {
            access: section.text("access"),
            format: section.word("format", &["auto", "json", "text"], &[]),
            level: section.word("level", &["error", "warn", "info", "debug", "trace"], &[]),
        }
    }
}
