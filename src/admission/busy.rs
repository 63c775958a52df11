//! Admission's no.

use std::time::Duration;

/// No place in flight (429 `busy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    /// Why not.
    pub why: Why,
    /// How long what waits ahead will take, as far as that can be told.
    pub retry_after: Duration,
    /// How long it has waited for this.
    pub waited: Duration,
}

/// Why a request gets no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its tenant's queue is full, or all queues are and its tenant queues most for its weight.
    QueueFull,
    /// It would wait longer than it may.
    WouldWait,
    /// It has waited as long as it may.
    WaitedTooLong,
    /// All queues were full, and its tenant queued most for its weight when another came.
    Outbid,
}
