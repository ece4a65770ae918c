//! Tokens whose signature has been checked, so that it is checked once and not at every request.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use serde_json::{Map, Value};
use siphasher::sip128::SipHasher13;

use super::Identity;
use crate::Sharded;
use crate::time::UnixTime;

/// How many tokens one thread keeps by default. An identity with ten short claims takes about 1.5 KiB, so a full shard
/// takes 6 MiB and, were every token as large as may be, 32 MiB.
pub(super) const TOKENS_PER_THREAD: usize = 4096;

/// How much memory an identity may take to be kept, in bytes: one that takes more (claims can grow to thirty times
/// their text, `[{"a":1},{"a":1},…]`) is verified anew each time.
const MAX_IDENTITY: usize = 8 * 1024;

/// A bounded memory of accepted tokens; what is not accepted is not remembered, so nobody can fill it with rubbish.
///
/// Each thread has a shard of its own and locks only that. A token is known by 128 bits of SipHash-1-3 over all of it
/// (signature included) under a random key, never by its text: finding another text with the same hash would take a
/// forgery of that MAC, made without ever seeing one of its outputs. It is hashed only where one with the same [`End`] is
/// remembered: a bad token is told by its last eight bytes as a rule, and a flood of them costs no hashing.
pub(super) struct TokenCache {
    key: SipHasher13,
    shards: Sharded<Shard>,
    /// What one generation of a shard may hold.
    half: usize,
}

/// Where a token is looked for: its last eight bytes, which are a part of the signature. Only accepted tokens are kept, so
/// whoever wants many in one place of the map must find an issuer to sign them so.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct End(u64);

/// What a token is known by.
#[derive(Clone, Copy, PartialEq, Eq)]
struct TokenKey(u128);

/// One thread's tokens. New ones, and old ones that are asked for, are young; when the young are half of what is
/// allowed they become the old, and the old of then, which nobody asked for since, are gone. That is close to "least
/// recently used", and a hit costs one look-up.
#[derive(Default)]
struct Shard {
    /// The key set that vouches for all of them.
    generation: u64,
    young: Tokens,
    old: Tokens,
}

type Tokens = HashMap<End, Entry, BuildHasherDefault<Spread>>;

struct Entry {
    key: TokenKey,
    identity: Arc<Identity>,
    /// Not accepted from here on; the leeway of verification is in it.
    until: UnixTime,
}

impl TokenCache {
    /// A cache of about `tokens` for each thread that verifies.
    pub(super) fn new(tokens: usize) -> Self {
        let key: [u8; 16] = rand::random();
        Self { key: SipHasher13::new_with_key(&key), shards: Sharded::new(Shard::default), half: (tokens / 2).max(1) }
    }

    /// The identity behind a token that the key set of `generation` vouched for, while it holds.
    pub(super) fn get(&self, token: &str, generation: u64, now: UnixTime) -> Option<Arc<Identity>> {
        let known = self.shards.mine().get(End::of(token), || self.key(token), generation, now, self.half);
        known.or_else(|| self.learn(token, generation, now))
    }

    /// What another thread knows of a token that this one does not, taken over. It locks the others' shards for a look-up
    /// each, which is less than the signature check that it saves, and happens once for a token and thread.
    fn learn(&self, token: &str, generation: u64, now: UnixTime) -> Option<Arc<Identity>> {
        let end = End::of(token);
        let (key, identity, until) = self.shards.find(|shard| shard.peek(end, generation, now))?;
        if key != self.key(token) {
            return None;
        }
        let mut own = self.shards.mine();
        if own.is_at(generation) {
            own.insert(end, Entry { key, identity: Arc::clone(&identity), until }, self.half);
        }
        Some(identity)
    }

