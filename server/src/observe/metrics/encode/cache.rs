//! The cache: what it did by route, and how full it is.

use std::fmt;

use prometheus_client::registry::Unit;

use super::super::page::Page;
use super::Scrape;
use crate::observe::record::CacheOutcome;

impl Scrape {
    /// Routes that keep answers, and the cache of all of them.
    pub(super) fn cache(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        let Some(cache) = &self.readings.cache else { return Ok(()) };
        let routes = || {
            let keeping = self.routes.iter().filter(|(_, counts)| counts.cache.iter().next().is_some());
            keeping.map(|(name, counts)| (("route", &**name), counts))
        };
        page.counters(
            ("portcullis_cache_requests", "Requests on routes that keep answers, by what the cache did", None),
            routes().flat_map(|(route, counts)| {
                let count = |outcome: CacheOutcome| {
                    counts.cache.iter().find(|(code, _)| *code == outcome.code()).map_or(0, |(_, count)| count)
                };
                CacheOutcome::ALL.into_iter().map(move |outcome| ([route, ("outcome", outcome.code())], count(outcome)))
            }),
        )?;
        page.counters(
            ("portcullis_cache_sent", "Bytes of bodies that were sent from what is stored", Some(&Unit::Bytes)),
            routes().map(|(route, counts)| ([route], counts.cache_bytes)),
        )?;
        page.counters(
            ("portcullis_cache_evictions", "Answers that were let go because there was no room for them", None),
            routes().map(|(route, counts)| ([route], counts.cache_evictions)),
        )?;
        page.gauge(
            "portcullis_cache_used",
            "Bytes of answers that are stored, on their way or still read",
            Some(&Unit::Bytes),
            cache.bytes,
        )?;
        page.gauge("portcullis_cache_size", "What the cache is to hold", Some(&Unit::Bytes), cache.size)?;
        page.gauge("portcullis_cache_waiting", "Requests that wait for an answer on its way", None, cache.waiting)?;
        page.gauge("portcullis_cache_keys", "Keys with answers", None, cache.keys)
    }
}
