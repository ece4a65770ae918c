use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;
use crate::cache::budget::Budget;

type Of = Flight<u8, &'static str>;

fn flight(most: usize) -> Arc<Of> {
    Flight::new(most, Budget::new(1 << 20).claim(0).unwrap())
}

/// Counts how often it was woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn head(reader: &Reader<u8, &'static str>) -> Poll<Told<u8, &'static str>> {
    reader.poll_head(&Context::from_waker(Waker::noop()))
}

fn piece(reader: &Reader<u8, &'static str>) -> Poll<Option<Result<Bytes, Broken>>> {
    reader.poll_piece(&Context::from_waker(Waker::noop()))
}

/// What can be read now.
fn read(reader: &Reader<u8, &'static str>) -> String {
    let mut all = Vec::new();
    while let Poll::Ready(Some(Ok(piece))) = piece(reader) {
        all.extend_from_slice(&piece);
    }
    String::from_utf8(all).unwrap()
}

#[test]
fn everybody_reads_as_it_comes() {
    let flight = flight(1000);
    let early = flight.join(|_| false).unwrap();
    assert!(head(&early).is_pending());
    flight.head(Arc::new(7));
    assert_eq!(head(&early), Poll::Ready(Told::Head(Arc::new(7))));
    assert_eq!(flight.push(&Bytes::from_static(b"ab")), Pushed::Kept);
    assert_eq!(read(&early), "ab");
    assert!(flight.join(|head| *head == 8).is_none(), "the head is not for it");
    let late = flight.join(|head| *head == 7).unwrap();
    flight.push(&Bytes::from_static(b"cd"));
    assert_eq!((read(&early), read(&late)), ("cd".to_owned(), "abcd".to_owned()));
    assert!(piece(&early).is_pending() && piece(&late).is_pending());
    assert_eq!(flight.whole().unwrap().0, "abcd");
    flight.complete();
    assert_eq!((piece(&early), piece(&late)), (Poll::Ready(None), Poll::Ready(None)));
    assert!(flight.join(|_| true).is_none(), "it is over");
    flight.end();
    assert_eq!(piece(&late), Poll::Ready(None), "what is complete stays complete");
}

#[test]
fn large_pieces_are_shared_and_small_ones_put_together() {
    let flight = flight(100_000);
    let reader = flight.join(|_| true).unwrap();
    flight.head(Arc::new(0));
    for _ in 0..1000 {
        flight.push(&Bytes::from_static(b"x"));
    }
    flight.push(&Bytes::from(vec![b'y'; 50_000]));
    assert_eq!(flight.lock().chunks.len(), 2);
    let before = piece(&reader);
    assert!(matches!(before, Poll::Ready(Some(Ok(piece))) if piece.len() == 1000));
    assert_eq!(flight.whole().unwrap().0.len(), 51_000);
    assert_eq!(read(&reader).len(), 50_000, "it reads on where it was");
    flight.complete();
    assert_eq!((piece(&reader), flight.lock().chunks.len()), (Poll::Ready(None), 1));
}

