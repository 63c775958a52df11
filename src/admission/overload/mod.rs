//! When writes are to be shed (http.md §4): pressure on the instance, and on each cluster, with hysteresis.
//!
//! ```text
//!          over a threshold            over it for `hold` on end
//! normal ──────────────────▶ writes ──────────────────────────▶ last
//!        ◀──────────────────        ◀──────────────────────────
//!          below `release` of it for `hold` on end
//! ```
//!
//! Before `writes` ends, 1 in 32, a quarter, and all of them are let through for half of `hold` each: when the pressure
//! comes back meanwhile it was never released.
//!
//! Each cause goes its own way through these levels, and the highest counts: so none hides another, and a value that
//! swings around a threshold changes nothing more than once in `hold`.
//!
//! A core: it is handed readings and `now`. It does not measure, and rejects nobody.

mod failures;
mod latch;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use failures::Failures;
use latch::Latch;

/// config.md `degrade`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Slots taken of all, in thousandths; pressure only together with `wait`.
    pub in_flight: u16,
    /// How long requests wait for a slot.
    pub wait: Duration,
    /// How late the runtime comes to what is due.
    pub lag: Duration,
    /// Bytes of memory; `None`: does not count.
    pub memory: Option<u64>,
    /// Descriptors open of those allowed, in thousandths.
    pub descriptors: u16,
    /// Requests to a cluster that failed of all, in thousandths.
    pub backend_failures: u16,
    /// Pressure is released at so much of its threshold, in thousandths.
    pub release: u16,
    /// … when it has been below that for so long.
    pub hold: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            in_flight: 900,
            wait: Duration::from_millis(100),
            lag: Duration::from_millis(50),
            memory: None,
            descriptors: 900,
            backend_failures: 500,
            release: 800,
            hold: Duration::from_secs(2),
        }
    }
}

/// How the instance does, as measured just now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    /// Slots taken.
    pub in_flight: u32,
    /// Slots that there are.
    pub slots: u32,
    /// How long requests wait for a slot.
    pub wait: Duration,
    /// How late the runtime comes to what is due.
    pub lag: Duration,
    /// Bytes of memory in use.
    pub memory: u64,
    /// Descriptors open.
    pub descriptors: u64,
    /// Descriptors that may be open; 0: unknown.
    pub descriptors_allowed: u64,
}

/// How much is shed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    #[default]
    Normal,
    /// Writes of routes that go first: `shed: with_writes`.
    Writes,
    /// Writes of routes that go last, too: `shed: last`.
    Last,
}

/// Into how many parts the writes are divided, of which some are let through.
const PARTS: u8 = 32;

/// How much is shed, to a part of what a level sheds. The more is shed the greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shedding {
    /// Which routes' writes.
    pub level: Level,
    /// So many parts of those that [`Level::Writes`] sheds; not all while the others are let through on trial.
    parts: u8,
}

/// When a route's writes are shed. `routes.*.shed`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shed {
    /// As soon as there is pressure.
    #[default]
    WithWrites,
    /// When shedding the others' did not help.
    Last,
    /// Not at all.
    Never,
}

/// What the pressure is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Slots and the wait for them.
    InFlight,
    /// The runtime.
    Lag,
    /// Memory.
    Memory,
    /// Descriptors.
    Descriptors,
    /// The backends of the cluster with this number.
    Backends(u64),
}

/// The pressure on an instance and its clusters.
#[derive(Debug)]
pub struct Overload {
    policy: Policy,
    in_flight: Latch,
    lag: Latch,
    memory: Latch,
    descriptors: Latch,
    clusters: HashMap<u64, Cluster>,
}

#[derive(Debug, Default)]
struct Cluster {
    failures: Failures,
    latch: Latch,
}

