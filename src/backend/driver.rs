//! The task of one connection: reads what has arrived, polls the calls, and writes what they all have to say in one go.
//!
//! It reads before it writes and goes on reading while its writes block (oap1 §4). It decides nothing about streams: that
//! is the core's and the service's.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWrite};

use super::link::{Arrived, Link};
use super::timing::{Deadlines, Late, Phase};
use super::wire::Wire;
use super::{Policy, Service, call};

/// Reads in a row before the calls get their turn.
const READS: usize = 16;

/// Serves one connection until it ends. Dropping the future ends it, and its calls, at once.
pub(super) async fn drive<S: Service, Io>(io: Io, link: Arc<Link>, service: Arc<S>, policy: Policy)
where
    Io: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut driver = Driver {
        wire: Wire::new(io),
        link: Lost(Arc::clone(&link)),
        deadlines: Deadlines::new(&policy),
        active: false,
        paused: false,
    };
    let mut calls = FuturesUnordered::new();
    let run = |arrived: Arrived| call::run(Arc::clone(&service), Arc::clone(&link), arrived);
    let ending = std::future::poll_fn(|cx| driver.poll(cx, &mut calls, &run)).await;
    drop(calls);
    let Driver { wire, link: lost, .. } = driver;
    drop(lost);
    if ending == Ending::Finished {
        // Only what has been written whole is left behind, and nobody is told anything more.
        drop(tokio::time::timeout(policy.write, wire.shutdown()).await);
    }
}

/// However a connection's task ends: nobody who holds on to one of its calls waits in vain.
struct Lost(Arc<Link>);

impl Drop for Lost {
    fn drop(&mut self) {
        self.0.lock().lose();
    }
}

/// How a connection came to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Without streams, everything written.
    Finished,
    /// By the peer, the network or a deadline.
    Broken,
}

struct Driver<Io> {
    wire: Wire<Io>,
    link: Lost,
    deadlines: Deadlines,
    /// Bytes have been read or written in this turn.
    active: bool,
    /// Reading waits for a call to take content.
    paused: bool,
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Driver<Io> {
    fn poll<F: Future<Output = ()>>(
        &mut self,
        cx: &mut Context<'_>,
        calls: &mut FuturesUnordered<F>,
        run: &impl Fn(Arrived) -> F,
    ) -> Poll<Ending> {
        self.active = false;
        self.link.0.lock().begin_turn(cx.waker());
        if let Err(ending) = self.read(cx, |arrived| calls.push(run(arrived))) {
            return Poll::Ready(ending);
        }
        while let Poll::Ready(Some(())) = Pin::new(&mut *calls).poll_next(cx) {}
        let Ok(blocked) = self.write(cx) else { return Poll::Ready(Ending::Broken) };
        self.rest(cx, blocked)
    }

    /// Takes what has arrived.
    fn read(&mut self, cx: &mut Context<'_>, mut begin: impl FnMut(Arrived)) -> Result<(), Ending> {
        for _ in 0..READS {
            self.paused = !self.link.0.lock().may_read();
            if self.paused {
                return Ok(());
            }
            let Poll::Ready(read) = self.wire.poll_read(cx) else { return Ok(()) };
            self.active = true;
            let mut state = self.link.0.lock();
            let handled = match read {
                Err(_) => return Err(Ending::Broken),
                Ok(input) if input.is_empty() => {
                    let ended = state.core.handle_eof().map(|()| Ending::Finished);
                    return Err(ended.unwrap_or(Ending::Broken));
                }
                Ok(input) => state.core.handle_input(input),
            };
            if let Err(error) = handled {
                drop(state);
                log::info!("a connection is closed: {}: {error}", error.reason());
                return Err(Ending::Broken);
            }
            state.wake_streams();
            while let Some(arrived) = state.accept() {
                begin(arrived);
            }
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    /// Writes what there is, and says whether the transport took less.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<bool, std::io::Error> {
        let mut state = self.link.0.lock();
        let mut progress = false;
        let mut blocked = false;
        while state.core.wants_write() {
            let Poll::Ready(taken) = self.wire.poll_write(cx, state.core.output()) else {
                blocked = true;
                break;
            };
            taken?;
            progress = true;
        }
        if progress {
            // Whose bytes have left may send more.
            state.wake_streams();
        }
        drop(state);
        self.active |= progress;
        self.deadlines.observe_write(blocked, progress);
        Ok(blocked)
    }

    /// Before the task waits: is there a reason to end, or not to wait?
    fn rest(&mut self, cx: &mut Context<'_>, blocked: bool) -> Poll<Ending> {
        let mut state = self.link.0.lock();
        let idle = state.core.is_idle();
        let phase = match state.core.settings() {
            None => Phase::Greeting,
            Some(_) if state.core.is_draining() => Phase::Leaving { idle },
            Some(_) => Phase::Serving { idle },
        };
        self.deadlines.observe(phase, self.active, state.is_exclusive());
        if state.core.is_over() {
            return Poll::Ready(Ending::Broken);
        }
        match self.deadlines.poll(cx) {
            Poll::Pending => {}
            Poll::Ready(Late::Idle) => {
                // Something may be on its way: the client is told first, and its requests are served.
                drop(state);
                self.link.0.leave();
                return Poll::Pending;
            }
            Poll::Ready(Late::Left) => return Poll::Ready(Ending::Finished),
            Poll::Ready(Late::Hello | Late::Write) => return Poll::Ready(Ending::Broken),
        }
        if state.end_turn(blocked) || (self.paused && state.may_read()) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
