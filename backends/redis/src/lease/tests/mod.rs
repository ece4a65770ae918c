//! The bound, over random schedules.

mod node;
mod script;
mod server;
mod shares;
mod world;
