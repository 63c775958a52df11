//! Who stands aside: slots cannot be taken back, so slow requests must not fill them (http.md §2).
//!
//! With time alone a bound only tightens: what is held grows older. It loosens when a slot is given back, when tenants
//! go and when the configuration changes, and all of these look here again. So whoever is at a bound is set aside, a
//! tenant or a principal out of the lists, a cluster with its whole ring, and costs nothing until then.

use super::arena::Id;
use super::record::{Cluster, Parked, Principal, Subflow, Tenant};
use super::{Drr, Owner};
use crate::admission::policy::share;

/// Of a lonely principal that was not lonely within this time, others are taken to be near.
const CROWDED: u64 = 1_000_000_000;

impl Drr {
    pub(super) fn may_at_once(&self, owner: Owner, now: u64) -> bool {
        self.in_flight < self.policy.in_flight.get()
            && (self.queued == 0 || self.principals.records[owner.principal].queued == 0)
            && self.bound_of_tenant(owner.tenant, now) == Parked::No
            && self.may_principal(owner.tenant, owner.principal, now)
            && self.may_cluster(owner.cluster, now)
    }

    // http.md §2: a tenant whose requests turn over fast may take any free slot; a slower one, or one without a
    // history, is held to its weighted share among the active tenants, and to 7/8 of the slots in any case. The only
    // tenant configured has none of these; an explicit `in_flight` is a hard one.
    pub(super) fn bound_of_tenant(&self, id: Id<Tenant>, now: u64) -> Parked {
        let tenant = &self.tenants.records[id];
        let (held, all) = (tenant.hold.held(), self.policy.in_flight.get());
        if held >= tenant.policy.in_flight.of(all) {
            return Parked::Full;
        }
        if self.policy.only_tenant || tenant.hold.turns_over_fast(self.lend, now) {
            return Parked::No;
        }
        let weight = u64::from(tenant.policy.weight.get());
        if held >= share(all, 7, 8) {
            return Parked::Full;
        }
        if held < share(all, weight, self.active_weight) {
            return Parked::No;
        }
        // held < ⌈all × weight ÷ sum⌉ just when sum ≤ (all × weight − 1) ÷ held.
        let most = (u64::from(all) * weight).saturating_sub(1) / u64::from(held.max(1));
        Parked::Share(most)
    }

    // http.md §2: a principal whose requests are slow is held to a quarter of the slots.
    pub(super) fn may_principal(&self, tenant: Id<Tenant>, id: Id<Principal>, now: u64) -> bool {
        let (tenant, principal) = (&self.tenants.records[tenant], &self.principals.records[id]);
        let (held, all) = (principal.hold.held(), self.policy.in_flight.get());
        if held >= tenant.policy.principal_in_flight.of(all) {
            return false;
        }
        // The only principal of the only tenant has nobody beside it to be protected.
        let alone = self.policy.only_tenant && tenant.principals <= 1 && now >= tenant.crowded_until;
        alone || held < share(all, 1, 4) || !principal.hold.is_slow(self.lend, now)
    }

    // http.md §2: a cluster at its bound (what its connections carry; 7/8 of all while its requests are slow, unless it
    // is the only one) is skipped, for an only tenant too.
    pub(super) fn may_cluster(&self, id: Id<Cluster>, now: u64) -> bool {
        let cluster = &self.clusters.records[id];
        let (held, all) = (cluster.hold.held(), self.policy.in_flight.get());
        held < cluster.bound.of(all)
            && (self.policy.only_cluster || held < share(all, 7, 8) || !cluster.hold.is_slow(self.lend, now))
    }

    /// Sets a tenant aside until its bound may have loosened.
    pub(super) fn park(&mut self, id: Id<Tenant>, until: Parked) {
        self.tenants.records[id].parked = until;
        if let Parked::Share(weight) = until {
            self.held_to_share.insert((weight, id));
        }
        self.place_flows_of(id);
    }

    /// Its bound may have loosened: it takes its place, and will be asked when its turn comes.
    pub(super) fn unpark(&mut self, id: Id<Tenant>) {
        if let Parked::Share(weight) = std::mem::take(&mut self.tenants.records[id].parked) {
            self.held_to_share.remove(&(weight, id));
        }
        self.place_flows_of(id);
    }

    /// Lets one tenant come back whose share has grown because others went. `false`: there is none.
    pub(super) fn unpark_by_share(&mut self) -> bool {
        let Some((weight, id)) = self.held_to_share.last().copied() else { return false };
        if self.active_weight > weight {
            return false;
        }
        self.unpark(id);
        true
    }

    /// The only tenant's only principal stands aside because of others that have long left. `false`: no such thing.
    pub(super) fn unpark_lonely(&mut self, now: u64) -> bool {
        if !self.policy.only_tenant {
            return false;
        }
        let Some(tenant) = self.heaviest.top() else { return false };
        for flow in self.flows_of(tenant) {
            let Some(subflow) = self.flows[flow].parked.front() else { continue };
            if self.may_principal(tenant, self.subflows[subflow].principal, now) {
                self.unpark_subflow(subflow);
                return true;
            }
        }
        false
    }

    pub(super) fn park_subflow(&mut self, id: Id<Subflow>) {
        let flow = &mut self.flows[self.subflows[id].flow];
        flow.ready.remove(&mut self.subflows, id, Subflow::by_flow);
        flow.parked.push_back(&mut self.subflows, id, Subflow::by_flow);
        self.subflows[id].parked = true;
    }

    fn unpark_subflow(&mut self, id: Id<Subflow>) {
        if !std::mem::take(&mut self.subflows[id].parked) {
            return;
        }
        let of = self.subflows[id].flow;
        let flow = &mut self.flows[of];
        flow.parked.remove(&mut self.subflows, id, Subflow::by_flow);
        flow.ready.push_back(&mut self.subflows, id, Subflow::by_flow);
        self.place(of);
    }

    /// A principal's bound may have loosened.
    pub(super) fn unpark_subflows(&mut self, of: Id<Principal>) {
        let mut next = self.principals.records[of].subflows.front();
        while let Some(subflow) = next {
            next = self.subflows[subflow].next_of_principal();
            self.unpark_subflow(subflow);
        }
    }

    /// The bound of all principals of a tenant may have loosened.
    pub(super) fn unpark_principals_of(&mut self, tenant: Id<Tenant>) {
        for flow in self.flows_of(tenant) {
            while let Some(subflow) = self.flows[flow].parked.front() {
                self.unpark_subflow(subflow);
            }
        }
    }

    /// A principal begins or ceases to hold or wait.
    pub(super) fn on_principal(&mut self, tenant: Id<Tenant>, begins: bool, now: u64) {
        let tenant = &mut self.tenants.records[tenant];
        let before = tenant.principals;
        tenant.principals = if begins { before + 1 } else { before.saturating_sub(1) };
        if before.max(tenant.principals) > 1 {
            tenant.crowded_until = now + CROWDED;
        }
    }
}
