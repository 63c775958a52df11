//! What the pool tells whoever counts. It counts nothing but frames itself.

use crate::oap::{Counters, ProtocolError};

/// How a connection is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// By many streams at once.
    Shared,
    /// By one stream at a time.
    Exclusive,
}

/// Is told what happens to a pool's connections. Called from the requests' and the drivers' tasks, now and then
/// with a connection's lock held: it must return at once, and not call the pool.
pub trait Observer: Send + Sync + 'static {
    /// A connection has said HELLO.
    fn on_connection_opened(&self, _kind: Kind) {}

    /// A connection that was opened is gone.
    fn on_connection_closed(&self, _kind: Kind) {}

    /// A peer broke a rule of oap1 §2: `reason()` is the metric's label, `ends()` what it cost.
    fn on_protocol_error(&self, _error: &ProtocolError) {}

    /// Frames that were sent and received since the last call.
    fn on_frames(&self, _frames: &Counters) {}
}

/// Listens to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {}
