//! What a connection's task and the calls on it share: the protocol core, and per stream what has arrived and who waits.
//!
//! Calls are polled by that very task, so the lock is next to never contended; it is there because a service may hand
//! content or reply to another task. Content that nobody has asked for waits here, bounded by the stream's window; on an
//! exclusive connection, which has none, reading stops at [`HOLD`].

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};

use super::{Gone, Request};
use crate::bhttp::encode_response_head;
use crate::oap::{Arriving, Sent, Server, ServerConfig, StreamId};

/// An exclusive connection is not read while so many bytes of content wait to be asked for.
const HOLD: usize = 256 * 1024;
/// What an answer becomes that was not finished.
const FAILED: u16 = 500;

/// A connection as its calls see it.
#[derive(Debug)]
pub(super) struct Link {
    state: Mutex<State>,
}

/// What the lock guards.
#[derive(Debug)]
pub(super) struct State {
    pub(super) core: Server,
    inboxes: HashMap<StreamId, Inbox>,
    driver: Waker,
    /// The connection's task is running and will look at the output before it rests.
    driving: bool,
    leave: bool,
    /// Bytes of content in the inboxes.
    waiting: usize,
    head: Vec<u8>,
}

/// A stream that waits for its answer: content that has arrived, and who waits for what.
#[derive(Debug, Default)]
struct Inbox {
    pieces: VecDeque<Bytes>,
    ended: bool,
    gone: bool,
    call: Option<Waker>,
    content: Option<Waker>,
    reply: Option<Waker>,
}

impl Inbox {
    fn wake(&mut self) {
        for waker in [self.content.take(), self.reply.take()].into_iter().flatten() {
            waker.wake();
        }
        if self.gone
            && let Some(call) = self.call.take()
        {
            call.wake();
        }
    }
}

/// A stream whose head has arrived.
pub(super) struct Arrived {
    pub(super) id: StreamId,
    pub(super) request: Request,
}

impl Link {
    pub(super) fn new(config: &ServerConfig) -> Arc<Self> {
        let state = State {
            core: Server::new(config),
            inboxes: HashMap::new(),
            driver: Waker::noop().clone(),
            driving: false,
            leave: false,
            waiting: 0,
            head: Vec::new(),
        };
        Arc::new(Self { state: Mutex::new(state) })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Asks the client to open no more streams here; the connection ends when it is no longer needed.
    pub(super) fn leave(&self) {
        let mut state = self.lock();
        state.leave = true;
        state.driver.wake_by_ref();
    }

    /// Whether nobody waits for the call's answer any more; `waker` is told when that changes.
    pub(super) fn is_gone(&self, id: StreamId, waker: Option<&Waker>) -> bool {
        let mut state = self.lock();
        let Some(inbox) = state.inboxes.get_mut(&id) else { return false };
        if let Some(waker) = waker {
            remember(&mut inbox.call, waker);
        }
        inbox.gone
    }
}

impl State {
    /// The connection's task begins to look at everything.
    pub(super) fn begin_turn(&mut self, waker: &Waker) {
        self.driving = true;
        self.driver.clone_from(waker);
        // oap1 §3: the event can only follow HELLO.
        if self.leave && self.core.settings().is_some() {
            self.core.drain();
        }
    }

    /// The connection's task rests; whether it must look again at once. `blocked`: the transport takes nothing.
    pub(super) fn end_turn(&mut self, blocked: bool) -> bool {
        self.driving = false;
        self.core.wants_write() && !blocked
    }

    /// Whether there is room for content on an exclusive connection; a shared one is always read (oap1 §4).
    pub(super) fn may_read(&self) -> bool {
        self.waiting < HOLD || !self.is_exclusive()
    }

    pub(super) fn is_exclusive(&self) -> bool {
        self.core.settings().is_some_and(|settings| !settings.multiplexed)
    }

    /// The next stream whose head has arrived, with a place for its content.
    pub(super) fn accept(&mut self) -> Option<Arrived> {
        while let Some(id) = self.core.accept() {
            let Some(Arriving::Head { head, tenant_id, capability, credit }) = self.core.poll(id) else {
                continue;
            };
            self.core.passed_on(id, credit);
            drop(self.inboxes.insert(id, Inbox::default()));
            self.collect(id);
            return Some(Arrived { id, request: Request { head, tenant_id, capability } });
        }
        None
    }

