//! The observed service rate of a queue, for saying how long one at its end would wait.

/// The newest makes up this part.
const NEWEST: u64 = 32;
/// Fewer say nothing: service comes in bunches.
const ENOUGH: u8 = 16;

/// Time and cost of the last grants out of a queue while somebody waited in it.
#[derive(Debug, Default)]
pub(super) struct Pace {
    time: u64,
    cost: u64,
    grants: u8,
    since: u64,
}

impl Pace {
    /// Somebody begins to wait.
    pub(super) fn begin(&mut self, now: u64) {
        self.since = now;
    }

    pub(super) fn on_grant(&mut self, cost: u64, now: u64) {
        self.time = (self.time - self.time / NEWEST).saturating_add(now.saturating_sub(self.since));
        self.cost = (self.cost - self.cost / NEWEST).saturating_add(cost);
        self.grants = self.grants.saturating_add(1);
        self.since = now;
    }

    /// Nanoseconds until `cost` has been served, if enough was seen to tell.
    pub(super) fn time_for(&self, cost: u64) -> Option<u64> {
        if self.grants < ENOUGH || self.cost == 0 {
            return None;
        }
        let time = u128::from(cost) * u128::from(self.time) / u128::from(self.cost);
        Some(u64::try_from(time).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_served_in_bunches_has_the_pace_of_their_mean() {
        let mut pace = Pace::default();
        pace.begin(0);
        assert_eq!(pace.time_for(1), None, "nothing seen");
        for bunch in 1..=20_u64 {
            for _ in 0..16 {
                pace.on_grant(3, bunch * 480);
            }
        }
        let time = pace.time_for(300).unwrap();
        assert!((2000..=4000).contains(&time), "about 480 / 16 / 3 each: {time}");
        for grant in 1..=100 {
            pace.on_grant(3, 9600 + grant * 300);
        }
        assert!((25_000..31_000).contains(&pace.time_for(300).unwrap()), "and follows");
    }
}
