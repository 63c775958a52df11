//! `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10): what a client is told of its own quota.
//!
//! ```text
//! RateLimit-Policy: "tenant";q=400;w=2
//! RateLimit: "tenant";r=12;t=2
//! ```
//!
//! `q` is the burst, `w` the seconds from empty to full, `r` what is left, `t` the seconds until it is full again. Both are
//! lists of structured fields (RFC 9651) whose items are strings.

use std::time::Duration;

use super::{Level, Which};

/// The value of `RateLimit-Policy`.
pub fn policy(which: Which, level: &Level) -> String {
    format!(r#""{}";q={};w={}"#, which.as_str(), level.limit, seconds(level.window).max(1))
}

/// The value of `RateLimit`.
pub fn limit(which: Which, level: &Level) -> String {
    format!(r#""{}";r={};t={}"#, which.as_str(), level.remaining, seconds(level.reset))
}

/// Whole seconds, rounded up: who waits that long has waited long enough.
fn seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_read_as_the_draft_has_them() {
        let level = Level {
            limit: 400,
            window: Duration::from_secs(2),
            remaining: 12,
            reset: Duration::from_millis(1_940),
        };
        assert_eq!(policy(Which::Tenant, &level), r#""tenant";q=400;w=2"#);
        assert_eq!(limit(Which::Tenant, &level), r#""tenant";r=12;t=2"#);
    }

    #[test]
    fn a_window_below_a_second_is_said_to_be_one() {
        let level = Level { limit: 1, window: Duration::from_millis(2), remaining: 0, reset: Duration::ZERO };
        assert_eq!(policy(Which::Address, &level), r#""address";q=1;w=1"#);
        assert_eq!(limit(Which::Address, &level), r#""address";r=0;t=0"#);
    }
}
