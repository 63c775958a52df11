//! Who may wait, and who no longer: queues, their bounds, and the wait that is to be expected (http.md §1 step 7, §7).

use std::time::Duration;

use super::arena::Id;
use super::cost::{DEBT, UNIT, rounds, signed};
use super::record::{Cluster, Flow, Principal, Subflow, Tenant, Waiter};
use super::table::{Keyed, Table};
use super::{Drr, Outcome, Owner};
use crate::admission::busy::{Busy, Why};
use crate::admission::policy::{Claim, Generation, TenantPolicy};

/// No forecast goes further.
const FORECAST: u64 = 30_000_000_000;

impl Drr {
    /// The records of a claim, with its generation's policy or a later one's: a request that began before a reload comes
    /// here after it when its body took so long.
    pub(super) fn find(&mut self, claim: &Claim) -> Owner {
        let owner = Owner {
            tenant: self.tenants.find_or_insert(claim.tenant),
            principal: self.principals.find_or_insert((claim.tenant, claim.principal)),
            cluster: self.clusters.find_or_insert(claim.cluster),
        };
        let cluster = &mut self.clusters.records[owner.cluster];
        if claim.generation >= cluster.generation {
            (cluster.generation, cluster.bound) = (claim.generation, claim.cluster_in_flight);
        }
        self.tenants.records[owner.tenant].lanes.open(claim.cluster);
        self.principals.records[owner.principal].lanes.open(claim.cluster);
        self.adopt_tenant(owner.tenant, claim.policy, claim.generation);
        owner
    }

    /// Brings a generation's bounds to those that are known: they do not wait for the next claim to tell them.
    pub(super) fn adopt_bounds(&mut self, generation: &Generation) {
        for id in self.tenants.records.ids() {
            if let Some(policy) = generation.tenants.get(&self.tenants.records[id].key) {
                self.adopt_tenant(id, *policy, generation.number);
            }
        }
        for id in self.clusters.records.ids() {
            let cluster = &mut self.clusters.records[id];
            if let Some(bound) = generation.clusters.get(&cluster.key()) {
                (cluster.generation, cluster.bound) = (generation.number, *bound);
            }
        }
    }

    fn adopt_tenant(&mut self, id: Id<Tenant>, policy: TenantPolicy, generation: u64) {
        let tenant = &mut self.tenants.records[id];
        if generation < tenant.generation {
            return;
        }
        tenant.generation = generation;
        if tenant.policy == policy {
            return;
        }
        let weight = policy.weight.get();
        if tenant.uses > 0 {
            self.active_weight -= u64::from(tenant.policy.weight.get());
            self.active_weight += u64::from(weight);
        }
        tenant.policy = policy;
        if tenant.queued == 0 {
            return;
        }
        self.heaviest.update(&mut self.tenants.records, id);
        for flow in self.flows_of(id) {
            let Flow { cluster, weight: counted, .. } = &mut self.flows[flow];
            let cluster = &mut self.clusters.records[*cluster];
            cluster.weight = cluster.weight - u64::from(*counted) + u64::from(weight);
            *counted = weight;
        }
        self.unpark_principals_of(id);
        self.unpark_flows_of(id);
    }

    pub(super) fn flows_of(&mut self, tenant: Id<Tenant>) -> Vec<Id<Flow>> {
        let mut flows = Vec::new();
        let mut next = self.tenants.records[tenant].flows.front();
        while let Some(flow) = next {
            flows.push(flow);
            next = self.flows[flow].next_of_tenant();
        }
        flows
    }

    /// Room in the queues for one more, or why there is none.
    pub(super) fn make_room(&mut self, owner: Owner, cost: u64, now: u64) -> Result<(), Busy> {
        let forecast = self.forecast(owner, cost, now);
        let busy = |why| Busy {
            why,
            retry_after: Duration::from_nanos(forecast.unwrap_or(self.wait).min(FORECAST)),
            waited: Duration::ZERO,
        };
        let tenant = &self.tenants.records[owner.tenant];
        if tenant.queued >= tenant.policy.queue {
            return Err(busy(Why::QueueFull));
        }
        // Issue: a request whose wait would exceed its limit is rejected at once.
        if forecast.is_some_and(|wait| wait > self.wait) {
            return Err(busy(Why::WouldWait));
        }
        if self.queued < self.policy.queue_total {
            return Ok(());
        }
        // Issue: when all queues are full the tenant that queues most for its weight loses.
        let Some(heaviest) = self.heaviest.top().filter(|top| self.outweighs(*top, owner.tenant)) else {
            return Err(busy(Why::QueueFull));
        };
        if let Some(newest) = self.tenants.records[heaviest].waiters.back() {
            self.reject(newest, Why::Outbid, now);
        }
        Ok(())
    }

