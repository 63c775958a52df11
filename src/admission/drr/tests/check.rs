//! What holds after each call.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::admission::drr::arena::List;
use crate::admission::drr::record::{Parked, Place};
use crate::admission::drr::table::Keyed;
use crate::admission::drr::{Drr, Owner, nanos};

/// The owner of each that waits, and when it came.
fn waiting(drr: &Drr) -> Vec<(Owner, u64)> {
    let owner = |subflow| {
        let subflow = &drr.subflows[subflow];
        let flow = &drr.flows[subflow.flow];
        Owner { tenant: flow.tenant, principal: subflow.principal, cluster: flow.cluster }
    };
    drr.waiters
        .ids()
        .into_iter()
        .map(|id| (owner(drr.waiters[id].subflow), drr.waiters[id].entered))
        .collect()
}

pub fn no_slot_is_free_while_one_waits_that_may_have_it(drr: &Drr, now: Instant) {
    let now = nanos(now - drr.epoch);
    if drr.in_flight >= drr.policy.in_flight.get() {
        return;
    }
    for (owner, _) in waiting(drr) {
        let tenant = drr.bound_of_tenant(owner.tenant, owner.cluster, now) == Parked::No;
        let principal = drr.may_principal(owner, now);
        let cluster = drr.may_cluster(owner.cluster, now);
        assert!(!(tenant && principal && cluster), "{owner:?} may have a slot");
    }
}

/// What each tenant and each cluster holds.
pub type Held = (BTreeMap<u64, u32>, BTreeMap<u64, u32>);

pub fn held(drr: &Drr) -> Held {
    let tenants = drr.tenants.records.ids().into_iter().map(|id| &drr.tenants.records[id]);
    let clusters = drr.clusters.records.ids().into_iter().map(|id| &drr.clusters.records[id]);
    (
        tenants.map(|tenant| (tenant.key, tenant.lanes.held())).collect(),
        clusters.map(|cluster| (cluster.key(), cluster.hold.held())).collect(),
    )
}

/// `before`: what was held before a step. A lowered bound takes nothing back.
pub fn bounds_hold(drr: &Drr, before: &Held, now: Instant) {
    let now = nanos(now - drr.epoch);
    let waiting = waiting(drr);
    assert!(waiting.iter().all(|(_, entered)| now - entered < drr.wait));
    assert!(drr.queued <= drr.policy.queue_total, "{} wait", drr.queued);
    for id in drr.tenants.records.ids() {
        let tenant = &drr.tenants.records[id];
        let all = drr.policy.in_flight.get();
        let before = before.0.get(&tenant.key).copied().unwrap_or_default();
        assert!(tenant.lanes.held() <= tenant.policy.in_flight.of(all).max(before));
        assert!(tenant.queued <= tenant.policy.queue);
        let most = i64::try_from(drr.largest * 4).unwrap();
        assert!(tenant.deficit >= -most, "a debt of {}", tenant.deficit);
    }
    for id in drr.clusters.records.ids() {
        let cluster = &drr.clusters.records[id];
        let before = before.1.get(&cluster.key()).copied().unwrap_or_default();
        assert!(cluster.hold.held() <= cluster.bound.of(drr.policy.in_flight.get()).max(before));
    }
}

pub fn books_agree(drr: &Drr) {
    let waiting = waiting(drr);
    assert_eq!(drr.queued as usize, waiting.len());
    let (mut weight, mut held) = (0, 0);
    for id in drr.tenants.records.ids() {
        let tenant = &drr.tenants.records[id];
        let queued = waiting.iter().filter(|(owner, _)| owner.tenant == id).count();
        assert_eq!(tenant.queued as usize, queued);
        assert_eq!(tenant.uses, tenant.queued + tenant.lanes.held());
        assert_eq!(tenant.heap_place.is_some(), queued > 0);
        held += tenant.lanes.held();
        weight += if tenant.uses > 0 { u64::from(tenant.policy.weight.get()) } else { 0 };
        let mut principals = BTreeMap::new();
        for id in drr.principals.records.ids() {
            let principal = &drr.principals.records[id];
            if principal.key().0 == tenant.key && principal.uses > 0 {
                principals.insert(principal.key(), principal.uses);
            }
        }
        assert_eq!((tenant.principals as usize, tenant.uses), (principals.len(), principals.values().sum()));
    }
    assert_eq!((drr.active_weight, drr.in_flight), (weight, held));
    for id in drr.clusters.records.ids() {
        let cluster = &drr.clusters.records[id];
        let queued = waiting.iter().filter(|(owner, _)| owner.cluster == id).count();
        assert_eq!((cluster.queued as usize, cluster.place.is_some()), (queued, queued > 0));
        assert_eq!(cluster.place.map(|place| drr.waited_for[place]), cluster.place.map(|_| id));
    }
    for id in drr.flows.ids() {
        let flow = &drr.flows[id];
        let parked = flow.aside != Parked::No;
        assert_eq!(flow.place == Place::Nowhere, parked || flow.ready.is_empty(), "{flow:?}");
        assert!(flow.queued > 0);
    }
}

pub fn nothing_is_left(drr: &Drr) {
    books_agree(drr);
    assert_eq!((drr.in_flight, drr.queued, drr.active_weight), (0, 0, 0));
    assert_eq!((drr.flows.len(), drr.subflows.len(), drr.waiters.len()), (0, 0, 0));
    assert!(drr.held_to_share.is_empty() && drr.waited_for.is_empty() && drr.ages.is_empty());
    assert!(List::is_empty(&drr.ages) && drr.heaviest.top().is_none() && drr.outcomes.is_empty());
}
