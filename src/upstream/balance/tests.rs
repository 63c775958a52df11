//! Shares, stability and what is never picked, with fixed seeds.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests fail by panicking"
)]

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::upstream::backend::InFlight;

/// Weights as the code takes them.
pub(super) fn weights(numbers: &[u32]) -> Vec<NonZeroU32> {
    numbers.iter().map(|number| NonZeroU32::new(*number).unwrap()).collect()
}

fn backends(start: Instant, count: usize) -> Vec<Arc<Backend<usize>>> {
    let backend = |n: usize| Backend::new(BackendId(n as u64), format!("10.0.0.{n}:9401").into(), n, start);
    (0..count).map(|n| Arc::new(backend(n))).collect()
}

fn balancer(policy: Policy, start: Instant, numbers: &[u32]) -> Balancer<usize> {
    Balancer::new(policy, backends(start, numbers.len()).into_iter().zip(weights(numbers)))
}

fn backend(balancer: &Balancer<usize>, index: usize) -> &Arc<Backend<usize>> {
    balancer.backends().nth(index).unwrap().0
}

/// How often each backend is picked in `picks` requests that end at once.
fn counts(balancer: &Balancer<usize>, now: Instant, picks: u32, exclude: &[BackendId]) -> Vec<u32> {
    let mut rng = fastrand::Rng::with_seed(11);
    let mut counts = vec![0; balancer.backends().len()];
    for n in 0..picks {
        counts[balancer.pick(Some(&n.to_be_bytes()), exclude, now, &mut rng).unwrap().link] += 1;
    }
    counts
}

fn assert_near(counts: &[u32], want: &[u32], per_cent: u32) {
    for (count, want) in counts.iter().zip(want) {
        assert!(count.abs_diff(*want) * 100 <= want * per_cent, "{counts:?}, not {want:?}");
    }
}

#[test]
fn turns_follow_the_weights_exactly() {
    let now = crate::clock::now();
    let balancer = balancer(Policy::RoundRobin, now, &[5, 3, 2]);
    assert_eq!(counts(&balancer, now, 1000, &[]), [500, 300, 200]);
}

#[test]
fn the_turns_of_a_backend_that_is_away_are_everybodys() {
    let now = crate::clock::now();
    let balancer = balancer(Policy::RoundRobin, now, &[1, 1, 1, 1]);
    backend(&balancer, 1).set_healthy(false);
    assert_eq!(counts(&balancer, now, 900, &[]), [300, 0, 300, 300]);
    backend(&balancer, 2).eject(now, Duration::from_secs(1));
    assert_eq!(counts(&balancer, now, 900, &[]), [450, 0, 0, 450]);
    assert_eq!(counts(&balancer, now + Duration::from_secs(1), 900, &[]), [300, 0, 300, 300]);
}

#[test]
fn a_heavy_backend_that_is_away_does_not_keep_a_light_one_from_its_requests() {
    for policy in [Policy::RoundRobin, Policy::LeastRequests, Policy::Hash] {
        let now = crate::clock::now();
        let balancer = balancer(policy, now, &[1000, 1, 1]);
        backend(&balancer, 0).set_healthy(false);
        assert_near(&counts(&balancer, now, 2000, &[]), &[0, 1000, 1000], 25);
    }
}

#[test]
fn requests_that_end_at_once_are_spread_by_weight() {
    let now = crate::clock::now();
    let balancer = balancer(Policy::LeastRequests, now, &[1, 2, 3, 4]);
    assert_near(&counts(&balancer, now, 100_000, &[]), &[10_000, 20_000, 30_000, 40_000], 5);
}

#[test]
fn requests_that_stay_fill_the_backends_by_weight() {
    let now = crate::clock::now();
    let balancer = balancer(Policy::LeastRequests, now, &[1, 2, 3, 4]);
    let mut rng = fastrand::Rng::with_seed(3);
    let held: Vec<InFlight<usize>> =
        (0..10_000).map(|_| balancer.pick(None, &[], now, &mut rng).unwrap().begin()).collect();
    let loads: Vec<_> = balancer.backends().map(|(backend, _)| backend.in_flight()).collect();
    assert_near(&loads, &[1000, 2000, 3000, 4000], 2);
    drop(held);
    assert!(balancer.backends().all(|(backend, _)| backend.in_flight() == 0));
}

#[test]
fn a_stalled_backend_gets_no_more_requests_however_heavy_it_is() {
    let now = crate::clock::now();
    let balancer = balancer(Policy::LeastRequests, now, &[1000, 1]);
    let mut rng = fastrand::Rng::with_seed(5);
    let _stalled: Vec<_> = (0..1001).map(|_| backend(&balancer, 0).begin()).collect();
    assert!((0..1000).all(|_| balancer.pick(None, &[], now, &mut rng).unwrap().link == 1));
}

#[test]
fn keys_are_spread_over_the_ring_by_weight() {
    let now = crate::clock::now();
    let balancer = balancer(Policy::Hash, now, &[1, 1, 2, 4]);
    assert_near(&counts(&balancer, now, 80_000, &[]), &[10_000, 10_000, 20_000, 40_000], 20);
}

