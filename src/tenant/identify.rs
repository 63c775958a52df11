//! Evidence → tenant and principal.
//!
//! The kinds that an item asks for, strongest first, are its strength; of two that ask for the same kinds the one with
//! the smaller network is stronger. The strongest item that holds wins. A request is asked for each *set of kinds* that
//! is configured (7 if nobody combines any, 127 at most), never for each tenant.

use http::HeaderName;

use super::evidence::{Evidence, Kind};
use super::ranges::{NONE, Ranges};
use super::seen::Seen;
use super::{Denied, Identity, Map, Principal, TenantIndex};

/// Says who a request is from. Immutable, one a configuration.
#[derive(Debug)]
pub struct Identifier {
    pub(super) anonymous: TenantIndex,
    pub(super) names: Map<Box<str>, TenantIndex>,
    /// All kinds that are asked for.
    pub(super) asked: u8,
    /// The sets of kinds that are asked for together, the strongest first.
    pub(super) shapes: Box<[u8]>,
    pub(super) tables: Tables,
    pub(super) networks: Ranges,
    pub(super) rows: Map<Row, TenantIndex>,
}

/// Numbers of the configured values of each kind but networks.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) certificates: Map<[u8; 32], u32>,
    pub(super) api_keys: ByField<[u8; 32]>,
    pub(super) peer_uids: Map<u32, u32>,
    pub(super) listeners: Map<Box<str>, u32>,
    pub(super) headers: ByField<Box<[u8]>>,
    pub(super) sni: Map<Box<str>, u32>,
}

/// Numbers of the configured values of some header fields.
#[derive(Debug)]
pub(super) struct ByField<V> {
    pub(super) names: Map<HeaderName, Map<V, u32>>,
    /// All values of all fields.
    pub(super) values: u32,
}

impl<V> Default for ByField<V> {
    fn default() -> Self {
        Self { names: Map::default(), values: 0 }
    }
}

/// A combination of values that identifies a tenant. What is not asked for is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) kinds: u8,
    pub(super) certificate: u32,
    pub(super) api_key: u32,
    pub(super) peer_uid: u32,
    pub(super) listener: u32,
    pub(super) header: u32,
    pub(super) network: u32,
    pub(super) sni: u32,
}

/// An item that holds.
#[derive(Clone, Copy)]
struct Match {
    kinds: u8,
    tenant: TenantIndex,
}

impl Identifier {
    /// Who has no other identity.
    pub fn anonymous(&self) -> TenantIndex {
        self.anonymous
    }

    /// The tenant of this name.
    pub fn find(&self, name: &str) -> Option<TenantIndex> {
        self.names.get(name).copied()
    }

    // http.md §2: the strongest wins; two tenants with equal evidence are 403. Evidence that is presented and wrong is
    // 401, never a fall to `anonymous`.
    /// Says who a request is from.
    ///
    /// # Errors
    /// `Wrong`: an API key that is nobody's, or whose other conditions do not hold; a capability of a tenant that is
    /// not there; a configured header field from a trusted address that identifies nobody, when nothing stronger does.
    /// `Ambiguous`: evidence of equal strength for two tenants.
    pub fn identify(&self, evidence: &Evidence<'_>) -> Result<Identity, Denied> {
        let seen = self.look(evidence)?;
        let found = self.strongest_match(&seen, self.of_capability(evidence)?)?;
        let weaker_than_header = found.is_none_or(|found| found.kinds < Kind::Header.bit());
        if seen.has_header && weaker_than_header {
            return Err(Denied::Wrong(Kind::Header));
        }
        Ok(Identity {
            tenant: found.map_or(self.anonymous, |found| found.tenant),
            principal: Principal::of(evidence, seen.api_key.as_ref()),
            by: found.map(|found| strongest(found.kinds)),
        })
    }

    fn of_capability(&self, evidence: &Evidence<'_>) -> Result<Option<Match>, Denied> {
        let Some(name) = evidence.capability.and_then(|capability| capability.tenant) else {
            return Ok(None);
        };
        let tenant = self.find(name).ok_or(Denied::Wrong(Kind::Capability))?;
        Ok(Some(Match { kinds: Kind::Capability.bit(), tenant }))
    }

    fn strongest_match(&self, seen: &Seen, capability: Option<Match>) -> Result<Option<Match>, Denied> {
        let mut found = capability;
        let mut key_is_open = seen.has(Kind::ApiKey);
        for kinds in self.shapes.iter().copied().filter(|kinds| kinds & !seen.kinds == 0) {
            let is_stronger = found.is_none_or(|found| kinds > found.kinds);
            let says_of_key = key_is_open && kinds & Kind::ApiKey.bit() != 0;
            if !is_stronger && !says_of_key {
                continue;
            }
            let Some(tenant) = self.in_shape(kinds, seen).transpose() else { continue };
            key_is_open &= kinds & Kind::ApiKey.bit() == 0;
            if is_stronger {
                found = Some(Match { kinds, tenant: tenant? });
            }
        }
        // A key that somebody has, presented where its item does not hold: from another address, say.
        if key_is_open { Err(Denied::Wrong(Kind::ApiKey)) } else { Ok(found) }
    }

    /// The tenant whose item asks for exactly these kinds and holds, with the smallest network.
    fn in_shape(&self, kinds: u8, seen: &Seen) -> Result<Option<TenantIndex>, Denied> {
        let has = |kind: Kind| kinds & kind.bit() != 0;
        let value = |kind, n| if has(kind) { n } else { 0 };
        let mut row = Row {
            kinds,
            certificate: value(Kind::Certificate, seen.certificate),
            peer_uid: value(Kind::PeerUid, seen.peer_uid),
            listener: value(Kind::Listener, seen.listener),
            network: value(Kind::Address, seen.network),
            sni: value(Kind::Sni, seen.sni),
            ..Row::default()
        };
        let keys = if has(Kind::ApiKey) { seen.api_keys.as_slice() } else { &[0] };
        let headers = if has(Kind::Header) { seen.headers.as_slice() } else { &[0] };
        loop {
            let mut found = None;
            for (api_key, header) in keys.iter().flat_map(|k| headers.iter().map(move |h| (*k, *h))) {
                let tenant = self.rows.get(&Row { api_key, header, ..row }).copied();
                if found.is_some() && tenant.is_some() && found != tenant {
                    return Err(Denied::Ambiguous(strongest(kinds)));
                }
                found = found.or(tenant);
            }
            if found.is_some() || !has(Kind::Address) {
                return Ok(found);
            }
            row.network = self.networks.around(row.network);
            if row.network == NONE {
                return Ok(None);
            }
        }
    }

    pub(super) fn asks(&self, kind: Kind) -> bool {
        self.asked & kind.bit() != 0
    }
}

fn strongest(kinds: u8) -> Kind {
    Kind::ALL.into_iter().find(|kind| kinds & kind.bit() != 0).unwrap_or(Kind::Sni)
}
