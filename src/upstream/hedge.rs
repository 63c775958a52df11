//! When a second attempt is worth it, although the first has not failed: the latency that a cluster usually keeps, and
//! the budget of such attempts.
//!
//! [`Latency`] counts in buckets, each an eighth of a power of two wide, so that a percentile is never below the true
//! one and at most 12.5 % above it. Two halves of 30 s take turns: what is asked is answered from the last 30 to 60 s.
//!
//! The second attempt itself is the caller's: on another backend, the first head below 500 wins, the loser is given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::budget::{self, Budget, Live, Permit};

/// Buckets to a power of two, as a power of two.
const FINE: u32 = 3;
/// Longest latency that is told from longer ones: about 67 s.
const LONGEST: u64 = (1 << 26) - 1;
/// 8 for what is below 8 µs, and 8 for each power of two from 2³ to 2²⁵.
const BUCKETS: usize = 192;
/// Samples without which nothing is known.
const ENOUGH: u64 = 100;
/// How long one half is filled.
const HALF: Duration = Duration::from_secs(30);
/// How long an answer is given again before it is computed anew.
const FRESH: Duration = Duration::from_millis(100);

/// How long a cluster takes from the attempt that wins to its answer's head. With the wait before a second attempt counted
/// in, the wait would grow by what it has itself made longer.
#[derive(Debug)]
pub struct Latency {
    halves: [Box<[AtomicU32]>; 2],
    filling: AtomicUsize,
    /// The last answer: microseconds, shifted, and the percentile. No microseconds is no answer.
    answer: AtomicU64,
    /// Until when it is fresh, in nanoseconds after `epoch`.
    fresh_until: AtomicU64,
    /// When the half that is filled began.
    began: Mutex<Instant>,
    epoch: Instant,
}

impl Latency {
    /// Knows nothing yet. No later time that it is given may be before `now`.
    pub fn new(now: Instant) -> Self {
        let half = || (0..BUCKETS).map(|_| AtomicU32::new(0)).collect();
        Self {
            halves: [half(), half()],
            filling: AtomicUsize::new(0),
            answer: AtomicU64::new(0),
            fresh_until: AtomicU64::new(0),
            began: Mutex::new(now),
            epoch: now,
        }
    }

    /// Counts a head that came so long after the attempt whose head it is began.
    pub fn on_head(&self, took: Duration) {
        let half = self.halves.get(self.filling.load(Relaxed));
        if let Some(count) = half.and_then(|half| half.get(bucket(took))) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// What `percent` of the cluster's requests do not exceed; `None` below 100 samples.
    pub fn after(&self, percent: u8, now: Instant) -> Option<Duration> {
        let answer = self.answer.load(Relaxed);
        let is_fresh =
            self.nanos(now) < self.fresh_until.load(Relaxed) && answer & 0xff == u64::from(percent);
        let answer = if is_fresh { answer } else { self.compute(percent, now).unwrap_or(answer) };
        Some(answer >> 8).filter(|micros| *micros > 0).map(Duration::from_micros)
    }

    /// `None`: somebody else is about it.
    #[cold]
    fn compute(&self, percent: u8, now: Instant) -> Option<u64> {
        let mut began = self.began.try_lock()?;
        let age = now.saturating_duration_since(*began);
        if age >= HALF {
            *began = now;
            let filled = self.filling.load(Relaxed);
            // Nothing that is older than both halves counts any more.
            for (index, half) in self.halves.iter().enumerate() {
                if index != filled || age >= HALF * 2 {
                    half.iter().for_each(|count| count.store(0, Relaxed));
                }
            }
            self.filling.store(1_usize.saturating_sub(filled), Relaxed);
        }
        let answer = self.percentile(percent).unwrap_or(0) << 8 | u64::from(percent);
        self.answer.store(answer, Relaxed);
        self.fresh_until.store(self.nanos(now + FRESH), Relaxed);
        Some(answer)
    }

    fn percentile(&self, percent: u8) -> Option<u64> {
        let [a, b] = &self.halves;
        let sum = |(a, b): (&AtomicU32, &AtomicU32)| u64::from(a.load(Relaxed)) + u64::from(b.load(Relaxed));
        let counts: Vec<u64> = a.iter().zip(b.iter()).map(sum).collect();
        let total: u64 = counts.iter().sum();
        if total < ENOUGH {
            return None;
        }
        let rank = (total * u64::from(percent)).div_ceil(100);
        let mut seen = 0;
        counts.into_iter().zip(0..).find_map(|(count, bucket)| {
            seen += count;
            (seen >= rank).then(|| highest(bucket))
        })
    }

    fn nanos(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX)
    }
}

fn bucket(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).clamp(1, LONGEST);
    let coarse = micros.ilog2().saturating_sub(FINE);
    usize::try_from((u64::from(coarse) << FINE) + (micros >> coarse)).unwrap_or(0)
}

/// The longest latency of a bucket, in microseconds.
fn highest(bucket: u32) -> u64 {
    // Below 16 a bucket is one microsecond.
    let coarse = (bucket >> FINE).saturating_sub(1);
    let fine = u64::from(bucket - (coarse << FINE));
    ((fine + 1) << coarse) - 1
}

