//! Random schedules: requests, ticks, messages that are slow or lost, nodes that join, leave, stop and die.

use std::num::NonZeroU32;
use std::time::Duration;

use portcullis_core::limit::{Algorithm, Charge, Mode, Quota, Standing};
use portcullis_core::subject::{RuleId, Subject};

use super::node::Node;
use super::server::{Server, holds};
use crate::lease::order::{Grant, Order};

pub(super) const MS: u64 = 1_000_000;
/// How long a node waits for an answer.
const TIMEOUT: u64 = 25 * MS;
/// After how many seconds a silent node is forgotten.
const FORGOTTEN: u64 = 3_000 * MS;

pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) % bound
    }

    pub(super) fn pick(&mut self, of: [u64; 3]) -> u64 {
        of[usize::try_from(self.below(3)).unwrap()]
    }

    fn up_to(&mut self, bounds: [u64; 3]) -> u64 {
        let bound = self.pick(bounds);
        self.below(bound)
    }

    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// What is on its way.
#[derive(Clone, Debug)]
enum Message {
    Answered { grant: Grant, standing: Standing },
    Ordered(Order),
}

#[derive(Debug)]
struct Sent {
    node: u32,
    number: u64,
    arrives: u64,
    message: Message,
}

/// An order under way.
#[derive(Debug)]
struct UnderWay {
    node: u32,
    number: u64,
    order: Order,
    sent: u64,
}

pub(super) struct World {
    random: Random,
    now: u64,
    server: Server,
    nodes: Vec<Node>,
    /// Who said when that it is here, and what it keeps to.
    list: Vec<(u32, u64, u32)>,
    sent: Vec<Sent>,
    under_way: Vec<UnderWay>,
    number: u64,
    charge: Charge,
    admitted: Vec<(u64, u32)>,
    /// What nodes owed that died, or were stopped for so long that they were taken for dead.
    lost: u32,
    ahead: u32,
}

