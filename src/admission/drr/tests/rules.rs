//! The rules of http.md §2 and §7, one by one.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::check;
use super::sim::{policy, slots};
use crate::admission::busy::{Busy, Why};
use crate::admission::drr::{Drr, Entered, Grant, Outcome, WaiterId};
use crate::admission::policy::{Bound, Claim, Generation, Policy, TenantPolicy};

const MS: Duration = Duration::from_millis(1);

fn claim(tenant: u64) -> Claim {
    Claim {
        generation: 0,
        tenant,
        policy: TenantPolicy::default(),
        principal: 0,
        cluster: 0,
        cluster_in_flight: Bound::Auto,
        declared: 0,
        route_weight: NonZeroU32::MIN,
        streams: false,
    }
}

fn weighing(tenant: u64, weight: u32) -> Claim {
    Claim { policy: TenantPolicy { weight: slots(weight), ..TenantPolicy::default() }, ..claim(tenant) }
}

/// The core, its time, and what it gave.
struct Scene {
    drr: Drr,
    now: Instant,
    /// By tenant.
    held: Vec<(u64, Grant)>,
    waiting: Vec<(u32, u64, WaiterId)>,
    rejected: Vec<(u64, Busy)>,
    token: u32,
}

impl Scene {
    fn new(policy: Policy) -> Self {
        let now = Instant::now();
        let drr = Drr::new(policy, now);
        Self { drr, now, held: Vec::new(), waiting: Vec::new(), rejected: Vec::new(), token: 0 }
    }

    fn enter(&mut self, claim: Claim, times: usize) -> &mut Self {
        for _ in 0..times {
            self.token += 1;
            match self.drr.enter(&claim, self.token, self.now) {
                Entered::Granted(grant) => self.held.push((claim.tenant, grant)),
                Entered::Waiting(id) => self.waiting.push((self.token, claim.tenant, id)),
                Entered::Busy(busy) => self.rejected.push((claim.tenant, busy)),
            }
            self.hear();
        }
        self
    }

    /// Each of another principal, of which none is known to be slow.
    fn enter_each(&mut self, claim: Claim, times: u64) -> &mut Self {
        (0..times).for_each(|n| {
            self.enter(Claim { principal: 100 + n, ..claim }, 1);
        });
        self
    }

    fn hear(&mut self) {
        while let Some((token, outcome)) = self.drr.poll_outcome() {
            let at = self.waiting.iter().position(|(waiting, ..)| *waiting == token).unwrap();
            let (_, tenant, _) = self.waiting.remove(at);
            match outcome {
                Outcome::Granted(grant) => self.held.push((tenant, grant)),
                Outcome::Busy(busy) => self.rejected.push((tenant, busy)),
            }
        }
        check::no_slot_is_free_while_one_waits_that_may_have_it(&self.drr, self.now);
        check::books_agree(&self.drr);
    }

    /// Gives back the oldest slot of a tenant.
    fn release(&mut self, tenant: u64) -> &mut Self {
        let at = self.held.iter().position(|(holder, _)| *holder == tenant).unwrap();
        let (_, grant) = self.held.remove(at);
        self.drr.release(grant, 0, self.now);
        self.hear();
        self
    }

    fn pass(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self.drr.expire(self.now);
        self.hear();
        self
    }

    /// A history of requests that each took so long.
    fn history(&mut self, claim: Claim, took: Duration) -> &mut Self {
        for _ in 0..20 {
            self.enter(claim, 1).pass(took).release(claim.tenant);
        }
        self
    }

    fn holds(&self, tenant: u64) -> usize {
        self.held.iter().filter(|(holder, _)| *holder == tenant).count()
    }

    fn waits(&self, tenant: u64) -> usize {
        self.waiting.iter().filter(|(_, waiting, _)| *waiting == tenant).count()
    }

    fn told(&self) -> Vec<(u64, Why)> {
        self.rejected.iter().map(|(tenant, busy)| (*tenant, busy.why)).collect()
    }
}

