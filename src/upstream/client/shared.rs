//! A connection that many streams share, as the requesters see it: the core behind a lock, a waker per stream, and
//! the driver's waker.
//!
//! Requesters encode straight into the connection's output and wake the driver, which alone touches the socket
//! (`driver.rs`). The lock is held for moments, never across an await; wakers are woken under it, which is safe
//! because waking only queues a task.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::dial::OpenError;
use super::places::Places;
use super::stream::{Done, Opening};
use crate::oap::{Client, Incoming, Sent, StreamId};

/// A shared connection.
pub(super) struct Shared {
    state: Mutex<State>,
    places: Arc<Places>,
    /// A longer silence is suspect.
    silence: Duration,
}

/// What the lock holds.
pub(super) struct State {
    pub(super) core: Client,
    /// Bytes that have reached the socket: tells what of a lost request was written.
    pub(super) written: u64,
    /// Since when no stream is open.
    pub(super) idle_since: Instant,
    /// Since when nothing was heard from the peer, though a stream was open.
    pub(super) silent_since: Instant,
    /// How long nothing was heard while earlier streams were open, each of which was given up: many short silences are a
    /// long one.
    pub(super) silent_before: Duration,
    /// A stream was given up after a long silence: the peer is to show that it is there.
    pub(super) suspected: bool,
    /// No new streams; over as soon as the open ones are.
    pub(super) retired: bool,
    /// The driver knows of the output, or waits for the socket: no need to wake it.
    pub(super) flushing: bool,
    driver: Option<Waker>,
    /// By the stream's index in the core's slab; bounded by the streams that were ever open at once.
    wakers: Vec<Option<Waker>>,
}

impl Shared {
    /// `written` bytes have left for HELLO. A silence of more than `silence` is suspect.
    pub(super) fn new(core: Client, written: u64, places: Arc<Places>, silence: Duration) -> Arc<Self> {
        let now = Instant::now();
        let state = State {
            core,
            written,
            idle_since: now,
            silent_since: now,
            silent_before: Duration::ZERO,
            suspected: false,
            retired: false,
            flushing: false,
            driver: None,
            wakers: Vec::new(),
        };
        Arc::new(Self { state: Mutex::new(state), places, silence })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(super) fn places(&self) -> &Arc<Places> {
        &self.places
    }

    /// Streams that are open; `None` when no further one can be.
    pub(super) fn load(&self) -> Option<usize> {
        let state = self.lock();
        state.can_open().then(|| state.core.open_streams())
    }

    /// Whether there will be places again, even if there is none now.
    pub(super) fn has_future(&self) -> bool {
        let state = self.lock();
        !state.retired && !state.core.is_draining() && !state.core.is_over()
    }

    /// Opens a stream; `None` when there is no place.
    pub(super) fn open(
        self: &Arc<Self>,
        opening: &mut Opening<'_, '_>,
    ) -> Result<Option<SharedStream>, OpenError> {
        let mut state = self.lock();
        if !state.can_open() {
            return Ok(None);
        }
        if state.core.open_streams() == 0 {
            state.silent_since = Instant::now();
        }
        let starts_at = state.written + state.core.output().len() as u64;
        let id = opening.open(&mut state.core).map_err(OpenError::Unsendable)?;
        state.flush();
        drop(state);
        Ok(Some(SharedStream { connection: Arc::clone(self), id, starts_at, done: None }))
    }

    /// No new streams from now on, and the end with the last open one.
    pub(super) fn retire(&self) {
        let mut state = self.lock();
        state.retired = true;
        state.wake_driver();
    }

    /// Takes the frames counted since the last time.
    pub(super) fn collect(&self) {
        let frames = self.lock().core.counters();
        self.places.count(frames);
    }
}

impl State {
    /// Whether there is a place.
    pub(super) fn can_open(&self) -> bool {
        !self.retired && self.core.can_open()
    }

    /// Nothing is left to do on this connection.
    pub(super) fn is_finished(&self) -> bool {
        (self.retired || self.core.is_draining()) && self.core.open_streams() == 0
    }

    /// Remembers who drives the connection.
    pub(super) fn driven_by(&mut self, waker: &Waker) {
        remember(&mut self.driver, waker);
    }

