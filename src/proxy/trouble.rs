//! What went wrong at a backend, in the words of http.md §1.

use std::time::Duration;

use crate::oap::StreamFailure;
use crate::rejection::{Reason, Rejection};
use crate::upstream::client::OpenError;

/// When a client may come again that the gateway had no descriptor for.
const AGAIN: Duration = Duration::from_secs(1);

/// Why an attempt at an OAP/1 backend failed.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// No stream could be opened: nothing was sent.
    #[error("{0}")]
    Open(#[from] OpenError),
    /// The stream ended without a whole answer.
    #[error("{0}")]
    Stream(#[from] StreamFailure),
}

impl Trouble {
    /// Whether the backend has said that it has not looked at the request.
    pub(super) fn is_not_processed(&self) -> bool {
        matches!(self, Self::Stream(StreamFailure::NotProcessed))
    }

    /// Whether the connection failed under the request.
    pub(super) fn is_loss(&self) -> bool {
        matches!(self, Self::Stream(failure) if !matches!(failure, StreamFailure::NotProcessed))
    }

    /// Whether the gateway itself lacks what a connection needs: the backend has not been asked.
    pub(super) fn is_local(&self) -> bool {
        matches!(self, Self::Open(e) if e.is_local())
    }

    /// Whether another backend may do better.
    pub(super) fn is_elsewhere_different(&self) -> bool {
        !self.is_local() && !matches!(self, Self::Open(OpenError::Unsendable(_)))
    }

    /// What the client is told.
    pub(super) fn rejection(&self) -> Rejection {
        if self.is_local() {
            return exhausted(self.to_string());
        }
        let reason = match self {
            Self::Open(OpenError::Timeout) => Reason::Timeout,
            // It said itself that it takes nothing now, which is not a failure of its own.
            Self::Open(OpenError::Draining | OpenError::Closed)
            | Self::Stream(StreamFailure::NotProcessed) => Reason::NoBackend,
            Self::Open(OpenError::Unsendable(_)) => Reason::Headers,
            Self::Open(OpenError::Connect(_) | OpenError::Protocol(_)) | Self::Stream(_) => Reason::Upstream,
        };
        Rejection::new(reason).because(self.to_string())
    }
}

/// The answer when the gateway has no descriptor or buffer for a connection to a backend: it is not well itself, as when
/// decoder memory is spent.
pub(super) fn exhausted(why: String) -> Rejection {
    Rejection::later(Reason::Degraded, AGAIN).because(why)
}