#[test]
fn a_tenant_that_turns_over_fast_may_take_any_slot_and_others_their_share_and_no_more_than_seven_eighths() {
    for (name, took, beside, want) in [
        ("fast, alone", Some(5 * MS), 0, 16),
        ("fast, beside one that holds", Some(100 * MS), 1, 15),
        ("slow, alone", Some(101 * MS), 0, 14),
        ("slow, beside one of equal weight", Some(101 * MS), 1, 8),
        ("slow, beside two: rounded up", Some(101 * MS), 2, 6),
        ("without a history, alone", None, 0, 14),
        ("without a history, beside thirty", None, 30, 1),
    ] {
        let mut scene = Scene::new(policy(if beside == 30 { 31 } else { 16 }));
        if let Some(took) = took {
            scene.history(claim(0), took);
        }
        for other in 1..=beside {
            scene.enter(claim(other), 1);
        }
        scene.enter_each(claim(0), 20);
        assert_eq!(scene.holds(0), want, "{name}");
    }
}

#[test]
fn the_last_slots_are_lent_to_who_gives_back() {
    let mut scene = Scene::new(Policy { only_cluster: false, ..policy(16) });
    scene.history(claim(0), 5 * MS).enter_each(claim(0), 40);
    assert_eq!((scene.holds(0), scene.waits(0)), (13, 27), "a burst, of which nobody knows what becomes");
    for held in [15, 16, 16, 16] {
        scene.pass(MS).release(0);
        assert_eq!(scene.holds(0), held);
    }
}

#[test]
fn the_only_tenant_has_no_bound_but_an_explicit_one() {
    let only = Policy { only_tenant: true, ..policy(16) };
    for (bound, want) in
        // Its only principal leaves an eighth to who may come.
        [(Bound::Auto, 14), (Bound::Slots(slots(3)), 3), (Bound::Share(500), 8), (Bound::Share(1), 1)]
    {
        let mut scene = Scene::new(only);
        let policy = TenantPolicy { in_flight: bound, ..TenantPolicy::default() };
        let claim = Claim { policy, ..claim(0) };
        scene.history(claim, 500 * MS).enter(claim, 20);
        assert_eq!(scene.holds(0), want, "{bound:?}");
    }
}

#[test]
fn an_explicit_bound_holds_a_fast_tenant_too() {
    let mut scene = Scene::new(policy(16));
    let policy = TenantPolicy { in_flight: Bound::Slots(slots(3)), ..TenantPolicy::default() };
    let claim = Claim { policy, ..claim(0) };
    scene.history(claim, MS).enter(claim, 20);
    assert_eq!((scene.holds(0), scene.waits(0)), (3, 17));
}

#[test]
fn a_slow_tenants_share_grows_when_others_go() {
    let mut scene = Scene::new(policy(16));
    scene
        .history(claim(0), 101 * MS)
        .enter(claim(1), 1)
        .enter(claim(2), 1)
        .enter(claim(3), 1)
        .enter_each(claim(0), 20);
    assert_eq!(scene.holds(0), 4);
    scene.release(1);
    assert_eq!(scene.holds(0), 6);
    scene.release(2);
    assert_eq!(scene.holds(0), 8);
    scene.release(3);
    assert_eq!(scene.holds(0), 14);
}

#[test]
fn all_that_may_have_more_come_back_when_a_heavy_one_goes() {
    let mut scene = Scene::new(policy(16));
    for tenant in 0..4 {
        scene.history(claim(tenant), 101 * MS);
    }
    scene.enter(weighing(9, 1000), 1);
    for tenant in 0..4 {
        scene.enter_each(claim(tenant), 6);
    }
    assert_eq!([0, 1, 2, 3].map(|tenant| scene.holds(tenant)), [1; 4]);
    scene.release(9);
    assert_eq!([0, 1, 2, 3].map(|tenant| scene.holds(tenant)), [4; 4]);
}

#[test]
fn what_is_held_grows_old_and_its_holder_slow() {
    let mut scene = Scene::new(policy(16));
    scene.history(claim(0), 5 * MS).enter(claim(0), 12).pass(101 * MS).enter(claim(1), 1).enter(claim(0), 4);
    assert_eq!((scene.holds(0), scene.waits(0)), (12, 4), "its share is 8");
    scene.release(0);
    assert_eq!(scene.holds(0), 11);
}

#[test]
fn a_tenant_that_turns_to_bodies_still_to_come_leaves_slots_to_the_others_whatever_its_history() {
    let mut scene = Scene::new(policy(16));
    let trickling = Claim { streams: true, ..claim(0) };
    scene.history(claim(0), 5 * MS).enter_each(trickling, 20);
    assert_eq!((scene.holds(0), scene.waits(0)), (14, 6), "7/8 of the slots");
    scene.enter(claim(1), 2);
    assert_eq!(scene.holds(1), 2, "who comes finds a place at once");
}

