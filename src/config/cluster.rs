//! `clusters`: named sets of services, and how to deal with them.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::backends::{self, Backends};
use super::balance::{self, Balance};
use super::files::{check_certificates, check_private_key};
use super::in_flight::{self, InFlight};
use super::limits::{LONGEST, SHORTEST};
use super::name::HostName;
use super::resilience::{self, Ejection, Health, Hedge, Retry};
use super::schema::{
    Schema, absent_or, duration, file, flag, key, named, number, section, size, text, words,
};
use super::{text, units};

/// One cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cluster {
    /// How its backends are spoken to.
    pub protocol: ClusterProtocol,
    /// Who they are.
    pub backends: Backends,
    /// Whether the instance is unready without it.
    pub required: bool,
    /// How many of its requests at once.
    pub in_flight: InFlight,
    /// How one of them is chosen.
    pub balance: Balance,
    /// TLS towards them; `None` is plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClusterTls>,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// How connections are made and kept.
    pub connections: Connections,
    /// Active checks.
    pub health: Health,
    /// Passive checks.
    pub ejection: Ejection,
    /// Further attempts.
    pub retry: Retry,
    /// A second attempt before the first has failed; `None` is `off`.
    #[serde(serialize_with = "text::or_off")]
    pub hedge: Option<Hedge>,
}

/// How a cluster's backends are spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClusterProtocol {
    /// OAP/1.
    #[default]
    Oap,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, by prior knowledge or ALPN.
    Http2,
}

/// TLS towards backends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterTls {
    /// PEM certificates to trust; `None` trusts the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// The name that their certificate must have; `None` with `dns` backends is the name looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<HostName>,
    /// PEM certificate chain to show them; with `client_key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<PathBuf>,
    /// PEM private key of `client_cert`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key: Option<PathBuf>,
}

/// How long each step towards a backend may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// TCP or Unix connect, TLS included.
    #[serde(with = "units::duration")]
    pub connect: Duration,
    /// HELLO sent to HELLO answered.
    #[serde(with = "units::duration")]
    pub hello: Duration,
    /// Without a byte from a backend that owes one.
    #[serde(with = "units::duration")]
    pub read: Duration,
    /// Without a byte taken by a backend.
    #[serde(with = "units::duration")]
    pub write: Duration,
    /// How long an unused connection is kept.
    #[serde(with = "units::duration")]
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self { connect: second, hello: second, read: second * 5, write: second * 5, idle: second * 60 }
    }
}

/// How connections to one backend are made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Connections {
    /// Whether requests may share one (oap1 §4).
    pub mode: ConnectionMode,
    /// Shared connections of each worker, before more are made because these are full.
    pub shared_per_worker: NonZeroU32,
    /// All connections to one backend.
    pub max: NonZeroU32,
    /// Unacknowledged payload bytes of one stream that we let a backend send.
    #[serde(with = "units::size")]
    pub window: u64,
}

impl Default for Connections {
    fn default() -> Self {
        const MAX: NonZeroU32 = NonZeroU32::MIN.saturating_add(255);
        Self { mode: ConnectionMode::Auto, shared_per_worker: NonZeroU32::MIN, max: MAX, window: 256 << 10 }
    }
}

/// Whether requests share connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectionMode {
    /// Where the backend can.
    #[default]
    Auto,
    /// Never.
    Exclusive,
}

pub(super) fn schema() -> Schema {
    let step = || duration(SHORTEST, LONGEST);
    named(section([
        key("protocol", "how its backends are spoken to", words(&["oap", "http1", "http2"])),
        key("backends", "who they are", backends::schema()),
        key("required", "unready without it", flag()),
        key("in_flight", "its requests at once", in_flight::schema()),
        key("balance", "how a backend is chosen", balance::schema()),
        key("tls", "TLS towards the backends", tls_schema()),
        key(
            "timeouts",
            "how long each step may take",
            section([
                key("connect", "TCP or Unix connect, TLS included", step()),
                key("hello", "HELLO sent to HELLO answered", step()),
                key("read", "without a byte from a backend that owes one", step()),
                key("write", "without a byte taken by a backend", step()),
                key("idle", "how long an unused connection is kept", step()),
            ]),
        ),
        key(
            "connections",
            "how connections to one backend are made",
            section([
                key("mode", "auto: shared where the backend can", words(&["auto", "exclusive"])),
                key("shared_per_worker", "shared connections of each worker", number(1, 64)),
                key("max", "all connections to one backend", number(1, 65_535)),
                // oap1 §3: window 128 KiB–4 MiB.
                key("window", "unacknowledged bytes of one stream", size(128 << 10, 4 << 20)),
            ]),
        ),
        key("health", "active checks", resilience::health_schema()),
        key("ejection", "passive checks", resilience::ejection_schema()),
        key("retry", "further attempts", resilience::retry_schema()),
        key(
            "hedge",
            "a second attempt before the first failed",
            absent_or("off", resilience::hedge_schema()),
        ),
    ]))
}

fn tls_schema() -> Schema {
    section([
        key("ca", "certificates to trust, else the system's", file("a PEM file", check_certificates)),
        key("server_name", "the name that their certificate must have", text::<HostName>("a host name")),
        key("client_cert", "certificate to show them", file("a PEM file", check_certificates)),
        key(
            "client_key",
            "its key, mode 0600 or 0400",
            file("a PEM file of mode 0600 or 0400", check_private_key),
        ),
    ])
}
