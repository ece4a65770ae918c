//! `[admin]`: the operator's own door.

use crate::config::resolve::Secret;
use crate::config::section::Section;
use crate::config::span::{At, Given, Text};
use crate::config::value::Value;

#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) listen: Given<Text>,
    pub(crate) token: Given<At<Secret>>,
}

impl Admin {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        Self { listen: section.text("listen"), token: section.value("token").and_then(Value::secret) }
    }
}