#[test]
fn a_slow_principal_is_held_to_a_quarter_and_others_of_its_tenant_go_on() {
    let mut scene = Scene::new(policy(16));
    let fast = Claim { principal: 1, ..claim(0) };
    scene.history(claim(0), 150 * MS);
    for _ in 0..4 {
        scene.history(fast, MS);
    }
    scene.enter(claim(0), 8).enter(fast, 8);
    assert_eq!((scene.holds(0), scene.waits(0)), (12, 4), "4 of the one, 8 of the other");
    scene.release(0);
    assert_eq!((scene.holds(0), scene.waits(0)), (12, 3), "one more of the slow one");
}

#[test]
fn a_burst_of_one_principal_of_which_nothing_is_known_leaves_slots_to_others() {
    for (only_tenant, first) in [(true, 14), (false, 4)] {
        let mut scene = Scene::new(Policy { only_tenant, only_cluster: true, ..policy(16) });
        let (slow, other) = (Claim { streams: true, ..claim(0) }, Claim { principal: 1, ..claim(0) });
        scene.enter(slow, 40);
        assert_eq!(scene.holds(0), first, "{only_tenant}");
        scene.enter(other, 2);
        assert_eq!(scene.holds(0), first + 2, "{only_tenant}: who comes finds a place at once");
    }
}

#[test]
fn a_slow_principal_of_the_only_tenant_is_held_to_a_quarter_when_it_is_not_the_only_one() {
    let mut scene = Scene::new(Policy { only_tenant: true, ..policy(16) });
    let other = Claim { principal: 1, ..claim(0) };
    scene.history(claim(0), 150 * MS).enter(claim(0), 10);
    assert_eq!(scene.holds(0), 10, "alone");
    scene.enter(other, 1).enter(claim(0), 2);
    assert_eq!((scene.holds(0), scene.waits(0)), (11, 2));
}

#[test]
fn the_only_principal_left_has_the_slots_again_a_second_after_the_others() {
    let patient = Policy { only_tenant: true, wait: Duration::from_secs(10), ..policy(16) };
    let mut scene = Scene::new(patient);
    let other = Claim { principal: 1, ..claim(0) };
    scene.history(claim(0), 150 * MS).enter(other, 1).enter(claim(0), 10);
    assert_eq!(scene.holds(0), 5);
    scene.release(0);
    assert_eq!((scene.holds(0), scene.waits(0)), (4, 6));
    scene.pass(999 * MS);
    assert_eq!((scene.holds(0), scene.waits(0)), (4, 6));
    scene.pass(MS);
    assert_eq!((scene.holds(0), scene.waits(0)), (10, 0));
}

#[test]
fn a_principals_explicit_bound_is_hard() {
    let mut scene = Scene::new(policy(16));
    let policy = TenantPolicy { principal_in_flight: Bound::Slots(slots(2)), ..TenantPolicy::default() };
    scene.enter(Claim { policy, ..claim(0) }, 4).enter(Claim { policy, principal: 1, ..claim(0) }, 4);
    assert_eq!((scene.holds(0), scene.waits(0)), (4, 4));
}

/// Several clusters: `stalled` is one of them, `well` another.
fn clusters(only_tenant: bool) -> (Policy, Claim, Claim) {
    let policy = Policy { only_tenant, only_cluster: false, ..policy(16) };
    (policy, claim(0), Claim { cluster: 1, principal: 1, ..claim(0) })
}

#[test]
fn a_stalled_cluster_does_not_starve_the_others() {
    for (only_tenant, bound, want) in
        [(true, Bound::Auto, 14), (false, Bound::Auto, 13), (true, Bound::Slots(slots(5)), 5)]
    {
        let (policy, stalled, well) = clusters(only_tenant);
        let mut scene = Scene::new(policy);
        for _ in 0..5 {
            scene.history(well, MS);
        }
        let stalled = Claim { cluster_in_flight: bound, ..stalled };
        // One that has been slow before, and whose principals are many.
        scene.enter(stalled, 1).pass(150 * MS).release(0);
        for _ in 0..5 {
            scene.history(well, MS);
        }
        scene.enter_each(stalled, 20);
        assert_eq!(scene.holds(0), want, "{bound:?}");
        scene.enter(well, 1);
        assert_eq!(scene.holds(0), want + 1, "{bound:?}");
    }
}

