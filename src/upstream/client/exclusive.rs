//! A connection that carries one stream at a time. No task, channel or lock: whoever polls the stream moves the bytes.
//!
//! TCP is the flow control: nothing is read while an event waits to be taken, so at most one read is in memory.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::thread::ThreadId;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::dial::OpenError;
use super::idle::Idle;
use super::places::{Holding, Places, Slot};
use super::stream::{Done, Opening};
use super::wire::Wire;
use crate::oap::{Client, Incoming, Sent, StreamFailure, StreamId};

/// An exclusive connection that has said HELLO.
pub(super) struct Connection<Io> {
    wire: Wire<Io>,
    core: Client,
    slot: Slot,
    worker: ThreadId,
    /// The peer takes nothing more. What it has said may still be on its way: an answer, and the end.
    deaf: bool,
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Connection<Io> {
    pub(super) fn new(wire: Wire<Io>, core: Client, slot: Slot, worker: ThreadId) -> Self {
        Self { wire, core, slot, worker, deaf: false }
    }

    /// The worker whose runtime watches the socket.
    pub(super) fn worker(&self) -> ThreadId {
        self.worker
    }

    pub(super) fn hold(&mut self, holding: Holding) {
        self.slot.hold(holding);
    }

    /// Whether the connection can take a stream and the peer has left it alone: the end of the transport and stray
    /// bytes both mean that it is of no use.
    pub(super) fn is_alive(&mut self) -> bool {
        let mut nobody = Context::from_waker(Waker::noop());
        self.is_clean() && self.wire.poll_read(&mut nobody).is_pending()
    }

    /// Whether nothing of the last stream is left over.
    fn is_clean(&mut self) -> bool {
        !self.deaf && self.core.can_open() && !self.core.wants_write() && !self.wire.is_unflushed()
    }

    /// Opens the connection's one stream. Nothing is written yet: the head leaves with the first piece of the body.
    pub(super) fn open(
        mut self: Box<Self>,
        home: &Arc<Idle<Io>>,
        opening: &mut Opening<'_, '_>,
    ) -> Result<ExclusiveStream<Io>, (Box<Self>, OpenError)> {
        let id = match opening.open(&mut self.core) {
            Ok(id) => id,
            Err(no) => return Err((self, OpenError::Unsendable(no))),
        };
        let places = Arc::clone(self.slot.places());
        let starts_at = self.wire.written();
        let held = !opening.end && opening.content.is_empty();
        Ok(ExclusiveStream {
            ending: Ending::Open(self),
            home: Arc::clone(home),
            places,
            id,
            starts_at,
            wrote: false,
            held,
        })
    }

    /// Writes what there is. An error is remembered, and ends the connection if nobody is there to be read either.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.deaf && (self.core.wants_write() || self.wire.is_unflushed()) {
            if let Err(e) = ready!(self.wire.poll_write(cx, self.core.output())) {
                self.deaf = true;
                if e.kind() == io::ErrorKind::TimedOut {
                    self.core.handle_lost();
                }
                return Poll::Ready(Err(e));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once, into the core.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let handled = match ready!(self.wire.poll_read(cx)) {
            Err(_) => {
                self.core.handle_lost();
                Ok(())
            }
            Ok(input) if input.is_empty() => self.core.handle_eof(),
            Ok(input) => self.core.handle_input(input),
        };
        if let Err(error) = handled {
            self.slot.places().broken(&error);
        }
        Poll::Ready(())
    }
}

impl<Io> Drop for Connection<Io> {
    fn drop(&mut self) {
        self.slot.places().count(self.core.counters());
    }
}

/// One request's stream on an exclusive connection.
pub(super) struct ExclusiveStream<Io> {
    ending: Ending<Io>,
    home: Arc<Idle<Io>>,
    places: Arc<Places>,
    id: StreamId,
    starts_at: u64,
    wrote: bool,
    /// The head waits for the body's first piece.
    held: bool,
}

enum Ending<Io> {
    Open(Box<Connection<Io>>),
    Done(Done),
}

impl<Io> ExclusiveStream<Io>
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Incoming> {
        let connection = match &mut self.ending {
            Ending::Open(connection) => connection,
            Ending::Done(done) => return Poll::Ready(done.again()),
        };
        loop {
            if let Some(incoming) = connection.core.poll(self.id) {
                self.finish(&incoming);
                return Poll::Ready(incoming);
            }
            if connection.core.is_over() {
                let lost = Incoming::Failed(StreamFailure::Lost);
                self.finish(&lost);
                return Poll::Ready(lost);
            }
            if std::mem::take(&mut self.held) {
                // One tick for the body; if nothing comes, the head leaves alone.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Poll::Ready(Err(_)) = connection.poll_write(cx) {
                continue;
            }
            ready!(connection.poll_read(cx));
        }
    }

    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>, data: &mut Bytes, end: bool) -> Poll<Sent> {
        let Ending::Open(connection) = &mut self.ending else { return Poll::Ready(Sent::Closed) };
        self.held = false;
        if connection.deaf {
            return Poll::Ready(Sent::Closed);
        }
        loop {
            let before = connection.wire.written();
            let sent = connection.core.send(self.id, data, end);
            let written = connection.poll_write(cx);
            if let Poll::Ready(Err(_)) = written {
                return Poll::Ready(Sent::Closed);
            }
            if sent != Sent::Blocked {
                // What the socket has not taken yet leaves with the next poll of either direction.
                return Poll::Ready(sent);
            }
            if written.is_pending() || connection.wire.written() == before {
                return Poll::Pending;
            }
        }
    }

    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>, unsent: &mut usize) -> Poll<()> {
        let Ending::Open(connection) = &mut self.ending else { return Poll::Ready(()) };
        let room;
        (room, *unsent) = connection.core.has_room(self.id);
        // What cannot be written any more makes room too: the next that is sent learns of it.
        if room { Poll::Ready(()) } else { connection.poll_write(cx).map(drop) }
    }

    pub(super) fn passed_on(&mut self, credit: u32) {
        if let Ending::Open(connection) = &mut self.ending {
            connection.core.passed_on(self.id, credit);
        }
    }

    pub(super) fn wrote_anything(&self) -> bool {
        match &self.ending {
            Ending::Open(connection) => connection.wire.written() > self.starts_at,
            Ending::Done(_) => self.wrote,
        }
    }

    pub(super) fn places(&self) -> &Arc<Places> {
        &self.places
    }

    /// The connection goes back if both sides are done with it, else it is closed.
    fn finish(&mut self, incoming: &Incoming) {
        let Some(done) = Done::of(incoming) else { return };
        self.wrote = self.wrote_anything();
        if let Ending::Open(mut connection) = std::mem::replace(&mut self.ending, Ending::Done(done))
            && connection.is_clean()
        {
            let frames = connection.core.counters();
            self.places.count(frames);
            self.home.push(connection);
        }
    }
}
