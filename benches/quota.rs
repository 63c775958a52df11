//! What one decision of the quotas costs: address, tenant, principal and instance together.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a benchmark fails by panicking, and reads the clock"
)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use svc_gateway::quota::{Ask, Policy, Quotas, Rate, Tenant, TenantPolicy};

fn rate(n: u32) -> Rate {
    let n = NonZeroU32::new(n).unwrap();
    Rate::a_second(n, n)
}

fn quotas(start: Instant) -> Quotas {
    let policy = Policy { instance: rate(100_000_000), address: Some(rate(1_000_000)), rows: 100_000 };
    Quotas::new(policy, start)
}

fn decisions(c: &mut Criterion) {
    let start = Instant::now();
    let of_tenant = TenantPolicy {
        rate: Some(rate(1_000_000)),
        bytes: Some(rate(1_000_000)),
        principal: Some(rate(1_000_000)),
        ..TenantPolicy::default()
    };
    for count in [1_usize, 1_000, 100_000] {
        let quotas = quotas(start);
        let tenants: Vec<Arc<Tenant>> = (0..count).map(|n| quotas.tenant(&n.to_string())).collect();
        let mut n = 0_u32;
        let _ = c.bench_function(&format!("quota/{count} tenants"), |b| {
            b.iter(|| {
                n = n.wrapping_add(1);
                let ask = Ask {
                    tenant: &tenants[n as usize % count],
                    policy: &of_tenant,
                    principal: &(n % 1000),
                    cost: 1,
                };
                let address = IpAddr::V4(Ipv4Addr::from_bits(n % 5000));
                black_box(quotas.take(Some(address), &ask, start + Duration::from_micros(u64::from(n) * 2)))
            });
        });
    }
    let quotas = quotas(start);
    let tenant = quotas.tenant("a");
    let mut n = 0_u32;
    let _ = c.bench_function("quota/a million principals", |b| {
        b.iter(|| {
            n = n.wrapping_add(1);
            let ask = Ask { tenant: &tenant, policy: &of_tenant, principal: &(n % 1_000_000), cost: 1 };
            let address = IpAddr::V4(Ipv4Addr::from_bits(n % 1_000_000));
            black_box(quotas.take(Some(address), &ask, start + Duration::from_micros(u64::from(n) * 2)))
        });
    });
}

criterion_group!(benches, decisions);
criterion_main!(benches);
