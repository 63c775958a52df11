//! One request's stream, whatever kind of connection it is on.

use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::exclusive::ExclusiveStream;
use super::observe::Kind;
use super::shared::SharedStream;
use crate::oap::{CannotOpen, Client, Ends, Incoming, Sent, StartRequest, StreamFailure, StreamId};

/// One request's stream over a shared or an exclusive connection. Dropping it before its end gives it up: REQ|END 499
/// on a shared connection, the end of an exclusive one (oap1 §3).
///
/// One task polls both directions. [`poll_recv`](Self::poll_recv) must be polled for an exclusive connection to move at all.
pub struct Stream<Io> {
    inner: Inner<Io>,
}

enum Inner<Io> {
    Shared(SharedStream),
    Exclusive(ExclusiveStream<Io>),
}

impl<Io> Stream<Io>
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    pub(super) fn shared(stream: SharedStream) -> Self {
        Self { inner: Inner::Shared(stream) }
    }

    pub(super) fn exclusive(stream: ExclusiveStream<Io>) -> Self {
        Self { inner: Inner::Exclusive(stream) }
    }

    /// The next event of the answer. After `End` or `Failed` the stream is over; polled again it says so again, every
    /// failure as [`StreamFailure::Lost`].
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Incoming> {
        let (incoming, places) = match &mut self.inner {
            Inner::Shared(stream) => (std::task::ready!(stream.poll_recv(cx)), stream.places()),
            Inner::Exclusive(stream) => (std::task::ready!(stream.poll_recv(cx)), stream.places()),
        };
        // What ended the connection was reported by whoever found it.
        if let Incoming::Failed(StreamFailure::Protocol(error)) = &incoming
            && error.ends() == Ends::Stream
        {
            places.broken(error);
        }
        Poll::Ready(incoming)
    }

    /// [`poll_recv`](Self::poll_recv), awaited. Losing the future loses nothing.
    pub async fn recv(&mut self) -> Incoming {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Sends what credit and the queue have room for, and takes it from `data`. `Ready` with [`Sent::All`] when all of
    /// it was taken (and END, with `end`), with [`Sent::Closed`] when the answer has ended and nothing more is wanted.
    pub fn poll_send(&mut self, cx: &mut Context<'_>, data: &mut Bytes, end: bool) -> Poll<Sent> {
        match &mut self.inner {
            Inner::Shared(stream) => stream.poll_send(cx, data, end),
            Inner::Exclusive(stream) => stream.poll_send(cx, data, end),
        }
    }

    /// `Ready` when more should be made to be sent. `unsent`: bytes of this stream that wait to be written.
    pub fn poll_room(&mut self, cx: &mut Context<'_>, unsent: &mut usize) -> Poll<()> {
        match &mut self.inner {
            Inner::Shared(stream) => stream.poll_room(cx, unsent),
            Inner::Exclusive(stream) => stream.poll_room(cx, unsent),
        }
    }

    /// [`poll_send`](Self::poll_send), awaited. What a lost future has not sent is still in `data`.
    pub async fn send(&mut self, data: &mut Bytes, end: bool) -> Sent {
        poll_fn(|cx| self.poll_send(cx, data, end)).await
    }

    /// That many bytes of the answer's payload went on, as their `credit` said: the backend may send as many more.
    pub fn passed_on(&mut self, credit: u32) {
        match &mut self.inner {
            Inner::Shared(stream) => stream.passed_on(credit),
            Inner::Exclusive(stream) => stream.passed_on(credit),
        }
    }

    /// Whether any byte of this stream has reached the socket. If not, a lost stream is safe to repeat elsewhere,
    /// whatever its method.
    pub fn wrote_anything(&self) -> bool {
        match &self.inner {
            Inner::Shared(stream) => stream.wrote_anything(),
            Inner::Exclusive(stream) => stream.wrote_anything(),
        }
    }

    /// The kind of connection that the stream is on.
    pub fn kind(&self) -> Kind {
        match &self.inner {
            Inner::Shared(_) => Kind::Shared,
            Inner::Exclusive(_) => Kind::Exclusive,
        }
    }
}

/// A request that looks for a connection.
pub(super) struct Opening<'a, 'b> {
    pub(super) start: &'b StartRequest<'a>,
    pub(super) content: &'b mut Bytes,
    pub(super) end: bool,
}

impl Opening<'_, '_> {
    pub(super) fn open(&mut self, core: &mut Client) -> Result<StreamId, CannotOpen> {
        core.open(*self.start, self.content, self.end)
    }
}

/// How a stream ended, once it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Ended,
    Failed,
}

impl Done {
    pub(super) fn of(incoming: &Incoming) -> Option<Self> {
        match incoming {
            Incoming::Head { .. } | Incoming::Data { .. } => None,
            Incoming::End => Some(Self::Ended),
            Incoming::Failed(_) => Some(Self::Failed),
        }
    }

    /// What a stream says that is polled after its end.
    pub(super) fn again(self) -> Incoming {
        match self {
            Self::Ended => Incoming::End,
            Self::Failed => Incoming::Failed(StreamFailure::Lost),
        }
    }
}
