//! The penalty box of a connection that goes on asking after it was refused (http.md §2): each further no is held, so that
//! a client that hammers costs next to nothing.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// `limits.penalty`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PenaltyPolicy {
    /// Refusals in a row after which further ones are held; 0: none are.
    pub after: u32,
    /// How long each is held.
    pub delay: Duration,
}

/// Refusals in a row on one connection, of all its streams.
#[derive(Debug, Default)]
pub struct Penalty(AtomicU32);

impl Penalty {
    /// A request was refused; how long to hold the answer, if at all.
    pub fn on_refused(&self, policy: &PenaltyPolicy) -> Option<Duration> {
        let before = self.0.fetch_add(1, Relaxed);
        if before == u32::MAX {
            self.0.store(u32::MAX, Relaxed);
        }
        (policy.after > 0 && before >= policy.after).then_some(policy.delay)
    }

    /// A request passed: the connection is out of the box.
    pub fn on_passed(&self) {
        // A load alone, nearly always.
        if self.0.load(Relaxed) != 0 {
            self.0.store(0, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_held_once_there_were_enough_in_a_row_until_one_request_passes() {
        let policy = PenaltyPolicy { after: 3, delay: Duration::from_millis(500) };
        let penalty = Penalty::default();
        for _ in 0..2 {
            for _ in 0..3 {
                assert_eq!(penalty.on_refused(&policy), None);
            }
            assert_eq!(penalty.on_refused(&policy), Some(policy.delay));
            assert_eq!(penalty.on_refused(&policy), Some(policy.delay));
            penalty.on_passed();
        }
    }

    #[test]
    fn off_holds_nothing() {
        let policy = PenaltyPolicy { after: 0, delay: Duration::from_millis(500) };
        let penalty = Penalty::default();
        assert!((0..100).all(|_| penalty.on_refused(&policy).is_none()));
    }
}
