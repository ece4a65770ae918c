//! The script does to orders what the model of the other tests does.

use std::num::NonZeroU32;
use std::time::Duration;

use portcullis_core::limit::{Algorithm, Charge, Quota};
use portcullis_core::time::{Clock, UnixTime};

use super::server;
use super::world::Random;
use crate::lease::banker::ask;
use crate::lease::order::Order;
use crate::testing::Server;
use crate::{Builder, RedisStore};

fn charge(random: &mut Random, client: u32) -> Charge {
    let algorithm = Algorithm::ALL[usize::try_from(random.below(4)).unwrap()];
    let number = |number: u64| NonZeroU32::new(u32::try_from(number).unwrap()).unwrap();
    let (count, burst) = (number(1 + random.below(300)), number(1 + random.below(300)));
    let nanos = random.pick([100_000_001, 1_000_000_000, 86_399_999_999_993]);
    let quota = Quota { count, period: Duration::from_nanos(nanos), burst, algorithm };
    Charge { quota, overshoot: 100, ..crate::tests::charge("orders", client, algorithm, 1) }
}

#[tokio::test]
async fn the_script_fills_orders_as_the_model_does() {
    let redis = Server::start();
    let (clock, hand) = Clock::manual(UnixTime::from_secs(1_800_000_000));
    let builder = RedisStore::builder(&redis.url()).unwrap().manual(clock.clone()).timeout(Builder::LONGEST_TIMEOUT);
    let store = builder.connect().await.unwrap();
    let shared = &store.0.shared;
    let link = shared.link.load_full().unwrap();
    let mut random = Random(3);
    let (mut partly, mut returned) = (0, 0);
    for client in 0..150 {
        let charge = charge(&mut random, client);
        let mut model = server::Server::new(charge.quota);
        // What was taken last, and when.
        let (mut last, mut at) = (0, 0);
        for _ in 0..40 {
            let now = clock.now().as_nanos();
            let limit = u64::from(charge.quota.limit());
            let is_bucket = charge.quota.algorithm == Algorithm::TokenBucket;
            let order = if last > 0 && random.below(3) == 0 {
                let back = u32::try_from(1 + random.below(last.into())).unwrap();
                last -= back;
                returned += 1;
                model.give_back(back, at, now);
                Order { charge, take: 0, back, at: if is_bucket { 0 } else { at } }
            } else {
                Order { charge, take: u32::try_from(random.below(limit / 2 + 3)).unwrap(), back: 0, at: 0 }
            };
            let (grant, record) = ask(shared, &link, &[order]).await.unwrap().unwrap()[0];
            assert_eq!(grant.count, model.take(order.take, now), "{order:?} at {now}");
            let (standing, said) = (model.standing(now), record.told.standing(&charge.quota, 1, record.holds));
            assert_eq!(
                (said.wait.is_none(), said.remaining),
                (standing.wait.is_none(), standing.remaining),
                "{order:?}"
            );
            if order.take > 0 {
                (last, at) = (grant.count, grant.at);
                partly += u32::from(grant.count < order.take);
            }
            let period = model.period();
            let long = period / 3 + random.below(period);
            hand.advance(Duration::from_nanos(random.pick([0, model.interval() * 3 / 2, long])));
        }
    }
    assert!(partly > 500 && returned > 500, "{partly} {returned}");
}
