//! The connection of an HTTP/1 client: a [`Socket`] behind the guard of [`http1`].
//!
//! Between requests there is this and no more: no session, no buffer. A head is held here until it is whole and checked,
//! and handed over with what came of its body. Then the reader behind sees exactly that body's bytes, read straight
//! into its own buffer; what comes behind them stays here for the next request.
//!
//! It sets no time but the minimum rate of bodies: `serving_http1` knows the others. It answers nothing by itself.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::{Buf, BytesMut};
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::bounds::{Bounds, Cut};
use super::connection::Connection;
use super::guard::http1::{Guard, Progress, State};
use super::guard::progress::Slow;
use super::paced::Paced;
use super::socket::Socket;
use crate::clock;

/// Bytes of a head that are read at once.
const READ: usize = 16 * 1024;
/// Bytes of a next request that are read while the one before is under way: only to learn whether the client is there.
const AHEAD: usize = 512;
// http.md §1, unread bodies: FIN, then ≤ 64 KiB are discarded for ≤ 1 s; a bare close would let RST eat the answer.
const DISCARD: usize = 64 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// What came of waiting for a head.
#[derive(Debug)]
pub(super) enum Next {
    /// It is whole: [`Guarded::take_head`].
    Head,
    /// The client is gone, or has had nothing to say.
    Closed,
    /// It is refused.
    Refused(Cut),
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Guarded {
    socket: Socket,
    guard: Guard,
    /// What came and has not gone on.
    held: BytesMut,
    /// How much of it may go on to the reader.
    passing: usize,
    /// Bytes of the head that is whole.
    head: usize,
    connection: Option<Arc<Connection>>,
    upload: Paced,
    download: Paced,
    /// Nothing goes on any more; so many bytes were thrown away since.
    discarded: Option<usize>,
}

impl Guarded {
    /// A connection before its first byte.
    pub(super) fn new(socket: Socket, bounds: &Bounds) -> Self {
        Self {
            connection: Connection::in_digest(socket.get_proxy_digest().as_deref()).cloned(),
            socket,
            guard: Guard::new(bounds.http1),
            held: BytesMut::new(),
            passing: 0,
            head: 0,
            upload: Paced::new(bounds.min_rate),
            download: Paced::new(bounds.min_rate),
            discarded: None,
        }
    }

    /// Whether the next byte begins a head: all that was handed over has been read.
    pub(super) fn is_between_requests(&self) -> bool {
        self.passing == 0
            && self.discarded.is_none()
            && matches!(self.guard.state(), State::Idle | State::Head)
    }

    /// Takes the bounds of the next request.
    pub(super) fn begin(&mut self, bounds: &Bounds) {
        self.guard.set_policy(bounds.http1);
        self.upload = Paced::new(bounds.min_rate);
        self.download = Paced::new(bounds.min_rate);
    }

    /// Who is at the other end.
    pub(super) fn client(&self) -> Option<SocketAddr> {
        self.connection.as_ref()?.client()
    }

    /// Bytes of a head that has begun; 0 between requests.
    pub(super) fn unfinished(&self) -> usize {
        if self.guard.state() == State::Head { self.held.len() } else { 0 }
    }

    /// When the head that has begun must be whole.
    pub(super) fn head_deadline(&self) -> Option<Instant> {
        self.guard.head_deadline()
    }

    /// Waits for a whole head.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        loop {
            if !self.held.is_empty() {
                match self.guard.feed(&self.held, clock::now()) {
                    Progress::Head(head) => {
                        self.head = head.len;
                        return Poll::Ready(Next::Head);
                    }
                    Progress::Refuse(breach) => return Poll::Ready(Next::Refused(breach.into())),
                    Progress::NeedMore | Progress::Body { .. } => {}
                }
            }
            match ready!(self.poll_hold::<READ>(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(Next::Closed),
                Ok(_) => {}
            }
        }
    }

    /// The head that is whole, and behind it what came of its body.
    pub(super) fn take_head(&mut self) -> BytesMut {
        let mut len = std::mem::take(&mut self.head);
        while self.guard.state() == State::Body && len < self.held.len() {
            let rest = self.held.get(len..).unwrap_or_default();
            match self.guard.feed(rest, clock::now()).passes() {
                0 => break,
                passes => len = len.saturating_add(passes),
            }
        }
        if len >= self.held.len() { std::mem::take(&mut self.held) } else { self.held.split_to(len) }
    }

    /// Closes in an orderly way: over TLS there is a word for that (RFC 8446 §6.1).
    pub(super) async fn close(mut self) {
        drop(tokio::time::timeout(DISCARD_TIME, AsyncWriteExt::shutdown(&mut self.socket)).await);
    }

    /// Answers with `answer`, and closes so that it can be read.
    pub(super) async fn refuse(mut self, answer: &[u8]) {
        let said = async {
            self.socket.write_all(answer).await?;
            AsyncWriteExt::shutdown(&mut self.socket).await
        };
        if let Ok(Ok(())) = tokio::time::timeout(DISCARD_TIME, said).await {
            self.discarded = Some(0);
            let rest = std::future::poll_fn(|cx| self.poll_discard(cx));
            drop(tokio::time::timeout(DISCARD_TIME, rest).await);
        }
    }