#[test]
fn a_key_without_its_backend_goes_to_one_other_and_comes_back() {
    let now = crate::clock::now();
    let balancer = balancer(Policy::Hash, now, &[1; 10]);
    let mut rng = fastrand::Rng::with_seed(1);
    let mut taken_over = std::collections::BTreeSet::new();
    for n in 0..1000_u32 {
        let mut pick =
            |exclude: &[BackendId]| balancer.pick(Some(&n.to_be_bytes()), exclude, now, &mut rng).unwrap();
        let home = pick(&[]);
        home.set_healthy(false);
        let other = pick(&[]);
        assert_eq!(pick(&[]).id(), other.id());
        home.set_healthy(true);
        assert_eq!(pick(&[home.id()]).id(), other.id());
        assert_eq!(pick(&[]).id(), home.id());
        if home.link == 0 {
            taken_over.insert(other.link);
        }
    }
    assert!(taken_over.len() >= 7, "one backend inherits all: {taken_over:?}");
}

#[test]
fn a_request_without_a_key_is_balanced_by_load() {
    let now = crate::clock::now();
    let balancer = balancer(Policy::Hash, now, &[1, 1]);
    let _busy = backend(&balancer, 0).begin();
    let mut rng = fastrand::Rng::with_seed(1);
    assert!((0..100).all(|_| balancer.pick(None, &[], now, &mut rng).unwrap().link == 1));
}

#[test]
fn an_empty_list_has_no_backend() {
    for policy in [Policy::RoundRobin, Policy::LeastRequests, Policy::Hash] {
        let balancer = balancer(policy, crate::clock::now(), &[]);
        let mut rng = fastrand::Rng::with_seed(1);
        assert!(balancer.pick(Some(b"k"), &[], crate::clock::now(), &mut rng).is_none());
        assert_eq!(balancer.policy(), policy);
    }
}

#[derive(Debug, Clone)]
struct Situation {
    weights: Vec<u32>,
    unhealthy: Vec<bool>,
    ejected: Vec<bool>,
    excluded: Vec<bool>,
    busy: Vec<u8>,
}

fn a_situation() -> impl Strategy<Value = Situation> {
    (0_usize..12).prop_flat_map(|n| {
        let bools = || prop::collection::vec(any::<bool>(), n);
        (prop::collection::vec(1_u32..=1000, n), bools(), bools(), bools(), prop::collection::vec(0_u8..8, n))
            .prop_map(|(weights, unhealthy, ejected, excluded, busy)| Situation {
                weights,
                unhealthy,
                ejected,
                excluded,
                busy,
            })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_away_or_excluded_is_never_picked_and_what_is_left_always_is(
        situation in a_situation(),
        policy in prop::sample::select(vec![Policy::RoundRobin, Policy::LeastRequests, Policy::Hash]),
        key: Option<Vec<u8>>,
        seed: u64,
    ) {
        let now = crate::clock::now();
        let balancer = balancer(policy, now, &situation.weights);
        let mut exclude = Vec::new();
        let mut under_way = Vec::new();
        for (n, (backend, _)) in balancer.backends().enumerate() {
            backend.set_healthy(!situation.unhealthy[n]);
            if situation.ejected[n] {
                backend.eject(now, Duration::from_secs(1));
            }
            if situation.excluded[n] {
                exclude.push(backend.id());
            }
            under_way.extend((0..situation.busy[n]).map(|_| backend.begin()));
        }
        let may = |n: usize| !situation.unhealthy[n] && !situation.ejected[n] && !situation.excluded[n];
        let any_may = (0..situation.weights.len()).any(may);
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..20 {
            match balancer.pick(key.as_deref(), &exclude, now, &mut rng) {
                Some(backend) => prop_assert!(may(backend.link)),
                None => prop_assert!(!any_may),
            }
        }
    }

    #[test]
    fn a_backend_that_goes_moves_its_own_keys_alone_and_not_more_than_its_share(
        count in 2_usize..20, gone in any::<prop::sample::Index>(), salt: u64,
    ) {
        let now = crate::clock::now();
        let all = backends(now, count);
        let gone = gone.index(count);
        let ring = |some: &[Arc<Backend<usize>>]| {
            Balancer::new(Policy::Hash, some.iter().cloned().map(|backend| (backend, NonZeroU32::MIN)))
        };
        let before = ring(&all);
        let mut left = all.clone();
        drop(left.remove(gone));
        left.reverse(); // The order of the list means nothing.
        let after = ring(&left);
        let mut rng = fastrand::Rng::with_seed(salt);
        const KEYS: usize = 2000;
        let mut moved = 0;
        for n in 0..KEYS as u64 {
            let key = format!("b3:{:064x}", n ^ salt);
            let home = |on: &Balancer<usize>, rng: &mut _| on.pick(Some(key.as_bytes()), &[], now, rng).unwrap().link;
            let (was, is) = (home(&before, &mut rng), home(&after, &mut rng));
            if was == gone { moved += 1 } else { prop_assert_eq!(was, is) }
        }
        prop_assert!(moved <= KEYS * 15 / 10 / count, "{} of {} keys moved, one of {} went", moved, KEYS, count);
    }
}
