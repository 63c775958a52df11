//! `in_flight` of tenants, principals and clusters: how many requests at once.

use std::fmt;
use std::num::NonZeroU32;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::schema::{Schema, number, shapes, share, words};
use super::units::Share;

/// More requests at once than an instance can hold.
pub(super) const MOST: u32 = 65_536;

/// How many requests at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InFlight {
    /// What is left of its share depends on how fast its requests turn over (http.md §2).
    #[default]
    Auto,
    /// So many and no more.
    Requests(NonZeroU32),
    /// This share of `limits.in_flight` and no more.
    Share(Share),
}

impl Serialize for InFlight {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => to.serialize_str("auto"),
            Self::Requests(n) => n.serialize(to),
            Self::Share(share) => share.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for InFlight {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AutoNumberOrShare)
    }
}

struct AutoNumberOrShare;

impl Visitor<'_> for AutoNumberOrShare {
    type Value = InFlight;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`auto`, a number of requests or a share such as 20%")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<InFlight, E> {
        match text {
            "auto" => Ok(InFlight::Auto),
            share => share.parse().map(InFlight::Share).map_err(E::custom),
        }
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<InFlight, E> {
        let requests = u32::try_from(n).ok().and_then(NonZeroU32::new);
        requests.map(InFlight::Requests).ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(n), &self))
    }
}

pub(super) fn schema() -> Schema {
    shapes([words(&["auto"]), number(1, u64::from(MOST)), share()])
}
