//! How long requests hold their slots: those to a cluster, and of these a tenant's or a principal's. Times are
//! nanoseconds since the core's beginning.

/// A recent mean gives the newest this part.
const NEWEST: u64 = 16;

/// Slots held now, and how long those held lately were held.
#[derive(Debug, Default)]
pub(super) struct Hold {
    held: u32,
    /// Sum of the times when those held now were taken.
    taken: u128,
    /// Of those held now, by requests whose bodies are still to come.
    streaming: u32,
    /// Taken since one was last given back in time.
    unproven: u32,
    /// Recent mean of those given back.
    mean: Option<u64>,
}

impl Hold {
    /// Of what is not known.
    pub(super) const NONE: Self = Self { held: 0, taken: 0, streaming: 0, unproven: 0, mean: None };

    pub(super) fn held(&self) -> u32 {
        self.held
    }

    pub(super) fn begin(&mut self, streams: bool, now: u64) {
        self.held = self.held.saturating_add(1);
        self.streaming = self.streaming.saturating_add(streams.into());
        self.unproven = self.unproven.saturating_add(1);
        self.taken += u128::from(now);
    }

    pub(super) fn end(&mut self, streams: bool, taken: u64, lend: u64, now: u64) {
        self.held = self.held.saturating_sub(1);
        self.streaming = self.streaming.saturating_sub(streams.into());
        self.taken = self.taken.saturating_sub(u128::from(taken));
        let held = now.saturating_sub(taken);
        if held <= lend {
            self.unproven = 0;
        }
        self.mean = Some(self.mean.map_or(held, |mean| mean - mean / NEWEST + held / NEWEST));
    }

    // http.md §2: recent mean hold, and mean age of those it holds now, ≤ `lend`. A request whose body is still to come
    // holds its slot for as long as its client likes, whatever those before it did: a history does not speak for more of
    // these than for others, or it would lend all slots at once to whoever turns slow.
    pub(super) fn turns_over_fast(&self, lend: u64, now: u64) -> bool {
        self.mean.is_some() && self.streaming <= self.held / 2 && !self.is_slow(lend, now)
    }

    /// Whether what it takes now is known to come back. A burst looks fast for as long as `lend`, whatever becomes of it:
    /// it shows that slots come back only by giving some back. So no more than `most` are lent on a history alone.
    pub(super) fn is_proven(&self, most: u32) -> bool {
        self.mean.is_some() && self.unproven <= most
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
        hold.begin(false, 0);
        assert_eq!(seen(&hold, 100), (false, false));
        assert_eq!(seen(&hold, 101), (false, true), "what it holds is old");
        hold.begin(false, 100);
        assert_eq!(seen(&hold, 150), (false, false), "on the mean it is not");
        hold.end(false, 100, 100, 150);
        hold.end(false, 0, 100, 150);
        assert_eq!(hold.held(), 0);
        assert_eq!(seen(&hold, 150), (true, false));
        hold.begin(false, 200);
        assert_eq!(seen(&hold, 301), (false, true));
        hold.end(false, 200, 100, 2200);
        assert_eq!(seen(&hold, 2200), (false, true), "what it held was slow");
    }

    #[test]
    fn what_is_taken_is_proven_by_what_comes_back_in_time() {
        let mut hold = Hold::default();
        assert!(!hold.is_proven(2), "nothing is known");
        (0..3).for_each(|_| hold.begin(false, 0));
        hold.end(false, 0, 100, 101);
        assert!(!hold.is_proven(2), "it came late");
        hold.end(false, 0, 100, 100);
        assert!(hold.is_proven(0));
        (0..3).for_each(|_| hold.begin(false, 100));
        assert_eq!((hold.is_proven(2), hold.is_proven(3)), (false, true));
    }

    #[test]
    fn a_history_does_not_speak_for_bodies_that_are_still_to_come() {
        let mut hold = Hold::default();
        hold.begin(false, 0);
        hold.end(false, 0, 100, 1);
        assert!(hold.turns_over_fast(100, 1));
        hold.begin(true, 1);
        assert!(!hold.turns_over_fast(100, 1));
        hold.begin(false, 1);
        assert!(hold.turns_over_fast(100, 1), "half of what it holds");
        hold.end(true, 1, 100, 2);
        assert!(hold.turns_over_fast(100, 2));
    }
}
