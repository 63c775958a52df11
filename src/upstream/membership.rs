//! The backends of a cluster over time: who belongs to it, which of them takes a request, who is ejected.
//!
//! Lists come from the configuration or from discovery and replace one another. A backend that is on the next list
//! too, by its address, stays what it is: its health, its requests under way, its ejection and what its owner keeps
//! for it. Picking reads the current list without a lock; the lock is for changes alone.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::backend::{Backend, BackendId};
use super::balance::{Balancer, Policy};
use super::ejection::{self, Record};

/// The backends of one cluster.
#[derive(Debug)]
pub struct Members<T> {
    current: ArcSwap<Balancer<T>>,
    changing: Mutex<Changing>,
    epoch: Instant,
}

#[derive(Debug, Default)]
struct Changing {
    ids: u64,
    /// Of those that have ever been ejected.
    records: HashMap<BackendId, Record>,
}

/// What a new list changed.
#[derive(Debug)]
pub struct Changed<T> {
    /// Backends that were not there before: to be checked from now on.
    pub added: Vec<Arc<Backend<T>>>,
    /// Backends that are not there any more. Their requests go on, new ones do not come.
    pub removed: Vec<Arc<Backend<T>>>,
}

impl<T> Members<T> {
    /// A cluster without backends. No later time that it is given may be before `now`.
    pub fn new(policy: Policy, now: Instant) -> Self {
        Self {
            current: ArcSwap::from_pointee(Balancer::new(policy, [])),
            changing: Mutex::default(),
            epoch: now,
        }
    }

    /// The list in force. What was picked or listed from it stays valid.
    pub fn current(&self) -> Arc<Balancer<T>> {
        self.current.load_full()
    }

