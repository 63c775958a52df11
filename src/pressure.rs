//! When writes are shed (http.md §4): the core of `admission::overload`, fed with what is measured, and what it says where
//! requests read it without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::admission::overload::{Cause, Level, Overload, Policy, Readings, Shed, Shedding};

/// Between two measurements.
pub const EVERY: Duration = Duration::from_millis(100);

/// How late the workers come to what is due, at worst since it was last read.
#[derive(Clone, Debug, Default)]
pub struct Lag(Arc<AtomicU64>);

impl Lag {
    /// A worker was late by so much.
    pub fn note(&self, late: Duration) {
        self.0.fetch_max(u64::try_from(late.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    fn take(&self) -> Duration {
        Duration::from_micros(self.0.swap(0, Relaxed))
    }
}

/// The pressure on the gateway and its clusters.
pub struct Pressure {
    overload: Mutex<Overload>,
    levels: ArcSwap<Levels>,
    /// Of the writes that came while some were shed, modulo four.
    turn: AtomicU32,
    /// Told by the workers.
    pub lag: Lag,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Levels {
    instance: Shedding,
    /// Of the clusters that have one of their own.
    clusters: Vec<(u64, Shedding)>,
    retry_after: Duration,
}

impl Pressure {
    /// None so far.
    pub fn new(policy: Policy) -> Self {
        Self {
            overload: Mutex::new(Overload::new(policy)),
            levels: ArcSwap::default(),
            turn: AtomicU32::new(0),
            lag: Lag::default(),
        }
    }

    /// Goes by another policy, and forgets the clusters that are no more. What is under pressure stays so.
    pub fn configure(&self, policy: Policy, has: impl Fn(u64) -> bool) {
        self.overload.lock().configure(policy, has);
    }

    /// A request to a cluster has failed by its backends' fault, or has not.
    pub fn on_result(&self, cluster: u64, failed: bool, now: Instant) {
        self.overload.lock().handle_result(cluster, failed, now);
    }

    /// What was measured. The lag is added here.
    pub fn on_readings(&self, readings: Readings, clusters: impl Iterator<Item = u64>, now: Instant) {
        let readings = Readings { lag: self.lag.take(), ..readings };
        let mut overload = self.overload.lock();
        overload.handle_readings(&readings, now);
        let instance = overload.shedding();
        let own = clusters.map(|cluster| (cluster, overload.shedding_of(cluster)));
        let levels = Levels {
            instance,
            clusters: own.filter(|(_, level)| *level > instance).collect(),
            retry_after: overload.retry_after(),
        };
        drop(overload);
        if **self.levels.load() != levels {
            self.levels.store(Arc::new(levels));
        }
    }

    /// Whether a write to a cluster is shed, and how long its client had better wait.
    pub fn sheds(&self, cluster: u64, order: Shed) -> Option<Duration> {
        let levels = self.levels.load();
        let own = levels.clusters.iter().find(|(number, _)| *number == cluster);
        let shedding = own.map_or(levels.instance, |(_, shedding)| *shedding);
        if shedding.level == Level::Normal {
            return None;
        }
        let turn = self.turn.fetch_add(1, Relaxed);
        shedding.sheds(order, turn).then_some(levels.retry_after)
    }

    /// Whether the writes of the whole instance are shed.
    pub fn sheds_writes(&self) -> bool {
        self.levels.load().instance.level > Level::Normal
    }

    /// Whether any writes are shed.
    pub fn is_degraded(&self) -> bool {
        let levels = self.levels.load();
        levels.instance.level > Level::Normal || !levels.clusters.is_empty()
    }

    /// What the pressure is on.
    pub fn causes(&self) -> Vec<Cause> {
        self.overload.lock().causes()
    }
}

/// What the system says of this process.
pub mod process {
    /// Bytes in memory.
    pub fn resident() -> Option<u64> {
        let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
        let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
        Some(pages.saturating_mul(rustix::param::page_size() as u64))
    }

    /// Descriptors that are open.
    pub fn descriptors() -> Option<u64> {
        std::fs::read_dir("/proc/self/fd").ok().map(|all| all.count() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_of_this_process_is_there() {
        assert!(process::resident().unwrap() > 1 << 20);
        let (open, allowed) = (process::descriptors().unwrap(), crate::descriptors::allowed().unwrap());
        assert!(open > 2 && open <= allowed, "{open} of {allowed}");
    }

    #[test]
    fn the_worst_lag_counts_once() {
        let pressure = Pressure::new(Policy::default());
        let now = crate::clock::now();
        for late in [1, 70, 3] {
            pressure.lag.note(Duration::from_millis(late));
        }
        pressure.on_readings(Readings::default(), std::iter::empty(), now);
        assert!(pressure.sheds_writes() && pressure.causes() == [Cause::Lag]);
        assert_eq!(pressure.sheds(7, Shed::WithWrites), Some(Policy::default().hold));
        assert_eq!(pressure.sheds(7, Shed::Last), None);
        for n in 1..60 {
            pressure.on_readings(Readings::default(), std::iter::empty(), now + EVERY * n);
        }
        assert!(!pressure.is_degraded());
    }

    #[test]
    fn a_failing_cluster_sheds_for_itself_alone() {
        let pressure = Pressure::new(Policy::default());
        let now = crate::clock::now();
        for _ in 0..100 {
            pressure.on_result(1, true, now);
            pressure.on_result(2, false, now);
        }
        pressure.on_readings(Readings::default(), [1, 2].into_iter(), now);
        assert_eq!([1, 2].map(|cluster| pressure.sheds(cluster, Shed::WithWrites).is_some()), [true, false]);
        assert!(pressure.is_degraded() && !pressure.sheds_writes());
    }
}
