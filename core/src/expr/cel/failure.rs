//! What the log is told of an evaluation that failed. Types and names that the operator wrote, never a value of the request.

use ::cel::ExecutionError;

use crate::expr::EvalError;

/// Marks an error as one of ours, whose text is fit for the log.
const OURS: &str = "portcullis";

/// An error of ours, on its way through the engine.
pub(super) fn ours(message: &'static str) -> ExecutionError {
    ExecutionError::function_error(OURS, message)
}

/// The engine's error in words of ours. `source` is the expression's text.
pub(super) fn told(error: &ExecutionError, source: &str) -> EvalError {
    match error {
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => EvalError::new("it divides by zero"),
        ExecutionError::DuplicateKey(_) => EvalError::new("a map has a key twice"),
        ExecutionError::FunctionError { function, message } if function == OURS => EvalError::new(message.clone()),
        ExecutionError::FunctionError { function, .. } => EvalError::new(format!("`{function}` failed")),
        ExecutionError::IndexOutOfBounds(_) => EvalError::new("a list has no such element"),
        // A key that was worked out from the request is the client's text.
        ExecutionError::NoSuchKey(key) | ExecutionError::UndeclaredReference(key) => match &***key {
            "" => EvalError::new("a key is absent"),
            key if source.contains(key) => EvalError::new(format!("there is no `{key}`")),
            _ => EvalError::new("a key is absent"),
        },
        ExecutionError::NoSuchOverload(overload) => {
            let types = overload.argument_types().join(", ");
            EvalError::new(format!("`{}` does not go with {types}", overload.function()))
        }
        ExecutionError::Overflow(..) => EvalError::new("a number does not fit 64 bits"),
        ExecutionError::UnexpectedType { got, want } => {
            EvalError::new(format!("there is a {got} in place of a {want}"))
        }
        ExecutionError::UnsupportedBinaryOperator(operator, ..) => {
            EvalError::new(format!("operands of `{operator}` do not go together"))
        }
        ExecutionError::ValuesNotComparable(..) => EvalError::new("two values cannot be compared"),
        _ => EvalError::new("it has no value"),
    }
}
