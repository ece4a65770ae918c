//! One fetch that many requests wait for: they get its bytes as they come from the upstream.
//!
//! Whoever asks first leads: a task of its own fetches, and is not ended by a client that leaves. Others take a seat. The head tells
//! them whether they may have this answer; if so they read its body from here, each at its own pace, and nobody waits for the
//! whole. If not, or if the fetch fails before they had a byte, all of them go on by themselves, at the same moment.
//!
//! What is kept of a body has a bound. One that outgrows it is not stored, and goes on as a window that moves with its slowest
//! reader; who holds up the others for too long is cut.

mod state;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use self::state::{Phase, Seat, State};
use super::budget::Claim;

/// One fetch. `H` is what its head tells those who wait, `A` what answers them without a body to read: an answer that is stored
/// already.
pub(crate) struct Flight<H, A>(Mutex<State<H, A>>);

/// Why those who wait go on by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// The upstream failed.
    Failed,
    /// The answer is for nobody else.
    NotShared,
}

/// A place at a flight.
pub(crate) struct Reader<H, A> {
    flight: Arc<Flight<H, A>>,
    seat: usize,
}

/// What somebody who waits is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told<H, A> {
    /// It goes on by itself.
    Alone(Given),
    /// This answers it.
    Answer(A),
    /// The body can be read, if this head is for it.
    Head(Arc<H>),
}

/// The body broke off, or is read too slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// What became of a piece of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// Kept.
    Kept,
    /// There is no room for more until somebody has read.
    Full,
    /// Nobody reads it, and it will not be stored.
    Unwanted,
}

