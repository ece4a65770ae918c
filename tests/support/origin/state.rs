//! What an origin's threads share: one lock, so that every count is exact.

use std::collections::HashMap;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::time::Duration;

use portcullis_core::time::Clock;
use socket2::SockRef;

use super::arrival::{Arrival, Digest, End};
use super::fault::Fault;
use crate::{Message, PATIENCE};

pub(super) struct Shared {
    pub(super) name: String,
    state: Mutex<State>,
    changed: Condvar,
    pub(super) clock: Clock,
}

pub(super) struct State {
    pub(super) fault: Fault,
    /// How the port is held now.
    pub(super) door: Option<Door>,
    pub(super) stopped: bool,
    /// Bytes that [`Fault::Step`] may still send.
    pub(super) steps: usize,
    pub(super) arrivals: Vec<Arrival>,
    pub(super) connections: usize,
    /// Weak, so that a connection is closed by its thread before it is no longer counted.
    pub(super) open: HashMap<usize, Weak<Line>>,
}

/// How a port is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// Nobody listens.
    Closed,
    /// Somebody listens, and takes nobody.
    Full,
    /// Whoever comes is taken.
    Open,
}

/// A connection that was taken.
pub(super) struct Line {
    pub(super) stream: TcpStream,
    /// The origin has ended it, not the other side.
    pub(super) hung_up: AtomicBool,
}

impl State {
    /// How the port should be held; none when it is over.
    pub(super) fn wanted(&self) -> Option<Door> {
        match self.fault {
            _ if self.stopped => None,
            Fault::BlackHole => Some(Door::Full),
            Fault::Refuse => Some(Door::Closed),
            _ => Some(Door::Open),
        }
    }

    pub(super) fn hang_up(&self) {
        for line in self.open.values().filter_map(Weak::upgrade) {
            line.hang_up();
        }
    }
}

impl Line {
    /// Ends it with a FIN; its thread notices.
    pub(super) fn hang_up(&self) {
        self.hung_up.store(true, Ordering::SeqCst);
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Ends it with a RST as soon as its thread lets go of it.
    pub(super) fn reset(&self) {
        self.hung_up.store(true, Ordering::SeqCst);
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    /// Sends all of it; false when the other side takes no more.
    pub(super) fn send(&self, bytes: &[u8]) -> bool {
        (&self.stream).write_all(bytes).is_ok()
    }
}

impl Shared {
    pub(super) fn new(name: &str) -> Self {
        let state = State {
            fault: Fault::Healthy,
            door: None,
            stopped: false,
            steps: 0,
            arrivals: Vec::new(),
            connections: 0,
            open: HashMap::new(),
        };
        Self { name: name.to_owned(), state: Mutex::new(state), changed: Condvar::new(), clock: Clock::system() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Changes something and tells everybody who waits.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changed.notify_all();
        changed
    }

    /// Waits while this holds, at most for `limit`; false when it still does then.
    pub(super) fn wait_while(&self, limit: Duration, mut holds: impl FnMut(&mut State) -> bool) -> bool {
        let (_state, waited) = self.changed.wait_timeout_while(self.lock(), limit, |state| holds(state)).unwrap();
        !waited.timed_out()
    }

    /// Lets time pass, unless it is over before.
    pub(super) fn pause(&self, time: Duration) {
        if !time.is_zero() {
            self.wait_while(time, |state| !state.stopped);
        }
    }

    /// Waits for leave to send one byte more, in [`Fault::Step`].
    pub(super) fn step(&self) -> bool {
        self.wait_while(PATIENCE, |state| state.steps == 0 && !state.stopped);
        self.change(|state| match state.steps.checked_sub(1) {
            Some(left) => {
                state.steps = left;
                !state.stopped
            }
            None => false,
        })
    }

    /// Notes a connection; none when it came too late and is to be dropped.
    pub(super) fn open(&self, stream: TcpStream) -> Option<(usize, Arc<Line>)> {
        let line = Arc::new(Line { stream, hung_up: AtomicBool::new(false) });
        self.change(|state| {
            if state.wanted() != Some(Door::Open) {
                line.reset();
                return None;
            }
            let number = state.connections;
            state.connections += 1;
            state.open.insert(number, Arc::downgrade(&line));
            Some((number, line))
        })
    }

    pub(super) fn close(&self, number: usize) {
        self.change(|state| state.open.remove(&number));
    }

    /// Notes that a head has arrived. Returns where.
    pub(super) fn arrived(&self, head: &Message, connection: usize, fault: &Fault) -> usize {
        self.change(|state| {
            state.arrivals.push(Arrival::new(head, connection, fault.name()));
            state.arrivals.len() - 1
        })
    }

    /// Notes that the body has, too.
    pub(super) fn completed(&self, arrival: usize, body: &[u8]) {
        self.change(|state| state.arrivals[arrival].body = Some(Digest::of(body)));
    }

    pub(super) fn ended(&self, arrival: usize, end: End) {
        self.change(|state| state.arrivals[arrival].end = end);
    }
}