/// A request that may have a second attempt at all.
pub fn may_hedge(method: &str) -> bool {
    matches!(method, "GET" | "HEAD")
}

/// The hedges of a cluster, as a share of its live requests that might have one, but 1 always.
#[derive(Clone, Debug, Default)]
pub struct Hedges(Arc<Budget>);

impl Hedges {
    /// Counts a request that [may have a hedge](may_hedge) as live until what is returned is dropped.
    pub fn enter(&self) -> Hedgeable {
        Hedgeable(self.0.enter())
    }

    /// Hedges under way.
    pub fn under_way(&self) -> u32 {
        self.0.used()
    }
}

/// A live request that might have a hedge.
#[derive(Debug)]
pub struct Hedgeable(Live);

impl Hedgeable {
    /// Room for one hedge; held until it is over.
    pub fn hedge(&self, budget_per_mille: u16) -> Option<HedgePermit> {
        self.0.take(&budget::Policy { share_per_mille: budget_per_mille, floor: 1 }).map(HedgePermit)
    }
}

/// Room for one hedge; dropped, it is free again.
#[derive(Debug)]
pub struct HedgePermit(#[expect(dead_code, reason = "held for its drop")] Permit);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn nothing_is_known_below_a_hundred_samples() {
        let start = crate::clock::now();
        let latency = Latency::new(start);
        (0..99).for_each(|_| latency.on_head(MS));
        assert_eq!(latency.after(95, start), None);
        latency.on_head(MS);
        assert_eq!(latency.after(95, start), None, "the answer is fresh for a while");
        assert_eq!(latency.after(95, start + FRESH), Some(Duration::from_micros(1023)));
    }

    #[test]
    fn another_percentile_is_another_answer() {
        let start = crate::clock::now();
        let latency = Latency::new(start);
        (1..=1000).for_each(|n| latency.on_head(MS * n));
        for (percent, about) in [(50, 500), (95, 950), (99, 990), (50, 500)] {
            let after = latency.after(percent, start).unwrap();
            assert!(after >= MS * about && after <= MS * (about + about / 8), "p{percent}: {after:?}");
        }
    }

    #[test]
    fn what_is_older_than_a_minute_is_forgotten() {
        let start = crate::clock::now();
        let latency = Latency::new(start);
        let at = |seconds| latency.after(95, start + Duration::from_secs(seconds));
        (0..1000).for_each(|_| latency.on_head(MS * 100));
        assert!(at(1) >= Some(MS * 100));
        assert!(at(30) >= Some(MS * 100));
        (0..200).for_each(|_| latency.on_head(MS));
        assert!(at(59) >= Some(MS * 100), "the older half still counts");
        assert!(at(60).is_some_and(|after| after < MS * 2));
        assert_eq!(at(90), None);
        (0..200).for_each(|_| latency.on_head(MS));
        assert_eq!(at(300), None, "nobody asked for longer than both halves last");
    }

    #[test]
    fn buckets_join_without_gaps_and_the_longest_is_the_last() {
        for bucket_number in 1..u32::try_from(BUCKETS).unwrap() {
            let lowest = highest(bucket_number - 1) + 1;
            let ends = [lowest, highest(bucket_number)].map(|micros| bucket(Duration::from_micros(micros)));
            assert_eq!(ends, [bucket_number as usize; 2]);
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
        assert_eq!(highest(u32::try_from(BUCKETS).unwrap() - 1), LONGEST);
    }

    #[test]
    fn hedges_are_a_share_of_the_requests_that_might_have_one() {
        let hedges = Hedges::default();
        let live: Vec<_> = (0..100).map(|_| hedges.enter()).collect();
        let permits: Vec<_> = live.iter().filter_map(|live| live.hedge(50)).collect();
        assert_eq!((permits.len(), hedges.under_way()), (5, 5));
        drop(permits);
        assert_eq!(
            live[..1].iter().chain(&live[..1]).filter_map(|live| live.hedge(1)).count(),
            2,
            "dropped at once"
        );
        assert!(live[0].hedge(0).is_none());
        assert!(may_hedge("GET") && may_hedge("HEAD") && !may_hedge("PUT"));
    }

    proptest! {
        #[test]
        fn a_percentile_is_never_too_low_and_an_eighth_too_high_at_most(
            micros in prop::collection::vec(1_u64..60_000_000, 100..400), percent in 50_u8..=99,
        ) {
            let start = crate::clock::now();
            let latency = Latency::new(start);
            micros.iter().for_each(|micros| latency.on_head(Duration::from_micros(*micros)));
            let mut sorted = micros;
            sorted.sort_unstable();
            let truth = sorted[(sorted.len() * usize::from(percent)).div_ceil(100) - 1];
            let after = u64::try_from(latency.after(percent, start).unwrap().as_micros()).unwrap();
            prop_assert!(after >= truth && after <= truth + truth / 8, "{} for {}", after, truth);
        }
    }
}
