//! The share of a cluster's requests that failed lately.

use std::time::{Duration, Instant};

/// Seconds that count.
const WINDOW: usize = 5;
/// Fewer results say nothing.
const ENOUGH: u64 = 10;

/// Results of the last seconds, a bucket for each.
#[derive(Debug, Default)]
pub(super) struct Failures {
    buckets: [Bucket; WINDOW],
    /// Buckets used so far, and when the newest began.
    newest: usize,
    began: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    failed: u64,
    all: u64,
}

impl Failures {
    pub(super) fn count(&mut self, failed: bool, now: Instant) {
        self.turn(now);
        if let Some(bucket) = self.buckets.get_mut(self.newest % WINDOW) {
            bucket.all += 1;
            bucket.failed += u64::from(failed);
        }
    }

    /// In thousandths; 0 while there are too few to tell.
    pub(super) fn share(&mut self, now: Instant) -> u64 {
        self.turn(now);
        let all: u64 = self.buckets.iter().map(|bucket| bucket.all).sum();
        let failed: u64 = self.buckets.iter().map(|bucket| bucket.failed).sum();
        if all < ENOUGH { 0 } else { failed.saturating_mul(1000) / all }
    }

    fn turn(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        let passed = now.saturating_duration_since(began).as_secs();
        for _ in 0..passed.min(WINDOW as u64) {
            self.newest = self.newest.wrapping_add(1);
            if let Some(bucket) = self.buckets.get_mut(self.newest % WINDOW) {
                *bucket = Bucket::default();
            }
        }
        self.began = Some(began + Duration::from_secs(passed));
    }
}
