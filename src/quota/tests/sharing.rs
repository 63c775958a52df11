use std::sync::Arc;
use std::time::Instant;

use proptest::prelude::*;

use super::*;

struct Yard {
    quotas: Quotas,
    start: Instant,
}

fn yard() -> Yard {
    let start = Instant::now();
    Yard { quotas: Quotas::new(policy(), start), start }
}

fn weighing(weight: u32) -> TenantPolicy {
    TenantPolicy { weight, ..TenantPolicy::default() }
}

impl Yard {
    /// Each of `tenants` asks so often a second, evenly; how many passed of each, over `seconds`, after one second.
    fn run(&self, tenants: &[(Arc<Tenant>, TenantPolicy, u64)], seconds: u64) -> Vec<u64> {
        let mut due: Vec<(u64, usize)> = Vec::new();
        let end = (seconds + 1) * 1_000_000;
        for (n, (_, _, rate)) in tenants.iter().enumerate() {
            due.extend((0..end * rate / 1_000_000).map(|k| (k * 1_000_000 / rate, n)));
        }
        due.sort_unstable();
        let mut passed = vec![0; tenants.len()];
        for (at, n) in due {
            let (tenant, policy, _) = &tenants[n];
            let well = passes(&self.quotas, tenant, policy, self.start + Duration::from_micros(at));
            if well && at >= 1_000_000 {
                passed[n] += 1;
            }
        }
        passed
    }
}

#[test]
fn one_tenant_alone_has_exactly_the_instances_rate_and_burst() {
    let yard = yard();
    let tenant = yard.quotas.tenant("a");
    let at_once = (0..1000).filter(|_| passes(&yard.quotas, &tenant, &weighing(1), yard.start)).count();
    assert_eq!(at_once, 500);
    let passed = yard.run(&[(tenant, weighing(1), 5000)], 10);
    assert!((4995..=5005).contains(&passed[0]), "{passed:?}");
}

#[test]
fn a_tenant_below_its_share_is_never_refused_beside_one_far_above_it() {
    for (victims, rate) in [(1_u32, 125_u64), (3, 187)] {
        let yard = yard();
        let victim = yard.quotas.tenant("victim");
        let aggressor = yard.quotas.tenant("aggressor");
        // Warm: the aggressor has borrowed all there was before the victim comes.
        yard.run(&[(Arc::clone(&aggressor), weighing(1), 12_500)], 3);
        let start = yard.start + Duration::from_secs(4);
        let yard = Yard { start, ..yard };
        let both =
            [(Arc::clone(&victim), weighing(victims), rate), (Arc::clone(&aggressor), weighing(1), 12_500)];
        let passed = yard.run(&both, 20);
        assert_eq!(passed[0], 20 * rate, "a victim of weight {victims}");
        // Work-conserving: the aggressor has the rest.
        let total = passed[0] + passed[1];
        assert!((9_990..=10_510).contains(&total), "{passed:?}");
    }
}

#[test]
fn a_burst_within_its_share_passes_whole_while_the_others_saturate() {
    let yard = yard();
    let (victim, aggressor) = (yard.quotas.tenant("victim"), yard.quotas.tenant("aggressor"));
    let mut refused = 0;
    for ms in 0..10_000_u64 {
        let now = yard.start + Duration::from_millis(ms);
        for _ in 0..12 {
            let _ = passes(&yard.quotas, &aggressor, &weighing(1), now);
        }
        // 100 at once, twice a second: below 250 a second.
        if ms > 1000 && ms % 500 == 0 {
            refused += (0..100).filter(|_| !passes(&yard.quotas, &victim, &weighing(1), now)).count();
        }
    }
    assert_eq!(refused, 0);
}

#[test]
fn saturating_tenants_have_shares_by_weight() {
    let yard = yard();
    let all: Vec<_> =
        [1, 2, 4].map(|weight| (yard.quotas.tenant(&weight.to_string()), weighing(weight), 2_000)).into();
    let passed = yard.run(&all, 30);
    let unit = 500.0 * 30.0 / 7.0;
    for (passed, weight) in passed.iter().zip([1.0, 2.0, 4.0]) {
        let off = (*passed as f64 / (unit * weight) - 1.0).abs();
        assert!(off < 0.02, "{passed} for {weight}");
    }
}

