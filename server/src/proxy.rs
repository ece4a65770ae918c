//! The pipeline: one request, read top to bottom. Its eight steps are route, authenticate, limit, look up, pick, forward,
//! store, finish. (Look up and store are in [`crate::cache`]; finish rides on the body, see [`crate::body`].)

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use http::request::Parts;
use http::{HeaderMap, Response, Version};
use portcullis_core::Rejection;
use portcullis_core::admit::{self, Admitted, Head};
use portcullis_core::headers::SetField;
use portcullis_core::plan::{Fallback, UpstreamIndex};
use portcullis_core::rejection::is_grpc;

use crate::body::Body;
use crate::cache::{Hit, LookedUp, Miss, Missed, Shared, serve};
use crate::connection::Connection;
use crate::forward::body::RequestBody;
use crate::forward::{Answered, Meters, Outbound, Prepared, forward};
use crate::inbound;
use crate::listen::h1::body::ClientBody;
use crate::observe::Clip;
use crate::outbound::{self, Change};
use crate::pass::{Pass, unknown_method};
use crate::respond;
use crate::target::{self, Next, Own};
use crate::upstream::Upstream;

/// What a request that is let through is answered with.
#[derive(Debug)]
pub(crate) enum Passed<'p> {
    /// Nothing but that we are here.
    Here,
    /// Something that the gateway says itself.
    Own(Own<'p>),
    /// An upstream's answer that others get too.
    Shared(Shared),
    /// What is stored.
    Stored(Hit),
    /// An upstream's answer.
    Upstream(Answered),
}

/// Answers one request. Never fails and never panics: a fault of ours is a 500 for this request alone. Behind the answer's
/// own fields belong those that are put into `said`.
pub(crate) async fn handle(
    connection: &Connection,
    parts: Box<Parts>,
    body: ClientBody,
    said: &mut impl SetField,
) -> Response<Body> {
    connection.watch.request_began();
    let current = connection.current();
    // Before anything is removed: whom the peer speaks for, if it is believed.
    let arrival = current.running.plan.trusted.arrival(connection.peer, connection.proto, &parts.headers);
    let mut pass = Pass::new(connection, &current, arrival, (parts.method.clone(), parts.version));
    // gRPC is HTTP/2 (or later); nobody else pays for the look.
    pass.is_grpc = parts.version > Version::HTTP_11 && is_grpc(&parts.headers);
    pass.body = Some(body);
    // Pinned where it is made: it is large, and never moved.
    let outcome = catch(pin!(pass.run(parts))).await;
    if let Some(body) = pass.body.take() {
        pass.is_last = !inbound::discard(body, pass.screened.expects_continue).await;
    }
    match outcome {
        Ok(Ok(Passed::Here)) => respond::here(pass, said),
        Ok(Ok(Passed::Own(answer))) => respond::own(pass, answer, said),
        Ok(Ok(Passed::Shared(shared))) => serve::shared(pass, shared, said),
        Ok(Ok(Passed::Stored(hit))) => serve::stored(pass, hit, said),
        Ok(Ok(Passed::Upstream(answered))) => respond::upstream(pass, answered, said),
        Ok(Err(_)) if pass.client_is_gone() => respond::to_nobody(),
        Ok(Err(rejection)) => respond::rejected(pass, &rejection, said),
        Err(Panicked) => respond::panicked(pass, said),
    }
}

/// Answers what was no request.
pub(crate) fn refuse(connection: &Connection, rejection: &Rejection, said: &mut impl SetField) -> Response<Body> {
    connection.watch.request_began();
    let current = connection.current();
    let arrival = current.running.plan.trusted.arrival(connection.peer, connection.proto, &HeaderMap::new());
    let pass = Pass::new(connection, &current, arrival, (unknown_method(), Version::HTTP_11));
    respond::rejected(pass, rejection, said)
}

impl<'p> Pass<'p> {
    /// The steps that can refuse.
    async fn run(&mut self, mut parts: Box<Parts>) -> Result<Passed<'p>, Rejection> {
        let plan = &self.running.plan;
        // What is refused before it has a route is known by the path it came with.
        self.tail.record.path = Some(Clip::new(parts.uri.path()));
        let marks = (&self.connection.via, self.connection.proto);
        let fresh = self.chance.request_id;
        let screened = inbound::screen(&mut parts, &plan.identity_headers, marks, fresh, &mut self.request_id);
        self.tail.record.request_id = self.request_id.as_ref().map(Clip::new);
        self.screened = screened?;
        if let Some(body) = self.body.as_mut().filter(|_| self.screened.expects_continue) {
            body.expects_continue();
        }
        if self.screened.is_for_us {
            return Ok(Passed::Here);
        }

        let routed = admit::route(
            plan,
            Head {
                client: self.arrival.client,
                headers: &parts.headers,
                method: &parts.method,
                uri: &parts.uri,
                version: parts.version,
            },
        )?;
        self.note_route(&routed);

        let admitted = routed.admit(self.connection.gateway.services()).await;
        let admitted = self.note_admission(&routed, admitted)?;

        let facts = routed.facts(admitted.identity.as_deref());
        let (upstream, rewrite) = match target::resolve(self, &facts, &admitted)? {
            Next::Own(own) => return Ok(Passed::Own(own)),
            Next::Upstream(upstream, rewrite) => (upstream, rewrite),
        };

        let miss = match self.look_up(&facts, &admitted, upstream, &parts.uri)? {
            LookedUp::Hit(hit) => return Ok(Passed::Stored(hit)),
            LookedUp::Miss(miss) => Some(miss),
            LookedUp::Past => None,
        };

