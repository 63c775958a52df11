//! What the operator sets (config.md `limits`, `tenants.*.quota`, `tenants.*.principal`), as plain data.

use super::bucket::Rate;

/// Of the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// All requests together. `limits.rate`, `limits.burst`.
    pub instance: Rate,
    /// Each client address. `limits.per_address`; `None`: lifted.
    pub address: Option<Rate>,
    /// Rows of the table of principals, and of that of addresses. `limits.principals`.
    pub rows: usize,
}

/// Of one tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TenantPolicy {
    /// Its part of the instance's rate, beside the others'. `tenants.*.weight`, 1 to 1000.
    pub weight: u32,
    /// Its own rate. `tenants.*.quota.rate`; `None`: the instance's alone.
    pub rate: Option<Rate>,
    /// Bytes of bodies, both ways. `tenants.*.quota.bytes`.
    pub bytes: Option<Rate>,
    /// What is over is counted and passes. `tenants.*.quota.shadow`.
    pub shadow: bool,
    /// Each of its principals. `tenants.*.principal.rate`.
    pub principal: Option<Rate>,
}

impl Default for TenantPolicy {
    fn default() -> Self {
        Self { weight: 1, rate: None, bytes: None, shadow: false, principal: None }
    }
}
