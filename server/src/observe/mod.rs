//! Step 8, finish: what is told of requests, and where it goes.
//!
//! # What is recorded
//!
//! - One [`Record`] a request: who asked (address, verified identity), for what (method, host, canonical path), what
//!   was decided (route, auth, limit, breaker), who answered (upstream, endpoint, attempts), what came of it (status,
//!   bytes, durations), why it ended ([`Ending`]) and, when it went wrong, whose side that was ([`Origin`]).
//! - Counts and gauges for the whole process (`Metrics`), labelled only by names from the configuration and by
//!   closed sets.
//! - Diagnostics (`logs`): what the gateway has to say about itself, through `tracing`.
//!
//! # Where it goes
//!
//! The record rides on the response body as an `OpenRecord`. When the body ends or is dropped, whichever way, the
//! `Observer` counts it and hands it to the `AccessLog`: one line, formatted straight into a buffer of the calling
//! thread and written by a thread of the log's own to stdout or a file. A request never waits for a sink: when a buffer
//! is full the line is dropped and the drop is counted. Metrics are counted in the calling thread's shard and added
//! up when they are read. Diagnostics go to stderr.
//!
//! # What can never be in it
//!
//! - No token, no `Authorization` or cookie value: a record has no field that could hold one.
//! - No query, neither names nor values: the path ends where the query begins.
//! - No second line: each byte that a client chose is escaped ([`Clip`] keeps at most [`Clip::MAX`] of them).
//! - No label that a client chose: an unknown path, method or host makes no new series.
//!
//! A program that embeds the gateway is told each record, with [`GatewayBuilder::observer`](crate::GatewayBuilder::observer); the
//! metrics are a page of [`Gateway::admin`](crate::Gateway::admin).
//!
//! ```
//! # use portcullis::{Gateway, config};
//! # fn with(config: config::Config) -> portcullis::GatewayBuilder {
//! Gateway::builder(config).observer(|record, took| {
//!     let route = record.route.as_ref().map_or("-", |route| route.name());
//!     let who = record.identity.as_ref().map_or("-", |identity| identity.id());
//!     eprintln!("{route} for {who}: {} after {took:?}, {:?}", record.status(), record.ending);
//! })
//! # }
//! ```

pub(crate) mod access;
pub(crate) mod logs;
pub(crate) mod metrics;

mod clip;
mod escape;
mod finish;
mod format;
mod record;

pub(crate) use access::AccessLog;
pub use clip::Clip;
pub(crate) use finish::{Observer, OpenRecord};
pub(crate) use format::{Format, LogFormat};
pub(crate) use metrics::{KeysReading, LimitSeries, Metrics, StoreReading, StoreState};
pub use metrics::{RouteSeries, UpstreamSeries};
pub use record::{AuthOutcome, BreakerState, CacheOutcome, Ending, LimitOutcome, LimitRecord, Origin, Record};
