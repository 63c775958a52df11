//! The minimum rate of one direction of a connection (http.md §7): a [`Pace`] and the timer that it needs.
//!
//! Time counts while the connection waits for its client, and only then: before that, nothing is set up at all.

use std::pin::Pin;
use std::task::Context;
use std::time::Instant;

use tokio::time::Sleep;

use super::guard::progress::{MinRate, Pace, Slow};
use crate::clock;

/// One direction.
#[derive(Debug, Default)]
pub struct Paced {
    rate: Option<MinRate>,
    running: Option<Box<Running>>,
}

#[derive(Debug)]
struct Running {
    pace: Pace,
    /// Fires early rather than being set anew for each piece.
    timer: Pin<Box<Sleep>>,
}

impl Paced {
    /// At least `rate`; `None`: however slowly.
    pub fn new(rate: Option<MinRate>) -> Self {
        Self { rate, running: None }
    }

    /// Time counts from now on, whether the client is waited for or not, until something has moved.
    pub fn begin(&mut self, now: Instant) {
        if let Some(rate) = &self.rate {
            self.running = Some(Box::new(Running::new(rate, now)));
        }
    }

    /// # Errors
    /// It has taken too long.
    pub fn check(&mut self, now: Instant) -> Result<(), Slow> {
        self.running.as_mut().map_or(Ok(()), |running| running.pace.check(now))
    }

    /// The client is waited for. Its task is woken when it takes too long.
    ///
    /// # Errors
    /// It has taken too long.
    pub fn on_pending(&mut self, cx: &mut Context<'_>) -> Result<(), Slow> {
        let Some(rate) = &self.rate else { return Ok(()) };
        let now = clock::now();
        let running = self.running.get_or_insert_with(|| Box::new(Running::new(rate, now)));
        running.pace.resume(now);
        running.watch(now, cx)
    }

    /// `bytes` have moved, and nothing is waited for.
    pub fn on_moved(&mut self, bytes: usize) {
        if let Some(running) = &mut self.running {
            let now = clock::now();
            running.pace.moved(bytes as u64, now);
            running.pace.pause(now);
        }
    }
}

impl Running {
    fn new(rate: &MinRate, now: Instant) -> Self {
        let pace = Pace::new(rate, now);
        let due = pace.deadline().unwrap_or(now);
        Self { pace, timer: Box::pin(tokio::time::sleep_until(due.into())) }
    }

    fn watch(&mut self, mut now: Instant, cx: &mut Context<'_>) -> Result<(), Slow> {
        loop {
            self.pace.check(now)?;
            let Some(due) = self.pace.deadline() else { return Ok(()) };
            if self.timer.deadline().into_std() > due {
                self.timer.as_mut().reset(due.into());
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Ok(());
            }
            now = clock::now();
            self.timer.as_mut().reset(due.into());
        }
    }
}
