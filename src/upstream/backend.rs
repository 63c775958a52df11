//! One backend of a cluster, as everything that chooses, checks and counts shares it.
//!
//! It holds facts: how many requests are under way, whether its checks pass, until when it is ejected. What to make
//! of them is decided in `balance`, `health` and `ejection`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A backend of one [`Members`](super::membership::Members); an address that left and came back is another backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BackendId(pub(super) u64);

/// One backend. `T` is what its owner keeps for it: connections, series, the address to dial.
#[derive(Debug)]
pub struct Backend<T> {
    id: BackendId,
    name: Arc<str>,
    /// What its owner keeps for it.
    pub link: T,
    in_flight: AtomicU32,
    healthy: AtomicBool,
    /// Failures in a row, of requests.
    failures: AtomicU32,
    /// Nanoseconds after `epoch`; 0 is not ejected.
    ejected_until: AtomicU64,
    epoch: Instant,
}

impl<T> Backend<T> {
    /// A backend that is taken for healthy until its checks say otherwise. `epoch` is a time not after any that is
    /// given to it later; `name` is its address.
    pub(super) fn new(id: BackendId, name: Arc<str>, link: T, epoch: Instant) -> Self {
        Self {
            id,
            name,
            link,
            in_flight: AtomicU32::new(0),
            healthy: AtomicBool::new(true),
            failures: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
            epoch,
        }
    }

    /// Tells it from the others of its cluster.
    pub fn id(&self) -> BackendId {
        self.id
    }

    /// Its address, as logs and metrics show it.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Requests under way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Counts a request as under way until what is returned is dropped.
    pub fn begin(self: &Arc<Self>) -> InFlight<T> {
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(Arc::clone(self))
    }

    /// What its checks say (see [`health`](super::health)).
    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Relaxed)
    }

    /// Notes what its checks say.
    pub fn set_healthy(&self, healthy: bool) {
        self.healthy.store(healthy, Relaxed);
    }

    /// Whether its requests' failures keep it away (see [`ejection`](super::ejection)).
    pub fn is_ejected(&self, now: Instant) -> bool {
        match self.ejected_until.load(Relaxed) {
            0 => false,
            until => self.nanos(now) < until,
        }
    }

    /// Whether it may be given requests.
    pub fn is_available(&self, now: Instant) -> bool {
        self.is_healthy() && !self.is_ejected(now)
    }

    pub(super) fn eject(&self, now: Instant, length: Duration) {
        let length = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        self.ejected_until.store(self.nanos(now).saturating_add(length).max(1), Relaxed);
    }

    /// Is ejected for as long as `other` is.
    pub(super) fn eject_until(&self, other: &Self, now: Instant) {
        let left = other.ejected_until.load(Relaxed).saturating_sub(other.nanos(now));
        if left > 0 {
            self.eject(now, Duration::from_nanos(left));
        }
    }

    /// Counts a failure; the count, this one included.
    pub(super) fn count_failure(&self) -> u32 {
        self.failures.fetch_add(1, Relaxed).saturating_add(1)
    }

    /// Forgets the failures in a row.
    pub(super) fn forget_failures(&self) {
        // A load alone, nearly always: a store would make every request fight for the cache line.
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
    }

    fn nanos(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A request under way at a backend; dropped, it is over.
pub struct InFlight<T>(Arc<Backend<T>>);

impl<T> InFlight<T> {
    /// Where it is.
    pub fn backend(&self) -> &Arc<Backend<T>> {
        &self.0
    }
}

impl<T> Drop for InFlight<T> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

impl<T> fmt::Debug for InFlight<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InFlight").field(&self.0.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_under_way_until_its_guard_is_dropped_by_a_panic_too() {
        let backend = Arc::new(Backend::new(BackendId(0), "a".into(), (), crate::clock::now()));
        let first = backend.begin();
        let second = backend.begin();
        assert_eq!(backend.in_flight(), 2);
        drop(first);
        assert_eq!(second.backend().in_flight(), 1);
        let panicked = std::thread::spawn(move || {
            let _held = second;
            std::panic::resume_unwind(Box::new(()));
        });
        assert!(panicked.join().is_err());
        assert_eq!(backend.in_flight(), 0);
    }

    #[test]
    fn a_backend_is_available_when_its_checks_pass_and_no_ejection_lasts() {
        let start = crate::clock::now();
        let backend = Backend::new(BackendId(0), "a".into(), (), start);
        assert!(backend.is_available(start));
        backend.eject(start, Duration::from_secs(10));
        assert!(!backend.is_available(start));
        assert!(!backend.is_available(start + Duration::from_nanos(9_999_999_999)));
        assert!(backend.is_available(start + Duration::from_secs(10)));
        backend.set_healthy(false);
        assert!(!backend.is_available(start + Duration::from_secs(10)));
        backend.set_healthy(true);
        assert!(backend.is_available(start + Duration::from_secs(10)));
    }
}
