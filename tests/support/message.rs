//! HTTP/1 messages, read byte by byte.

use std::io::{BufRead, Read};

/// A request or a response as it stood on the wire, its body unframed.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// The first line.
    pub start: String,
    /// The fields in their order, names as they were spelled.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the body ended where its framing says; false when the connection ended first.
    pub complete: bool,
}

impl Message {
    /// Reads one message; none when the connection ends before one begins. `bodiless` for responses to HEAD.
    pub fn read(from: &mut impl BufRead, bodiless: bool) -> Option<Self> {
        let mut message = Self::read_head(from)?;
        let status = message.status();
        if bodiless || status == 204 || status == 304 || (100..200).contains(&status) {
            return Some(message);
        }
        message.read_body(from);
        Some(message)
    }

    /// Reads one message up to its body; none when the connection ends before that.
    pub(crate) fn read_head(from: &mut impl BufRead) -> Option<Self> {
        let mut message = Self { start: line(from)?, complete: true, ..Self::default() };
        loop {
            let line = line(from)?;
            if line.is_empty() {
                return Some(message);
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            message.fields.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// Reads the body of a message whose head was read.
    pub(crate) fn read_body(&mut self, from: &mut impl BufRead) {
        if self.get("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            self.complete = self.read_chunks(from).is_some();
        } else if let Some(length) = self.get("content-length").and_then(|length| length.parse::<u64>().ok()) {
            self.complete = from.take(length).read_to_end(&mut self.body).is_ok_and(|read| read as u64 == length);
        } else if self.start.starts_with("HTTP/") {
            // A response without framing ends with its connection.
            self.complete = from.read_to_end(&mut self.body).is_ok();
        }
    }

    fn read_chunks(&mut self, from: &mut impl BufRead) -> Option<()> {
        loop {
            let size = line(from)?;
            let size = u64::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
            if size == 0 {
                while !line(from)?.is_empty() {}
                return Some(());
            }
            let before = self.body.len();
            from.take(size).read_to_end(&mut self.body).ok()?;
            if (self.body.len() - before) as u64 != size {
                return None;
            }
            line(from)?;
        }
    }

    /// A response's status; 0 for a request.
    pub fn status(&self) -> u16 {
        let words: Vec<_> = self.start.split(' ').collect();
        if self.start.starts_with("HTTP/") { words[1].parse().unwrap_or(0) } else { 0 }
    }

    /// A request's method.
    pub fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    /// A request's target.
    pub fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// The first value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Every value of a field.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }
}

/// A line without its end; none when the connection ended first.
fn line(from: &mut impl BufRead) -> Option<String> {
    let mut bytes = Vec::new();
    from.read_until(b'\n', &mut bytes).ok()?;
    if bytes.pop() != Some(b'\n') {
        return None;
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
