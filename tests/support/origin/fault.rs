//! What can be wrong with an origin.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::Dice;

/// What an origin does with connections and requests, until it is told otherwise.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Takes no connection and refuses none: whoever connects waits until he has had enough.
    BlackHole,
    /// Reads the request and closes the connection (FIN) without a byte.
    CloseAfterRequest,
    /// Answers with something that is not HTTP.
    Garbage,
    /// Sends the first half of an answer's head and closes.
    HalfHead,
    /// Reads the request and never answers.
    Hang,
    /// Sends the head of an answer, a part of its body, and no more.
    HangAfterHead,
    /// None: answers with 200 and its name.
    Healthy,
    /// Nobody listens. The port stays its own, so that it can come back.
    Refuse,
    /// Reads the request and resets the connection (RST) without a byte.
    ResetAfterRequest,
    /// Resets each connection as soon as it is made.
    ResetOnAccept,
    /// Reads the request's head, none of its body, and resets the connection.
    ResetWithinRequest,
    /// Answers as a healthy one, after a time.
    SlowBy(Delays),
    /// Closes a kept connection as its next request arrives, which it does not read; a fresh one is served.
    StaleConnections,
    /// Answers with this status, and these fields (each "name: value").
    Status(u16, &'static [&'static str]),
    /// Sends a byte of a healthy answer for each [`step`](super::Origin::step).
    Step,
    /// Sends a head without an end.
    TooLargeHead,
    /// Answers as a healthy one, each byte by itself and after this pause.
    Trickle(Duration),
    /// Closes within an answer's body, which is longer by its content-length.
    Truncate,
    /// Closes within an answer's body in chunks, before the last one.
    TruncateChunks,
}

/// How long a slow origin takes: by chance, from a seed.
#[derive(Clone)]
pub struct Delays(Arc<(Mutex<Dice>, Vec<Share>)>);

/// So many of a hundred take between this and that.
type Share = (usize, Duration, Duration);

impl Fault {
    /// Its name, for tables and failures.
    pub fn name(&self) -> String {
        match self {
            Self::Status(status, []) => format!("Status({status})"),
            Self::Status(status, fields) => format!("Status({status}, {})", fields.join(", ")),
            Self::SlowBy(_) => "SlowBy".to_owned(),
            other => format!("{other:?}"),
        }
    }

    /// Whether whoever has a connection loses it: the process or the network behind it is gone.
    pub(super) fn cuts_kept_connections(&self) -> bool {
        matches!(self, Self::BlackHole | Self::Refuse)
    }
}

impl Delays {
    /// Always the same.
    pub fn always(time: Duration) -> Self {
        Self::of(0, &[(100, time, time)])
    }

    /// By shares, each (so many of a hundred, at least, at most); what the shares leave of the hundred takes no time.
    pub fn of(seed: u64, shares: &[Share]) -> Self {
        assert!(shares.iter().map(|share| share.0).sum::<usize>() <= 100, "shares of a hundred");
        Self(Arc::new((Mutex::new(Dice::new(seed)), shares.to_vec())))
    }

    /// The next one.
    pub fn draw(&self) -> Duration {
        let mut dice = self.0.0.lock().unwrap();
        let mut place = dice.below(100);
        for (share, least, most) in &self.0.1 {
            match place.checked_sub(*share) {
                Some(rest) => place = rest,
                None => return dice.between(*least, *most),
            }
        }
        Duration::ZERO
    }
}

impl fmt::Debug for Delays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0.1).finish()
    }
}
