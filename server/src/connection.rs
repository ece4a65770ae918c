//! One client's connection: what its requests share.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Version;
use portcullis_core::Rejection;
use portcullis_core::headers::{Arrival, Forwarding, Proto, Via};

use crate::gateway::State;
use crate::listen::h1::head::Bounds;
use crate::listen::watch::{Patience, Watch};
use crate::live::Running;
use crate::observe::{Ending, Observer, Origin};

/// One client's connection: what its requests share.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) gateway: Arc<State>,
    /// Who connected; none on a unix socket.
    pub(crate) peer: Option<IpAddr>,
    /// How its requests come.
    pub(crate) proto: Proto,
    /// Our mark in `Via`; a copy of its own, so that cores do not count references to one.
    pub(crate) via: Via,
    pub(crate) watch: Arc<Watch>,
    /// What upstreams are told of the last client.
    forwarding: Mutex<Forwarding>,
    /// The plan as this connection last saw it, behind a reference count of its own: requests raise that one, and not the
    /// one that every core would have to write to.
    current: Mutex<Arc<Current>>,
}

/// What one thread keeps for requests that are handed in, so that cores do not count references to one.
#[derive(Clone, Debug)]
pub(crate) struct Here {
    pub(crate) current: Arc<Current>,
    pub(crate) via: Via,
}

/// A plan and who is told of its requests, shared by the requests of one connection.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) running: Arc<Running>,
    pub(crate) observer: Arc<Observer>,
}

impl Connection {
    pub(crate) fn new(gateway: Arc<State>, peer: Option<IpAddr>, watch: Arc<Watch>) -> Self {
        let current = Mutex::new(Arc::new(gateway.current(gateway.running())));
        let via = gateway.via();
        let forwarding = Mutex::new(Forwarding::new(peer, Proto::Http));
        Self { gateway, peer, proto: Proto::Http, via, watch, forwarding, current }
    }

    /// That of one request which the embedding program hands in.
    pub(crate) fn handed_in(gateway: &Arc<State>, peer: Option<IpAddr>, proto: Proto) -> Self {
        let Here { current, via } = gateway.here();
        let forwarding = Mutex::new(Forwarding::new(peer, proto));
        Self {
            gateway: Arc::clone(gateway),
            peer,
            proto,
            via,
            watch: Watch::new(),
            forwarding,
            current: Mutex::new(current),
        }
    }

    /// The plan that runs now; one for each request.
    pub(crate) fn current(&self) -> Arc<Current> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.gateway.is_running(&current.running) {
            *current = Arc::new(self.gateway.current(self.gateway.running()));
        }
        Arc::clone(&current)
    }

    /// A line and a count for what was refused before there was a request.
    pub(crate) fn note_refusal(&self, rejection: &Rejection) {
        let mut record = self.current().observer.open(crate::pass::unknown_method(), Version::HTTP_11);
        record.client = self.peer;
        record.status = Some(rejection.status());
        record.ending = Ending::Rejected(rejection.code());
        record.origin = Some(Origin::Client);
    }

    /// What upstreams are told of the client; only this connection's requests take the lock.
    pub(crate) fn forwarding(&self, arrival: Arrival) -> MutexGuard<'_, Forwarding> {
        let mut forwarding = self.forwarding.lock().unwrap_or_else(PoisonError::into_inner);
        forwarding.follow(arrival);
        forwarding
    }

    /// How large a head may be, as the connection begins with it.
    pub(crate) fn bounds(&self) -> Bounds {
        let current = self.current();
        let settings = &current.running.settings.server;
        Bounds { bytes: settings.max_header_size, fields: settings.max_headers }
    }

    /// How long it may take, as it begins with it.
    pub(crate) fn patience(&self) -> Patience {
        let current = self.current();
        let settings = &current.running.settings.server;
        Patience {
            header: settings.header_timeout,
            body: settings.body_timeout,
            stream: settings.stream_idle_timeout,
            idle: settings.idle_timeout,
        }
    }
}
