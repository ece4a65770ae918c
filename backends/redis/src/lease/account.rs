//! What this node holds and owes of one subject's limit: pure arithmetic, which takes the time as an argument.

use std::time::Duration;

use portcullis_core::limit::{Algorithm, Charge, Quota, Standing};
use portcullis_core::time::Moment;

use super::bound::Part;
use super::order::{Grant, Order};

/// How long what is held ahead should last. Longer than the banker takes to fetch more, so that a request hardly ever comes in between;
/// short, so that little lies idle.
const COVER: Duration = Duration::from_millis(100);

/// The least time between two orders that demand is measured over.
const SHORTEST: Duration = Duration::from_millis(10);

/// After how long without a request what is held goes back.
pub(crate) const IDLE: Duration = Duration::from_secs(1);

/// How much longer than it says a limit is left alone that the store said is used up: by then there is more than one to be had.
const LONGEST_REST: Duration = Duration::from_millis(50);

/// After how long what was sent does not arrive any more, though nobody waits for it: a connection is given up after 10 s.
const ARRIVES: Duration = Duration::from_secs(15);

/// What one request is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nobody here knows: the store has to be asked.
    Ask,
    /// It is paid with what the store does not know yet.
    Owed,
    /// It has to wait so long.
    Refused(Duration),
    /// It is paid with what is held.
    Spent,
}

/// What is to be done for an account that nobody may have used for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rest {
    /// It says nothing any more.
    Forget,
    /// Nothing.
    Keep,
    /// This.
    Order(Order),
}

/// What this node holds and owes of one subject's limit.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// The last charge: whom, and how much in what time.
    pub(crate) charge: Charge,
    /// Counted by the store and not yet spent.
    held: u32,
    /// Held beyond this node's part, which became smaller. It is not spent and goes back.
    surplus: u32,
    /// Spent and not yet counted by the store.
    owed: u32,
    /// How much is to be held.
    target: u32,
    /// What was asked for since the last order, and when that was.
    asked: u32,
    ordered: Moment,
    /// When it was last used.
    used: Moment,
    /// An order is wanted, or under way: there is one at a time.
    pub(crate) is_busy: bool,
    /// How much the order under way may bring.
    coming: u32,
    /// The last grant.
    grant: Grant,
    /// When what is held ends with its window; windows only.
    ends: Option<Moment>,
    /// What the store last said is left, and when it is whole.
    left: u32,
    whole: Moment,
    /// The store said that nothing is left until then.
    dry: Option<Moment>,
    /// What went back may arrive until then: till it has, nothing is held or owed.
    barred: Option<Moment>,
}

impl Account {
    /// Of a subject that nothing is known of.
    pub(crate) fn new(charge: &Charge, now: Moment) -> Self {
        Self {
            charge: *charge,
            held: 0,
            surplus: 0,
            owed: 0,
            target: 0,
            asked: 0,
            ordered: now,
            used: now,
            is_busy: false,
            coming: 0,
            grant: Grant::default(),
            ends: None,
            left: charge.quota.limit(),
            whole: now,
            dry: None,
            barred: None,
        }
    }

    /// Pays `cost`, which the part covers, of what is held; or owes it.
    pub(crate) fn spend(&mut self, cost: u32, part: Part, now: Moment) -> Outcome {
        self.used = now;
        self.trim(part, now);
        if self.is_barred(now) {
            return Outcome::Ask;
        }
        self.asked = self.asked.saturating_add(cost);
        if let Some(left) = self.held.checked_sub(cost) {
            self.held = left;
            return Outcome::Spent;
        }
        if let Some(until) = self.dry
            // What the store said holds until it says otherwise, which it is asked for as soon as that time is over.
            && (now < until || self.is_busy)
        {
            return Outcome::Refused(until.since(now).max(Duration::from_millis(1)));
        }
        let owed = self.owed.saturating_add(cost);
        if owed <= part.owe {
            self.owed = owed;
            Outcome::Owed
        } else {
            Outcome::Ask
        }
    }

