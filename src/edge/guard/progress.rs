//! Whether bytes move fast enough, in one direction of one exchange (http.md §7): `min_rate` over a window, not counting
//! the time in which the gateway itself is the brake.
//!
//! The window slides by a fifth of itself: from its first end on, at each fifth, what has moved within the last whole
//! window must be as much as the rate asks. A burst is worth its bytes for one window and no longer.
//!
//! It does not know which bytes these are, and sets no timer: [`Pace::deadline`] says when to look again.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// Parts of the window by which it slides.
const PARTS: usize = 5;

/// The least that must move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinRate {
    /// Bytes a second.
    pub per_second: NonZeroU64,
    /// The window over which they are counted.
    pub over: Duration,
}

impl MinRate {
    /// Bytes that a window must have.
    fn least(&self) -> u64 {
        let bytes = u128::from(self.per_second.get()).saturating_mul(self.over.as_millis()) / 1000;
        u64::try_from(bytes).unwrap_or(u64::MAX).max(1)
    }

    fn part(&self) -> Duration {
        (self.over / 5).max(Duration::from_nanos(1))
    }
}

/// Too few bytes for the time: 408 `slow`, or the answer is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("slower than the minimum rate")]
pub struct Slow;

/// The bytes of one direction.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    least: u64,
    part: Duration,
    /// Since when time counts; `None` while paused.
    since: Option<Instant>,
    /// Of the part of the window that is under way, how much has been counted.
    within: Duration,
    /// Whole parts that have been counted, up to a window's.
    parts: usize,
    /// Bytes of the part under way, and of those before it.
    moved: [u64; PARTS],
    is_slow: bool,
}

impl Pace {
    /// Time counts from `now` on.
    pub fn new(rate: &MinRate, now: Instant) -> Self {
        Self { since: Some(now), ..Self::paused(rate) }
    }

    /// Time counts from [`Pace::resume`] on.
    pub fn paused(rate: &MinRate) -> Self {
        Self {
            least: rate.least(),
            part: rate.part(),
            since: None,
            within: Duration::ZERO,
            parts: 0,
            moved: [0; PARTS],
            is_slow: false,
        }
    }

    /// `bytes` have moved.
    pub fn moved(&mut self, bytes: u64, now: Instant) {
        self.advance(now);
        let [current, ..] = &mut self.moved;
        *current = current.saturating_add(bytes);
    }

    /// The gateway does not read, or has nothing to write: time does not count.
    pub fn pause(&mut self, now: Instant) {
        self.advance(now);
        self.since = None;
    }

    /// It is the client's turn again.
    pub fn resume(&mut self, now: Instant) {
        self.since = self.since.or(Some(now));
    }

    /// # Errors
    /// At some time until `now`, a window had too few bytes.
    pub fn check(&mut self, now: Instant) -> Result<(), Slow> {
        self.advance(now);
        if self.is_slow { Err(Slow) } else { Ok(()) }
    }

    /// When it will be slow if nothing moves, or since when it is known to be; `None` while paused. To be asked again after
    /// that time, since something may have moved.
    pub fn deadline(&self) -> Option<Instant> {
        let since = self.since?;
        if self.is_slow {
            return Some(since);
        }
        // Windows end with the part under way, and with each of those after it, which are empty as yet.
        let parts = (0..=PARTS).find(|later| {
            let counted = self.parts.saturating_add(later.saturating_add(1));
            let bytes = self.moved.iter().take(PARTS.saturating_sub(*later)).sum::<u64>();
            counted >= PARTS && bytes < self.least
        });
        let parts = u32::try_from(parts.unwrap_or(PARTS)).unwrap_or(u32::MAX).saturating_add(1);
        since.checked_add(self.part.saturating_mul(parts).saturating_sub(self.within))
    }

