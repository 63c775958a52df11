//! What belongs to the gateway and outlives a configuration: the policy in force, the log, the metrics, the drain.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::access_log::Log;
use crate::cluster::Surroundings;
use crate::edge::Drain;
use crate::metrics::Metrics;
use crate::snapshot::Snapshot;

/// One gateway's state. Two of them live in one process without knowing of each other.
pub struct State {
    /// The policy in force; a request loads it once and keeps it.
    pub snapshot: ArcSwap<Snapshot>,
    /// Tells that another one is in force.
    generation: watch::Sender<u64>,
    /// What compiling a generation needs.
    pub around: Surroundings,
    /// Every metric.
    pub metrics: Arc<Metrics>,
    /// Where lines go.
    pub log: Log,
    /// The switch that stops it.
    pub drain: Arc<Drain>,
}

impl State {
    /// Of a gateway that begins with `snapshot`.
    pub fn new(snapshot: Snapshot, around: Surroundings, log: Log) -> Arc<Self> {
        Arc::new(Self {
            generation: watch::Sender::new(snapshot.generation),
            snapshot: ArcSwap::from_pointee(snapshot),
            metrics: Arc::clone(&around.metrics),
            around,
            log,
            drain: Drain::new(),
        })
    }

    /// Swaps another generation in: requests that begin from now on go by it.
    pub fn put_in_force(&self, snapshot: Arc<Snapshot>) {
        snapshot.take_effect();
        let generation = snapshot.generation;
        self.snapshot.store(snapshot);
        let _ = self.generation.send_replace(generation);
    }

    /// Changes when another generation is in force.
    pub fn generations(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// What keeps the gateway from being ready, by the keys of http.md §4. With `for_read`, what does not keep it
    /// from answering reads is left out.
    pub fn missing(&self, _for_read: bool) -> Vec<String> {
        let mut missing = Vec::new();
        if self.drain.has_begun() {
            missing.push("draining".to_owned());
        }
        let policy = self.snapshot.load();
        // http.md §4: unready only when every cluster lacks backends, or one marked `required`.
        let lacking: Vec<_> = policy.clusters.values().filter(|cluster| !cluster.has_backend()).collect();
        let all = !lacking.is_empty() && lacking.len() == policy.clusters.len();
        missing.extend(
            lacking
                .iter()
                .filter(|cluster| all || cluster.required)
                .map(|cluster| format!("cluster:{}", cluster.name)),
        );
        missing
    }

    /// Brings the gauges that are read rather than counted up to date.
    pub fn refresh_gauges(&self) {
        let policy = self.snapshot.load();
        self.metrics.config_version.set(i64::try_from(policy.generation).unwrap_or(i64::MAX));
        for cluster in policy.clusters.values() {
            cluster.refresh_gauges(&self.metrics);
        }
    }
}
