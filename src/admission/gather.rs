//! What small bodies may take of memory while they are gathered before admission (http.md §2): all of them together a
//! bounded number of bytes. Beyond that admission comes first, and the body is read under its permit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes gathered now, of all requests that have no place yet.
#[derive(Debug)]
pub struct Gathering {
    taken: AtomicU64,
    most: AtomicU64,
}

impl Gathering {
    /// At most so many bytes at once. `admission.gather_total`.
    pub fn new(most: u64) -> Arc<Self> {
        Arc::new(Self { taken: AtomicU64::new(0), most: AtomicU64::new(most) })
    }

    /// A new generation's bound; what is held stays.
    pub fn configure(&self, most: u64) {
        self.most.store(most, Relaxed);
    }

    /// Room for `bytes` more, if there is any.
    pub fn take(self: &Arc<Self>, bytes: u64) -> Option<Gathered> {
        let most = self.most.load(Relaxed);
        let more = |taken: u64| taken.checked_add(bytes).filter(|taken| *taken <= most);
        self.taken.fetch_update(Relaxed, Relaxed, more).ok()?;
        Some(Gathered { of: Arc::clone(self), bytes })
    }

    /// Bytes that are taken.
    pub fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }
}

/// Room for a gathered body; dropped, it is free again.
#[derive(Debug)]
#[must_use = "dropped, the room is free again"]
pub struct Gathered {
    of: Arc<Gathering>,
    bytes: u64,
}

impl Drop for Gathered {
    fn drop(&mut self) {
        self.of.taken.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_gathered_up_to_a_bound_and_what_is_dropped_is_free_again() {
        let gathering = Gathering::new(100);
        let first = gathering.take(60).unwrap();
        assert!(gathering.take(41).is_none());
        let second = gathering.take(40).unwrap();
        assert!(gathering.take(1).is_none() && gathering.take(u64::MAX).is_none());
        assert_eq!(gathering.taken(), 100);
        drop(first);
        gathering.configure(40);
        assert!(gathering.take(1).is_none(), "a lowered bound lets nobody in until below");
        assert!(gathering.take(0).is_some());
        drop(second);
        assert_eq!(gathering.taken(), 0);
        assert!(gathering.take(40).is_some());
    }

    #[test]
    fn threads_do_not_take_more_than_there_is() {
        let gathering = Gathering::new(10);
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| (0..50).filter_map(|_| gathering.take(1)).map(std::mem::forget).count())
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(taken, 10);
    }
}
