//! Exclusive connections that wait for their next stream: a stack, the latest on top, so that the rest can age out.
//!
//! Three calls, `push`, `pop` and `clear`, are all that the others use of it. It never holds more than the pool may
//! have connections. A connection that was unused for too long is closed when it is found, and by a task that looks
//! in while there are any.

use std::sync::{Arc, Weak};
use std::thread::ThreadId;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::exclusive::Connection;
use super::places::{Holding, Places};

/// The stack.
pub(super) struct Idle<Io> {
    stack: Mutex<Stack<Io>>,
    keep: Duration,
    places: Arc<Places>,
}

struct Stack<Io> {
    /// Oldest first.
    entries: Vec<Entry<Io>>,
    /// A task looks after the old ones.
    swept: bool,
}

struct Entry<Io> {
    connection: Box<Connection<Io>>,
    since: Instant,
}

impl<Io> Idle<Io>
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    /// Connections are kept for `keep`.
    pub(super) fn new(keep: Duration, places: Arc<Places>) -> Arc<Self> {
        Arc::new(Self { stack: Mutex::new(Stack { entries: Vec::new(), swept: false }), keep, places })
    }

    /// Takes a connection that is done with its stream.
    pub(super) fn push(self: &Arc<Self>, mut connection: Box<Connection<Io>>) {
        connection.hold(Holding::Idle);
        let mut stack = self.stack.lock();
        // Looked at under the lock that `clear` takes after the closing: none slips in behind it.
        if self.places.is_closed() {
            drop(stack);
            return;
        }
        stack.entries.push(Entry { connection, since: Instant::now() });
        let sweep = !std::mem::replace(&mut stack.swept, true);
        drop(stack);
        if sweep {
            self.sweep();
        }
        self.places.freed();
    }

    /// The latest connection that is alive; one of this worker's if there is any, since the worker's own runtime
    /// watches its socket.
    pub(super) fn pop(&self, worker: ThreadId) -> Option<Box<Connection<Io>>> {
        loop {
            let mut stack = self.stack.lock();
            let own = stack.entries.iter().rposition(|entry| entry.connection.worker() == worker);
            let at = own.or(stack.entries.len().checked_sub(1))?;
            let mut entry = stack.entries.remove(at);
            drop(stack);
            if entry.since + self.keep > Instant::now() && entry.connection.is_alive() {
                entry.connection.hold(Holding::Used);
                return Some(entry.connection);
            }
        }
    }

    /// Closes the oldest, to make room for a connection of another kind. Whether there was one.
    pub(super) fn evict(&self) -> bool {
        let mut stack = self.stack.lock();
        let oldest = (!stack.entries.is_empty()).then(|| stack.entries.remove(0));
        drop(stack);
        oldest.is_some()
    }

    /// Closes all.
    pub(super) fn clear(&self) {
        let all = std::mem::take(&mut self.stack.lock().entries);
        drop(all);
    }

    fn sweep(self: &Arc<Self>) {
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(sweep(Sweeper(Arc::downgrade(self))))),
            Err(_) => self.stack.lock().swept = false,
        }
    }

    /// Closes what is too old. When to look again; `None` when nothing is left.
    fn close_old(&self, now: Instant) -> Option<Instant> {
        let mut stack = self.stack.lock();
        let young = stack.entries.partition_point(|entry| entry.since + self.keep <= now);
        let old: Vec<_> = stack.entries.drain(..young).collect();
        let next = stack.entries.first().map(|entry| entry.since + self.keep);
        stack.swept = next.is_some();
        drop(stack);
        drop(old);
        next
    }
}

/// The task's hold on the stack. Dropped before the work is done, as with the task's runtime, it has the next push
/// start another.
struct Sweeper<Io>(Weak<Idle<Io>>);

impl<Io> Drop for Sweeper<Io> {
    fn drop(&mut self) {
        if let Some(idle) = self.0.upgrade() {
            idle.stack.lock().swept = false;
        }
    }
}

async fn sweep<Io>(mut sweeper: Sweeper<Io>)
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    while let Some(next) = sweeper.0.upgrade().and_then(|idle| idle.close_old(Instant::now())) {
        tokio::time::sleep_until(next).await;
    }
    // Nothing is left, and `close_old` has said so: the next push may have its own task already.
    sweeper.0 = Weak::new();
}
