//! Limits that hold across a cluster, counted in Redis.
//!
//! [`RedisStore`] is a [`RateLimitStore`](portcullis_core::limit::RateLimitStore): give it to whatever takes one.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let store = portcullis_redis::RedisStore::connect("redis://127.0.0.1:6379").await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised when
//!
//! - **While Redis keeps its data**: all charges of a request are decided in one script, in one step, on Redis's clock. Of N that a limit
//!   admits, N are admitted over any number of nodes and callers, never N + 1. It passes core's suite for all four algorithms, and
//!   says to the nanosecond what a [`MemoryStore`](portcullis_core::limit::MemoryStore) would say.
//! - **A limit with an overshoot** ([`Charge::overshoot`](portcullis_core::limit::Charge::overshoot)) is decided by each node from what it took
//!   ahead, without a wait: all nodes together admit at most that much more, in any span of time. A node holds what Redis has counted
//!   and nobody spent, and owes what it spent and Redis will count; its part of the overshoot, one of as many as there are nodes, is
//!   divided between the two. Where that is less than twice the cost of a request, Redis decides as if there were no overshoot. A node
//!   that is killed takes with it what it owed.
//! - **Redis is lost** (it hangs, dies, is too slow, is a replica now): a request waits [`timeout`](Builder::timeout) at most. The first
//!   one that did, or a sign of life that did not come, makes it [`State::Lost`], once and for all; from then on nobody waits: each
//!   request has an error at once, and what follows is the caller's policy
//!   ([`OnFailure`](portcullis_core::limit::OnFailure)). One task looks for Redis, one attempt at a time, whatever the traffic, and
//!   finds it within two seconds of its return. What was admitted meanwhile is counted there
//!   ([`admitted_without`](portcullis_core::limit::RateLimitStore::admitted_without), of 10,000 clients), and Redis decides again, where it
//!   was: nobody is reset, and nothing is admitted twice.
//! - **An answer that is an error** (a full memory, a missing right) is an error of that request; Redis is not lost with it.
//! - **Redis has lost its data** (it started empty, it was flushed): the first request sees it, because the script reads the name of the
//!   data ([keys](#keys)). A node that had counted in other data is [`State::Recovering`]: it decides by its share, which is the
//!   limit divided by the nodes that were last known, from its own memory, in which everything that Redis admitted for it was counted
//!   too; and it counts what it admits in the new data. That lasts for the longest window of the limits that it was asked for, ten
//!   minutes at most: longer windows (quotas) start again with what was counted till then. So lost data costs one limit more for each
//!   key, at most. A node that begins in those minutes knows no other data and decides in what it finds.
//! - **A replica takes over**: it has the name of the data too. What it had not yet is admitted again, and no more.
//! - **A clock that is set back** on the server locks nobody out for longer than the limit takes to become whole.
//! - **A changed limit** reads what was counted under the new numbers, so nodes can be upgraded one after the other.
//!
//! # Keys
//!
//! | key | what it is | lives |
//! |---|---|---|
//! | `PREFIX:{TAG}:SUBJECT` and `b`, `f`, `s` or `l` | what a subject has spent, by one algorithm | until it would be whole, and a second |
//! | `PREFIX:epoch`, in a cluster `PREFIX:{TAG}:epoch` | the name of the data: random, lost with it | 400 days after the last node |
//! | `PREFIX:key` | what all nodes hash subjects under: [`subjects`](portcullis_core::limit::RateLimitStore::subjects) | the same |
//! | `PREFIX:nodes` | who counts here, by when it last said so | a minute |
//! | `PREFIX:news` | what nodes tell each other ([`tell`](RedisStore::tell)): a stream of the last 1,000 | a day |
//!
//! `SUBJECT` is a keyed hash: no value of a request is stored. `TAG` is two digits of it that are
//! [the same](portcullis_core::subject::Subject::tag) for a client under every rule. Every key is given its end in the step that
//! writes it. A bucket or a window takes some 165 bytes of Redis's memory, a log 11 more for each request that it remembers.
//! So it needs as much as there are clients in the longest window of a limit that counts strangers.
//!
//! What Redis needs: no eviction of keys (`maxmemory-policy noeviction`), or it forgets who is limited; `appendonly yes` where quotas
//! have to outlive it (of what is restored from an older snapshot nobody knows what it lacks); an account with a password and no more
//! rights than these: `~PREFIX:*` and
//! `+eval +evalsha +script|load +ping +get +set +del +pexpire +time +llen +lindex +lset +ltrim +rpush +lrem
//! +zadd +zrem +zremrangebyscore +zrange +xadd +xrange +xrevrange`.
//!
//! # In a cluster
//!
//! A script can touch the keys of one place only, and the tag names the place: all limits on the same client are one script. Where a
//! request is charged for several (its address, and its tenant), each part is taken in its place, all at the same time. If one does not
//! hold, the others are given back: that costs a refused request one more round trip, and for that moment another request may find
//! what will be given back in its way. Never is more admitted. A token bucket is given back what was taken less what may have flowed in
//! meanwhile. One server of the cluster that does not answer is a loss of the whole, until it does or a replica has taken over.
//!
//! # What a decision costs
//!
//! One round trip and one command (`EVALSHA`), on a connection of the runtime's own, which never waits for the answer before; some 12 µs
//! of the server's one thread for one token bucket, 20 to 35 for another charge. Here: one boxed future, and the packing. At most 4,096 requests wait at the same time; one more has an
//! error at once. Beside the requests there are six commands a second from each node. Limits with an overshoot need a hundred more at most
//! from each, whatever the number of requests and clients; in a cluster as many for each place that clients of 10 ms are in.
//!
//! # Features
//!
//! `testing`: a store whose time a test moves, and `redis-server` processes to try it on.

mod absence;
mod beat;
mod builder;
mod error;
mod keeper;
mod keys;
mod lease;
mod link;
mod near;
mod news;
mod script;
mod shared;
mod standing;
mod state;
mod store;
mod take;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod tls;
mod url;

pub use builder::Builder;
pub use error::{OpenError, Refusal, Undecided};
pub use state::{Counters, State};
pub use store::RedisStore;
pub use url::{StoreUrl, UrlError};
