//! Who first: a place in flight for each request, shared by weight among the tenants that ask (http.md §2).
//!
//! [`Admission`] is the mechanism around the core [`drr`]: one lock, held for a decision and never across an await, and
//! the wakers of those that wait. A free place is taken without a waker, a timer or an allocation. [`gather`] bounds what
//! is read of bodies before they have a place; [`overload`] tells when writes are to be shed.
//!
//! **Time.** The core drops who has waited too long whenever anything comes or goes. When nothing does, somebody has to
//! look: [`Waiting::at_most`] takes a sleep until [`Waiting::deadline`] from the caller, so that each request answers for
//! itself and as exactly as the caller's timer does; [`Admission::expire`] at [`Admission::next_deadline`] does it
//! for all. Either is enough.
//!
//! It does not identify, count or log anybody, and never touches a request: it is told numbers.

mod busy;
pub mod drr;
pub mod gather;
pub mod overload;
mod permit;
mod policy;
#[cfg(test)]
mod tests;
mod waiting;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use slab::Slab;

pub use busy::{Busy, Why};
use drr::{Drr, Entered};
pub use permit::Permit;
pub use policy::{Bound, Claim, Generation, Policy, TenantPolicy};
pub use waiting::Waiting;
use waiting::{Seat, Wakers};

/// The slots in flight of a gateway. Clones share them.
#[derive(Clone)]
pub struct Admission(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    clock: fn() -> Instant,
}

struct State {
    drr: Drr,
    /// Those that wait, by the token under which the core knows them.
    seats: Slab<Seat>,
}

/// What becomes of a request on entry.
#[derive(Debug)]
pub enum Entry {
    /// It has a place.
    Admitted(Permit),
    /// It is to be awaited; dropped, it gives its place in the queue up.
    Waits(Waiting),
    /// It gets none.
    Busy(Busy),
}

/// How full it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gauges {
    /// Slots taken.
    pub in_flight: u32,
    /// Slots that there are.
    pub slots: u32,
    /// Requests that wait.
    pub queued: u32,
    /// How long the one that waits longest has waited.
    pub longest_wait: Duration,
}

impl Admission {
    /// All slots free. `clock` is asked when a permit or a place in the queue is dropped.
    pub fn new(policy: Policy, clock: fn() -> Instant) -> Self {
        let state = State { drr: Drr::new(policy, clock()), seats: Slab::new() };
        Self(Arc::new(Shared { state: Mutex::new(state), clock }))
    }

    /// Another generation is in force: what is held and who waits stays, and goes by it from now on.
    pub fn configure(&self, generation: &Generation) {
        let now = (self.0.clock)();
        self.with(|state| state.drr.configure(generation, now));
    }

    /// Asks for a place for one request.
    pub fn enter(&self, claim: &Claim, now: Instant) -> Entry {
        self.with(|state| {
            let token = u32::try_from(state.seats.vacant_key()).unwrap_or(u32::MAX);
            match state.drr.enter(claim, token, now) {
                Entered::Granted(grant) => Entry::Admitted(Permit::new(self.clone(), grant)),
                Entered::Waiting(waiter) => {
                    state.seats.insert(Seat::taken_by(waiter));
                    Entry::Waits(Waiting::new(self.clone(), token, now + state.drr.policy().wait))
                }
                Entered::Busy(busy) => Entry::Busy(busy),
            }
        })
    }

    /// Tells those that have waited too long.
    pub fn expire(&self, now: Instant) {
        self.with(|state| state.drr.expire(now));
    }

    /// When the next one will have waited too long; `None`: nobody waits.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.0.state.lock().drr.next_deadline()
    }

    /// How full it is at `now`.
    pub fn gauges(&self, now: Instant) -> Gauges {
        let state = self.0.state.lock();
        Gauges {
            in_flight: state.drr.in_flight(),
            slots: state.drr.policy().in_flight.get(),
            queued: state.drr.queued(),
            longest_wait: state.drr.longest_wait(now),
        }
    }

    /// The tenants that wait, and how many requests of each.
    pub fn queues(&self) -> Vec<(u64, u32)> {
        self.0.state.lock().drr.queues().collect()
    }

    fn now(&self) -> Instant {
        (self.0.clock)()
    }

    /// Works on the state, and wakes who has been told something, after the lock.
    fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        let mut wakers = Wakers::default();
        let done = {
            let mut state = self.0.state.lock();
            let done = work(&mut state);
            state.tell(&mut wakers);
            done
        };
        wakers.wake();
        done
    }
}

impl State {
    /// Brings the core's outcomes to the seats.
    fn tell(&mut self, wakers: &mut Wakers) {
        while let Some((token, outcome)) = self.drr.poll_outcome() {
            match self.seats.get_mut(token as usize) {
                Some(seat) => wakers.extend(seat.tell(outcome)),
                None => debug_assert!(false, "nobody sits at {token}"),
            }
        }
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state.lock();
        f.debug_struct("Admission")
            .field("in_flight", &state.drr.in_flight())
            .field("queued", &state.drr.queued())
            .finish_non_exhaustive()
    }
}
