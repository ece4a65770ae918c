//! The report: every problem of a file, drawn the way a compiler draws one.

use std::fmt;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level as Drawn, Renderer, Snippet};

use super::problem::{Level, Problem};
use super::redact;
use super::span::Span;

/// So many problems are drawn: each costs a look at its whole file, and nobody reads more. A file of keys can have thousands.
const MOST_DRAWN: usize = 100;

/// All problems of one configuration, file by file and in the order of their places. Never holds or prints a secret: its copies
/// of the texts are masked when they are made.
///
/// Displays without colours; [`Report::coloured`] is for terminals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The configuration first, then the files that were read with it; by [`Problem::file`].
    files: Vec<Read>,
    problems: Vec<Problem>,
}

/// A file as reports show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) name: String,
    /// Masked.
    pub(crate) text: String,
}

impl Report {
    /// A report on `source`, in which `secrets` (and whatever looks like one) are masked.
    pub(crate) fn new(file: &str, source: &str, secrets: &[Span], mut problems: Vec<Problem>) -> Self {
        // Stable: problems of one place stay in the order they were found in.
        problems.sort_by_key(|problem| (problem.file, problem.span.clone().map(|span| (span.start, span.end))));
        problems.dedup();
        Self { files: vec![Read { name: file.to_owned(), text: redact::mask(source, secrets) }], problems }
    }

    /// The same, with the other files that its problems are of.
    pub(crate) fn with(mut self, files: Vec<Read>) -> Self {
        self.files.extend(files);
        self
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
        for problem in self.problems.iter().take(MOST_DRAWN) {
            out.push_str(&renderer.render(&[self.group(problem)]));
            out.push_str("\n\n");
        }
        if let Some(hidden) = self.problems.len().checked_sub(MOST_DRAWN).filter(|hidden| *hidden > 0) {
            out.push_str(&format!("… and {hidden} more\n\n"));
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
        if let (Some(span), Some(file)) = (&problem.span, self.files.get(problem.file)) {
            let primary = AnnotationKind::Primary.span(file.first_line(span)).label(problem.label.as_deref());
            let others = problem
                .also
                .iter()
                .map(|(span, label)| AnnotationKind::Context.span(file.first_line(span)).label(&**label));
            let snippet = Snippet::source(&*file.text).path(&*file.name).annotation(primary).annotations(others);
            group = group.element(snippet);
        }
        let notes = problem.notes.iter().map(|note| Drawn::NOTE.message(&**note));
        let hint = problem.hint.iter().map(|hint| Drawn::HELP.message(&**hint));
        group.elements(notes).elements(hint)
    }

    fn closing(&self) -> String {
        let errors = self.errors();
        let warnings = self.problems.len() - errors;
        let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
        let files = self.concerned();
        match (errors, warnings) {
            (0, 0) => format!("no problems in {files}"),
            (errors, 0) => format!("{} in {files}", count(errors, "error")),
            (0, warnings) => format!("{} in {files}", count(warnings, "warning")),
            _ => format!("{} and {} in {files}", count(errors, "error"), count(warnings, "warning")),
        }
    }

    /// The names of the files that have problems; of the configuration when none has.
    fn concerned(&self) -> String {
        let concerned = |place: usize| self.problems.iter().any(|problem| problem.file == place);
        let names = self.files.iter().enumerate().filter(|(place, _)| concerned(*place)).map(|(_, file)| &*file.name);
        let names = names.collect::<Vec<_>>().join(", ");
        if names.is_empty() { self.files.first().map(|file| file.name.clone()).unwrap_or_default() } else { names }
    }
}

impl Read {
    /// As much of `span` as stands on its first line, on character borders.
    fn first_line(&self, span: &Span) -> Span {
        let border = |mut at: usize| {
            at = at.min(self.text.len());
            while !self.text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let (start, end) = (border(span.start), border(span.end.max(span.start)));
        let line = self.text.get(start..end).and_then(|text| text.find(['\n', '\r']));
        start..line.map_or(end, |length| start + length)
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
    fn files_have_places_of_their_own_and_only_so_many_are_drawn() {
        let bad = |at: usize, title: &str| Problem::error(&(at..at + 1), title);
        let read = Read { name: "keys.toml".to_owned(), text: "x = 1\ny = 2\n".to_owned() };
        let problems = vec![bad(6, "of keys").in_file(1), bad(0, "of the configuration")];
        let text = report("a = 1\n", problems).with(vec![read.clone()]).to_string();
        assert!(text.contains("a.toml:1:1") && text.contains("keys.toml:2:1"), "{text}");
        assert!(text.ends_with("2 errors in a.toml, keys.toml"), "{text}");
        let many = (0..250).map(|number| bad(0, &format!("number {number}")).in_file(1)).collect();
        let text = report("", many).with(vec![read]).to_string();
        assert_eq!(text.matches("error: number").count(), MOST_DRAWN);
        assert!(text.ends_with("… and 150 more\n\n250 errors in keys.toml"), "{text}");
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