    fn advance(&mut self, now: Instant) {
        let Some(since) = self.since else { return };
        let mut passed = self.within.saturating_add(now.saturating_duration_since(since));
        self.since = Some(since.max(now));
        // A window without a byte is slow, so that this ends after as many rounds at most.
        while passed >= self.part && !self.is_slow {
            passed = passed.saturating_sub(self.part);
            self.parts = self.parts.saturating_add(1).min(PARTS);
            self.is_slow = self.parts == PARTS && self.moved.iter().sum::<u64>() < self.least;
            self.moved.rotate_right(1);
            let [current, ..] = &mut self.moved;
            *current = 0;
        }
        self.within = passed;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATE: MinRate =
        MinRate { per_second: NonZeroU64::new(16 << 10).unwrap(), over: Duration::from_secs(5) };

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Until when bytes that come at a steady rate are fast enough, looking only when told to.
    fn steady(bytes: u64, every: Duration, until: Duration) -> Option<Duration> {
        let start = Instant::now();
        let mut pace = Pace::new(&RATE, start);
        let mut next = start + every;
        while next < start + until {
            while let Some(due) = pace.deadline().filter(|due| *due <= next) {
                if pace.check(due).is_err() {
                    return Some(due - start);
                }
            }
            pace.moved(bytes, next);
            next += every;
        }
        None
    }

    #[test]
    fn a_client_below_the_rate_is_slow_after_the_window_and_one_above_never() {
        for (bytes, every, slow_after) in [
            (1, ms(1000), Some(ms(5000))),
            (8 << 10, ms(1000), Some(ms(5000))),
            (15 << 10, ms(999), Some(ms(5000))),
            (21 << 10, ms(1000), None),
            (2 << 10, ms(120), None),
            (1700, ms(100), None),
            (90 << 10, ms(4900), None),
            // Bytes by the window, but more than a window apart.
            (1 << 20, ms(7000), Some(ms(5000))),
        ] {
            assert_eq!(steady(bytes, every, ms(60_000)), slow_after, "{bytes} bytes every {every:?}");
        }
    }

    #[test]
    fn a_client_that_stalls_is_slow_a_window_after_its_last_bytes_had_their_time() {
        let start = Instant::now();
        let mut pace = Pace::new(&RATE, start);
        for second in 1..=10 {
            pace.moved(1 << 20, start + ms(1000 * second - 1));
        }
        assert_eq!(pace.deadline(), Some(start + ms(15_000)));
        assert_eq!(pace.check(start + ms(14_999)), Ok(()));
        assert_eq!(pace.check(start + ms(15_000)), Err(Slow));
        pace.moved(1 << 30, start + ms(15_001));
        assert_eq!(pace.check(start + ms(15_002)), Err(Slow), "what was slow stays slow");
    }

    #[test]
    fn time_in_which_the_gateway_is_the_brake_does_not_count() {
        let start = Instant::now();
        let mut pace = Pace::new(&RATE, start);
        pace.pause(start + ms(3000));
        assert_eq!(pace.deadline(), None);
        assert_eq!(pace.check(start + ms(60_000)), Ok(()));
        pace.resume(start + ms(60_000));
        pace.resume(start + ms(61_000));
        assert_eq!(pace.deadline(), Some(start + ms(62_000)));
        assert_eq!(pace.check(start + ms(61_999)), Ok(()));
        assert_eq!(pace.check(start + ms(62_000)), Err(Slow));

        let mut pace = Pace::paused(&RATE);
        assert_eq!(pace.check(start + ms(60_000)), Ok(()));
        pace.resume(start);
        assert_eq!(pace.deadline(), Some(start + ms(5000)));
    }

    #[test]
    fn a_clock_that_goes_back_harms_nobody() {
        let start = Instant::now() + ms(10_000);
        let mut pace = Pace::new(&RATE, start);
        pace.moved(1, start - ms(5000));
        assert_eq!(pace.check(start), Ok(()));
        assert_eq!(pace.deadline(), Some(start + ms(5000)));
    }

    proptest! {
        #[test]
        fn it_is_slow_exactly_when_some_whole_window_was(
            steps in prop::collection::vec((0_u64..1500, 0_u64..40_000), 0..60),
        ) {
            let start = Instant::now();
            let mut pace = Pace::new(&RATE, start);
            let (mut at, mut moves) = (0, Vec::new());
            for (wait, bytes) in steps {
                at += wait;
                let due = pace.deadline();
                let slow = pace.check(start + ms(at)).is_err();
                let windows = (5..=at / 1000).map(|end| (end - 5) * 1000..end * 1000);
                let want = windows.clone().any(|window| {
                    let bytes = moves.iter().filter(|(at, _)| window.contains(at)).map(|(_, bytes)| bytes).sum::<u64>();
                    bytes < RATE.least()
                });
                prop_assert_eq!(slow, want, "at {}", at);
                if slow {
                    // And the deadline had said so.
                    prop_assert!(due.is_some_and(|due| due <= start + ms(at)));
                    break;
                }
                pace.moved(bytes, start + ms(at));
                moves.push((at, bytes));
            }
        }
    }
}
