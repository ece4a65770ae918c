//! What the three layers have in common as tower sees them: a gate before an inner service.

/// Makes `$layer` a layer and `$service` a service: what its gate lets through goes on, and the inner service alone says when it is
/// ready.
macro_rules! gated {
    ($layer:ident, $service:ident) => {
        impl<S> tower_layer::Layer<S> for $layer {
            type Service = $service<S>;

            fn layer(&self, inner: S) -> $service<S> {
                $service { gate: Arc::clone(&self.gate), inner }
            }
        }

        impl<S, B, R> tower_service::Service<http::Request<B>> for $service<S>
        where
            S: tower_service::Service<http::Request<B>, Response = http::Response<R>> + Clone,
        {
            type Response = http::Response<super::Body<R>>;
            type Error = S::Error;
            type Future = super::ResponseFuture<S, B>;

            fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), S::Error>> {
                self.inner.poll_ready(cx)
            }

            fn call(&mut self, request: http::Request<B>) -> Self::Future {
                let (parts, body) = request.into_parts();
                super::ResponseFuture::new(&mut self.inner, self.gate.check(parts), body)
            }
        }
    };
}

pub(super) use gated;
