//! What holds whatever comes.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::check;
use super::sim::slots;
use crate::admission::drr::cost::{UNIT, largest, rounds, signed};
use crate::admission::drr::{Drr, Entered, Grant, Outcome, WaiterId, nanos};
use crate::admission::policy::{Bound, Claim, Generation, Policy, TenantPolicy};

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    Enter { tenant: u64, principal: u64, cluster: u64, declared: u64, streams: bool },
    Release { which: prop::sample::Index, bytes: u64 },
    Leave(prop::sample::Index),
    Pass(u64),
    Expire,
    Configure { in_flight: u32, tenants: Vec<TenantPolicy>, cluster: Bound },
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = prop_oneof![Just(0), 0_u64..2 << 20];
    prop_oneof![
        8 => (0_u64..6, 0_u64..3, 0_u64..3, bytes.clone(), prop::bool::weighted(0.2)).prop_map(
            |(tenant, principal, cluster, declared, streams)| {
                Step::Enter { tenant, principal, cluster, declared, streams }
            },
        ),
        6 => (any::<prop::sample::Index>(), bytes).prop_map(|(which, bytes)| Step::Release { which, bytes }),
        1 => any::<prop::sample::Index>().prop_map(Step::Leave),
        // Milliseconds: most requests turn over fast, some do not.
        6 => prop_oneof![4 => 0_u64..20, 1 => 50_u64..300].prop_map(Step::Pass),
        1 => Just(Step::Expire),
        1 => (1_u32..12, tenants(), bound()).prop_map(|(in_flight, tenants, cluster)| {
            Step::Configure { in_flight, tenants, cluster }
        }),
    ]
}

/// Bounds of this run.
#[derive(Clone, Debug)]
struct Bounds {
    policy: Policy,
    tenants: Vec<TenantPolicy>,
    cluster: Bound,
}

fn bound() -> impl Strategy<Value = Bound> {
    prop_oneof![3 => Just(Bound::Auto), 1 => (1_u32..5).prop_map(|n| Bound::Slots(slots(n)))]
}

fn tenants() -> impl Strategy<Value = Vec<TenantPolicy>> {
    let tenant = (1_u32..5, bound(), bound(), 1_u32..6).prop_map(|(weight, in_flight, principal, queue)| {
        TenantPolicy { weight: slots(weight), in_flight, queue, principal_in_flight: principal }
    });
    prop::collection::vec(tenant, 6)
}

fn bounds() -> impl Strategy<Value = Bounds> {
    (tenants(), bound(), 1_u32..12, 1_u32..20, any::<bool>(), any::<bool>()).prop_map(
        |(tenants, cluster, in_flight, queue_total, only_tenant, only_cluster)| Bounds {
            policy: Policy {
                in_flight: slots(in_flight),
                queue_total,
                only_tenant,
                only_cluster,
                ..Policy::default()
            },
            tenants,
            cluster,
        },
    )
}

struct Run {
    drr: Drr,
    bounds: Bounds,
    now: Instant,
    generation: u64,
    next_token: u32,
    waiting: BTreeMap<u32, WaiterId>,
    grants: Vec<Grant>,
    told: BTreeSet<u32>,
}