#[test]
fn a_burst_to_a_cluster_that_stalls_leaves_slots_whatever_was_before() {
    for only_tenant in [true, false] {
        for before in [None, Some(MS), Some(150 * MS)] {
            for (in_flight, want) in [(16, 14), (8, 7), (3, 2)] {
                let (policy, stalled, well) = clusters(only_tenant);
                let mut scene = Scene::new(Policy { in_flight: slots(in_flight), ..policy });
                if let Some(took) = before {
                    scene.history(stalled, took).history(well, MS);
                }
                scene.enter_each(stalled, 40);
                let held = scene.holds(0);
                assert!(held <= want && held + 1 >= want, "{before:?}: {held} of {in_flight}");
                for _ in 0..5 {
                    scene.pass(40 * MS).enter(well, 1);
                    assert_eq!(scene.holds(0), held + 1, "{before:?}, {in_flight}");
                    let (_, grant) = scene.held.pop().unwrap();
                    scene.drr.release(grant, 0, scene.now);
                    scene.hear();
                }
            }
        }
    }
}

#[test]
fn a_cluster_that_gives_back_has_all_slots() {
    let (policy, busy, _) = clusters(true);
    let mut scene = Scene::new(policy);
    scene.history(busy, 5 * MS).enter_each(busy, 60);
    for held in [14, 16, 16, 16] {
        assert_eq!(scene.holds(0), held);
        scene.pass(5 * MS).release(0);
    }
    // It stalls: what it has it keeps, and gets no more than its part again.
    scene.pass(120 * MS);
    for held in [15, 14, 14] {
        scene.release(0);
        assert_eq!(scene.holds(0), held);
    }
}

#[test]
fn a_tenants_requests_to_one_cluster_are_not_judged_by_those_to_another() {
    let (policy, stalled, well) = clusters(false);
    for warm in [true, false] {
        let mut scene = Scene::new(policy);
        if warm {
            scene.history(stalled, MS).history(well, MS);
        }
        // Seven others: a share of two.
        for other in 1..=7 {
            scene.enter(claim(other), 1);
        }
        scene.enter_each(stalled, 2).pass(150 * MS).enter_each(stalled, 5);
        assert_eq!(scene.holds(0), 2, "its share");
        scene.enter(well, 1);
        assert_eq!(scene.holds(0), 3, "one place for a cluster of which it holds nothing");
        scene.enter_each(well, 2);
        assert_eq!(scene.holds(0), if warm { 5 } else { 3 }, "fast: any free slot");
    }
}

#[test]
fn a_principals_requests_to_one_cluster_are_not_judged_by_those_to_another() {
    let (policy, stalled, well) = clusters(false);
    let (stalled, well) = (Claim { principal: 7, ..stalled }, Claim { principal: 7, ..well });
    let mut scene = Scene::new(policy);
    scene.history(well, MS).enter(stalled, 4).pass(150 * MS).enter(stalled, 4);
    assert_eq!(scene.holds(0), 4, "a quarter");
    scene.enter(well, 3);
    assert_eq!(scene.holds(0), 7);
    // Slow there too: a place, and no more.
    let mut scene = Scene::new(policy);
    scene.history(well, 150 * MS).enter(stalled, 4).pass(150 * MS).enter(well, 3);
    assert_eq!(scene.holds(0), 5);
}

#[test]
fn an_explicit_bound_keeps_a_place_for_the_other_clusters_that_are_asked_for() {
    let (policy, stalled, well) = clusters(true);
    let bound = |claim| {
        let policy = TenantPolicy { in_flight: Bound::Slots(slots(4)), ..TenantPolicy::default() };
        Claim { policy, ..claim }
    };
    let (stalled, well) = (bound(stalled), bound(well));
    let mut scene = Scene::new(policy);
    scene.enter_each(stalled, 6);
    assert_eq!(scene.holds(0), 4, "nothing else is asked for");
    scene.enter(well, 1);
    assert_eq!((scene.holds(0), scene.waits(0)), (4, 3));
    scene.pass(150 * MS).release(0);
    assert_eq!((scene.holds(0), scene.waits(0)), (4, 2), "the place is the other's");
    let (_, grant) = scene.held.pop().unwrap();
    scene.drr.release(grant, 0, scene.now);
    scene.hear();
    assert_eq!((scene.holds(0), scene.waits(0)), (3, 2), "and stays so");
}

