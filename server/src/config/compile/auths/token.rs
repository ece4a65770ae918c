//! Where a verifier's tokens stand: `token` and `key`.

use http::HeaderName;
use portcullis_core::auth::token_source::ACCEPTED;
use portcullis_core::auth::{IdentityHeaders, TokenSource, TokenSources};

use super::{Problems, headers};
use crate::config::problem::Problem;
use crate::config::schema::auth::Auth as Written;
use crate::config::span::{At, Given, Text};
use crate::config::suggest::did_you_mean;

/// The places; none when one of them is broken.
pub(super) fn sources(
    given: &Given<At<Vec<Text>>>,
    default: TokenSource,
    problems: &mut Problems,
) -> Option<TokenSources> {
    let list = match given {
        Given::Absent => return Some(TokenSources::new([default])),
        Given::Broken => return None,
        Given::Value(list) => list,
    };
    if list.value.is_empty() {
        let problem = Problem::error(&list.span, "this names no place: no request could have a token");
        problems.note(problem.accepted(ACCEPTED));
        return None;
    }
    let mut sources: Vec<TokenSource> = Vec::new();
    for text in &list.value {
        let Some(source) = source(text, &default, problems) else { continue };
        if sources.contains(&source) && !text.unset {
            problems.note(Problem::error(&text.span, format!("`{source}` is named twice")));
            continue;
        }
        sources.push(source);
    }
    (sources.len() == list.value.len()).then(|| TokenSources::new(sources))
}

fn source(text: &Text, default: &TokenSource, problems: &mut Problems) -> Option<TokenSource> {
    const WORDS: [&str; 3] = ["header:", "cookie:", "query:"];
    match text.value.parse() {
        Ok(TokenSource::Header(name)) if headers::is_no_token(&name) => {
            let problem = Problem::error(&text.span, format!("a token cannot stand in `{name}`"));
            let hint = (name == http::header::COOKIE).then(|| "name the cookie: \"cookie:NAME\"".to_owned());
            let problem = problem.label("the gateway removes this field, or reads something else in it");
            problems.note(problem.maybe_hint(hint));
            None
        }
        Ok(source) => Some(source),
        Err(_) if text.unset => Some(default.clone()),
        Err(error) => {
            let title =
                if text.is_resolved() { "this is not a place of a token".to_owned() } else { error.to_string() };
            let kind = text.written.split_inclusive(':').next().unwrap_or_default();
            let hint = did_you_mean(kind, WORDS).filter(|_| !WORDS.contains(&kind));
            problems.note(Problem::error(&text.span, title).accepted(ACCEPTED).maybe_hint(hint));
            None
        }
    }
}

/// A token in a header that some verifier sets would be gone before anybody looked.
pub(in crate::config::compile) fn note_removed(written: &[Written], problems: &mut Problems) {
    let names = written.iter().flat_map(|auth| &auth.forward);
    let names: Vec<HeaderName> = names.filter_map(|(name, _)| name.value.parse().ok()).collect();
    let removed = IdentityHeaders::new(&names);
    let lists = written.iter().flat_map(|auth| [&auth.token, &auth.key]).filter_map(Given::get);
    for text in lists.flat_map(|list| &list.value) {
        if let Ok(TokenSource::Header(name)) = text.value.parse()
            && removed.contains(&name)
        {
            let problem = Problem::error(&text.span, format!("a token cannot stand in `{name}`"));
            problems.note(problem.label("a `forward` names this header, so it is removed from every request"));
        }
    }
}
