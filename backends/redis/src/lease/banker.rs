//! The background part of leased mode: gathers what is to be ordered and given back, and asks the store for many accounts at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use portcullis_core::limit::Charge;
use portcullis_core::time::Moment;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::account::Rest;
use super::bound::Part;
use super::order::{Grant, Order};
use crate::error::Undecided;
use crate::link::Link;
use crate::script::{self, Filled};
use crate::shared::Shared;
use crate::state::{State, count};
use crate::take::{all, place};

/// How long orders are gathered before they go out together: so there are at most a hundred commands a second, however many clients.
const TICK: Duration = Duration::from_millis(10);

/// How often accounts are looked at that nobody uses.
const SWEEP: Duration = Duration::from_millis(500);

/// How many accounts one command is about: the server does nothing else meanwhile, for some 2 ms.
const MOST: usize = 128;

/// Works until it is dropped.
pub(crate) async fn run(shared: &Arc<Shared>) {
    let mut sweeps = interval(SWEEP);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let leases = &shared.leases;
    loop {
        let mut orders = Vec::new();
        tokio::select! {
            () = leases.wake.notified() => sleep(TICK).await,
            _ = sweeps.tick(), if !leases.book.is_empty() => sweep(shared, &mut orders),
        }
        gather(shared, &mut orders);
        match shared.link.load_full().filter(|_| decides(shared)) {
            Some(link) => fill(shared, &link, &orders).await,
            None => orders.iter().for_each(|order| {
                leases.change(order, |account| account.unsent());
            }),
        }
    }
}

/// Gives back what is held and pays what is owed, before this node leaves.
pub(crate) async fn close(shared: &Arc<Shared>, link: &Arc<Link>) {
    let (mut back, mut owed) = (Vec::new(), Vec::new());
    let now = shared.clock.now();
    shared.leases.book.retain(|account| {
        back.extend(account.give_back(true));
        owed.extend(account.is_in_debt().then(|| account.order(Part::NONE, now)));
        false
    });
    fill(shared, link, &owed).await;
    fill(shared, link, &back).await;
}

/// Whether the store counts: it may have lost its data, and then counts anew.
fn decides(shared: &Shared) -> bool {
    matches!(shared.state(), State::Shared | State::Recovering { .. })
}

/// The part of an account while the store decides; without that nothing is ahead of it.
fn part(shared: &Shared, charge: &Charge, now: Moment) -> Part {
    if shared.state() == State::Shared { shared.leases.part(charge.overshoot, now) } else { Part::NONE }
}

/// Orders for those that asked for it.
fn gather(shared: &Shared, orders: &mut Vec<Order>) {
    let now = shared.clock.now();
    for place in shared.leases.due() {
        let order = |account: &mut super::account::Account| account.order(part(shared, &account.charge, now), now);
        orders.extend(shared.leases.book.change_known(place, order));
    }
}

/// Orders for those that nobody asks for; forgets those that say nothing any more; and says so when all keep to their part.
fn sweep(shared: &Shared, orders: &mut Vec<Order>) {
    let leases = &shared.leases;
    let (now, nodes) = (shared.clock.now(), leases.nodes());
    let mut is_settled = true;
    leases.book.retain(|account| {
        let rest = account.rest(part(shared, &account.charge, now), now);
        is_settled &= account.is_settled(Part::of(account.charge.overshoot, nodes), now);
        match rest {
            Rest::Forget => return false,
            Rest::Keep => {}
            Rest::Order(order) => orders.push(order),
        }
        true
    });
    if is_settled {
        leases.settle_for(nodes);
    }
}

/// Asks for all of them: in one command, or one for each [`MOST`]; in a cluster for each place.
async fn fill(shared: &Arc<Shared>, link: &Arc<Link>, orders: &[Order]) {
    let mut orders = orders.to_vec();
    orders.sort_by_key(|order| place(link, order.charge.subject.tag()));
    let places =
        orders.chunk_by(|one, other| place(link, one.charge.subject.tag()) == place(link, other.charge.subject.tag()));
    all(places.flat_map(|same| same.chunks(MOST)).map(|orders| fill_some(shared, link, orders))).await;
}

async fn fill_some(shared: &Arc<Shared>, link: &Arc<Link>, orders: &[Order]) {
    let sent = shared.clock.now();
    let leases = &shared.leases;
    let filled = match timeout(shared.timeout, ask(shared, link, orders)).await {
        Ok(filled) => filled,
        Err(_elapsed) => {
            count(&shared.counts.timeouts);
            Err(Undecided::Waited(shared.timeout))
        }
    };
    let now = shared.clock.now();
    match filled {
        Ok(Some(filled)) => {
            for (order, (grant, record)) in orders.iter().zip(filled) {
                fill_one(shared, order, grant, &record, (sent, now));
            }
        }
        // Other data: what was taken there is nothing here. What is owed is paid here, at the next sweep.
        Ok(None) => leases.book.retain(|account| {
            account.void();
            true
        }),
        Err(why) => {
            orders.iter().for_each(|order| {
                leases.change(order, |account| account.failed(order, now));
            });
            if why.is_loss() {
                shared.lose(link, &why);
            }
        }
    }
}

fn fill_one(shared: &Shared, order: &Order, grant: Grant, record: &script::Record, times: (Moment, Moment)) {
    let counts = &shared.counts;
    counts.taken.fetch_add(grant.count.into(), Ordering::Relaxed);
    counts.returned.fetch_add(order.back.into(), Ordering::Relaxed);
    let standing = record.told.standing(&order.charge.quota, 1, record.holds);
    let is_due = shared.leases.change(order, |account| {
        if order.back > 0 {
            account.returned();
            return false;
        }
        let part = part(shared, &account.charge, times.1);
        account.granted(grant, &standing, part, times)
    });
    if is_due == Some(true) {
        shared.leases.want(super::book::place(&order.charge));
    }
}

/// What the store gives; none where its data is other data.
pub(super) async fn ask(
    shared: &Shared,
    link: &Link,
    orders: &[Order],
) -> Result<Option<Vec<(Grant, script::Record)>>, Undecided> {
    let Some(first) = orders.first() else { return Ok(Some(Vec::new())) };
    let place = place(link, first.charge.subject.tag());
    let known = shared.epoch(place);
    let mut keys = Vec::with_capacity(1 + orders.len());
    keys.push(if link.is_cluster() { shared.keys.epoch_of(place) } else { shared.keys.epoch() });
    keys.extend(orders.iter().map(|order| shared.keys.charge(&order.charge)));
    let asked = script::packed_orders(known, Shared::offered(), orders);
    let now = shared.told_time();
    let reply = link.run(&keys, &asked, now.as_ref().map(<[u8; 9]>::as_slice)).await?;
    let Filled { epoch, given } = Filled::read(&reply, orders.len()).ok_or(Undecided::Reply)?;
    if epoch != known {
        shared.learn(place, epoch);
    }
    Ok(given.map(|(at, records)| {
        let grants = records.iter().map(|record| {
            let (count, record) = script::filled(record);
            // Of a window the time that is told is what is left of it.
            let left = u64::try_from(record.told.time.as_nanos()).unwrap_or(u64::MAX);
            (Grant { count, at, window_end: at.saturating_add(left) }, record)
        });
        grants.collect()
    }))
}
