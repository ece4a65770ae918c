//! Routing: canonical paths, patterns, the table.

/// The parameters that a pattern took from a path.
#[derive(Clone, Copy, Debug)]
pub struct Params<'a> {
    _path: &'a str,
}

impl<'a> Params<'a> {
    /// No parameters.
    pub const EMPTY: Params<'static> = Params { _path: "" };

    /// The value of `name`, as it stands in the canonical path.
    pub fn get(&self, _name: &str) -> Option<&'a str> {
        None
    }
}
