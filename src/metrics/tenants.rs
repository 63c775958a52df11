//! Series of tenants, bounded: the busiest have series of their own, the rest is `other` (http.md §6).

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec};

/// The label of those without series of their own.
const OTHER: &str = "other";

/// Where tenants are counted.
#[derive(Clone)]
pub(super) struct Families {
    pub(super) exhaustions: IntCounterVec,
    pub(super) wait: HistogramVec,
    pub(super) depth: IntGaugeVec,
}

struct Series {
    exhaustions: IntCounter,
    wait: Histogram,
}

/// What one tenant counts.
pub struct TenantMetrics {
    name: String,
    series: ArcSwap<Series>,
    own: AtomicBool,
    /// Requests since the last ranking.
    requests: AtomicU64,
}

impl Families {
    fn series(&self, label: &str) -> Series {
        Series {
            exhaustions: self.exhaustions.with_label_values(&[label]),
            wait: self.wait.with_label_values(&[label]),
        }
    }

    pub(super) fn tenant(&self, name: &str) -> Arc<TenantMetrics> {
        Arc::new(TenantMetrics {
            name: name.to_owned(),
            series: ArcSwap::from_pointee(self.series(OTHER)),
            own: AtomicBool::new(false),
            requests: AtomicU64::new(0),
        })
    }

    /// Gives the `most` busiest of `tenants` since the last time series of their own. One that has them keeps them unless
    /// another was busier.
    pub(super) fn rank<'a>(&self, tenants: impl Iterator<Item = &'a Arc<TenantMetrics>>, most: usize) {
        let mut ranked: Vec<_> =
            tenants.map(|t| (Reverse((t.requests.swap(0, Relaxed), t.own.load(Relaxed))), t)).collect();
        if ranked.len() > most {
            ranked.sort_by_key(|(busy, _)| *busy);
        }
        let (first, rest) = ranked.split_at(most.min(ranked.len()));
        // Taken away first: there are never more than `most`.
        for (_, tenant) in rest {
            if tenant.own.swap(false, Relaxed) {
                // The sum over all tenants never falls. Histograms cannot be added up, and begin anew.
                let other = self.series(OTHER);
                let so_far = tenant.series.load().exhaustions.get();
                other.exhaustions.inc_by(so_far);
                tenant.series.store(Arc::new(other));
                self.forget(&tenant.name);
            }
        }
        for (_, tenant) in first {
            if !tenant.own.swap(true, Relaxed) {
                tenant.series.store(Arc::new(self.series(&tenant.name)));
            }
        }
    }

    pub(super) fn forget(&self, name: &str) {
        // One that was never there is gone as well.
        drop(self.exhaustions.remove_label_values(&[name]));
        drop(self.wait.remove_label_values(&[name]));
        drop(self.depth.remove_label_values(&[name]));
    }

    /// How many requests of each tenant wait now.
    pub(super) fn depths<'a>(&self, waiting: impl Iterator<Item = (&'a TenantMetrics, u32)>) {
        self.depth.reset();
        for (tenant, depth) in waiting {
            self.depth.with_label_values(&[tenant.label()]).add(depth.into());
        }
    }
}

impl TenantMetrics {
    fn label(&self) -> &str {
        if self.own.load(Relaxed) { &self.name } else { OTHER }
    }

    /// A request of the tenant's has come.
    pub fn on_request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    /// A quota of the tenant's said no, or would have.
    pub fn on_exhausted(&self) {
        self.series.load().exhaustions.inc();
    }

    /// A request waited so long for its place.
    pub fn on_admitted(&self, waited: Duration) {
        self.series.load().wait.observe(waited.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;

    #[test]
    fn the_busiest_have_series_of_their_own_and_the_rest_is_other() {
        let metrics = Metrics::new().unwrap();
        let tenants: Vec<_> = ["a", "b", "c"].map(|name| metrics.tenant(name)).into();
        let busy = |counts: [usize; 3]| {
            for (tenant, count) in tenants.iter().zip(counts) {
                (0..count).for_each(|_| tenant.on_request());
            }
            metrics.rank_tenants(tenants.iter(), 2);
            tenants.iter().for_each(|tenant| tenant.on_exhausted());
            let text = String::from_utf8(metrics.render().unwrap()).unwrap();
            let counted = |label: &str| {
                let series = format!("gateway_quota_exhaustions_total{{tenant=\"{label}\"}} ");
                text.lines().find_map(|line| line.strip_prefix(&series)?.parse::<u64>().ok())
            };
            ["a", "b", "c", "other"].map(counted)
        };
        assert_eq!(busy([3, 2, 1]), [Some(1), Some(1), None, Some(1)]);
        // As busy as another is no reason for a change.
        assert_eq!(busy([1, 1, 1]), [Some(2), Some(2), None, Some(2)]);
        // What was counted under a name goes on under `other`.
        assert_eq!(busy([0, 2, 5]), [None, Some(3), Some(1), Some(5)]);
    }
}