        let balance = plan.upstreams.get(upstream.0).map(|upstream| &upstream.balance);
        self.key = balance.and_then(|balance| balance.key(&facts));
        let change = Change::new(&facts, &parts.uri, rewrite, &admitted, plan)?;
        drop(routed);
        let Some(miss) = miss else {
            let outcome = self.forward(&admitted, upstream, parts, change).await;
            return self.conclude(upstream, outcome, None);
        };
        // Boxed: others need not carry the room for it.
        match Box::pin(self.miss(miss, &admitted, upstream, parts, change)).await? {
            Missed::Alone(miss, parts, change) => {
                let outcome = self.forward(&admitted, upstream, parts, change).await;
                self.conclude(upstream, outcome, Some(&miss))
            }
            Missed::Asked(miss, outcome) => self.conclude(upstream, outcome, Some(&miss)),
            Missed::Passed(passed) => Ok(passed),
        }
    }

    /// Steps 5 and 6.
    async fn forward(
        &mut self,
        admitted: &Admitted<'p>,
        upstream: UpstreamIndex,
        parts: Box<Parts>,
        change: Change,
    ) -> Result<Answered, Rejection> {
        let outbound = self.prepare(admitted, upstream, parts, change)?;
        let (upstream, another) = self.upstreams(upstream)?;
        let gateway = &self.connection.gateway;
        let meters = Meters { clock: gateway.clock(), metrics: gateway.metrics() };
        self.tail.record.upstream = Some(Arc::clone(&upstream.series));
        forward((upstream, another), outbound, meters, &mut self.tail.trail).await
    }

    /// The request as its upstream gets it.
    pub(crate) fn prepare(
        &mut self,
        admitted: &Admitted<'_>,
        upstream: UpstreamIndex,
        parts: Box<Parts>,
        change: Change,
    ) -> Result<Outbound, Rejection> {
        let (upstream, _) = self.upstreams(upstream)?;
        // A body that does not fit stays in its place: it is discarded before the answer.
        inbound::fits(self.body.as_ref().ok_or(Rejection::Internal)?, admitted.route.max_body_size)?;
        let body = self.body.take().ok_or(Rejection::Internal)?;
        let (body, flow) =
            RequestBody::new(body, admitted.route.max_body_size, self.running.settings.server.body_timeout);
        self.tail.flow.clone_from(&flow);
        let request = match &upstream.service {
            // What its fields and its target are slices of is not kept while a server is asked.
            None => {
                Prepared::Server(outbound::request(parts, (body, upstream.retries.replay), change, admitted, self)?)
            }
            Some(_) => Prepared::Service(Box::new(outbound::whole(parts, body, change, admitted, self)?)),
        };
        Ok(Outbound::new(admitted, request, flow, (self.key, self.chance.endpoint)))
    }

    /// An upstream, and the one that answers in its place.
    pub(crate) fn upstreams(&self, upstream: UpstreamIndex) -> Result<(&'p Upstream, Option<&'p Upstream>), Rejection> {
        let asked = self.running.upstreams.get(upstream.0).ok_or(Rejection::Internal)?;
        Ok((asked, self.running.fallback(upstream)))
    }

    /// What a request comes to that its upstream was asked: what came back, or what stands in for it.
    fn conclude(
        &mut self,
        index: UpstreamIndex,
        outcome: Result<Answered, Rejection>,
        miss: Option<&Miss>,
    ) -> Result<Passed<'p>, Rejection> {
        let (upstream, another) = self.upstreams(index)?;
        if let Some(another) = another.filter(|_| self.tail.trail.fell_back) {
            self.tail.record.upstream = Some(Arc::clone(&another.series));
        }
        if let Some(hit) = miss.and_then(|miss| self.after_miss(miss, &outcome)) {
            outcome.into_iter().for_each(Answered::dismiss);
            return Ok(Passed::Stored(hit));
        }
        let plan = &self.running.plan;
        if let Some(Fallback::Respond(answer)) = plan.upstreams.get(index.0).and_then(|spec| spec.fallback.as_ref())
            && upstream.has_failed(outcome.as_ref().map(|answered| answered.response.status()))
        {
            self.connection.gateway.metrics().fell_back(&upstream.series);
            outcome.into_iter().for_each(Answered::dismiss);
            return Ok(Passed::Own(Own::Respond(answer)));
        }
        let answered = outcome?;
        self.note_change(&answered);
        self.tail.record.until_head = Some(answered.took);
        Ok(Passed::Upstream(answered))
    }
}

/// A request's future panicked.
pub(crate) struct Panicked;

/// Runs a future; a panic in it ends it and nothing else. What it held is dropped: permits and leases give their places
/// back, and locks that were held are for counters that are whole at every moment.
pub(crate) async fn catch<F: Future>(mut future: Pin<&mut F>) -> Result<F::Output, Panicked> {
    poll_fn(move |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(_) => Poll::Ready(Err(Panicked)),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::Lines;

    /// The size of what a function returns, without calling it.
    fn size_of_output<'a, F>(_: impl FnOnce(&'a Connection, Box<Parts>, ClientBody, &'a mut Lines) -> F) -> usize {
        size_of::<F>()
    }

    /// Every request's future is moved into its connection's state and lives there: it grows only with a reason.
    #[test]
    fn the_future_of_a_request_stays_small() {
        let size = size_of_output(handle);
        assert!(size <= 8 * 1024, "{size} bytes");
    }

    #[test]
    fn a_panic_ends_one_future() {
        let panicking = pin!(async { panic!("on purpose") });
        let mut caught = pin!(catch(panicking));
        let polled = caught.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Err::<(), _>(Panicked))));
    }
}