    /// Wakes the streams whose `poll` or `send` may now get on.
    pub(super) fn wake_streams(&mut self) {
        while let Some(id) = self.core.next_woken() {
            if let Some(Some(waker)) = self.wakers.get(index(id)) {
                waker.wake_by_ref();
            }
        }
    }

    /// Has the driver write what there is, unless it is about to.
    fn flush(&mut self) {
        if !self.flushing && self.core.wants_write() {
            self.flushing = true;
            self.wake_driver();
        }
    }

    fn wake_driver(&self) {
        if let Some(driver) = &self.driver {
            driver.wake_by_ref();
        }
    }

    fn park(&mut self, id: StreamId, waker: &Waker) {
        let index = index(id);
        if index >= self.wakers.len() {
            self.wakers.resize(index + 1, None);
        }
        if let Some(parked) = self.wakers.get_mut(index) {
            remember(parked, waker);
        }
    }

    /// The stream is over, for whatever reason.
    fn settle(&mut self, id: StreamId) {
        if let Some(parked) = self.wakers.get_mut(index(id)) {
            *parked = None;
        }
        if self.core.open_streams() == 0 {
            self.idle_since = Instant::now();
            if self.is_finished() {
                self.wake_driver();
            }
        }
        self.flush();
    }
}

fn remember(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(known) if known.will_wake(waker) => {}
        Some(known) => known.clone_from(waker),
        None => *slot = Some(waker.clone()),
    }
}

/// Client stream ids are generation << 32 | slab index.
fn index(id: StreamId) -> usize {
    usize::try_from(id.0 & u64::from(u32::MAX)).unwrap_or(usize::MAX)
}

/// One request's stream on a shared connection.
pub(super) struct SharedStream {
    connection: Arc<Shared>,
    id: StreamId,
    /// Where in all that is written to this connection the stream's first frame begins.
    starts_at: u64,
    done: Option<Done>,
}

impl SharedStream {
    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Incoming> {
        if let Some(done) = self.done {
            return Poll::Ready(done.again());
        }
        let mut state = self.connection.lock();
        let Some(incoming) = state.core.poll(self.id) else {
            state.park(self.id, cx.waker());
            return Poll::Pending;
        };
        self.done = Done::of(&incoming);
        if self.done.is_some() {
            state.settle(self.id);
            drop(state);
            self.connection.places.freed();
        }
        Poll::Ready(incoming)
    }

    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>, data: &mut Bytes, end: bool) -> Poll<Sent> {
        if self.done.is_some() {
            return Poll::Ready(Sent::Closed);
        }
        let mut state = self.connection.lock();
        let sent = state.core.send(self.id, data, end);
        state.flush();
        if sent == Sent::Blocked {
            state.park(self.id, cx.waker());
            return Poll::Pending;
        }
        Poll::Ready(sent)
    }

    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>, unsent: &mut usize) -> Poll<()> {
        if self.done.is_some() {
            return Poll::Ready(());
        }
        let mut state = self.connection.lock();
        let room;
        (room, *unsent) = state.core.has_room(self.id);
        if room {
            return Poll::Ready(());
        }
        state.park(self.id, cx.waker());
        Poll::Pending
    }

    pub(super) fn passed_on(&mut self, credit: u32) {
        if self.done.is_none() {
            let mut state = self.connection.lock();
            state.core.passed_on(self.id, credit);
            state.flush();
        }
    }

    pub(super) fn wrote_anything(&self) -> bool {
        self.connection.lock().written > self.starts_at
    }

    pub(super) fn places(&self) -> &Arc<Places> {
        &self.connection.places
    }
}

impl Drop for SharedStream {
    fn drop(&mut self) {
        if self.done.is_some() {
            return;
        }
        // oap1 §3: REQ|END 499, on the wire with the driver's next write; the place is free.
        let mut state = self.connection.lock();
        state.core.give_up(self.id);
        state.settle(self.id);
        let silent = state.silent_before.saturating_add(state.silent_since.elapsed());
        if state.core.open_streams() == 0 {
            state.silent_before = silent;
        }
        if silent > self.connection.silence {
            state.suspected = true;
            state.wake_driver();
        }
        drop(state);
        self.connection.places.freed();
    }
}
