//! The Common Expression Language: the only place that names its engine.
//!
//! The engine has no budget, and its tree is walked by recursion. So a text is bounded before the engine reads it (`bounds`), what the
//! engine made of it is walked and checked by us (`walk`), and the values that a request brings are bounded (`values`, `json`). A panic
//! of the engine's is caught here and is an error like any other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use ::cel::common::ast::IdedExpr;
use ::cel::parser::PrattParser;
use ::cel::{Context, Env, ParseErrors};
use serde_json::Value;

use self::values::Names;
use super::{EvalError, Evaluator, Expr, ExprError, MAX_SOURCE, Yields};
use crate::source::Facts;

mod failure;
mod json;
mod kind;
#[cfg(test)]
mod tests;
mod values;
mod walk;

/// How deep brackets may stand in a text. A tree of [`walk::MAX_DEPTH`] can be written with half of it; each costs the engine's parser
/// five frames of stack.
const MAX_BRACKETS: u16 = 64;

/// How many operators, dots and brackets a text may have, those in its strings counted. The engine's parser makes trees of them that
/// are as deep, and drops and copies those by recursion; 256 nodes need fewer.
const MAX_MARKS: usize = 512;

/// How many question marks, since the parser goes one deeper for each and does not count that.
const MAX_QUESTIONS: usize = 64;

/// The functions of the language; immutable, so one for all.
static FUNCTIONS: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

impl Expr {
    /// Compiles a text of the Common Expression Language and checks it: nothing is left to be found out at a request but its values.
    /// `place` says in the log which expression it is.
    ///
    /// It sees `request` (`method`, `path`, `host`, `headers`, `query`, `client`), `params` and `identity` (`id`, `verifier`,
    /// `claims`). A header that was sent several times is one value, joined with commas (RFC 9110, section 5.3); a query parameter that
    /// was sent twice is an error when it is read, since nobody knows which one the upstream takes.
    ///
    /// ```
    /// use portcullis_core::expr::{Expr, Yields};
    /// let admin = Expr::compile("a test", r#"identity.claims.role == "admin""#, Yields::Condition)?;
    /// assert!(admin.reads().identity);
    /// let error = Expr::compile("a test", r#"identity.claim.role == "admin""#, Yields::Condition).unwrap_err();
    /// assert_eq!(error.to_string(), "identity has no `claim`; it has id, verifier, claims");
    /// # Ok::<(), portcullis_core::expr::ExprError>(())
    /// ```
    ///
    /// # Errors
    /// For a text over [`MAX_SOURCE`], one that does not parse, a tree over 32 levels or 256 nodes, names and functions that there are
    /// not, loops nested more than two deep, operands that do not go together, and a type that is not `yields`.
    pub fn compile(place: &str, source: &str, yields: Yields) -> Result<Self, ExprError> {
        bounds(source)?;
        let tree = parse(source)?;
        let checked = walk::check(&tree, source, yields)?;
        let evaluator = Compiled { most: checked.most, source: source.into(), tree };
        Ok(Self::new(place, source, checked.reads, evaluator))
    }
}

/// What can be said of a text without reading it.
fn bounds(source: &str) -> Result<(), ExprError> {
    let count = |marks: &str| source.chars().filter(|char| marks.contains(*char)).count();
    if source.len() > MAX_SOURCE {
        return Err(ExprError::new(format!("it is {} bytes long; at most {MAX_SOURCE}", source.len()), None));
    }
    if source.trim().is_empty() {
        return Err(ExprError::new("it is empty", None));
    }
    if count(".([{!-+*/%<>=&|?") > MAX_MARKS || count("?") > MAX_QUESTIONS {
        let message = format!(
            "it has too many operators, dots and brackets; at most {MAX_MARKS}, and at most {MAX_QUESTIONS} question marks"
        );
        return Err(ExprError::new(message, None));
    }
    Ok(())
}

fn parse(source: &str) -> Result<IdedExpr, ExprError> {
    // The first error is told; what comes after it is often no more than its consequence.
    let parser = PrattParser::new().max_recursion_depth(MAX_BRACKETS).error_recovery_limit(0);
    match catch_unwind(AssertUnwindSafe(|| parser.parse(source))) {
        Ok(parsed) => parsed.map_err(|errors| first(&errors, source)),
        Err(_) => Err(ExprError::new("the engine cannot read it", None)),
    }
}

fn first(errors: &ParseErrors, source: &str) -> ExprError {
    let Some(error) = errors.errors.iter().find(|error| error.pos.0 > 0).or_else(|| errors.errors.first()) else {
        return ExprError::new("it does not parse", None);
    };
    let message = error.msg.trim_start_matches("Syntax error: ");
    if message.starts_with("expression recursion limit") {
        return ExprError::new(format!("its brackets are more than {MAX_BRACKETS} deep"), None);
    }
    let message =
        if message.starts_with("mismatched input '='") { "`=` compares nothing; write `==`" } else { message };
    ExprError::new(message, offset(error.pos, source))
}

/// The engine counts lines and columns from one, columns in bytes.
fn offset((line, column): (isize, isize), source: &str) -> Option<usize> {
    let (line, column) = (usize::try_from(line).ok()?.checked_sub(1)?, usize::try_from(column).ok()?.checked_sub(1)?);
    let before: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
    Some((before + column).min(source.len())).filter(|offset| source.is_char_boundary(*offset))
}

#[derive(Debug)]
struct Compiled {
    /// How many elements a list or map of the request's may have.
    most: usize,
    source: Box<str>,
    tree: IdedExpr,
}

impl Evaluator for Compiled {
    fn evaluate(&self, facts: &Facts<'_>) -> Result<Value, EvalError> {
        let evaluate = || {
            let names = Names { facts, most: self.most };
            let mut context = Context::with_env(Arc::clone(&FUNCTIONS));
            context.set_variable_resolver(&names);
            let value =
                ::cel::Value::resolve_val(&self.tree, &context).map_err(|error| failure::told(&error, &self.source))?;
            json::written(&*value)
        };
        catch_unwind(AssertUnwindSafe(evaluate)).unwrap_or_else(|_| Err(EvalError::new("the engine panicked")))
    }
}
