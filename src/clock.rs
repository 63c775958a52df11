//! The one place that reads the clock. Cores are handed `now`; the shell asks here.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The monotonic clock: for deadlines and durations.
#[expect(clippy::disallowed_methods, reason = "this is where the shell reads the clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// The wall clock: for logs and expiry dates.
#[expect(clippy::disallowed_methods, reason = "this is where the shell reads the clock")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// The wall clock since the Unix epoch; zero for a clock that is set before it.
pub fn since_epoch() -> Duration {
    wall().duration_since(UNIX_EPOCH).unwrap_or_default()
}