    /// Whether `one` queues more for its weight than `newcomer` would with one more.
    fn outweighs(&self, one: Id<Tenant>, newcomer: Id<Tenant>) -> bool {
        let weight = |id: Id<Tenant>| u64::from(self.tenants.records[id].policy.weight.get());
        let queued = |id: Id<Tenant>| u64::from(self.tenants.records[id].queued);
        one != newcomer && queued(one) * weight(newcomer) > (queued(newcomer) + 1) * weight(one)
    }

    /// How long one more of `owner` would wait, in nanoseconds, if that can be told from the observed service rate.
    fn forecast(&self, owner: Owner, cost: u64, now: u64) -> Option<u64> {
        let tenant = &self.tenants.records[owner.tenant];
        let cluster = &self.clusters.records[owner.cluster];
        // Nobody to wait behind: how long a slot takes to come free is unknown.
        if cluster.queued == 0 {
            return None;
        }
        let flow = self.find_flow(owner.tenant, owner.cluster);
        let ahead = flow.map_or(0, |flow| self.cost_ahead(flow, owner.principal));
        if let Some(flow) = flow
            && let Some(wait) = self.flows[flow].pace.time_for(ahead + cost)
        {
            return Some(wait);
        }
        let deficit = match tenant.queued {
            0 => self.deficit_on_return(owner.tenant, now),
            _ if tenant.sparse => tenant.deficit,
            _ => tenant.deficit.min(0),
        };
        // Served first.
        if deficit > signed(ahead) {
            return None;
        }
        // A share of the cluster's service by weight among those that wait for it.
        let debt = u64::try_from(deficit.min(0).saturating_neg()).unwrap_or_default();
        let own = if flow.is_some() { 0 } else { u64::from(tenant.policy.weight.get()) };
        let shared = u128::from(ahead + cost + debt) * u128::from(cluster.weight + own);
        let shared = shared / u128::from(tenant.policy.weight.get());
        cluster.pace.time_for(u64::try_from(shared).unwrap_or(u64::MAX))
    }

    /// Cost of what is served before one more of `principal`: principals take turns.
    fn cost_ahead(&self, flow: Id<Flow>, principal: Id<Principal>) -> u64 {
        let own = self.find_subflow(flow, principal).map_or(0, |subflow| self.subflows[subflow].queued);
        let flow = &self.flows[flow];
        let turns = u64::from(own) + 1;
        let ahead = turns.saturating_mul(u64::from(flow.principals)).min(u64::from(flow.queued));
        let cost = u128::from(flow.queued_cost) * u128::from(ahead) / u128::from(flow.queued.max(1));
        u64::try_from(cost).unwrap_or(u64::MAX)
    }

    pub(super) fn enqueue(
        &mut self,
        owner: Owner,
        claim: &Claim,
        cost: u64,
        token: u32,
        now: u64,
    ) -> Id<Waiter> {
        if self.tenants.records[owner.tenant].queued == 0 {
            self.begin_to_wait(owner.tenant, now);
        }
        let flow = match self.find_flow(owner.tenant, owner.cluster) {
            Some(flow) => flow,
            None => self.open_flow(owner, now),
        };
        let subflow = match self.find_subflow(flow, owner.principal) {
            Some(subflow) => subflow,
            None => self.open_subflow(flow, owner.principal),
        };
        let waiter = self.waiters.insert(Waiter {
            subflow,
            token,
            declared: claim.declared,
            route_weight: claim.route_weight.get(),
            streams: claim.streams,
            cost,
            entered: now,
            ..Waiter::default()
        });
        self.subflows[subflow].waiters.push_back(&mut self.waiters, waiter, Waiter::by_subflow);
        self.tenants.records[owner.tenant].waiters.push_back(&mut self.waiters, waiter, Waiter::by_tenant);
        self.ages.push_back(&mut self.waiters, waiter, Waiter::by_age);
        self.flows[flow].queued_cost += cost;
        self.flows[flow].queued += 1;
        self.subflows[subflow].queued += 1;
        self.principals.records[owner.principal].queued += 1;
        self.clusters.records[owner.cluster].queued += 1;
        self.tenants.records[owner.tenant].queued += 1;
        self.queued += 1;
        self.heaviest.update(&mut self.tenants.records, owner.tenant);
        self.place(flow);
        waiter
    }

