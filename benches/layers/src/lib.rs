//! One app, behind our layers and behind those of others that do the same work.

pub mod apps;
pub mod requests;

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use tower_service::Service;

/// What `app` answers, in memory. Nothing here has to wait for anything.
///
/// # Panics
/// When it does wait.
pub fn answer(app: &mut Router, request: Request<Body>) -> Response<Body> {
    match pin!(app.call(request)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => response,
        Poll::Pending => panic!("an app in memory has nothing to wait for"),
    }
}

#[cfg(test)]
mod tests;
