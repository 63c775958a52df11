//! What is remembered of tenants, principals and clusters, and what waits.
//!
//! ```text
//! tenant ──< flow >── cluster          a flow: what a tenant has waiting for one cluster
//!             │
//!             └─< subflow >── principal    its principals take turns
//!                    │
//!                    └─< waiter             first come, first served
//! ```

use super::arena::{Id, Links, List};
use super::hold::Hold;
use super::lanes::Lanes;
use super::pace::Pace;
use super::ring::Ring;
use super::table::Keyed;
use crate::admission::policy::{Bound, TenantPolicy};

#[derive(Debug, Default)]
pub(super) struct Tenant {
    pub(super) key: u64,
    /// Of the latest generation that was heard of.
    pub(super) policy: TenantPolicy,
    pub(super) generation: u64,
    /// Its requests: those that hold a slot, those that wait, and one that has just come. 0: at rest.
    pub(super) uses: u32,
    pub(super) lanes: Lanes,
    pub(super) queued: u32,
    /// Credit, or debt when below 0, as of `round`.
    pub(super) deficit: i64,
    pub(super) round: u64,
    /// When its queue emptied or its debt grew, whichever was later.
    pub(super) since: u64,
    /// It was idle for a round and has some of its quantum left: it is served first.
    pub(super) sparse: bool,
    /// Recent mean of what its requests cost beyond what they declared.
    pub(super) beyond: Option<u64>,
    pub(super) flows: List<Flow>,
    /// In order of their coming.
    pub(super) waiters: List<Waiter>,
    pub(super) heap_place: Option<usize>,
    /// Principals that hold or wait.
    pub(super) principals: u32,
    /// More than one principal was seen at once until then.
    pub(super) crowded_until: u64,
    rest: Links<Self>,
}

/// Whether what a tenant has waiting for a cluster stands aside because of a bound of the tenant's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Parked {
    #[default]
    No,
    /// Until the tenant gives a slot back.
    Full,
    /// Until that, or until the active tenants' weights add up to no more than this.
    Share(u64),
}

#[derive(Debug, Default)]
pub(super) struct Principal {
    key: (u64, u64),
    pub(super) uses: u32,
    pub(super) lanes: Lanes,
    pub(super) queued: u32,
    pub(super) subflows: List<Subflow>,
    rest: Links<Self>,
}

#[derive(Debug, Default)]
pub(super) struct Cluster {
    key: u64,
    /// Of the latest generation that was heard of.
    pub(super) bound: Bound,
    pub(super) generation: u64,
    pub(super) uses: u32,
    pub(super) hold: Hold,
    pub(super) queued: u32,
    pub(super) ring: Ring,
    pub(super) pace: Pace,
    /// Of the tenants that wait for it.
    pub(super) weight: u64,
    /// Where it stands among the clusters that somebody waits for.
    pub(super) place: Option<usize>,
    rest: Links<Self>,
}

#[derive(Debug, Default)]
pub(super) struct Flow {
    pub(super) tenant: Id<Tenant>,
    pub(super) cluster: Id<Cluster>,
    pub(super) queued: u32,
    pub(super) queued_cost: u64,
    pub(super) principals: u32,
    /// Its tenant's, as its cluster counts it.
    pub(super) weight: u32,
    /// Its tenant's bound.
    pub(super) aside: Parked,
    /// Subflows that may go, in turn.
    pub(super) ready: List<Subflow>,
    /// Subflows whose principal is at its bound.
    pub(super) parked: List<Subflow>,
    pub(super) pace: Pace,
    pub(super) place: Place,
    /// Grows with each grant: among clusters, who was served longest ago goes first.
    pub(super) stamp: u64,
    pub(super) ring_links: Links<Self>,
    pub(super) tenant_links: Links<Self>,
}

/// Where a flow stands in its cluster's ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    #[default]
    Nowhere,
    Sparse,
    Round(u64),
}

#[derive(Debug, Default)]
pub(super) struct Subflow {
    pub(super) flow: Id<Flow>,
    pub(super) principal: Id<Principal>,
    pub(super) queued: u32,
    pub(super) waiters: List<Waiter>,
    pub(super) parked: bool,
    pub(super) flow_links: Links<Self>,
    pub(super) principal_links: Links<Self>,
}

#[derive(Debug, Default)]
pub(super) struct Waiter {
    pub(super) subflow: Id<Subflow>,
    pub(super) token: u32,
    pub(super) declared: u64,
    pub(super) route_weight: u32,
    pub(super) streams: bool,
    pub(super) cost: u64,
    pub(super) entered: u64,
    pub(super) subflow_links: Links<Self>,
    pub(super) tenant_links: Links<Self>,
    pub(super) age_links: Links<Self>,
}

impl Flow {
    pub(super) fn by_ring(&mut self) -> &mut Links<Self> {
        &mut self.ring_links
    }

    pub(super) fn next_of_tenant(&self) -> Option<Id<Self>> {
        self.tenant_links.next()
    }

    pub(super) fn by_tenant(&mut self) -> &mut Links<Self> {
        &mut self.tenant_links
    }
}

impl Subflow {
    pub(super) fn by_flow(&mut self) -> &mut Links<Self> {
        &mut self.flow_links
    }

    pub(super) fn next_of_principal(&self) -> Option<Id<Self>> {
        self.principal_links.next()
    }

    pub(super) fn by_principal(&mut self) -> &mut Links<Self> {
        &mut self.principal_links
    }
}

impl Waiter {
    pub(super) fn by_subflow(&mut self) -> &mut Links<Self> {
        &mut self.subflow_links
    }

    pub(super) fn by_tenant(&mut self) -> &mut Links<Self> {
        &mut self.tenant_links
    }

    pub(super) fn by_age(&mut self) -> &mut Links<Self> {
        &mut self.age_links
    }
}

impl Keyed for Tenant {
    type Key = u64;

    fn new(key: u64) -> Self {
        Self { key, ..Self::default() }
    }

    fn key(&self) -> u64 {
        self.key
    }

    fn rest_links(&mut self) -> &mut Links<Self> {
        &mut self.rest
    }
}

impl Keyed for Principal {
    type Key = (u64, u64);

    fn new(key: (u64, u64)) -> Self {
        Self { key, ..Self::default() }
    }

    fn key(&self) -> (u64, u64) {
        self.key
    }

    fn rest_links(&mut self) -> &mut Links<Self> {
        &mut self.rest
    }
}

impl Keyed for Cluster {
    type Key = u64;

    fn new(key: u64) -> Self {
        Self { key, ..Self::default() }
    }

    fn key(&self) -> u64 {
        self.key
    }

    fn rest_links(&mut self) -> &mut Links<Self> {
        &mut self.rest
    }
}