    fn open_flow(&mut self, owner: Owner, now: u64) -> Id<Flow> {
        let weight = self.tenants.records[owner.tenant].policy.weight.get();
        self.stamps += 1;
        let id = self.flows.insert(Flow {
            tenant: owner.tenant,
            cluster: owner.cluster,
            weight,
            stamp: self.stamps,
            ..Flow::default()
        });
        self.flows[id].pace.begin(now);
        self.tenants.records[owner.tenant].flows.push_back(&mut self.flows, id, Flow::by_tenant);
        let ahead = rounds(signed(self.largest * (DEBT + 1)), signed(UNIT)) + 1;
        let cluster = &mut self.clusters.records[owner.cluster];
        cluster.weight += u64::from(weight);
        if cluster.queued == 0 {
            cluster.ring.resize(usize::try_from(ahead).unwrap_or_default());
            cluster.place = Some(self.waited_for.len());
            self.waited_for.push(owner.cluster);
        }
        id
    }

    fn open_subflow(&mut self, flow: Id<Flow>, principal: Id<Principal>) -> Id<Subflow> {
        let id = self.subflows.insert(Subflow { flow, principal, ..Subflow::default() });
        self.flows[flow].ready.push_back(&mut self.subflows, id, Subflow::by_flow);
        self.flows[flow].principals += 1;
        let principal = &mut self.principals.records[principal];
        principal.subflows.push_back(&mut self.subflows, id, Subflow::by_principal);
        id
    }

    /// A tenant waits for few clusters at once.
    fn find_flow(&self, tenant: Id<Tenant>, cluster: Id<Cluster>) -> Option<Id<Flow>> {
        let mut next = self.tenants.records[tenant].flows.front();
        while let Some(flow) = next.filter(|flow| self.flows[*flow].cluster != cluster) {
            next = self.flows[flow].next_of_tenant();
        }
        next
    }

    fn find_subflow(&self, flow: Id<Flow>, principal: Id<Principal>) -> Option<Id<Subflow>> {
        let mut next = self.principals.records[principal].subflows.front();
        while let Some(subflow) = next.filter(|subflow| self.subflows[*subflow].flow != flow) {
            next = self.subflows[subflow].next_of_principal();
        }
        next
    }

    // Issue: one that has waited too long is dropped from the head.
    pub(super) fn drop_aged(&mut self, now: u64) {
        while let Some(oldest) = self.ages.front() {
            if now.saturating_sub(self.waiters[oldest].entered) < self.wait {
                return;
            }
            self.reject(oldest, Why::WaitedTooLong, now);
        }
    }

    /// One that waits gets a no.
    pub(super) fn reject(&mut self, id: Id<Waiter>, why: Why, now: u64) {
        let flow = &self.flows[self.subflows[self.waiters[id].subflow].flow];
        let ahead = flow.pace.time_for(flow.queued_cost).unwrap_or(self.wait);
        let (owner, waiter) = self.take_out(id, now);
        self.end_use(owner, now);
        let waited = Duration::from_nanos(now.saturating_sub(waiter.entered));
        let busy = Busy { why, retry_after: Duration::from_nanos(ahead.min(FORECAST)), waited };
        self.outcomes.push_back((waiter.token, Outcome::Busy(busy)));
    }

