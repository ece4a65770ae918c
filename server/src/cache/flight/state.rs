//! What is behind a flight's lock: its body as far as it is here, and who reads it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Waker};

use bytes::Bytes;

use super::{Given, Pushed};
use crate::cache::budget::Claim;

pub(super) struct State<H, A> {
    pub(super) phase: Phase<H, A>,
    /// What is here of the body.
    pub(super) chunks: VecDeque<Bytes>,
    /// How many chunks are gone: all have read them.
    pub(super) gone: usize,
    /// Bytes in `chunks`.
    pub(super) held: usize,
    /// Bytes of the body so far.
    pub(super) total: usize,
    /// How much may be held.
    pub(super) most: usize,
    /// For what is held.
    pub(super) claim: Claim,
    /// The body is kept from its first byte on.
    pub(super) is_whole: bool,
    pub(super) seats: Vec<Option<Seat>>,
    /// The fetch waits until something was read.
    pub(super) waits_for_room: Option<Waker>,
}

pub(super) enum Phase<H, A> {
    /// There is no head yet.
    Asking,
    /// What is stored answers.
    Answered(A),
    /// The body comes.
    Streaming(Arc<H>),
    /// All of it came.
    Complete(Arc<H>),
    /// It broke off.
    Cut,
    /// Nobody can have this answer but who led.
    Given(Given),
}

/// Somebody who waits or reads.
pub(super) struct Seat {
    /// The chunk that is next, counted from the body's first.
    pub(super) chunk: usize,
    /// What was read of it.
    pub(super) offset: usize,
    /// It held up others for too long.
    pub(super) is_cut: bool,
    pub(super) waker: Option<Waker>,
}

/// Pieces up to this are put together: a body that comes byte by byte is not kept as such.
const SMALL: usize = 4 * 1024;

/// What is held of a body that is not kept: as much as lies about of any that streams.
const WINDOW: usize = 64 * 1024;

impl<H, A> State<H, A> {
    pub(super) fn readers(&self) -> usize {
        self.seats.iter().flatten().filter(|seat| !seat.is_cut).count()
    }

    pub(super) fn push(&mut self, piece: &Bytes) -> Pushed {
        let fits = self.held + piece.len() <= self.most;
        // What is held already is claimed, and a window keeps its claim as it moves.
        if self.is_whole && (!fits || !self.claim.reach((self.held + piece.len()) as u64)) {
            self.is_whole = false;
            self.most = self.most.min(WINDOW);
        }
        if !self.is_whole && self.readers() == 0 {
            return Pushed::Unwanted;
        }
        match self.chunks.back_mut() {
            Some(last) if self.is_whole && last.len() + piece.len() <= SMALL => {
                *last = [&last[..], &piece[..]].concat().into();
            }
            // Copied: a slice would keep all of the buffer that it was read into.
            _ => self.chunks.push_back(Bytes::copy_from_slice(piece)),
        }
        self.held += piece.len();
        self.total += piece.len();
        if self.is_whole {
            return Pushed::Kept;
        }
        self.forget();
        if self.held < self.most { Pushed::Kept } else { Pushed::Full }
    }

    /// Lets go of what everybody has read, if it will not be stored.
    pub(super) fn forget(&mut self) {
        if self.is_whole {
            return;
        }
        let slowest = self.seats.iter().flatten().filter(|seat| !seat.is_cut).map(|seat| seat.chunk).min();
        while slowest.is_none_or(|slowest| self.gone < slowest)
            && let Some(chunk) = self.chunks.pop_front()
        {
            self.gone += 1;
            self.held -= chunk.len();
        }
    }

    /// The body as one, if all of it is here. From then on readers have it as one, too.
    pub(super) fn whole(&mut self) -> Option<(Bytes, Claim)> {
        if !self.is_whole {
            return None;
        }
        if self.chunks.len() > 1 {
            let mut whole = Vec::with_capacity(self.total);
            self.chunks.iter().for_each(|chunk| whole.extend_from_slice(chunk));
            for seat in self.seats.iter_mut().flatten() {
                seat.offset += self.chunks.iter().take(seat.chunk).map(Bytes::len).sum::<usize>();
                seat.chunk = 0;
            }
            self.chunks = VecDeque::from([whole.into()]);
        }
        let nothing = self.claim.nothing();
        let claim = std::mem::replace(&mut self.claim, nothing);
        Some((self.chunks.front().cloned().unwrap_or_default(), claim))
    }
}

impl<H, A> State<H, A> {
    pub(super) fn wait(&mut self, seat: usize, cx: &Context<'_>) {
        if let Some(seat) = self.seats.get_mut(seat).and_then(Option::as_mut)
            && !seat.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            seat.waker = Some(cx.waker().clone());
        }
    }

    /// Somebody read: who waits for room, if there is some now.
    pub(super) fn read(&mut self) -> Option<Waker> {
        self.forget();
        if self.held < self.most || self.readers() == 0 { self.waits_for_room.take() } else { None }
    }
}
