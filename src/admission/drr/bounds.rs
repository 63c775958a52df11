//! Who stands aside: slots cannot be taken back, so slow requests must not fill them (http.md §2).
//!
//! **What is slow is judged cluster by cluster.** What a tenant, or a principal, asks of one cluster is a lane of its own:
//!
//! - One that turns over fast may have any free slot, whatever becomes of the tenant's other lanes.
//! - Those that do not are, together, held to the tenant's share and to 7/8 of all, a principal's to a quarter (7/8 while
//!   no other is there).
//!   A lane that holds nothing has one place beyond the share or the quarter (not beyond 7/8), so that what stalls in
//!   one cluster leaves a way to the others, however small the share.
//!
//! **One cluster never has it all** where there are several: of all slots, and of a tenant's 7/8, one cluster has at most
//! 7/8 (rounded up, and one less than all) before it is known to give back what it takes. So it is with an explicit
//! bound of a tenant or a principal that has asked for more than one cluster.
//!
//! **The last slots are lent to who gives back.** What a cluster, or a fast lane, may have beyond these 7/8, it has while
//! no more than so many were taken since one was last given back in time. Whoever has work without end takes a slot for
//! each that it gives back, and has them all; a burst to a cluster that has just stalled stops at 7/8, whatever its
//! history. What this does not do: slots that one cluster had *all in use* when it stalled stay with it until its requests
//! end, with `timeout` at the latest (http.md §7). To keep some of them free meanwhile would be to let them idle for as
//! long as it is well.
//!
//! With time alone a bound only tightens: what is held grows older. It loosens when a slot is given back, when tenants
//! go and when the configuration changes, and all of these look here again: none but a lane that may have a slot takes
//! one, and that makes room for no other. So whoever is at a bound is set aside, a lane out of the lists, a cluster with
//! its whole ring, and costs nothing until then.

use super::arena::Id;
use super::hold::Hold;
use super::lanes::Lanes;
use super::record::{Cluster, Flow, Parked, Principal, Subflow, Tenant};
use super::table::Keyed as _;
use super::{Drr, Owner};
use crate::admission::policy::share;

/// Of a lonely principal that was not lonely within this time, others are taken to be near.
const CROWDED: u64 = 1_000_000_000;

impl Drr {
    pub(super) fn may_at_once(&self, owner: Owner, now: u64) -> bool {
        self.in_flight < self.policy.in_flight.get()
            && (self.queued == 0 || self.principals.records[owner.principal].queued == 0)
            && self.bound_of_tenant(owner.tenant, owner.cluster, now) == Parked::No
            && self.may_principal(owner, now)
            && self.may_cluster(owner.cluster, now)
    }

    /// Whether a tenant may have one more slot for a cluster.
    // http.md §2: a tenant whose requests turn over fast may take any free slot; a slower one, or one without a
    // history, is held to its weighted share among the active tenants, and to 7/8 of the slots in any case, so that a
    // newcomer finds a place. The only tenant configured has none of these; an explicit `in_flight` is a hard one.
    pub(super) fn bound_of_tenant(&self, id: Id<Tenant>, cluster: Id<Cluster>, now: u64) -> Parked {
        let tenant = &self.tenants.records[id];
        let lane = tenant.lanes.to(self.clusters.records[cluster].key());
        let all = self.policy.in_flight.get();
        if self.is_full(&tenant.lanes, lane, tenant.policy.in_flight.of(all), now) {
            return Parked::Full;
        }
        if self.policy.only_tenant {
            return Parked::No;
        }
        let most = share(all, 7, 8);
        if lane.turns_over_fast(self.lend, now) {
            let part = all_but_some(most);
            let may = self.policy.only_cluster || lane.held() < part || lane.is_proven(all - part);
            return if may { Parked::No } else { Parked::Full };
        }
        let held = tenant.lanes.held_but_fast(self.lend, now);
        if held >= most || lane.held() >= self.for_one_cluster(most) {
            return Parked::Full;
        }
        let weight = u64::from(tenant.policy.weight.get());
        if held < share(all, weight, self.active_weight) || lane.held() == 0 {
            return Parked::No;
        }
        // held < ⌈all × weight ÷ sum⌉ just when sum ≤ (all × weight − 1) ÷ held.
        let most = (u64::from(all) * weight).saturating_sub(1) / u64::from(held.max(1));
        Parked::Share(most)
    }

