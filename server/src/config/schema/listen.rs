//! `listen`: where clients arrive.

use crate::config::problem::Problem;
use crate::config::section::Section;
use crate::config::span::{At, Given, Text};
use crate::config::value::Value;

/// One listener.
#[derive(Debug)]
pub(crate) struct Listen {
    pub(crate) address: Text,
}

impl Listen {
    /// The list; one string stands for a list of it.
    pub(crate) fn read_all(value: Value<'_>) -> Given<At<Vec<Self>>> {
        match value.kind() {
            toml::de::DeValue::String(_) => {
                Self::read(value).and_then(|one| Given::Value(At::new(vec![one], value.span())))
            }
            _ => value.each("a list of addresses", Self::read),
        }
    }

    fn read(value: Value<'_>) -> Given<Self> {
        if !value.is_table() {
            return value.text().and_then(|address| Given::Value(Self { address }));
        }
        value.section("`listen`", Self::long).and_then(|long| long)
    }

    fn long(section: &mut Section<'_>) -> Given<Self> {
        section.not_built("tls");
        let address = section.text("address");
        if address.is_absent() {
            section.note(
                Problem::error(&section.span, "a listener needs an `address`").accepted("`address = \"0.0.0.0:8080\"`"),
            );
        }
        address.and_then(|address| Given::Value(Self { address }))
    }
}
