//! svc-gateway: HTTP in, OAP/1 out, for many tenants, none of whom can hurt another.
//!
//! # The path of a request
//!
//! 1. [`edge`] accepts the connection, handshakes by [`tls`], and tells its protocol; Pingora parses the head.
//! 2. [`proxy`] admits it: [`route`] finds where it goes, [`rejection`] words every no. [`tenant`] says who is
//!    asking, [`caps`] how much they may bring.
//! 3. [`upstream`] picks a backend of the route's cluster and finds or makes a connection to it.
//! 4. [`oap`] and [`bhttp`] say it in OAP/1; [`object`] verifies what is content-addressed.
//! 5. [`proxy`] passes the answer on, piece by piece as the client takes it, and records what happened in
//!    [`metrics`] and [`access_log`].
//!
//! [`snapshot`] is the policy that all of this follows, compiled from [`config`] and swapped whole; [`state`] is what
//! outlives it. [`server`] puts the parts together. [`backend`] is the other side: an object service over OAP/1.

// Tests fail by panicking, and bend time by making some of their own.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::disallowed_methods,
        clippy::cast_possible_truncation,
        clippy::type_complexity,
        let_underscore_drop
    )
)]

pub mod access_log;
pub mod admin;
pub mod admission;
pub mod backend;
pub mod bhttp;
pub mod caps;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod control;
pub mod descriptors;
pub mod edge;
pub mod embedded;
pub mod logger;
pub mod metrics;
pub mod oap;
pub mod object;
pub mod pressure;
pub mod proxy;
pub mod quota;
pub mod rejection;
pub mod reload;
pub mod route;
pub mod server;
pub mod serving;
pub mod snapshot;
pub mod state;
pub mod tenant;
pub mod tls;
pub mod upstream;
