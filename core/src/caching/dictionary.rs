//! A dictionary as structured fields have it (RFC 8941, section 4.2.2, with the two types that RFC 9651 adds), as far
//! as a cache needs: every member is checked, what a cache has no use for is not kept. A crate for all of it would
//! bring four more and a map for each field.

/// A member's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// `?1`, or nothing.
    Boolean(bool),
    /// A whole number of at most 15 digits.
    Integer(i64),
    /// Any other type, an inner list too.
    Other,
}

/// Reads one line and hands each member over, in order: of several with one key the last counts. None where it is no
/// dictionary; members that came before that were handed over, and must be forgotten. Parameters are checked and left.
pub(super) fn members<'a>(line: &'a [u8], mut member: impl FnMut(&'a [u8], Item)) -> Option<()> {
    let mut text = Reader(line);
    text.skip(b" ");
    loop {
        let key = text.key()?;
        let item = if text.takes(b'=') { text.item_or_list()? } else { Item::Boolean(true) };
        text.parameters()?;
        member(key, item);
        text.skip(b" \t");
        if text.0.is_empty() {
            return Some(());
        }
        text.exactly(b',')?;
        // A comma with nothing behind it leaves a member that has no key.
        text.skip(b" \t");
    }
}

/// What is left of a line.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn takes(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        if there {
            self.next();
        }
        there
    }

    fn exactly(&mut self, byte: u8) -> Option<()> {
        self.takes(byte).then_some(())
    }

    fn skip(&mut self, bytes: &[u8]) {
        while self.peek().is_some_and(|byte| bytes.contains(&byte)) {
            self.next();
        }
    }

    /// As many bytes as are so.
    fn run(&mut self, is: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.0.iter().position(|byte| !is(*byte)).unwrap_or(self.0.len());
        let (run, rest) = self.0.split_at_checked(end).unwrap_or((self.0, b""));
        self.0 = rest;
        run
    }

    fn key(&mut self) -> Option<&'a [u8]> {
        self.peek().filter(|byte| byte.is_ascii_lowercase() || *byte == b'*')?;
        Some(self.run(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte)))
    }

    fn parameters(&mut self) -> Option<()> {
        while self.takes(b';') {
            self.skip(b" ");
            self.key()?;
            if self.takes(b'=') {
                self.item()?;
            }
        }
        Some(())
    }

    fn item_or_list(&mut self) -> Option<Item> {
        if !self.takes(b'(') {
            return self.item();
        }
        loop {
            self.skip(b" ");
            if self.takes(b')') {
                return Some(Item::Other);
            }
            self.item()?;
            self.parameters()?;
            self.peek().filter(|byte| matches!(byte, b' ' | b')'))?;
        }
    }

    fn item(&mut self) -> Option<Item> {
        match self.peek()? {
            b'-' | b'0'..=b'9' => self.number(),
            b'"' => self.string(),
            b'?' => self.boolean(),
            b':' => self.bytes(),
            b'@' => self.time(),
            b'%' => self.display(),
            byte if byte.is_ascii_alphabetic() || byte == b'*' => {
                self.run(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte));
                Some(Item::Other)
            }
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Item> {
        let negative = self.takes(b'-');
        let digits = self.run(|byte| byte.is_ascii_digit());
        if self.takes(b'.') {
            let places = self.run(|byte| byte.is_ascii_digit());
            let fits = (1..=12).contains(&digits.len()) && (1..=3).contains(&places.len());
            return fits.then_some(Item::Other);
        }
        if !(1..=15).contains(&digits.len()) {
            return None;
        }
        let number = digits.iter().fold(0_i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        Some(Item::Integer(if negative { -number } else { number }))
    }

    fn string(&mut self) -> Option<Item> {
        self.exactly(b'"')?;
        loop {
            match self.next()? {
                b'"' => return Some(Item::Other),
                b'\\' => {
                    self.next().filter(|byte| matches!(byte, b'"' | b'\\'))?;
                }
                0x20..=0x7e => {}
                _ => return None,
            }
        }
    }

    fn boolean(&mut self) -> Option<Item> {
        self.exactly(b'?')?;
        match self.next()? {
            b'0' => Some(Item::Boolean(false)),
            b'1' => Some(Item::Boolean(true)),
            _ => None,
        }
    }

    fn bytes(&mut self) -> Option<Item> {
        self.exactly(b':')?;
        self.run(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
        self.exactly(b':')?;
        Some(Item::Other)
    }

    fn time(&mut self) -> Option<Item> {
        self.exactly(b'@')?;
        match self.number()? {
            Item::Integer(_) => Some(Item::Other),
            _ => None,
        }
    }

    /// Text with `%xx` in it, in lower case.
    fn display(&mut self) -> Option<Item> {
        self.exactly(b'%')?;
        self.exactly(b'"')?;
        loop {
            match self.next()? {
                b'"' => return Some(Item::Other),
                b'%' => {
                    for _ in 0..2 {
                        self.next().filter(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))?;
                    }
                }
                0x20..=0x7e => {}
                _ => return None,
            }
        }
    }
}
