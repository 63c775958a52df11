mod asking;
mod buckets;
mod budgets;
mod sharing;
mod tables;

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use super::bucket::Rate;
use super::{Ask, Policy, Quotas, Taken, Tenant, TenantPolicy};

pub(super) fn rate(a_second: u32, burst: u32) -> Rate {
    Rate::a_second(NonZeroU32::new(a_second).unwrap(), NonZeroU32::new(burst).unwrap())
}

pub(super) fn slow(amount: u64, period: Duration, burst: u64) -> Rate {
    Rate::new(NonZeroU64::new(amount).unwrap(), period, NonZeroU64::new(burst).unwrap())
}

/// An instance of 500 a second, addresses unbounded.
pub(super) fn policy() -> Policy {
    Policy { instance: rate(500, 500), address: None, rows: 1000 }
}

pub(super) fn ask<'a>(tenant: &'a Tenant, policy: &'a TenantPolicy) -> Ask<'a, u32> {
    Ask { tenant, policy, principal: &0, cost: 1 }
}

/// Whether one token was there.
pub(super) fn passes(
    quotas: &Quotas,
    tenant: &Tenant,
    policy: &TenantPolicy,
    now: std::time::Instant,
) -> bool {
    quotas.take(None, &ask(tenant, policy), now).is_ok()
}

pub(super) fn shadowed(taken: &Taken) -> bool {
    taken.shadowed.is_some()
}
