//! Whose turn it is, and what it costs: deficits, rounds, grants, debts (http.md §2).

use std::time::Duration;

use super::arena::Id;
use super::cost::{self, DEBT, UNIT, rounds, signed};
use super::record::{Flow, Parked, Place, Subflow, Tenant, Waiter};
use super::table::Keyed as _;
use super::{Drr, Grant, Outcome, Owner};
use crate::admission::policy::Claim;

/// A debt is gone after so long, and a tenant that has not waited for so long was idle.
const FORGIVEN: u64 = 1_000_000_000;
/// A mean of what requests cost beyond what they declared gives the newest this part.
const NEWEST: u64 = 16;

impl Drr {
    // http.md §2: no slot stays idle while a request waits that its own bounds allow.
    pub(super) fn dispatch(&mut self, now: u64) {
        if self.queued == 0 {
            return;
        }
        // Two at a time come back by a grown share, all of them when nobody else would take the slot: so that a call
        // does not look at all tenants.
        let _ = self.unpark_by_share() && self.unpark_by_share();
        while self.in_flight < self.policy.in_flight.get() {
            match self.next_flow(now) {
                Some(flow) => self.serve(flow, now),
                None if self.unpark_by_share() || self.unpark_lonely(now) => {}
                None => return,
            }
        }
    }

    /// The flow whose turn it is, among the clusters that have room.
    fn next_flow(&mut self, now: u64) -> Option<Id<Flow>> {
        let open = self.waited_for.iter().filter(|cluster| self.may_cluster(**cluster, now));
        let sparse = open.filter_map(|cluster| self.clusters.records[*cluster].ring.sparse());
        if let Some(flow) = sparse.min_by_key(|flow| self.flows[*flow].stamp) {
            return Some(flow);
        }
        let mut found: Option<(u64, Id<Flow>)> = None;
        let mut next_round = None;
        for place in 0..self.waited_for.len() {
            let cluster =
                self.waited_for.get(place).copied().filter(|cluster| self.may_cluster(*cluster, now));
            let Some(cluster) = cluster else { continue };
            let ring = &mut self.clusters.records[cluster].ring;
            match ring.due(&mut self.flows, self.round) {
                Some(flow) => {
                    let stamp = self.flows[flow].stamp;
                    if found.is_none_or(|(least, _)| stamp < least) {
                        found = Some((stamp, flow));
                    }
                }
                None => next_round = next_round.into_iter().chain(ring.next_round()).min(),
            }
        }
        match (found, next_round) {
            (Some((_, flow)), _) => Some(flow),
            (None, Some(round)) => {
                self.round = round;
                self.next_flow(now)
            }
            (None, None) => None,
        }
    }

    /// Grants the head of `flow`, or sets aside who is at a bound.
    fn serve(&mut self, flow: Id<Flow>, now: u64) {
        let (tenant, cluster) = (self.flows[flow].tenant, self.flows[flow].cluster);
        let bound = self.bound_of_tenant(tenant, cluster, now);
        if bound != Parked::No {
            return self.park(flow, bound);
        }
        let Some(subflow) = self.flows[flow].ready.front() else { return self.unplace(flow) };
        let principal = self.subflows[subflow].principal;
        if !self.may_principal(Owner { tenant, principal, cluster }, now) {
            self.park_subflow(subflow);
            return self.place(flow);
        }
        self.grant(flow, subflow, now);
    }

