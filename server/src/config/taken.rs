//! What the walk takes a value as. Nobody needs it to read a file; the file's JSON Schema is made of it, by asking the reader
//! itself, so that the two cannot differ.

use std::ops::RangeInclusive;

/// What a value is taken as. A key may be taken as one thing where it is a string and as another where it is a table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Taken {
    /// True or false, or a variable.
    Boolean,
    /// A duration.
    Duration,
    /// A table of any keys.
    Entries,
    /// A whole number, or a variable.
    Integer(RangeInclusive<u32>),
    /// A table of these keys.
    Keys(Vec<&'static str>),
    /// A list.
    List,
    /// A table whose keys are names of the operator's own.
    Names,
    /// A number in this range, with a point or without, or a variable.
    Ratio(RangeInclusive<f64>),
    /// A size.
    Size,
    /// Any string.
    Text,
    /// Something that is not built yet: nothing may be written.
    Unbuilt,
    /// One of these words, or a variable.
    Word(Vec<&'static str>),
}
