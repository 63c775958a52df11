//! Who first: weighted deficit round robin over the tenants that wait for slots in flight (http.md §2).
//!
//! A core: it is handed `now`, and tells what has become of those that wait by [`Drr::poll_outcome`]. Its parts:
//!
//! | part | decides |
//! |---|---|
//! | `ring`, `turn` | whose turn it is |
//! | `bounds` | who stands aside: a tenant's or a principal's requests to a cluster, a cluster at its bound |
//! | `queue` | who may wait, who no longer |
//! | `hold`, `lanes`, `pace` | whose requests turn over fast, how long one would wait |
//! | `record`, `table`, `arena`, `heaviest` | what is remembered, and found in constant time |
//!
//! After each call no slot is free while somebody waits who may have it. What is remembered is bounded: active tenants
//! and principals by the slots and the queue, those at rest by `AT_REST`.
//!
//! It does not read a clock, wake anybody, or know what a tenant is beyond its number and policy.

mod arena;
mod bounds;
mod cost;
mod heaviest;
mod hold;
mod lanes;
mod pace;
mod queue;
mod record;
mod ring;
mod table;
#[cfg(test)]
mod tests;
mod turn;

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use arena::{Arena, Id, List};
use heaviest::Heaviest;
use record::{Cluster, Flow, Principal, Subflow, Tenant, Waiter};
use table::Table;

use super::busy::{Busy, Why};
use super::policy::{Claim, Generation, Policy};

/// Tenants, and principals, that are remembered though they have nothing here: their history and their debt. A history
/// lost is one that has to be made again; a debt is gone after a second in any case.
const AT_REST: usize = 16_384;
/// Clusters that are remembered though nothing is on its way to them.
const CLUSTERS_AT_REST: usize = 1024;

/// Slots in flight, and who waits for them.
#[derive(Debug)]
pub struct Drr {
    policy: Policy,
    /// `policy.wait`, `policy.lend` in nanoseconds.
    wait: u64,
    lend: u64,
    /// The largest declarable cost.
    largest: u64,
    epoch: Instant,
    /// Of the call that is under way, since `epoch`.
    now: u64,
    in_flight: u32,
    queued: u32,
    /// Rounds begun.
    round: u64,
    stamps: u64,
    tenants: Table<Tenant>,
    principals: Table<Principal>,
    clusters: Table<Cluster>,
    flows: Arena<Flow>,
    subflows: Arena<Subflow>,
    waiters: Arena<Waiter>,
    /// All that wait, in order of their coming.
    ages: List<Waiter>,
    heaviest: Heaviest,
    /// Sum of the weights of the tenants that hold or wait.
    active_weight: u64,
    /// What is held to its tenant's share, by the sum of weights up to which it may have more.
    held_to_share: BTreeSet<(u64, Id<Flow>)>,
    /// Clusters that somebody waits for.
    waited_for: Vec<Id<Cluster>>,
    outcomes: VecDeque<(u32, Outcome)>,
}

/// One that waits.
#[derive(Debug)]
pub struct WaiterId(Id<Waiter>);

/// A slot, to be given back with [`Drr::release`].
#[derive(Debug)]
pub struct Grant {
    tenant: Id<Tenant>,
    principal: Id<Principal>,
    cluster: Id<Cluster>,
    declared: u64,
    route_weight: u32,
    streams: bool,
    charged: u64,
    taken: u64,
    waited: Duration,
}

impl Grant {
    /// How long it was waited for.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// The bytes that were declared on entry.
    pub fn declared(&self) -> u64 {
        self.declared
    }
}

/// What becomes of a request on entry.
#[derive(Debug)]
pub enum Entered {
    /// It has a slot.
    Granted(Grant),
    /// It waits; its token will be in an outcome, perhaps at once.
    Waiting(WaiterId),
    /// It gets none.
    Busy(Busy),
}

/// What became of one that waited.
#[derive(Debug)]
pub enum Outcome {
    /// It has a slot.
    Granted(Grant),
    /// It gets none.
    Busy(Busy),
}

/// Whose a request is.
#[derive(Clone, Copy, Debug)]
struct Owner {
    tenant: Id<Tenant>,
    principal: Id<Principal>,
    cluster: Id<Cluster>,
}

impl Drr {
    /// All slots free; time is counted from `now`.
    pub fn new(policy: Policy, now: Instant) -> Self {
        let mut drr = Self {
            policy,
            wait: 0,
            lend: 0,
            largest: 0,
            epoch: now,
            now: 0,
            in_flight: 0,
            queued: 0,
            round: 0,
            stamps: 0,
            tenants: Table::new(AT_REST),
            principals: Table::new(AT_REST),
            clusters: Table::new(CLUSTERS_AT_REST),
            flows: Arena::default(),
            subflows: Arena::default(),
            waiters: Arena::default(),
            ages: List::default(),
            heaviest: Heaviest::default(),
            active_weight: 0,
            held_to_share: BTreeSet::new(),
            waited_for: Vec::new(),
            outcomes: VecDeque::new(),
        };
        drr.adopt(policy);
        drr
    }

