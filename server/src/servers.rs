//! The servers of one upstream: as they are written, and the endpoints that they are now.
//!
//! A server whose host is a name is one endpoint for each of its addresses, and these change while requests run. What is known of an
//! endpoint whose address stays, goes on: its connections, how fast it is, how it stands. Before the name was found for the first time, one endpoint stands for it,
//! and who connects there waits for that.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portcullis_core::plan::{self, HealthCheck};
use portcullis_core::time::Clock;
use portcullis_core::upstream::{Change, Endpoint, Member, Place, Roster, Snapshot};
use tokio::runtime::Handle;

use crate::config::ResolverSettings;
use crate::health::Checks;
use crate::live::Ground;
use crate::names::{Following, Name};

mod server;
#[cfg(feature = "dns")]
#[cfg(test)]
mod tests;

pub(crate) use server::Server;

/// The servers of one upstream. The same ones for as long as there is an upstream of its name.
#[derive(Debug)]
pub(crate) struct Servers {
    /// The endpoints, and which of them may be asked.
    pub(crate) roster: Arc<Roster>,
    checks: Checks,
    clock: Clock,
    /// What endpoints that have left opened and used again, so that counts do not go back.
    left: [AtomicU64; 2],
    /// Held while endpoints change.
    written: Mutex<Written>,
}

/// What the configuration says.
#[derive(Debug, Default)]
struct Written {
    check: Option<HealthCheck>,
    most_idle: usize,
    servers: Vec<(plan::Server, Option<Arc<Name>>)>,
    /// Names of these servers, of whose changes we are told.
    following: Vec<(Arc<Name>, Following)>,
}

impl Servers {
    /// Those of `spec`; where there were some before, the same with what changed.
    pub(crate) fn new(
        spec: &plan::Upstream,
        old: Option<&Arc<Self>>,
        resolver: &ResolverSettings,
        ground: Ground<'_>,
    ) -> Arc<Self> {
        let find = |server: &plan::Server| {
            let name = ground.names.find(&server.url, resolver, ground.background, ground.clock);
            (server.clone(), name)
        };
        let servers = spec.servers.iter().map(find).collect();
        let (check, most_idle) = (spec.health.clone(), spec.idle_connections);
        let mut written = Written { check, most_idle, servers, following: Vec::new() };
        let make = Arc::clone(&spec.balance.picker);
        let (picker, settings) = (move |snapshot: &Snapshot| make(snapshot), spec.roster.clone());
        let servers = if let Some(old) = old {
            let mut now = old.written();
            let members = written.members(&old.roster.endpoints());
            old.changing(|| old.roster.change(members, picker, settings, ground.clock.now()));
            written.following = std::mem::take(&mut now.following);
            *now = written;
            Arc::clone(old)
        } else {
            let name = Arc::clone(&spec.name);
            let told = Arc::clone(&name);
            let roster = Roster::new(name, written.members(&[]), picker, settings, ground.clock.now());
            let roster = Arc::new(roster.telling(move |change| tell(&told, change)));
            let (checks, left) = (Checks::default(), Default::default());
            Arc::new(Self { roster, checks, clock: ground.clock.clone(), left, written: Mutex::new(written) })
        };
        servers.follow();
        // A list may have come while nobody was told.
        servers.renew(|| ground.background.handle());
        servers
    }

    /// The upstream is gone. Connections that have the old plan may have this for long.
    pub(crate) fn stop(&self) {
        let mut written = self.written();
        *written = Written::default();
        self.checks.stop();
    }

    /// Connections opened, and how often one was used again, by those that have left too.
    pub(crate) fn used(&self) -> (u64, u64) {
        let [opened, reused] =
            [0, 1].map(|place: usize| self.left.get(place).map_or(0, |left| left.load(Ordering::Relaxed)));
        let now = self.roster.endpoints();
        let now = now.iter().filter_map(|endpoint| Some(Server::of(endpoint)?.idle.used()));
        now.fold((opened, reused), |(opened, reused), (more, again)| (opened + more, reused + again))
    }

