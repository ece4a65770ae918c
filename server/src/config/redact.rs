//! Masks secrets in the text that reports are drawn from.
//!
//! Places that the reader knows to be secrets are masked exactly. A file that does not parse, or a misspelt key, can hold a
//! secret at a place that nobody knows of: so whatever a key with a telling name is set to is masked too, and the user
//! information of every URL. Masking too much costs a little clarity; too little costs a secret.

use super::span::Span;

/// Parts of key names that tell of a secret.
const TELLING: [&str; 6] = ["credential", "passphrase", "passw", "pwd", "secret", "token"];

/// The text with every secret covered by stars, byte for byte, so that every place keeps its number.
pub(crate) fn mask(source: &str, secrets: &[Span]) -> String {
    mask_where(source, secrets, is_telling)
}

/// The same for a file of API keys, where somebody may have written a key instead of its hash.
pub(crate) fn mask_keys(source: &str, secrets: &[Span]) -> String {
    mask_where(source, secrets, |key| {
        is_telling(key) || key.contains("key") || key.contains("sha") || key.contains("hash")
    })
}

fn mask_where(source: &str, secrets: &[Span], is_telling: fn(&str) -> bool) -> String {
    let mut bytes = source.as_bytes().to_vec();
    for span in secrets {
        cover(&mut bytes, &inner(source, span));
    }
    let mut start = 0;
    while let Some(line) = source.get(start..).and_then(|rest| rest.split_inclusive('\n').next()) {
        for span in telling_values(source, start..start + line.len(), is_telling) {
            cover(&mut bytes, &span);
        }
        for span in user_information(line) {
            cover(&mut bytes, &(start + span.start..start + span.end));
        }
        start += line.len();
    }
    // Whole characters were replaced by ASCII, so this cannot fail; a masked text is better than none if it did.
    String::from_utf8(bytes).unwrap_or_default()
}

/// Whether a key's name tells of a secret.
pub(crate) fn is_telling(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    TELLING.iter().any(|word| key.contains(word))
}

/// Whether a value is only the name of a secret: a variable or a file.
fn is_a_reference(value: &str) -> bool {
    let variable = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    value.is_empty()
        || value.starts_with("file:")
        || variable.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
}

/// The value at `span` without its quotes; nothing when it is only a reference.
fn inner(source: &str, span: &Span) -> Span {
    let Some(text) = source.get(span.clone()) else { return 0..0 };
    let value = text.trim_matches(['"', '\'']);
    if is_a_reference(value) {
        return 0..0;
    }
    let start = span.start + (text.len() - text.trim_start_matches(['"', '\'']).len());
    start..start + value.len()
}

/// What the keys with telling names on one line are set to. A string that does not end on the line is taken to its end, else to
/// the end of the file.
fn telling_values(source: &str, line: Span, is_telling: fn(&str) -> bool) -> Vec<Span> {
    let mut found = Vec::new();
    let text = source.get(line.clone()).unwrap_or_default();
    for (equals, _) in text.match_indices('=') {
        let before = text.get(..equals).unwrap_or_default().trim_end().trim_end_matches(['"', '\'']);
        let key = before.rsplit(|char: char| !(char.is_alphanumeric() || matches!(char, '_' | '-'))).next();
        if !key.is_some_and(is_telling) {
            continue;
        }
        let after = text.get(equals + 1..).unwrap_or_default();
        let start = line.start + equals + 1 + (after.len() - after.trim_start_matches([' ', '\t']).len());
        if let Some(span) = value_from(source, start, line.end) {
            found.push(span);
        }
    }
    found
}

fn value_from(source: &str, start: usize, line_end: usize) -> Option<Span> {
    let rest = source.get(start..)?;
    for quote in ["\"\"\"", "'''", "\"", "'"] {
        if let Some(inside) = rest.strip_prefix(quote) {
            let from = start + quote.len();
            let many_lines = quote.len() == 3;
            let room = if many_lines { inside } else { source.get(from..line_end)? };
            let length = closing(room, quote).unwrap_or(room.len());
            return (!is_a_reference(room.get(..length)?)).then_some(from..from + length);
        }
    }
    // A list or table has keys and sources, not a secret; `token = ["header:authorization"]` must stay readable. Its
    // secrets have keys of their own.
    let bare = source.get(start..line_end)?;
    let harmless = bare.starts_with(['[', '{']) || bare.starts_with("true") || bare.starts_with("false");
    (!harmless).then_some(start..start + bare.trim_end().len())
}

/// Where the string ends that began before `text`.
fn closing(text: &str, quote: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, char)| {
        let ends = !escaped && text.get(at..).is_some_and(|rest| rest.starts_with(quote));
        escaped = char == '\\' && !escaped && quote.starts_with('"');
        ends.then_some(at)
    })
}

/// What stands between `://` and `@`.
fn user_information(line: &str) -> Vec<Span> {
    line.match_indices("://")
        .filter_map(|(at, _)| {
            let start = at + 3;
            let authority = line.get(start..)?.split(['/', '"', '\'', ' ', '?', '#']).next()?;
            authority.rfind('@').map(|length| start..start + length)
        })
        .collect()
}

fn cover(bytes: &mut [u8], span: &Span) {
    for byte in bytes.get_mut(span.clone()).unwrap_or_default() {
        if !matches!(byte, b'\n' | b'\r') {
            *byte = b'*';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telling_keys_are_masked_however_broken_the_file() {
        for line in [
            "secret = \"canary\"",
            "secret = 'canary'",
            "secret = canary",
            "secret = \"canary",
            "secret = \"\"\"\ncanary\n\"\"\"",
            "secret = \"\"\"\ncanary\n",
            "x = { client_secret = \"canary\" }",
            "\"my-token\" = \"canary\"",
            "secret=\"a\\\"canary\"",
            "url = \"redis://user:canary@host:1\"",
            "secret = \"${X:-canary}\"",
            "a.secret = \"ü canary\" # x",
        ] {
            let masked = mask(line, &[]);
            assert!(!masked.contains("canary"), "{masked}");
            assert_eq!(masked.len(), line.len());
        }
    }

    #[test]
    fn references_and_plain_values_stay() {
        for line in [
            "secret = \"${JWT_SECRET}\"",
            "secret = \"file:a.key\"",
            "token = [\"header:x\"]",
            "url = \"http://a:1/@\"",
        ] {
            assert_eq!(mask(line, &[]), line);
        }
        assert_eq!(mask("a = \"canary\"", std::slice::from_ref(&(4..12))), "a = \"******\"");
    }
}
