//! Floods of requests on several gateways while their Redis dies, hangs and comes back: how many pass is asserted, and how long the
//! longest one waited is printed (`cargo test -p portcullis-suite floods -- --nocapture`).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use portcullis_core::time::Clock;
use portcullis_redis::testing::Server;
use portcullis_suite::{Client, Gateway, eventually};

const NODES: usize = 4;
const CLIENTS: usize = 16;

/// What a flood came to.
#[derive(Debug, Default)]
struct Count {
    admitted: usize,
    refused: usize,
    longest: Duration,
}

/// Gateways that count one limit of so many a day, and who floods them.
struct Flood {
    gateways: Vec<Gateway>,
    asked: AtomicUsize,
    over: AtomicBool,
}

impl Flood {
    fn on(redis: &Server, limit: usize) -> Self {
        let text = format!(
            "[store]\nurl = \"{}\"\n[[routes]]\npath = \"/**\"\nlimits = [{{ rate = \"{limit}/day\", \
             key = \"header:x-who\", algorithm = \"fixed-window\" }}]\nrespond = {{ body = \"ok\" }}\n",
            redis.url()
        );
        let flood = Self {
            gateways: (0..NODES).map(|_| Gateway::start(&text)).collect(),
            asked: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        };
        eventually("they know of each other", || flood.all("portcullis_store_nodes", NODES));
        flood
    }

    fn all(&self, line: &str, value: usize) -> bool {
        self.gateways.iter().all(|gateway| gateway.metric(line) == Some(value as f64))
    }

    /// Waits until every gateway says so, while the flood goes on.
    fn until(&self, state: &str) {
        let line = format!("portcullis_store_state{{state=\"{state}\"}}");
        eventually(state, || self.all(&line, 1));
    }

    /// Waits for so many further requests.
    fn more(&self, requests: usize) {
        let before = self.asked.load(Ordering::Relaxed);
        eventually("more is asked", || self.asked.load(Ordering::Relaxed) >= before + requests);
    }

    /// Floods the gateways while something happens.
    fn during(&self, happens: impl FnOnce()) -> Count {
        let clock = Clock::system();
        let client = |number: usize| {
            let mut client = Client::connect(self.gateways[number % NODES].address());
            let mut count = Count::default();
            while !self.over.load(Ordering::Relaxed) {
                let start = clock.now();
                let answer = client.request("GET", "/", &["x-who: ada"]).expect("an answer");
                count.longest = count.longest.max(clock.now().since(start));
                match answer.status() {
                    200 => count.admitted += 1,
                    429 => count.refused += 1,
                    other => panic!("{other}"),
                }
                self.asked.fetch_add(1, Ordering::Relaxed);
            }
            count
        };
        thread::scope(|scope| {
            let clients: Vec<_> = (0..NODES * CLIENTS).map(|number| scope.spawn(move || client(number))).collect();
            happens();
            self.over.store(true, Ordering::Relaxed);
            clients.into_iter().map(|client| client.join().unwrap()).fold(Count::default(), |all, one| Count {
                admitted: all.admitted + one.admitted,
                refused: all.refused + one.refused,
                longest: all.longest.max(one.longest),
            })
        })
    }
}

/// R08: Redis hangs and goes on. What was counted is there, and each gateway had its share meanwhile.
#[test]
fn redis_hangs_in_a_flood() {
    let (limit, redis) = (400, Server::start());
    let flood = Flood::on(&redis, limit);
    let calm = "the longest wait with a Redis that";
    let count = flood.during(|| {
        flood.more(100);
        redis.hang();
        flood.until("lost");
        flood.more(4_000);
        redis.go_on();
        flood.until("shared");
        flood.more(4_000);
    });
    println!("{calm} hangs, of {} requests: {:?}", count.admitted + count.refused, count.longest);
    // Whom the hanging Redis counts when it goes on, nobody has let through by its word; a gateway's share covers that.
    assert!(count.admitted <= 2 * limit, "{count:?}");
    assert!(count.admitted + NODES * CLIENTS >= limit, "{count:?}");
}

/// R08: Redis is killed and comes back with nothing: at most one further limit.
#[test]
fn redis_is_killed_in_a_flood() {
    let (limit, mut redis) = (400, Server::start());
    let flood = Flood::on(&redis, limit);
    let count = flood.during(|| {
        flood.more(1_000);
        redis.kill();
        flood.until("lost");
        flood.more(4_000);
        redis.start_again();
        flood.until("recovering");
        flood.more(4_000);
    });
    println!(
        "the longest wait with a Redis that dies, of {} requests: {:?}",
        count.admitted + count.refused,
        count.longest
    );
    assert!((limit..=2 * limit).contains(&count.admitted), "{count:?}");
}
