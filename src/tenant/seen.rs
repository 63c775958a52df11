//! What of a request's evidence the configuration knows, in numbers.

use std::hash::Hash;

use http::HeaderMap;

use super::evidence::{Evidence, Kind};
use super::identify::{ByField, Identifier, Tables};
use super::ranges::NONE;
use super::{Denied, Map};

/// The numbers of what a request brings, and the kinds of which there are any.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) kinds: u8,
    pub(super) certificate: u32,
    /// The digest of the first API key.
    pub(super) api_key: Option<[u8; 32]>,
    pub(super) api_keys: Few,
    pub(super) peer_uid: u32,
    pub(super) listener: u32,
    /// Whether a configured field came from a trusted address, with any value.
    pub(super) has_header: bool,
    pub(super) headers: Few,
    /// The smallest network around the client.
    pub(super) network: u32,
    pub(super) sni: u32,
}

impl Seen {
    pub(super) fn has(&self, kind: Kind) -> bool {
        self.kinds & kind.bit() != 0
    }

    fn note(&mut self, kind: Kind, is_there: bool) {
        self.kinds |= if is_there { kind.bit() } else { 0 };
    }

    fn number(&mut self, kind: Kind, number: Option<&u32>) -> u32 {
        self.note(kind, number.is_some());
        number.copied().unwrap_or(0)
    }
}

/// Values of one kind in one request. Who brings more than these cannot mean one tenant.
#[derive(Default)]
pub(super) struct Few {
    numbers: [u32; 4],
    len: usize,
}

impl Few {
    fn add(&mut self, number: u32, kind: Kind) -> Result<(), Denied> {
        if self.as_slice().contains(&number) {
            return Ok(());
        }
        *self.numbers.get_mut(self.len).ok_or(Denied::Ambiguous(kind))? = number;
        self.len += 1;
        Ok(())
    }

    pub(super) fn as_slice(&self) -> &[u32] {
        self.numbers.get(..self.len).unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Identifier {
    /// What of the evidence the configuration knows.
    pub(super) fn look(&self, evidence: &Evidence<'_>) -> Result<Seen, Denied> {
        let mut seen = Seen::default();
        let tables = &self.tables;
        self.look_at_keys(evidence.headers, &mut seen)?;
        if evidence.trusted && self.asks(Kind::Header) {
            tables.headers.each(evidence.headers, |values, value| {
                seen.has_header = true;
                match values.get(value) {
                    Some(n) => seen.headers.add(*n, Kind::Header),
                    None => Ok(()),
                }
            })?;
            seen.note(Kind::Header, !seen.headers.is_empty());
        }
        if let Some(key) = evidence.certificate {
            seen.certificate = seen.number(Kind::Certificate, tables.certificates.get(key));
            // http.md §2: SNI only beside a client certificate.
            seen.sni = seen.number(Kind::Sni, evidence.sni.and_then(|name| tables.find_sni(name)));
        }
        if let Some(uid) = evidence.peer_uid {
            seen.peer_uid = seen.number(Kind::PeerUid, tables.peer_uids.get(&uid));
        }
        if self.asks(Kind::Listener) {
            seen.listener = seen.number(Kind::Listener, tables.listeners.get(evidence.listener));
        }
        if let Some(address) = evidence.address.filter(|_| self.asks(Kind::Address)) {
            let network = self.networks.find(address);
            seen.network = seen.number(Kind::Address, Some(&network).filter(|n| **n != NONE));
        }
        Ok(seen)
    }

    fn look_at_keys(&self, headers: &HeaderMap, seen: &mut Seen) -> Result<(), Denied> {
        self.tables.api_keys.each(headers, |keys, value| {
            if value.len() > LONGEST_KEY {
                return Err(Denied::Wrong(Kind::ApiKey));
            }
            let digest = *blake3::hash(value).as_bytes();
            let number = keys.get(&digest).ok_or(Denied::Wrong(Kind::ApiKey))?;
            seen.api_key.get_or_insert(digest);
            seen.api_keys.add(*number, Kind::ApiKey)
        })?;
        seen.note(Kind::ApiKey, !seen.api_keys.is_empty());
        Ok(())
    }
}

/// A longer API key is wrong without being hashed, so that nobody buys work with long ones.
const LONGEST_KEY: usize = 1024;

impl<V: Eq + Hash> ByField<V> {
    /// Shows `see` each value that the request has in one of the fields: by the fields' names or by the request's,
    /// whichever are fewer.
    fn each(
        &self,
        headers: &HeaderMap,
        mut see: impl FnMut(&Map<V, u32>, &[u8]) -> Result<(), Denied>,
    ) -> Result<(), Denied> {
        if self.names.len() <= headers.keys_len() {
            for (name, values) in &self.names {
                for value in headers.get_all(name) {
                    see(values, value.as_bytes())?;
                }
            }
        } else {
            for (name, value) in headers {
                if let Some(values) = self.names.get(name) {
                    see(values, value.as_bytes())?;
                }
            }
        }
        Ok(())
    }
}

impl Tables {
    fn find_sni(&self, name: &str) -> Option<&u32> {
        if name.bytes().any(|b| b.is_ascii_uppercase()) {
            self.sni.get(name.to_ascii_lowercase().as_str())
        } else {
            self.sni.get(name)
        }
    }
}
