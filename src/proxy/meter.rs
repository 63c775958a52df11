//! Bytes of bodies, counted against a tenant's quota of them, and a capability's, as they pass (http.md §2).

use std::sync::Arc;

use crate::clock;
use crate::quota::{Budget, Budgets, Quotas};
use crate::snapshot::Tenant;

/// Counts for one request; there is none where nobody has such a quota.
pub(super) struct Meter {
    quotas: Arc<Quotas>,
    tenant: Arc<Tenant>,
    budgets: Vec<Budget>,
}

impl Meter {
    pub(super) fn of(quotas: &Arc<Quotas>, tenant: &Arc<Tenant>, budgets: Budgets) -> Option<Self> {
        let budgets = budgets.bytes;
        let counts = tenant.quota.bytes.is_some() || !budgets.is_empty();
        counts.then(|| Self { quotas: Arc::clone(quotas), tenant: Arc::clone(tenant), budgets })
    }

    /// So many bytes have passed, whichever way.
    pub(super) fn count(&self, bytes: u64) {
        if bytes > 0 {
            let Tenant { buckets, quota, .. } = &*self.tenant;
            let now = clock::now();
            self.quotas.debit_bytes(buckets, quota, bytes, now);
            self.quotas.debit_budgets(&self.budgets, bytes, now);
        }
    }
}