    fn grant(&mut self, id: Id<Flow>, subflow: Id<Subflow>, now: u64) {
        let Some(waiter) = self.subflows[subflow].waiters.front() else { return };
        let cost = self.waiters[waiter].cost;
        let (tenant, cluster) = (self.flows[id].tenant, self.flows[id].cluster);
        let owner = Owner { tenant, principal: self.subflows[subflow].principal, cluster };
        self.pay(tenant, cost);
        self.stamps += 1;
        self.clusters.records[cluster].pace.on_grant(cost, now);
        let flow = &mut self.flows[id];
        flow.stamp = self.stamps;
        flow.pace.on_grant(cost, now);
        // The principals of a tenant take turns.
        flow.ready.remove(&mut self.subflows, subflow, Subflow::by_flow);
        flow.ready.push_back(&mut self.subflows, subflow, Subflow::by_flow);
        // To the end of its round, so that a heavy tenant's quantum is not served in one piece.
        self.unplace(id);
        let (_, Waiter { token, declared, route_weight, streams, entered, .. }) = self.take_out(waiter, now);
        self.begin_hold(owner, streams, now);
        self.outcomes.push_back((
            token,
            Outcome::Granted(Grant {
                tenant,
                principal: owner.principal,
                cluster,
                declared,
                route_weight,
                streams,
                charged: cost,
                taken: now,
                waited: Duration::from_nanos(now.saturating_sub(entered)),
            }),
        ));
    }

    /// A slot for one that has not waited: nobody else would have it, so that it costs nobody a turn, and no deficit.
    pub(super) fn hold(&mut self, owner: Owner, claim: &Claim, cost: u64, now: u64) -> Grant {
        self.begin_hold(owner, claim.streams, now);
        Grant {
            tenant: owner.tenant,
            principal: owner.principal,
            cluster: owner.cluster,
            declared: claim.declared,
            route_weight: claim.route_weight.get(),
            streams: claim.streams,
            charged: cost,
            taken: now,
            waited: Duration::ZERO,
        }
    }

    fn begin_hold(&mut self, owner: Owner, streams: bool, now: u64) {
        self.in_flight += 1;
        let cluster = &mut self.clusters.records[owner.cluster];
        cluster.hold.begin(streams, now);
        self.tenants.records[owner.tenant].lanes.begin(cluster.key(), streams, now);
        self.principals.records[owner.principal].lanes.begin(cluster.key(), streams, now);
    }

    pub(super) fn end_hold(&mut self, owner: Owner, grant: &Grant, now: u64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let (streams, taken, lend) = (grant.streams, grant.taken, self.lend);
        let cluster = &mut self.clusters.records[owner.cluster];
        cluster.hold.end(streams, taken, lend, now);
        self.tenants.records[owner.tenant].lanes.end(cluster.key(), streams, taken, lend, now);
        self.principals.records[owner.principal].lanes.end(cluster.key(), streams, taken, lend, now);
    }

    // http.md §2: round quantum = weight × 1 unit.
    fn quantum(&self, tenant: Id<Tenant>) -> i64 {
        signed(UNIT * u64::from(self.tenants.records[tenant].policy.weight.get()))
    }

    /// Takes the cost of a grant off the deficit, which the rounds up to now have made large enough. More rounds than
    /// that give nothing: who stood aside while they passed has not saved them.
    fn pay(&mut self, id: Id<Tenant>, cost: u64) {
        let quantum = self.quantum(id);
        let round = self.round;
        let tenant = &mut self.tenants.records[id];
        if !tenant.sparse {
            let waited = rounds(signed(cost) - tenant.deficit, quantum);
            tenant.deficit = tenant.deficit.saturating_add(signed(waited).saturating_mul(quantum));
        }
        tenant.deficit -= signed(cost);
        tenant.round = round;
    }

    // http.md §2: a tenant that was idle for a round is served first, for one quantum.
    /// A tenant begins to wait: rounds that have passed meanwhile pay its debt, and are worth one quantum at most.
    pub(super) fn begin_to_wait(&mut self, id: Id<Tenant>, now: u64) {
        let quantum = self.quantum(id);
        let deficit = self.deficit_on_return(id, now);
        let round = self.round;
        let tenant = &mut self.tenants.records[id];
        tenant.deficit = deficit.min(quantum);
        tenant.round = round;
        tenant.sparse = deficit > 0;
    }

    /// The deficit that a tenant would begin to wait with; more than 0: it would be served first.
    pub(super) fn deficit_on_return(&self, id: Id<Tenant>, now: u64) -> i64 {
        let tenant = &self.tenants.records[id];
        let passed = self.round.saturating_sub(tenant.round);
        let (debt, passed) = match now.saturating_sub(tenant.since) >= FORGIVEN {
            true => (0, passed.max(1)),
            false => (tenant.deficit.min(0), passed),
        };
        debt.saturating_add(signed(passed).saturating_mul(self.quantum(id)))
    }

