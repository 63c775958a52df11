//! Who of a tenant acts: the row of the principal table that a request is charged to.

use std::net::IpAddr;

use super::evidence::Evidence;

/// Who acts, small enough to be a key: 128 bits, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal {
    /// What is known of it.
    pub kind: PrincipalKind,
    /// It, or the first 128 bits of its digest.
    pub key: u128,
}

/// By what a principal is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrincipalKind {
    /// SHA-256 of a client certificate's public key.
    Certificate,
    /// BLAKE3 of a macaroon's identifier.
    Capability,
    /// BLAKE3 of an API key.
    ApiKey,
    /// The user at the other end of a Unix socket.
    Uid,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 network of 64 bits.
    Ipv6,
    /// Nothing.
    Unknown,
}

impl Principal {
    // http.md §2: certificate key, macaroon identifier (not its bytes: anyone can append a caveat), API key, uid, else
    // the address (IPv4 /32, IPv6 /64).
    pub(super) fn of(evidence: &Evidence<'_>, api_key: Option<&[u8; 32]>) -> Self {
        let new = |kind, key| Self { kind, key };
        if let Some(spki) = evidence.certificate {
            new(PrincipalKind::Certificate, first_half(spki))
        } else if let Some(capability) = &evidence.capability {
            let digest = blake3::hash(capability.identifier);
            new(PrincipalKind::Capability, first_half(digest.as_bytes()))
        } else if let Some(digest) = api_key {
            new(PrincipalKind::ApiKey, first_half(digest))
        } else if let Some(uid) = evidence.peer_uid {
            new(PrincipalKind::Uid, uid.into())
        } else {
            evidence.address.map_or(new(PrincipalKind::Unknown, 0), Self::at)
        }
    }

    /// Who is known by nothing but an address.
    pub fn at(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(ip) => Self { kind: PrincipalKind::Ipv4, key: ip.to_bits().into() },
            IpAddr::V6(ip) => Self { kind: PrincipalKind::Ipv6, key: ip.to_bits() >> 64 },
        }
    }
}

fn first_half(digest: &[u8; 32]) -> u128 {
    digest.first_chunk().map_or(0, |half| u128::from_be_bytes(*half))
}