impl Overload {
    /// No pressure so far.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            in_flight: Latch::default(),
            lag: Latch::default(),
            memory: Latch::default(),
            descriptors: Latch::default(),
            clusters: HashMap::new(),
        }
    }

    /// A new generation's policy, and the clusters that it has: others are forgotten, the levels stay.
    pub fn configure(&mut self, policy: Policy, has: impl Fn(u64) -> bool) {
        self.policy = policy;
        self.clusters.retain(|cluster, _| has(*cluster));
    }

    /// What was measured at `now`. To be called several times in `hold`, and at least once in it.
    pub fn handle_readings(&mut self, readings: &Readings, now: Instant) {
        let Policy { in_flight, wait, lag, memory, descriptors, backend_failures, .. } = self.policy;
        // http.md §4: in-flight > 90 % of its cap while queue wait is over its target.
        let slots = of(u64::from(readings.in_flight), u64::from(readings.slots), in_flight);
        let slots = slots.min(over(micros(readings.wait), micros(wait)));
        self.in_flight.update(&self.policy, slots, now);
        self.lag.update(&self.policy, over(micros(readings.lag), micros(lag)), now);
        self.memory.update(&self.policy, memory.map_or(0, |most| over(readings.memory, most)), now);
        let open = of(readings.descriptors, readings.descriptors_allowed, descriptors);
        self.descriptors.update(&self.policy, open, now);
        for cluster in self.clusters.values_mut() {
            let share = cluster.failures.share(now);
            cluster.latch.update(&self.policy, over(share, u64::from(backend_failures)), now);
        }
    }

    /// A request to a cluster has failed because of its backends, or has not.
    pub fn handle_result(&mut self, cluster: u64, failed: bool, now: Instant) {
        self.clusters.entry(cluster).or_default().failures.count(failed, now);
    }

    /// Of the instance.
    pub fn shedding(&self) -> Shedding {
        self.instance().map(|(_, latch)| latch.shedding()).max().unwrap_or_default()
    }

    /// Of a cluster's routes: the instance's, or its own when that is more.
    // http.md §4: a failing cluster sheds the writes of its own routes only.
    pub fn shedding_of(&self, cluster: u64) -> Shedding {
        let own = self.clusters.get(&cluster).map(|cluster| cluster.latch.shedding());
        own.unwrap_or_default().max(self.shedding())
    }

    /// What the pressure is on, of the instance and of all clusters.
    pub fn causes(&self) -> Vec<Cause> {
        let clusters =
            self.clusters.iter().map(|(number, cluster)| (Cause::Backends(*number), &cluster.latch));
        let pressed =
            self.instance().chain(clusters).filter(|(_, latch)| latch.shedding().level > Level::Normal);
        pressed.map(|(cause, _)| cause).collect()
    }

    /// How long a client whose write was shed had better wait.
    pub fn retry_after(&self) -> Duration {
        self.policy.hold
    }

    fn instance(&self) -> impl Iterator<Item = (Cause, &Latch)> {
        [
            (Cause::InFlight, &self.in_flight),
            (Cause::Lag, &self.lag),
            (Cause::Memory, &self.memory),
            (Cause::Descriptors, &self.descriptors),
        ]
        .into_iter()
    }
}

impl Shedding {
    /// Whether the `turn`th write of a route with this order is shed. Reads go on at every level.
    pub fn sheds(self, order: Shed, turn: u32) -> bool {
        match (order, self.level) {
            (Shed::Never, _) | (_, Level::Normal) | (Shed::Last, Level::Writes) => false,
            (_, Level::Last) => true,
            (Shed::WithWrites, Level::Writes) => turn % u32::from(PARTS) < u32::from(self.parts),
        }
    }
}

/// `value` in millionths of its threshold.
fn over(value: u64, threshold: u64) -> u64 {
    part(u128::from(value), u128::from(threshold))
}

/// A part of `all`, in millionths of the threshold, which is thousandths of all; 0 while `all` is unknown.
fn of(value: u64, all: u64, threshold: u16) -> u64 {
    if all == 0 {
        return 0;
    }
    part(u128::from(value) * 1000, u128::from(all) * u128::from(threshold))
}

fn part(value: u128, whole: u128) -> u64 {
    u64::try_from(value * u128::from(latch::THRESHOLD) / whole.max(1)).unwrap_or(u64::MAX)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
