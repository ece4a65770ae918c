//! Values that are numbers of something: durations, sizes, counts and shares.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeValue;

use super::Value;
use crate::config::forms;
use crate::config::problem::Problem;
use crate::config::span::{At, Given};
use crate::config::taken::Taken;

impl Value<'_> {
    /// A duration.
    pub(crate) fn duration(self) -> Given<At<Duration>> {
        self.take(|| Taken::Duration);
        if let DeValue::Integer(number) = self.kind() {
            let problem =
                Problem::error(&self.span(), format!("`{}` must be {}, not an integer", self.key, forms::DURATION));
            self.reader.note(problem.label("a number of what?").hint(format!("for seconds write \"{number}s\"")));
            return Given::Broken;
        }
        self.parsed(forms::DURATION, forms::duration)
    }

    /// A duration longer than nothing.
    pub(crate) fn some_time(self) -> Given<At<Duration>> {
        self.duration().and_then(|duration| {
            if duration.value.is_zero() {
                let title = format!("`{}` must be longer than nothing", self.key);
                self.reader.note(Problem::error(&duration.span, title).accepted(forms::DURATION));
                return Given::Broken;
            }
            Given::Value(duration)
        })
    }

    /// A size in bytes.
    pub(crate) fn size(self) -> Given<At<u64>> {
        self.take(|| Taken::Size);
        if let DeValue::Integer(number) = self.kind() {
            let problem =
                Problem::error(&self.span(), format!("`{}` must be {}, not an integer", self.key, forms::SIZE));
            self.reader.note(problem.label("a number of what?").hint(format!("for bytes write \"{number}B\"")));
            return Given::Broken;
        }
        self.parsed(forms::SIZE, forms::size)
    }

    /// A size, or none for "off".
    pub(crate) fn size_or_off(self) -> Given<At<Option<u64>>> {
        self.take(|| Taken::Word(vec!["off"]));
        match self.kind() {
            DeValue::String(text) if text == "off" => Given::Value(At::new(None, self.span())),
            _ => self.size().and_then(|size| Given::Value(size.map(Some))),
        }
    }

    /// A whole number in `range`.
    pub(crate) fn integer(self, range: RangeInclusive<u32>) -> Given<At<u32>> {
        self.take(|| Taken::Integer(range.clone()));
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let parse = |text: &str, radix| u32::from_str_radix(text, radix).ok().filter(|number| range.contains(number));
        match self.kind() {
            DeValue::Integer(number) => match parse(number.as_str(), number.radix()) {
                Some(number) => Given::Value(At::new(number, self.span())),
                None => {
                    let title = format!("`{}` must be {expected}", self.key);
                    self.reader.note(Problem::error(&self.span(), title).label("out of range"));
                    Given::Broken
                }
            },
            DeValue::String(text) if text.contains("${") => {
                self.parsed(&expected, |text| parse(text, 10).ok_or_else(|| "out of range".to_owned()))
            }
            _ => self.wrong(&expected),
        }
    }

    /// A number in `range`, with a point or without.
    pub(crate) fn ratio(self, range: RangeInclusive<f64>) -> Given<At<f64>> {
        self.take(|| Taken::Ratio(range.clone()));
        let expected = format!("a number from {:?} to {:?}", range.start(), range.end());
        let parse = |text: &str| text.parse().ok().filter(|number| range.contains(number));
        // Digits may be grouped by `_`; hexadecimal and such are no ratios.
        let written = match self.kind() {
            DeValue::Float(number) => number.as_str().replace('_', ""),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().replace('_', ""),
            DeValue::String(text) if text.contains("${") => {
                return self.parsed(&expected, |text| parse(text).ok_or_else(|| "out of range".to_owned()));
            }
            _ => return self.wrong(&expected),
        };
        match parse(&written) {
            Some(number) => Given::Value(At::new(number, self.span())),
            None => {
                let title = format!("`{}` must be {expected}", self.key);
                self.reader.note(Problem::error(&self.span(), title).label("out of range"));
                Given::Broken
            }
        }
    }
}
