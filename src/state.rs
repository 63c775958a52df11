//! What belongs to the gateway and outlives a configuration: the policy in force, the log, the metrics, the drain.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::access_log::Log;
use crate::admission::Admission;
use crate::admission::gather::Gathering;
use crate::admission::overload::Readings;
use crate::caps;
use crate::clock;
use crate::cluster::Surroundings;
use crate::descriptors;
use crate::edge::guard::heads::Heads;
use crate::edge::guard::unread::Unread;
use crate::edge::{Connections, Drain};
use crate::metrics::Metrics;
use crate::pressure::{Pressure, process};
use crate::quota::Quotas;
use crate::snapshot::Snapshot;
use crate::tenant::Principal;

/// One gateway's state. Two of them live in one process without knowing of each other.
pub struct State {
    /// The policy in force; a request loads it once and keeps it.
    pub snapshot: ArcSwap<Snapshot>,
    /// Tells that another one is in force.
    generation: watch::Sender<u64>,
    /// What compiling a generation needs.
    pub around: Surroundings,
    /// Every connection that is open on the public listeners.
    pub connections: Arc<Connections>,
    /// Every head that is not whole.
    pub heads: Arc<Heads>,
    /// What HTTP/2 clients have sent of bodies and no request has read.
    pub unread: Arc<Unread>,
    /// How often: every bucket.
    pub quotas: Arc<Quotas>,
    /// Who first: every place in flight.
    pub admission: Admission,
    /// What is read of bodies before their requests have a place.
    pub gathering: Arc<Gathering>,
    /// What all decoders hold.
    pub decoders: Arc<caps::Memory>,
    /// Whether writes are shed.
    pub pressure: Pressure,
    /// Every metric.
    pub metrics: Arc<Metrics>,
    /// Where lines go.
    pub log: Log,
    /// The switch that stops it.
    pub drain: Arc<Drain>,
    /// Principals are told apart by numbers that nobody can choose.
    secret: RandomState,
}

impl State {
    /// Of a gateway that begins with `snapshot`.
    pub fn new(snapshot: Snapshot, around: Surroundings, quotas: Arc<Quotas>, log: Log) -> Arc<Self> {
        let state = Arc::new(Self {
            generation: watch::Sender::new(snapshot.generation),
            connections: Arc::default(),
            heads: Heads::new(snapshot.heads_total),
            unread: Arc::default(),
            admission: Admission::new(snapshot.admission, clock::now),
            gathering: Gathering::new(snapshot.gather_total),
            decoders: Arc::default(),
            pressure: Pressure::new(snapshot.overload),
            snapshot: ArcSwap::from_pointee(snapshot),
            metrics: Arc::clone(&around.metrics),
            around,
            quotas,
            log,
            drain: Drain::new(),
            secret: RandomState::new(),
        });
        state.rank_tenants();
        state
    }

    /// Swaps another generation in: requests that begin from now on go by it. What is held and who waits stays.
    pub fn put_in_force(&self, snapshot: Arc<Snapshot>) {
        let now = clock::now();
        let before = self.snapshot.load_full();
        snapshot.take_effect(&before, &self.quotas, now);
        self.admission.configure(&snapshot.in_flight());
        self.gathering.configure(snapshot.gather_total);
        self.heads.set_limit(snapshot.heads_total);
        self.pressure.configure(snapshot.overload, |number| snapshot.has_cluster(number));
        let generation = snapshot.generation;
        self.snapshot.store(Arc::clone(&snapshot));
        let gone = before.tenants.iter().filter(|tenant| snapshot.tenant_named(&tenant.name).is_none());
        gone.for_each(|tenant| self.metrics.forget_tenant(&tenant.name));
        self.rank_tenants();
        let _ = self.generation.send_replace(generation);
    }

    /// A number for a principal of a tenant's.
    pub fn number_of(&self, principal: &Principal) -> u64 {
        self.secret.hash_one(principal)
    }

    /// Measures the pressure. `descriptors`: those that are open, which are not counted at every time.
    pub fn measure(&self, descriptors: u64, now: Instant) {
        let gauges = self.admission.gauges(now);
        let readings = Readings {
            in_flight: gauges.in_flight,
            slots: gauges.slots,
            wait: gauges.longest_wait,
            memory: process::resident().unwrap_or(0),
            descriptors,
            descriptors_allowed: descriptors::allowed().unwrap_or(0),
            ..Readings::default()
        };
        let policy = self.snapshot.load();
        self.pressure.on_readings(readings, policy.cluster_numbers(), now);
        self.metrics.degraded.set(i64::from(self.pressure.is_degraded()));
    }

    /// Gives the busiest tenants series of their own, and forgets the buckets of those that are gone.
    pub fn rank_tenants(&self) {
        let policy = self.snapshot.load();
        let most = usize::try_from(policy.tenant_series).unwrap_or(usize::MAX);
        self.metrics.rank_tenants(policy.tenants.iter().map(|tenant| &tenant.metrics), most);
    }

    /// Changes when another generation is in force.
    pub fn generations(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// What keeps the gateway from being ready, by the keys of http.md §4. With `for_read`, what does not keep it
    /// from answering reads is left out.
    pub fn missing(&self, for_read: bool) -> Vec<String> {
        let mut missing = Vec::new();
        if !for_read && self.pressure.sheds_writes() {
            missing.push("writes".to_owned());
        }
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
        let gauge = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.metrics.decoder_memory.set(gauge(self.decoders.used()));
        self.metrics.http2_unread.set(gauge(self.unread.bytes()));
        self.metrics.config_version.set(i64::try_from(policy.generation).unwrap_or(i64::MAX));
        for cluster in policy.clusters.values() {
            cluster.refresh_gauges(&self.metrics);
        }
        let counts = |name: &str| policy.clusters.get(name).is_some_and(|cluster| cluster.has_pools());
        let backends: HashSet<_> =
            policy.clusters.values().flat_map(|cluster| cluster.backend_names()).collect();
        self.metrics.retain_upstreams(|name| backends.contains(name), counts);
        let queues = self.admission.queues();
        let waiting = queues.iter().filter(|(_, depth)| *depth > 0).filter_map(|(number, depth)| {
            let tenant = policy.tenants.iter().find(|tenant| tenant.buckets.number() == *number)?;
            Some((&*tenant.metrics, *depth))
        });
        self.metrics.set_queue_depths(waiting);
    }
}
