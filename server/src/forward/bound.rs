//! How many requests an upstream has at a time, and how many wait for that.
//!
//! The place to be taken is a number, and whoever finds it below the bound and nobody waiting takes one with a single
//! compare-exchange. Only where there is none does a queue come in, behind a lock: first come, first served. A place that is given back
//! goes to the first in the queue, if there is one. Nothing is lost between the two, because each side says what it did before it looks at
//! what the other did: who will wait counts itself and then looks for a place once more; who gives one back does so and then looks
//! whether somebody waits. (All of that is `SeqCst`, as an order between two words has to be.)
//!
//! [`Bound::most`] is the one place that says how many there may be: whatever finds that out by itself has to change nothing else.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portcullis_core::Rejection;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// The bound of one upstream. It outlives a reload with what it counts.
#[derive(Debug)]
pub(crate) struct Bound {
    most: AtomicUsize,
    most_waiting: AtomicUsize,
    in_use: AtomicUsize,
    waiting: AtomicUsize,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    waiters: VecDeque<(u64, oneshot::Sender<Place>)>,
    next: u64,
}

/// Leave to have one request at the upstream, until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Place(Option<Arc<Bound>>);

impl Bound {
    /// At most `most` requests at a time, and `waiting` that wait.
    pub(crate) fn new(most: usize, waiting: usize) -> Self {
        Self {
            most: AtomicUsize::new(most),
            most_waiting: AtomicUsize::new(waiting),
            in_use: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            queue: Mutex::default(),
        }
    }

    /// Other bounds from now on. Who has a place keeps it.
    pub(crate) fn change(self: &Arc<Self>, most: usize, waiting: usize) {
        self.most.store(most, Ordering::SeqCst);
        self.most_waiting.store(waiting, Ordering::SeqCst);
        self.serve();
    }

    /// How many requests have a place, and how many wait for one.
    pub(crate) fn used(&self) -> (usize, usize) {
        (self.in_use.load(Ordering::Relaxed), self.waiting.load(Ordering::Relaxed))
    }

    /// A place, if one is free and nobody waits for it.
    pub(crate) fn try_enter(self: &Arc<Self>) -> Option<Place> {
        let is_free = self.waiting.load(Ordering::SeqCst) == 0 && self.take();
        is_free.then(|| Place(Some(Arc::clone(self))))
    }

    /// A place in turn, but not later than `total`.
    ///
    /// # Errors
    /// 503 where too many wait already, or none came free in time.
    pub(crate) async fn enter(self: &Arc<Self>, total: Instant) -> Result<Place, Rejection> {
        match self.try_enter() {
            Some(place) => Ok(place),
            // Boxed: others need not carry the room for it.
            None => Box::pin(self.wait(total)).await,
        }
    }

    async fn wait(self: &Arc<Self>, total: Instant) -> Result<Place, Rejection> {
        let most = self.most_waiting.load(Ordering::SeqCst);
        let one_more = |waiting| (waiting < most).then_some(waiting + 1);
        if self.waiting.try_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_err() {
            // Of those that wait, some may have got their places and not know it yet.
            let free = self.queue().waiters.is_empty() && self.take();
            return if free { Ok(Place(Some(Arc::clone(self)))) } else { Err(Rejection::UpstreamFull) };
        }
        let mut waiting = Waiting { bound: self, number: None };
        let (to, place) = oneshot::channel();
        {
            let mut queue = self.queue();
            if queue.waiters.is_empty() && self.take() {
                return Ok(Place(Some(Arc::clone(self))));
            }
            let number = queue.next;
            queue.next += 1;
            queue.waiters.push_back((number, to));
            waiting.number = Some(number);
        }
        // The sender is only dropped with the bound, which we hold.
        timeout_at(total, place).await.ok().and_then(Result::ok).ok_or(Rejection::UpstreamFull)
    }

    /// Takes a place if there is one.
    fn take(&self) -> bool {
        let most = self.most.load(Ordering::SeqCst);
        let one_more = |in_use| (in_use < most).then_some(in_use + 1);
        self.in_use.try_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_ok()
    }

    /// Gives what is free to those who wait.
    fn serve(self: &Arc<Self>) {
        while self.waiting.load(Ordering::SeqCst) > 0 {
            let mut queue = self.queue();
            if queue.waiters.is_empty() || !self.take() {
                return;
            }
            let first = queue.waiters.pop_front();
            drop(queue);
            let place = Place(Some(Arc::clone(self)));
            // It may just have left: then for the next one, with no detour over `drop`, which would come here again.
            if let Some(Err(mut place)) = first.map(|(_, to)| to.send(place)) {
                place.0 = None;
                self.in_use.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it is held.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(bound) = self.0.take() {
            bound.in_use.fetch_sub(1, Ordering::SeqCst);
            bound.serve();
        }
    }
}

/// One that waits, or has waited: it is counted and in the queue until this is dropped, however that comes.
struct Waiting<'a> {
    bound: &'a Bound,
    number: Option<u64>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.bound.queue().waiters.retain(|(other, _)| *other != number);
        }
        self.bound.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use super::*;

