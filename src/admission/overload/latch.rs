//! One cause of pressure, with hysteresis.

use std::time::Instant;

use super::{Level, Policy};

/// A value that is just at the threshold.
pub(super) const THRESHOLD: u64 = 1_000_000;

#[derive(Debug, Default)]
pub(super) struct Latch {
    level: Level,
    /// It has been over the threshold since then.
    over: Option<Instant>,
    /// It has been below the release since then, or since the last step down.
    below: Option<Instant>,
}

impl Latch {
    pub(super) fn level(&self) -> Level {
        self.level
    }

    /// `value` is in millionths of the threshold.
    pub(super) fn update(&mut self, policy: &Policy, value: u64, now: Instant) {
        let has_held = |since: Instant| now.saturating_duration_since(since) >= policy.hold;
        if value > THRESHOLD {
            self.below = None;
            let since = *self.over.get_or_insert(now);
            self.level = match self.level {
                Level::Normal => Level::Writes,
                Level::Writes if has_held(since) => Level::Last,
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
        if self.level > Level::Normal && has_held(since) {
            self.below = Some(now);
            self.level = match self.level {
                Level::Last => Level::Writes,
                Level::Writes | Level::Normal => Level::Normal,
            };
        }
    }
}