    /// Takes back what a request has paid that is refused for another reason.
    pub(crate) fn refund(&mut self, cost: u32, part: Part, now: Moment) {
        let of_owed = self.owed.min(cost);
        // It may be on its way to the store already: then it will be held.
        self.owed -= of_owed;
        self.held = self.held.saturating_add(cost - of_owed);
        self.trim(part, now);
    }

    /// Keeps to the part, and drops what has ended.
    fn trim(&mut self, part: Part, now: Moment) {
        // A node without a part may be one that was taken for gone: what it held the others hold by now, and it must not go back either.
        if part == Part::NONE || self.ends.is_some_and(|ends| ends <= now) {
            (self.held, self.surplus, self.ends) = (0, 0, None);
        }
        // What is counted and on its way here is held too.
        let most = part.hold.saturating_sub(self.coming.saturating_sub(self.owed));
        if let Some(surplus @ 1..) = self.held.checked_sub(most) {
            self.held = most;
            self.surplus = self.surplus.saturating_add(surplus);
        }
    }

    /// Whether it keeps to its part: nothing that was owed under a larger one is still owed.
    pub(crate) fn is_settled(&self, part: Part, now: Moment) -> bool {
        self.owed <= part.owe && self.surplus == 0 && !self.is_busy && !self.is_barred(now)
    }

    pub(crate) fn is_in_debt(&self) -> bool {
        self.owed > 0
    }

    fn is_barred(&self, now: Moment) -> bool {
        self.barred.is_some_and(|until| now < until)
    }

    /// Whether something is to be ordered, and is not.
    pub(crate) fn wants(&self, now: Moment) -> bool {
        let is_dry = self.dry.is_some_and(|until| now < until);
        let is_low = self.target > 0 && self.held <= self.target / 2;
        !self.is_busy && !is_dry && !self.is_barred(now) && (self.owed > 0 || is_low || self.dry.is_some())
    }

    /// The next order.
    pub(crate) fn order(&mut self, part: Part, now: Moment) -> Order {
        self.trim(part, now);
        let elapsed = now.since(self.ordered).max(SHORTEST);
        let fresh = u128::from(self.asked) * COVER.as_nanos() / elapsed.as_nanos();
        let fresh = u32::try_from(fresh).unwrap_or(u32::MAX);
        // Grows at once, and shrinks by halves.
        self.target = fresh.max(self.target / 2).min(part.hold);
        (self.asked, self.ordered, self.is_busy) = (0, now, true);
        // What could not be paid is worth one at least.
        let least = u32::from(self.owed == 0 && self.dry.is_some()).min(part.hold);
        let ahead = self.target.max(least).saturating_sub(self.held);
        self.coming = self.owed.saturating_add(ahead);
        Order { charge: self.charge, take: self.coming, back: 0, at: 0 }
    }

    /// The store has given so much for an order that was sent then. Whether the next one is wanted.
    pub(crate) fn granted(
        &mut self,
        grant: Grant,
        standing: &Standing,
        part: Part,
        (sent, now): (Moment, Moment),
    ) -> bool {
        (self.is_busy, self.coming) = (false, 0);
        let quota = &self.charge.quota;
        let window = ends_with_window(quota).then_some(grant.window_end);
        if window.is_some() && self.grant.window_end != grant.window_end {
            (self.held, self.surplus) = (0, 0);
        }
        // By the server's clock it ends so long after it was counted; that was after it was sent.
        self.ends = window.map(|end| sent + Duration::from_nanos(end.saturating_sub(grant.at)));
        let paid = self.owed.min(grant.count);
        self.owed -= paid;
        self.held = self.held.saturating_add(grant.count - paid);
        if grant.count > 0 || window.is_some() {
            self.grant = grant;
        }
        self.left = standing.remaining;
        self.whole = now + standing.reset;
        self.dry = standing.wait.map(|wait| now + wait + rest(quota, part));
        self.trim(part, now);
        let wants = self.wants(now);
        self.is_busy = wants;
        wants
    }