    /// Remembers an accepted token until `until`. `generation` is the key set it was checked with: where a later one has
    /// been seen meanwhile, nothing is remembered. Of two tokens with one end the later one is.
    pub(super) fn insert(&self, token: &str, generation: u64, identity: Arc<Identity>, until: UnixTime) {
        // Weighed and, if too heavy, let go before the lock is taken.
        if weight(identity.claims()) <= MAX_IDENTITY {
            let key = self.key(token);
            let mut shard = self.shards.mine();
            if shard.is_at(generation) {
                shard.insert(End::of(token), Entry { key, identity, until }, self.half);
            }
        }
    }

    fn key(&self, token: &str) -> TokenKey {
        TokenKey(self.key.hash(token.as_bytes()).as_u128())
    }
}

impl End {
    fn of(token: &str) -> Self {
        let token = token.as_bytes();
        // What is shorter is no token that anybody would accept.
        let short = || token.iter().fold(0, |end, byte| end << 8 | u64::from(*byte));
        Self(token.last_chunk().map_or_else(short, |end| u64::from_le_bytes(*end)))
    }
}

impl Shard {
    /// `key` is asked only where there is something to compare it with.
    fn get(
        &mut self,
        end: End,
        key: impl Fn() -> TokenKey,
        generation: u64,
        now: UnixTime,
        half: usize,
    ) -> Option<Arc<Identity>> {
        if !self.is_at(generation) {
            return None;
        }
        match self.young.get(&end) {
            Some(entry) if entry.key != key() => None,
            Some(entry) if now < entry.until => Some(Arc::clone(&entry.identity)),
            Some(_ended) => {
                self.young.remove(&end);
                None
            }
            None if self.old.get(&end)?.key != key() => None,
            None => {
                let entry = self.old.remove(&end).filter(|entry| now < entry.until)?;
                let identity = Arc::clone(&entry.identity);
                self.insert(end, entry, half);
                Some(identity)
            }
        }
    }

    /// What is known, for another thread: nothing moves.
    fn peek(&self, end: End, generation: u64, now: UnixTime) -> Option<(TokenKey, Arc<Identity>, UnixTime)> {
        let entry = self.young.get(&end).or_else(|| self.old.get(&end))?;
        let holds = self.generation == generation && now < entry.until;
        holds.then(|| (entry.key, Arc::clone(&entry.identity), entry.until))
    }

    /// Follows the key set: all that an earlier one vouched for falls in one step. False for one that is itself earlier.
    fn is_at(&mut self, generation: u64) -> bool {
        if self.generation < generation {
            *self = Self { generation, ..Self::default() };
        }
        self.generation == generation
    }

    fn insert(&mut self, end: End, entry: Entry, half: usize) {
        if self.young.len() >= half {
            // Swapped, so that both keep the memory they have and a full shard allocates no more.
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(end, entry);
    }
}

/// About how many bytes claims take in memory, from above rather than from below.
fn weight(claims: &Map<String, Value>) -> usize {
    /// What an allocation costs besides what it holds.
    const ALLOCATION: usize = 16;
    /// A node of the tree that a JSON object is: eleven places, of which five or more are in use.
    const NODE: usize = 11 * (size_of::<String>() + size_of::<Value>()) + 2 * ALLOCATION;
    fn heap(value: &Value) -> usize {
        match value {
            Value::Array(items) => {
                ALLOCATION + items.capacity() * size_of::<Value>() + items.iter().map(heap).sum::<usize>()
            }
            Value::Bool(_) | Value::Null | Value::Number(_) => 0,
            Value::Object(members) => weight(members),
            Value::String(text) => ALLOCATION + text.capacity(),
        }
    }
    let nodes = claims.len().div_ceil(5) * NODE;
    nodes + claims.iter().map(|(name, value)| ALLOCATION + name.capacity() + heap(value)).sum::<usize>()
}

/// The end of a signature is as good as random, but for its letters: spread over all bits by a multiplication.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        // The high half is the better mixed one, and the map takes its place by the low bits.
        self.0 = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32);
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("half", &self.half).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