fn charge(random: &mut Random) -> Charge {
    let algorithm = Algorithm::ALL[usize::try_from(random.below(4)).unwrap()];
    let count = u32::try_from(1 + random.up_to([5, 30, 200])).unwrap();
    let burst = u32::try_from(1 + random.below(60)).unwrap();
    let period = Duration::from_millis(100 + random.up_to([400, 5_000, 60_000]));
    let nonzero = |number| NonZeroU32::new(number).unwrap();
    let quota = Quota { count: nonzero(count), period, burst: nonzero(burst), algorithm };
    let overshoot = u32::try_from(random.below(u64::from(quota.limit()) + 1)).unwrap();
    let rule = RuleId::of("rule");
    Charge { rule, subject: Subject::overflow(rule), quota, cost: 1, mode: Mode::Enforce, overshoot }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        random.below(2);
        let charge = charge(&mut random);
        let nodes = 1 + random.below(4);
        Self::with(random, charge, nodes)
    }

    /// One without trouble.
    pub(super) fn of(quota: Quota, overshoot: u32, nodes: u64) -> Self {
        let mut random = Random(7);
        let charge = Charge { quota, overshoot, ..charge(&mut random) };
        Self::with(random, charge, nodes)
    }

    fn with(mut random: Random, charge: Charge, nodes: u64) -> Self {
        let now = 1_800_000_000_000 * MS + random.below(60_000 * MS);
        let server = Server::new(charge.quota);
        let (list, sent, under_way) = (Vec::new(), Vec::new(), Vec::new());
        let admitted = Vec::new();
        let mut world = Self {
            random,
            now,
            server,
            nodes: Vec::new(),
            list,
            sent,
            under_way,
            number: 0,
            charge,
            admitted,
            lost: 0,
            ahead: 0,
        };
        (0..nodes).for_each(|_| world.join());
        world
    }

    pub(super) fn now(&self) -> u64 {
        self.now
    }

    pub(super) fn admitted(&self) -> u32 {
        self.admitted.iter().map(|(_, cost)| cost).sum()
    }

    fn join(&mut self) {
        self.number += 1;
        let name = u32::try_from(self.number).unwrap();
        let ahead = self.random.below(10_000 * MS);
        self.nodes.push(Node::new(name, &self.charge, ahead, self.now));
    }

    /// One thing after the other, for so many requests.
    fn run(&mut self, requests: u64) {
        let pace = 1 + self.random.up_to([3, 20, 200]) * MS / 4;
        let trouble = self.random.pick([40, 400, 100_000]);
        for _ in 0..requests {
            let pause = self.random.below(2 * pace);
            self.pass(pause);
            if self.random.once_in(trouble) {
                self.trouble();
            }
            if self.random.once_in(150) {
                self.rush();
            }
            self.request();
        }
    }

    /// Time goes by, and nobody comes.
    pub(super) fn pass(&mut self, time: u64) {
        let until = self.now + time;
        while self.now < until {
            self.now = until.min(self.now + 2 * MS);
            self.settle();
        }
    }

    /// Everybody comes at once, after a while in which what is held stays and a limit becomes whole.
    fn rush(&mut self) {
        let pause = self.random.up_to([300 * MS, 990 * MS, 3_000 * MS]);
        self.pass(pause);
        for _ in 0..self.random.below(4 * u64::from(self.charge.quota.limit())) {
            self.request();
        }
    }

    /// Everything that is due.
    fn settle(&mut self) {
        while let Some(place) = self.sent.iter().position(|sent| sent.arrives <= self.now) {
            let sent = self.sent.remove(place);
            self.arrive(sent);
        }
        for place in 0..self.nodes.len() {
            if self.nodes[place].stopped > self.now {
                continue;
            }
            let name = self.nodes[place].name;
            if let Some(late) = self.under_way.iter().position(|one| one.node == name && one.sent + TIMEOUT <= self.now)
            {
                let late = self.under_way.remove(late);
                self.nodes[place].failed(&late.order, self.now);
            }
            if self.nodes[place].next_beat <= self.now {
                self.beat(place);
            }
            if self.nodes[place].next_tick <= self.now {
                self.nodes[place].next_tick = self.now + 10 * MS;
                let order = self.nodes[place].order(self.now);
                self.send(name, order);
            }
            if self.nodes[place].next_sweep <= self.now {
                self.nodes[place].next_sweep = self.now + 500 * MS;
                let order = self.nodes[place].sweep(self.now);
                self.send(name, order);
            }
        }
    }

    fn beat(&mut self, place: usize) {
        let node = &mut self.nodes[place];
        node.next_beat = self.now + 500 * MS;
        // A beat that is not answered says nothing.
        if self.random.once_in(30) {
            return;
        }
        let (now, name) = (self.now, node.name);
        self.list.retain(|(other, at, _)| *other != name && now - at < FORGOTTEN);
        self.list.push((name, now, node.says()));
        let settled = self.list.iter().map(|(_, _, settled)| *settled).min().unwrap();
        let count = u32::try_from(self.list.len()).unwrap();
        node.hears(count, settled, now);
    }

    fn send(&mut self, node: u32, order: Option<Order>) {
        let Some(order) = order else { return };
        self.number += 1;
        let number = self.number;
        self.under_way.push(UnderWay { node, number, order, sent: self.now });
        self.post(node, number, Message::Ordered(order));
    }

    /// Mostly at once, seldom slowly or never.
    fn post(&mut self, node: u32, number: u64, message: Message) {
        if self.random.once_in(40) {
            return;
        }
        let most = if self.random.once_in(10) { 200 * MS } else { 3 * MS };
        let arrives = self.now + self.random.below(most);
        self.sent.push(Sent { node, number, arrives, message });
    }

    fn arrive(&mut self, Sent { node, number, message, .. }: Sent) {
        let now = self.now;
        match message {
            Message::Ordered(order) => {
                if order.back > 0 {
                    self.server.give_back(order.back, order.at, now);
                }
                let count = self.server.take(order.take, now);
                let window_end = (now / self.server.period() + 1) * self.server.period();
                let grant = Grant { count, at: now, window_end };
                let standing = self.server.standing(now);
                self.post(node, number, Message::Answered { grant, standing });
            }
            Message::Answered { grant, standing } => {
                let Some(place) = self.under_way.iter().position(|one| one.number == number) else { return };
                let Some(node) = self.nodes.iter_mut().find(|one| one.name == node) else { return };
                if node.stopped > now {
                    // It reads it when it goes on.
                    let (name, arrives) = (node.name, node.stopped);
                    return self.sent.push(Sent {
                        node: name,
                        number,
                        arrives,
                        message: Message::Answered { grant, standing },
                    });
                }
                let UnderWay { order, sent, .. } = self.under_way.remove(place);
                if order.back > 0 {
                    node.account.returned();
                } else {
                    node.granted(grant, &standing, sent, now);
                }
            }
        }
    }

    fn request(&mut self) {
        let place = usize::try_from(self.random.below(self.nodes.len() as u64)).unwrap();
        let cost = if self.random.once_in(8) { 1 + u32::try_from(self.random.below(4)).unwrap() } else { 1 };
        // Now and then another limit of the same request refuses.
        if self.random.once_in(6) {
            let now = self.now;
            let node = &mut self.nodes[place];
            if node.stopped <= now && node.spend(cost, now) == Some(true) {
                node.refund(cost, now);
            }
        } else {
            self.ask(place, cost);
        }
    }

    /// Asks one node.
    pub(super) fn ask(&mut self, place: usize, cost: u32) {
        let now = self.now;
        let node = &mut self.nodes[place];
        if node.stopped > now {
            return;
        }
        let here = node.spend(cost, now);
        let is_admitted = here.unwrap_or_else(|| self.server.take_all(cost, now));
        if is_admitted {
            self.ahead += if here.is_some() { cost } else { 0 };
            self.admitted.push((now, cost));
        }
    }

    fn trouble(&mut self) {
        let place = usize::try_from(self.random.below(self.nodes.len() as u64)).unwrap();
        match self.random.below(4) {
            0 if self.nodes.len() < 6 => self.join(),
            1 if self.nodes.len() > 1 => {
                let node = self.nodes.remove(place);
                self.lost += node.owed();
                self.under_way.retain(|one| one.node != node.name);
            }
            2 => {
                let stops = self.random.up_to([2_000 * MS, 12_000 * MS, 20_000 * MS]);
                self.nodes[place].stopped = self.now + stops;
                if stops > 2_000 * MS {
                    self.lost += self.nodes[place].owed();
                }
                let until = self.now + stops;
                while self.now < until {
                    self.pass(5 * MS);
                    self.request();
                }
                self.rush();
            }
            // All is well for a while, so that whoever waits has waited.
            _ => self.pass(4_000 * MS),
        }
    }
}

#[test]
fn no_span_of_time_sees_more_than_the_limit_and_the_overshoot() {
    let mut ahead = [0; 4];
    for seed in 0..600 {
        let mut world = World::new(seed);
        world.run(2_000);
        let (quota, overshoot) = (world.charge.quota, world.charge.overshoot);
        if let Err(why) = holds(&quota, &world.admitted, overshoot + world.lost) {
            panic!("seed {seed}: {why}, of {quota:?} and {overshoot} more; {} was lost", world.lost);
        }
        let place = Algorithm::ALL.iter().position(|algorithm| *algorithm == quota.algorithm).unwrap();
        ahead[place] += world.ahead;
    }
    // The schedules are worth something: a good part was decided ahead.
    assert!(ahead.iter().all(|ahead| *ahead > 10_000), "{ahead:?}");
}
