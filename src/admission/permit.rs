//! A place in flight.

use std::time::Duration;

use super::Admission;
use super::drr::Grant;

/// A place in flight; dropped, it is free again and its cost is settled.
#[derive(Debug)]
#[must_use = "dropped, the place is free again"]
pub struct Permit {
    admission: Admission,
    grant: Option<Grant>,
    bytes: u64,
    waited: Duration,
}

impl Permit {
    pub(super) fn new(admission: Admission, grant: Grant) -> Self {
        let (bytes, waited) = (grant.declared(), grant.waited());
        Self { admission, grant: Some(grant), bytes, waited }
    }

    /// Bytes of request and response that have passed so far. The last figure counts when the permit is dropped; without
    /// one it is what was declared.
    pub fn settle(&mut self, bytes: u64) {
        self.bytes = bytes;
    }

    /// How long it was waited for.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(grant) = self.grant.take() else { return };
        let now = self.admission.now();
        self.admission.with(|state| state.drr.release(grant, self.bytes, now));
    }
}
