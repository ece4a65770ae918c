//! Where clients arrive: sockets, accept loops, connections.

pub(crate) mod accept;
pub(crate) mod bind;
pub(crate) mod h1;
pub(crate) mod serve;
pub(crate) mod unix;
pub(crate) mod watch;

#[cfg(test)]
mod tests;
