//! `limits.rate` and what belongs to it: how often the instance, an address and a method may ask.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rates::Rate;
use super::schema::{self, Schema, absent_or, duration, key, number, section};
use super::{text, units};

/// Tokens that a bucket can hold at all.
pub(super) const LARGEST_BURST: u64 = 100_000_000;
/// Connections of one process at all: file descriptors end earlier.
pub(super) const MOST_CONNECTIONS: u64 = 1_000_000;

const fn count(n: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(n.saturating_sub(1))
}

/// The instance's rate when nothing is said.
pub(super) const RATE: Rate = Rate::a_second(count(500));
/// Its burst, and an address's.
pub(super) const BURST: NonZeroU32 = count(500);

/// What one client address may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PerAddress {
    /// Tokens; `None` (`none`) is unbounded.
    #[serde(serialize_with = "text::or_none")]
    pub rate: Option<Rate>,
    /// Tokens at once; `None` (`none`) is unbounded, and so is the rate then. Read it by [`PerAddress::bucket`].
    #[serde(serialize_with = "text::or_none")]
    pub burst: Option<NonZeroU32>,
    /// Connections at once; `None` (`none`) is unbounded.
    #[serde(serialize_with = "text::or_none")]
    pub connections: Option<NonZeroU32>,
}

impl Default for PerAddress {
    fn default() -> Self {
        Self { rate: Some(RATE), burst: Some(BURST), connections: Some(count(256)) }
    }
}

impl PerAddress {
    /// Rate and burst, unless one of them is lifted.
    pub fn bucket(&self) -> Option<(Rate, NonZeroU32)> {
        self.rate.zip(self.burst)
    }
}

/// What happens on a connection that goes on asking after it was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Penalty {
    /// Refusals in a row after which answers are held; 0 never holds any.
    pub after: u32,
    /// How long each is held.
    #[serde(with = "units::duration")]
    pub delay: Duration,
}

impl Default for Penalty {
    fn default() -> Self {
        Self { after: 20, delay: Duration::from_millis(500) }
    }
}

/// Tokens that a request takes, by its method. What is not here takes 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the methods say it")]
pub struct Cost {
    pub get: NonZeroU32,
    #[serde(skip_serializing_if = "is_one")]
    pub head: NonZeroU32,
    pub put: NonZeroU32,
    pub post: NonZeroU32,
    #[serde(skip_serializing_if = "is_one")]
    pub patch: NonZeroU32,
    #[serde(skip_serializing_if = "is_one")]
    pub delete: NonZeroU32,
    #[serde(skip_serializing_if = "is_one")]
    pub options: NonZeroU32,
}

impl Default for Cost {
    fn default() -> Self {
        let one = NonZeroU32::MIN;
        Self { get: one, head: one, put: one, post: one, patch: one, delete: one, options: one }
    }
}

impl Cost {
    /// Tokens that a request with this method takes.
    pub fn of(&self, method: &str) -> NonZeroU32 {
        let found = self.all().into_iter().find(|(name, _)| *name == method);
        found.map_or(NonZeroU32::MIN, |(_, tokens)| tokens)
    }

    /// Every method that may have a cost of its own, and its cost.
    pub fn all(&self) -> [(&'static str, NonZeroU32); 7] {
        [
            ("GET", self.get),
            ("HEAD", self.head),
            ("PUT", self.put),
            ("POST", self.post),
            ("PATCH", self.patch),
            ("DELETE", self.delete),
            ("OPTIONS", self.options),
        ]
    }
}

fn is_one(tokens: &NonZeroU32) -> bool {
    *tokens == NonZeroU32::MIN
}

pub(super) fn rate_schema() -> Schema {
    schema::text::<Rate>("a rate such as 500/s")
}

pub(super) fn per_address_schema() -> Schema {
    section([
        key("rate", "tokens; none: unbounded", absent_or("none", rate_schema())),
        key("burst", "tokens at once; none: unbounded", absent_or("none", number(1, LARGEST_BURST))),
        key(
            "connections",
            "connections at once; none: unbounded",
            absent_or("none", number(1, MOST_CONNECTIONS)),
        ),
    ])
}

pub(super) fn penalty_schema() -> Schema {
    section([
        key("after", "refusals in a row on a connection; 0: off", number(0, 1_000_000)),
        key(
            "delay",
            "how long each further 429 is held",
            duration(Duration::from_millis(1), Duration::from_secs(60)),
        ),
    ])
}

pub(super) fn cost_schema() -> Schema {
    let tokens = || number(1, 1_000_000);
    section(
        ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"]
            .map(|method| key(method, "tokens that a request with this method takes", tokens())),
    )
}
