//! `tenants`: who pays, how much each may have, and how it is recognised.

use std::collections::BTreeMap;
use std::fmt;
use std::num::{NonZeroU32, NonZeroU128};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::admission::MOST_QUEUED;
use super::finding::quoted;
use super::identify::{self, Identify};
use super::in_flight::{self, InFlight};
use super::name::Name;
use super::quota::LARGEST_BURST;
use super::rates::{ByteRate, Rate};
use super::schema::{Schema, flag, key, named, number, section, text};
use super::text::text_value;
use crate::tenant::ANONYMOUS;

/// One tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tenant {
    /// What services know it by; `None` tells them nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<TenantId>,
    /// Its share beside the others', 1 to 1000.
    pub weight: NonZeroU32,
    /// How often it may ask.
    #[serde(skip_serializing_if = "Quota::is_unset")]
    pub quota: Quota,
    /// What each principal of it may.
    #[serde(skip_serializing_if = "PrincipalLimits::is_unset")]
    pub principal: PrincipalLimits,
    /// How many of its requests at once.
    pub in_flight: InFlight,
    /// How many of its requests may wait; `None` is `admission.queue`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<NonZeroU32>,
    /// How it is recognised: alternatives.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identify: Vec<Identify>,
}

impl Default for Tenant {
    fn default() -> Self {
        Self {
            id: None,
            weight: NonZeroU32::MIN,
            quota: Quota::default(),
            principal: PrincipalLimits::default(),
            in_flight: InFlight::Auto,
            queue: None,
            identify: Vec::new(),
        }
    }
}

/// How often a tenant may ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    /// Tokens; `None` leaves it the instance's, shared by weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Tokens at once; `None` is what `rate` gives in a second. Never without `rate`. Read it by [`Quota::bucket`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<NonZeroU32>,
    /// Bytes of bodies, both ways; `None` is unbounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<ByteRate>,
    /// Whether what is over is counted and let pass.
    pub shadow: bool,
}

impl Quota {
    fn is_unset(&self) -> bool {
        *self == Self::default()
    }

    /// Rate and burst, when it has a rate of its own.
    pub fn bucket(&self) -> Option<(Rate, NonZeroU32)> {
        self.rate.map(|rate| (rate, self.burst.unwrap_or(rate.one_second())))
    }
}

/// What each principal of a tenant may.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrincipalLimits {
    /// Tokens; `None` is unbounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// As [`Quota::burst`]. Read it by [`PrincipalLimits::bucket`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<NonZeroU32>,
    /// How many requests of one at once.
    pub in_flight: InFlight,
}

impl PrincipalLimits {
    fn is_unset(&self) -> bool {
        *self == Self::default()
    }

    /// Rate and burst, when there is a rate.
    pub fn bucket(&self) -> Option<(Rate, NonZeroU32)> {
        self.rate.map(|rate| (rate, self.burst.unwrap_or(rate.one_second())))
    }
}

/// What services know a tenant by: 128 bits, never 0 (oap1 §2). Written as ULID, UUID or 32 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(NonZeroU128);

impl TenantId {
    /// As it is on the wire.
    pub fn number(self) -> u128 {
        self.0.get()
    }
}

impl FromStr for TenantId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hex = |digits: &str| {
            let plain = digits.bytes().all(|b| b.is_ascii_hexdigit());
            u128::from_str_radix(digits, 16).ok().filter(|_| plain)
        };
        let groups = || text.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
        let number = match text.len() {
            // Its first digit has three bits; a larger one would be another number's.
            26 if text.starts_with(|c| ('0'..='7').contains(&c)) => {
                ulid::Ulid::from_string(text).ok().map(u128::from)
            }
            32 => hex(text),
            36 if groups() => hex(&text.replace('-', "")),
            _ => None,
        };
        number.and_then(NonZeroU128::new).map(Self).ok_or_else(|| {
            format!("{} is no tenant's id, write a ULID, a UUID or 32 hex digits, not all 0", quoted(text))
        })
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

text_value!(TenantId);

/// Who has no other identity is there whether a file says so or not.
pub(super) fn with_anonymous(mut tenants: BTreeMap<Name, Tenant>) -> BTreeMap<Name, Tenant> {
    tenants.entry(Name::fixed(ANONYMOUS)).or_default();
    tenants
}

pub(super) fn schema() -> Schema {
    let rate = || text::<Rate>("a rate such as 500/s");
    let burst = || number(1, LARGEST_BURST);
    named(section([
        key("id", "what services know it by", text::<TenantId>("a ULID, a UUID or 32 hex digits, not all 0")),
        key("weight", "share beside the others'", number(1, 1000)),
        key(
            "quota",
            "how often it may ask",
            section([
                key("rate", "tokens; without it the instance's, shared by weight", rate()),
                key("burst", "tokens at once; without it what the rate gives in a second", burst()),
                key(
                    "bytes",
                    "of bodies, both ways; without it unbounded",
                    text::<ByteRate>("a rate such as 50MiB/s"),
                ),
                key("shadow", "count what is over, and let it pass", flag()),
            ]),
        ),
        key(
            "principal",
            "what each principal of it may",
            section([
                key("rate", "tokens; without it unbounded", rate()),
                key("burst", "tokens at once; without it what the rate gives in a second", burst()),
                key("in_flight", "requests of one at once", in_flight::schema()),
            ]),
        ),
        key("in_flight", "its requests at once", in_flight::schema()),
        key("queue", "its requests that may wait; without it admission.queue", number(1, MOST_QUEUED)),
        key("identify", "how it is recognised: alternatives", identify::schema()),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_number_however_it_is_written() {
        const NUMBER: u128 = 0x0190_d93d_0637_47cc_0a82_c0d0_59ba_7060;
        for text in [
            "0190d93d063747cc0a82c0d059ba7060",
            "0190D93D063747CC0A82C0D059BA7060",
            "0190d93d-0637-47cc-0a82-c0d059ba7060",
            &ulid::Ulid::from(NUMBER).to_string(),
        ] {
            let id: TenantId = text.parse().unwrap();
            assert_eq!(id.number(), NUMBER, "{text}");
            assert_eq!(id.to_string(), "0190d93d063747cc0a82c0d059ba7060");
        }
        for wrong in [
            "",
            "acme",
            "00000000000000000000000000000000",
            "+190d93d063747cc0a82c0d059ba7060",
            "0190d93d0637-47cc-0a82-c0d059ba-7060",
            "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
        ] {
            assert!(wrong.parse::<TenantId>().is_err(), "{wrong}");
        }
    }
}
