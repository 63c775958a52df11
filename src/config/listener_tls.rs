//! `listeners[].tls`: what a listener shows and asks for in TLS handshakes. What that comes to is [`crate::tls`]'s.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::files::{check_certificates, check_private_key};
use super::listener::Protocol;
use super::schema::{Schema, duration, file, key, list_of_some, number, section, words};
use super::units;
use crate::tls::{Alpn, Clients, Pair, Policy, PostQuantum, Version};

/// TLS on a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerTls {
    /// What it shows, chosen by SNI; at least one.
    pub certificates: Vec<CertificatePair>,
    /// The oldest version.
    #[serde(default)]
    pub min_version: MinVersion,
    /// PEM certificates of who signs clients' certificates; `None`: clients are asked for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
    /// Whether clients have to show one; only with `client_ca`. Read it by [`ListenerTls::policy`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_auth: Option<ClientAuth>,
    /// Key exchange.
    #[serde(default)]
    pub pq: Pq,
    /// First byte to last of a handshake.
    #[serde(default = "five_seconds", with = "units::duration")]
    pub handshake_timeout: Duration,
    /// Handshakes under way at once.
    #[serde(default = "many")]
    pub handshakes: NonZeroU32,
}

/// A certificate with its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificatePair {
    /// PEM certificate chain, the listener's own first.
    pub cert: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
}

/// The oldest version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MinVersion {
    /// 1.2
    #[serde(rename = "1.2")]
    V12,
    /// 1.3
    #[default]
    #[serde(rename = "1.3")]
    V13,
}

/// Whether clients have to show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// They may.
    #[default]
    Optional,
    /// They must.
    Required,
}

/// Whether key exchange is post-quantum (X25519MLKEM768).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pq {
    /// Always.
    Require,
    /// With clients that know it.
    #[default]
    Prefer,
    /// Never.
    Off,
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

fn many() -> NonZeroU32 {
    const MANY: NonZeroU32 = NonZeroU32::MIN.saturating_add(255);
    MANY
}

impl ListenerTls {
    /// What handshakes go by, for a listener that speaks these protocols.
    pub fn policy(&self, protocols: &[Protocol]) -> Policy {
        let pair = |pair: &CertificatePair| Pair { certificate: pair.cert.clone(), key: pair.key.clone() };
        let alpn = |protocol: &Protocol| match protocol {
            Protocol::H1 => Some(Alpn::Http1),
            Protocol::H2 => Some(Alpn::H2),
            Protocol::H2c => None,
        };
        Policy {
            certificates: self.certificates.iter().map(pair).collect(),
            clients: self.client_ca.as_ref().map(|path| Clients {
                authorities: path.clone(),
                required: self.client_auth == Some(ClientAuth::Required),
            }),
            oldest: match self.min_version {
                MinVersion::V12 => Version::V12,
                MinVersion::V13 => Version::V13,
            },
            post_quantum: match self.pq {
                Pq::Require => PostQuantum::Require,
                Pq::Prefer => PostQuantum::Prefer,
                Pq::Off => PostQuantum::Off,
            },
            protocols: protocols.iter().filter_map(alpn).collect(),
        }
    }
}

pub(super) fn schema() -> Schema {
    section([
        key(
            "certificates",
            "chosen by SNI; the first is for clients that name no host, or one that none is for",
            list_of_some(section([
                key("cert", "its chain, the listener's own first", file("a PEM file", check_certificates))
                    .required(),
                key(
                    "key",
                    "its key, mode 0600 or 0400",
                    file("a PEM file of mode 0600 or 0400", check_private_key),
                )
                .required(),
            ])),
        )
        .required(),
        key("min_version", "the oldest version of TLS", words(&["1.2", "1.3"])),
        key(
            "client_ca",
            "who signs clients' certificates; without it none is asked for",
            file("a PEM file", check_certificates),
        ),
        key("client_auth", "whether clients have to show a certificate", words(&["optional", "required"])),
        key("pq", "post-quantum key exchange, X25519MLKEM768", words(&["require", "prefer", "off"])),
        key(
            "handshake_timeout",
            "first byte to last of a handshake",
            duration(Duration::from_millis(10), Duration::from_secs(60)),
        ),
        key("handshakes", "under way at once", number(1, 65_536)),
    ])
}
