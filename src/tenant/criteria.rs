//! What the configuration says about whom to take for which tenant.

use http::HeaderName;

use super::Network;
use super::evidence::Kind;

/// A tenant, as far as it is to be recognised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// `tenants.NAME`.
    pub name: String,
    /// Alternatives: each of them is enough.
    pub identify: Vec<Criteria>,
}

/// One item of `tenants.NAME.identify`: every kind of evidence that it names must be there, with one of the values.
/// A kind without values is not asked for; an item without any recognises nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Criteria {
    /// SHA-256 of the public key (SPKI) of a client certificate.
    pub certificates: Vec<[u8; 32]>,
    /// API keys.
    pub api_keys: Option<ApiKeys>,
    /// Users at the other end of a Unix socket.
    pub peer_uids: Vec<u32>,
    /// Names of listeners.
    pub listeners: Vec<String>,
    /// A header field from a trusted address.
    pub header: Option<Header>,
    /// Client addresses.
    pub networks: Vec<Network>,
    /// Server names of the TLS handshake, in lower case.
    pub sni: Vec<String>,
}

/// API keys in one header field; only their digests are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeys {
    /// The field.
    pub header: HeaderName,
    /// BLAKE3 of the field's value.
    pub blake3: Vec<[u8; 32]>,
}

/// A header field with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The field.
    pub name: HeaderName,
    /// All of its value.
    pub value: String,
}

impl Criteria {
    /// How many combinations of values satisfy it: each is a row of the compiled table.
    pub fn combinations(&self) -> usize {
        let each = [
            self.certificates.len(),
            self.api_keys.as_ref().map_or(0, |keys| keys.blake3.len()),
            self.peer_uids.len(),
            self.listeners.len(),
            self.networks.len(),
            self.sni.len(),
        ];
        each.into_iter().fold(1_usize, |all, n| all.saturating_mul(n.max(1)))
    }

    /// The kinds of evidence that it asks for, as bits; the strongest is the highest.
    pub(super) fn kinds(&self) -> u8 {
        [
            (Kind::Certificate, !self.certificates.is_empty()),
            (Kind::ApiKey, self.api_keys.is_some()),
            (Kind::PeerUid, !self.peer_uids.is_empty()),
            (Kind::Listener, !self.listeners.is_empty()),
            (Kind::Header, self.header.is_some()),
            (Kind::Address, !self.networks.is_empty()),
            (Kind::Sni, !self.sni.is_empty()),
        ]
        .into_iter()
        .filter(|(_, asked)| *asked)
        .fold(0, |kinds, (kind, _)| kinds | kind.bit())
    }
}