#[test]
fn the_only_cluster_is_not_held_back() {
    let mut scene = Scene::new(Policy { only_tenant: true, only_cluster: true, ..policy(16) });
    scene.history(claim(0), 500 * MS);
    for principal in 0..5 {
        scene.enter(Claim { principal, ..claim(0) }, 4);
    }
    assert_eq!(scene.holds(0), 16);
}

#[test]
fn a_tenants_queue_and_all_queues_are_bounded_and_the_heaviest_loses_its_newest() {
    let mut scene = Scene::new(Policy { queue_total: 6, only_tenant: true, ..policy(1) });
    let small = Claim { policy: TenantPolicy { queue: 2, ..TenantPolicy::default() }, ..claim(1) };
    scene.enter(claim(9), 1).enter(small, 3);
    assert_eq!(scene.told(), [(1, Why::QueueFull)]);
    scene.enter(weighing(2, 4), 4);
    assert_eq!(
        (scene.waits(1), scene.waits(2)),
        (2, 4),
        "all full: 2 for the weight of the first, 1 for the second's"
    );
    scene.enter(claim(3), 1);
    assert_eq!(scene.told(), [(1, Why::QueueFull), (1, Why::Outbid)]);
    assert_eq!(
        scene.waiting.iter().filter(|(_, tenant, _)| *tenant == 1).map(|(token, ..)| *token).max(),
        Some(2)
    );
    scene.enter(claim(3), 1);
    assert_eq!(scene.told().last(), Some(&(3, Why::QueueFull)), "it would be the heaviest itself");
}

#[test]
fn who_has_waited_too_long_is_dropped_and_not_served() {
    let mut scene = Scene::new(policy(1));
    scene.enter(claim(0), 2).pass(100 * MS).enter(claim(1), 1).pass(149 * MS);
    assert_eq!(scene.told(), []);
    scene.now += MS;
    scene.release(0);
    assert_eq!(scene.told(), [(0, Why::WaitedTooLong)]);
    assert_eq!((scene.holds(1), scene.rejected[0].1.waited), (1, 250 * MS));
}

#[test]
fn who_would_wait_too_long_is_told_at_once() {
    let mut scene = Scene::new(Policy { only_tenant: true, ..policy(1) });
    scene.enter(claim(0), 21);
    for _ in 0..20 {
        scene.pass(10 * MS).release(0);
    }
    // 10 ms each: 24 fit before the limit.
    scene.enter(claim(0), 40);
    assert!((23..=26).contains(&scene.waits(0)), "{}", scene.waits(0));
    let (_, busy) = scene.rejected[0];
    assert_eq!(busy.why, Why::WouldWait);
    assert!(busy.retry_after > 250 * MS && busy.retry_after < 300 * MS, "{busy:?}");
}

#[test]
fn the_wait_of_one_that_stands_aside_says_nothing_of_the_others() {
    let mut scene = Scene::new(policy(4));
    let policy = TenantPolicy { in_flight: Bound::Slots(slots(1)), ..TenantPolicy::default() };
    let bound = Claim { policy, ..claim(1) };
    scene.history(claim(0), MS).enter(bound, 1);
    for _ in 0..20 {
        scene.enter(bound, 1).pass(240 * MS).release(1);
    }
    scene.enter(bound, 1).enter(claim(0), 3);
    assert_eq!((scene.holds(0), scene.holds(1), scene.waits(1)), (3, 1, 1));
    // Not first in its round any more, and so by the forecast.
    scene.enter(claim(0), 3);
    assert_eq!((scene.waits(0), scene.told()), (3, vec![]));
}

#[test]
fn a_lowered_in_flight_gives_no_slot_until_below() {
    let mut scene = Scene::new(Policy { only_tenant: true, ..policy(8) });
    scene.history(claim(0), MS).enter(claim(0), 10);
    let policy = Policy { only_tenant: true, ..policy(3) };
    scene.drr.configure(&Generation { policy, ..Generation::default() }, scene.now);
    for held in (3..8).rev() {
        scene.release(0);
        assert_eq!(scene.holds(0), held);
    }
    scene.release(0);
    assert_eq!((scene.holds(0), scene.waits(0)), (3, 1));
}

/// A generation with other bounds of a tenant, its principals, and their cluster.
fn generation(number: u64, policy: Policy, of: TenantPolicy, cluster: Bound) -> Generation {
    Generation { number, policy, tenants: [(0, of)].into(), clusters: [(0, cluster)].into() }
}