    /// Tells the calls what has come for them.
    pub(super) fn wake_streams(&mut self) {
        while let Some(id) = self.core.next_woken() {
            self.collect(id);
            if let Some(inbox) = self.inboxes.get_mut(&id) {
                inbox.wake();
            }
        }
    }

    /// The connection is over: nobody waits for any answer.
    pub(super) fn lose(&mut self) {
        self.core.handle_lost();
        self.wake_streams();
    }

    /// Moves what has arrived on a stream into its inbox.
    fn collect(&mut self, id: StreamId) {
        let Some(inbox) = self.inboxes.get_mut(&id) else { return };
        while let Some(arriving) = self.core.poll(id) {
            match arriving {
                Arriving::Head { credit, .. } => self.core.passed_on(id, credit),
                Arriving::Data { bytes, .. } => {
                    self.waiting += bytes.len();
                    inbox.pieces.push_back(bytes);
                }
                Arriving::End => inbox.ended = true,
                Arriving::GivenUp | Arriving::Failed(_) => {
                    // oap1 §3: a request given up is never taken as complete.
                    inbox.gone = true;
                    self.waiting -= inbox.pieces.drain(..).map(|piece| piece.len()).sum::<usize>();
                }
            }
        }
    }

    /// The next piece of content. `owed` bytes of the one before have gone on: their credit is returned.
    pub(super) fn poll_content(
        &mut self,
        id: StreamId,
        owed: u32,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Gone>> {
        if owed > 0 {
            self.core.passed_on(id, owed);
            self.touched();
        }
        let Some(inbox) = self.inboxes.get_mut(&id).filter(|inbox| !inbox.gone) else {
            return Poll::Ready(Err(Gone));
        };
        if let Some(piece) = inbox.pieces.pop_front() {
            let full = self.waiting >= HOLD;
            self.waiting -= piece.len();
            if full && self.is_exclusive() {
                self.touched();
            }
            return Poll::Ready(Ok(Some(piece)));
        }
        if inbox.ended {
            return Poll::Ready(Ok(None));
        }
        remember(&mut inbox.content, cx.waker());
        Poll::Pending
    }

    /// Begins the answer. What credit leaves of `content` is for [`State::poll_send`].
    pub(super) fn begin<'a>(
        &mut self,
        id: StreamId,
        status: u16,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
        content: &mut Bytes,
        end: bool,
    ) -> Result<Sent, Gone> {
        self.head.clear();
        if let Err(bad) = encode_response_head(&mut self.head, status, fields) {
            log::error!("a service's answer with status {status} cannot be sent: {bad}");
            self.finish(id);
            return Err(Gone);
        }
        let sent = self.core.respond(id, status, &self.head, content, end);
        self.touched();
        if sent == Sent::Closed { Err(Gone) } else { Ok(sent) }
    }

    /// Sends all of `data`, as credit allows.
    pub(super) fn poll_send(
        &mut self,
        id: StreamId,
        data: &mut Bytes,
        end: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Gone>> {
        let sent = self.core.send(id, data, end);
        self.touched();
        match sent {
            Sent::All => Poll::Ready(Ok(())),
            Sent::Closed => Poll::Ready(Err(Gone)),
            Sent::Blocked => {
                let Some(inbox) = self.inboxes.get_mut(&id) else { return Poll::Ready(Err(Gone)) };
                remember(&mut inbox.reply, cx.waker());
                Poll::Pending
            }
        }
    }

    /// The answer is over; one that is not whole fails.
    pub(super) fn finish(&mut self, id: StreamId) {
        if let Some(mut inbox) = self.inboxes.remove(&id) {
            self.waiting -= inbox.pieces.iter().map(Bytes::len).sum::<usize>();
            // Content that another task waits for will not come.
            inbox.wake();
            self.core.fail(id, FAILED);
            self.touched();
        }
    }

    /// Somebody else than the connection's task may have made output.
    fn touched(&self) {
        if !self.driving {
            self.driver.wake_by_ref();
        }
    }
}

fn remember(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(known) => known.clone_from(waker),
        None => *slot = Some(waker.clone()),
    }
}
