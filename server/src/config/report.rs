//! The report: every problem of a file, drawn the way a compiler draws one.

use std::fmt;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level as Drawn, Renderer, Snippet};

use super::problem::{Level, Problem};
use super::redact;
use super::span::Span;

/// All problems of one configuration file, in the order of their places. Never holds or prints a secret: its copy of the text
/// is masked when it is made.
///
/// Displays without colours; [`Report::coloured`] is for terminals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    file: String,
    problems: Vec<Problem>,
    source: String,
}

impl Report {
    /// A report on `source`, in which `secrets` (and whatever looks like one) are masked.
    pub(crate) fn new(file: &str, source: &str, secrets: &[Span], mut problems: Vec<Problem>) -> Self {
        // Stable: problems of one place stay in the order they were found in.
        problems.sort_by_key(|problem| problem.span.clone().map(|span| (span.start, span.end)));
        problems.dedup();
        Self { file: file.to_owned(), problems, source: redact::mask(source, secrets) }
    }

    /// The problems, in the order of their places.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Whether there is nothing to report.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// How many of the problems keep the file from being applied.
    pub fn errors(&self) -> usize {
        self.problems.iter().filter(|problem| problem.level == Level::Error).count()
    }

    /// The report for a terminal that shows colours.
    pub fn coloured(&self) -> String {
        self.draw(&Renderer::styled().decor_style(DecorStyle::Ascii))
    }

    fn draw(&self, renderer: &Renderer) -> String {
        let mut out = String::new();
        for problem in &self.problems {
            out.push_str(&renderer.render(&[self.group(problem)]));
            out.push_str("\n\n");
        }
        out.push_str(&self.closing());
        out
    }

    fn group<'a>(&'a self, problem: &'a Problem) -> Group<'a> {
        let level = match problem.level {
            Level::Error => Drawn::ERROR,
            Level::Warning => Drawn::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(&*problem.title));
        if let Some(span) = &problem.span {
            let primary = AnnotationKind::Primary.span(self.first_line(span)).label(problem.label.as_deref());
            let others = problem
                .also
                .iter()
                .map(|(span, label)| AnnotationKind::Context.span(self.first_line(span)).label(&**label));
            let snippet = Snippet::source(&*self.source).path(&*self.file).annotation(primary).annotations(others);
            group = group.element(snippet);
        }
        let notes = problem.notes.iter().map(|note| Drawn::NOTE.message(&**note));
        let hint = problem.hint.iter().map(|hint| Drawn::HELP.message(&**hint));
        group.elements(notes).elements(hint)
    }

    /// As much of `span` as stands on its first line, on character borders.
    fn first_line(&self, span: &Span) -> Span {
        let border = |mut at: usize| {
            at = at.min(self.source.len());
            while !self.source.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let (start, end) = (border(span.start), border(span.end.max(span.start)));
        let line = self.source.get(start..end).and_then(|text| text.find(['\n', '\r']));
        start..line.map_or(end, |length| start + length)
    }

    fn closing(&self) -> String {
        let errors = self.errors();
        let warnings = self.problems.len() - errors;
        let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
        match (errors, warnings) {
            (0, 0) => format!("no problems in {}", self.file),
            (errors, 0) => format!("{} in {}", count(errors, "error"), self.file),
            (0, warnings) => format!("{} in {}", count(warnings, "warning"), self.file),
            _ => format!("{} and {} in {}", count(errors, "error"), count(warnings, "warning"), self.file),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.draw(&Renderer::plain()))
    }
}

impl std::error::Error for Report {}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(source: &str, problems: Vec<Problem>) -> Report {
        Report::new("a.toml", source, &[], problems)
    }

    #[test]
    fn problems_stand_in_the_order_of_their_places() {
        let source = "a = 1\nb = 2\n";
        let text =
            report(source, vec![Problem::error(&(6..7), "second"), Problem::error(&(0..1), "first")]).to_string();
        assert!(text.find("first").unwrap() < text.find("second").unwrap());
        assert!(text.contains("a.toml:2:1"), "{text}");
        assert!(text.ends_with("2 errors in a.toml"));
    }

    #[test]
    fn columns_count_characters_and_a_broken_span_draws() {
        let source = "\tnäme = \"ü\" # €\n";
        let at = source.find('"').unwrap();
        let text = report(source, vec![Problem::error(&(at..at + 4), "bad").label("here")]).to_string();
        assert!(text.contains("a.toml:1:9"), "{text}");
        // Off a character's border, and past the end: drawn somewhere, without a panic.
        let _ = report(source, vec![Problem::error(&(3..9999), "bad"), Problem::error(&(500..600), "bad")]).to_string();
        let _ = report("", vec![Problem::error(&(0..0), "empty")]).to_string();
    }

    #[test]
    fn a_span_over_several_lines_is_underlined_on_its_first() {
        let source = "[a]\nb = '''\nx\n'''\n";
        let text = report(source, vec![Problem::error(&(8..17), "bad")]).to_string();
        assert!(text.contains("2 | b = '''") && !text.contains("3 |"), "{text}");
    }

    #[test]
    fn without_a_place_there_is_only_the_message() {
        let text = report("", vec![Problem::of_file("no file").hint("make one")]).to_string();
        assert!(text.starts_with("error: no file") && text.contains("make one"), "{text}");
    }
}
