//! Where a response's body ends, and whether its connection can be used again (RFC 9112, sections 6.3 and 9.3).

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};

use super::Broken;
use crate::h1::{Framing, digits, members};

/// What a head's fields say about framing, noted one field at a time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Noted {
    length: Option<u64>,
    lengths: usize,
    malformed: bool,
    codings: usize,
    chunked: bool,
    close: bool,
    keep_alive: bool,
}

impl Noted {
    /// Takes a field into account.
    pub(crate) fn note(&mut self, name: &HeaderName, value: &HeaderValue) {
        if *name == CONTENT_LENGTH {
            for member in members(value) {
                let length = digits(member);
                self.malformed |= length.is_none() || (self.lengths > 0 && self.length != length);
                self.length = length;
                self.lengths += 1;
            }
        } else if *name == TRANSFER_ENCODING {
            for member in members(value) {
                self.codings += 1;
                self.chunked = member.eq_ignore_ascii_case(b"chunked");
            }
        } else if *name == CONNECTION {
            for member in members(value) {
                self.close |= member.eq_ignore_ascii_case(b"close");
                self.keep_alive |= member.eq_ignore_ascii_case(b"keep-alive");
            }
        }
    }

    /// The body's framing, and whether the connection can be used again after it. `to_head`: the request was a HEAD.
    ///
    /// # Errors
    /// [`Broken::Invalid`] for a length that is none, or two; a coding that is not exactly one `chunked`; a coding in
    /// HTTP/1.0.
    pub(crate) fn conclude(
        self,
        status: StatusCode,
        version: Version,
        to_head: bool,
    ) -> Result<(Framing, bool), Broken> {
        if self.malformed {
            return Err(Broken::Invalid("Content-Length"));
        }
        let lasts = if version == Version::HTTP_11 { !self.close } else { self.keep_alive && !self.close };
        // Both framings: the coding wins, and what comes after it is not trusted (RFC 9112, section 6.3).
        let lasts = lasts && (self.codings == 0 || self.length.is_none());
        if to_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            return Ok((Framing::Length(0), lasts));
        }
        match (self.codings, self.length) {
            (0, Some(length)) => Ok((Framing::Length(length), lasts)),
            (0, None) => Ok((Framing::UntilClose, false)),
            (1, _) if self.chunked && version == Version::HTTP_11 => Ok((Framing::Chunked, lasts)),
            _ => Err(Broken::Invalid("Transfer-Encoding")),
        }
    }

    /// Leaves at most one statement of length in what is passed on, and none beside a coding.
    pub(crate) fn repair(self, fields: &mut HeaderMap) {
        if self.codings > 0 && self.length.is_some() {
            fields.remove(CONTENT_LENGTH);
        } else if let Some(length) = self.length
            && self.lengths > 1
        {
            // Replacing what is there needs no room.
            let _ = fields.try_insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conclude(fields: &[(&'static str, &'static str)], version: Version) -> Option<(Framing, bool)> {
        let mut noted = Noted::default();
        for (name, value) in fields {
            noted.note(&HeaderName::from_static(name), &HeaderValue::from_static(value));
        }
        noted.conclude(StatusCode::OK, version, false).ok()
    }

    #[test]
    fn section_6_3() {
        let length = |length| ("content-length", length);
        let coding = |coding| ("transfer-encoding", coding);
        for (fields, expected) in [
            (vec![], Some((Framing::UntilClose, false))),
            (vec![length("5")], Some((Framing::Length(5), true))),
            (vec![length("5"), ("connection", "Close")], Some((Framing::Length(5), false))),
            (vec![length("5"), length("5")], Some((Framing::Length(5), true))),
            (vec![length("5, 5")], Some((Framing::Length(5), true))),
            (vec![length("5"), length("6")], None),
            (vec![length("5,6")], None),
            (vec![length("")], None),
            (vec![length("5,")], None),
            (vec![length("+5")], None),
            (vec![length("5a")], None),
            (vec![length("0x5")], None),
            (vec![length("99999999999999999999")], None),
            (vec![length("18446744073709551615")], None),
            (vec![coding("chunked")], Some((Framing::Chunked, true))),
            (vec![coding("Chunked")], Some((Framing::Chunked, true))),
            (vec![coding("chunked"), length("5")], Some((Framing::Chunked, false))),
            (vec![coding("chunked"), length("x")], None),
            (vec![coding("chunked"), coding("chunked")], None),
            (vec![coding("chunked, chunked")], None),
            (vec![coding("gzip, chunked")], None),
            (vec![coding("gzip")], None),
            (vec![coding("identity")], None),
            (vec![coding("")], None),
            (vec![coding("chunked;q=1")], None),
        ] {
            assert_eq!(conclude(&fields, Version::HTTP_11), expected, "{fields:?}");
        }
    }

    #[test]
    fn http_1_0_closes_unless_it_says_otherwise() {
        let length = ("content-length", "5");
        assert_eq!(conclude(&[length], Version::HTTP_10), Some((Framing::Length(5), false)));
        assert_eq!(
            conclude(&[length, ("connection", "x, keep-alive")], Version::HTTP_10),
            Some((Framing::Length(5), true))
        );
        assert_eq!(
            conclude(&[length, ("connection", "keep-alive"), ("connection", "close")], Version::HTTP_10),
            Some((Framing::Length(5), false))
        );
        assert_eq!(conclude(&[("transfer-encoding", "chunked")], Version::HTTP_10), None);
    }

    #[test]
    fn answers_without_a_body() {
        let mut noted = Noted::default();
        noted.note(&CONTENT_LENGTH, &HeaderValue::from_static("1234"));
        for (status, to_head) in
            [(StatusCode::OK, true), (StatusCode::NO_CONTENT, false), (StatusCode::NOT_MODIFIED, false)]
        {
            assert_eq!(noted.conclude(status, Version::HTTP_11, to_head), Ok((Framing::Length(0), true)));
        }
    }

    #[test]
    fn what_is_passed_on_has_one_length_at_most() {
        for (given, coding, left) in
            [(vec!["5", "5"], None, vec!["5"]), (vec!["5,5"], None, vec!["5"]), (vec!["5"], Some("chunked"), vec![])]
        {
            let (mut noted, mut fields) = (Noted::default(), HeaderMap::new());
            let lengths = given.into_iter().map(|value| (CONTENT_LENGTH, value));
            for (name, value) in lengths.chain(coding.map(|value| (TRANSFER_ENCODING, value))) {
                noted.note(&name, &HeaderValue::from_static(value));
                fields.try_append(name, HeaderValue::from_static(value)).unwrap();
            }
            noted.repair(&mut fields);
            assert_eq!(fields.get_all(CONTENT_LENGTH).iter().collect::<Vec<_>>(), left);
        }
    }
}
