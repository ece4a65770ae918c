//! Purges, here and at the other nodes that share a store.

use std::sync::Arc;

use super::State;
use crate::cache::purge::Purge;

impl State {
    /// Purges, and tells the other nodes by `query`, which is the purge as text. How many answers there were here; none where no route
    /// keeps any.
    pub(crate) fn purge(&self, purge: &Purge, query: &str) -> Option<u64> {
        let found = self.purge_here(purge)?;
        self.store.tell(format!("{} {query}", self.node));
        Some(found)
    }

    fn purge_here(&self, purge: &Purge) -> Option<u64> {
        let running = self.running();
        running.cache.as_ref().map(|cache| cache.store.purge(purge))
    }

    /// Purges what others tell of, for as long as there is this gateway.
    pub(super) fn hear_of_purges(self: &Arc<Self>) {
        let state = Arc::downgrade(self);
        self.store.listen(move |text| {
            let (Some(state), Some((node, query))) = (state.upgrade(), text.split_once(' ')) else { return };
            if node != state.node
                && let Some(purge) = Purge::parse(query)
            {
                state.purge_here(&purge);
            }
        });
    }
}
