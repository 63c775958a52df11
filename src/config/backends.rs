//! `clusters.NAME.backends`: who serves a cluster. One key, three shapes: a word, a list, a map.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::address::{Address, DnsAddress};
use super::schema::{
    Schema, dialled_address, duration, key, list_of_some, number, section, shapes, text, words,
};
use super::units;

/// Who serves a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Backends {
    /// A store in this process, behind a Unix socket in the runtime folder.
    #[default]
    Embedded,
    /// Known addresses, at least one, each once.
    Static(Vec<Backend>),
    /// Whatever addresses a name has.
    Dns(Discovery),
}

/// One known backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// Never port 0.
    pub address: Address,
    /// Its share of the requests beside the others'.
    #[serde(default = "one")]
    pub weight: NonZeroU32,
}

fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

/// Backends found by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discovery {
    /// What to look up, and the port of all that is found.
    pub dns: DnsAddress,
    /// How often.
    #[serde(default = "ten_seconds", with = "units::duration")]
    pub refresh: Duration,
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

impl Serialize for Backends {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Embedded => to.serialize_str("embedded"),
            Self::Static(backends) => backends.serialize(to),
            Self::Dns(discovery) => discovery.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Backends {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ByShape)
    }
}

struct ByShape;

impl<'de> Visitor<'de> for ByShape {
    type Value = Backends;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`embedded`, a list of backends, or a map with `dns`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Backends, E> {
        if text == "embedded" {
            Ok(Backends::Embedded)
        } else {
            Err(E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Backends, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Backends::Static)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Backends, A::Error> {
        Discovery::deserialize(MapAccessDeserializer::new(map)).map(Backends::Dns)
    }
}

pub(super) fn schema() -> Schema {
    shapes([
        words(&["embedded"]),
        list_of_some(section([
            key("address", "HOST:PORT, [IPV6]:PORT or unix:/path", dialled_address()).required(),
            key("weight", "share beside the others'", number(1, 1000)),
        ])),
        section([
            key("dns", "NAME:PORT to look up", text::<DnsAddress>("NAME:PORT such as objects.internal:9401"))
                .required(),
            key("refresh", "how often", duration(Duration::from_millis(100), Duration::from_secs(3600))),
        ]),
    ])
}
