//! How a connection comes to be: what the shell supplies, and why no stream could be had.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::oap::{CannotOpen, ProtocolError};

/// How a connection to one backend is made: TCP, TLS or Unix. The shell implements it.
///
/// What it returns should send at once (no Nagle): the client forms its own batches, and flushes after each.
#[async_trait]
pub trait Dial: Send + Sync + 'static {
    /// A connection, ready for OAP/1's first byte.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Dials once. The pool bounds the time; dropping the future must abandon the dial.
    async fn dial(&self) -> Result<Self::Io, DialError>;
}

/// Why a dial failed. Cheap to clone: all who waited for the dial are told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct DialError {
    reason: Arc<str>,
    local: bool,
}

impl DialError {
    /// An error that reads as `reason`.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: Arc::from(reason.into()), local: false }
    }

    /// The same, when this process lacks what a connection needs, a descriptor say: it tells nothing of the backend.
    pub fn local(reason: impl Into<String>) -> Self {
        Self { local: true, ..Self::new(reason) }
    }
}

/// Why no stream could be opened. Nothing of the request was written: it is safe to repeat elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The backend could not be reached.
    #[error("connect: {0}")]
    Connect(DialError),
    /// The dial took longer than `connect`.
    #[error("connect: no answer in time")]
    Timeout,
    /// What answered does not speak OAP/1: a HELLO missing, late or wrong.
    #[error("hello: {0}")]
    Protocol(ProtocolError),
    /// The backend wants no streams: a new connection was drained before its first.
    #[error("the backend is draining")]
    Draining,
    /// The core refuses this request (too large a capability, say); no other backend would do better.
    #[error("cannot be sent: {0}")]
    Unsendable(CannotOpen),
    /// The pool was closed.
    #[error("the pool is closed")]
    Closed,
}

impl OpenError {
    /// Whether this process lacks what a connection needs: the backend has not been asked.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Connect(DialError { local: true, .. }))
    }
}
