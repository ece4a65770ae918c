//! The headers that upstreams read identities from: only the gateway sets them.

use http::{HeaderMap, HeaderName};

/// Every header that any verifier forwards a claim in. They are removed from every request on every route, whoever
/// verifies it or nobody, before ours are set.
///
/// A name is removed in every spelling that an upstream could take for it: CGI, WSGI and their kin fold case and turn
/// every character that is neither letter nor digit into `_`, so that `X-User-Id`, `x_user_id` and `x.user.id` arrive
/// there as one variable.
///
/// ```
/// use http::{HeaderMap, HeaderName, HeaderValue};
/// use portcullis_core::auth::IdentityHeaders;
/// let ours = IdentityHeaders::new([&HeaderName::from_static("x-user-id")]);
/// let forged = HeaderName::from_static("x_user_id");
/// let mut headers = HeaderMap::from_iter([(forged, HeaderValue::from_static("admin"))]);
/// ours.strip(&mut headers);
/// assert!(headers.is_empty());
/// ```
#[derive(Clone, Debug, Default)]
pub struct IdentityHeaders {
    /// Folded, without duplicates.
    names: Box<[Box<[u8]>]>,
    /// Bit n is set when a name has n bytes, 63 standing for all longer ones: most fields are told apart by this alone.
    lengths: u64,
}

impl IdentityHeaders {
    /// From the names of all verifiers' forwarded headers.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a HeaderName>) -> Self {
        let fold_name = |name: &HeaderName| name.as_str().bytes().map(fold).collect::<Box<[u8]>>();
        let mut names: Vec<_> = names.into_iter().map(fold_name).collect();
        names.sort_unstable();
        names.dedup();
        let lengths = names.iter().fold(0, |lengths, name| lengths | length_bit(name.len()));
        Self { names: names.into(), lengths }
    }

    /// Whether `name` is one of them in some spelling.
    pub fn contains(&self, name: &HeaderName) -> bool {
        let name = name.as_str().as_bytes();
        self.lengths & length_bit(name.len()) != 0
            && self.names.iter().any(|ours| {
                ours.len() == name.len() && ours.iter().zip(name).all(|(ours, theirs)| *ours == fold(*theirs))
            })
    }

    /// Removes every one of them, in every spelling and with all its values. Allocates nothing when there is none.
    pub fn strip(&self, headers: &mut HeaderMap) {
        // Most requests have none, and most gateways that verify nobody look for none.
        if self.names.is_empty() || !headers.keys().any(|name| self.contains(name)) {
            return;
        }
        // Collected first, because a map cannot change while its keys are read.
        let forged: Vec<_> = headers.keys().filter(|name| self.contains(name)).cloned().collect();
        for name in forged {
            headers.remove(name);
        }
    }
}

fn length_bit(length: usize) -> u64 {
    1 << length.min(63)
}

const fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}

#[cfg(test)]
mod tests;
