//! The task that moves the bytes of one shared connection.
//!
//! It reads before it writes and goes on reading while its writes block (oap1 §4). Woken with output it lets one
//! tick pass before it writes: the requests that run in between add theirs, and one system call carries them all.
//! A connection that stays silent until a request is given up is asked for a sign of life, HELLO once more; one that
//! takes nothing more is still read to its end, for the sake of answers that came before. It decides nothing about
//! streams: that is the core's.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep};

use super::places::Slot;
use super::policy::PoolPolicy;
use super::shared::Shared;
use super::wire::Wire;
use super::worker::Worker;

/// Reads in a row before others get their turn.
const READS: usize = 16;

/// Drives `shared` over `wire` until it is over. Dropping the future ends the connection and its streams.
pub(super) fn drive<Io>(
    wire: Wire<Io>,
    shared: Arc<Shared>,
    home: Weak<Worker>,
    slot: Slot,
    policy: &PoolPolicy,
) -> impl Future<Output = ()> + Send + use<Io>
where
    Io: AsyncRead + AsyncWrite + Unpin + Send,
{
    // Made here and not by the future, which may be dropped before it ever ran.
    let guard = Ending { shared, home, slot: Some(slot) };
    let deadline = Box::pin(tokio::time::sleep(policy.idle));
    let (idle, patience) = (policy.idle, policy.write);
    let mut driver =
        Driver { wire, guard, idle, deadline, deferred: false, deaf: false, patience, verdict: None };
    async move {
        let outcome = std::future::poll_fn(|cx| driver.poll(cx)).await;
        let Driver { wire, guard, .. } = driver;
        drop(guard);
        if outcome == Outcome::Finished {
            wire.shutdown().await;
        }
    }
}

/// How a connection came to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// By our own will, without streams.
    Finished,
    /// The peer or the network.
    Broken,
}

struct Driver<Io> {
    wire: Wire<Io>,
    guard: Ending,
    idle: Duration,
    deadline: Pin<Box<Sleep>>,
    deferred: bool,
    /// The peer takes nothing more. What it has said may still be on its way: an answer, and the end.
    deaf: bool,
    patience: Duration,
    /// When a connection that is suspect, or deaf, is given up.
    verdict: Option<Pin<Box<Sleep>>>,
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Driver<Io> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.begin(cx.waker());
        if self.read(cx).is_err() || self.write(cx).is_err() {
            return Poll::Ready(Outcome::Broken);
        }
        if let Some(verdict) = &mut self.verdict
            && verdict.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Outcome::Broken);
        }
        if self.deaf {
            let done = self.guard.shared.lock().core.open_streams() == 0;
            return if done { Poll::Ready(Outcome::Broken) } else { Poll::Pending };
        }
        let finished = self.poll_idle(cx).is_ready() || self.guard.shared.lock().is_finished();
        if finished && !self.has_output() { Poll::Ready(Outcome::Finished) } else { Poll::Pending }
    }

    fn begin(&mut self, waker: &Waker) {
        let mut state = self.guard.shared.lock();
        state.driven_by(waker);
        // oap1 §3: a HELLO may be repeated as a liveness probe.
        if std::mem::take(&mut state.suspected) && state.core.probe() && self.verdict.is_none() {
            self.verdict = Some(Box::pin(tokio::time::sleep(self.patience)));
        }
    }

    /// Takes what has arrived and tells the streams.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<(), Lost> {
        for _ in 0..READS {
            let Poll::Ready(read) = self.wire.poll_read(cx) else { return Ok(()) };
            let mut state = self.guard.shared.lock();
            let handled = match read {
                Err(_) => return Err(Lost),
                Ok(input) if input.is_empty() => state.core.handle_eof().and(Ok(false)),
                Ok(input) => {
                    state.silent_since = Instant::now();
                    state.silent_before = Duration::ZERO;
                    if !self.deaf {
                        self.verdict = None;
                    }
                    state.core.handle_input(input).and(Ok(true))
                }
            };
            state.wake_streams();
            drop(state);
            match handled {
                Ok(true) => {}
                Ok(false) => return Err(Lost),
                Err(error) => {
                    self.guard.shared.places().broken(&error);
                    return Err(Lost);
                }
            }
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    /// Writes what there is, one tick after it was first seen.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<(), Lost> {
        if self.deaf {
            return Ok(());
        }
        let mut state = self.guard.shared.lock();
        if !state.core.wants_write() && !self.wire.is_unflushed() {
            state.flushing = false;
            return Ok(());
        }
        state.flushing = true;
        if !self.deferred {
            self.deferred = true;
            drop(state);
            cx.waker().wake_by_ref();
            return Ok(());
        }
        while state.core.wants_write() || self.wire.is_unflushed() {
            let written = self.wire.poll_write(cx, state.core.output());
            state.written = self.wire.written();
            // Whose bytes have left may send more: it runs when we have returned, and starts the next batch.
            state.wake_streams();
            if state.can_open() {
                // oap1 §3: the place of a stream that was given up is free once that is sent.
                self.guard.shared.places().freed();
            }
            match written {
                // `deferred` stays: when the socket takes bytes again, they are overdue.
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(e)) if e.kind() == io::ErrorKind::TimedOut => return Err(Lost),
                Poll::Ready(Err(_)) => {
                    // No new streams, and no wake-up for output; once more round for what can be read.
                    state.retired = true;
                    self.deaf = true;
                    self.verdict = Some(Box::pin(tokio::time::sleep(self.patience)));
                    cx.waker().wake_by_ref();
                    return Ok(());
                }
                Poll::Ready(Ok(())) => {}
            }
        }
        self.deferred = false;
        state.flushing = false;
        Ok(())
    }

    /// Ready when no stream was open for `idle`; then none will be.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.deadline.as_mut().poll(cx).is_ready() {
            let mut state = self.guard.shared.lock();
            let now = Instant::now();
            let until = if state.core.open_streams() == 0 { state.idle_since } else { now } + self.idle;
            if until <= now {
                state.retired = true;
                return Poll::Ready(());
            }
            drop(state);
            self.deadline.as_mut().reset(until);
        }
        Poll::Pending
    }

    fn has_output(&self) -> bool {
        self.wire.is_unflushed() || self.guard.shared.lock().core.wants_write()
    }
}

/// The connection is lost.
struct Lost;

/// What happens at the end of a connection, also when its runtime drops the driver: the streams that are left learn
/// of it, the worker forgets the connection, and its place is given back.
struct Ending {
    shared: Arc<Shared>,
    home: Weak<Worker>,
    slot: Option<Slot>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(home) = self.home.upgrade() {
            home.forget(&self.shared);
        }
        let mut state = self.shared.lock();
        state.retired = true;
        state.core.handle_lost();
        state.wake_streams();
        drop(state);
        self.shared.collect();
        drop(self.slot.take());
    }
}
