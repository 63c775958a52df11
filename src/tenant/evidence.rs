//! What a request brings that may say who it is from.

use std::fmt;
use std::net::IpAddr;

use http::HeaderMap;

/// Kinds of evidence, weakest first, so that the stronger compares as greater (http.md §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The server name of the TLS handshake, beside a client certificate.
    Sni,
    /// The client's address.
    Address,
    /// A header field from a trusted address.
    Header,
    /// The listener that took the connection.
    Listener,
    /// The user at the other end of a Unix socket.
    PeerUid,
    /// An API key.
    ApiKey,
    /// A verified capability.
    Capability,
    /// A client certificate.
    Certificate,
}

impl Kind {
    /// The strongest first.
    pub(super) const ALL: [Self; 8] = [
        Self::Certificate,
        Self::Capability,
        Self::ApiKey,
        Self::PeerUid,
        Self::Listener,
        Self::Header,
        Self::Address,
        Self::Sni,
    ];

    pub(super) const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sni => "SNI",
            Self::Address => "address",
            Self::Header => "header",
            Self::Listener => "listener",
            Self::PeerUid => "peer uid",
            Self::ApiKey => "API key",
            Self::Capability => "capability",
            Self::Certificate => "client certificate",
        })
    }
}

/// What is known of a request. What is not known, or was not verified yet, is `None`.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// SHA-256 of the public key (SPKI) of the client certificate that the handshake verified.
    pub certificate: Option<&'a [u8; 32]>,
    /// The capability that was verified.
    pub capability: Option<Capability<'a>>,
    /// The request's fields, as the client sent them.
    pub headers: &'a HeaderMap,
    /// Whether who wrote these fields is a trusted address ([`super::client::Client::trusted`]).
    pub trusted: bool,
    /// The user at the other end of a Unix socket.
    pub peer_uid: Option<u32>,
    /// The name of the listener.
    pub listener: &'a str,
    /// The client's address ([`super::client::Client::address`]).
    pub address: Option<IpAddr>,
    /// The server name of the TLS handshake.
    pub sni: Option<&'a str>,
}

/// A capability that holds.
#[derive(Clone, Copy, Debug)]
pub struct Capability<'a> {
    /// The macaroon's identifier.
    pub identifier: &'a [u8],
    /// Whose it is, when it was minted for a tenant.
    pub tenant: Option<&'a str>,
}

impl<'a> Evidence<'a> {
    /// A request through this listener, with these fields, and nothing else known of it.
    pub fn new(listener: &'a str, headers: &'a HeaderMap) -> Self {
        Self {
            certificate: None,
            capability: None,
            headers,
            trusted: false,
            peer_uid: None,
            listener,
            address: None,
            sni: None,
        }
    }
}