    /// An order was not even sent. What was to go back is counted, and never spent.
    pub(crate) fn unsent(&mut self) {
        (self.is_busy, self.coming, self.dry) = (false, 0, None);
    }

    /// What is held was taken in data that is lost.
    pub(crate) fn void(&mut self) {
        self.unsent();
        (self.held, self.surplus) = (0, 0);
    }

    /// What was given back has arrived.
    pub(crate) fn returned(&mut self) {
        (self.is_busy, self.dry) = (false, None);
    }

    /// An order was not answered. What was to be taken is counted and never spent, at worst; but what was to go back may yet arrive.
    pub(crate) fn failed(&mut self, order: &Order, now: Moment) {
        (self.is_busy, self.coming, self.dry) = (false, 0, None);
        if order.back > 0 {
            self.barred = Some(now + ARRIVES);
        }
    }

    /// What is to be done though nobody comes.
    pub(crate) fn rest(&mut self, part: Part, now: Moment) -> Rest {
        self.trim(part, now);
        if self.is_busy || self.is_barred(now) {
            return Rest::Keep;
        }
        let is_idle = now.since(self.used) >= IDLE;
        let is_dry = self.dry.is_some_and(|until| now < until);
        if is_idle {
            self.target = 0;
        }
        if let Some(back) = self.give_back(is_idle) {
            return Rest::Order(back);
        }
        match self.owed {
            0 if is_idle && !is_dry => Rest::Forget,
            1.. if !is_dry => Rest::Order(self.order(part, now)),
            _ => Rest::Keep,
        }
    }

    /// What goes back: what is beyond the part, or all of it. None where there is nothing, or nothing that can be given back.
    pub(crate) fn give_back(&mut self, all: bool) -> Option<Order> {
        let mut back = std::mem::take(&mut self.surplus);
        if all {
            back = back.saturating_add(std::mem::take(&mut self.held));
        }
        let algorithm = self.charge.quota.algorithm;
        // A log knows a token by its time. The older ones stay in it for as long as they would count.
        if algorithm == Algorithm::SlidingLog {
            back = back.min(self.grant.count);
            self.grant.count -= back;
        }
        self.is_busy |= back > 0;
        // Of a bucket it does not matter when it was taken.
        let at = if algorithm == Algorithm::TokenBucket { 0 } else { self.grant.at };
        (back > 0).then_some(Order { charge: self.charge, take: 0, back, at })
    }

    /// What a client is told: what the store last said, and what was done here since.
    pub(crate) fn standing(&self, wait: Option<Duration>, now: Moment) -> Standing {
        let quota = &self.charge.quota;
        let limit = quota.limit();
        let remaining = self.left.saturating_add(self.held).saturating_sub(self.owed).min(limit);
        let owed = if quota.algorithm == Algorithm::TokenBucket {
            quota.interval().saturating_mul(self.owed)
        } else if self.owed > 0 && self.whole <= now {
            quota.window()
        } else {
            Duration::ZERO
        };
        let remaining = if wait.is_some() { 0 } else { remaining };
        Standing { limit, remaining, reset: self.whole.since(now) + owed, wait }
    }

    #[cfg(test)]
    pub(crate) fn ahead(&self) -> (u32, u32) {
        (self.held, self.owed)
    }
}

/// Whether what is taken in a window is worth nothing after it.
fn ends_with_window(quota: &Quota) -> bool {
    matches!(quota.algorithm, Algorithm::FixedWindow | Algorithm::SlidingWindow)
}

/// How much longer a limit is left alone than it has nothing: until about half of what may be held has come in, so that one question
/// brings several. Nothing comes in before a fixed window ends.
fn rest(quota: &Quota, part: Part) -> Duration {
    if quota.algorithm == Algorithm::FixedWindow {
        return Duration::ZERO;
    }
    let half = quota.interval().saturating_mul(part.hold / 2);
    half.min(LONGEST_REST)
}
