//! What happened, in order, for whoever waits for it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

/// Entries that only grow; waiters are woken by each. Clones share the entries.
#[derive(Debug)]
pub struct Journal<T> {
    entries: Arc<Mutex<Vec<T>>>,
    /// Whether anything can still be added; its changes are the wake-ups.
    open: Arc<watch::Sender<bool>>,
}

impl<T> Clone for Journal<T> {
    fn clone(&self) -> Self {
        Self { entries: Arc::clone(&self.entries), open: Arc::clone(&self.open) }
    }
}

impl<T> Default for Journal<T> {
    fn default() -> Self {
        Self { entries: Arc::default(), open: Arc::new(watch::Sender::new(true)) }
    }
}

impl<T: Clone> Journal<T> {
    /// Adds an entry.
    pub fn push(&self, entry: T) {
        self.entries.lock().unwrap().push(entry);
        self.open.send_modify(|_| ());
    }

    /// Says that nothing more will come: who waits in vain stops waiting.
    pub fn close(&self) {
        self.open.send_modify(|open| *open = false);
    }

    /// How many entries there are.
    pub fn count(&self) -> usize {
        self.entries.lock().unwrap().len()
    }

    /// The entries from the `from`th on.
    pub fn since(&self, from: usize) -> Vec<T> {
        self.entries.lock().unwrap().get(from..).map(<[T]>::to_vec).unwrap_or_default()
    }

    /// What `pick` makes of the entries that it picks from, in order.
    pub fn pick<R>(&self, pick: impl FnMut(&T) -> Option<R>) -> Vec<R> {
        self.entries.lock().unwrap().iter().filter_map(pick).collect()
    }

    /// Waits for the first entry, from the `from`th on, that `pick` takes; its index comes along. `None` when
    /// the time is over or the journal closed.
    pub async fn wait<R>(
        &self,
        from: usize,
        within: Duration,
        mut pick: impl FnMut(&T) -> Option<R>,
    ) -> Option<(usize, R)> {
        let mut woken = self.open.subscribe();
        let mut next = from;
        let search = async {
            loop {
                let open = *woken.borrow_and_update();
                {
                    let entries = self.entries.lock().unwrap();
                    while let Some(entry) = entries.get(next) {
                        next += 1;
                        if let Some(found) = pick(entry) {
                            return Some((next - 1, found));
                        }
                    }
                }
                if !open || woken.changed().await.is_err() {
                    return None;
                }
            }
        };
        tokio::time::timeout(within, search).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_waiter_sees_what_was_there_what_comes_and_the_end() {
        let journal = Journal::default();
        journal.push(1);
        let minute = Duration::from_secs(60);
        assert_eq!(journal.wait(0, minute, |n| (*n == 1).then_some("one")).await, Some((0, "one")));
        let later = journal.clone();
        let waiter = tokio::spawn(async move { later.wait(1, minute, |n| (*n > 2).then_some(*n)).await });
        tokio::task::yield_now().await;
        journal.push(2);
        journal.push(3);
        assert_eq!(waiter.await.unwrap(), Some((2, 3)));
        assert_eq!(journal.wait(0, minute, |n| (*n > 3).then_some(())).await, None);
        journal.close();
        assert_eq!(journal.wait(0, Duration::MAX, |n| (*n > 3).then_some(())).await, None);
        assert_eq!(journal.since(1), [2, 3]);
    }
}
