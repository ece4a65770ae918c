//! Step 8, finish: what is told of requests, and where it goes.
//!
//! # What is recorded
//!
//! - One [`Record`] a request: who asked (address, verified identity), for what (method, host, canonical path), what
//!   was decided (route, auth, limit, breaker), who answered (upstream, endpoint, attempts), what came of it (status,
//!   bytes, durations), why it ended ([`Ending`]) and, when it went wrong, whose side that was ([`Origin`]).
//! - Counts and gauges for the whole process ([`Metrics`]), labelled only by names from the configuration and by
//!   closed sets.
//! - Diagnostics ([`logs`]): what the gateway has to say about itself, through `tracing`.
//!
//! # Where it goes
//!
//! The record rides on the response body as an [`OpenRecord`]. When the body ends or is dropped, whichever way, the
//! [`Observer`] counts it and hands it to the [`AccessLog`]: one line, formatted straight into a buffer of the calling
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
//! ```
//! use std::sync::Arc;
//!
//! use http::{Method, StatusCode, Version};
//! use portcullis::observe::{AccessLog, Clip, Ending, Metrics, Observer, Readings};
//! use portcullis_core::time::Clock;
//!
//! let clock = Clock::system();
//! let metrics = Arc::new(Metrics::new(&clock));
//! let observer = Arc::new(Observer::new(clock, Arc::new(AccessLog::off()), Arc::clone(&metrics)));
//!
//! let mut record = observer.open(Method::GET, Version::HTTP_11);
//! record.path = Some(Clip::new("/orders/7"));
//! record.route = Some(metrics.route("orders"));
//! record.status = Some(StatusCode::OK);
//! record.ending = Ending::Complete;
//! drop(record);
//!
//! let text = metrics.encode(Readings::default());
//! assert!(text.contains("portcullis_requests_total{route=\"orders\",status=\"2xx\"} 1\n"));
//! ```

pub mod access;
pub mod logs;
pub mod metrics;

mod clip;
mod escape;
mod finish;
mod format;
mod record;

pub use access::AccessLog;
pub use clip::Clip;
pub use finish::{Observer, OpenRecord};
pub use format::{Colour, Format, LogFormat};
pub use metrics::{KeysReading, LimitSeries, Metrics, Readings, RouteSeries, UpstreamSeries};
pub use record::{AuthOutcome, BreakerState, Ending, LimitOutcome, LimitRecord, Origin, Record};
