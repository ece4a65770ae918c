//! Short texts that one node tells all others that are at the same Redis, such as what is to go from their caches: a stream that each
//! node reads on from where it was, so that one that lost Redis for a while hears the rest afterwards.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Value};
use tokio::time::{sleep, timeout};

use crate::error::Undecided;
use crate::link::Link;
use crate::shared::Shared;
use crate::store::RedisStore;

/// How often it is looked for news.
const LOOK: Duration = Duration::from_millis(500);

/// How long a look, or a telling, may take.
const ANSWERS: Duration = Duration::from_secs(1);

/// How often it is tried to tell something: for a minute.
const TRIES: u32 = 60;

/// So many texts are kept for those that are away, for so long.
const KEPT: u32 = 1_000;
const LIVES_MS: u64 = 24 * 3600 * 1000;

/// So many are read at once.
const READ: u32 = 100;

impl RedisStore {
    /// Tells all others that [listen](Self::listen) at the same Redis and prefix, or listened and are away for less than a day. Does
    /// not wait: while Redis is lost it is tried again for a minute, and then a warning says so.
    pub fn tell(&self, text: String) {
        let shared = Arc::clone(&self.0.shared);
        let runtime = shared.runtime.clone();
        runtime.spawn(async move {
            for _ in 0..TRIES {
                match ask(&shared, &told(&shared, &text)).await {
                    Ok(_) => return,
                    Err(error) => tracing::debug!(%error, "other nodes could not be told, and it is tried again"),
                }
                sleep(ANSWERS).await;
            }
            tracing::warn!(store = %shared.url, "other nodes could not be told what is to go from their caches");
        });
    }

    /// Calls `heard` with each text that others tell from now on, and with this node's own: twice, it is to do no harm. Until the store is dropped.
    pub fn listen(&self, heard: impl Fn(&str) + Send + 'static) {
        let shared = Arc::downgrade(&self.0.shared);
        self.0.shared.runtime.spawn(async move {
            let mut last = None;
            loop {
                let Some(shared) = shared.upgrade() else { return };
                match look(&shared, &mut last).await {
                    Ok(texts) => texts.iter().for_each(|text| heard(text)),
                    Err(error) => tracing::debug!(%error, "what other nodes tell could not be read"),
                }
                drop(shared);
                sleep(LOOK).await;
            }
        });
    }
}

fn told(shared: &Shared, text: &str) -> Cmd {
    let mut script = redis::cmd("EVAL");
    script
        .arg("redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[1], '*', 't', ARGV[2]) return redis.call('PEXPIRE', KEYS[1], ARGV[3])")
        .arg(1)
        .arg(shared.keys.news())
        .arg(KEPT)
        .arg(text)
        .arg(LIVES_MS);
    script
}

/// What was told since the last look; the first one only finds out where to begin.
async fn look(shared: &Shared, last: &mut Option<Vec<u8>>) -> Result<Vec<String>, Undecided> {
    let Some(since) = last else {
        let mut newest = redis::cmd("XREVRANGE");
        newest.arg(shared.keys.news()).arg("+").arg("-").arg("COUNT").arg(1);
        let newest = entries(ask(shared, &newest).await?).pop();
        *last = Some(newest.map_or_else(|| b"0-0".to_vec(), |(id, _)| id));
        return Ok(Vec::new());
    };
    let mut news = redis::cmd("XRANGE");
    news.arg(shared.keys.news()).arg([b"(", since.as_slice()].concat()).arg("+").arg("COUNT").arg(READ);
    let news = entries(ask(shared, &news).await?);
    if let Some((id, _)) = news.last() {
        since.clone_from(id);
    }
    Ok(news.into_iter().map(|(_, text)| text).collect())
}

async fn ask(shared: &Shared, command: &Cmd) -> Result<Value, Undecided> {
    let link: Arc<Link> = shared.link.load_full().ok_or(Undecided::Lost)?;
    Ok(timeout(ANSWERS, link.ask(command)).await.map_err(|_| Undecided::Waited(ANSWERS))??)
}

/// The entries of a stream: each an id, and a list of names and values.
fn entries(reply: Value) -> Vec<(Vec<u8>, String)> {
    let Value::Array(entries) = reply else { return Vec::new() };
    let entry = |entry| {
        let Value::Array(parts) = entry else { return None };
        let [Value::BulkString(id), Value::Array(fields)] = <[Value; 2]>::try_from(parts).ok()? else { return None };
        match fields.into_iter().nth(1) {
            Some(Value::BulkString(text)) => Some((id, String::from_utf8(text).ok()?)),
            _ => None,
        }
    };
    entries.into_iter().filter_map(entry).collect()
}
