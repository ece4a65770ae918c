//! One request's charges, asked of the server: in one step where one script can, and else in one step at each place.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use portcullis_core::limit::{Charge, Mode, Tally, Verdict};

use crate::error::Undecided;
use crate::link::Link;
use crate::script::{self, Ask, Epoch, Record, Reply, ServerTime};
use crate::shared::Shared;

/// What came of asking.
pub(crate) enum Taken {
    /// The server decided.
    Decided(Verdict),
    /// The server has other data than this node counted in.
    OtherData,
}

/// What for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To count what was decided already.
    Count,
    /// To have it decided.
    Decide,
}

/// Charges that are taken by one script, and their places among all.
struct Part {
    tag: u8,
    /// Which data was counted in there.
    known: Epoch,
    places: Vec<usize>,
    charges: Vec<Charge>,
}

/// How a part stands.
struct Stands {
    at: ServerTime,
    records: Vec<Record>,
}

/// Takes all charges, or none.
pub(crate) async fn take(
    shared: &Arc<Shared>,
    link: &Arc<Link>,
    charges: &[Charge],
    purpose: Purpose,
) -> Result<Taken, Undecided> {
    let mut tags = charges.iter().map(|charge| charge.subject.tag());
    let tag = tags.next().unwrap_or_default();
    // One server runs a script over any keys. In a cluster those of one script are in one place.
    if link.is_cluster() && tags.any(|other| other != tag) {
        // Boxed: others need not carry the room for it.
        return Box::pin(take_parts(shared, link, charges, purpose)).await;
    }
    let known = shared.epoch(place(link, tag));
    if purpose == Purpose::Decide && shared.is_recovering() {
        return Ok(Taken::OtherData);
    }
    let reply = ask(shared, link, tag, known, Ask::Take, charges).await?;
    let Reply { epoch, decided } = Reply::read(&reply, charges.len()).ok_or(Undecided::Reply)?;
    // An answer that comes late, of data that was there before, is nothing to learn.
    if epoch != known {
        shared.learn(place(link, tag), epoch);
    }
    let Some(decided) = decided else { return Ok(Taken::OtherData) };
    let mut tally = Tally::default();
    charges.iter().zip(decided.records()).enumerate().for_each(|(index, (charge, record))| {
        add(&mut tally, index, charge, &record);
    });
    Ok(Taken::Decided(tally.verdict()))
}

fn add(tally: &mut Tally, index: usize, charge: &Charge, record: &Record) {
    if record.judged {
        tally.add(index, charge.mode, record.told.standing(&charge.quota, charge.cost, record.holds));
    }
}

/// Where the epoch of a tag is kept: one server has one.
fn place(link: &Link, tag: u8) -> u8 {
    if link.is_cluster() { tag } else { 0 }
}

/// Runs the script over the keys of these charges, which all are in the place of `tag`.
async fn ask(
    shared: &Shared,
    link: &Link,
    tag: u8,
    known: Epoch,
    ask: Ask,
    charges: impl IntoIterator<Item = &Charge, IntoIter: ExactSizeIterator + Clone>,
) -> Result<Vec<u8>, Undecided> {
    let charges = charges.into_iter();
    let mut keys = Vec::with_capacity(1 + charges.len());
    keys.push(if link.is_cluster() { shared.keys.epoch_of(tag) } else { shared.keys.epoch() });
    keys.extend(charges.clone().map(|charge| shared.keys.charge(charge)));
    let asked = script::packed(ask, known, Shared::offered(), charges);
    let now = shared.told_time();
    link.run(&keys, &asked, now.as_ref().map(<[u8; 9]>::as_slice)).await
}

