//! Bytes of bodies, counted against a tenant's quota of them as they pass (http.md §2).

use std::sync::Arc;

use crate::clock;
use crate::quota::Quotas;
use crate::snapshot::Tenant;

/// Counts for one request; there is none for a tenant without such a quota.
pub(super) struct Meter {
    quotas: Arc<Quotas>,
    tenant: Arc<Tenant>,
}

impl Meter {
    pub(super) fn of(quotas: &Arc<Quotas>, tenant: &Arc<Tenant>) -> Option<Self> {
        tenant.quota.bytes.is_some().then(|| Self { quotas: Arc::clone(quotas), tenant: Arc::clone(tenant) })
    }

    /// So many bytes have passed, whichever way.
    pub(super) fn count(&self, bytes: usize) {
        if bytes > 0 {
            let Tenant { buckets, quota, .. } = &*self.tenant;
            self.quotas.debit_bytes(buckets, quota, bytes as u64, clock::now());
        }
    }
}