#[test]
fn those_that_wait_go_by_another_generations_bounds_at_once() {
    let auto = TenantPolicy::default();
    let bound = |n| Bound::Slots(slots(n));
    let of_tenant = |n| (TenantPolicy { in_flight: bound(n), ..auto }, Bound::Auto);
    let of_principal = |n| (TenantPolicy { principal_in_flight: bound(n), ..auto }, Bound::Auto);
    let of_cluster = |n| (auto, bound(n));
    let bounds: [&dyn Fn(u32) -> (TenantPolicy, Bound); 3] = [&of_tenant, &of_principal, &of_cluster];
    for (n, bound) in bounds.into_iter().enumerate() {
        for (only_tenant, only_cluster) in [(true, true), (false, false)] {
            let policy = Policy { only_tenant, only_cluster, ..policy(16) };
            let (of, cluster) = bound(2);
            let claim = Claim { generation: 1, policy: of, cluster_in_flight: cluster, ..claim(0) };
            let mut scene = Scene::new(policy);
            scene.history(claim, MS).enter(claim, 8);
            assert_eq!((scene.holds(0), scene.waits(0)), (2, 6), "{n}");
            let reload = |scene: &mut Scene, number, most| {
                let (of, cluster) = bound(most);
                scene.drr.configure(&generation(number, policy, of, cluster), scene.now);
                scene.hear();
            };
            reload(&mut scene, 2, 5);
            assert_eq!((scene.holds(0), scene.waits(0)), (5, 3), "raised, {n}");
            // One that began before the reload and comes only now changes nothing.
            scene.enter(claim, 1).release(0);
            assert_eq!((scene.holds(0), scene.waits(0)), (5, 3), "late, {n}");
            reload(&mut scene, 3, 3);
            for held in [4, 3, 3, 3] {
                scene.release(0);
                assert_eq!(scene.holds(0), held, "lowered, {n}");
            }
            scene.drr.configure(&generation(4, policy, auto, Bound::Auto), scene.now);
            scene.hear();
            assert_eq!(scene.waits(0), 0, "lifted, {n}");
        }
    }
}

#[test]
fn another_generations_weights_hold_for_those_that_wait() {
    let mut scene = Scene::new(policy(16));
    scene.history(claim(0), 101 * MS).enter(claim(1), 1).enter_each(claim(0), 20);
    assert_eq!(scene.holds(0), 8);
    let heavy = weighing(0, 3).policy;
    scene.drr.configure(&generation(1, policy(16), heavy, Bound::Auto), scene.now);
    scene.hear();
    assert_eq!(scene.holds(0), 12);
}

#[test]
fn a_debt_is_kept_for_a_second_and_credit_is_forgotten() {
    for (pass, want) in [(MS, 1), (999 * MS, 1), (1001 * MS, 2)] {
        let mut scene = Scene::new(Policy { only_tenant: true, wait: Duration::from_secs(10), ..policy(1) });
        // 1 declared, 17 in truth.
        scene.enter(claim(2), 1);
        let (_, grant) = scene.held.pop().unwrap();
        scene.drr.release(grant, 1 << 20, scene.now);
        // Two that saturate, one of them heavy enough for rounds to be long.
        scene.enter(claim(9), 1).pass(pass).enter(claim(1), 3).enter(claim(2), 1);
        scene.release(9);
        assert_eq!(scene.holds(1), 1, "it came first");
        scene.release(1);
        let next = scene.held[0].0;
        assert_eq!(next, want, "after {pass:?}");
    }
}

#[test]
fn what_rests_is_bounded_and_costs_nothing() {
    let mut scene = Scene::new(policy(4));
    for tenant in 0..40_000 {
        let claim = Claim { principal: tenant, ..claim(tenant) };
        match scene.drr.enter(&claim, 0, scene.now) {
            Entered::Granted(grant) => scene.drr.release(grant, 0, scene.now),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(scene.drr.tenants.records.len(), super::super::AT_REST);
    assert_eq!(scene.drr.principals.records.len(), super::super::AT_REST);
}

#[test]
fn a_tenants_principals_take_turns() {
    let mut scene = Scene::new(Policy { only_tenant: true, ..policy(1) });
    let other = Claim { principal: 1, ..claim(0) };
    scene.enter(claim(0), 50).enter(other, 1);
    let token = scene.token;
    scene.release(0).release(0);
    assert!(!scene.waiting.iter().any(|(waiting, ..)| *waiting == token), "the second turn is the other's");
}
