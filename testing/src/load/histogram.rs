//! Times in buckets of about one per cent, in constant memory.

use std::time::Duration;

/// Buckets per doubling.
const STEPS: u32 = 64;
const BUCKETS: usize = 64 * STEPS as usize;

/// Counts of durations. Percentiles come out rounded up by at most 1/64.
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0 }
    }
}

impl Histogram {
    /// Counts one.
    pub fn record(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(nanos)] += 1;
        self.count += 1;
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(mine, theirs)| *mine += theirs);
        self.count += other.count;
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The time that this share (0 to 1) of all stayed within; zero when nothing was counted.
    pub fn percentile(&self, share: f64) -> Duration {
        let rank = (share * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(upper(bucket));
            }
        }
        Duration::ZERO
    }
}

fn bucket(nanos: u64) -> usize {
    let steps = u64::from(STEPS);
    if nanos < steps {
        return nanos as usize;
    }
    let shift = nanos.ilog2() - STEPS.ilog2();
    ((u64::from(shift) + 1) * steps + (nanos >> shift) - steps) as usize
}

/// The largest value of a bucket.
fn upper(bucket: usize) -> u64 {
    let (bucket, steps) = (bucket as u64, u64::from(STEPS));
    if bucket < steps {
        return bucket;
    }
    let shift = bucket / steps - 1;
    (((bucket % steps + steps + 1) as u128) << shift).saturating_sub(1).min(u128::from(u64::MAX)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_within_a_bucket() {
        let mut histogram = Histogram::default();
        for micros in 1..=1000 {
            histogram.record(Duration::from_micros(micros));
        }
        for (share, micros) in [(0.5, 500), (0.99, 990), (1.0, 1000)] {
            let got = histogram.percentile(share).as_nanos();
            let want = micros * 1000;
            assert!(got >= want && got <= want + want / 64 + 1, "{share}: {got}");
        }
        assert_eq!(Histogram::default().percentile(0.5), Duration::ZERO);
    }

    proptest::proptest! {
        #[test]
        fn every_value_lies_in_its_bucket(nanos: u64) {
            let bucket = bucket(nanos);
            proptest::prop_assert!(nanos <= upper(bucket));
            proptest::prop_assert!(bucket == 0 || nanos > upper(bucket - 1));
        }
    }
}
