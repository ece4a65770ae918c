use http::{HeaderMap, Method};

use super::*;
use crate::route::Params;

/// Answers by itself: the seam needs no engine.
#[derive(Debug)]
struct Fixed(Result<Value, EvalError>);

impl Evaluator for Fixed {
    fn evaluate(&self, _: &Facts<'_>) -> Result<Value, EvalError> {
        self.0.clone()
    }
}

fn fixed(result: Result<Value, EvalError>) -> Expr {
    Expr::new("a test", "…", Reads::default(), Fixed(result))
}

fn with_facts<T>(ask: impl FnOnce(&Facts<'_>) -> T) -> T {
    let headers = HeaderMap::new();
    let (identity, method, query) = (None, &Method::GET, None);
    ask(&Facts { client: None, headers: &headers, host: "", identity, method, params: Params::EMPTY, path: "/", query })
}

#[test]
fn only_true_holds() {
    with_facts(|facts| {
        assert_eq!(fixed(Ok(true.into())).holds(facts), Ok(true));
        assert_eq!(fixed(Ok(false.into())).holds(facts), Ok(false));
        for other in [Value::Null, 1.into(), "true".into(), vec![true].into()] {
            assert!(fixed(Ok(other)).holds(facts).is_err());
        }
    });
}

#[test]
fn a_count_is_whole_and_small() {
    with_facts(|facts| {
        assert_eq!(fixed(Ok(0.into())).count(facts), Ok(0));
        assert_eq!(fixed(Ok(u32::MAX.into())).count(facts), Ok(u32::MAX));
        for other in [Value::from(-1), 1.5.into(), (u64::from(u32::MAX) + 1).into(), true.into()] {
            assert!(fixed(Ok(other)).count(facts).is_err());
        }
    });
}

#[test]
fn what_fails_is_counted_by_all_clones() {
    with_facts(|facts| {
        let expr = fixed(Err(EvalError::new("no")));
        let clone = expr.clone();
        assert_eq!(clone.holds(facts), Err(EvalError::new("no")));
        assert!(fixed(Ok(1.into())).holds(facts).is_err());
        assert!(clone.evaluate(facts).is_err());
        assert_eq!(expr.failed(), 2);
    });
}
