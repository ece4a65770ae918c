//! The path of a route as an operator writes it: exact, with parameters, or a whole subtree.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::canonical::{PathError, canonicalise};

/// The most parameters that one pattern may have; what a request took is kept in an array of this size.
pub const MAX_PARAMS: usize = 16;

/// The most segments that one pattern may have; bounds how deep a search goes.
pub const MAX_SEGMENTS: usize = 64;

/// Names that a parameter may not have: in a template they mean something else.
const TAKEN: [&str; 7] = ["client", "everyone", "host", "identity", "method", "path", "rest"];

/// A configured path.
///
/// - `/auth/login` is that path and nothing else; a trailing slash counts.
/// - `/users/{id}`: a parameter stands for one whole segment that is not empty.
/// - `/orders/**`: `/orders`, `/orders/` and all below; what `**` took is the parameter `rest`, without its leading slash.
///
/// Literal segments are made canonical as a request's are, so `/a%7Eb` and `/a~b` are one pattern.
///
/// ```
/// use portcullis_core::route::{Pattern, PatternError};
/// let pattern: Pattern = "/users/{id}".parse()?;
/// assert_eq!(pattern.names().collect::<Vec<_>>(), ["id"]);
///
/// let error = "/users/{id}x".parse::<Pattern>().expect_err("a parameter is a whole segment");
/// assert_eq!(error.range(), 7..12);
/// # Ok::<(), PatternError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    segments: Box<[Segment]>,
    names: Box<[Box<str>]>,
}

/// One segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// This text. Empty as the last one only: a trailing slash.
    Literal(Box<str>),
    /// Any one segment that is not empty.
    Param,
    /// The end, or anything below. The last one only.
    Rest,
}

impl Pattern {
    /// The names of the parameters, from the left; `rest` is not among them.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// Whether the pattern ends in `**`.
    pub fn takes_rest(&self) -> bool {
        self.segments.last() == Some(&Segment::Rest)
    }

    /// Whether a template of a route with this pattern may say `{name}`.
    pub fn has_param(&self, name: &str) -> bool {
        self.names().any(|own| own == name) || (name == REST && self.takes_rest())
    }

    pub(super) const fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub(super) const fn name_slice(&self) -> &[Box<str>] {
        &self.names
    }
}

/// What the text that `**` took is called.
pub(super) const REST: &str = "rest";

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let whole = |problem| PatternError { range: 0..text.len(), problem };
        let body = text.strip_prefix('/').ok_or_else(|| whole(PatternProblem::NoLeadingSlash))?;
        if let Some(at) = text.find(['?', '#']) {
            return Err(PatternError { range: at..text.len(), problem: PatternProblem::Query });
        }
        let (mut segments, mut names) = (Vec::new(), Vec::new());
        let mut start = 1;
        for segment in body.split('/') {
            let end = start + segment.len();
            let at_segment = |problem| PatternError { range: visible(start..end, text), problem };
            segments.push(read_segment(segment, end == text.len(), &mut names).map_err(at_segment)?);
            start = end + 1;
        }
        if segments.len() > MAX_SEGMENTS {
            return Err(whole(PatternProblem::TooManySegments));
        }
        Ok(Self { segments: segments.into(), names: names.into() })
    }
}

/// An empty segment with the slashes around it: there must be something to underline.
fn visible(range: Range<usize>, text: &str) -> Range<usize> {
    if range.is_empty() { range.start.saturating_sub(1)..text.len().min(range.end + 1) } else { range }
}

fn read_segment(segment: &str, is_last: bool, names: &mut Vec<Box<str>>) -> Result<Segment, PatternProblem> {
    match segment {
        "**" if is_last => Ok(Segment::Rest),
        "**" => Err(PatternProblem::RestNotLast),
        "" if is_last => Ok(Segment::Literal("".into())),
        "" => Err(PatternProblem::EmptySegment),
        _ if segment.contains(['{', '}']) => {
            names.push(read_name(segment, names)?.into());
            Ok(Segment::Param)
        }
        _ if segment.contains('*') => Err(PatternProblem::Star),
        _ => read_literal(segment),
    }
}

