//! Names that the file does not say.

use std::collections::HashSet;

use crate::config::problem::Problem;
use crate::config::schema::routes::Route;
use crate::config::span::Span;

use super::Problems;

/// `name`, or with the first number from 2 behind it that makes it free.
pub(super) fn free(name: &str, taken: impl Fn(&str) -> bool) -> String {
    if !taken(name) {
        return name.to_owned();
    }
    (2_u64..).map(|number| format!("{name}#{number}")).find(|name| !taken(name)).unwrap_or_default()
}

/// The names of the routes, in the order of the file.
///
/// A route that has none is called as its path is written; where that is taken, by its path and methods; where that is taken
/// too, a number follows. Written names go first, whatever their place.
pub(super) fn of_routes(routes: &[Route], problems: &mut Problems) -> Vec<String> {
    let mut taken: HashSet<String> = HashSet::new();
    let mut written: Vec<(&str, &Span)> = Vec::new();
    for name in routes.iter().filter_map(|route| route.name.get()) {
        check(&name.value, &name.span, problems);
        if let Some((_, first)) = written.iter().find(|(other, _)| *other == name.value) {
            let problem = Problem::error(&name.span, format!("two routes have the name `{}`", name.shown()));
            problems
                .note(problem.also(first, "the first one").hint("logs and metrics tell routes apart by their names"));
        }
        written.push((&name.value, &name.span));
        taken.insert(name.value.clone());
    }
    routes
        .iter()
        .map(|route| route.name.get().map_or_else(|| made(route, &mut taken), |name| name.value.clone()))
        .collect()
}

fn made(route: &Route, taken: &mut HashSet<String>) -> String {
    let path = route.path.get().map_or("", |path| &*path.value);
    let path = &shown(path);
    let methods: Vec<_> =
        route.methods.get().into_iter().flat_map(|list| &list.value).map(|text| &*text.value).collect();
    let name = if taken.contains(path) && !methods.is_empty() {
        free(&format!("{path} ({})", methods.join(", ")), |name| taken.contains(name))
    } else {
        free(path, |name| taken.contains(name))
    };
    taken.insert(name.clone());
    name
}

/// A path as a name: what is not printable ASCII becomes `_`, and what is too long is cut.
fn shown(path: &str) -> String {
    /// Leaves room for methods and a number.
    const MOST: usize = 48;
    path.chars().take(MOST).map(|char| if (' '..='~').contains(&char) { char } else { '_' }).collect()
}

fn check(name: &str, span: &Span, problems: &mut Problems) {
    if !(1..=64).contains(&name.len()) || !name.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        problems.note(Problem::error(span, "this is not a name").accepted("1 to 64 printable ASCII characters"));
    }
}
