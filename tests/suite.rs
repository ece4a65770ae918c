//! One binary, so that it links once. Each module is about one promise; the ids in comments (F01, W02 …) are those of the
//! hardening list in docs/hardening.md.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    missing_docs,
    reason = "tests"
)]

// What arrives.
mod framing; // requests that are malformed or ambiguous never reach an upstream
mod paths; // one canonical path and host, however they are spelled
mod proxies; // whose word about a client is believed
mod routing; // precedence, 404, 405, rewriting
mod templates; // hostile values in rewrite, redirect and headers change no target

// What is decided.
mod cluster; // gateways that share their limits in Redis, and what becomes of them without it
mod floods; // the same while it dies, hangs and comes back under load
mod identity; // tokens, forged identity headers
mod issuers; // public keys from files and issuers, rotation, outages
mod keys; // API keys, several verifiers, where tokens stand
mod limit_algorithms; // what each algorithm admits, shadow, several limits
mod limit_keys; // whose budget a request spends
mod limits; // 429, exact counts, headers

// What is forwarded.
mod bodies; // streaming, bounds, slow clients, 100-continue
mod bounds; // how many requests an upstream has at a time, and how many wait
mod caching; // what is stored answers: when, how, and when not
mod chaos; // two of three servers fail at random under load
mod collapsing; // many requests for what is not stored make one
mod expressions; // what a route requires beyond a token
mod fallbacks; // what answers in place of an upstream that failed
mod faults; // what fails in which way, at which picker, with which method: what clients and servers see
mod forwarding; // fields added and removed on the way, both ways
mod isolation; // nobody gets a byte of what is another's, with cache, collapsing and faults on
mod names; // servers that are names: found, moved, and kept when nobody answers
mod origins; // the origins that fail as the tests of faults tell them
mod purging; // what an operator takes out of the cache
mod retries; // what is sent again, and what never is
mod roster; // servers that fail or are unhealthy are left alone, and come back
mod rules; // a route's own rules for fields, both ways
mod splits; // several upstreams on one route
mod streams; // events reach the client at once, and end with it
mod upgrades; // tunnels: after an upstream's 101, and not before
mod upstreams; // balance, broken upstreams, deadlines, the breaker

// What is embedded.
mod layers; // core's tower layers under axum and plain hyper: the gateway's own answers
mod surface; // what every public type of core can do

// What is run.
mod allocations; // the warm path allocates nothing
mod architecture; // which crate may depend on which
mod commands; // the binary: check, explain, token, demo, run
mod embedding; // the gateway inside a program, and parts that the program brings
mod lifecycle; // reload, drain, ports
mod observing;
mod reload; // everything that can change does, under load
mod sockets; // unix sockets: listeners, upstreams, the admin door
mod watching; // the binary: files that change, many reloads, sockets left behind // the access log and the metrics
