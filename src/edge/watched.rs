//! The connection of an HTTP/2 client: a [`Socket`] whose frames are counted as they pass ([`http2`]).
//!
//! Bytes go straight into the reader's buffer, and are judged there. A flood, a head that does not end in time, or one that
//! is the oldest of too many ends the connection: the reader gets an error, and [`Connection::refused`] tells why.

use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use async_trait::async_trait;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::Sleep;

use super::bounds::{Bounds, Cut};
use super::connection::Connection;
use super::guard::heads::{Heads, Room};
use super::guard::http2::{Bodies, Guard};
use super::guard::progress::Slow;
use super::guard::unread::{Held, Unread};
use super::paced::Paced;
use super::socket::Socket;
use crate::clock;

/// What the library behind holds of a byte of an unfinished head: the byte, and what it has decoded of it or has room for.
const HELD_TWICE: usize = 2;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Watched {
    socket: Socket,
    guard: Guard,
    connection: Option<Arc<Connection>>,
    unread: Arc<Held>,
    heads: Arc<Heads>,
    /// Of the head that is waited for, and when that began.
    room: Option<(Instant, Room)>,
    download: Paced,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    /// A connection before its preface has been read.
    pub(super) fn new(socket: Socket, bounds: &Bounds, unread: &Arc<Unread>, heads: &Arc<Heads>) -> Self {
        let connection = Connection::in_digest(socket.get_proxy_digest().as_deref()).cloned();
        let unread = unread.open(bounds.windows);
        if let Some(connection) = &connection {
            drop(connection.unread.set(Arc::clone(&unread)));
        }
        Self {
            connection,
            unread,
            heads: Arc::clone(heads),
            room: None,
            socket,
            guard: Guard::new(bounds.http2),
            download: Paced::new(bounds.min_rate),
            timer: None,
        }
    }

    /// What is known of it.
    pub(super) fn connection(&self) -> Option<Arc<Connection>> {
        self.connection.clone()
    }

    fn cut(&mut self, why: Cut) -> io::Error {
        if let Some(connection) = &self.connection {
            connection.refused_by(why);
        }
        io::Error::new(io::ErrorKind::InvalidData, why)
    }

    /// Ready when what is unfinished may be waited for no more.
    fn poll_unfinished(&mut self, cx: &mut Context<'_>) -> Poll<Cut> {
        let Some((since, bytes)) = self.guard.unfinished() else { return Poll::Pending };
        if self.poll_oldest(since, bytes, cx).is_ready() {
            return Poll::Ready(Cut::OldestHead);
        }
        match self.guard.head_deadline() {
            Some(due) => self.poll_slow(due, cx).map(|()| Cut::SlowHead),
            None => Poll::Pending,
        }
    }

    // http.md §7: unfinished heads 64 MiB in all. One that is whole before it has to be waited for is none.
    fn poll_oldest(&mut self, since: Instant, bytes: usize, cx: &mut Context<'_>) -> Poll<()> {
        if self.room.as_ref().is_some_and(|(of, _)| *of != since) {
            self.room = None;
        }
        let (_, room) = self.room.get_or_insert_with(|| (since, self.heads.begin()));
        if room.grow(bytes.saturating_mul(HELD_TWICE)).is_err() {
            return Poll::Ready(());
        }
        room.poll_cut(cx).map(|_| ())
    }

    // http.md §7: `head_timeout` 5 s: first byte of a head to its last.
    fn poll_slow(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due.into())));
        if timer.deadline().into_std() != due {
            timer.as_mut().reset(due.into());
        }
        timer.as_mut().poll(cx)
    }

    /// Writes, at the minimum rate while the client is what it waits for.
    fn paced<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        match &written {
            Poll::Pending => {
                if let Err(Slow) = self.download.on_pending(cx) {
                    return Poll::Ready(Err(self.cut(Cut::SlowReader)));
                }
            }
            Poll::Ready(Ok(done)) => self.download.on_moved(bytes(done)),
            Poll::Ready(Err(_)) => {}
        }
        written
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let read = Pin::new(&mut this.socket).poll_read(cx, buf);
        if read.is_pending() {
            return this.poll_unfinished(cx).map(|why| Err(this.cut(why)));
        }
        let came = buf.filled().get(before..).unwrap_or_default();
        if let Err(flood) = this.guard.feed(came, clock::now()) {
            buf.set_filled(before);
            return Poll::Ready(Err(this.cut(Cut::Flood(flood))));
        }
        if this.room.is_some() && this.guard.unfinished().is_none() {
            this.room = None;
        }
        let came = this.guard.take_bodies();
        if came != Bodies::default() {
            this.unread.came(came.begun, came.content);
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.paced(cx, written, |n| *n)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.paced(cx, written, |n| *n)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        self.paced(cx, flushed, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.socket).poll_shutdown(cx);
        self.paced(cx, shut, |()| 0)
    }
}

#[async_trait]
impl Shutdown for Watched {
    async fn shutdown(&mut self) {
        // The peer may be gone already: nobody is left to be told.
        drop(AsyncWriteExt::shutdown(self).await);
    }
}

impl UniqueID for Watched {
    fn id(&self) -> UniqueIDType {
        self.socket.as_raw_fd()
    }
}

impl Ssl for Watched {}

#[async_trait]
impl Peek for Watched {
    async fn try_peek(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        self.socket.try_peek(buf).await
    }
}

impl GetTimingDigest for Watched {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.socket.get_timing_digest()
    }
}

impl GetProxyDigest for Watched {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.socket.get_proxy_digest()
    }
}

impl GetSocketDigest for Watched {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.socket.get_socket_digest()
    }
}
