//! A gateway with parts of the program's own.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use http::request::Parts;
use http::{Request, Response};
use portcullis_core::auth::{KeySource, TokenVerifier};
use portcullis_core::limit::RateLimitStore;
use portcullis_core::time::Clock;
use portcullis_core::upstream::{Snapshot, UpstreamPicker};
use tokio::sync::oneshot;
use tower_service::Service;

use super::brought::Brought;
use super::{Gateway, GatewayError, RequestBody};
use crate::config::Config;
use crate::forward::in_code;
use crate::observe::Record;

/// What a [`Gateway`] is made from, beside its configuration. Each part has its place there, which says "in-code": whoever reads
/// the configuration knows what it does not say.
#[derive(Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct GatewayBuilder {
    config: Config,
    clock: Clock,
    brought: Brought,
}

impl GatewayBuilder {
    pub(super) fn new(config: Config) -> Self {
        Self { config, clock: Clock::system(), brought: Brought::default() }
    }

    /// The service that answers for the upstream `name`, of which the configuration says `servers = "in-code"`.
    ///
    /// Each request gets a clone of it, so it is `Clone`; and `Sync`, since all threads share the one that is cloned (an axum router is; tower's
    /// `BoxCloneSyncService` makes one of anything).
    ///
    /// It gets what a server would get, and the extensions of the request that was handed in; among them is the verified
    /// [`Identity`](portcullis_core::auth::Identity), where there is one. The upstream's `timeout` and `breaker` hold; a failure
    /// or a panic of it is a 502.
    pub fn upstream<S, B>(mut self, name: impl Into<String>, service: S) -> Self
    where
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        S::Future: Send,
        B: http_body::Body + Send + 'static,
        B::Data: Buf,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.brought.services.insert(name.into(), in_code::Service::new(service));
        self
    }

    /// What makes the picker of the upstream `name`, of which the configuration says `balance = "in-code"`. Called anew
    /// whenever its servers change.
    pub fn picker(
        mut self,
        name: impl Into<String>,
        make: impl Fn(&Snapshot) -> Arc<dyn UpstreamPicker> + Send + Sync + 'static,
    ) -> Self {
        self.brought.pickers.insert(name.into(), Arc::new(make));
        self
    }

    /// The verifier `name`, of which the configuration says `kind = "in-code"`.
    pub fn verifier(mut self, name: impl Into<String>, verifier: Arc<dyn TokenVerifier>) -> Self {
        self.brought.verifiers.insert(name.into(), verifier);
        self
    }

    /// Where the verifier `name` has its keys from, of which the configuration says `jwks = "in-code"`.
    pub fn keys(mut self, name: impl Into<String>, source: Arc<dyn KeySource>) -> Self {
        self.brought.keys.insert(name.into(), source);
        self
    }

    /// Where limits live, when the configuration says `[store] url = "in-code"`.
    pub fn store(mut self, store: Arc<dyn RateLimitStore>) -> Self {
        self.brought.store = Some(store);
        self
    }

    /// Is told of every request when its answer has ended: what was decided, and how long it took. Called on the request's own
    /// thread, after the access log; a panic of it is noted and ends nothing. May be given several times.
    pub fn observer(mut self, observer: impl Fn(&Record, Duration) + Send + Sync + 'static) -> Self {
        self.brought.watchers.push(Arc::new(observer));
        self
    }

    /// Says where a request that is [handed in](Gateway::handle) came from: the address of whoever holds the other end of its
    /// connection. Believed like that of a socket, `trusted_proxies` included. Without it such requests have no address, and
    /// limits by "client" count them all as one.
    pub fn client(mut self, client: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        self.brought.client = Some(Arc::new(client));
        self
    }

    /// Another clock than the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The gateway. A store on other machines is waited for, a moment at most.
    ///
    /// # Errors
    /// [`GatewayError`]; a part without its place, or a place without its part, among them.
    pub async fn build(self) -> Result<Gateway, GatewayError> {
        let gateway = Gateway::with(self.config, self.clock, self.brought)?;
        let (settled, told) = oneshot::channel::<()>();
        gateway.0.when_store_settled(move || drop(settled));
        // Dropped soon in any case: that is the word.
        let _ = told.await;
        Ok(gateway)
    }
}