    /// Takes one out of all queues, and with it what has nobody left in it.
    pub(super) fn take_out(&mut self, id: Id<Waiter>, now: u64) -> (Owner, Waiter) {
        let subflow = self.waiters[id].subflow;
        let (flow, principal) = (self.subflows[subflow].flow, self.subflows[subflow].principal);
        let (tenant, cluster) = (self.flows[flow].tenant, self.flows[flow].cluster);
        self.subflows[subflow].waiters.remove(&mut self.waiters, id, Waiter::by_subflow);
        self.tenants.records[tenant].waiters.remove(&mut self.waiters, id, Waiter::by_tenant);
        self.ages.remove(&mut self.waiters, id, Waiter::by_age);
        let waiter = self.waiters.remove(id);
        self.flows[flow].queued_cost = self.flows[flow].queued_cost.saturating_sub(waiter.cost);
        self.flows[flow].queued -= 1;
        self.subflows[subflow].queued -= 1;
        self.principals.records[principal].queued -= 1;
        self.clusters.records[cluster].queued -= 1;
        self.tenants.records[tenant].queued -= 1;
        self.queued -= 1;
        if self.subflows[subflow].queued == 0 {
            self.close_subflow(subflow);
        }
        if self.flows[flow].queued == 0 {
            self.close_flow(flow);
        }
        self.heaviest.update(&mut self.tenants.records, tenant);
        if self.tenants.records[tenant].queued == 0 {
            self.cease_to_wait(tenant, now);
        } else {
            self.tenants.records[tenant].sparse &= self.tenants.records[tenant].deficit > 0;
            self.place_flows_of(tenant);
        }
        (Owner { tenant, principal, cluster }, waiter)
    }

    fn close_subflow(&mut self, id: Id<Subflow>) {
        let Subflow { flow, principal, parked, .. } = &self.subflows[id];
        let (flow, principal, parked) = (&mut self.flows[*flow], *principal, *parked);
        let list = if parked { &mut flow.parked } else { &mut flow.ready };
        list.remove(&mut self.subflows, id, Subflow::by_flow);
        flow.principals -= 1;
        let subflows = &mut self.principals.records[principal].subflows;
        subflows.remove(&mut self.subflows, id, Subflow::by_principal);
        self.subflows.remove(id);
    }

    fn close_flow(&mut self, id: Id<Flow>) {
        self.unpark(id);
        self.unplace(id);
        let Flow { tenant, cluster, weight, .. } = &self.flows[id];
        let (tenant, cluster, weight) = (*tenant, *cluster, *weight);
        self.tenants.records[tenant].flows.remove(&mut self.flows, id, Flow::by_tenant);
        self.flows.remove(id);
        let cluster = &mut self.clusters.records[cluster];
        cluster.weight -= u64::from(weight);
        let Some(place) = cluster.place.take_if(|_| cluster.queued == 0) else { return };
        self.waited_for.swap_remove(place);
        if let Some(moved) = self.waited_for.get(place) {
            self.clusters.records[*moved].place = Some(place);
        }
    }

    /// A request of `owner` has come: all three are active.
    pub(super) fn begin_use(&mut self, owner: Owner, now: u64) {
        if begin(&mut self.tenants, owner.tenant, |tenant| &mut tenant.uses) {
            self.active_weight += u64::from(self.tenants.records[owner.tenant].policy.weight.get());
        }
        if begin(&mut self.principals, owner.principal, |principal| &mut principal.uses) {
            self.on_principal(owner.tenant, true, now);
        }
        begin(&mut self.clusters, owner.cluster, |cluster| &mut cluster.uses);
    }

    /// It neither waits nor holds a slot any longer.
    pub(super) fn end_use(&mut self, owner: Owner, now: u64) {
        if end(&mut self.principals, owner.principal, |principal| &mut principal.uses) {
            self.on_principal(owner.tenant, false, now);
        }
        let weight = u64::from(self.tenants.records[owner.tenant].policy.weight.get());
        if end(&mut self.tenants, owner.tenant, |tenant| &mut tenant.uses) {
            self.active_weight -= weight;
        }
        end(&mut self.clusters, owner.cluster, |cluster| &mut cluster.uses);
    }
}

/// One more use; `true`: the first.
fn begin<T: Keyed>(table: &mut Table<T>, id: Id<T>, uses: fn(&mut T) -> &mut u32) -> bool {
    let uses = uses(&mut table.records[id]);
    *uses += 1;
    let first = *uses == 1;
    if first {
        table.wake(id);
    }
    first
}

/// One less; `true`: it was the last.
fn end<T: Keyed>(table: &mut Table<T>, id: Id<T>, uses: fn(&mut T) -> &mut u32) -> bool {
    let uses = uses(&mut table.records[id]);
    *uses = uses.saturating_sub(1);
    let last = *uses == 0;
    if last {
        table.rest(id);
    }
    last
}
