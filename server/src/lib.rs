//! The Portcullis gateway: one binary, one TOML file, or inside a program of your own.
//!
//! A configuration becomes a [`config::Config`], from a file, a text or code. A [`Gateway`] runs it inside a program, which hands it
//! requests or a listener; a [`Server`] runs it on ports and threads of its own. The policies themselves are in
//! [`portcullis_core`], whose page `guide` says what they are.
//!
//! # Inside a program
//!
//! ```no_run
//! # async fn run(listener: tokio::net::TcpListener, shutdown: impl Future<Output = ()>) -> Result<(), Box<dyn std::error::Error>> {
//! let plan = portcullis::config::load("portcullis.toml")?; // every problem at once, with file and line
//! let gateway = portcullis::Gateway::new(plan).await?;
//! gateway.serve(listener, shutdown).await?;
//! # Ok(())
//! # }
//! ```
//!
//! What holds for it, whatever runs it:
//!
//! - It opens no port, reads no file but the configuration's, and installs nothing: no logger, no allocator, no provider of
//!   cryptography, no signal handler. What it has to say goes to `tracing`.
//! - Any tokio runtime will do, of one thread or many; it spawns the connections of [`Gateway::serve`], the rest of a request whose
//!   answer came first, and, where keys are fetched, servers are names or checked, or the access log is on, one thread for the former and one for the log.
//! - A gateway that is dropped ends with its last clone. Nothing is global: a process may have several.
//!
//! # With parts of your own
//!
//! The configuration says `"in-code"` where the program brings a part; [`GatewayBuilder`] has a method for each. A monolith puts the
//! gateway in front of its own router so (any tower service over `http` requests; with axum the router itself):
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::{BodyExt as _, Empty, Full};
//! use portcullis::{Gateway, RequestBody, config};
//! # use std::future::{Ready, ready};
//! # use std::task::{Context, Poll};
//! # #[derive(Clone)]
//! # struct Shop;
//! # impl tower_service::Service<Request<RequestBody>> for Shop {
//! #     type Response = Response<Full<Bytes>>;
//! #     type Error = Infallible;
//! #     type Future = Ready<Result<Self::Response, Infallible>>;
//! #     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
//! #         Poll::Ready(Ok(()))
//! #     }
//! #     fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
//! #         ready(Ok(Response::new(Full::from(format!("the shop's {}", request.uri().path())))))
//! #     }
//! # }
//! # let shop = Shop;
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//!
//! let plan = config::from_text("plan", r#"
//!     [log]
//!     access = "off"
//!     [upstreams]
//!     shop = "in-code"
//!     [[routes]]
//!     path = "/shop/**"
//!     upstream = "shop"
//!     limits = ["100/min"]
//! "#)?;
//! let gateway = Gateway::builder(plan).upstream("shop", shop).build().await?;
//!
//! let request = Request::get("/shop/tea").header("host", "shop.test").body(Empty::<Bytes>::new())?;
//! let response = gateway.handle(request).await;
//! assert_eq!(response.headers()["x-ratelimit-remaining"], "99");
//! assert_eq!(response.into_body().collect().await?.to_bytes(), "the shop's /shop/tea");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! | feature | default | what it brings |
//! |---|---|---|
//! | `dns` | yes | names of servers are looked up beside requests, by their TTL; without it the system is asked for each new connection |
//! | `jwks` | yes | keys of issuers over HTTPS (`portcullis-jwks`); without it such a configuration is refused |
//! | `mimalloc` | yes | the binary's allocator; never the library's, so a program that embeds it turns it off |

pub mod cli;
pub mod config;
pub mod gateway;
pub mod observe;
pub mod server;
mod servers;

mod admin;
mod as_bytes;
mod background;
mod body;
mod cache;
mod connection;
mod forward;
mod h1;
mod health;
mod inbound;
mod listen;
mod listeners;
mod live;
mod names;
mod outbound;
mod parts;
mod pass;
mod proxy;
mod reload;
mod respond;
mod stream;
mod target;
mod tunnel;
mod upstream;
mod worker;

pub use gateway::{
    Gateway, GatewayBuilder, GatewayError, RequestBody, RequestBodyError, ResponseBody, ResponseBodyError,
};
pub use server::{Server, StartError};
