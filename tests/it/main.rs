//! The real binary over real sockets, beside peers that share no code with it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    let_underscore_drop,
    reason = "tests fail by panicking"
)]

mod both;
mod broken;
mod capabilities;
mod connecting;
mod crowding;
mod decoding;
mod growing;
mod guarding;
mod hedging;
mod keys_clusters;
mod keys_limits;
mod keys_listeners;
mod keys_pressure;
mod keys_process;
mod keys_resilience;
mod keys_routes;
mod keys_tenants;
mod keys_timeouts;
mod leaving;
mod migrating;
mod objects;
mod reaching;
mod recovering;
mod refusing;
mod reloading;
mod securing;
mod service;
mod sharing;
mod stopping;
mod unix;

/// The program under test.
const BINARY: &str = env!("CARGO_BIN_EXE_svc-gateway");
