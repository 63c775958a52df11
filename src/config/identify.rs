//! `tenants.NAME.identify`: what a tenant is recognised by. What that means is [`crate::tenant`]'s.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::address::Network;
use super::finding::quoted;
use super::listener::NETWORK;
use super::name::{HeaderName, HostName, NAME, Name};
use super::schema::{Schema, items, key, list_of_some, number, one_or_list, section, text};
use super::text::{text_newtype, text_value};
use crate::tenant::{ApiKeys, Criteria, Header};

/// One item: all that is set must hold. At least one is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Identify {
    /// Through one of these listeners, which exist.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub listener: Vec<Name>,
    /// With a client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificate>,
    /// With an API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKey>,
    /// From a process of one of these users, over a Unix socket.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub peer_uid: Vec<u32>,
    /// From one of these networks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub address: Vec<Network>,
    /// With a header field that a trusted address has written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<HeaderEvidence>,
    /// For one of these server names, beside a client certificate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sni: Vec<HostName>,
}

impl Identify {
    /// What the tenant stage is to look for.
    pub fn criteria(&self) -> Criteria {
        let bytes = |digests: &[Digest]| digests.iter().map(|digest| digest.0).collect();
        let text = |names: &[HostName]| names.iter().map(ToString::to_string).collect();
        // What the configuration takes for a field's name is one.
        let field = |name: &HeaderName| http::HeaderName::from_bytes(name.as_str().as_bytes()).ok();
        Criteria {
            certificates: self.client_certificate.as_ref().map_or(Vec::new(), |c| bytes(&c.spki_sha256)),
            api_keys: self.api_key.as_ref().and_then(|api_key| {
                Some(ApiKeys { header: field(&api_key.header)?, blake3: bytes(&api_key.blake3) })
            }),
            peer_uids: self.peer_uid.clone(),
            listeners: self.listener.iter().map(ToString::to_string).collect(),
            header: self.header.as_ref().and_then(|header| {
                Some(Header { name: field(&header.name)?, value: header.value.to_string() })
            }),
            networks: self.address.clone(),
            sni: text(&self.sni),
        }
    }
}

/// A client certificate by its public key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificate {
    /// SHA-256 of the certificate's SubjectPublicKeyInfo; one of these.
    pub spki_sha256: Vec<Digest>,
}

/// An API key by its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// The header field whose value is the key.
    pub header: HeaderName,
    /// BLAKE3 of the key; one of these.
    pub blake3: Vec<Digest>,
}

/// A header field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderEvidence {
    /// Its name.
    pub name: HeaderName,
    /// All of its value.
    pub value: FieldValue,
}

/// A digest of 256 bits, written as 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digit = |b: u8| char::from(b).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let byte = |pair: &[u8]| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| format!("{} is no digest of 256 bits, write 64 hex digits", quoted(text)))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

text_value!(Digest);

text_newtype! {
    /// A header field's value: 1 to 256 visible characters, blanks between them.
    pub struct FieldValue;
}

impl FromStr for FieldValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_visible = text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        if (1..=256).contains(&text.len()) && is_visible && text.trim() == text {
            Ok(Self(text.into()))
        } else {
            Err(format!("{} is no field value, write {VALUE}", quoted(text)))
        }
    }
}

const VALUE: &str = "1 to 256 visible ASCII characters";
const DIGEST: &str = "64 hex digits";

pub(super) fn schema() -> Schema {
    let name = || text::<HeaderName>("a header field's name such as x-api-key");
    let digests = || list_of_some(text::<Digest>(DIGEST));
    items(
        section([
            key("listener", "through one of these", one_or_list(text::<Name>(NAME))),
            key(
                "client_certificate",
                "with a client certificate",
                section([key(
                    "spki_sha256",
                    "SHA-256 of its public key (SubjectPublicKeyInfo); one of these",
                    digests(),
                )
                .required()]),
            ),
            key(
                "api_key",
                "with an API key",
                section([
                    key("header", "the field whose value is the key", name()).required(),
                    key("blake3", "BLAKE3 of the key; one of these", digests()).required(),
                ]),
            ),
            key(
                "peer_uid",
                "from a process of one of these users, over a Unix socket",
                list_of_some(number(0, u64::from(u32::MAX))),
            ),
            key("address", "from one of these networks", list_of_some(text::<Network>(NETWORK))),
            key(
                "header",
                "with a field that a trusted address has written",
                section([
                    key("name", "its name", name()).required(),
                    key("value", "all of its value", text::<FieldValue>(VALUE)).required(),
                ]),
            ),
            key(
                "sni",
                "for one of these server names, beside a client certificate",
                list_of_some(text::<HostName>("a host name")),
            ),
        ]),
        false,
    )
}
