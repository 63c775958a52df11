//! `admission` and `degrade`: who is served first, and when writes are shed.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::limits::{LONGEST, SHORTEST};
use super::schema::{Schema, absent_or, duration, key, number, section, share, size};
use super::units::{self, Share};

/// Requests that may wait at all.
pub(super) const MOST_QUEUED: u64 = 1_000_000;

const fn count(n: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(n.saturating_sub(1))
}

/// Who waits for a slot, and what a request costs there (http.md §2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admission {
    /// Requests of one tenant that may wait.
    pub queue: NonZeroU32,
    /// Requests that may wait in all; at least `queue`.
    pub queue_total: NonZeroU32,
    /// How long one may wait.
    #[serde(with = "units::duration")]
    pub wait: Duration,
    /// Bytes of a request and its answer that cost as much as the request itself.
    #[serde(with = "units::size")]
    pub cost_unit: u64,
    /// Requests that turn over within this may take any free slot.
    #[serde(with = "units::duration")]
    pub lend: Duration,
    /// A body declared so large at most is gathered before the request takes a slot.
    #[serde(with = "units::size")]
    pub gather: u64,
    /// All bodies being gathered together.
    #[serde(with = "units::size")]
    pub gather_total: u64,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            queue: count(256),
            queue_total: count(1024),
            wait: Duration::from_millis(250),
            cost_unit: 64 << 10,
            lend: Duration::from_millis(100),
            gather: 64 << 10,
            gather_total: 64 << 20,
        }
    }
}

pub(super) fn schema() -> Schema {
    section([
        key("queue", "requests of one tenant that may wait", number(1, MOST_QUEUED)),
        key("queue_total", "requests that may wait in all", number(1, MOST_QUEUED)),
        key("wait", "how long one may wait", duration(SHORTEST, Duration::from_secs(60))),
        key("cost_unit", "bytes that cost as much as a request itself", size(1 << 10, 1 << 30)),
        key(
            "lend",
            "requests that turn over within this may take any free slot",
            duration(SHORTEST, LONGEST),
        ),
        // config.md: gather at most 64KiB, which is what a retry may hold too (http.md §7).
        key("gather", "bodies up to this are gathered before they take a slot", size(0, 64 << 10)),
        key("gather_total", "all bodies being gathered", size(0, 16 << 30)),
    ])
}

/// When writes are shed (http.md §4), and when no longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Degrade {
    /// Share of `limits.in_flight` that is taken, while the wait is over `wait`.
    pub in_flight: Share,
    /// Wait for a slot.
    #[serde(with = "units::duration")]
    pub wait: Duration,
    /// How late a worker's timers are.
    #[serde(with = "units::duration")]
    pub lag: Duration,
    /// Bytes of the process in memory; `None` (`none`) is not looked at.
    #[serde(with = "units::size_or_none")]
    pub memory: Option<u64>,
    /// Share of the descriptors that the process may have.
    pub descriptors: Share,
    /// Share of a cluster's requests that fail: its own routes' writes are shed.
    pub backend_failures: Share,
    /// Share of each threshold below which it counts as over.
    pub release: Share,
    /// How long it must stay there before writes are served again.
    #[serde(with = "units::duration")]
    pub hold: Duration,
}

impl Default for Degrade {
    fn default() -> Self {
        Self {
            in_flight: Share::percent(90),
            wait: Duration::from_millis(100),
            lag: Duration::from_millis(50),
            memory: None,
            descriptors: Share::percent(90),
            backend_failures: Share::percent(50),
            release: Share::percent(80),
            hold: Duration::from_secs(2),
        }
    }
}

pub(super) fn degrade_schema() -> Schema {
    section([
        key("in_flight", "share of limits.in_flight taken, while the wait is over its own", share()),
        key("wait", "wait for a slot", duration(SHORTEST, LONGEST)),
        key("lag", "how late a worker's timers are", duration(SHORTEST, LONGEST)),
        key(
            "memory",
            "bytes of the process in memory; none: not looked at",
            absent_or("none", size(1 << 20, 1 << 50)),
        ),
        key("descriptors", "share of the descriptors that the process may have", share()),
        key("backend_failures", "share of a cluster's requests that fail", share()),
        key("release", "share of each threshold below which it is over", share()),
        key("hold", "how long it must stay there", duration(Duration::ZERO, LONGEST)),
    ])
}
