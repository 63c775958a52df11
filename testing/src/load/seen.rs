//! What one thread of the generator saw.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Histogram;

/// Counts.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) times: Histogram,
    pub(super) statuses: BTreeMap<u16, u64>,
    pub(super) errors: BTreeMap<String, u64>,
}

impl Seen {
    /// Counts a good answer.
    pub(super) fn answer(&mut self, status: u16, time: Duration) {
        *self.statuses.entry(status).or_default() += 1;
        self.times.record(time);
    }

    /// Counts anything else.
    pub(super) fn error(&mut self, kind: &str) {
        *self.errors.entry(kind.to_owned()).or_default() += 1;
    }
}
