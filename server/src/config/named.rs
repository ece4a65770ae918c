//! Values that may stand in a file of their own, which "file:PATH" names.

use super::problem::Problem;
use super::resolve::{Keys, PLACEHOLDER, Secret, read_secret};
use super::span::{At, Given, Text};
use super::value::Value;

impl Value<'_> {
    /// A secret: a string, or the content of the file that "file:PATH" names.
    pub(crate) fn secret(self) -> Given<At<Secret>> {
        self.reader.found.borrow_mut().secrets.push(self.span());
        self.text().and_then(|text| match self.file(&text) {
            Given::Absent => Given::Value(At::new(Secret::new(&*text.value), text.span)),
            given => given,
        })
    }

    /// A URL that may hold a password; if it looks like that, also where nobody can read it as a URL.
    pub(crate) fn private_url(self) -> Given<Text> {
        let span = self.span();
        let reader = self.reader;
        self.text().and_then(|text| {
            if text.written.contains('@') {
                reader.found.borrow_mut().secrets.push(span);
            }
            Given::Value(text)
        })
    }

    /// Public keys: what a file holds, or the string itself.
    pub(crate) fn keys(self) -> Given<At<Keys>> {
        self.text().and_then(|text| match self.file(&text) {
            // Nobody knows which kind of key the variable would have held.
            _ if text.unset => Given::Value(At::new(Keys::Unset, text.span)),
            Given::Absent => {
                // Where somebody put a private key by mistake, the report must not show it.
                if text.value.contains("PRIVATE") {
                    self.reader.found.borrow_mut().secrets.push(self.span());
                }
                Given::Value(At::new(Keys::Text(text.value), text.span))
            }
            Given::Broken => Given::Broken,
            Given::Value(content) => Given::Value(content.map(|content| Keys::File(content.reveal().to_owned()))),
        })
    }

    /// The content of the file that "file:PATH" names; absent where the string is another one.
    fn file(&self, text: &Text) -> Given<At<Secret>> {
        // As written: a value from the environment must not be able to name a file.
        let file = text.value.strip_prefix("file:").filter(|_| text.written.starts_with("file:"));
        let read = match file {
            _ if text.unset => Ok(Secret::new(PLACEHOLDER)),
            None => return Given::Absent,
            Some(path) => {
                let path = self.reader.file(path);
                // Where the path came from outside, it is not shown.
                let shown = if text.is_resolved() { text.shown() } else { path.display().to_string() };
                read_secret(&path).map_err(|why| format!("{shown}: {why}"))
            }
        };
        match read {
            Ok(secret) => Given::Value(At::new(secret, text.span.clone())),
            Err(why) => {
                let title = format!("the file of `{}` cannot be read", self.key);
                let hint = "the path is relative to the configuration file's folder";
                self.reader.note(Problem::error(&text.span, title).note(why).hint(hint));
                Given::Broken
            }
        }
    }
}
