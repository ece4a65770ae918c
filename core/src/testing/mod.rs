//! What an implementation of our traits runs to prove itself.

pub mod limit;
