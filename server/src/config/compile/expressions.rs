//! Expressions: compiled here, so that nothing but their values is left to be found out.

use portcullis_core::expr::Expr;
use portcullis_core::plan::Access;
use portcullis_core::route::Pattern;

use super::Problems;
use crate::config::problem::Problem;
use crate::config::schema::routes::Route as Written;
use crate::config::span::{Given, Text};

/// What a route requires; none when it is broken.
pub(super) fn require(
    written: &Written,
    name: &str,
    (pattern, access): (Option<&Pattern>, Option<&Access>),
    problems: &mut Problems,
) -> Option<Option<Expr>> {
    let text = match &written.require {
        Given::Absent => return Some(None),
        Given::Broken => return None,
        Given::Value(text) => text,
    };
    let expr = condition(text, &format!("`require` of the route `{name}`"), problems)?;
    let has = |param: &str| pattern.is_none_or(|pattern| pattern.has_param(param));
    if let Some(param) = expr.reads().params.iter().find(|param| !has(param)) {
        let title = format!("`require` reads `params.{param}`, which this route's path does not have");
        problems.note(Problem::error(&text.span, title).also(&written.span, "this route"));
        return None;
    }
    if expr.reads().identity && access == Some(&Access::Public) {
        let title = "`require` reads the identity, which nobody has here: this route is public";
        problems.note(Problem::error(&text.span, title).label("no request would pass").hint("set `auth`"));
        return None;
    }
    Some(Some(expr))
}

#[cfg(feature = "cel")]
fn condition(text: &Text, place: &str, problems: &mut Problems) -> Option<Expr> {
    use portcullis_core::expr::Yields;

    let accepted = "an expression that is true or false, such as 'identity.claims.role == \"admin\"'";
    let error = match Expr::compile(place, &text.value, Yields::Condition) {
        Ok(expr) => return Some(expr),
        // What stands for a value that is not set is nothing to judge.
        Err(_) if text.unset => return Expr::compile(place, "false", Yields::Condition).ok(),
        Err(error) => error,
    };
    let span = error.offset().map_or_else(|| text.span.clone(), |at| text.part(&(at..at + 1)));
    // What came from outside the file may be a secret, and an error can quote it.
    let title = if text.is_resolved() {
        "this is not an expression".to_owned()
    } else {
        format!("not an expression that can be used: {error}")
    };
    problems.note(Problem::error(&span, title).accepted(accepted));
    None
}

#[cfg(not(feature = "cel"))]
fn condition(text: &Text, _: &str, problems: &mut Problems) -> Option<Expr> {
    let title = "expressions are not in this build";
    problems.note(Problem::error(&text.span, title).hint("build with the feature `cel`"));
    None
}
