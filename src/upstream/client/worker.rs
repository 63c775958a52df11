//! The shared connections of one worker thread: its requests, the connections' drivers and their sockets stay on one
//! runtime.

use std::sync::Arc;
use std::thread::ThreadId;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::dial::OpenError;
use super::flight::Flight;
use super::shared::{Shared, SharedStream};
use super::stream::Opening;

thread_local! {
    static WORKER: ThreadId = std::thread::current().id();
}

/// The worker that calls.
pub(super) fn this_worker() -> ThreadId {
    WORKER.with(|id| *id)
}

/// One worker's connections.
#[derive(Default)]
pub(super) struct Worker {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// A handful.
    connections: Vec<Arc<Shared>>,
    /// The dial that is under way for this worker; there is one at most.
    flight: Option<Flight>,
    /// A dial has failed: no other before this, while there are connections.
    grow_after: Option<Instant>,
}

impl State {
    fn has_future(&self) -> bool {
        self.connections.iter().any(|connection| connection.has_future())
    }

    fn may_dial(&self) -> bool {
        self.grow_after.is_none_or(|after| after <= Instant::now()) || !self.has_future()
    }
}

/// A stream, and how busy the connection was that it was opened on.
pub(super) struct Found {
    pub(super) stream: SharedStream,
    pub(super) beside: usize,
}

impl Worker {
    /// Opens a stream on the connection that has the fewest; `None` when there is no place.
    pub(super) fn open(&self, opening: &mut Opening<'_, '_>) -> Result<Option<Found>, OpenError> {
        let state = self.state.lock();
        let freest = state.connections.iter().filter_map(|connection| Some((connection.load()?, connection)));
        let Some((beside, connection)) = freest.min_by_key(|(load, _)| *load) else { return Ok(None) };
        let connection = Arc::clone(connection);
        drop(state);
        // Another thread may have been faster: then it is as if there had been no place.
        Ok(connection.open(opening)?.map(|stream| Found { stream, beside }))
    }

    /// The dial that is under way, or the one that `launch` makes. The latter runs with the worker locked. `None` too
    /// soon after a failed dial, if there are connections whose streams can be waited for instead.
    pub(super) fn flight(&self, launch: impl FnOnce() -> Option<Flight>) -> Option<Flight> {
        let mut state = self.state.lock();
        if state.flight.as_ref().is_none_or(Flight::is_lost) {
            state.flight = if state.may_dial() { launch() } else { None };
        }
        state.flight.clone()
    }

    /// Whether another connection would be welcome, with `wanted` as the number to have.
    pub(super) fn may_grow(&self, wanted: usize) -> bool {
        let state = self.state.lock();
        state.connections.len() < wanted && state.flight.is_none() && state.may_dial()
    }

    /// Whether a place can be hoped for without a dial.
    pub(super) fn has_future(&self) -> bool {
        self.state.lock().has_future()
    }

    /// The dial has ended.
    pub(super) fn landed(&self, connection: Option<Arc<Shared>>, grow_after: Option<Instant>) {
        let mut state = self.state.lock();
        state.flight = None;
        state.grow_after = grow_after;
        state.connections.extend(connection);
    }

    /// The connection is over.
    pub(super) fn forget(&self, connection: &Arc<Shared>) {
        self.state.lock().connections.retain(|known| !Arc::ptr_eq(known, connection));
    }

    pub(super) fn connections(&self) -> Vec<Arc<Shared>> {
        self.state.lock().connections.clone()
    }
}