#[test]
fn taking_turns_at_being_new_gains_nothing() {
    let yard = yard();
    let steady = yard.quotas.tenant("steady");
    let turns: Vec<_> = (0..40).map(|n| yard.quotas.tenant(&n.to_string())).collect();
    let mut passed = 0_u64;
    let mut steady_refused = 0;
    for ms in 0..30_000_u64 {
        let now = yard.start + Duration::from_millis(ms);
        // Each asks hard for a second, then the next: twenty at any time have been idle for long.
        let turn = &turns[usize::try_from(ms / 1_000).unwrap() % turns.len()];
        passed += (0..20).filter(|_| passes(&yard.quotas, turn, &weighing(1), now)).count() as u64;
        if ms % 20 == 0 {
            match passes(&yard.quotas, &steady, &weighing(1), now) {
                true => passed += 1,
                false => steady_refused += 1,
            }
        }
    }
    assert_eq!(steady_refused, 0, "fifty a second are below its share");
    assert!(passed <= 500 * 30 + 2 * 500, "{passed}");
}

#[test]
fn who_asks_seldom_and_for_much_is_served_beside_one_that_saturates() {
    // A quarter of 500 a second is its share.
    for (cost, every) in [(1, 2_500), (50, 1_500), (200, 2_000), (500, 5_000)] {
        let yard = yard();
        let (seldom, aggressor) = (yard.quotas.tenant("seldom"), yard.quotas.tenant("aggressor"));
        for ms in 0..40_000_u64 {
            let now = yard.start + Duration::from_millis(ms);
            for _ in 0..5 {
                let _ = passes(&yard.quotas, &aggressor, &weighing(3), now);
            }
            if ms % every == 0 && ms > 0 {
                let policy = weighing(1);
                let told = yard.quotas.take(None, &Ask { cost, ..ask(&seldom, &policy) }, now);
                assert!(told.is_ok(), "{cost} each {every} ms, at {ms}: {told:?}");
            }
        }
    }
}

#[test]
fn who_is_new_and_waits_as_long_as_told_is_served() {
    for cost in [1, 50, 200, 500] {
        let yard = yard();
        let (new, aggressor) = (yard.quotas.tenant("new"), yard.quotas.tenant("aggressor"));
        let mut next = yard.start + Duration::from_secs(2);
        let mut told_to_wait = false;
        for ms in 0..60_000_u64 {
            let now = yard.start + Duration::from_millis(ms);
            for _ in 0..5 {
                let _ = passes(&yard.quotas, &aggressor, &weighing(3), now);
            }
            if now >= next {
                let policy = weighing(1);
                match yard.quotas.take(None, &Ask { cost, ..ask(&new, &policy) }, now) {
                    Ok(_) => told_to_wait = false,
                    Err(no) => {
                        assert!(!told_to_wait, "{cost} at {ms}: {no:?}");
                        told_to_wait = true;
                        next = now + no.retry_after;
                    }
                }
            }
        }
    }
}

#[test]
fn whoever_was_active_is_forgotten_after_a_second() {
    let yard = yard();
    let tenants: Vec<_> = (0..100).map(|n| yard.quotas.tenant(&n.to_string())).collect();
    for tenant in &tenants {
        assert!(passes(&yard.quotas, tenant, &weighing(3), yard.start));
    }
    assert_eq!(yard.quotas.share.lock().weights(), 300);
    let later = yard.start + Duration::from_secs(2);
    for _ in 0..30 {
        assert!(passes(&yard.quotas, &tenants[0], &weighing(3), later));
    }
    assert_eq!(yard.quotas.share.lock().weights(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_total_is_the_rate_and_two_bursts_at_most_whoever_asks_when(
        asked in prop::collection::vec((0_u64..4_000, 0_usize..20, 1_u32..300), 1..300),
    ) {
        let yard = yard();
        let tenants: Vec<_> =
            (0..20_u32).map(|n| (yard.quotas.tenant(&n.to_string()), weighing(1 + n % 5))).collect();
        let mut ms = 0;
        let mut passed = 0_u64;
        for (pause, who, times) in asked {
            ms += pause / 20;
            let now = yard.start + Duration::from_millis(ms);
            let (tenant, policy) = &tenants[who];
            passed += (0..times).filter(|_| passes(&yard.quotas, tenant, policy, now)).count() as u64;
            prop_assert!(passed <= 500 * ms / 1000 + 1 + 2 * 500, "{passed} after {ms} ms");
        }
    }
}
