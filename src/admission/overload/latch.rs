//! One cause of pressure, with hysteresis.

use std::time::Instant;

use super::{Level, PARTS, Policy, Shedding};

/// A value that is just at the threshold.
pub(super) const THRESHOLD: u64 = 1_000_000;
/// Parts of the writes, in 32, that are let through on trial before all of them are, each for half of `hold`. The first
/// are so few that a service that stalls still shows it before the reads wait for them. Pressure that
/// comes of the writes alone is gone as soon as they are shed: it would come and go for as long as its cause lasts.
const TRIALS: [u8; 3] = [1, 8, 32];

#[derive(Debug, Default)]
pub(super) struct Latch {
    level: Level,
    /// How many of the trials have begun.
    trials: usize,
    /// It has been over the threshold since then.
    over: Option<Instant>,
    /// It has been below the release since then, or since the last step down.
    below: Option<Instant>,
}

impl Latch {
    pub(super) fn shedding(&self) -> Shedding {
        let through = self.trials.checked_sub(1).and_then(|trial| TRIALS.get(trial)).copied().unwrap_or(0);
        Shedding { level: self.level, parts: if self.level == Level::Normal { 0 } else { PARTS - through } }
    }

    /// `value` is in millionths of the threshold.
    pub(super) fn update(&mut self, policy: &Policy, value: u64, now: Instant) {
        if value > THRESHOLD {
            (self.below, self.trials) = (None, 0);
            let since = *self.over.get_or_insert(now);
            self.level = match self.level {
                Level::Normal => Level::Writes,
                Level::Writes if now.saturating_duration_since(since) >= policy.hold => Level::Last,
                same => same,
            };
            return;
        }
        self.over = None;
        if value > u64::from(policy.release) * THRESHOLD / 1000 {
            self.below = None;
            return;
        }
        let since = *self.below.get_or_insert(now);
        let step = if self.trials == 0 { policy.hold } else { policy.hold / 2 };
        if self.level > Level::Normal && now.saturating_duration_since(since) >= step {
            self.below = Some(now);
            self.step_down();
        }
    }

    fn step_down(&mut self) {
        match self.level {
            Level::Last => self.level = Level::Writes,
            Level::Writes if self.trials < TRIALS.len() => self.trials += 1,
            Level::Writes | Level::Normal => (self.level, self.trials) = (Level::Normal, 0),
        }
    }
}
