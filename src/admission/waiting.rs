//! A request that waits for a place.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::drr::{Outcome, WaiterId};
use super::{Admission, Busy, Permit, Why};

/// A place in the queue: to be awaited, best with [`Waiting::at_most`]. Dropped, it is given up, and with it a slot that
/// came at the same moment.
#[derive(Debug)]
#[must_use = "dropped, the place in the queue is given up"]
pub struct Waiting {
    admission: Admission,
    /// `None`: told.
    seat: Option<u32>,
    deadline: Instant,
}

/// Where the core's answer to one that waits is left.
#[derive(Debug)]
pub(super) struct Seat {
    waker: Option<Waker>,
    holds: Holds,
}

#[derive(Debug)]
enum Holds {
    Waiter(WaiterId),
    Answer(Outcome),
}

impl Seat {
    pub(super) fn taken_by(waiter: WaiterId) -> Self {
        Self { waker: None, holds: Holds::Waiter(waiter) }
    }

    pub(super) fn tell(&mut self, outcome: Outcome) -> Option<Waker> {
        self.holds = Holds::Answer(outcome);
        self.waker.take()
    }
}

/// Whom to wake once the lock is released: mostly one, who takes the slot that has come free.
#[derive(Debug, Default)]
pub(super) struct Wakers {
    first: Option<Waker>,
    others: Vec<Waker>,
}

impl Wakers {
    pub(super) fn extend(&mut self, waker: Option<Waker>) {
        match (waker, &self.first) {
            (Some(waker), Some(_)) => self.others.push(waker),
            (Some(waker), None) => self.first = Some(waker),
            (None, _) => {}
        }
    }

    pub(super) fn wake(self) {
        self.first.into_iter().chain(self.others).for_each(Waker::wake);
    }
}

impl Waiting {
    pub(super) fn new(admission: Admission, seat: u32, deadline: Instant) -> Self {
        Self { admission, seat: Some(seat), deadline }
    }

    /// When it will have waited too long.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Waits until there is an answer, or until `sleep` is over, which is to last until [`Waiting::deadline`].
    ///
    /// # Errors
    ///
    /// [`Busy`] when there is no place for it.
    pub async fn at_most(mut self, sleep: impl Future<Output = ()>) -> Result<Permit, Busy> {
        let mut sleep = pin!(sleep);
        let told = std::future::poll_fn(|cx| match Pin::new(&mut self).poll(cx) {
            Poll::Ready(told) => Poll::Ready(Some(told)),
            Poll::Pending => sleep.as_mut().poll(cx).map(|()| None),
        });
        match told.await {
            Some(told) => told,
            None => self.give_up(),
        }
    }

    /// The answer as of now: a place that has just come, or none any more.
    fn give_up(mut self) -> Result<Permit, Busy> {
        let now = self.admission.now();
        let number = self.seat.unwrap_or(u32::MAX) as usize;
        self.admission.expire(now);
        self.admission.with(|state| {
            // The sleep was over a little early.
            if let Some(Seat { holds: Holds::Waiter(waiter), .. }) = state.seats.get(number) {
                state.drr.give_up(waiter, now);
            }
        });
        match self.answer(None) {
            Some(told) => told,
            None => {
                Err(Busy { why: Why::WaitedTooLong, retry_after: Duration::ZERO, waited: Duration::ZERO })
            }
        }
    }

    /// Takes the answer and leaves the seat, or leaves word whom to wake.
    fn answer(&mut self, waker: Option<&Waker>) -> Option<Result<Permit, Busy>> {
        let number = self.seat? as usize;
        // What is dropped of wakers is dropped after the lock: a task may end with its last waker, and this with it.
        let mut before = None;
        let seat = self.admission.with(|state| {
            let seat = state.seats.get_mut(number)?;
            if let Holds::Answer(_) = seat.holds {
                return state.seats.try_remove(number);
            }
            if waker.is_some() {
                before = std::mem::replace(&mut seat.waker, waker.cloned());
            }
            None
        });
        drop(before);
        self.seat.take_if(|_| seat.is_some());
        match seat?.holds {
            Holds::Answer(Outcome::Granted(grant)) => Some(Ok(Permit::new(self.admission.clone(), grant))),
            Holds::Answer(Outcome::Busy(busy)) => Some(Err(busy)),
            Holds::Waiter(_) => None,
        }
    }
}

impl Future for Waiting {
    type Output = Result<Permit, Busy>;

    /// Once it has been ready, it stays pending.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.answer(Some(cx.waker())).map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(number) = self.seat.take() else { return };
        let now = self.admission.now();
        let seat = self.admission.with(|state| {
            let Seat { waker, holds } = state.seats.try_remove(number as usize)?;
            match holds {
                Holds::Waiter(waiter) => state.drr.leave(waiter, now),
                Holds::Answer(Outcome::Granted(grant)) => {
                    let bytes = grant.declared();
                    state.drr.release(grant, bytes, now);
                }
                Holds::Answer(Outcome::Busy(_)) => {}
            }
            waker
        });
        drop(seat);
    }
}
