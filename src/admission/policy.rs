//! What the operator sets (config.md `limits.in_flight`, `admission`, `tenants.*`, `clusters.*.in_flight`,
//! `routes.*.weight`), as plain data.

use std::collections::HashMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

/// Of the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Slots: requests in flight at once. `limits.in_flight`.
    pub in_flight: NonZeroU32,
    /// Requests that wait, of all tenants together. `admission.queue_total`.
    pub queue_total: u32,
    /// No request waits longer. `admission.wait`.
    pub wait: Duration,
    /// Bytes that cost as much as a request by itself. `admission.cost_unit`.
    pub cost_unit: NonZeroU64,
    /// Requests held no longer than this on the mean turn over fast. `admission.lend`.
    pub lend: Duration,
    /// Bytes of the largest body that any route lets through: the largest declarable cost follows.
    pub largest_body: u64,
    /// One tenant is configured: there is nobody to protect from it.
    pub only_tenant: bool,
    /// One cluster is configured.
    pub only_cluster: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            in_flight: NonZeroU32::MIN.saturating_add(511),
            queue_total: 1024,
            wait: Duration::from_millis(250),
            cost_unit: NonZeroU64::MIN.saturating_add((64 << 10) - 1),
            lend: Duration::from_millis(100),
            largest_body: 1 << 20,
            only_tenant: true,
            only_cluster: true,
        }
    }
}

/// What another generation of the configuration says. Those that wait go by it at once.
#[derive(Clone, Debug, Default)]
pub struct Generation {
    /// Grows from one to the next.
    pub number: u64,
    /// Of the instance.
    pub policy: Policy,
    /// Of each tenant, by the number that claims bear.
    pub tenants: HashMap<u64, TenantPolicy>,
    /// What each cluster carries at most, by the number that claims bear.
    pub clusters: HashMap<u64, Bound>,
}

/// Of a tenant, as the request's generation has it. It travels with each claim: admission keeps no table of all
/// tenants that there are. What a reload changes is brought to those that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TenantPolicy {
    /// Its share in proportion to the others'. `tenants.*.weight`.
    pub weight: NonZeroU32,
    /// Its own slots. `tenants.*.in_flight`.
    pub in_flight: Bound,
    /// Its requests that wait. `tenants.*.queue`.
    pub queue: u32,
    /// Slots of each of its principals. `tenants.*.principal.in_flight`.
    pub principal_in_flight: Bound,
}

impl Default for TenantPolicy {
    fn default() -> Self {
        Self { weight: NonZeroU32::MIN, in_flight: Bound::Auto, queue: 256, principal_in_flight: Bound::Auto }
    }
}

/// A bound on slots beside those that admission finds by itself (http.md §2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bound {
    /// None.
    #[default]
    Auto,
    /// So many slots, whatever there are.
    Slots(NonZeroU32),
    /// Of all slots, in thousandths.
    Share(u16),
}

impl Bound {
    /// This one, and no more than `carried`: a bound that is known is tighter than none.
    #[must_use]
    pub fn at_most(self, carried: Option<NonZeroU32>) -> Self {
        match (self, carried) {
            (Self::Auto, Some(carried)) => Self::Slots(carried),
            (Self::Slots(slots), Some(carried)) => Self::Slots(slots.min(carried)),
            (same, _) => same,
        }
    }

    /// In slots when there are `all`; rounded up and never below 1.
    pub fn of(self, all: u32) -> u32 {
        match self {
            Self::Auto => u32::MAX,
            Self::Slots(slots) => slots.get(),
            Self::Share(per_mille) => share(all, u64::from(per_mille), 1000),
        }
    }
}

// http.md §2: each of these bounds is rounded up and never below 1.
pub(super) fn share(all: u32, part: u64, whole: u64) -> u32 {
    let slots = u64::from(all).saturating_mul(part).div_ceil(whole.max(1));
    u32::try_from(slots).unwrap_or(u32::MAX).max(1)
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The generation that it goes by: what is known of a later one stays.
    pub generation: u64,
    /// Who pays: a number that stays the same over reloads.
    pub tenant: u64,
    /// Its policy.
    pub policy: TenantPolicy,
    /// Who acts: a number that is unique within the tenant, best a keyed hash.
    pub principal: u64,
    /// Where it goes: a number that stays the same over reloads.
    pub cluster: u64,
    /// What that cluster carries at most: the explicit `clusters.*.in_flight`, or what its connections carry.
    pub cluster_in_flight: Bound,
    /// Declared bytes of the request's body.
    pub declared: u64,
    /// Divides the cost. `routes.*.weight`.
    pub route_weight: NonZeroU32,
    /// Its body is still to come: how long it holds its slot is its client's to say.
    pub streams: bool,
}