impl<H, A: Clone> Flight<H, A> {
    /// One that keeps at most `most` bytes of its body, each of which is claimed.
    pub(crate) fn new(most: usize, claim: Claim) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            phase: Phase::Asking,
            chunks: VecDeque::new(),
            gone: 0,
            held: 0,
            total: 0,
            most,
            claim,
            is_whole: true,
            seats: Vec::new(),
            waits_for_room: None,
        })))
    }

    /// A place at it, from its first byte, if there still is one. `fits` says whether its head, where that is known, is for
    /// whoever asks.
    pub(crate) fn join(self: &Arc<Self>, fits: impl FnOnce(&H) -> bool) -> Option<Reader<H, A>> {
        let mut state = self.lock();
        match &state.phase {
            Phase::Asking => {}
            Phase::Streaming(head) if state.is_whole && fits(head) => {}
            _ => return None,
        }
        let seat = Seat { chunk: 0, offset: 0, is_cut: false, waker: None };
        let free = state.seats.iter().position(Option::is_none);
        let place = free.unwrap_or_else(|| {
            state.seats.push(None);
            state.seats.len() - 1
        });
        if let Some(slot) = state.seats.get_mut(place) {
            *slot = Some(seat);
        }
        drop(state);
        Some(Reader { flight: Arc::clone(self), seat: place })
    }

    /// The head is here, and others may have this answer.
    pub(crate) fn head(&self, head: Arc<H>) {
        self.change(|state| state.phase = Phase::Streaming(head));
    }

    /// What is stored answers everybody.
    pub(crate) fn answered(&self, answer: A) {
        self.change(|state| state.phase = Phase::Answered(answer));
    }

    /// Whoever waits goes on by itself.
    pub(crate) fn give_up(&self, why: Given) {
        self.change(|state| state.phase = Phase::Given(why));
    }

    /// A piece of the body.
    pub(crate) fn push(&self, piece: &Bytes) -> Pushed {
        self.change(|state| state.push(piece))
    }

    /// Claims room for so many bytes of a body before they come; whether there is.
    pub(crate) fn reserve(&self, length: usize) -> bool {
        let state = &mut *self.lock();
        length <= state.most && state.claim.reach(length as u64)
    }

    /// The body, and what is claimed for it, if all of it was kept up to now.
    pub(crate) fn whole(&self) -> Option<(Bytes, Claim)> {
        self.lock().whole()
    }

    /// The body is complete.
    pub(crate) fn complete(&self) {
        self.change(|state| {
            if let Phase::Streaming(head) = &state.phase {
                state.phase = Phase::Complete(Arc::clone(head));
            }
        });
    }

    /// The fetch ended, however: what is not complete is cut, and who had nothing yet goes on by itself.
    pub(crate) fn end(&self) {
        self.change(|state| match state.phase {
            Phase::Asking => state.phase = Phase::Given(Given::Failed),
            Phase::Streaming(_) => state.phase = Phase::Cut,
            Phase::Answered(_) | Phase::Complete(_) | Phase::Cut | Phase::Given(_) => {}
        });
    }

    /// Ready when there is room for more, or nobody left to wait for.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.held < state.most || state.readers() == 0 {
            return Poll::Ready(());
        }
        state.waits_for_room = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Cuts those who are at the window's beginning: the others have waited for them long enough.
    pub(crate) fn cut_slowest(&self) {
        self.change(|state| {
            let first = state.gone;
            state.seats.iter_mut().flatten().filter(|seat| seat.chunk <= first).for_each(|seat| seat.is_cut = true);
            state.forget();
        });
    }

    /// Changes the state and wakes everybody who waits for that, without the lock.
    fn change<T>(&self, change: impl FnOnce(&mut State<H, A>) -> T) -> T {
        let mut state = self.lock();
        let changed = change(&mut state);
        let waiting: Vec<Waker> = state.seats.iter_mut().flatten().filter_map(|seat| seat.waker.take()).collect();
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        changed
    }

    fn lock(&self) -> MutexGuard<'_, State<H, A>> {
        // Each change is whole before anything in it could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H, A: Clone> Reader<H, A> {
    /// What is known before the body.
    pub(crate) fn poll_head(&self, cx: &Context<'_>) -> Poll<Told<H, A>> {
        let mut state = self.flight.lock();
        Poll::Ready(match &state.phase {
            Phase::Asking => {
                state.wait(self.seat, cx);
                return Poll::Pending;
            }
            Phase::Answered(answer) => Told::Answer(answer.clone()),
            Phase::Streaming(head) | Phase::Complete(head) => Told::Head(Arc::clone(head)),
            Phase::Cut => Told::Alone(Given::Failed),
            Phase::Given(why) => Told::Alone(*why),
        })
    }

    /// The next piece of the body; nothing at its end.
    ///
    /// # Errors
    /// [`Broken`] when there is no more, and it is not the end.
    pub(crate) fn poll_piece(&self, cx: &Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        let mut guard = self.flight.lock();
        let state = &mut *guard;
        let Some(seat) = state.seats.get_mut(self.seat).and_then(Option::as_mut) else {
            return Poll::Ready(Some(Err(Broken)));
        };
        if seat.is_cut {
            return Poll::Ready(Some(Err(Broken)));
        }
        while let Some(chunk) = seat.chunk.checked_sub(state.gone).and_then(|place| state.chunks.get(place)) {
            let rest = chunk.slice(seat.offset.min(chunk.len())..);
            // The last one may still grow, unless it is a window's.
            let may_grow = state.is_whole && seat.chunk + 1 == state.gone + state.chunks.len();
            seat.offset += rest.len();
            if !may_grow {
                (seat.chunk, seat.offset) = (seat.chunk + 1, 0);
            }
            if !rest.is_empty() {
                let waiting = state.read();
                drop(guard);
                waiting.into_iter().for_each(Waker::wake);
                return Poll::Ready(Some(Ok(rest)));
            }
            if may_grow {
                break;
            }
        }
        match &state.phase {
            Phase::Complete(_) => Poll::Ready(None),
            Phase::Asking | Phase::Streaming(_) => {
                state.wait(self.seat, cx);
                let waiting = state.read();
                drop(guard);
                waiting.into_iter().for_each(Waker::wake);
                Poll::Pending
            }
            Phase::Answered(_) | Phase::Cut | Phase::Given(_) => Poll::Ready(Some(Err(Broken))),
        }
    }
}

impl<H, A> Drop for Reader<H, A> {
    fn drop(&mut self) {
        let mut state = self.flight.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seat) = state.seats.get_mut(self.seat) {
            *seat = None;
        }
        let waiting = state.read();
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl<H, A> fmt::Debug for Flight<H, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight").finish_non_exhaustive()
    }
}

impl<H, A> fmt::Debug for Reader<H, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("seat", &self.seat).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