#[test]
fn whoever_waits_is_woken_at_every_end() {
    type End = fn(&Of);
    let ends: [(End, Told<u8, &'static str>); 4] = [
        (|flight| flight.give_up(Given::NotShared), Told::Alone(Given::NotShared)),
        (|flight| flight.answered("stored"), Told::Answer("stored")),
        (Flight::end, Told::Alone(Given::Failed)),
        (|flight| flight.head(Arc::new(1)), Told::Head(Arc::new(1))),
    ];
    for (end, told) in ends {
        let flight = flight(10);
        let (bells, readers): (Vec<_>, Vec<_>) =
            (0..200).map(|_| (Arc::<Bell>::default(), flight.join(|_| true).unwrap())).unzip();
        for (bell, reader) in bells.iter().zip(&readers) {
            let waker = Waker::from(Arc::clone(bell));
            assert!(reader.poll_head(&Context::from_waker(&waker)).is_pending());
            assert!(reader.poll_head(&Context::from_waker(&waker)).is_pending());
        }
        end(&flight);
        assert!(bells.iter().all(|bell| bell.0.load(Ordering::Relaxed) == 1), "{told:?}");
        assert!(readers.iter().all(|reader| head(reader)
            == Poll::Ready(match &told {
                Told::Alone(why) => Told::Alone(*why),
                Told::Answer(answer) => Told::Answer(answer),
                Told::Head(head) => Told::Head(Arc::clone(head)),
            })));
    }
}

#[test]
fn a_body_that_breaks_off_is_cut_for_those_amid_it() {
    let flight = flight(1000);
    let (amid, late) = (flight.join(|_| true).unwrap(), flight.join(|_| true).unwrap());
    flight.head(Arc::new(0));
    flight.push(&Bytes::from_static(b"half"));
    assert_eq!(read(&amid), "half");
    flight.end();
    assert_eq!(piece(&amid), Poll::Ready(Some(Err(Broken))));
    assert_eq!(head(&late), Poll::Ready(Told::Alone(Given::Failed)));
}

#[test]
fn what_outgrows_its_bound_goes_on_as_a_window() {
    let budget = Budget::new(1 << 20);
    let flight: Arc<Of> = Flight::new(10, budget.claim(0).unwrap());
    let (fast, slow) = (flight.join(|_| true).unwrap(), flight.join(|_| true).unwrap());
    flight.head(Arc::new(0));
    assert_eq!(flight.push(&Bytes::from_static(b"01234567")), Pushed::Kept);
    assert_eq!((read(&fast), budget.used()), ("01234567".to_owned(), 8));
    assert_eq!(flight.push(&Bytes::from_static(b"89abcdef")), Pushed::Full);
    assert!(flight.join(|_| true).is_none(), "its first bytes may be gone");
    assert_eq!(read(&fast), "89abcdef");
    let bell = Arc::<Bell>::default();
    let waker = Waker::from(Arc::clone(&bell));
    assert!(flight.poll_room(&Context::from_waker(&waker)).is_pending(), "one has not read yet");
    assert_eq!(read(&slow), "0123456789abcdef");
    assert_eq!(bell.0.load(Ordering::Relaxed), 1);
    assert!(flight.poll_room(&Context::from_waker(&waker)).is_ready());
    assert_eq!(flight.push(&Bytes::from(vec![b'z'; 50])), Pushed::Full, "a piece larger than the window");
    assert_eq!((read(&slow).len(), read(&fast).len()), (50, 50));
    assert!(flight.poll_room(&Context::from_waker(&waker)).is_ready());
    assert!(flight.whole().is_none());
    flight.complete();
    assert_eq!((piece(&fast), piece(&slow)), (Poll::Ready(None), Poll::Ready(None)));
}

#[test]
fn who_holds_up_the_others_is_cut() {
    let flight = flight(10);
    let (fast, slow) = (flight.join(|_| true).unwrap(), flight.join(|_| true).unwrap());
    flight.head(Arc::new(0));
    for _ in 0..4 {
        flight.push(&Bytes::from_static(b"0123456789"));
        read(&fast);
    }
    assert!(flight.poll_room(&Context::from_waker(Waker::noop())).is_pending());
    flight.cut_slowest();
    assert!(flight.poll_room(&Context::from_waker(Waker::noop())).is_ready());
    assert_eq!((piece(&slow), flight.lock().held), (Poll::Ready(Some(Err(Broken))), 0));
    flight.push(&Bytes::from_static(b"more"));
    assert_eq!(read(&fast), "more");
    drop(fast);
    assert_eq!(flight.push(&Bytes::from_static(b"more")), Pushed::Unwanted);
}

#[test]
fn what_nobody_reads_is_fetched_only_to_be_stored() {
    let flight = flight(10);
    drop(flight.join(|_| true).unwrap());
    flight.head(Arc::new(0));
    assert_eq!(flight.push(&Bytes::from_static(b"0123456789")), Pushed::Kept);
    assert_eq!(flight.push(&Bytes::from_static(b"more")), Pushed::Unwanted);
}

#[test]
fn without_a_budget_nothing_is_kept() {
    let budget = Budget::new(10);
    let flight: Arc<Of> = Flight::new(1000, budget.claim(0).unwrap());
    let reader = flight.join(|_| true).unwrap();
    flight.head(Arc::new(0));
    flight.push(&Bytes::from_static(b"12345678"));
    flight.push(&Bytes::from_static(b"9abc"));
    assert_eq!((read(&reader), flight.whole().is_none()), ("123456789abc".to_owned(), true));
    drop((reader, flight));
    assert_eq!(budget.used(), 0);
}
