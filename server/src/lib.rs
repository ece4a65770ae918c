//! The Portcullis gateway: one binary, one TOML file, or inside a service of your own.
//!
//! A configuration becomes a [`config::Config`]. A [`Gateway`] runs it inside a program, which hands it requests or a listener;
//! a [`Server`] runs it on ports and threads of its own. The policies themselves are in [`portcullis_core`].

pub mod cli;
pub mod config;
pub mod gateway;
pub mod observe;
pub mod server;

mod admin;
mod background;
mod body;
mod connection;
mod forward;
mod h1;
mod inbound;
mod listen;
mod listeners;
mod live;
mod outbound;
mod parts;
mod pass;
mod proxy;
mod reload;
mod respond;
mod stream;
mod target;
mod worker;

pub use gateway::{
    Gateway, GatewayBuilder, GatewayError, RequestBody, RequestBodyError, ResponseBody, ResponseBodyError,
};
pub use server::{Server, StartError};
