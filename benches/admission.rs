//! What a decision costs: a slot that is free, and the next of those that wait, however many tenants there are.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a benchmark fails by panicking, reads the clock, and has no reader of its docs"
)]

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use svc_gateway::admission::drr::{Drr, Entered, Grant, Outcome};
use svc_gateway::admission::{Admission, Bound, Claim, Entry, Policy, TenantPolicy};

fn slots(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn claim(tenant: u64) -> Claim {
    Claim {
        generation: 1,
        tenant,
        policy: TenantPolicy::default(),
        principal: tenant,
        cluster: 1,
        cluster_in_flight: Bound::Auto,
        declared: 0,
        route_weight: NonZeroU32::MIN,
        streams: false,
    }
}

fn enter_and_release(c: &mut Criterion) {
    let mut group = c.benchmark_group("admission/uncontended");
    for known in [1_u64, 10_000] {
        let policy = Policy { only_tenant: false, ..Policy::default() };
        let admission = Admission::new(policy, Instant::now);
        let now = Instant::now();
        let mut tenant = 0_u64;
        // The mechanism alone; the shell has read the clock for other reasons when it comes here, the drop reads it.
        group.bench_function(format!("enter and release, {known} tenants"), |b| {
            b.iter(|| {
                tenant = (tenant + 1) % known;
                match admission.enter(black_box(&claim(tenant)), now) {
                    Entry::Admitted(mut permit) => permit.settle(13),
                    other => panic!("{other:?}"),
                }
            });
        });
    }
    let policy = Policy { only_tenant: false, ..Policy::default() };
    let now = Instant::now();
    let mut drr = Drr::new(policy, now);
    group.bench_function("the core alone", |b| {
        b.iter(|| match drr.enter(black_box(&claim(1)), 0, now) {
            Entered::Granted(grant) => drr.release(grant, 13, now),
            other => panic!("{other:?}"),
        });
    });
    group.finish();
}

/// All slots are taken and each tenant waits.
fn saturated(tenants: u64) -> (Drr, Vec<Grant>, Instant) {
    let policy = Policy {
        in_flight: slots(16),
        queue_total: u32::MAX,
        wait: Duration::from_secs(3600),
        only_tenant: false,
        ..Policy::default()
    };
    let now = Instant::now();
    let mut drr = Drr::new(policy, now);
    let mut grants = Vec::new();
    for tenant in 0..tenants.max(32) {
        if let Entered::Granted(grant) = drr.enter(&claim(tenant % tenants), 0, now) {
            grants.push(grant);
        }
    }
    (drr, grants, now)
}

/// One gives its slot back, the next gets it, and another comes to wait.
fn next_of_those_that_wait(c: &mut Criterion) {
    let mut group = c.benchmark_group("admission/contended");
    for tenants in [1_u64, 1_000, 100_000] {
        let (mut drr, mut grants, start) = saturated(tenants);
        let (mut tenant, mut now) = (0, start);
        group.bench_function(format!("a decision, {tenants} tenants"), |b| {
            b.iter(|| {
                now += Duration::from_micros(300);
                let grant = grants.pop().unwrap();
                drr.release(grant, 13, now);
                while let Some((_, outcome)) = drr.poll_outcome() {
                    if let Outcome::Granted(grant) = outcome {
                        grants.push(grant);
                    }
                }
                tenant = (tenant + 1) % tenants;
                match drr.enter(&claim(tenant), 0, now) {
                    Entered::Granted(grant) => grants.push(grant),
                    Entered::Waiting(_) | Entered::Busy(_) => {}
                }
            });
        });
    }
    group.finish();
}

/// A request that finds its tenant's queue full.
fn refused(c: &mut Criterion) {
    let (mut drr, _grants, now) = saturated(1_000);
    let full = Claim { policy: TenantPolicy { queue: 0, ..TenantPolicy::default() }, ..claim(5_000) };
    c.bench_function("admission/refused", |b| b.iter(|| drr.enter(black_box(&full), 0, now)));
}

criterion_group!(benches, enter_and_release, next_of_those_that_wait, refused);
criterion_main!(benches);
