//! How log lines look.

use std::env;
use std::io::IsTerminal;

/// How log lines look, as configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum LogFormat {
    /// Text on a terminal, JSON lines elsewhere.
    #[default]
    Auto,
    /// JSON lines.
    Json,
    /// Text.
    Text,
}

impl LogFormat {
    /// The format for what goes to `place`. Text is coloured on a terminal, unless the environment sets `NO_COLOR`.
    pub(crate) fn resolve(self, place: &impl IsTerminal) -> Format {
        self.resolve_for(place.is_terminal(), env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()))
    }

    /// The format for what goes to a file: never coloured.
    pub(crate) const fn for_file(self) -> Format {
        self.resolve_for(false, true)
    }

    const fn resolve_for(self, terminal: bool, no_colour: bool) -> Format {
        let colour = if terminal && !no_colour { Colour::Ansi } else { Colour::Plain };
        match (self, terminal) {
            (Self::Auto, true) | (Self::Text, _) => Format::Text { colour },
            (Self::Auto, false) | (Self::Json, _) => Format::Json,
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Format {
    /// One JSON object a line.
    Json,
    /// A line for people.
    Text {
        /// Whether it is coloured.
        colour: Colour,
    },
}

/// Whether text is coloured; complete by nature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    /// With the sequences that terminals understand.
    Ansi,
    /// Not.
    Plain,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_is_coloured_text_on_a_terminal_and_json_elsewhere() {
        let ansi = Format::Text { colour: Colour::Ansi };
        let plain = Format::Text { colour: Colour::Plain };
        assert_eq!(LogFormat::Auto.resolve_for(true, false), ansi);
        assert_eq!(LogFormat::Auto.resolve_for(true, true), plain);
        assert_eq!(LogFormat::Auto.resolve_for(false, false), Format::Json);
        assert_eq!(LogFormat::Text.resolve_for(false, false), plain);
        assert_eq!(LogFormat::Json.resolve_for(true, false), Format::Json);
        assert_eq!(LogFormat::Text.for_file(), plain);
    }
}
