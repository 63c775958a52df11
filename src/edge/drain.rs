//! Stopping without losing a request: one switch that every connection sees, and a count of those still open.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};

/// The switch and the count.
pub struct Drain {
    begun: watch::Sender<bool>,
    open: AtomicUsize,
    closed: Notify,
}

/// One open connection; closed when dropped.
pub struct Open(Arc<Drain>);

impl Drain {
    /// A drain that has not begun, with nothing open.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { begun: watch::Sender::new(false), open: AtomicUsize::new(0), closed: Notify::new() })
    }

    /// Turns true when the drain begins.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.begun.subscribe()
    }

    /// Whether the drain has begun.
    pub fn has_begun(&self) -> bool {
        *self.begun.borrow()
    }

    /// Counts a connection until the guard is dropped.
    pub fn open(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::AcqRel);
        Open(Arc::clone(self))
    }

    /// Connections that are open now.
    pub fn count(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Begins: nothing new is accepted, idle connections close, requests under way go on.
    pub fn begin(&self) {
        let _ = self.begun.send_replace(true);
    }

    /// Waits until nothing is open, or for `limit`. Says how many connections are left.
    pub async fn finished(&self, limit: Duration) -> usize {
        let emptied = async {
            loop {
                let closed = self.closed.notified();
                tokio::pin!(closed);
                // Registered before the count is read, so that no close is missed in between.
                closed.as_mut().enable();
                if self.count() == 0 {
                    return;
                }
                closed.await;
            }
        };
        drop(tokio::time::timeout(limit, emptied).await);
        self.count()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.closed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_with_the_last_connection_and_not_later() {
        let drain = Drain::new();
        let (one, two) = (drain.open(), drain.open());
        drain.begin();
        let waiting = tokio::spawn({
            let drain = Arc::clone(&drain);
            async move { drain.finished(Duration::from_secs(30)).await }
        });
        let began = tokio::time::Instant::now();
        drop(one);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(two);
        assert_eq!(waiting.await.unwrap(), 0);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_is_bounded_by_its_limit() {
        let drain = Drain::new();
        let open = drain.open();
        drain.begin();
        assert_eq!(drain.finished(Duration::from_secs(30)).await, 1);
        drop(open);
    }
}
