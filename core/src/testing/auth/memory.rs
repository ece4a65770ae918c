//! Time, and what is remembered.

use std::time::Duration;

use super::{Asked, Driver, HOLDS, Holder, NOW, UnixTime, after, told};
use crate::testing::rules::{holds, same};

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn a_good_token_is_its_holder(driver: &dyn Driver) {
    let ids = ["ada", "bob", "carol", "ada-2"];
    let asked = Asked::new(driver, &ids);
    let mut names = Vec::new();
    for _ in 0..3 {
        for (id, token) in ids.iter().zip(&asked.tokens) {
            asked.accepts(token, NOW, id);
            names.extend(asked.verify(token, NOW).map(|who| who.verifier().to_owned()));
        }
    }
    names.dedup();
    same!(names.len(), 1, "the names of one verifier in its identities: {names:?}");
}

/// When a token's time and all leeway are over.
fn end(driver: &dyn Driver) -> UnixTime {
    after(HOLDS + driver.leeway())
}

pub(super) fn a_token_is_good_until_it_expires(driver: &dyn Driver) {
    let asked = Asked::new(driver, &["ada", "bob"]);
    let [ada, bob] = &*asked.tokens else { return };
    // Neither was ever asked for before.
    asked.refuses(ada, end(driver));
    asked.accepts(bob, after(HOLDS - SECOND), "bob");
    asked.refuses(bob, after(1_000 * HOLDS));
}

pub(super) fn a_remembered_token_expires(driver: &dyn Driver) {
    let asked = Asked::new(driver, &["ada"]);
    for _ in 0..3 {
        asked.accepts(asked.token(), NOW, "ada");
    }
    asked.accepts(asked.token(), after(HOLDS - SECOND), "ada");
    let recalled = asked.verifier.recall(asked.token(), end(driver));
    holds!(recalled.is_none(), "recalled at its end");
    asked.refuses(asked.token(), end(driver));
    let recalled = asked.verifier.recall(asked.token(), end(driver));
    holds!(recalled.is_none(), "recalled after its end");
}

pub(super) fn time_is_what_is_given(driver: &dyn Driver) {
    // Two that end at different times, and a clock that is set forward and back.
    let holder = |id: &str, holds| Holder { id: id.to_owned(), expires: after(holds) };
    let (verifier, tokens) = driver.verifier(&[holder("ada", HOLDS), holder("bob", 1_000 * HOLDS)]);
    let asked = Asked { driver, verifier, tokens };
    let [ada, bob] = &*asked.tokens else { return };
    for _ in 0..2 {
        asked.accepts(ada, NOW, "ada");
        asked.refuses(ada, after(2 * HOLDS));
        asked.accepts(bob, after(2 * HOLDS), "bob");
    }
    asked.accepts(ada, NOW, "ada");
}

pub(super) fn recalled_is_what_would_be_accepted(driver: &dyn Driver) {
    let ids = ["ada", "bob"];
    let asked = Asked::new(driver, &ids);
    for (id, token) in ids.iter().zip(&asked.tokens) {
        for _ in 0..2 {
            if let Some(who) = asked.verifier.recall(token, NOW) {
                let verdict = asked.verify(token, NOW);
                same!(told(&verdict), Ok(who.id()), "a token that was recalled");
                same!(who.id(), *id, "what was recalled");
            }
            asked.accepts(token, NOW, id);
        }
    }
}

pub(super) fn what_was_refused_is_never_recalled(driver: &dyn Driver) {
    let asked = Asked::new(driver, &["ada"]);
    asked.accepts(asked.token(), NOW, "ada");
    let changed = [asked.token().to_uppercase() + "x", asked.token().chars().rev().collect(), "a.b.c".to_owned()];
    for token in changed.iter().filter(|token| *token != asked.token()) {
        for _ in 0..3 {
            asked.refuses(token, NOW);
            let recalled = asked.verifier.recall(token, NOW);
            holds!(recalled.is_none(), "recalled, though refused");
        }
    }
}
