//! How long the requests of a tenant, a principal or a cluster hold their slots. Times are nanoseconds since the core's
//! beginning.

/// A recent mean gives the newest this part.
const NEWEST: u64 = 16;

/// Slots held now, and how long those held lately were held.
#[derive(Debug, Default)]
pub(super) struct Hold {
    held: u32,
    /// Sum of the times when those held now were taken.
    taken: u128,
    /// Recent mean of those given back.
    mean: Option<u64>,
}

impl Hold {
    pub(super) fn held(&self) -> u32 {
        self.held
    }

    pub(super) fn begin(&mut self, now: u64) {
        self.held = self.held.saturating_add(1);
        self.taken += u128::from(now);
    }

    pub(super) fn end(&mut self, taken: u64, now: u64) {
        self.held = self.held.saturating_sub(1);
        self.taken = self.taken.saturating_sub(u128::from(taken));
        let held = now.saturating_sub(taken);
        self.mean = Some(self.mean.map_or(held, |mean| mean - mean / NEWEST + held / NEWEST));
    }

    // http.md §2: recent mean hold, and mean age of those it holds now, ≤ `lend`.
    pub(super) fn turns_over_fast(&self, lend: u64, now: u64) -> bool {
        self.mean.is_some() && !self.is_slow(lend, now)
    }

    /// Shown to be slow; one without a history and with nothing old is not.
    pub(super) fn is_slow(&self, lend: u64, now: u64) -> bool {
        let ages = u128::from(self.held) * u128::from(now);
        self.mean.is_some_and(|mean| mean > lend)
            || ages.saturating_sub(self.taken) > u128::from(self.held) * u128::from(lend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_hold_and_mean_age_both_count_and_no_history_is_neither_fast_nor_slow() {
        let mut hold = Hold::default();
        let seen = |hold: &Hold, now| (hold.turns_over_fast(100, now), hold.is_slow(100, now));
        assert_eq!(seen(&hold, 0), (false, false));
        hold.begin(0);
        assert_eq!(seen(&hold, 100), (false, false));
        assert_eq!(seen(&hold, 101), (false, true), "what it holds is old");
        hold.begin(100);
        assert_eq!(seen(&hold, 150), (false, false), "on the mean it is not");
        hold.end(100, 150);
        hold.end(0, 150);
        assert_eq!(hold.held(), 0);
        assert_eq!(seen(&hold, 150), (true, false));
        hold.begin(200);
        assert_eq!(seen(&hold, 301), (false, true));
        hold.end(200, 2200);
        assert_eq!(seen(&hold, 2200), (false, true), "what it held was slow");
    }
}
