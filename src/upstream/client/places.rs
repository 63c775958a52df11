//! The places of a pool: how many connections there are of each kind and may be in all, what the backend was last
//! heard to agree to, and the queue of those who wait because everything is full.
//!
//! It knows no connection. A place is held by a [`Slot`] and given back when that is dropped, whatever happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::observe::{Kind, Observer};
use crate::oap::{Counters, ProtocolError};

/// The ledger of one pool.
pub(super) struct Places {
    max: usize,
    /// These two are read by every request of every worker, and hardly ever written: not behind the lock.
    closed: AtomicBool,
    learned: AtomicU8,
    ledger: Mutex<Ledger>,
    frames: Mutex<Counters>,
    waiting: AtomicUsize,
    freed: Notify,
    observer: Arc<dyn Observer>,
}

#[derive(Default)]
struct Ledger {
    held: [usize; 4],
}

/// [`Places::learned`]: nothing yet, or not any more.
const UNKNOWN: u8 = 0;
const SHARES: u8 = 1;
const DECLINES: u8 = 2;

/// What a connection is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holding {
    Dialing = 0,
    Shared = 1,
    Idle = 2,
    Used = 3,
}

impl Holding {
    fn kind(self) -> Option<Kind> {
        match self {
            Self::Dialing => None,
            Self::Shared => Some(Kind::Shared),
            Self::Idle | Self::Used => Some(Kind::Exclusive),
        }
    }
}

/// How many connections of each kind a pool has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) dialing: usize,
    pub(super) shared: usize,
    pub(super) idle: usize,
    pub(super) used: usize,
}

impl Places {
    pub(super) fn new(max: usize, observer: Arc<dyn Observer>) -> Arc<Self> {
        Arc::new(Self {
            max: max.max(1),
            closed: AtomicBool::new(false),
            learned: AtomicU8::new(UNKNOWN),
            ledger: Mutex::default(),
            frames: Mutex::default(),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
            observer,
        })
    }

    /// A place for one more connection, if there is one.
    pub(super) fn reserve(self: &Arc<Self>) -> Option<Slot> {
        let mut ledger = self.ledger.lock();
        if self.is_closed() || ledger.held.iter().sum::<usize>() >= self.max {
            return None;
        }
        ledger.add(Holding::Dialing);
        drop(ledger);
        Some(Slot { places: Arc::clone(self), holding: Holding::Dialing })
    }

    pub(super) fn held(&self) -> Held {
        let [dialing, shared, idle, used] = self.ledger.lock().held;
        Held { dialing, shared, idle, used }
    }

    /// What the backend agreed to when it was last offered ACK; `None` while that is not known.
    pub(super) fn learned(&self) -> Option<Kind> {
        match self.learned.load(Ordering::SeqCst) {
            SHARES => Some(Kind::Shared),
            DECLINES => Some(Kind::Exclusive),
            _ => None,
        }
    }

    pub(super) fn learn(&self, kind: Kind) {
        let learned = match kind {
            Kind::Shared => SHARES,
            Kind::Exclusive => DECLINES,
        };
        self.learned.store(learned, Ordering::SeqCst);
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.freed.notify_waiters();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Enters the queue of those who wait. Look once more for a place after this, and before waiting.
    pub(super) fn enter(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting(self)
    }

    /// A place may be free: the first in the queue looks.
    ///
    /// Cheap when nobody waits. No wake-up is lost: who waits has entered the queue before looking for a place, and
    /// both that look and the place's return hold the same lock, so one of the two sees the other.
    pub(super) fn freed(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.freed.notify_one();
        }
    }

    /// Many places may be free: all in the queue look.
    pub(super) fn many_freed(&self) {
        self.freed.notify_waiters();
    }

    pub(super) fn count(&self, frames: Counters) {
        if frames != Counters::default() {
            self.observer.on_frames(&frames);
            add(&mut self.frames.lock(), &frames);
        }
    }

    pub(super) fn frames(&self) -> Counters {
        *self.frames.lock()
    }

    pub(super) fn broken(&self, error: &ProtocolError) {
        self.observer.on_protocol_error(error);
    }
}

fn add(total: &mut Counters, more: &Counters) {
    let pairs = [(&mut total.received, &more.received), (&mut total.sent, &more.sent)];
    for (total, more) in pairs {
        total.hello += more.hello;
        total.start += more.start;
        total.data += more.data;
        total.ack += more.ack;
        total.event += more.event;
    }
    total.dropped += more.dropped;
}

impl Ledger {
    fn add(&mut self, holding: Holding) {
        if let Some(held) = self.held.get_mut(holding as usize) {
            *held += 1;
        }
    }

    fn remove(&mut self, holding: Holding) {
        if let Some(held) = self.held.get_mut(holding as usize) {
            *held = held.saturating_sub(1);
        }
    }
}

/// One who waits for a place; leaves the queue when dropped.
pub(super) struct Waiting<'a>(&'a Places);

impl<'a> Waiting<'a> {
    /// Resolves when a place may have become free since this was made and enabled.
    pub(super) fn freed(&self) -> tokio::sync::futures::Notified<'a> {
        self.0.freed.notified()
    }

    /// Found a place. It need not be the one that woke this waiter, so the next in the queue looks too.
    pub(super) fn found(self) {
        let places = self.0;
        drop(self);
        places.freed();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The place of one connection, from its dial to its end.
pub(super) struct Slot {
    places: Arc<Places>,
    holding: Holding,
}

impl Slot {
    pub(super) fn places(&self) -> &Arc<Places> {
        &self.places
    }

    /// The connection is something else from now on.
    pub(super) fn hold(&mut self, holding: Holding) {
        let mut ledger = self.places.ledger.lock();
        ledger.remove(self.holding);
        ledger.add(holding);
        drop(ledger);
        let before = std::mem::replace(&mut self.holding, holding);
        if let (None, Some(kind)) = (before.kind(), holding.kind()) {
            self.places.observer.on_connection_opened(kind);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut ledger = self.places.ledger.lock();
        ledger.remove(self.holding);
        if ledger.held.iter().all(|held| *held == 0) {
            // With the last connection goes what we knew: the next backend here may be another version.
            self.places.learned.store(UNKNOWN, Ordering::SeqCst);
        }
        drop(ledger);
        if let Some(kind) = self.holding.kind() {
            self.places.observer.on_connection_closed(kind);
        }
        self.places.freed();
    }
}
