//! What is wrong with a file that is not TOML.

use toml::de::Error;

use super::problem::Problem;
use super::span::Span;

/// More syntax errors than this are the echo of an earlier one.
const MOST: usize = 10;

/// What is said of lines that stand inside something that is not closed.
const SWALLOWED: [&str; 3] = ["array", "inline table", "unclosed"];

/// The syntax errors, the first of each line; and of the problems found on the way those whose line has none, so that what was
/// made of a broken line is not complained about.
pub(super) fn problems(text: &str, errors: &[Error], found: Vec<Problem>) -> Vec<Problem> {
    let mut errors: Vec<(Span, &Error)> =
        errors.iter().map(|error| (error.span().unwrap_or(text.len()..text.len()), error)).collect();
    errors.sort_by_key(|(span, _)| (span.start, span.end));
    // What is not closed swallows the lines below it, and nothing that is said about those can be relied on.
    let swallowed = errors.iter().any(|(_, error)| error.message().contains("unclosed"));
    if swallowed {
        let first = errors.iter().position(|(_, error)| SWALLOWED.iter().any(|word| error.message().contains(word)));
        errors.truncate(first.map_or(errors.len(), |first| first + 1));
    }
    errors.dedup_by_key(|(span, _)| line(text, span));
    let lines: Vec<usize> = errors.iter().map(|(span, _)| line(text, span)).collect();

    let hidden = errors.len().saturating_sub(MOST);
    let mut problems: Vec<Problem> = errors.iter().take(MOST).map(|(span, error)| problem(text, span, error)).collect();
    if let Some(first) = problems.first_mut() {
        *first = first.clone().maybe_hint(other_language(text));
    }
    if let Some(last) = problems.pop() {
        problems.push(match (swallowed, hidden) {
            (true, _) => last.hint("look above for a list or table that is never closed"),
            (false, 0) => last,
            (false, _) => last.note(format!("{hidden} more lines like this follow")),
        });
    }
    let on_good_lines = found
        .into_iter()
        .filter(|problem| !swallowed && problem.span.as_ref().is_some_and(|span| !lines.contains(&line(text, span))));
    problems.extend(on_good_lines);
    problems
}

fn problem(text: &str, span: &Span, error: &Error) -> Problem {
    let span = visible(text, span);
    let (what, expected) = error.message().split_once(", expected ").unwrap_or((error.message(), ""));
    // The parser says what it tried last; an operator wants to know what to write.
    if matches!(what, "string values must be quoted" | "invalid boolean") {
        return Problem::error(&span, "not TOML: this is neither a number nor a boolean, and strings stand in quotes");
    }
    if what == "duplicate key" {
        return Problem::error(&span, "not TOML: this key or table is there twice");
    }
    let problem = Problem::error(&span, format!("not TOML: {what}"));
    if expected.is_empty() { problem } else { problem.label(format!("expected {expected}")) }
}

/// An empty place, widened so that there is something to underline.
fn visible(text: &str, span: &Span) -> Span {
    let next = text.get(span.start..).and_then(|rest| rest.chars().next()).filter(|char| !matches!(char, '\n' | '\r'));
    match next {
        Some(char) if span.is_empty() => span.start..span.start + char.len_utf8(),
        _ => span.clone(),
    }
}

fn line(text: &str, span: &Span) -> usize {
    let before = text.as_bytes().get(..span.start).unwrap_or(text.as_bytes());
    before.iter().filter(|byte| **byte == b'\n').count()
}

/// What a file may be that is not TOML from its first line on.
fn other_language(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let language = match line {
        "{" | "---" => line.replace('{', "JSON").replace("---", "YAML"),
        _ if line.ends_with(':') || line.starts_with("listen: ") => "YAML".to_owned(),
        _ => return None,
    };
    Some(format!(
        "this looks like {language}; in TOML it is `listen = [\"127.0.0.1:8080\"]`, and `[upstreams]` with `app = […]` below it"
    ))
}