    /// Another generation is in force, for those that wait too: whom it gives more gets it now. Deficits, histories and
    /// those that wait stay.
    // http.md §7: a lowered in-flight gives no permit until below.
    pub fn configure(&mut self, generation: &Generation, now: Instant) {
        let now = self.begin_call(now);
        for flow in self.flows.ids() {
            self.unplace(flow);
        }
        self.adopt(generation.policy);
        self.adopt_bounds(generation);
        for tenant in self.heaviest.iter().collect::<Vec<_>>() {
            self.unpark_principals_of(tenant);
            self.unpark_flows_of(tenant);
        }
        self.drop_aged(now);
        self.dispatch(now);
    }

    fn adopt(&mut self, policy: Policy) {
        self.policy = policy;
        self.wait = nanos(policy.wait);
        self.lend = nanos(policy.lend);
        self.largest = cost::largest(&policy);
    }

    /// A request comes. What it is told of later carries `token`.
    pub fn enter(&mut self, claim: &Claim, token: u32, now: Instant) -> Entered {
        let now = self.begin_call(now);
        self.drop_aged(now);
        let owner = self.find(claim);
        self.begin_use(owner, now);
        let cost = self.cost_on_entry(claim, owner.tenant);
        let entered = if self.may_at_once(owner, now) {
            Entered::Granted(self.hold(owner, claim, cost, now))
        } else {
            match self.make_room(owner, cost, now) {
                Ok(()) => Entered::Waiting(WaiterId(self.enqueue(owner, claim, cost, token, now))),
                Err(busy) => {
                    self.end_use(owner, now);
                    Entered::Busy(busy)
                }
            }
        };
        self.dispatch(now);
        entered
    }

    /// A client that waits has left; it has no outcome yet.
    pub fn leave(&mut self, waiter: WaiterId, now: Instant) {
        let now = self.begin_call(now);
        let (owner, _) = self.take_out(waiter.0, now);
        self.end_use(owner, now);
        self.drop_aged(now);
        self.dispatch(now);
    }

    /// A request is over, `bytes` of request and response have passed. The slot is free, the cost is settled.
    pub fn release(&mut self, grant: Grant, bytes: u64, now: Instant) {
        let now = self.begin_call(now);
        let owner = Owner { tenant: grant.tenant, principal: grant.principal, cluster: grant.cluster };
        self.end_hold(owner, &grant, now);
        self.settle(&grant, bytes, now);
        self.unpark_subflows(owner.principal);
        self.unpark_flows_of(owner.tenant);
        self.end_use(owner, now);
        self.drop_aged(now);
        self.dispatch(now);
    }

    /// Tells those that have waited too long. Every other call does so too: this one is for when there are none.
    pub fn expire(&mut self, now: Instant) {
        let now = self.begin_call(now);
        self.drop_aged(now);
        self.dispatch(now);
    }

    /// When the next one will have waited too long.
    pub fn next_deadline(&self) -> Option<Instant> {
        let oldest = self.ages.front()?;
        let nanos = self.waiters[oldest].entered.saturating_add(self.wait);
        Some(self.epoch + Duration::from_nanos(nanos))
    }

    /// What became of one that waited: its token, and a slot or a no. To be asked after each call until there is none.
    pub fn poll_outcome(&mut self) -> Option<(u32, Outcome)> {
        self.outcomes.pop_front()
    }

    /// One that waits has waited as long as its caller would let it: it is told so, unless it has been told something.
    pub fn give_up(&mut self, waiter: &WaiterId, now: Instant) {
        let now = self.begin_call(now);
        self.reject(waiter.0, Why::WaitedTooLong, now);
        self.dispatch(now);
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Slots taken.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Requests that wait.
    pub fn queued(&self) -> u32 {
        self.queued
    }

    /// How long the one that waits longest has waited.
    pub fn longest_wait(&self, now: Instant) -> Duration {
        let now = self.since_epoch(now);
        let oldest = self.ages.front().map_or(now, |oldest| self.waiters[oldest].entered);
        Duration::from_nanos(now.saturating_sub(oldest))
    }

    /// The tenants that wait, and how many requests of each.
    pub fn queues(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.heaviest.iter().map(|id| (self.tenants.records[id].key, self.tenants.records[id].queued))
    }

    /// Time does not go back, even when threads come with theirs in another order.
    fn begin_call(&mut self, now: Instant) -> u64 {
        self.now = self.since_epoch(now).max(self.now);
        self.now
    }

    fn since_epoch(&self, now: Instant) -> u64 {
        nanos(now.saturating_duration_since(self.epoch))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
