//! How many nodes an overshoot is shared by, and whether this one may have a part of it now.
//!
//! It may when it has said for a while that it is here, without a pause, and every node has said that it keeps to the part that this
//! count leaves it. Who joins therefore begins when all others have made room; who was stopped finds out by the time, before anything
//! else, that the others may have taken it for gone.

use std::num::NonZeroU32;
use std::time::Duration;

use portcullis_core::time::Moment;

/// How old the last sign of life may be. The others forget a node 3 s after its last one at the earliest, and believe that seconds
/// later.
pub(crate) const LATE: Duration = Duration::from_secs(2);

/// How long a node says that it is here before it has a part. Longer than [`LATE`]: where the list of nodes was lost, every node that
/// has a part is on the new one by then, or has found itself late.
pub(crate) const QUIET: Duration = Duration::from_millis(2_500);

/// As many nodes as can be told apart: what a node settles for that keeps to any part, because it has none.
pub(crate) const MOST_NODES: u32 = (1 << 20) - 1;

/// What this node knows of the others.
#[derive(Debug, Default)]
pub(crate) struct Members {
    /// Since when it says that it is here without a pause.
    since: Option<Moment>,
    /// When it last did.
    last: Moment,
    /// It had a part, and was never late since.
    has_part: bool,
}

/// What a sign of life was answered with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beat {
    /// When it was sent.
    pub(crate) sent: Moment,
    /// How many nodes there are, as this one believes.
    pub(crate) nodes: NonZeroU32,
    /// The smallest count of nodes that any of them keeps to.
    pub(crate) settled: u32,
}

impl Members {
    /// Learns what a sign of life was answered with. Until when this node may have its part of the overshoot; none: not now.
    pub(crate) fn hear(&mut self, beat: Beat) -> Option<Moment> {
        let is_late = beat.sent.since(self.last) > LATE;
        let since = *self.since.insert(self.since.filter(|_| !is_late).unwrap_or(beat.sent));
        self.last = beat.sent;
        // Who has a part goes on with a smaller one when another node joins: that one waits.
        let begins = beat.sent.since(since) >= QUIET && beat.settled >= beat.nodes.get();
        self.has_part = begins || (self.has_part && !is_late);
        self.has_part.then(|| beat.sent + LATE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Node(Members);

    impl Node {
        fn hears(&mut self, at_ms: u64, nodes: u32, settled: u32) -> Option<u64> {
            let sent = Moment::from_nanos(at_ms * 1_000_000);
            let until = self.0.hear(Beat { sent, nodes: NonZeroU32::new(nodes).unwrap(), settled })?;
            Some(until.as_nanos() / 1_000_000)
        }
    }

    #[test]
    fn who_joins_waits_until_all_have_made_room() {
        let mut node = Node(Members::default());
        for at in (10_000..12_500).step_by(500) {
            assert_eq!(node.hears(at, 3, 3), None, "{at}");
        }
        assert_eq!(node.hears(12_500, 3, 2), None, "one owes more than its part of three");
        assert_eq!(node.hears(13_000, 3, 3), Some(15_000));
        assert_eq!(node.hears(13_500, 4, 3), Some(15_500), "another one joins, and waits");
    }

    #[test]
    fn who_was_stopped_begins_anew() {
        let mut node = Node(Members::default());
        for at in (10_000..=12_500).step_by(500) {
            node.hears(at, 1, 1);
        }
        assert_eq!(node.hears(14_500, 1, 1), Some(16_500), "just in time");
        for at in (16_501..19_000).step_by(500) {
            assert_eq!(node.hears(at, 1, 1), None, "{at}");
        }
        assert_eq!(node.hears(19_001, 1, 1), Some(21_001));
    }
}
