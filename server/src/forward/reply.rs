//! A complete head, before it is decided whether the client gets it.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use portcullis_core::upstream::Lease;

use super::body::{Flow, RequestBody};
use super::bound::Place;
use super::connect::{Connection, UpstreamBody};
use super::h1::{Head, Outgoing, Relay};
use super::{AnswerBody, Answered, Exchange};
use crate::servers::Server;
use crate::upstream::Upstream;

/// A complete head, and what it came over.
pub(super) struct Reply {
    pub(super) head: Head,
    pub(super) connection: Box<Connection>,
    pub(super) lease: Lease,
    pub(super) place: Place,
    /// From the attempt's beginning to the complete head.
    pub(super) took: Duration,
}

impl Reply {
    pub(super) fn status(&self) -> StatusCode {
        self.head.response.status()
    }

    /// What is passed on to the client. `outgoing` is what this is the answer to.
    pub(super) fn into_answered(
        self,
        upstream: &Upstream,
        mut outgoing: Outgoing<RequestBody>,
        flow: Option<Arc<Flow>>,
    ) -> Answered {
        let Self { head: Head { response, framing, lasts }, connection, lease, place, took } = self;
        outgoing.is_answered();
        if outgoing.is_over() {
            let body = connection.end_request(&outgoing, framing, lasts);
            let exchange = Exchange::Server { lease, _place: place };
            return Answered { response: response.map(|()| AnswerBody::Server(body)), exchange, took };
        }
        let (relay, relayed) = Relay::new(connection, outgoing, (framing, lasts), flow, upstream.send_timeout);
        tokio::spawn(async move {
            // The request is at the server until both sides of it have ended.
            let _place = place;
            if let Some(connection) = relay.run().await
                && let Some(server) = Server::of(lease.endpoint())
            {
                server.idle.check_in(connection);
            }
        });
        let body = AnswerBody::Server(UpstreamBody::relayed(relayed));
        Answered { response: response.map(|()| body), exchange: Exchange::Relayed, took }
    }

    /// Lets go of an answer that no client will see. Its connection is used again if the rest of it is here already, as it is of
    /// most errors: a server in trouble need not shake hands for each of them too.
    pub(super) fn dismiss(self, outgoing: &Outgoing<RequestBody>) {
        let Self { head: Head { framing, lasts, .. }, connection, lease, .. } = self;
        if outgoing.is_sent()
            && let Some(server) = Server::of(lease.endpoint())
            && let Some(connection) = connection.end_request(outgoing, framing, lasts).finish_if_here()
        {
            server.idle.check_in(connection);
        }
    }
}