impl Run {
    fn take(&mut self, step: Step) {
        match step {
            Step::Enter { tenant, principal, cluster, declared, streams } => {
                let tenant = if self.bounds.policy.only_tenant { 0 } else { tenant };
                let claim = Claim {
                    generation: self.generation,
                    tenant,
                    policy: self.bounds.tenants[tenant as usize],
                    principal,
                    cluster: if self.bounds.policy.only_cluster { 0 } else { cluster },
                    cluster_in_flight: self.bounds.cluster,
                    declared,
                    route_weight: NonZeroU32::MIN,
                    streams,
                };
                self.next_token += 1;
                match self.drr.enter(&claim, self.next_token, self.now) {
                    Entered::Granted(grant) => self.grants.push(grant),
                    Entered::Waiting(id) => drop(self.waiting.insert(self.next_token, id)),
                    Entered::Busy(_) => {}
                }
            }
            Step::Release { which, bytes } if !self.grants.is_empty() => {
                let grant = self.grants.swap_remove(which.index(self.grants.len()));
                self.drr.release(grant, bytes, self.now);
            }
            Step::Leave(which) if !self.waiting.is_empty() => {
                let token = *self.waiting.keys().nth(which.index(self.waiting.len())).unwrap();
                // One that has waited too long is told so by the next call, whichever it is.
                self.drr.expire(self.now);
                self.hear();
                if let Some(id) = self.waiting.remove(&token) {
                    self.drr.leave(id, self.now);
                }
            }
            Step::Pass(ms) => {
                self.now += Duration::from_millis(ms);
                self.drr.expire(self.now);
            }
            Step::Configure { in_flight, tenants, cluster } => {
                let policy = Policy { in_flight: slots(in_flight), ..self.bounds.policy };
                let queues = self.bounds.tenants.iter().map(|tenant| tenant.queue);
                // Who waits stays.
                let tenants = tenants.into_iter().zip(queues);
                self.bounds.tenants =
                    tenants.map(|(tenant, queue)| TenantPolicy { queue, ..tenant }).collect();
                self.bounds.cluster = cluster;
                self.generation += 1;
                let generation = Generation {
                    number: self.generation,
                    policy,
                    tenants: (0..).zip(self.bounds.tenants.iter().copied()).collect(),
                    clusters: (0..3).map(|number| (number, cluster)).collect(),
                };
                self.drr.configure(&generation, self.now);
            }
            Step::Release { .. } | Step::Leave(_) | Step::Expire => self.drr.expire(self.now),
        }
        self.hear();
    }

