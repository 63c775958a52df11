//! `limits.decode` and `routes.*.decode`: what encoded bodies may become (http.md §1 step 9), and what is done with them.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::schema::{Key, Schema, key, number, section, size, words};
use super::units;

/// What a route does with an encoded body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decode {
    /// Decoded to be checked, forwarded as it came.
    #[default]
    Verify,
    /// Forwarded plain.
    Decode,
    /// Refused.
    Reject,
    /// Not looked at.
    Off,
}

/// What a body may become when it is decoded, and what that may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecodeLimits {
    /// Decoded bytes for each one that arrived, past the floor; past 10 it needs `danger_ok`.
    pub ratio: NonZeroU32,
    /// Decoded bytes that are not held against the ratio; at most `max`, and past 64 KiB it needs `danger_ok`.
    #[serde(with = "units::size")]
    pub floor: u64,
    /// Decoded bytes; past 8 MiB it needs `danger_ok`.
    #[serde(with = "units::size")]
    pub max: u64,
    /// Bytes of all decoders together.
    #[serde(with = "units::size")]
    pub memory_total: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            ratio: NonZeroU32::MIN.saturating_add(9),
            floor: 64 << 10,
            max: 8 << 20,
            memory_total: 256 << 20,
        }
    }
}

/// What the smallest decoder needs: 48 KiB beside the 64 KiB of a step.
const LEAST_MEMORY: u64 = 112 << 10;
const MOST: u64 = 1 << 40;

pub(super) fn limits_schema() -> Key {
    key(
        "decode",
        "bounds of what an encoded body becomes",
        section([
            key("ratio", "decoded bytes for each one that arrived, past the floor", number(1, 1_000_000)),
            key("floor", "decoded bytes that are not held against the ratio", size(0, MOST)),
            key("max", "decoded bytes", size(0, MOST)),
            key("memory_total", "what all decoders together may hold", size(LEAST_MEMORY, MOST)),
        ]),
    )
}

pub(super) fn mode_schema() -> Schema {
    words(&["verify", "decode", "reject", "off"])
}
