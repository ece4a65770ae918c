//! What is not acceptable, and what cannot be known.

use super::{Asked, AuthError, Driver, NOW, holders, shown, told};
use crate::answer::Answer;
use crate::testing::ScriptedRandom;
use crate::testing::rules::holds;

pub(super) fn what_is_no_token_is_invalid(driver: &dyn Driver) {
    let asked = Asked::new(driver, &["ada"]);
    for text in [
        "",
        " ",
        ".",
        "..",
        "...",
        "a",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "null",
        "{}",
        "[]",
        "\"\"",
        "0",
        "-1",
        "%00",
        "\0",
        "\n",
        "\u{feff}",
        "\u{202e}",
        "é",
        "日本",
        "🦀",
        "' OR 1=1 --",
        "../../etc/passwd",
        "*",
        "ada",
        "Bearer",
        "bearer a",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.",
    ] {
        asked.refuses(text, NOW);
    }
}

pub(super) fn a_changed_token_is_invalid(driver: &dyn Driver) {
    let asked = Asked::new(driver, &["ada"]);
    let good = asked.token().to_owned();
    asked.accepts(&good, NOW, "ada");
    let chars: Vec<char> = good.chars().collect();
    // Each place of a short token, some of a long one, the ends always.
    let step = (chars.len() / 300).max(1);
    let places = (0..chars.len()).filter(|place| place % step == 0 || chars.len() - place <= 50);
    for place in places {
        let (before, rest) = chars.split_at(place);
        let other = match rest.first() {
            Some('a'..='y' | 'A'..='Y' | '0'..='8') => rest.first().and_then(|c| char::from_u32(u32::from(*c) + 1)),
            _ => Some('b'),
        };
        let with = |middle: &[char], after: &[char]| [before, middle, after].concat().into_iter().collect::<String>();
        let after = rest.get(1..).unwrap_or_default();
        // Another letter, a letter less, and nothing from here on.
        asked.refuses(&with(other.as_slice(), after), NOW);
        asked.refuses(&with(&[], after), NOW);
        asked.refuses(&with(&[], &[]), NOW);
    }
    for (before, after) in [
        (" ", ""),
        ("", " "),
        ("", "\n"),
        ("\0", ""),
        ("", "\0"),
        ("", "."),
        ("Bearer ", ""),
        ("", "="),
        ("", &good),
        ("", ",x"),
    ] {
        asked.refuses(&format!("{before}{good}{after}"), NOW);
    }
}

pub(super) fn no_text_makes_it_panic(driver: &dyn Driver) {
    let asked = Asked::new(driver, &["ada"]);
    let mut random = ScriptedRandom::seeded(1);
    let good: Vec<char> = asked.token().chars().collect();
    let odd: Vec<char> =
        "\0\u{1}\t\n\r \"%&'+,-./0:;<=>?@AZ[\\]^_`az{|}~\u{7f}\u{80}é߿ࠀ\u{2028}\u{feff}\u{fffd}🦀".chars().collect();
    let mut pick = |from: &[char]| from.get(random.below(from.len())).copied().unwrap_or_default();
    for length in 0..1_500 {
        // Of every length up to some hundreds: odd characters, a good token's characters, and both.
        let of_token = length % 3;
        let text: String = (0..length / 3)
            .map(|place| match (of_token, place % 7) {
                (0, _) | (2, 3) => pick(&odd),
                _ => pick(&good),
            })
            .collect();
        asked.refuses(&text, NOW);
        let recalled = asked.verifier.recall(&text, NOW);
        holds!(recalled.is_none(), "{}", shown(&text));
    }
}

pub(super) fn a_long_text_is_refused_at_once(driver: &dyn Driver) {
    let asked = Asked::new(driver, &["ada"]);
    let longest = driver.longest();
    holds!(asked.token().len() <= longest, "the driver's token: {} bytes of {longest}", asked.token().len());
    let stretched = |with: &str, length: usize| {
        let missing = length.saturating_sub(asked.token().len());
        format!("{}{}", asked.token(), with.repeat(missing.div_ceil(with.len())))
    };
    let mut texts = Vec::new();
    for length in [longest + 1, 2 * longest, 1024 * 1024] {
        texts.extend(["a", ".", "%", "{\"a\":", "é", "\0"].map(|of| of.repeat(length.div_ceil(of.len()))));
        texts.extend([" ", ".", "="].map(|with| stretched(with, length)));
    }
    for text in texts {
        let answer = asked.verifier.verify(&text, NOW);
        let at_once = matches!(answer, Answer::Now(Err(AuthError::Invalid(_))));
        holds!(at_once, "{answer:?}, for {}", shown(&text));
        let recalled = asked.verifier.recall(&text, NOW);
        holds!(recalled.is_none(), "{}", shown(&text));
    }
}

pub(super) fn what_cannot_be_checked_is_unavailable(driver: &dyn Driver) {
    let holders = holders(&["ada", "bob"]);
    let Some((verifier, tokens)) = driver.unavailable(&holders) else { return };
    let asked = Asked { driver, verifier, tokens };
    for token in &asked.tokens {
        for _ in 0..3 {
            let verdict = asked.verify(token, NOW);
            holds!(matches!(verdict, Err(AuthError::Unavailable)), "{:?}, for a good token", told(&verdict));
            let recalled = asked.verifier.recall(token, NOW);
            holds!(recalled.is_none(), "a token that was never accepted");
        }
    }
}