    /// Reads behind what is held; how much. Its buffer lives on the stack, so that a connection that waits has none.
    fn poll_hold<const N: usize>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [MaybeUninit::uninit(); N];
        let mut read = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut read))?;
        self.held.extend_from_slice(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    }

    /// Throws away what comes, up to a bound.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.held = BytesMut::new();
            match ready!(self.poll_hold::<READ>(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(n) => {
                    let before = self.discarded.unwrap_or_default();
                    self.discarded = Some(before.saturating_add(n));
                    if before.saturating_add(n) > DISCARD {
                        return Poll::Ready(());
                    }
                }
            }
        }
    }

    /// Nothing goes on from here, and who reads is told why by the connection.
    fn cut(&mut self, why: Cut) -> io::Error {
        if let Some(connection) = &self.connection {
            connection.refused_by(why);
        }
        self.discarded = self.discarded.or(Some(0));
        io::Error::new(io::ErrorKind::InvalidData, why)
    }

    /// The body's next bytes.
    fn poll_body(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.held.is_empty() {
                let before = buf.filled().len();
                ready!(self.poll_upload(cx, |socket, cx| Pin::new(socket).poll_read(cx, buf)))?;
                let came = buf.filled().get(before..).unwrap_or_default();
                self.upload.on_moved(came.len());
                if came.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                let passes = match self.guard.feed(came, clock::now()) {
                    Progress::Refuse(breach) => return Poll::Ready(Err(self.cut(breach.into()))),
                    progress => progress.passes(),
                };
                self.held.extend_from_slice(came.get(passes..).unwrap_or_default());
                buf.set_filled(before.saturating_add(passes));
                if passes > 0 {
                    return Poll::Ready(Ok(()));
                }
            } else {
                match self.guard.feed(&self.held, clock::now()) {
                    Progress::Refuse(breach) => return Poll::Ready(Err(self.cut(breach.into()))),
                    Progress::Body { len, .. } => {
                        self.passing = len;
                        self.pass(buf);
                        return Poll::Ready(Ok(()));
                    }
                    Progress::Head(_) | Progress::NeedMore => {}
                }
            }
            if !self.held.is_empty() {
                // A trailer section, which passes whole.
                let mut came = 0;
                let mut space = [MaybeUninit::uninit(); AHEAD];
                let mut read = ReadBuf::uninit(&mut space);
                ready!(self.poll_upload(cx, |socket, cx| Pin::new(socket).poll_read(cx, &mut read)))?;
                came += read.filled().len();
                self.held.extend_from_slice(read.filled());
                self.upload.on_moved(came);
                if came == 0 {
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    /// Reads of the body, at its minimum rate.
    fn poll_upload(
        &mut self,
        cx: &mut Context<'_>,
        read: impl FnOnce(&mut Socket, &mut Context<'_>) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        let outcome = read(&mut self.socket, cx);
        if outcome.is_pending()
            && let Err(Slow) = self.upload.on_pending(cx)
        {
            return Poll::Ready(Err(self.cut(Cut::SlowBody)));
        }
        outcome
    }

    /// Hands over what may go on.
    fn pass(&mut self, buf: &mut ReadBuf<'_>) {
        let n = self.passing.min(buf.remaining()).min(self.held.len());
        buf.put_slice(self.held.get(..n).unwrap_or_default());
        self.held.advance(n);
        self.passing = self.passing.saturating_sub(n);
        if self.held.is_empty() {
            self.held = BytesMut::new();
        }
    }

    /// Who waits here with no body to come waits for the client to leave. What it sends instead is held.
    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.held.is_empty() {
            return Poll::Pending;
        }
        match ready!(self.poll_hold::<AHEAD>(cx))? {
            0 => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    }

    /// Writes of the answer, at its minimum rate.
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

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.passing > 0 {
            this.pass(buf);
            return Poll::Ready(Ok(()));
        }
        match this.guard.state() {
            _ if this.discarded.is_some() => this.poll_discard(cx).map(|()| Ok(())),
            State::Body => this.poll_body(cx, buf),
            State::Idle | State::Head => this.poll_left(cx),
            State::Refused => {
                let why = this.guard.breach().map_or(Cut::SlowHead, Cut::Breach);
                Poll::Ready(Err(this.cut(why)))
            }
        }
    }
}

impl AsyncWrite for Guarded {
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
impl Shutdown for Guarded {
    async fn shutdown(&mut self) {
        // The peer may be gone already: nobody is left to be told.
        drop(AsyncWriteExt::shutdown(self).await);
    }
}

impl UniqueID for Guarded {
    fn id(&self) -> UniqueIDType {
        self.socket.as_raw_fd()
    }
}

impl Ssl for Guarded {}

/// Nobody needs to: the protocol is known.
impl Peek for Guarded {}

impl GetTimingDigest for Guarded {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.socket.get_timing_digest()
    }
}

impl GetProxyDigest for Guarded {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.socket.get_proxy_digest()
    }
}

impl GetSocketDigest for Guarded {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.socket.get_socket_digest()
    }
}