/// Takes each part in its place, all at the same time. Where one is refused, the others give back what they spent: that costs one more
/// round trip, and meanwhile another request may find it in its way.
async fn take_parts(
    shared: &Arc<Shared>,
    link: &Arc<Link>,
    charges: &[Charge],
    purpose: Purpose,
) -> Result<Taken, Undecided> {
    let mut parts: Vec<Part> = Vec::new();
    for (index, charge) in charges.iter().enumerate() {
        let tag = charge.subject.tag();
        match parts.iter_mut().find(|part| part.tag == tag) {
            Some(part) => {
                part.places.push(index);
                part.charges.push(*charge);
            }
            None => {
                let known = shared.epoch(tag);
                parts.push(Part { tag, known, places: vec![index], charges: vec![*charge] });
            }
        }
    }
    if purpose == Purpose::Decide && shared.is_recovering() {
        return Ok(Taken::OtherData);
    }
    let taken = all(parts.iter().map(|part| take_part(shared, link, part))).await;
    let mut tally = Tally::default();
    for (part, stands) in parts.iter().zip(&taken) {
        if let Ok(Some(stands)) = stands {
            for ((index, charge), record) in part.places.iter().zip(&part.charges).zip(&stands.records) {
                if charge.mode == Mode::Enforce {
                    add(&mut tally, *index, charge, record);
                }
            }
        }
    }
    let whole = taken.iter().all(|stands| matches!(stands, Ok(Some(_))));
    if !whole || tally.is_refused() {
        give_back(shared, link, &parts, &taken).await;
    } else {
        for (part, stands) in parts.iter().zip(taken.iter().flatten().flatten()) {
            for ((index, charge), record) in part.places.iter().zip(&part.charges).zip(&stands.records) {
                if charge.mode == Mode::Shadow {
                    add(&mut tally, *index, charge, record);
                }
            }
        }
    }
    if let Some(error) = taken.into_iter().find_map(Result::err) {
        return Err(error);
    }
    Ok(if whole { Taken::Decided(tally.verdict()) } else { Taken::OtherData })
}

/// How a part stands; none where the data there is other data.
async fn take_part(shared: &Shared, link: &Link, part: &Part) -> Result<Option<Stands>, Undecided> {
    let reply = ask(shared, link, part.tag, part.known, Ask::Take, &part.charges).await?;
    let Reply { epoch, decided } = Reply::read(&reply, part.charges.len()).ok_or(Undecided::Reply)?;
    if epoch != part.known {
        shared.learn(part.tag, epoch);
    }
    Ok(decided.map(|decided| Stands { at: decided.at, records: decided.records().collect() }))
}

/// Gives back what parts have spent. Goes on though the caller may leave.
async fn give_back(
    shared: &Arc<Shared>,
    link: &Arc<Link>,
    parts: &[Part],
    taken: &[Result<Option<Stands>, Undecided>],
) {
    let mut back = Vec::new();
    for (part, stands) in parts.iter().zip(taken) {
        let Ok(Some(stands)) = stands else { continue };
        let spent = part.charges.iter().zip(&stands.records).filter(|(_, record)| record.spent);
        let charges: Vec<Charge> = spent.map(|(charge, _)| *charge).collect();
        if !charges.is_empty() {
            back.push((part.tag, part.known, stands.at, charges));
        }
    }
    let (shared, link) = (Arc::clone(shared), Arc::clone(link));
    let timeout = shared.timeout;
    let given = shared.runtime.clone().spawn(tokio::time::timeout(timeout, async move {
        all(back.iter().map(|(tag, known, at, charges)| ask(&shared, &link, *tag, *known, Ask::Refund(*at), charges)))
            .await;
    }));
    // What could not be given back stays spent, for one window at most; the request is refused in any case.
    drop(given.await);
}

/// One that is waited for, and then what came of it.
type Waiting<F> = (Pin<Box<F>>, Option<<F as Future>::Output>);

/// Waits for all of them, at the same time.
async fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<Waiting<F>> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut is_done = true;
        for (future, output) in waiting.iter_mut().filter(|(_, output)| output.is_none()) {
            match future.as_mut().poll(context) {
                Poll::Ready(done) => *output = Some(done),
                Poll::Pending => is_done = false,
            }
        }
        if is_done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    waiting.into_iter().filter_map(|(_, output)| output).collect()
}
