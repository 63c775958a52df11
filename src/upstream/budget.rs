//! A share of the live requests may cost a further attempt: retries and hedges are bounded by it, so that a cluster in
//! trouble does not get a multiple of its load on top.
//!
//! The bound is on what goes on at the same time, as in Envoy: further attempts ≤ share × live requests, rounded down,
//! but `floor` always, so that a cluster with little to do may use any.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// How much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Of the live requests, in thousandths.
    pub share_per_mille: u16,
    /// So many always; not when the share is 0.
    pub floor: u32,
}

impl Policy {
    fn bound(&self, live: u32) -> u32 {
        if self.share_per_mille == 0 {
            return 0;
        }
        let share = u64::from(live) * u64::from(self.share_per_mille) / 1000;
        u32::try_from(share).unwrap_or(u32::MAX).max(self.floor)
    }
}

/// The live requests of a cluster and their further attempts of one kind.
#[derive(Debug, Default)]
pub struct Budget {
    live: AtomicU32,
    used: AtomicU32,
}

impl Budget {
    /// Counts a request as live until what is returned is dropped.
    pub fn enter(self: &Arc<Self>) -> Live {
        self.live.fetch_add(1, Relaxed);
        Live(Arc::clone(self))
    }

    /// Live requests.
    pub fn live(&self) -> u32 {
        self.live.load(Relaxed)
    }

    /// Further attempts under way.
    pub fn used(&self) -> u32 {
        self.used.load(Relaxed)
    }
}

/// A live request; dropped, it is over.
#[derive(Debug)]
pub struct Live(Arc<Budget>);

impl Live {
    /// Room for a further attempt of this request, if there is any. It is given back when the permit is dropped.
    pub fn take(&self, policy: &Policy) -> Option<Permit> {
        let bound = policy.bound(self.0.live());
        let taken =
            self.0.used.fetch_update(Relaxed, Relaxed, |used| (used < bound).then(|| used.saturating_add(1)));
        taken.ok().map(|_| Permit(Arc::clone(&self.0)))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, Relaxed);
    }
}

/// Room for one further attempt; dropped, it is free again.
#[derive(Debug)]
pub struct Permit(Arc<Budget>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.used.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_share_of_the_live_requests_and_a_few_always() {
        for (per_mille, floor, live, want) in [
            (200, 3, 0, 3),
            (200, 3, 15, 3),
            (200, 3, 19, 3),
            (200, 3, 20, 4),
            (200, 3, 512, 102),
            (50, 1, 19, 1),
            (50, 1, 40, 2),
            (0, 3, 512, 0),
            (1000, 0, 7, 7),
        ] {
            assert_eq!(
                Policy { share_per_mille: per_mille, floor }.bound(live),
                want,
                "{per_mille} of {live}"
            );
        }
    }

    #[test]
    fn what_is_dropped_is_free_again() {
        let budget = Arc::new(Budget::default());
        let policy = Policy { share_per_mille: 500, floor: 1 };
        let live: Vec<_> = (0..4).map(|_| budget.enter()).collect();
        let permits: Vec<_> = live.iter().filter_map(|live| live.take(&policy)).collect();
        assert_eq!((budget.live(), budget.used(), permits.len()), (4, 2, 2));
        drop(permits);
        assert_eq!(budget.used(), 0);
        drop(live);
        assert_eq!(budget.live(), 0);
    }

    #[test]
    fn threads_do_not_take_more_than_there_is() {
        let budget = Arc::new(Budget::default());
        let policy = Policy { share_per_mille: 200, floor: 3 };
        let live: Vec<_> = (0..50).map(|_| budget.enter()).collect();
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        live.iter().filter_map(|live| live.take(&policy)).map(std::mem::forget).count()
                    })
                })
                .collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).sum()
        });
        assert_eq!(taken, 10);
    }

    proptest! {
        #[test]
        fn a_permit_is_given_exactly_when_the_bound_has_room(
            steps in prop::collection::vec(0_u8..4, 0..200), share in 0_u16..=1000, floor in 0_u32..4,
        ) {
            let budget = Arc::new(Budget::default());
            let policy = Policy { share_per_mille: share, floor };
            let (mut live, mut permits) = (Vec::new(), Vec::new());
            for step in steps {
                match step {
                    0 => live.push(budget.enter()),
                    1 => drop(live.pop()),
                    2 => drop(permits.pop()),
                    _ => if let Some(request) = live.first() {
                        let room = budget.used() < policy.bound(budget.live());
                        let permit = request.take(&policy);
                        prop_assert_eq!(permit.is_some(), room);
                        permits.extend(permit);
                    }
                }
                prop_assert_eq!(usize::try_from(budget.live()), Ok(live.len()));
                prop_assert_eq!(usize::try_from(budget.used()), Ok(permits.len()));
            }
        }
    }
}