fn read_name<'a>(segment: &'a str, earlier: &[Box<str>]) -> Result<&'a str, PatternProblem> {
    let inside = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let name = inside.filter(|name| !name.contains(['{', '}'])).ok_or(PatternProblem::MixedSegment)?;
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if name.is_empty() {
        Err(PatternProblem::EmptyName)
    } else if !is_name(name) || name.starts_with(|first: char| !first.is_ascii_alphabetic() && first != '_') {
        Err(PatternProblem::BadName)
    } else if TAKEN.contains(&name) {
        Err(PatternProblem::TakenName)
    } else if earlier.iter().any(|other| &**other == name) {
        Err(PatternProblem::DuplicateName)
    } else if earlier.len() == MAX_PARAMS {
        Err(PatternProblem::TooManyParams)
    } else {
        Ok(name)
    }
}

fn read_literal(segment: &str) -> Result<Segment, PatternProblem> {
    let path = format!("/{segment}");
    match canonicalise(&path) {
        // A single dot leaves nothing of the segment.
        Ok(canonical) if canonical.as_str() == "/" => Err(PatternProblem::DotSegment),
        Ok(canonical) => Ok(Segment::Literal(canonical.as_str().trim_start_matches('/').into())),
        Err(PathError::AboveRoot) => Err(PatternProblem::DotSegment),
        Err(error) => Err(PatternProblem::Path(error)),
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = self.names();
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Param => write!(f, "/{{{}}}", names.next().unwrap_or_default())?,
                Segment::Rest => f.write_str("/**")?,
            }
        }
        Ok(())
    }
}

/// Why a text is not a pattern, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    range: Range<usize>,
    problem: PatternProblem,
}

impl PatternError {
    /// The bytes of the text that are wrong.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// What is wrong with them.
    pub const fn problem(&self) -> PatternProblem {
        self.problem
    }

    /// What is accepted in their place, for a report.
    pub const fn accepted(&self) -> &'static str {
        self.problem.accepted()
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

impl std::error::Error for PatternError {}

/// What is wrong with a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PatternProblem {
    /// A parameter's name has characters that no name has.
    BadName,
    /// `.` or `..`, in any spelling.
    DotSegment,
    /// Two parameters share a name.
    DuplicateName,
    /// `{}`.
    EmptyName,
    /// Two slashes in a row.
    EmptySegment,
    /// A brace that is not around the whole segment.
    MixedSegment,
    /// The first character is not a slash.
    NoLeadingSlash,
    /// No request could have this path.
    Path(PathError),
    /// A query or a fragment.
    Query,
    /// `**` with something behind it.
    RestNotLast,
    /// A `*` that is not `**` as a whole segment.
    Star,
    /// A parameter is called like something else that templates name.
    TakenName,
    /// More than [`MAX_PARAMS`].
    TooManyParams,
    /// More than [`MAX_SEGMENTS`].
    TooManySegments,
}

impl PatternProblem {
    const fn accepted(self) -> &'static str {
        match self {
            Self::BadName | Self::EmptyName => "a name of letters, digits, `_` and `-` that begins with a letter: {id}",
            Self::DotSegment | Self::EmptySegment => "the path as it is after `//`, `.` and `..` are resolved",
            Self::DuplicateName => "a name of its own for each parameter",
            Self::MixedSegment => "a parameter that is a whole segment: \"/files/{name}\"",
            Self::NoLeadingSlash => "a path that begins with `/`: \"/orders/**\"",
            Self::Path(_) => "a path that a request can have; anything special in it is escaped: %20",
            Self::Query => "a path alone; queries are matched with `when`",
            Self::RestNotLast | Self::Star => "{name} for one segment, or ** as the last one for all below",
            Self::TakenName => "a name other than client, everyone, host, identity, method, path and rest",
            Self::TooManyParams => "at most 16 parameters",
            Self::TooManySegments => "at most 64 segments",
        }
    }
}

