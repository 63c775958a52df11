//! So many a second, and a second's worth at once.

use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// A bucket that holds a second's worth of tokens and is full at first. Kept as the time at which it is full again, in
/// whole nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    full_at: Option<Instant>,
}

impl Bucket {
    /// Takes a token, if there is one.
    pub(super) fn take(&mut self, per_second: u32, now: Instant) -> bool {
        let one = SECOND / per_second.max(1);
        let full_at = self.full_at.map_or(now, |at| at.max(now)).checked_add(one);
        let Some(full_at) = full_at.filter(|at| at.saturating_duration_since(now) <= SECOND) else {
            return false;
        };
        self.full_at = Some(full_at);
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_second_s_worth_at_once_and_then_so_many_a_second() {
        let start = Instant::now();
        for rate in [1, 3, 7, 20, 100, 5000] {
            let mut bucket = Bucket::default();
            assert_eq!((0..2 * rate).filter(|_| bucket.take(rate, start)).count(), rate as usize);
            // One comes back after its part of a second, and no earlier but for what rounding gives away.
            let (part, rounding) = (SECOND / rate, Duration::from_nanos(u64::from(rate)));
            assert!(!bucket.take(rate, start + part - rounding), "{rate}");
            assert!(bucket.take(rate, start + part), "{rate}");
            assert_eq!(
                (0..2 * rate).filter(|_| bucket.take(rate, start + 5 * SECOND)).count(),
                rate as usize
            );
        }
    }

    proptest! {
        #[test]
        fn no_second_has_more_than_twice_the_rate(
            rate in 1_u32..50, steps in prop::collection::vec(0_u64..200, 0..300),
        ) {
            let (mut bucket, mut now) = (Bucket::default(), Instant::now());
            let mut taken = Vec::new();
            for step in steps {
                now += Duration::from_millis(step);
                taken.extend(bucket.take(rate, now).then_some(now));
            }
            for at in &taken {
                let within = taken.iter().filter(|other| **other >= *at && **other < *at + SECOND).count();
                prop_assert!(within <= 2 * rate as usize);
            }
        }
    }
}
