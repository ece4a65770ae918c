//! Nobody is the poorer: what one node does not use another has.

use std::num::NonZeroU32;
use std::time::Duration;

use portcullis_core::limit::{Algorithm, Quota};

use super::world::{MS, World};

fn quota(algorithm: Algorithm, count: u32) -> Quota {
    let count = NonZeroU32::new(count).unwrap();
    Quota { count, period: Duration::from_secs(10), burst: count, algorithm }
}

/// Three nodes have come to hold what they may; then only one of them is used, for more than it may have.
#[test]
fn one_busy_node_has_the_whole_limit_but_for_what_the_others_hold() {
    for algorithm in Algorithm::ALL {
        let mut world = World::of(quota(algorithm, 400), 60, 3);
        world.pass(4_000 * MS);
        for turn in 0..600 {
            world.ask(turn % 3, 1);
            world.pass(4 * MS);
        }
        // What the others hold goes back.
        world.pass(31_000 * MS);
        let before = world.admitted();
        let begun = world.now();
        for _ in 0..5_000 {
            world.ask(0, 1);
            world.pass(4 * MS);
        }
        let periods = f64::from(u32::try_from((world.now() - begun) / MS).unwrap()) / 10_000.0;
        let had = world.admitted() - before;
        // At 250 a second it asks for 2,500 in each period, of which 400 are the limit.
        let least = (periods - 1.0) * 400.0;
        assert!(f64::from(had) >= least, "{algorithm:?}: {had} of {least} in {periods} periods");
    }
}
