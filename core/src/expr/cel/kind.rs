//! What is known of a value when the expression is read.

use std::fmt;

/// The type of a part of an expression, as far as it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It depends on the request.
    Any,
    Bool,
    Bytes,
    Double,
    Fields(Fields),
    Int,
    List,
    Map,
    Null,
    String,
    Uint,
}

/// A value of the contract that has fields. It is read from the request a field at a time, and so can be no value by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fields {
    Claims,
    Headers,
    Identity,
    Params,
    Query,
    Request,
}

impl Fields {
    /// The name that stands alone.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "identity" => Some(Self::Identity),
            "params" => Some(Self::Params),
            "request" => Some(Self::Request),
            _ => None,
        }
    }

    /// Whether its keys are the request's, so that it can be searched, counted and walked.
    pub(super) const fn is_map(self) -> bool {
        !matches!(self, Self::Identity | Self::Request)
    }

    /// The fields that there are; none where they are the request's.
    pub(super) const fn fixed(self) -> Option<&'static [(&'static str, Kind)]> {
        match self {
            Self::Identity => {
                Some(&[("id", Kind::String), ("verifier", Kind::String), ("claims", Kind::Fields(Self::Claims))])
            }
            Self::Request => Some(&[
                ("method", Kind::String),
                ("path", Kind::String),
                ("host", Kind::String),
                ("headers", Kind::Fields(Self::Headers)),
                ("query", Kind::Fields(Self::Query)),
                ("client", Kind::String),
            ]),
            Self::Claims | Self::Headers | Self::Params | Self::Query => None,
        }
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Claims => "identity.claims",
            Self::Headers => "request.headers",
            Self::Identity => "identity",
            Self::Params => "params",
            Self::Query => "request.query",
            Self::Request => "request",
        })
    }
}

impl Kind {
    const fn is_number(self) -> bool {
        matches!(self, Self::Double | Self::Int | Self::Uint)
    }

    /// Whether a value of this kind may turn out to be of the other.
    pub(super) fn may_be(self, other: Self) -> bool {
        self == Self::Any || other == Self::Any || self == other
    }

    /// Whether the two can be equal, or be put in an order.
    pub(super) fn compares_with(self, other: Self) -> bool {
        self.may_be(other) || self.is_number() && other.is_number()
    }

    /// Whether it can be searched with `in`, counted by its elements and walked.
    pub(super) const fn is_collection(self) -> bool {
        match self {
            Self::Any | Self::List | Self::Map => true,
            Self::Fields(fields) => fields.is_map(),
            _ => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "a value",
            Self::Bool => "true or false",
            Self::Bytes => "bytes",
            Self::Double | Self::Int | Self::Uint => "a number",
            Self::Fields(_) | Self::Map => "a map",
            Self::List => "a list",
            Self::Null => "null",
            Self::String => "text",
        })
    }
}
