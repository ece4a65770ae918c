//! The store of limits that several nodes share.

use std::fmt;

use super::super::page::Page;
use super::super::readings::StoreState;
use super::Scrape;

impl Scrape {
    /// Where limits are shared.
    pub(super) fn store(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        let Some(store) = &self.readings.store else { return Ok(()) };
        page.gauges(
            ("portcullis_store_state", "How the shared store of limits is doing: 1 at the state that it is in", None),
            StoreState::CODES.iter().map(|code| ([("state", *code)], u64::from(*code == store.state.code()))),
        )?;
        page.gauge("portcullis_store_nodes", "Nodes that count in the shared store, as last known", None, store.nodes)?;
        page.counters(
            ("portcullis_store_decisions", "Requests by who decided their limits", None),
            [
                ("store", store.decisions),
                ("lease", store.leased),
                ("share", store.shares),
                ("on_failure", store.undecided),
            ]
            .into_iter()
            .map(|(by, count)| ([("by", by)], count)),
        )?;
        page.counters(
            (
                "portcullis_store_leases",
                "What was taken ahead of the shared store, given back, owed, and decided there after all",
                None,
            ),
            store.leases.iter().map(|(what, count)| ([("what", *what)], *count)),
        )?;
        page.counter(
            "portcullis_store_timeouts",
            "Requests that waited for the shared store as long as they may",
            store.timeouts,
        )?;
        page.counter("portcullis_store_reconnects", "Connections to the shared store after the first", store.reconnects)
    }
}
