//! A beat of the keeper: this node says that it is here, hears whether the server is, and learns what all nodes have in common.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use portcullis_core::subject::SubjectKey;
use redis::{Cmd, Value};

use crate::error::Undecided;
use crate::keeper::Keeper;
use crate::link::Link;
use crate::shared::Shared;

/// How many beats in a row have to count fewer nodes before that is believed: five seconds. Where data was lost the list is new, and
/// the others have yet to say that they are here; meanwhile each would take too large a share.
const BELIEVED: u32 = 10;

/// Adopts what is there, else puts it there, and lets it live on: KEYS[1], ARGV the value and how long it lives in milliseconds.
const ADOPT: &str = "\
local value = redis.call('GET', KEYS[1])
if value then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
else
  value = ARGV[1]
  redis.call('SET', KEYS[1], value, 'PX', ARGV[2])
end
return value";

/// Says that a node is here and counts those that said so in the last seconds: KEYS[1], ARGV the node, how many seconds, and how
/// long the list lives in milliseconds. What the list says of a time to come is of a clock that was set back.
const HERE: &str = "\
local time = redis.call('TIME')
local now = tonumber(time[1])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return redis.call('ZCARD', KEYS[1])";

/// How many seconds a node may be silent and still counts.
const SILENT_SECS: u32 = 4;
/// How long the list of nodes lives without any: milliseconds.
const NODES_LIVE_MS: u64 = 60_000;
/// How long names of data and keys of subjects live without anybody: 400 days, longer than any period.
const NAMES_LIVE_MS: u64 = 400 * 24 * 3600 * 1000;

impl Keeper {
    /// One sign of life: this node's, and the server's.
    pub(crate) async fn beat(&mut self, link: &Link) -> Result<(), Undecided> {
        let mut here = script(HERE, &self.shared.keys.nodes());
        here.arg(&self.node).arg(SILENT_SECS).arg(NODES_LIVE_MS);
        if let Value::Int(nodes) = link.ask(&here).await? {
            self.believe(u32::try_from(nodes).unwrap_or(1).max(1));
        }
        self.adopt_subjects(link).await?;
        self.adopt_epoch(link).await?;
        if link.is_cluster() {
            // Every server of it.
            link.ask(&redis::cmd("PING")).await?;
        }
        Ok(())
    }

    fn believe(&mut self, nodes: u32) {
        self.fewer = if nodes < self.shared.nodes.load(Ordering::Relaxed) { self.fewer + 1 } else { 0 };
        if self.fewer == 0 || self.fewer >= BELIEVED {
            self.fewer = 0;
            self.shared.nodes.store(nodes, Ordering::Relaxed);
        }
    }

    /// What subjects are hashed under is what is there; where nothing is, what this node hashes under.
    async fn adopt_subjects(&self, link: &Link) -> Result<(), Undecided> {
        let known = self.shared.subjects.load_full();
        let offered = known.as_deref().map_or_else(rand::random, |(bytes, _)| *bytes);
        let there: [u8; 16] = self.adopt(link, &self.shared.keys.subjects(), &offered).await?;
        if known.is_none_or(|known| known.0 != there) {
            self.shared.subjects.store(Some(Arc::new((there, SubjectKey::from_bytes(there)))));
        }
        Ok(())
    }

    /// Notices lost data though nobody asks. In a cluster each tag has data of its own, and each beat looks at one.
    async fn adopt_epoch(&mut self, link: &Link) -> Result<(), Undecided> {
        let (tag, key) = if link.is_cluster() {
            self.tag = self.tag.wrapping_add(1);
            (self.tag, self.shared.keys.epoch_of(self.tag))
        } else {
            (0, self.shared.keys.epoch())
        };
        let there = self.adopt(link, &key, &Shared::offered().to_be_bytes()).await?;
        self.shared.learn(tag, u64::from_be_bytes(there));
        Ok(())
    }

    async fn adopt<const N: usize>(&self, link: &Link, key: &[u8], offered: &[u8; N]) -> Result<[u8; N], Undecided> {
        let mut adopt = script(ADOPT, key);
        adopt.arg(&offered[..]).arg(NAMES_LIVE_MS);
        match link.ask(&adopt).await? {
            Value::BulkString(there) => there.try_into().map_err(|_| Undecided::Reply),
            _ => Err(Undecided::Reply),
        }
    }
}

/// A script over one key. The server remembers it by its text.
fn script(text: &str, key: &[u8]) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(text).arg(1).arg(key);
    command
}