    /// Is told when the list of one of our names changes, and of no other's.
    fn follow(self: &Arc<Self>) {
        let mut written = self.written();
        let Written { servers, following, .. } = &mut *written;
        let names = || servers.iter().filter_map(|(_, name)| name.as_ref());
        following.retain(|(followed, _)| names().any(|name| Arc::ptr_eq(name, followed)));
        for name in names() {
            if following.iter().any(|(followed, _)| Arc::ptr_eq(name, followed)) {
                continue;
            }
            let servers = Arc::downgrade(self);
            let told = name.on_change(move || {
                if let Some(servers) = servers.upgrade() {
                    // Lists change on the background thread.
                    servers.renew(|| Handle::try_current().map_err(io::Error::other));
                }
            });
            following.push((Arc::clone(name), told));
        }
    }

    /// Makes the endpoints those that the names stand for now.
    fn renew(&self, runtime: impl FnOnce() -> io::Result<Handle>) {
        let written = self.written();
        if written.names().next().is_some() {
            let members = written.members(&self.roster.endpoints());
            self.changing(|| self.roster.replace(members, self.clock.now()));
        }
        self.checks.follow(written.check.as_ref(), &self.roster, runtime, &self.clock);
    }

    /// Keeps what those counted who leave.
    fn changing(&self, change: impl FnOnce()) {
        let before = self.roster.endpoints();
        change();
        let after = self.roster.endpoints();
        let have_left = before.iter().filter(|old| after.iter().all(|new| !Arc::ptr_eq(old, new)));
        for (opened, reused) in have_left.filter_map(|endpoint| Some(Server::of(endpoint)?.idle.used())) {
            let [left_opened, left_reused] = &self.left;
            left_opened.fetch_add(opened, Ordering::Relaxed);
            left_reused.fetch_add(reused, Ordering::Relaxed);
        }
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Written {
    fn names(&self) -> impl Iterator<Item = &Arc<Name>> {
        self.servers.iter().filter_map(|(_, name)| name.as_ref())
    }

    /// The endpoints that these servers are now: those of `known` that are among them, and new ones.
    fn members(&self, known: &[Arc<Endpoint>]) -> Vec<Member> {
        let mut members = Vec::new();
        for (server, name) in &self.servers {
            let places = name.as_ref().map(|name| name.lookups().places).unwrap_or_default();
            let mut add = |place: Option<&Place>| {
                let endpoint = Server::endpoint(&server.url, (place, name.as_ref()), self.most_idle, known);
                // Each address has the server's weight, times its own where the source knows one.
                let weight = place.map_or(server.weight, |place| server.weight.saturating_mul(place.weight));
                members.push(Member { endpoint, weight });
            };
            if places.is_empty() {
                add(None);
            }
            places.iter().for_each(|place| add(Some(place)));
        }
        members
    }
}

/// One line for each change.
fn tell(upstream: &str, change: &Change<'_>) {
    match change {
        Change::Ejected { endpoint, rest } => {
            tracing::warn!(upstream, server = %endpoint.url(), rest = %in_seconds(*rest), "a server is ejected: it failed too often in a row");
        }
        Change::Returned(endpoint) => {
            tracing::info!(upstream, server = %endpoint.url(), "a server is asked again after its rest");
        }
        Change::Unhealthy(endpoint) => {
            let ailment = Server::of(endpoint).and_then(Server::ailment).unwrap_or_default();
            tracing::warn!(upstream, server = %endpoint.url(), ailment, "a server is unhealthy: its checks fail");
        }
        Change::Healthy(endpoint) => {
            tracing::info!(upstream, server = %endpoint.url(), "a server is healthy again");
        }
        Change::Panicking => {
            tracing::error!(upstream, "too few servers are healthy: health is ignored, and all of them are asked");
        }
        Change::PanicOver => tracing::info!(upstream, "enough servers are healthy: health is heeded again"),
        _ => {}
    }
}

/// A duration as the log tells it: nobody reads nanoseconds.
pub(crate) fn in_seconds(duration: Duration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}
