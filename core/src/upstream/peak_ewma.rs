//! By latency and load.

use super::{Ask, EndpointIndex, Member, Snapshot, UpstreamPicker};

/// Draws two different endpoints at random, in proportion to their weights, and takes the one that costs less: its latency, times what it
/// has in flight and one more, for its weight.
///
/// The latency is what the [leases](super::Lease::observe) on an endpoint say, averaged so that a peak counts at once and is forgotten over
/// some ten seconds ("peak EWMA", as Finagle and Linkerd balance). [`LeastRequest`](super::LeastRequest) sees that an endpoint is slow
/// only by what piles up there, this one by its last answer; it is the better one where endpoints differ (another zone, older
/// machines), and where requests are much alike. Somebody who answers errors fast looks good to it: let such a one be ejected.
///
/// An endpoint that was never heard of goes before others while nothing is in flight there, and after them until its first answer: a new
/// one is tried, by one request. Costs two draws, four loads and one exponential.
#[derive(Clone, Copy, Debug, Default)]
pub struct PeakEwma;

impl UpstreamPicker for PeakEwma {
    #[expect(clippy::cast_possible_truncation, reason = "each draw takes its own half of the random bits")]
    fn pick(&self, pool: &Snapshot, ask: &Ask<'_>) -> Option<EndpointIndex> {
        let first = pool.random((ask.random >> 32) as u32, None, ask)?;
        let Some(second) = pool.random(ask.random as u32, Some(first), ask) else {
            return Some(first);
        };
        Some(if is_cheaper(pool.get(second)?, pool.get(first)?) { second } else { first })
    }
}

/// Whether `a` costs less than `b`.
fn is_cheaper(a: &Member, b: &Member) -> bool {
    let load = |member: &Member| (f64::from(member.endpoint.in_flight()), f64::from(member.weight.get()));
    let ((busy_a, weight_a), (busy_b, weight_b)) = (load(a), load(b));
    match (a.endpoint.sample(), b.endpoint.sample()) {
        (Some(at_a), Some(at_b)) => {
            let (a, b) = at_a.beside(at_b);
            f64::from(a) * (busy_a + 1.0) * weight_b < f64::from(b) * (busy_b + 1.0) * weight_a
        }
        (None, None) => busy_a * weight_b < busy_b * weight_a,
        (None, Some(_)) => busy_a < 1.0,
        (Some(_), None) => busy_b >= 1.0,
    }
}

#[cfg(test)]
mod tests;
