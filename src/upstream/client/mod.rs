//! The gateway's OAP/1 client: the runtime's side of [`crate::oap::Client`]. One [`Pool`] holds all connections to one
//! backend; [`Pool::open`] gives a request its [`Stream`].
//!
//! ```text
//! request ── Pool::open ─┬─ shared connection ───── lock ── core ── output ◄── driver task ── socket
//!            (worker's)  │   many streams                                    (one a connection)
//!                        └─ exclusive connection ── core ── output ── socket
//!                            one stream, moved by whoever polls it
//! ```
//!
//! - **Shared** (oap1 §4, multiplexed): requesters encode into the connection's output and wake its driver, which lets
//!   one tick pass and writes everything in one call. Connections belong to the worker thread that dialled them.
//! - **Exclusive**: no task, channel or lock; idle ones wait on a stack.
//! - Everything that is taken (a place, a stream, a connection) is given back by `Drop`.
//!
//! It does not choose backends, repeat requests, bound a request's time or know how to dial: [`Dial`] is supplied, and
//! the caller decides with [`Stream::wrote_anything`] and [`OpenError`] what is safe to repeat.
//!
//! # Memory
//! A pool has at most `max` connections. Each has a read buffer of 64 KiB, and its core's tables. A stream of a shared
//! connection adds at most 64 KiB of unsent output and `window` bytes of unread answer, so a connection is bounded by
//! `max_inflight` × (64 KiB + `window`). An exclusive connection adds 64 KiB of unsent output and one read: nothing is
//! read while the last read has not been taken. Pieces of an answer are cut from the read buffer, which is replaced
//! only when three quarters of it are used, so what they keep alive beyond their own length is small on average.

mod check;
mod dial;
mod driver;
mod exclusive;
mod flight;
mod greet;
mod idle;
mod observe;
mod places;
mod policy;
mod pool;
mod shared;
mod stream;
mod wire;
mod worker;

pub use check::{CheckError, check};
pub use dial::{Dial, DialError, OpenError};
pub use observe::{Kind, Observer, Unobserved};
pub use policy::{Mode, PoolPolicy};
pub use pool::{Pool, PoolCounts, Wish};
pub use stream::Stream;

#[cfg(test)]
mod tests;
