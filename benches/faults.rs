//! What failing servers cost, at the gateway itself over loopback: `cargo bench --bench faults`. Three questions:
//!
//! - `retry`: how much later is an answer that took a second server, because the first reset the connection?
//! - `storm`: how often are servers asked for each request, when all of them fail?
//! - `tail`: how long do requests take when one of five servers is slow, by how they are spread?
#![expect(clippy::print_stdout, reason = "a report")]

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use portcullis_core::time::Clock;
use portcullis_suite::{Client, Delays, Fault, Gateway, Origin};

fn main() {
    let only = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    for (name, report) in [("retry", retry as fn()), ("storm", storm), ("tail", tail)] {
        if only.as_deref().is_none_or(|only| only == name) {
            report();
        }
    }
}

/// The breaker stays out of the way unless it is what is looked at.
const NO_BREAKER: &str = "breaker = { failures = 60000 }";

fn gateway(origins: &[Origin], settings: &str) -> Gateway {
    let servers: Vec<_> = origins.iter().map(|origin| format!("\"{}\"", origin.url())).collect();
    let servers = servers.join(", ");
    Gateway::start(&format!(
        "[upstreams.app]\nservers = [{servers}]\n{settings}\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n"
    ))
}

/// A GET on a kept connection: its status, and how long it took.
fn ask(client: &mut Client) -> (u16, Duration) {
    let clock = Clock::system();
    let began = clock.now();
    let answer = client.request("GET", "/", &[]);
    (answer.map_or(0, |answer| answer.status()), clock.now().since(began))
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times.get(times.len() * percent / 100).copied().unwrap_or_default()
}

fn spread(mut times: Vec<Duration>) -> String {
    let [half, most] = [50, 99].map(|percent| percentile(&mut times, percent));
    format!("{:>6} requests: {:>9.1?} in the middle, {:>9.1?} at 99 %", times.len(), half, most)
}

fn retry() {
    for backoff in ["25ms", "1ms"] {
        let origins = ["a", "b"].map(Origin::start);
        let [sick, _] = &origins;
        sick.set(Fault::ResetAfterRequest);
        let gateway = gateway(
            &origins,
            &format!(
                "balance = \"random\"\nretries = {{ attempts = 1, budget = 1.0, backoff = \"{backoff}\" }}\n{NO_BREAKER}"
            ),
        );
        let mut client = Client::connect(gateway.address());
        // At random, not in turns: a retry takes a turn too, so that of two servers the sick one would come first each time.
        let (mut once, mut again) = (Vec::new(), Vec::new());
        for _ in 0..2000 {
            let before = sick.count();
            let (_, took) = ask(&mut client);
            let retried = sick.count() > before;
            if retried { again.push(took) } else { once.push(took) }
        }
        println!("retry, backoff {backoff:>4}: one attempt   {}", spread(once));
        println!("retry, backoff {backoff:>4}: two attempts  {}", spread(again));
    }
}

fn storm() {
    let ill = Fault::Status(503, &[]);
    for (what, fault, settings) in [
        ("resets, as the defaults are but for the breaker", Fault::ResetAfterRequest, NO_BREAKER),
        ("503, as the defaults are but for the breaker", ill.clone(), NO_BREAKER),
        ("503, attempts = 3", ill.clone(), "breaker = { failures = 60000 }\nretries = 3"),
        (
            "503, attempts = 3, budget = 1.0",
            ill.clone(),
            "breaker = { failures = 60000 }\nretries = { attempts = 3, budget = 1.0 }",
        ),
        ("503, retries = 0", ill.clone(), "breaker = { failures = 60000 }\nretries = 0"),
        ("503, as the defaults are", ill, ""),
    ] {
        let origins = ["a", "b", "c"].map(Origin::start);
        origins.iter().for_each(|origin| origin.set(fault.clone()));
        let gateway = gateway(&origins, settings);
        let asked = steady(&gateway, 200, Duration::from_secs(20));
        let sent: usize = origins.iter().map(Origin::count).sum();
        println!("storm, {what}: {sent} sent for {asked} asked, {:.3}", sent as f64 / asked as f64);
    }
}

/// Asks so often a second, however long answers take, up to eight at a time. Returns how often.
fn steady(gateway: &Gateway, per_second: u32, lasts: Duration) -> usize {
    let pause = Duration::from_secs(8) / per_second;
    let asked = Mutex::new(0);
    thread::scope(|scope| {
        for number in 0..8_u32 {
            let asked = &asked;
            scope.spawn(move || {
                let clock = Clock::system();
                let began = clock.now();
                let mut client = Client::connect(gateway.address());
                // Not all at once.
                let mut due = pause * number / 8;
                let mut count = 0;
                while due < lasts {
                    while let Some(early) = due.checked_sub(clock.now().since(began)).filter(|early| !early.is_zero()) {
                        thread::park_timeout(early);
                    }
                    if ask(&mut client).0 == 0 {
                        client = Client::connect(gateway.address());
                    }
                    count += 1;
                    due += pause;
                }
                if let Ok(mut asked) = asked.lock() {
                    *asked += count;
                }
            });
        }
    });
    asked.into_inner().unwrap_or_default()
}

fn tail() {
    for balance in ["round-robin", "random", "least-request"] {
        let origins = ["a", "b", "c", "d", "e"].map(Origin::start);
        for (number, origin) in origins.iter().enumerate() {
            let time = Duration::from_millis(if number == 0 { 100 } else { 2 });
            origin.set(Fault::SlowBy(Delays::always(time)));
        }
        let gateway = gateway(&origins, &format!("balance = \"{balance}\"\n{NO_BREAKER}"));
        let times = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let mut client = Client::connect(gateway.address());
                    let took: Vec<_> = (0..250).map(|_| ask(&mut client).1).collect();
                    if let Ok(mut times) = times.lock() {
                        times.extend(took);
                    }
                });
            }
        });
        let [slow, ..] = origins.each_ref().map(Origin::count);
        let times = times.into_inner().unwrap_or_default();
        let mean = times.iter().sum::<Duration>() / u32::try_from(times.len()).unwrap_or(u32::MAX).max(1);
        println!("tail, {balance:>13}: {}, {mean:.1?} on average, {slow} by the slow one", spread(times));
    }
}
