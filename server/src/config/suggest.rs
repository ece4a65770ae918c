//! "Did you mean".

/// The one of `known` that `found` is most likely meant to be: at most a third of its letters away, or it with more behind it
/// ("warning" for "warn").
pub(crate) fn nearest<'k>(found: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let found = found.to_lowercase();
    let most = (found.chars().count() / 3).max(1);
    let is_more = |word: &str| word.len() > 3 && found.starts_with(word);
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&found, word), word))
        .filter(|(distance, word)| *distance <= most || is_more(word))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// The hint for it.
pub(crate) fn did_you_mean<'k>(found: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    nearest(found, known).map(|word| format!("did you mean `{word}`?"))
}

/// Words as a list for a reader: "`a`, `b`, `c`".
pub(crate) fn listed<'k>(words: impl IntoIterator<Item = &'k str>) -> String {
    words.into_iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["timeout", "limits", "path"];
        assert_eq!(nearest("tiemout", known), Some("timeout"));
        assert_eq!(nearest("Path", known), Some("path"));
        assert_eq!(nearest("timeout_ms", known), Some("timeout"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
    }
}
