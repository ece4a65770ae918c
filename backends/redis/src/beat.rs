//! A beat of the keeper: this node says that it is here, hears whether the server is, and learns what all nodes have in common.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use portcullis_core::subject::SubjectKey;
use redis::{Cmd, Value};

use crate::error::Undecided;
use crate::keeper::Keeper;
use crate::lease::Beat;
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

/// Says that a node is here, counts those that said so in the last seconds, and finds the smallest count of nodes that any of them keeps
/// to: KEYS[1], ARGV the node, how many seconds, how long the list lives in milliseconds, and what this node keeps to. The second before
/// this one is the whole part of a score, so that none is of a time to come; what it keeps to is the fraction, in 2^-20: 51 bits in all.
/// What the list says of a time to come is of a clock that was set back.
const HERE: &str = "\
local time = redis.call('TIME')
local now = tonumber(time[1])
redis.call('ZADD', KEYS[1], string.format('%.17g', now - 1 + ARGV[4] / 1048576), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local nodes = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
local least = 1
for place = 2, #nodes, 2 do least = math.min(least, nodes[place] % 1) end
return { #nodes / 2, least * 1048576 }";

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
        let leases = &self.shared.leases;
        here.arg(&self.node).arg(SILENT_SECS).arg(NODES_LIVE_MS).arg(leases.settled());
        let sent = self.shared.clock.now();
        if let Value::Array(said) = link.ask(&here).await?
            && let [Value::Int(nodes), Value::Int(settled)] = *said
        {
            self.believe(u32::try_from(nodes).unwrap_or(1).max(1));
            let (nodes, settled) = (self.shared.nodes(), u32::try_from(settled).unwrap_or_default());
            let until = self.members.hear(Beat { sent, nodes, settled });
            self.shared.leases.hear(nodes, until);
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
