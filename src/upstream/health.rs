//! Active health checks of one backend: when to probe, and what the results mean.
//!
//! A backend starts healthy, and is probed at once: a gateway that has just started or has just discovered a backend
//! uses it, and a backend that was never there is found out after `unhealthy` probes.
//!
//! ```text
//!             `unhealthy` failures in a row
//!   healthy ─────────────────────────────────▶ unhealthy
//!           ◀─────────────────────────────────
//!             `healthy` successes in a row
//! ```
//!
//! It does not probe: that is the shell's, which dials, says HELLO and tells the result.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// `clusters.NAME.health`, as far as time and counting go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// From the beginning of a probe to that of the next, ± 10 %.
    pub interval: Duration,
    /// Failures in a row that make a backend unhealthy.
    pub unhealthy: NonZeroU32,
    /// Successes in a row that make it healthy again.
    pub healthy: NonZeroU32,
}

/// What a result changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The backend may be used again.
    Healthy,
    /// The backend is to be left alone.
    Unhealthy,
}

/// The health of one backend. Belongs to whoever probes it, and survives a change of policy.
#[derive(Debug)]
pub struct Health {
    healthy: bool,
    /// Results in a row that speak against `healthy`.
    streak: u32,
    next: Instant,
}

impl Health {
    /// A backend that is new at `now`.
    pub fn new(now: Instant) -> Self {
        Self { healthy: true, streak: 0, next: now }
    }

    /// One that is known already, to be probed at once.
    pub fn known(healthy: bool, now: Instant) -> Self {
        Self { healthy, ..Self::new(now) }
    }

    /// What the results so far say.
    pub fn is_healthy(&self) -> bool {
        self.healthy
    }

    /// When the next probe is due.
    pub fn next_probe(&self) -> Instant {
        self.next
    }

    /// The probe that began at `began` has no result, because it could not be made: only sets the time of the next.
    pub fn put_off(&mut self, policy: &Policy, began: Instant, now: Instant, rng: &mut fastrand::Rng) {
        self.next = (began + jittered(policy.interval, rng)).max(now);
    }

    /// Takes the result of the probe that began at `began`, and sets the time of the next: one interval after that,
    /// or `now` when the probe itself took longer.
    pub fn handle_result(
        &mut self,
        policy: &Policy,
        passed: bool,
        began: Instant,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Option<Change> {
        self.put_off(policy, began, now, rng);
        if passed == self.healthy {
            self.streak = 0;
            return None;
        }
        self.streak = self.streak.saturating_add(1);
        let (enough, change) = if self.healthy {
            (policy.unhealthy, Change::Unhealthy)
        } else {
            (policy.healthy, Change::Healthy)
        };
        if self.streak < enough.get() {
            return None;
        }
        self.healthy = passed;
        self.streak = 0;
        Some(change)
    }
}

/// 90 % to 110 % of `interval`: probes of many backends, and of many gateways, do not march in step.
fn jittered(interval: Duration, rng: &mut fastrand::Rng) -> Duration {
    interval.saturating_mul(rng.u32(900..=1100)) / 1000
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: Policy = Policy {
        interval: Duration::from_secs(2),
        unhealthy: NonZeroU32::new(3).unwrap(),
        healthy: NonZeroU32::new(2).unwrap(),
    };

    #[test]
    fn results_in_a_row_change_a_backend_and_no_others_do() {
        use Change::{Healthy, Unhealthy};
        let now = crate::clock::now();
        let mut health = Health::new(now);
        let mut rng = fastrand::Rng::with_seed(1);
        assert!(health.is_healthy());
        for (n, (passed, want)) in [
            (false, None),
            (false, None),
            (true, None),
            (false, None),
            (false, None),
            (false, Some(Unhealthy)),
            (false, None),
            (true, None),
            (false, None),
            (true, None),
            (true, Some(Healthy)),
            (true, None),
            (false, None),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(health.handle_result(&POLICY, passed, now, now, &mut rng), want, "result {n}");
        }
    }

    #[test]
    fn a_probe_that_could_not_be_made_is_no_result_and_is_made_again() {
        let start = crate::clock::now();
        let (mut health, mut rng) = (Health::new(start), fastrand::Rng::with_seed(1));
        let fail = |health: &mut Health, rng: &mut _| health.handle_result(&POLICY, false, start, start, rng);
        assert_eq!([fail(&mut health, &mut rng), fail(&mut health, &mut rng)], [None, None]);
        for n in 1..=5 {
            let began = health.next_probe();
            health.put_off(&POLICY, began, began, &mut rng);
            assert!(health.is_healthy() && health.next_probe() >= start + POLICY.interval * n * 9 / 10);
        }
        assert_eq!(fail(&mut health, &mut rng), Some(Change::Unhealthy), "what was counted before still is");
    }

    #[test]
    fn the_first_probe_is_due_at_once_and_a_slow_one_is_followed_at_once() {
        let start = crate::clock::now();
        let mut health = Health::new(start);
        let mut rng = fastrand::Rng::with_seed(1);
        assert_eq!(health.next_probe(), start);
        let late = start + POLICY.interval * 2;
        assert_eq!(health.handle_result(&POLICY, true, start, late, &mut rng), None);
        assert_eq!(health.next_probe(), late);
    }

    #[test]
    fn the_jitter_uses_its_whole_range() {
        let mut rng = fastrand::Rng::with_seed(7);
        let drawn: Vec<_> = (0..1000).map(|_| jittered(POLICY.interval, &mut rng)).collect();
        assert!(drawn.iter().min().unwrap() < &Duration::from_millis(1810));
        assert!(drawn.iter().max().unwrap() > &Duration::from_millis(2190));
    }

    proptest! {
        // Issue: recovery within `healthy` × interval + jitter.
        #[test]
        fn a_backend_is_found_out_and_forgiven_within_its_thresholds(
            seed: u64, unhealthy in 1_u32..10, healthy in 1_u32..10, took in 0_u64..1000,
        ) {
            let count = |n| NonZeroU32::new(n).unwrap();
            let policy = Policy { unhealthy: count(unhealthy), healthy: count(healthy), ..POLICY };
            let start = crate::clock::now();
            let mut health = Health::new(start);
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut probe = |passed| {
                let began = health.next_probe();
                (health.handle_result(&policy, passed, began, began + Duration::from_millis(took), &mut rng), began)
            };
            for n in 1..=unhealthy {
                prop_assert_eq!(probe(false).0, (n == unhealthy).then_some(Change::Unhealthy));
            }
            let (_, back) = probe(false);
            let mut last = back;
            for n in 1..=healthy {
                let (change, began) = probe(true);
                prop_assert_eq!(change, (n == healthy).then_some(Change::Healthy));
                prop_assert!(began - last >= policy.interval * 9 / 10 && began - last <= policy.interval * 11 / 10);
                last = began;
            }
            prop_assert!(last - back <= policy.interval * healthy * 11 / 10);
        }
    }
}
