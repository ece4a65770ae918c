//! A list of directives, one after the other (RFC 9111, section 5.2): `name`, `name=token` or `name="quoted"`.

use super::control::MAX_SECONDS;

/// The directives of one line.
#[derive(Clone, Debug)]
pub(super) struct Directives<'a> {
    rest: &'a [u8],
    unreadable: bool,
}

/// One directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Directive<'a> {
    name: &'a [u8],
    /// What follows the `=`, its quotes with it; none without one.
    value: Option<&'a [u8]>,
    /// White space stands beside the `=`, where the grammar has none.
    loose: bool,
}

impl<'a> Directives<'a> {
    pub(super) fn of(line: &'a [u8]) -> Self {
        Self { rest: line, unreadable: false }
    }

    /// Whether something came by that is no directive, and may have hidden one.
    pub(super) fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    /// Where the member ends that `rest` begins with: at a comma that is in no quotes.
    fn end(&mut self) -> usize {
        let (mut quoted, mut escaped) = (false, false);
        for (at, byte) in self.rest.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b',' if !quoted => return at,
                _ => {}
            }
        }
        self.unreadable |= quoted;
        self.rest.len()
    }
}

impl<'a> Iterator for Directives<'a> {
    type Item = Directive<'a>;

    fn next(&mut self) -> Option<Directive<'a>> {
        while !self.rest.is_empty() {
            let end = self.end();
            let (member, rest) = self.rest.split_at_checked(end)?;
            self.rest = rest.get(1..).unwrap_or_default();
            let member = member.trim_ascii();
            if !member.is_empty() {
                return Some(Directive::of(member));
            }
        }
        None
    }
}

impl<'a> Directive<'a> {
    fn of(member: &'a [u8]) -> Self {
        let Some(at) = member.iter().position(|byte| *byte == b'=') else {
            return Self { name: member, value: None, loose: false };
        };
        let (name, value) = member.split_at_checked(at).unwrap_or((member, b"="));
        let value = value.get(1..).unwrap_or_default();
        let (tight_name, tight_value) = (name.trim_ascii_end(), value.trim_ascii_start());
        let loose = tight_name.len() != name.len() || tight_value.len() != value.len();
        Self { name: tight_name, value: Some(tight_value), loose }
    }

    pub(super) fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Nothing follows the name.
    pub(super) fn is_bare(&self) -> bool {
        self.value.is_none()
    }

    /// The number of seconds; a quoted one counts too (section 5.2: both forms are accepted). None where it is no
    /// number.
    pub(super) fn seconds(&self) -> Option<u32> {
        let value = self.value.filter(|_| !self.loose)?;
        let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
        delta_seconds(value)
    }
}

/// RFC 9111, section 1.2.2: digits only, and whatever is too much is [`MAX_SECONDS`].
pub(super) fn delta_seconds(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u32, |seconds, byte| {
        let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
        Some(seconds.saturating_mul(10).saturating_add(digit).min(MAX_SECONDS))
    })
}