    type Entering<'a> = Pin<Box<dyn Future<Output = Result<Place, Rejection>> + Send + 'a>>;

    fn enter(bound: &Arc<Bound>) -> Entering<'static> {
        let bound = Arc::clone(bound);
        Box::pin(async move { bound.enter(Instant::now() + Duration::from_secs(10)).await })
    }

    fn poll(entering: &mut Entering<'_>) -> Poll<Result<Place, Rejection>> {
        entering.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn place(entering: &mut Entering<'_>) -> Place {
        match poll(entering) {
            Poll::Ready(Ok(place)) => place,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn places_are_exact_and_who_waits_comes_in_turn() {
        let bound = Arc::new(Bound::new(2, 2));
        let (first, second) = (place(&mut enter(&bound)), place(&mut enter(&bound)));
        let (mut third, mut fourth) = (enter(&bound), enter(&bound));
        assert!(poll(&mut third).is_pending() && poll(&mut fourth).is_pending());
        assert!(matches!(poll(&mut enter(&bound)), Poll::Ready(Err(Rejection::UpstreamFull))), "at once");
        assert_eq!(bound.used(), (2, 2));
        drop(first);
        assert!(poll(&mut fourth).is_pending(), "not its turn");
        let third = place(&mut third);
        assert_eq!(bound.used(), (2, 1));
        drop((second, third));
        let fourth = place(&mut fourth);
        assert_eq!(bound.used(), (1, 0));
        drop(fourth);
        assert_eq!(bound.used(), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_gives_its_place_to_the_next() {
        let bound = Arc::new(Bound::new(1, 9));
        let first = place(&mut enter(&bound));
        let (mut second, mut third, mut fourth) = (enter(&bound), enter(&bound), enter(&bound));
        assert!([&mut second, &mut third, &mut fourth].into_iter().all(|entering| poll(entering).is_pending()));
        drop(second);
        assert_eq!((bound.used(), bound.queue().waiters.len()), ((1, 2), 2));
        drop(first);
        // It has got its place, and leaves before it knows.
        drop(third);
        drop(place(&mut fourth));
        assert_eq!(bound.used(), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_is_free_is_given_while_another_is_told_of_its_own() {
        let bound = Arc::new(Bound::new(2, 1));
        let (first, second) = (place(&mut enter(&bound)), place(&mut enter(&bound)));
        let mut third = enter(&bound);
        assert!(poll(&mut third).is_pending());
        drop((first, second));
        // The third has got one, and still counts as waiting.
        let fourth = place(&mut enter(&bound));
        let third = place(&mut third);
        assert_eq!(bound.used(), (2, 0));
        drop((third, fourth));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_it_may() {
        let bound = Arc::new(Bound::new(1, 1));
        let _first = place(&mut enter(&bound));
        let began = Instant::now();
        assert!(matches!(enter(&bound).await, Err(Rejection::UpstreamFull)));
        assert_eq!((began.elapsed().as_secs(), bound.used()), (10, (1, 0)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_lets_in_and_throws_nobody_out() {
        let bound = Arc::new(Bound::new(1, 5));
        let first = place(&mut enter(&bound));
        let mut second = enter(&bound);
        assert!(poll(&mut second).is_pending());
        bound.change(2, 5);
        let second = place(&mut second);
        bound.change(1, 0);
        assert_eq!(bound.used(), (2, 0));
        assert!(matches!(poll(&mut enter(&bound)), Poll::Ready(Err(_))));
        drop(first);
        assert!(matches!(poll(&mut enter(&bound)), Poll::Ready(Err(_))), "one is still one too many");
        drop(second);
        drop(place(&mut enter(&bound)));
    }

    /// No place is lost and none is given twice, whoever comes, waits and leaves at the same time.
    #[test]
    fn nothing_is_lost_among_threads() {
        let bound = Arc::new(Bound::new(3, 1000));
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let one = async |number: u64| {
            for turn in 0..200_u64 {
                if (number + turn).is_multiple_of(5) {
                    // Comes and leaves.
                    let mut leaving = enter(&bound);
                    let _ = poll(&mut leaving);
                    continue;
                }
                let place = enter(&bound).await.unwrap();
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Ordering::SeqCst);
                drop(place);
            }
        };
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let one = &one;
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                    let all = (0..16).map(|number| one(thread * 16 + number));
                    runtime.block_on(all_of(all.collect()));
                });
            }
        });
        assert_eq!((bound.used(), most.load(Ordering::SeqCst), bound.queue().waiters.len()), ((0, 0), 3, 0));
    }

    /// Polls them together, on one thread.
    async fn all_of<F: Future<Output = ()>>(futures: Vec<F>) {
        let mut left: Vec<_> = futures.into_iter().map(Box::pin).collect();
        std::future::poll_fn(|cx| {
            left.retain_mut(|future| future.as_mut().poll(cx).is_pending());
            if left.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
