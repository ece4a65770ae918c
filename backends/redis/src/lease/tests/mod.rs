//! The bound, over random schedules.

mod node;
mod server;
mod world;
