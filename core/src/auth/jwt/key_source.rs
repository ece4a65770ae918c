//! Where keys come from when they change.

use std::sync::Arc;

use async_trait::async_trait;

use super::KeySet;

/// Where keys come from when they change: an issuer's published set, for one.
///
/// `testing::key_source::conformance` (feature `testing`) checks what is promised here; every implementation runs it.
///
/// # Contract
///
/// - [`generation`](Self::generation) and [`keys`](Self::keys) answer at once, from memory; requests ask them.
/// - Generations begin at 1 and only grow; each set with other keys has one of its own, so that what was accepted under an
///   earlier set falls when a later one comes. The same keys fetched again stay the same set.
/// - [`refresh`](Self::refresh) is the slow path, asked when a token names a key that the set does not have, or when there
///   is no set. Everybody who asks at one time waits for one fetch; how often one is made is the source's to bound,
///   and when it is too early for one it returns at once. It always returns within a few seconds. Dropping its
///   future cancels nothing.
/// - A failed fetch takes nothing away: the last good keys stay.
#[async_trait]
pub trait KeySource: Send + Sync + 'static {
    /// The number of the set in force; nought while there is none.
    fn generation(&self) -> u64;

    /// The set in force; none while there never was one.
    fn keys(&self) -> Option<Arc<KeySet>>;

    /// Looks for newer keys than those of generation `seen`, and returns when there are some, or none to be had now.
    async fn refresh(&self, seen: u64);
}

/// A source that never has keys, so that every token is neither good nor bad: for looking at a configuration without asking
/// anybody.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoKeys;

#[async_trait]
impl KeySource for NoKeys {
    fn generation(&self) -> u64 {
        0
    }

    fn keys(&self) -> Option<Arc<KeySet>> {
        None
    }

    async fn refresh(&self, _seen: u64) {}
}
