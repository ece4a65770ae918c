//! Takes values from outside the file: environment variables and the files that secrets stand in. The only part of the
//! configuration that looks at either.
//!
//! Strings are resolved one by one, after the file was parsed, so that a value can never add a key; and where they are
//! taken, since only there it is known whether a string is a secret.

use std::fmt;
use std::path::{Path, PathBuf};

use portcullis_core::time::UnixTime;

use super::span::Span;

/// The largest secret file: a key or certificate is a few kilobytes; more is a wrong path.
const LARGEST_FILE: u64 = 64 * 1024;

/// A value that is never printed: not in logs, not in reports, not by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// From a value that is not kept elsewhere.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself. Whoever calls this sees to it that it is not printed.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Where public keys are, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    /// What the named file holds.
    File(String),
    /// A text that names no file.
    Text(String),
    /// A variable that is not set, under `--unset-ok`.
    Unset,
}

/// What a missing secret is replaced by under `--unset-ok`: always the same, long enough for HS512, and no secret at all.
pub(crate) const PLACEHOLDER: &str = "placeholder-of-a-secret-that-is-not-set-placeholder-of-a-secret-that-is-not-set";

/// What is around a configuration file.
pub(crate) struct Surroundings<'e> {
    /// Looks up a variable.
    pub(crate) env: &'e dyn Fn(&str) -> Option<String>,
    /// What relative paths are relative to.
    pub(crate) folder: PathBuf,
    /// What time it is: what has ended already is worth a word.
    pub(crate) now: UnixTime,
    /// Whether a missing variable is replaced by a placeholder.
    pub(crate) unset_ok: bool,
}

/// A string with its variables replaced.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) unset: bool,
    pub(crate) value: String,
}

/// Why a string could not be resolved, and which bytes of it are at fault.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unresolved {
    pub(crate) hint: String,
    pub(crate) span: Span,
    pub(crate) title: String,
}

impl Surroundings<'_> {
    /// Replaces `${NAME}`, `${NAME:-default}` (also where the variable is set and empty) and `$${`.
    pub(crate) fn resolve(&self, written: &str) -> Result<Resolved, Unresolved> {
        let mut resolved = Resolved { unset: false, value: String::with_capacity(written.len()) };
        let mut at = 0;
        while let Some(rest) = written.get(at..).filter(|rest| !rest.is_empty()) {
            if rest.starts_with("$${") {
                resolved.value.push_str("${");
                at += 3;
            } else if let Some(inner) = rest.strip_prefix("${") {
                let length = inner.find('}').ok_or_else(|| Unresolved {
                    hint: "write `${NAME}`, or `$${` for a literal `${`".to_owned(),
                    span: at..written.len(),
                    title: "this `${` is never closed".to_owned(),
                })?;
                let span = at..at + length + 3;
                self.variable(inner.get(..length).unwrap_or_default(), span.clone(), &mut resolved)?;
                at = span.end;
            } else {
                // A `$` that begins neither is a plain one.
                let length =
                    rest.char_indices().skip(1).find(|(_, char)| *char == '$').map_or(rest.len(), |(at, _)| at);
                resolved.value.push_str(rest.get(..length).unwrap_or_default());
                at += length;
            }
        }
        Ok(resolved)
    }

    fn variable(&self, inner: &str, span: Span, resolved: &mut Resolved) -> Result<(), Unresolved> {
        let (name, default) = inner.split_once(":-").map_or((inner, None), |(name, default)| (name, Some(default)));
        if !is_name(name) {
            return Err(Unresolved {
                hint: "write `${NAME}` or `${NAME:-default}`, or `$${` for a literal `${`".to_owned(),
                span,
                title: "this is not the name of an environment variable".to_owned(),
            });
        }
        let value = (self.env)(name).filter(|value| default.is_none() || !value.is_empty());
        match (value, default) {
            (Some(value), _) => resolved.value.push_str(&value),
            (None, Some(default)) => resolved.value.push_str(default),
            (None, None) if self.unset_ok => {
                resolved.unset = true;
                resolved.value.push_str("unset");
            }
            (None, None) => {
                return Err(Unresolved {
                    hint: format!("set it (`export {name}=…`), or give a default: `${{{name}:-…}}`"),
                    span,
                    title: format!("the environment variable `{name}` is not set"),
                });
            }
        }
        Ok(())
    }

    /// The path a file is meant by.
    pub(crate) fn path(&self, written: &str) -> PathBuf {
        self.folder.join(written)
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Reads a secret from its file, without the line end that editors put after it.
pub(crate) fn read_secret(path: &Path) -> Result<Secret, String> {
    let text = read_text(path, LARGEST_FILE)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Secret::new(text.strip_suffix('\r').unwrap_or(text)))
}

/// Reads a file of at most `largest` bytes.
pub(crate) fn read_text(path: &Path, largest: u64) -> Result<String, String> {
    let facts = std::fs::metadata(path).map_err(|error| reason(&error))?;
    if !facts.is_file() {
        return Err("this is not a regular file".to_owned());
    }
    if facts.len() > largest {
        return Err(format!("the file has {} bytes, and may have at most {largest}", facts.len()));
    }
    let bytes = std::fs::read(path).map_err(|error| reason(&error))?;
    String::from_utf8(bytes).map_err(|_| "the file is not UTF-8 text".to_owned())
}

/// Why reading a file failed, in words that do not differ from system to system.
pub(crate) fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "we may not read it".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(written: &str, unset_ok: bool) -> Result<Resolved, Unresolved> {
        let env = |name: &str| match name {
            "A" => Some("one".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${A}".to_owned()),
            _ => None,
        };
        Surroundings { env: &env, folder: PathBuf::new(), now: UnixTime::from_secs(0), unset_ok }.resolve(written)
    }

    fn value(written: &str) -> String {
        resolve(written, false).unwrap().value
    }

    #[test]
    fn variables_are_replaced_once() {
        assert_eq!(value("a ${A} b"), "a one b");
        assert_eq!(value("${NESTED}"), "${A}");
        assert_eq!(value("$${A} $A $ $$ 5$"), "${A} $A $ $$ 5$");
        assert_eq!(value("${B:-two}${EMPTY:-x}${EMPTY}"), "twox");
        assert_eq!(value("ü${A}€"), "üone€");
    }

    #[test]
    fn faults_name_their_place() {
        assert_eq!(resolve("a ${B}", false).unwrap_err().span, 2..6);
        assert_eq!(resolve("a ${B", false).unwrap_err().span, 2..5);
        assert!(resolve("${}", false).is_err() && resolve("${1A}", true).is_err() && resolve("${A b}", false).is_err());
    }

    #[test]
    fn unset_is_a_placeholder_where_that_is_asked_for() {
        assert_eq!(resolve("a/${B}", true), Ok(Resolved { unset: true, value: "a/unset".into() }));
        assert!(!resolve("${A}", true).unwrap().unset);
    }

    #[test]
    fn secrets_do_not_print() {
        assert_eq!(format!("{:?}", Secret::new("canary")), "Secret(..)");
    }

    #[test]
    fn a_secret_file_loses_its_last_line_end_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, " a\nb \r\n").unwrap();
        assert_eq!(read_secret(&path).unwrap().reveal(), " a\nb ");
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(read_secret(&path).is_err());
        assert!(read_secret(folder.path()).is_err());
        assert!(read_secret(&folder.path().join("none")).unwrap_err().contains("no such file"));
    }
}