    // http.md §2: an emptying queue forgets credit and keeps debt.
    pub(super) fn cease_to_wait(&mut self, id: Id<Tenant>, now: u64) {
        let tenant = &mut self.tenants.records[id];
        tenant.deficit = tenant.deficit.min(0);
        tenant.sparse = false;
        tenant.since = now;
    }

    // http.md §2: declared bytes count on entry. With them counts what the tenant's requests have lately cost beyond
    // what they declared: else a tenant of large answers would be known by them only once they are over, many at once.
    pub(super) fn cost_on_entry(&self, claim: &Claim, tenant: Id<Tenant>) -> u64 {
        let declared = cost::cost(&self.policy, claim.declared, claim.route_weight.get());
        declared
            .saturating_add(self.tenants.records[tenant].beyond.unwrap_or_default())
            .min(self.largest)
            .max(1)
    }

    // http.md §2: … the truth is settled at the end; debt is at most four of the largest declarable costs.
    pub(super) fn settle(&mut self, grant: &Grant, bytes: u64, now: u64) {
        let declared = cost::cost(&self.policy, grant.declared, grant.route_weight);
        let cost = cost::cost(&self.policy, bytes, grant.route_weight);
        let most = signed(DEBT * self.largest);
        let tenant = &mut self.tenants.records[grant.tenant];
        let beyond = cost.saturating_sub(declared).min(self.largest);
        tenant.beyond = Some(tenant.beyond.map_or(beyond, |mean| mean - mean / NEWEST + beyond / NEWEST));
        let before = tenant.deficit;
        let settled = before.saturating_sub(signed(cost) - signed(grant.charged)).clamp(-most, most);
        tenant.deficit = if tenant.queued > 0 { settled } else { settled.min(0) };
        tenant.sparse &= tenant.deficit > 0;
        if tenant.deficit < before && tenant.queued == 0 {
            tenant.since = now;
        }
    }

    /// Takes each flow of a tenant to where its deficit puts it.
    pub(super) fn place_flows_of(&mut self, tenant: Id<Tenant>) {
        let mut next = self.tenants.records[tenant].flows.front();
        while let Some(flow) = next {
            next = self.flows[flow].next_of_tenant();
            self.place(flow);
        }
    }

    // http.md §2: a waiting tenant sits in the round in which its deficit will cover its head.
    pub(super) fn place(&mut self, id: Id<Flow>) {
        let place = self.place_of(id);
        let cluster = &mut self.clusters.records[self.flows[id].cluster];
        if cluster.ring.holds_at(self.flows[id].place, place, self.round) {
            return;
        }
        // Its pace is that of serving those that may go: the time when all stood aside does not count.
        if cluster.ring.is_empty() && place != Place::Nowhere {
            cluster.pace.begin(self.now);
        }
        cluster.ring.remove(&mut self.flows, id);
        cluster.ring.insert(&mut self.flows, id, place, self.round);
    }

    fn place_of(&self, id: Id<Flow>) -> Place {
        let flow = &self.flows[id];
        let tenant = &self.tenants.records[flow.tenant];
        let head = flow.ready.front().and_then(|subflow| self.subflows[subflow].waiters.front());
        match head {
            Some(_) if flow.aside != Parked::No => Place::Nowhere,
            Some(_) if tenant.sparse => Place::Sparse,
            Some(head) => {
                let missing = signed(self.waiters[head].cost) - tenant.deficit;
                Place::Round(tenant.round + rounds(missing, self.quantum(flow.tenant)))
            }
            None => Place::Nowhere,
        }
    }

    pub(super) fn unplace(&mut self, id: Id<Flow>) {
        let cluster = self.flows[id].cluster;
        self.clusters.records[cluster].ring.remove(&mut self.flows, id);
    }
}
