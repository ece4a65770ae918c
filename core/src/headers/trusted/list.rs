//! The members of a list field from the last to the first.

use http::header::{GetAll, HeaderMap, HeaderName, HeaderValue, ValueIter};

/// The members of a field from the right, all lines of it together, without the white space around them; empty ones are skipped
/// (RFC 9110, section 5.6.1.2). A comma inside a quoted string divides nothing.
pub(super) struct FromTheRight<'a> {
    lines: std::iter::Rev<ValueIter<'a, HeaderValue>>,
    /// What is left of the line that is being read.
    left: &'a [u8],
}

impl<'a> FromTheRight<'a> {
    pub(super) fn of(fields: &'a HeaderMap, name: &HeaderName) -> Self {
        let lines: GetAll<'a, HeaderValue> = fields.get_all(name);
        Self { lines: lines.iter().rev(), left: &[] }
    }
}

impl<'a> Iterator for FromTheRight<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            if self.left.is_empty() {
                self.left = self.lines.next()?.as_bytes();
            }
            let (left, member) = cut_last(self.left);
            self.left = left;
            let member = member.trim_ascii();
            if !member.is_empty() {
                return Some(member);
            }
        }
    }
}

/// Cuts the last member off. Read from the right, so that a quote that is never closed spoils what stands left of it and not
/// what stands right: a client cannot swallow what a proxy wrote behind its own.
fn cut_last(list: &[u8]) -> (&[u8], &[u8]) {
    let mut quoted = false;
    for (at, byte) in list.iter().enumerate().rev() {
        match byte {
            b'"' if quoted && is_escaped(list, at) => {}
            b'"' => quoted = !quoted,
            b',' if !quoted => return (list.get(..at).unwrap_or_default(), list.get(at + 1..).unwrap_or_default()),
            _ => {}
        }
    }
    (&[], list)
}

/// Whether the byte at `at`, inside a quoted string, stands behind a backslash that is not itself escaped.
fn is_escaped(list: &[u8], at: usize) -> bool {
    let before = list.get(..at).unwrap_or_default();
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(lines: &[&str]) -> Vec<String> {
        let name = HeaderName::from_static("forwarded");
        let fields: HeaderMap = lines.iter().map(|line| (name.clone(), HeaderValue::from_str(line).unwrap())).collect();
        FromTheRight::of(&fields, &name).map(|member| String::from_utf8(member.to_vec()).unwrap()).collect()
    }

    #[test]
    fn from_the_last_line_and_the_right() {
        assert_eq!(members(&["a, b", "", " ,,c ,\td,"]), ["d", "c", "b", "a"]);
        assert!(members(&[]).is_empty() && members(&["", " , ,"]).is_empty());
    }

    #[test]
    fn commas_in_quotes_divide_nothing() {
        assert_eq!(members(&[r#"a="x,y",b="\",\\""#]), [r#"b="\",\\""#, r#"a="x,y""#]);
    }

    #[test]
    fn an_open_quote_spoils_what_is_left_of_it_only() {
        assert_eq!(members(&[r#"a,for="x, for=b, for="c,d""#]), [r#"for="c,d""#, "for=b", r#"a,for="x"#]);
    }
}
