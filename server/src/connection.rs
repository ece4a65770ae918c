//! One client's connection: what its requests share.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, HeaderValue, Version};
use portcullis_core::Rejection;
use portcullis_core::headers::{Arrival, Forwarding, HeaderError, Proto, Via};

use crate::gateway::State;
use crate::h1::Lines;
use crate::listen::h1::head::Bounds;
use crate::listen::watch::{Patience, Watch};
use crate::live::Running;
use crate::observe::{Ending, Observer, Origin};

/// One client's connection: what its requests share.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) gateway: Arc<State>,
    /// Another program has it, and hands in one request.
    pub(crate) is_handed_in: bool,
    /// Who connected; none on a unix socket.
    pub(crate) peer: Option<IpAddr>,
    /// How its requests come.
    pub(crate) proto: Proto,
    /// Our mark in `Via`; a copy of its own, so that cores do not count references to one.
    pub(crate) via: Via,
    pub(crate) watch: Arc<Watch>,
    /// What upstreams are told of the last client.
    introduction: Mutex<Introduction>,
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

/// What upstreams are told of a client, and the lines that say it: made anew only when another client is spoken for, or
/// another host asked for.
#[derive(Debug)]
pub(crate) struct Introduction {
    forwarding: Forwarding,
    lines: Lines,
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
        let introduction = Introduction::new(peer, Proto::Http);
        Self { gateway, is_handed_in: false, peer, proto: Proto::Http, via, watch, introduction, current }
    }

    /// That of one request which the embedding program hands in.
    pub(crate) fn handed_in(gateway: &Arc<State>, peer: Option<IpAddr>, proto: Proto) -> Self {
        let Here { current, via } = gateway.here();
        Self {
            gateway: Arc::clone(gateway),
            is_handed_in: true,
            peer,
            proto,
            via,
            watch: Watch::new(),
            introduction: Introduction::new(peer, proto),
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

    /// What upstreams are told of a client that asks for `host`; only this connection's requests take the lock.
    pub(crate) fn introduce(&self, arrival: Arrival, host: Option<&HeaderValue>) -> MutexGuard<'_, Introduction> {
        let mut introduction = self.introduction.lock().unwrap_or_else(PoisonError::into_inner);
        let Introduction { forwarding, lines } = &mut *introduction;
        if !forwarding.is_for(arrival, host) {
            forwarding.follow(arrival);
            lines.clear();
            // Lines have room always.
            let _ = forwarding.write(lines, host);
        }
        introduction
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

impl Introduction {
    fn new(peer: Option<IpAddr>, proto: Proto) -> Mutex<Self> {
        Mutex::new(Self { forwarding: Forwarding::new(peer, proto), lines: Lines::default() })
    }

    /// As lines, behind the fields of a request.
    pub(crate) fn say(&self, to: &mut Lines) {
        to.push(self.lines.as_bytes());
    }

    /// Into the fields of a request.
    ///
    /// # Errors
    /// [`HeaderError::Full`]
    pub(crate) fn write(&self, fields: &mut HeaderMap) -> Result<(), HeaderError> {
        self.forwarding.repeat(fields)
    }
}

/// A line and a count for what `peer` sent that was refused before there was a request.
pub(crate) fn note_refusal(gateway: &State, peer: Option<IpAddr>, rejection: &Rejection) {
    let observer = gateway.current(gateway.running()).observer;
    let mut record = observer.open(crate::pass::unknown_method(), Version::HTTP_11);
    record.client = peer;
    record.status = Some(rejection.status());
    record.ending = Ending::Rejected(rejection.code());
    record.origin = Some(Origin::Client);
}
