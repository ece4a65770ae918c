//! What a request costs behind each app's layers. `cargo bench` here; names as in `apps::NAMES`, one can be picked.

use std::hint::black_box;
use std::time::Duration;

use axum::Router;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::HeaderValue;
use layers::answer;
use layers::apps::{NAMES, Quota, app};
use layers::requests::{SECRET, bearer, claims, request};
use portcullis_core::time::Clock;

const ADA: HeaderValue = HeaderValue::from_static("ada");

/// More tokens than ours remembers: one after the other, none of them is still known when its turn comes again.
const FRESH: usize = 20_000;

/// Requests with these tokens, one after the other.
fn bench(c: &mut Criterion, name: &str, mut app: Router, tokens: &[HeaderValue]) {
    let mut tokens = tokens.iter().cycle();
    c.bench_function(name, |b| {
        let next = || request(&ADA, tokens.next());
        b.iter_batched(next, |request| answer(&mut app, black_box(request)), BatchSize::SmallInput);
    });
}

fn one_thread(c: &mut Criterion) {
    let good = [bearer(&claims("ada", 0), SECRET)];
    let forged = [bearer(&claims("ada", 0), b"somebody-else's-secret-0123456789abcdef")];
    let fresh: Vec<_> = (0..FRESH).map(|jti| bearer(&claims("ada", jti), SECRET)).collect();
    for name in NAMES {
        bench(c, &format!("{name}/warm"), app(name, Quota::Ample), &good);
        if name.starts_with("limit") || name.starts_with("both") {
            bench(c, &format!("{name}/limited"), app(name, Quota::Once), &good);
        }
        if name.starts_with("authenticate") {
            bench(c, &format!("{name}/forged"), app(name, Quota::Ample), &forged);
            bench(c, &format!("{name}/none"), app(name, Quota::Ample), &[]);
        }
        if name.starts_with("authenticate") || name.starts_with("both") {
            bench(c, &format!("{name}/fresh"), app(name, Quota::Ample), &fresh);
        }
    }
}

/// Two threads at once, each with users of its own: the time until both have answered so many requests.
fn two_threads(c: &mut Criterion) {
    let users = |thread: usize| -> Vec<_> {
        let user = |number| HeaderValue::try_from(format!("user-{thread}-{number}")).expect("it is ASCII");
        let with_token = |user: HeaderValue| (bearer(&claims(user.to_str().expect("it is ASCII"), 0), SECRET), user);
        (0..100).map(user).map(with_token).collect()
    };
    let (users, clock) = ([users(0), users(1)], Clock::system());
    for name in NAMES {
        let app = app(name, Quota::Ample);
        c.bench_function(&format!("{name}/two threads"), |b| {
            b.iter_custom(|times| at_once(&app, &users, times, &clock))
        });
    }
}

fn at_once(app: &Router, users: &[Vec<(HeaderValue, HeaderValue)>], times: u64, clock: &Clock) -> Duration {
    let began = clock.now();
    std::thread::scope(|scope| {
        for users in users {
            let mut app = app.clone();
            scope.spawn(move || {
                let mut users = users.iter().cycle();
                for _ in 0..times {
                    let Some((bearer, user)) = users.next() else { return };
                    black_box(answer(&mut app, request(user, Some(bearer))));
                }
            });
        }
    });
    clock.now().since(began)
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    targets = one_thread, two_threads
}
criterion_main!(benches);