    // http.md §2: a principal whose requests are slow is held to a quarter of the slots; so is one of which nothing is
    // known, or a burst would have them all before its requests are slow.
    pub(super) fn may_principal(&self, owner: Owner, now: u64) -> bool {
        let tenant = &self.tenants.records[owner.tenant];
        let lanes = &self.principals.records[owner.principal].lanes;
        let lane = lanes.to(self.clusters.records[owner.cluster].key());
        let all = self.policy.in_flight.get();
        if self.is_full(lanes, lane, tenant.policy.principal_in_flight.of(all), now) {
            return false;
        }
        // The only principal of the only tenant has nobody beside it to be protected, but who may come.
        let alone = self.policy.only_tenant && tenant.principals <= 1 && now >= tenant.crowded_until;
        let most = if alone { share(all, 7, 8) } else { share(all, 1, 4) };
        lane.held() == 0 || lane.turns_over_fast(self.lend, now) || lanes.held_but_fast(self.lend, now) < most
    }

    /// Whether an explicit bound leaves no slot. One who is known to ask for other clusters too finds a slot for them.
    fn is_full(&self, lanes: &Lanes, lane: &Hold, bound: u32, now: u64) -> bool {
        let most = if lanes.are_several() { all_but_some(bound) } else { bound };
        let proven = || lane.turns_over_fast(self.lend, now) && lane.is_proven(bound - most);
        lanes.held() >= bound || (lane.held() >= most && !proven())
    }

    // http.md §2: a cluster at its bound (what its connections carry; 7/8 of all while its requests are slow, unless it
    // is the only one) is skipped, for an only tenant too: one stalled cluster never starves the others.
    pub(super) fn may_cluster(&self, id: Id<Cluster>, now: u64) -> bool {
        let cluster = &self.clusters.records[id];
        let (hold, all) = (&cluster.hold, self.policy.in_flight.get());
        let most = self.for_one_cluster(all);
        hold.held() < cluster.bound.of(all)
            && (hold.held() < most || (!hold.is_slow(self.lend, now) && hold.is_proven(all - most)))
    }

    /// What one cluster may have of so many slots before it is known to give back what it takes.
    fn for_one_cluster(&self, slots: u32) -> u32 {
        if self.policy.only_cluster { slots } else { all_but_some(slots) }
    }

    /// Sets what a tenant has waiting for a cluster aside until its bound may have loosened.
    pub(super) fn park(&mut self, id: Id<Flow>, until: Parked) {
        self.flows[id].aside = until;
        if let Parked::Share(weight) = until {
            self.held_to_share.insert((weight, id));
        }
        self.place(id);
    }

    /// Its bound may have loosened: it takes its place, and will be asked when its turn comes.
    pub(super) fn unpark(&mut self, id: Id<Flow>) {
        if let Parked::Share(weight) = std::mem::take(&mut self.flows[id].aside) {
            self.held_to_share.remove(&(weight, id));
        }
        self.place(id);
    }

    pub(super) fn unpark_flows_of(&mut self, tenant: Id<Tenant>) {
        let mut next = self.tenants.records[tenant].flows.front();
        while let Some(flow) = next {
            next = self.flows[flow].next_of_tenant();
            self.unpark(flow);
        }
    }

    /// Lets one come back whose tenant's share has grown because others went. `false`: there is none.
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
            let (principal, cluster) = (self.subflows[subflow].principal, self.flows[flow].cluster);
            if self.may_principal(Owner { tenant, principal, cluster }, now) {
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

/// 7/8 of a bound, rounded up, and one less than all of it where there are more than one.
fn all_but_some(bound: u32) -> u32 {
    share(bound, 7, 8).min(bound.saturating_sub(1)).max(1)
}
