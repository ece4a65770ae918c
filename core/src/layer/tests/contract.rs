//! The contract of a tower service, and of a future that may be dropped.

use super::*;

/// A service of which only the very value that was polled may be called.
#[derive(Debug)]
struct Once {
    calls: Arc<AtomicUsize>,
    polls: Arc<AtomicUsize>,
    ready: bool,
}

impl Clone for Once {
    fn clone(&self) -> Self {
        Self { calls: Arc::clone(&self.calls), polls: Arc::clone(&self.polls), ready: false }
    }
}

impl Service<Request<Bytes>> for Once {
    type Response = Response<Text>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Text>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        self.polls.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Bytes>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "this one was not asked whether it is ready");
        self.calls.fetch_add(1, Ordering::Relaxed);
        ready(Ok(Response::new(Text(None))))
    }
}

fn once() -> Once {
    Once { calls: Arc::default(), polls: Arc::default(), ready: false }
}

#[test]
fn the_service_that_was_polled_is_the_one_that_is_called() {
    let (store, names) = (far(false, false), Names { later: true, ..Names::default() });
    let limit = RateLimitLayer::new(store.clone(), rule("100/h"));
    let counted = once();
    let mut limited = limit.layer(counted.clone());
    let mut verified = AuthenticateLayer::new(names.clone()).layer(counted.clone());
    let cx = &mut Context::from_waker(Waker::noop());
    // Several wait at a time, each with the one that was ready for it.
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            assert!(limited.poll_ready(cx).is_ready() && verified.poll_ready(cx).is_ready());
            (Box::pin(limited.call(request(&[]))), Box::pin(verified.call(bearer("ada"))))
        })
        .collect();
    assert_eq!(counted.calls.load(Ordering::Relaxed), 0);
    store.answered.store(true, Ordering::Relaxed);
    names.answered.store(true, Ordering::Relaxed);
    for (mut limited, mut verified) in waiting {
        let (Poll::Ready(Ok(limited)), Poll::Ready(Ok(verified))) = (poll(limited.as_mut()), poll(verified.as_mut()))
        else {
            panic!("they were answered");
        };
        assert_eq!((limited.status(), verified.status()), (StatusCode::OK, StatusCode::OK));
    }
    assert_eq!((counted.calls.load(Ordering::Relaxed), counted.polls.load(Ordering::Relaxed)), (6, 6));
}

/// Neither a store nor a verifier that does not answer makes the service unready, or keeps another request waiting.
#[test]
fn no_policy_is_waited_for_in_poll_ready() {
    let names = Names { later: true, ..Names::default() };
    let mut service = AuthenticateLayer::new(names)
        .layer(RateLimitLayer::new(far(false, false), rule("1/h")).layer(Inner::default()));
    let cx = &mut Context::from_waker(Waker::noop());
    let mut waiting = Box::pin(service.call(bearer("ada")));
    assert!(poll(waiting.as_mut()).is_pending());
    assert!(service.poll_ready(cx).is_ready());
    let Poll::Ready(Ok(refused)) = poll(pin!(service.call(request(&[])))) else { panic!("it needs no verifier") };
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
}

/// A client that leaves: the inner service never hears of it, the charge stays spent, nothing else is held.
#[test]
fn a_dropped_future_leaves_nothing_behind() {
    let (store, inner) = (far(false, false), Inner::default());
    let mut service = RateLimitLayer::new(store.clone(), rule("2/h")).layer(inner.clone());
    let mut first = Box::pin(service.call(request(&[])));
    assert!(poll(first.as_mut()).is_pending());
    let held = || Arc::strong_count(&store.answered);
    assert_eq!(held(), 3, "by the layer's store, by us, and by the answer that is awaited");
    drop(first);
    assert_eq!(held(), 2, "the answer is gone");
    store.answered.store(true, Ordering::Relaxed);
    let mut answers = [(); 2].map(|()| say(&mut service, request(&[])).status().as_u16());
    answers.sort_unstable();
    assert_eq!(answers, [200, 429], "one of two was spent");
    assert_eq!(inner.asked.load(Ordering::Relaxed), 1);
}

/// Polled after its end, a future waits for ever, whatever it ended with.
#[test]
fn a_finished_refusal_does_not_answer_twice() {
    let mut service = AuthenticateLayer::new(Names::default()).layer(Inner::default());
    let mut refused = Box::pin(service.call(request(&[])));
    assert!(poll(refused.as_mut()).is_ready());
    assert!(poll(refused.as_mut()).is_pending());
}

/// Verified, and then counted, by parts that both answer later: one after the other, each once.
#[test]
fn what_waits_is_asked_once() {
    let (store, names) = (far(false, false), Names { later: true, ..Names::default() });
    let layer = RateLimitLayer::new(store.clone(), rule("2/h"));
    let mut service = AuthenticateLayer::new(names.clone()).layer(layer.layer(Inner::default()));
    let mut waiting = Box::pin(service.call(bearer("ada")));
    for _ in 0..3 {
        assert!(poll(waiting.as_mut()).is_pending());
    }
    names.answered.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        assert!(poll(waiting.as_mut()).is_pending());
    }
    store.answered.store(true, Ordering::Relaxed);
    let Poll::Ready(Ok(answer)) = poll(waiting.as_mut()) else { panic!("both have answered") };
    assert_eq!(answer.headers()["x-ratelimit-remaining"], "1");
    assert_eq!(names.asked.load(Ordering::Relaxed), 1);
}
