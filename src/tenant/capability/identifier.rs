//! What a capability is called: the one part of it that only the holder of a root key can choose.

use std::fmt;

/// Bytes of randomness in an identifier.
pub const NONCE: usize = 16;

/// A macaroon's identifier: `v1:KEY:NONCE` or `v1:KEY:NONCE:TENANT`.
///
/// - `KEY` says which root key of the ring to verify with, so that keys can be rotated.
/// - `NONCE`, 32 lower-case hex digits, makes it one of a kind, so that it can be revoked alone.
/// - `TENANT` is whose capability it is. It stands here and not in a caveat because anyone can append a caveat: a token
///   minted for no tenant must not become anybody's by saying so. A `tenant = …` caveat only narrows.
///
/// Names are 1 to 64 of `a-z 0-9 _ -`. Every attenuation keeps the identifier, so it is what a principal is known by
/// and what a revocation names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identifier<'a> {
    text: &'a str,
    key: &'a str,
    tenant: Option<&'a str>,
}

impl<'a> Identifier<'a> {
    /// Reads an identifier; `None` for any other text.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut parts = text.split(':');
        let (version, key, nonce, tenant) = (parts.next()?, parts.next()?, parts.next()?, parts.next());
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let fits = version == "v1"
            && is_name(key)
            && nonce.len() == 2 * NONCE
            && nonce.bytes().all(is_hex)
            && tenant.is_none_or(is_name)
            && parts.next().is_none();
        fits.then_some(Self { text, key, tenant })
    }

    /// Makes one; the names have been checked where they came from.
    pub(super) fn compose(key: &str, nonce: [u8; NONCE], tenant: Option<&str>) -> String {
        let nonce = super::hex(&nonce);
        match tenant {
            Some(tenant) => format!("v1:{key}:{nonce}:{tenant}"),
            None => format!("v1:{key}:{nonce}"),
        }
    }

    /// All of it.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// The id of the root key.
    pub fn key(&self) -> &'a str {
        self.key
    }

    /// Whose it is, when it was minted for a tenant.
    pub fn tenant(&self) -> Option<&'a str> {
        self.tenant
    }

    /// What tables and lists know it by.
    pub fn hash(&self) -> IdentifierHash {
        IdentifierHash::of(self.text.as_bytes())
    }
}

impl fmt::Display for Identifier<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// Whether it is a name as configurations have them.
pub fn is_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    (1..=64).contains(&text.len()) && text.bytes().all(fits)
}

/// BLAKE3 of an identifier: the principal of a request with a capability. Shown as its first 8 hex digits, which is all
/// that a log may have of a token (http.md §6).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdentifierHash([u8; 32]);

impl IdentifierHash {
    pub(super) fn of(identifier: &[u8]) -> Self {
        Self(*blake3::hash(identifier).as_bytes())
    }

    /// All of it.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for IdentifierHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "{:08x}", u32::from_be_bytes([a, b, c, d]))
    }
}

impl fmt::Debug for IdentifierHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}…")
    }
}
