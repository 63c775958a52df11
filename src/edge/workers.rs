//! The worker threads of a service, and which of them an accepted connection goes to.
//!
//! Each worker is a runtime with a reactor of its own. A socket belongs to the reactor of the thread that registers it,
//! so a connection is registered by the worker that serves it: otherwise each of its events wakes another thread.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::MissedTickBehavior;

/// How often each worker's timer fires at least.
///
/// A timer that is due before every other interrupts the reactor, a system call; with one that is always due soon the
/// time limits of requests, all of them longer, never do.
const PULSE: Duration = Duration::from_millis(100);
/// Spawns before giving up on meeting every thread; each meets one at random.
const TRIES_A_THREAD: usize = 64;

/// Who is told how late a worker is.
pub(super) type Late = Arc<dyn Fn(Duration) + Send + Sync>;

/// The workers of the runtime that this runs on.
pub(super) struct Workers(Vec<Worker>);

struct Worker {
    runtime: Handle,
    /// Connections that it serves.
    open: Arc<AtomicUsize>,
}

impl Workers {
    /// Finds the `threads` workers of the current runtime, which hands out one at random.
    ///
    /// `late` is told by how much a worker came too late to its pulse.
    pub(super) async fn find(threads: usize, late: &Late) -> Self {
        let mut found = HashMap::new();
        for _ in 0..threads.saturating_mul(TRIES_A_THREAD) {
            let here = async { (std::thread::current().id(), Handle::current()) };
            if let Ok((thread, runtime)) = pingora_runtime::current_handle().spawn(here).await {
                found.insert(thread, runtime);
            }
            if found.len() >= threads {
                break;
            }
        }
        let worker = |runtime: Handle| {
            drop(runtime.spawn(pulse(Arc::clone(late))));
            Worker { runtime, open: Arc::default() }
        };
        Self(found.into_values().map(worker).collect())
    }

    /// Runs a connection on the worker that has the fewest, for as long as it keeps the place that it is given.
    // A future that awaits another one that it was given has room for it twice.
    pub(super) fn spawn<F: Future<Output = ()> + Send + 'static>(
        &self,
        connection: impl FnOnce(Serving) -> F,
    ) {
        let Some(worker) = self.0.iter().min_by_key(|worker| worker.open.load(Ordering::Relaxed)) else {
            return;
        };
        drop(worker.runtime.spawn(connection(Serving::new(&worker.open))));
    }
}

async fn pulse(late: Late) {
    let mut beat = tokio::time::interval(PULSE);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let due = beat.tick().await;
        late(due.elapsed());
    }
}

/// Counts a connection until it is dropped, also by a panic.
pub(super) struct Serving(Arc<AtomicUsize>);

impl Serving {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::thread::ThreadId;

    use pingora_runtime::Runtime;
    use tokio::sync::mpsc;

    use super::*;

    #[test]
    fn connections_are_spread_evenly_and_each_stays_on_its_worker() {
        let runtime = Runtime::new_no_steal(3, "workers");
        let (told, mut seen) = mpsc::unbounded_channel::<ThreadId>();
        let count = async move {
            let workers = Workers::find(3, &(Arc::new(|_| {}) as Late)).await;
            for _ in 0..30 {
                let told = told.clone();
                workers.spawn(|open| async move {
                    let _ = told.send(std::thread::current().id());
                    std::future::pending::<()>().await;
                    drop(open);
                });
            }
            let mut by_thread: HashMap<ThreadId, usize> = HashMap::new();
            for _ in 0..30 {
                *by_thread.entry(seen.recv().await.unwrap()).or_default() += 1;
            }
            by_thread.into_values().collect::<Vec<_>>()
        };
        let counted = futures_util::future::join_all([runtime.get_handle().spawn(count)]);
        let spread = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(counted);
        assert_eq!(spread.into_iter().next().unwrap().unwrap(), [10, 10, 10]);
    }
}
