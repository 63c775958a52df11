//! Tenants' criteria → the tables of an [`Identifier`].
//!
//! Every value of a kind gets a number, every combination of values that satisfies an item a row. Two tenants with one
//! row are what the configuration can see of equal evidence.

use std::collections::BTreeSet;
use std::hash::Hash;

use http::HeaderName;

use super::evidence::Kind;
use super::identify::{ByField, Identifier, Row, Tables};
use super::ranges::Ranges;
use super::{ANONYMOUS, Criteria, Map, Network, Policy, TenantIndex};

/// Two tenants with equal evidence: an item of each, by the places of tenant and item in their lists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clash {
    /// The tenant and item that came first.
    pub earlier: (usize, usize),
    /// The tenant and item that ask for the same.
    pub later: (usize, usize),
    /// The evidence that both ask for, the strongest first.
    pub kinds: Vec<Kind>,
}

impl Identifier {
    /// Compiles `tenants`, whose order gives them their [`TenantIndex`]. One of them is [`ANONYMOUS`]; without it,
    /// unknown requests get the index after the last.
    ///
    /// # Errors
    /// Tenants with equal evidence, each pair of items once.
    pub fn new(tenants: &[Policy]) -> Result<Self, Vec<Clash>> {
        let mut builder = Builder::default();
        for (tenant, policy) in tenants.iter().enumerate() {
            for (item, criteria) in policy.identify.iter().enumerate() {
                builder.add((tenant, item), criteria);
            }
        }
        if builder.clashes.is_empty() {
            Ok(builder.build(tenants))
        } else {
            Err(builder.clashes.into_iter().collect())
        }
    }
}

#[derive(Default)]
struct Builder {
    tables: Tables,
    networks: Map<Network, u32>,
    listed: Vec<Network>,
    rows: Map<Row, (usize, usize)>,
    clashes: BTreeSet<Clash>,
}

impl Builder {
    fn add(&mut self, at: (usize, usize), criteria: &Criteria) {
        let kinds = criteria.kinds();
        if kinds == 0 {
            return;
        }
        let tables = &mut self.tables;
        let mut rows = vec![Row { kinds, ..Row::default() }];
        rows = with(rows, criteria.certificates.iter().map(|key| number(&mut tables.certificates, *key)), {
            |row, n| row.certificate = n
        });
        let keys =
            criteria.api_keys.iter().flat_map(|keys| keys.blake3.iter().map(|key| (&keys.header, key)));
        rows = with(rows, keys.map(|(name, key)| field_number(&mut tables.api_keys, name, *key)), {
            |row, n| row.api_key = n
        });
        rows = with(rows, criteria.peer_uids.iter().map(|uid| number(&mut tables.peer_uids, *uid)), {
            |row, n| row.peer_uid = n
        });
        let listeners = criteria.listeners.iter();
        rows = with(rows, listeners.map(|name| number(&mut tables.listeners, name.as_str().into())), {
            |row, n| row.listener = n
        });
        let header = criteria
            .header
            .iter()
            .map(|header| field_number(&mut tables.headers, &header.name, header.value.as_bytes().into()));
        rows = with(rows, header, |row, n| row.header = n);
        let networks = criteria.networks.iter().map(|network| {
            let next = count(self.networks.len());
            *self.networks.entry(*network).or_insert_with(|| {
                self.listed.push(*network);
                next
            })
        });
        rows = with(rows, networks, |row, n| row.network = n);
        rows = with(rows, criteria.sni.iter().map(|name| number(&mut tables.sni, name.as_str().into())), {
            |row, n| row.sni = n
        });
        for row in rows {
            self.add_row(at, row);
        }
    }

    fn add_row(&mut self, at: (usize, usize), row: Row) {
        let earlier = *self.rows.entry(row).or_insert(at);
        if earlier.0 != at.0 {
            let kinds = Kind::ALL.into_iter().filter(|kind| row.kinds & kind.bit() != 0).collect();
            self.clashes.insert(Clash { earlier, later: at, kinds });
        }
    }

    fn build(self, tenants: &[Policy]) -> Identifier {
        let index = |tenant: usize| TenantIndex(count(tenant));
        let names: Map<Box<str>, TenantIndex> =
            tenants.iter().enumerate().map(|(n, tenant)| (tenant.name.as_str().into(), index(n))).collect();
        let anonymous = names.get(ANONYMOUS).copied().unwrap_or_else(|| index(tenants.len()));
        let kinds: BTreeSet<u8> = self.rows.keys().map(|row| row.kinds).collect();
        Identifier {
            anonymous,
            names,
            asked: kinds.iter().fold(0, |all, kinds| all | kinds),
            shapes: kinds.into_iter().rev().collect(),
            networks: Ranges::new(&self.listed),
            tables: self.tables,
            rows: self.rows.into_iter().map(|(row, (tenant, _))| (row, index(tenant))).collect(),
        }
    }
}

/// Each row with each of the values, or the rows as they are when the kind is not asked for.
fn with(rows: Vec<Row>, numbers: impl Iterator<Item = u32>, set: impl Fn(&mut Row, u32)) -> Vec<Row> {
    let numbers: BTreeSet<u32> = numbers.collect();
    if numbers.is_empty() {
        return rows;
    }
    let each = |row: Row| {
        numbers.iter().map(move |n| (row, *n)).map(|(mut row, n)| {
            set(&mut row, n);
            row
        })
    };
    rows.into_iter().flat_map(each).collect()
}

fn number<V: Eq + Hash>(numbers: &mut Map<V, u32>, value: V) -> u32 {
    let next = count(numbers.len());
    *numbers.entry(value).or_insert(next)
}

/// Numbers of values are distinct over all fields.
fn field_number<V: Eq + Hash>(fields: &mut ByField<V>, name: &HeaderName, value: V) -> u32 {
    let values = fields.names.entry(name.clone()).or_default();
    let next = fields.values;
    *values.entry(value).or_insert_with(|| {
        fields.values = next.saturating_add(1);
        next
    })
}

/// A configuration has far fewer values than 2³².
fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
