//! Passive checks: a backend whose requests fail one after another is left alone for a while.
//!
//! - `consecutive_failures` in a row, without a success between them, eject a backend. A success forgets them. Failures
//!   of requests that were under way when it was ejected do not count.
//! - An ejection lasts `base` × the number of ejections so far, at most `max`. Every `base` that the backend then stays
//!   without a further one takes one off that number.
//! - At most `share` of a cluster's backends (rounded down) are ejected at once, but of two and more one always may be,
//!   unless the share is 0. An only backend is ejected by a share of 100 % alone: nobody could take its requests. Beyond the
//!   bound a backend stays, and the next failure asks again.
//!
//! This is Envoy's outlier detection by consecutive failures, without its periodic sweep: all is computed from the times
//! at which something happened. Counting belongs to [`Backend`](super::backend::Backend), the bound over a cluster to
//! [`Members`](super::membership::Members).

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// `clusters.NAME.ejection`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Failures in a row that eject a backend.
    pub consecutive_failures: NonZeroU32,
    /// Length of the first ejection.
    pub base: Duration,
    /// Longest ejection.
    pub max: Duration,
    /// Of the backends, at most, at once; in thousandths, 0 ejects none.
    pub share_per_mille: u16,
}

impl Policy {
    /// How many of `backends` may be ejected at once.
    pub fn bound(&self, backends: usize) -> usize {
        if self.share_per_mille == 0 {
            return 0;
        }
        let share = backends.saturating_mul(usize::from(self.share_per_mille.min(1000))) / 1000;
        if backends >= 2 { share.max(1) } else { share }
    }
}

/// The past ejections of one backend.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Record {
    times: u32,
    until: Option<Instant>,
}

impl Record {
    /// Ejects: how long for.
    pub(super) fn eject(&mut self, policy: &Policy, now: Instant) -> Duration {
        let good = self.until.map_or(Duration::ZERO, |until| now.saturating_duration_since(until));
        let forgiven = good.as_nanos().checked_div(policy.base.as_nanos()).unwrap_or(u128::MAX);
        self.times = self.times.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX)).saturating_add(1);
        let length = policy.base.saturating_mul(self.times).min(policy.max);
        self.until = now.checked_add(length);
        length
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        consecutive_failures: NonZeroU32::new(5).unwrap(),
        base: Duration::from_secs(10),
        max: Duration::from_secs(35),
        share_per_mille: 500,
    };

    #[test]
    fn ejections_grow_up_to_the_longest() {
        let mut now = crate::clock::now();
        let mut record = Record::default();
        for seconds in [10, 20, 30, 35, 35] {
            let length = record.eject(&POLICY, now);
            assert_eq!(length, Duration::from_secs(seconds));
            now += length;
        }
    }

    #[test]
    fn every_good_base_takes_one_ejection_off() {
        let mut now = crate::clock::now();
        let mut record = Record::default();
        let mut ejected_after = |good: u64| {
            now += Duration::from_secs(good);
            let length = record.eject(&POLICY, now);
            now += length;
            length.as_secs()
        };
        assert_eq!(ejected_after(0), 10);
        assert_eq!(ejected_after(9), 20);
        assert_eq!(ejected_after(10), 20);
        assert_eq!(ejected_after(0), 30);
        assert_eq!(ejected_after(25), 20);
        assert_eq!(ejected_after(100_000), 10);
    }

    #[test]
    fn a_share_of_the_backends_is_the_bound_and_the_last_one_stays() {
        for (per_mille, backends, want) in [
            (0, 10, 0),
            (500, 0, 0),
            (500, 1, 0),
            (500, 2, 1),
            (500, 3, 1),
            (500, 4, 2),
            (100, 3, 1),
            (999, 1, 0),
            (1000, 1, 1),
            (1000, 4, 4),
        ] {
            let policy = Policy { share_per_mille: per_mille, ..POLICY };
            assert_eq!(policy.bound(backends), want, "{per_mille} of {backends}");
        }
    }
}
