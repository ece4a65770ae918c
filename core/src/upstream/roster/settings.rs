//! By what an endpoint may not be asked for a while.

use std::num::NonZeroU32;
use std::time::Duration;

/// By what endpoints may not be asked for a while. The default ejects nobody, heeds no check, and knows no slow start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RosterSettings {
    /// Who fails is left alone; none: nobody is.
    pub eject: Option<Eject>,
    /// Who is unhealthy by checks is left alone; none: checks change nothing.
    pub health: Option<Thresholds>,
    /// An endpoint that returns, or that is new beside others, gets its weight over so long, in ten steps; zero: at once.
    pub slow_start: Duration,
}

/// When an endpoint is ejected for what came of the requests to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Eject {
    /// So many failed attempts in a row, from 1 (5 by default).
    pub failures: NonZeroU32,
    /// It rests for so long (10 s by default) and up to a tenth more; twice that the next time, and so on to thirty times. Each time that it
    /// has stood for as long takes one back.
    pub rest: Duration,
    /// Never more than this share of all endpoints are out, the unhealthy ones counted, when one is ejected; and never all. 0.5 by
    /// default.
    pub max: f64,
}

impl Eject {
    /// So many times the first is the longest rest.
    pub const MOST_GROWN: u32 = 30;
}

impl Default for Eject {
    fn default() -> Self {
        Self { failures: NonZeroU32::MIN.saturating_add(4), rest: Duration::from_secs(10), max: 0.5 }
    }
}

/// How many checks change an endpoint's health.
#[derive(Clone, Debug, PartialEq)]
pub struct Thresholds {
    /// So many passed in a row make an unhealthy endpoint healthy.
    pub healthy: NonZeroU32,
    /// So many failed in a row make a healthy one unhealthy.
    pub unhealthy: NonZeroU32,
    /// While a smaller share of the endpoints than this is healthy, health is ignored, and always where none is. 0 by default.
    pub panic: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { healthy: NonZeroU32::MIN.saturating_add(1), unhealthy: NonZeroU32::MIN.saturating_add(2), panic: 0.0 }
    }
}
