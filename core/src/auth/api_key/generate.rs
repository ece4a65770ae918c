//! Makes API keys.

use rand::TryRng;
use rand::rngs::SysRng;

/// What every key begins with, so that people and scanners of sources know one when they see it.
const PREFIX: &str = "pk_";

/// Letters and digits only: a double click takes all of a key, and no place that it is put in needs it encoded.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// So many of 62 are a little over 256 bits.
const LENGTH: usize = 43;

/// A new API key: `pk_` and 43 letters and digits, 256 bits from the operating system. It is returned once and kept nowhere;
/// what a verifier gets is its [`KeyHash`](super::KeyHash).
///
/// ```
/// let key = portcullis_core::auth::generate_api_key()?;
/// assert!(key.starts_with("pk_") && key.len() == 46);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// The operating system has no randomness to give.
pub fn generate_api_key() -> std::io::Result<String> {
    let mut key = String::with_capacity(PREFIX.len() + LENGTH);
    key.push_str(PREFIX);
    let mut bytes = [0; 64];
    while key.len() < PREFIX.len() + LENGTH {
        SysRng.try_fill_bytes(&mut bytes).map_err(std::io::Error::other)?;
        let fit = bytes.iter().filter_map(|byte| character(*byte));
        key.extend(fit.take(PREFIX.len() + LENGTH - key.len()));
    }
    Ok(key)
}

/// The character that a random byte stands for. Four bytes stand for each of the 62, and the last eight for none, so that all
/// are equally likely.
fn character(byte: u8) -> Option<char> {
    let fair = usize::from(byte) < 4 * ALPHABET.len();
    fair.then(|| ALPHABET.get(usize::from(byte) % ALPHABET.len()).copied().map(char::from))?
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_are_long_plain_and_different() {
        let keys: HashSet<String> = (0..1000).map(|_| generate_api_key().unwrap()).collect();
        assert_eq!(keys.len(), 1000);
        for key in keys {
            let random = key.strip_prefix(PREFIX).unwrap();
            assert!(random.len() == LENGTH && random.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{key}");
        }
    }

    #[test]
    fn every_character_is_as_likely_as_another() {
        let mut counts = std::collections::BTreeMap::new();
        for byte in 0..=u8::MAX {
            *counts.entry(character(byte)).or_insert(0) += 1;
        }
        assert_eq!(counts.remove(&None), Some(8));
        assert!(counts.len() == 62 && counts.values().all(|count| *count == 4), "{counts:?}");
    }
}
