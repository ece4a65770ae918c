//! Bytes that anybody may have chosen, into one line of text.

/// Which escapes are made besides control characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inside {
    /// A quoted JSON string (RFC 8259, section 7).
    Json,
    /// A bare word: blanks are escaped too, so that no value looks like the next field.
    Word,
}

/// Appends at most `max` bytes of `bytes`, escaped; each becomes at most six.
///
/// The result holds no control character (C0, DEL, C1), no line or paragraph separator and no mark that turns the
/// direction of what follows: it can neither end its line nor talk to a terminal. What is not UTF-8 becomes U+FFFD.
pub(super) fn push(out: &mut Vec<u8>, bytes: &[u8], max: usize, inside: Inside) {
    let bytes = bytes.get(..max).unwrap_or(bytes);
    if is_plain(bytes, inside) {
        out.extend_from_slice(bytes);
        return;
    }
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|char| push_char(out, char, inside));
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// Whether all of it is printable ASCII that stands for itself.
///
/// Eight bytes at a time, because every byte of every field of every line is looked at: in a word of eight, subtracting
/// what is looked for sets a byte's highest bit where it was found (Mycroft's test for a zero byte).
fn is_plain(bytes: &[u8], inside: Inside) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;
    let first = if inside == Inside::Json { b' ' } else { b'!' };
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & TOPS;
    let has = |word: u64, byte: u8| has_zero(word ^ (ONES * u64::from(byte)));
    let below = |word: u64, byte: u8| word.wrapping_sub(ONES * u64::from(byte)) & !word & TOPS;
    let (words, rest) = bytes.as_chunks::<8>();
    let plain_word = |word: &[u8; 8]| {
        let word = u64::from_ne_bytes(*word);
        (word & TOPS) | below(word, first) | has(word, 0x7f) | has(word, b'"') | has(word, b'\\') == 0
    };
    // What is left is looked at together with what comes before it.
    words.iter().all(plain_word)
        && bytes.last_chunk().map_or_else(
            || rest.iter().all(|byte| (first..0x7f).contains(byte) && !matches!(byte, b'"' | b'\\')),
            plain_word,
        )
}

fn push_char(out: &mut Vec<u8>, char: char, inside: Inside) {
    match char {
        '"' | '\\' => out.extend([b'\\', char as u8]),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        // The second and third: separators of lines, and marks that reorder the text around them (as in CVE-2021-42574).
        char if char.is_control()
            || matches!(char, '\u{2028}' | '\u{2029}')
            || matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            || (inside == Inside::Word && char.is_whitespace()) =>
        {
            push_code(out, char);
        }
        char => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// `\u` and four hexadecimal digits: all that is escaped is in the first plane.
fn push_code(out: &mut Vec<u8>, char: char) {
    let code = u32::from(char);
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        let digit = char::from_digit((code >> shift) & 0xf, 16).unwrap_or('0');
        out.push(digit as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        push(&mut out, bytes, usize::MAX, Inside::Json);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn plain_text_stays() {
        assert_eq!(json(b"/orders/7 ~"), "/orders/7 ~");
        assert_eq!(json("/größe/価格".as_bytes()), "/größe/価格");
    }

    #[test]
    fn what_could_end_the_line_or_reach_a_terminal_is_escaped() {
        assert_eq!(json(b"a\"b\\c"), r#"a\"b\\c"#);
        assert_eq!(json(b"a\r\nb\tc\0"), r"a\r\nb\tc\u0000");
        assert_eq!(json(b"\x1b[31m\x7f"), r"\u001b[31m\u007f");
        assert_eq!(json("\u{9b}\u{2028}\u{202e}".as_bytes()), r"\u009b\u2028\u202e");
        assert_eq!(json(b"a\xff\xfeb"), "a\u{fffd}\u{fffd}b");
    }

    #[test]
    fn a_word_has_no_blank() {
        let mut out = Vec::new();
        push(&mut out, "a b\u{a0}c".as_bytes(), usize::MAX, Inside::Word);
        assert_eq!(out, br"a\u0020b\u00a0c");
    }

    /// The quick look agrees with the plain rule, for every byte at every place.
    #[test]
    fn the_quick_look_misses_nothing() {
        for inside in [Inside::Json, Inside::Word] {
            for byte in 0..=u8::MAX {
                let plain = match byte {
                    b'"' | b'\\' => false,
                    b' ' => inside == Inside::Json,
                    byte => (0x21..0x7f).contains(&byte),
                };
                for place in 0..19 {
                    let mut bytes = [b'a'; 19];
                    bytes[place] = byte;
                    assert_eq!(is_plain(&bytes, inside), plain, "{byte:#x} at {place} in {inside:?}");
                }
            }
        }
    }

    #[test]
    fn is_cut() {
        let mut out = Vec::new();
        push(&mut out, b"abcdef", 3, Inside::Json);
        assert_eq!(out, b"abc");
    }
}
