//! When a connection has taken too long: one timer for all of its deadlines.
//!
//! The timer is set to the earliest and only ever moved when it is too late or has fired, so that a busy connection does
//! not touch it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::Policy;

/// After it was told to leave, an idle connection waits this long for requests that were already on their way. A client
/// that has heard closes it before.
const LINGER: Duration = Duration::from_secs(1);

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// HELLO.
    Greeting,
    /// Requests; with streams open there is no deadline.
    Serving {
        /// No stream is open.
        idle: bool,
    },
    /// The client to go.
    Leaving {
        /// No stream is open.
        idle: bool,
    },
}

/// The clocks of one connection.
pub(super) struct Deadlines {
    hello: Duration,
    write: Duration,
    idle: Duration,
    phase: Phase,
    /// When the phase began, or the connection last did something in it.
    since: Instant,
    /// Since when the transport has taken nothing.
    stalled: Option<Instant>,
    exclusive: bool,
    timer: Pin<Box<Sleep>>,
}

/// Which time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Late {
    /// HELLO has not come.
    Hello,
    /// The transport takes nothing.
    Write,
    /// Nothing has happened for the idle time.
    Idle,
    /// Nobody sent anything more after the drain.
    Left,
}

impl Deadlines {
    pub(super) fn new(policy: &Policy) -> Self {
        Self {
            hello: policy.hello,
            write: policy.write,
            idle: policy.idle,
            phase: Phase::Greeting,
            since: Instant::now(),
            stalled: None,
            exclusive: false,
            timer: Box::pin(tokio::time::sleep(policy.hello)),
        }
    }

    /// Where the connection stands. Idle time runs from the last time that it was `active`.
    pub(super) fn observe(&mut self, phase: Phase, active: bool, exclusive: bool) {
        let greeting = phase == Phase::Greeting;
        if phase != self.phase || (active && !greeting) {
            self.phase = phase;
            self.since = Instant::now();
        }
        self.exclusive = exclusive;
    }

    /// The transport took nothing, or something.
    pub(super) fn observe_write(&mut self, stalled: bool, progress: bool) {
        if !stalled {
            self.stalled = None;
        } else if progress || self.stalled.is_none() {
            self.stalled = Some(Instant::now());
        }
    }

    /// Ready when one of the times is up.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Late> {
        loop {
            let Some((due, late)) = self.next() else {
                return Poll::Pending;
            };
            if due < self.timer.deadline() || self.timer.is_elapsed() {
                self.timer.as_mut().reset(due);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= due {
                return Poll::Ready(late);
            }
        }
    }

    fn next(&self) -> Option<(Instant, Late)> {
        let phase = match self.phase {
            Phase::Greeting => Some((self.since + self.hello, Late::Hello)),
            Phase::Serving { idle: true } => Some((self.since + self.idle, Late::Idle)),
            Phase::Leaving { idle: true } => Some((self.since + LINGER, Late::Left)),
            Phase::Serving { idle: false } | Phase::Leaving { idle: false } => None,
        };
        let patience = if self.exclusive { self.idle } else { self.write };
        let write = self.stalled.map(|since| (since + patience, Late::Write));
        [phase, write].into_iter().flatten().min_by_key(|(due, _)| *due)
    }
}