impl fmt::Display for PatternProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadName => "this is not a parameter's name",
            Self::DotSegment => "a dot segment never arrives: paths are resolved before they are matched",
            Self::DuplicateName => "an earlier parameter has this name",
            Self::EmptyName => "the parameter has no name",
            Self::EmptySegment => "an empty segment never arrives: slashes are merged before paths are matched",
            Self::MixedSegment => "a parameter is not the whole segment",
            Self::NoLeadingSlash => "the path does not begin with `/`",
            Self::Path(error) => return write!(f, "no request can have this path: {error}"),
            Self::Query => "a path has no query and no fragment",
            Self::RestNotLast => "`**` is not the last segment",
            Self::Star => "a `*` stands alone or inside a segment",
            Self::TakenName => "the name means something else in templates",
            Self::TooManyParams => "the path has more than 16 parameters",
            Self::TooManySegments => "the path has more than 64 segments",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn literals_are_canonical() {
        assert_eq!(pattern("/a%7eb"), pattern("/a~b"));
        assert_eq!(pattern("/café"), pattern("/caf%c3%a9"));
        assert_eq!(pattern("/a%2fb").to_string(), "/a%2Fb");
        assert_ne!(pattern("/a/"), pattern("/a"));
    }

    #[test]
    fn what_is_read_is_shown() {
        for text in ["/", "/**", "/a", "/a/", "/users/{id}", "/{a}/{b-2}/c/**", "/.well-known/x", "/{id}/"] {
            assert_eq!(pattern(text).to_string(), text);
        }
        assert!(pattern("/a/**").has_param("rest") && !pattern("/a/{b}").has_param("rest"));
    }

    #[test]
    fn problems_say_what_and_where() {
        use PatternProblem::*;
        for (text, range, problem) in [
            ("", 0..0, NoLeadingSlash),
            ("users", 0..5, NoLeadingSlash),
            ("/a?b=c", 2..6, Query),
            ("/a#b", 2..4, Query),
            ("/**/a", 1..3, RestNotLast),
            ("/a/**/", 3..5, RestNotLast),
            ("/a/*", 3..4, Star),
            ("/a*", 1..3, Star),
            ("/***", 1..4, Star),
            ("/a//b", 2..4, EmptySegment),
            ("//", 0..2, EmptySegment),
            ("/a/{}", 3..5, EmptyName),
            ("/a/x{b}y", 3..8, MixedSegment),
            ("/{a}{b}", 1..7, MixedSegment),
            ("/{a", 1..3, MixedSegment),
            ("/a}", 1..3, MixedSegment),
            ("/{{a}}", 1..6, MixedSegment),
            ("/{a b}", 1..6, BadName),
            ("/{*a}", 1..5, BadName),
            ("/{1}", 1..4, BadName),
            ("/{header:x}", 1..11, BadName),
            ("/{a}/{a}", 5..8, DuplicateName),
            ("/{identity}", 1..11, TakenName),
            ("/{rest}", 1..7, TakenName),
            ("/{path}", 1..7, TakenName),
            ("/a/../b", 3..5, DotSegment),
            ("/%2e/b", 1..4, DotSegment),
            ("/a/%zz", 3..6, Path(PathError::BadEscape)),
            ("/a\\b", 1..4, Path(PathError::Backslash)),
            ("/..;", 1..4, Path(PathError::DotParameters)),
        ] {
            let error = text.parse::<Pattern>().expect_err(text);
            assert_eq!((error.range(), error.problem()), (range, problem), "{text}");
            assert!(!error.accepted().is_empty() && !error.to_string().is_empty());
        }
    }

    #[test]
    fn sizes_are_bounded() {
        let params = |count: usize| (0..count).map(|n| format!("/{{p{n}}}")).collect::<String>();
        assert!(params(MAX_PARAMS).parse::<Pattern>().is_ok());
        let error = params(MAX_PARAMS + 1).parse::<Pattern>().expect_err("one too many");
        assert_eq!(error.problem(), PatternProblem::TooManyParams);
        assert!("/a".repeat(MAX_SEGMENTS).parse::<Pattern>().is_ok());
        let error = "/a".repeat(MAX_SEGMENTS + 1).parse::<Pattern>().expect_err("one too many");
        assert_eq!(error.problem(), PatternProblem::TooManySegments);
    }
}