    /// The backend for a request: see [`Balancer::pick`].
    pub fn pick(
        &self,
        key: Option<&[u8]>,
        exclude: &[BackendId],
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Option<Arc<Backend<T>>> {
        self.current.load().pick(key, exclude, now, rng)
    }

    /// Whether some backend may be given requests.
    pub fn any_available(&self, now: Instant) -> bool {
        self.current.load().backends().any(|(backend, _)| backend.is_available(now))
    }

    /// Replaces the list. An address stands for its backend by what it is written as; of two that are written the same
    /// the first counts. `make` gives what the owner keeps for an address that is new; it must not call this cluster.
    pub fn update<A: Display>(
        &self,
        found: impl IntoIterator<Item = (A, NonZeroU32)>,
        mut make: impl FnMut(&A) -> T,
    ) -> Changed<T> {
        let mut changing = self.changing.lock();
        let old = self.current.load_full();
        let mut before: BTreeMap<&str, _> = old.backends().map(|(b, _)| (b.name().as_ref(), b)).collect();
        let mut after: Vec<(Arc<Backend<T>>, NonZeroU32)> = Vec::new();
        let mut names = std::collections::HashSet::new();
        let mut added = Vec::new();
        for (address, weight) in found {
            let name: Arc<str> = address.to_string().into();
            if !names.insert(Arc::clone(&name)) {
                continue;
            }
            let backend = match before.remove(name.as_ref()) {
                Some(backend) => Arc::clone(backend),
                None => {
                    changing.ids = changing.ids.wrapping_add(1);
                    let backend =
                        Arc::new(Backend::new(BackendId(changing.ids), name, make(&address), self.epoch));
                    added.push(Arc::clone(&backend));
                    backend
                }
            };
            after.push((backend, weight));
        }
        let removed: Vec<_> = before.into_values().cloned().collect();
        changing.records.retain(|id, _| removed.iter().all(|backend| backend.id() != *id));
        let stays = after.len() == old.backends().len()
            && after.iter().zip(old.backends()).all(|((a, w), (b, v))| Arc::ptr_eq(a, b) && *w == v);
        if !stays {
            self.current.store(Arc::new(Balancer::new(old.policy(), after)));
        }
        Changed { added, removed }
    }

    /// Chooses by another policy from now on. The backends stay what they are.
    pub fn set_policy(&self, policy: Policy) {
        let _changing = self.changing.lock();
        let old = self.current.load_full();
        if old.policy() != policy {
            let same = old.backends().map(|(backend, weight)| (Arc::clone(backend), weight));
            self.current.store(Arc::new(Balancer::new(policy, same)));
        }
    }

    /// What `before` knows of the backends that are here too, by their names: health, and how long they are ejected.
    pub fn inherit(&self, before: &Self, now: Instant) {
        let known = before.current.load();
        for (backend, _) in self.current.load().backends() {
            let same = known.backends().find(|(other, _)| other.name() == backend.name());
            if let Some((other, _)) = same {
                backend.set_healthy(other.is_healthy());
                backend.eject_until(other, now);
            }
        }
    }

    /// A request to `backend` went well.
    pub fn on_success(&self, backend: &Backend<T>) {
        backend.forget_failures();
    }

    /// A request to `backend` failed by the backend's fault. Says how long it is ejected, if it is now.
    pub fn on_failure(
        &self,
        backend: &Backend<T>,
        policy: &ejection::Policy,
        now: Instant,
    ) -> Option<Duration> {
        if backend.is_ejected(now) || backend.count_failure() < policy.consecutive_failures.get() {
            return None;
        }
        let mut changing = self.changing.lock();
        let current = self.current.load();
        let ejected = current.backends().filter(|(other, _)| other.is_ejected(now)).count();
        let belongs = current.backends().any(|(other, _)| other.id() == backend.id());
        if !belongs || backend.is_ejected(now) || ejected >= policy.bound(current.backends().len()) {
            return None;
        }
        let length = changing.records.entry(backend.id()).or_default().eject(policy, now);
        backend.eject(now, length);
        backend.forget_failures();
        Some(length)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EJECTION: ejection::Policy = ejection::Policy {
        consecutive_failures: NonZeroU32::new(3).unwrap(),
        base: Duration::from_secs(10),
        max: Duration::from_secs(300),
        share_per_mille: 500,
    };

    fn listed(names: &[&'static str]) -> Vec<(&'static str, NonZeroU32)> {
        names.iter().map(|name| (*name, NonZeroU32::MIN)).collect()
    }

    fn members(now: Instant, names: &[&'static str]) -> Members<String> {
        let members = Members::new(Policy::RoundRobin, now);
        assert_eq!(members.update(listed(names), |name| name.to_uppercase()).added.len(), names.len());
        members
    }

    fn named<T>(members: &Members<T>, name: &str) -> Arc<Backend<T>> {
        let current = members.current();
        let mut named = current.backends().filter(|(backend, _)| **backend.name() == *name);
        Arc::clone(named.next().unwrap().0)
    }

    fn fail(members: &Members<String>, name: &str, times: u32, now: Instant) -> Vec<u64> {
        let backend = named(members, name);
        let ejections = (0..times).filter_map(|_| members.on_failure(&backend, &EJECTION, now));
        ejections.map(|length| length.as_secs()).collect()
    }

    #[test]
    fn a_backend_that_stays_on_the_list_stays_what_it_is() {
        let now = crate::clock::now();
        let members = members(now, &["a", "b", "c"]);
        let (a, b) = (named(&members, "a"), named(&members, "b"));
        let _request = a.begin();
        a.set_healthy(false);
        assert_eq!(fail(&members, "b", 3, now), [10]);

        let changed = members.update(listed(&["d", "b", "a", "b"]), |name| name.to_uppercase());
        let names = |some: &[Arc<Backend<String>>]| some.iter().map(|b| b.link.clone()).collect::<Vec<_>>();
        assert_eq!(
            (names(&changed.added), names(&changed.removed)),
            (vec!["D".to_owned()], vec!["C".to_owned()])
        );
        assert_eq!(members.current().backends().len(), 3);
        assert!(Arc::ptr_eq(&a, &named(&members, "a")) && Arc::ptr_eq(&b, &named(&members, "b")));
        assert_eq!((named(&members, "a").in_flight(), named(&members, "a").is_healthy()), (1, false));
        assert!(named(&members, "b").is_ejected(now));
        let mut rng = fastrand::Rng::with_seed(1);
        assert!((0..10).all(|_| members.pick(None, &[], now, &mut rng).unwrap().link == "D"));
    }

    #[test]
    fn a_backend_that_comes_back_is_another_one() {
        let now = crate::clock::now();
        let members = members(now, &["a", "b"]);
        let old = named(&members, "a");
        old.set_healthy(false);
        drop(members.update(listed(&["b"]), |name| name.to_uppercase()));
        drop(members.update(listed(&["a", "b"]), |name| name.to_uppercase()));
        let new = named(&members, "a");
        assert!(new.is_healthy() && new.id() != old.id());
        assert_eq!(members.on_failure(&old, &EJECTION, now), None);
    }

    #[test]
    fn a_new_weight_or_policy_keeps_the_backends() {
        let now = crate::clock::now();
        let members = members(now, &["a", "b"]);
        let b = named(&members, "b");
        let weighted = [("a", NonZeroU32::MIN), ("b", NonZeroU32::new(3).unwrap())];
        let changed = members.update(weighted, |name| name.to_uppercase());
        assert!(changed.added.is_empty() && changed.removed.is_empty());
        let mut rng = fastrand::Rng::with_seed(1);
        let to_b =
            (0..400).filter(|_| members.pick(None, &[], now, &mut rng).unwrap().id() == b.id()).count();
        assert_eq!(to_b, 300);
        members.set_policy(Policy::Hash);
        assert_eq!(members.current().policy(), Policy::Hash);
        assert!(Arc::ptr_eq(&b, &named(&members, "b")));
    }

    #[test]
    fn failures_in_a_row_eject_and_a_success_forgets_them() {
        let now = crate::clock::now();
        let members = members(now, &["a", "b"]);
        assert!(fail(&members, "a", 2, now).is_empty());
        members.on_success(&named(&members, "a"));
        assert!(fail(&members, "a", 2, now).is_empty());
        assert_eq!(fail(&members, "a", 1, now), [10]);
        assert!(!named(&members, "a").is_available(now));
        // What was under way when it was ejected fails too, and does not count.
        assert!(fail(&members, "a", 100, now + Duration::from_secs(9)).is_empty());
        let back = now + Duration::from_secs(10);
        assert!(named(&members, "a").is_available(back));
        assert!(fail(&members, "a", 2, back).is_empty());
        assert_eq!(fail(&members, "a", 1, back), [20]);
    }

    #[test]
    fn the_bound_keeps_a_backend_and_the_next_failure_asks_again() {
        let now = crate::clock::now();
        let members = members(now, &["a", "b"]);
        assert_eq!(fail(&members, "a", 3, now), [10]);
        assert!(fail(&members, "b", 50, now).is_empty());
        assert!(members.any_available(now));
        assert_eq!(fail(&members, "b", 1, now + Duration::from_secs(10)), [10]);
    }

    #[test]
    fn a_cluster_whose_backends_are_all_unhealthy_has_none() {
        let now = crate::clock::now();
        let members = members(now, &["a", "b"]);
        members.current().backends().for_each(|(backend, _)| backend.set_healthy(false));
        assert!(!members.any_available(now));
        assert!(members.pick(None, &[], now, &mut fastrand::Rng::with_seed(1)).is_none());
    }

    proptest! {
        #[test]
        fn never_more_than_the_bound_is_ejected_and_nobody_for_longer_than_the_longest(
            count in 1_usize..10,
            share in 0_u16..=1000,
            events in prop::collection::vec((any::<prop::sample::Index>(), prop::bool::weighted(0.9), 0_u64..5000), 0..300),
        ) {
            let policy = ejection::Policy { share_per_mille: share, max: Duration::from_secs(40), ..EJECTION };
            let mut now = crate::clock::now();
            let members: Members<()> = Members::new(Policy::LeastRequests, now);
            drop(members.update((0..count).map(|n| (n, NonZeroU32::MIN)), |_| ()));
            let backends: Vec<_> = members.current().backends().map(|(backend, _)| Arc::clone(backend)).collect();
            for (which, failed, pause) in events {
                now += Duration::from_millis(pause);
                let backend = which.get(&backends);
                if failed {
                    if let Some(length) = members.on_failure(backend, &policy, now) {
                        prop_assert!(length <= policy.max && backend.is_ejected(now));
                    }
                } else {
                    members.on_success(backend);
                }
                let ejected = backends.iter().filter(|backend| backend.is_ejected(now)).count();
                prop_assert!(ejected <= policy.bound(count));
            }
            now += policy.max;
            prop_assert!(backends.iter().all(|backend| backend.is_available(now)));
        }
    }
}