    fn hear(&mut self) {
        while let Some((token, outcome)) = self.drr.poll_outcome() {
            assert!(self.waiting.remove(&token).is_some(), "{token} did not wait");
            assert!(self.told.insert(token), "{token} was told twice");
            if let Outcome::Granted(grant) = outcome {
                self.grants.push(grant);
            }
        }
        assert_eq!(self.waiting.len(), self.drr.queued() as usize, "somebody was forgotten");
        assert_eq!(self.grants.len(), self.drr.in_flight() as usize);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_comes_no_slot_idles_no_bound_breaks_and_nobody_is_forgotten(
        bounds in bounds(), steps in prop::collection::vec(step(), 0..150),
    ) {
        let now = Instant::now();
        let drr = Drr::new(bounds.policy, now);
        let mut run = Run {
            drr, bounds, now, generation: 0, next_token: 0, waiting: BTreeMap::new(), grants: Vec::new(), told: BTreeSet::new(),
        };
        for step in steps {
            let (held, before) = (run.drr.in_flight(), check::held(&run.drr));
            run.take(step);
            check::no_slot_is_free_while_one_waits_that_may_have_it(&run.drr, run.now);
            check::bounds_hold(&run.drr, &before, run.now);
            check::books_agree(&run.drr);
            // A lowered in-flight gives no permit until below.
            prop_assert!(run.drr.in_flight() <= held.max(run.drr.policy().in_flight.get()));
        }
        while !run.grants.is_empty() || !run.waiting.is_empty() {
            run.take(Step::Pass(260));
            if let Some(grant) = run.grants.pop() {
                run.drr.release(grant, 0, run.now);
                run.hear();
            }
        }
        check::nothing_is_left(&run.drr);
    }

    #[test]
    fn shares_differ_from_the_weights_by_no_more_than_a_quantum_and_a_cost(
        tenants in prop::collection::vec((1_u32..9, prop::collection::vec(0_u64..1 << 20, 1..5)), 2..6),
        slots_taken in 1_u32..20,
    ) {
        // No bounds but the turns.
        let policy = Policy { in_flight: slots(slots_taken), only_tenant: true, ..Policy::default() };
        let mut now = Instant::now();
        let mut drr = Drr::new(policy, now);
        let mut sent = vec![0_usize; tenants.len()];
        let mut enter = |drr: &mut Drr, n: usize, now| {
            let (weight, sizes) = &tenants[n];
            let claim = Claim {
                generation: 0,
                tenant: n as u64,
                policy: TenantPolicy { weight: slots(*weight), ..TenantPolicy::default() },
                principal: 0,
                cluster: 0,
                cluster_in_flight: Bound::Auto,
                declared: sizes[sent[n] % sizes.len()],
                route_weight: NonZeroU32::MIN,
                streams: false,
            };
            sent[n] += 1;
            match drr.enter(&claim, n as u32, now) {
                Entered::Granted(grant) => Some(grant),
                Entered::Waiting(_) => None,
                Entered::Busy(busy) => panic!("{busy:?}"),
            }
        };
        let mut held = std::collections::VecDeque::new();
        for n in (0..tenants.len()).cycle().take(tenants.len() * (slots_taken as usize + 3)) {
            held.extend(enter(&mut drr, n, now));
        }
        let mut served = vec![0_u64; tenants.len()];
        let began = drr.round;
        for _ in 0..600 {
            now += Duration::from_micros(10);
            let grant: Grant = held.pop_front().unwrap();
            let bytes = grant.declared();
            drr.release(grant, bytes, now);
            while let Some((token, outcome)) = drr.poll_outcome() {
                let Outcome::Granted(grant) = outcome else { panic!("{outcome:?}") };
                served[token as usize] += grant.charged;
                held.push_back(grant);
                prop_assert!(enter(&mut drr, token as usize, now).is_none());
            }
            let passed = drr.round - began;
            for ((weight, _), served) in tenants.iter().zip(&served) {
                let quantum = u64::from(*weight) * UNIT;
                let error = served.abs_diff(passed * quantum);
                prop_assert!(error <= quantum + largest(&policy), "{error} after {passed} rounds");
            }
        }
        prop_assert!(drr.round > began);
    }

    #[test]
    fn a_head_is_served_when_its_quantum_has_paid_for_it_and_its_debt(
        tenants in prop::collection::vec((1_u32..9, 0_u64..1 << 20), 2..12),
        seed in prop::collection::vec((any::<prop::sample::Index>(), 0_u64..3 << 20), 100..300),
    ) {
        let policy = Policy { in_flight: slots(2), only_tenant: true, wait: Duration::from_secs(3600), ..Policy::default() };
        let mut now = Instant::now();
        let mut drr = Drr::new(policy, now);
        let mut held: Vec<Grant> = Vec::new();
        // The round by which each that waits is to be served.
        let mut by = BTreeMap::new();
        for (which, bytes) in seed {
            now += Duration::from_millis(1);
            let n = which.index(tenants.len());
            let waits = by.contains_key(&(n as u32));
            if !waits {
                let (weight, declared) = tenants[n];
                let claim = Claim {
                    generation: 0,
                    tenant: n as u64,
                    policy: TenantPolicy { weight: slots(weight), ..TenantPolicy::default() },
                    principal: 0,
                    cluster: 0,
                    cluster_in_flight: Bound::Auto,
                    declared,
                    route_weight: NonZeroU32::MIN,
                    streams: false,
                };
                let id = drr.tenants.find_or_insert(n as u64);
                drr.tenants.records[id].policy = claim.policy;
                let debt = -drr.deficit_on_return(id, nanos(now - drr.epoch)).min(0);
                let cost = drr.cost_on_entry(&claim, id);
                let last = drr.round + rounds(debt + signed(cost), signed(u64::from(weight) * UNIT));
                match drr.enter(&claim, n as u32, now) {
                    Entered::Granted(grant) => held.push(grant),
                    Entered::Waiting(_) => drop(by.insert(n as u32, (last, drr.tenants.records[id].deficit))),
                    Entered::Busy(busy) => panic!("{busy:?}"),
                }
            }
            if held.len() == 2 {
                let grant = held.remove(0);
                let tenant = grant.tenant;
                drr.release(grant, bytes, now);
                // What is settled while it waits is debt as well.
                let record = &drr.tenants.records[tenant];
                if let Some((last, before)) = by.get_mut(&(u32::try_from(record.key).unwrap())) {
                    let quantum = signed(u64::from(record.policy.weight.get()) * UNIT);
                    if record.queued > 0 {
                        *last += rounds((*before - record.deficit).max(0), quantum);
                        *before = record.deficit;
                    }
                }
            }
            while let Some((token, outcome)) = drr.poll_outcome() {
                let Outcome::Granted(grant) = outcome else { panic!("{outcome:?}") };
                held.push(grant);
                let (last, _) = by.remove(&token).unwrap();
                prop_assert!(drr.round <= last, "round {} instead of {last}", drr.round);
            }
        }
    }
}
