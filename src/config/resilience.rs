//! `clusters.NAME.health`, `.ejection`, `.retry` and `.hedge`: what happens when backends are slow, sick or gone.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::finding::quoted;
use super::limits::{LONGEST, SHORTEST};
use super::matching::ExactPath;
use super::schema::{Schema, absent_or, duration, key, number, section, share, text};
use super::units::Share;
use super::{text, units};

const fn count(n: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(n.saturating_sub(1))
}

/// Active checks of every backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Health {
    /// From check to check, jitter added.
    #[serde(with = "units::duration")]
    pub interval: Duration,
    /// For one whole check.
    #[serde(with = "units::duration")]
    pub timeout: Duration,
    /// Failures in a row that make a backend unhealthy.
    pub unhealthy: NonZeroU32,
    /// Successes in a row that make it healthy again.
    pub healthy: NonZeroU32,
    /// Also GET this path; `None` is `none`.
    #[serde(serialize_with = "text::or_none")]
    pub path: Option<ExactPath>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(2),
            timeout: Duration::from_secs(1),
            unhealthy: count(3),
            healthy: count(2),
            path: None,
        }
    }
}

/// Passive checks: a backend whose requests fail is left alone for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ejection {
    /// So many in a row.
    pub consecutive_failures: NonZeroU32,
    /// The first ejection's length; it grows with each.
    #[serde(with = "units::duration")]
    pub base: Duration,
    /// The longest ejection.
    #[serde(with = "units::duration")]
    pub max: Duration,
    /// At most this share of the backends at once; 0% ejects none.
    pub share: Share,
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            consecutive_failures: count(5),
            base: Duration::from_secs(10),
            max: Duration::from_secs(300),
            share: Share::percent(50),
        }
    }
}

/// Further attempts of a request that may be repeated (http.md §7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// All attempts, the first included: 1 is no retry.
    pub attempts: NonZeroU32,
    /// Retries beside the live requests, at most.
    pub budget: Share,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: count(2), budget: Share::percent(20) }
    }
}

/// A second attempt of a GET or HEAD while the first is still under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hedge {
    /// When the first has taken longer than this share of the cluster's requests do.
    pub after: Percentile,
    /// Hedges beside the requests that might have one, at most.
    pub budget: Share,
}

impl Default for Hedge {
    fn default() -> Self {
        Self { after: Percentile(95), budget: Share::percent(5) }
    }
}

/// A percentile of latency, 50 to 99, written `p95`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percentile(u8);

impl Percentile {
    /// Of a hundred requests, how many are faster.
    pub const fn percent(self) -> u8 {
        self.0
    }
}

impl FromStr for Percentile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix('p').map(str::parse) {
            Some(Ok(percent @ 50..=99)) if text.len() == 3 => Ok(Self(percent)),
            _ => Err(format!("{} is no percentile, write p50 to p99 such as p95", quoted(text))),
        }
    }
}

impl fmt::Display for Percentile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.0)
    }
}

text::text_value!(Percentile);

pub(super) fn health_schema() -> Schema {
    section([
        key("interval", "from check to check", duration(Duration::from_millis(10), LONGEST)),
        key("timeout", "for one whole check", duration(SHORTEST, LONGEST)),
        key("unhealthy", "failures in a row that make a backend unhealthy", number(1, 100)),
        key("healthy", "successes in a row that make it healthy again", number(1, 100)),
        key("path", "also GET it", absent_or("none", text::<ExactPath>("a path such as /health"))),
    ])
}

pub(super) fn ejection_schema() -> Schema {
    section([
        key("consecutive_failures", "so many in a row eject a backend", number(1, 1000)),
        key("base", "the first ejection's length", duration(SHORTEST, LONGEST)),
        key("max", "the longest ejection", duration(SHORTEST, LONGEST)),
        key("share", "of the backends, at most, at once; 0% ejects none", share()),
    ])
}

pub(super) fn retry_schema() -> Schema {
    section([
        key("attempts", "the first included: 1 is no retry", number(1, 10)),
        key("budget", "retries beside the live requests", share()),
    ])
}

pub(super) fn hedge_schema() -> Schema {
    section([
        key("after", "of the cluster's observed latency", text::<Percentile>("a percentile such as p95")),
        key("budget", "hedges beside the requests that might have one", share()),
    ])
}
