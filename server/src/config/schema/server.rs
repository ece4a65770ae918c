//! `[server]`: bounds and deadlines towards clients.

use std::time::Duration;

use crate::config::section::Section;
use crate::config::span::{At, Given, Text};
use crate::config::value::Value;

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) body_timeout: Given<At<Duration>>,
    pub(crate) header_timeout: Given<At<Duration>>,
    pub(crate) idle_timeout: Given<At<Duration>>,
    pub(crate) max_body_size: Given<At<Option<u64>>>,
    pub(crate) max_connections: Given<At<u32>>,
    pub(crate) max_header_size: Given<At<u64>>,
    pub(crate) max_headers: Given<At<u32>>,
    pub(crate) rate_limit_headers: Given<At<Vec<Text>>>,
    pub(crate) resolver: Given<At<Vec<Text>>>,
    pub(crate) resolver_loopback: Given<At<bool>>,
    pub(crate) shutdown_grace: Given<At<Duration>>,
    pub(crate) stream_idle_timeout: Given<At<Duration>>,
    pub(crate) trusted_header: Given<At<&'static str>>,
    pub(crate) trusted_proxies: Given<At<Vec<Text>>>,
    pub(crate) workers: Given<At<u32>>,
}

impl Server {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        Self {
            body_timeout: section.duration("body_timeout"),
            header_timeout: section.duration("header_timeout"),
            idle_timeout: section.duration("idle_timeout"),
            max_body_size: section.value("max_body_size").and_then(Value::size_or_off),
            max_connections: section.integer("max_connections", 1..=10_000_000),
            max_header_size: section.value("max_header_size").and_then(Value::size),
            max_headers: section.integer("max_headers", 1..=1000),
            rate_limit_headers: section.value("rate_limit_headers").and_then(Value::texts),
            resolver: section.texts("resolver"),
            resolver_loopback: section.value("resolver_loopback").and_then(Value::boolean),
            // No grace at all is a choice.
            shutdown_grace: section.value("shutdown_grace").and_then(Value::duration),
            stream_idle_timeout: section.duration("stream_idle_timeout"),
            trusted_header: section.word("trusted_header", &["x-forwarded-for", "forwarded"], &[]),
            trusted_proxies: section.texts("trusted_proxies"),
            workers: section.integer("workers", 0..=1024),
        }
    }
}
