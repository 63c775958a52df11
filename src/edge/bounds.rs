//! What a listener holds its clients' bytes to, and in which words it says no before a request exists.
//!
//! Who answers, logs and counts is for whom the accept loop asks ([`super::Serves`]).

use std::time::Duration;

use super::guard::http1::Breach;
use super::guard::http2::Flood;
use super::guard::progress::MinRate;
use super::guard::unread::Windows;
use super::guard::{http1, http2};

/// The bounds of one generation (http.md §7). HTTP/1 takes them anew for each request, HTTP/2 for each connection.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Heads of HTTP/1.
    pub http1: http1::Policy,
    /// Frames of HTTP/2.
    pub http2: http2::Policy,
    /// What an HTTP/2 client may send before it is read.
    pub windows: Windows,
    /// Between two requests, and before the first.
    pub idle: Duration,
    /// How fast bodies must move; `None` lifts it.
    pub min_rate: Option<MinRate>,
}

/// Why the bytes of a connection go no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Cut {
    /// A head or a body that is wrong, or too large.
    #[error("{0}")]
    Breach(#[from] Breach),
    /// A head that is not whole in time.
    #[error("the head is not whole in time")]
    SlowHead,
    /// A head that is the oldest of too many unfinished ones.
    #[error("too many bytes of unfinished heads, of which this is the oldest")]
    OldestHead,
    /// A request's body below the minimum rate.
    #[error("the body comes too slowly")]
    SlowBody,
    /// An answer that is read below the minimum rate.
    #[error("the answer is read too slowly")]
    SlowReader,
    /// Frames of HTTP/2 that only cost.
    #[error("{0}")]
    Flood(Flood),
}
