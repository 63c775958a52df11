//! An accepted connection as Pingora sees it.
//!
//! Pingora's own stream carries a 64 KiB read buffer from the first byte to the last, idle or not. This one
//! buffers nothing to read but what was peeked to tell HTTP/2 from HTTP/1, and to write only what gathers a
//! response head with the body that follows into one system call.
//!
//! It does not parse, time or limit anything: the accept loop does.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::{Buf, BytesMut};
use pingora_core::protocols::l4::socket::SocketAddr as PeerAddr;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use super::connection::Connection;
use super::transport::{Replayed, Tcp, Transport};
use crate::tenant::proxy_protocol::{self, Progress};
use crate::tls::Secured;

/// Writes below this many bytes are gathered until the next flush, a larger write, or a read that has to wait.
const GATHER: usize = 4 * 1024;
/// Buffers that go into one system call, the gathered one included.
const SLICES: usize = 16;

/// An accepted connection: a transport, what was peeked of it, and what waits to be written.
#[derive(Debug)]
pub struct Socket {
    transport: Transport,
    peeked: BytesMut,
    unsent: BytesMut,
    digest: Arc<SocketDigest>,
    peer: Option<SocketAddr>,
    /// What its requests share.
    shared: Option<Arc<ProxyDigest>>,
    accepted: SystemTime,
}

/// What a connection is beside its transport.
#[derive(Debug)]
pub(super) struct Parts {
    digest: Arc<SocketDigest>,
    peer: Option<SocketAddr>,
    shared: Option<Arc<ProxyDigest>>,
    accepted: SystemTime,
}

impl Socket {
    /// Wraps a TCP connection from `peer`, with Nagle's algorithm off.
    pub fn tcp(stream: TcpStream, peer: SocketAddr, accepted: SystemTime) -> Self {
        // A failure here is a connection that is already gone; the first read says so.
        drop(stream.set_nodelay(true));
        let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
        drop(digest.peer_addr.set(Some(PeerAddr::from(peer))));
        let connection = Connection { peer: Some(peer), ..Connection::default() };
        Self::new(Transport::Tcp(Tcp::new(stream, &connection.cut)), digest, connection, accepted)
    }

    /// Wraps a connection to a Unix socket from a process of `uid`, if the system knows it.
    pub fn unix(stream: UnixStream, uid: Option<u32>, accepted: SystemTime) -> Self {
        let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
        drop(digest.peer_addr.set(None));
        let connection = Connection { uid, ..Connection::default() };
        Self::new(Transport::Unix(stream), digest, connection, accepted)
    }

    fn new(transport: Transport, digest: SocketDigest, connection: Connection, accepted: SystemTime) -> Self {
        Self {
            peer: connection.peer,
            shared: Arc::new(connection).digest(),
            transport,
            peeked: BytesMut::new(),
            unsent: BytesMut::new(),
            digest: Arc::new(digest),
            accepted,
        }
    }

    /// Takes it apart, so that TLS may be spoken over its transport.
    pub(super) fn into_parts(self) -> (Replayed, Parts) {
        let Self { transport, peeked, digest, peer, shared, accepted, unsent: _ } = self;
        (Replayed::new(peeked, transport), Parts { digest, peer, shared, accepted })
    }

    /// Puts it together again, over TLS.
    pub(super) fn over_tls(stream: TlsStream<Replayed>, parts: Parts, secured: Secured) -> Self {
        let Parts { digest, peer, shared, accepted } = parts;
        let (uid, proxied, cut) = Connection::in_digest(shared.as_deref())
            .map(|connection| (connection.uid, connection.proxied, Arc::clone(&connection.cut)))
            .unwrap_or_default();
        let connection = Connection { peer, uid, proxied, cut, tls: Some(secured), ..Connection::default() };
        Self {
            transport: Transport::Tls(Box::new(stream)),
            peeked: BytesMut::new(),
            unsent: BytesMut::new(),
            digest,
            peer,
            shared: Arc::new(connection).digest(),
            accepted,
        }
    }

    /// Who is at the other end, as far as its connection tells.
    pub(super) fn client(&self) -> Option<SocketAddr> {
        Connection::in_digest(self.shared.as_deref())?.client()
    }

    /// What has been read and is read again by the next reader.
    pub(super) fn peeked(&self) -> &[u8] {
        &self.peeked
    }

    /// Waits for the first `n` bytes, or for as many as come before the first that differs from `pattern`, and
    /// says whether the stream begins with `pattern`. What was read is read again by the next reader.
    ///
    /// # Errors
    /// What the socket says, or `UnexpectedEof` when it ends before the question is answered.
    pub async fn begins_with(&mut self, pattern: &[u8]) -> io::Result<bool> {
        loop {
            let known = self.peeked.len().min(pattern.len());
            if self.peeked.get(..known) != pattern.get(..known) {
                return Ok(false);
            }
            if known == pattern.len() {
                return Ok(true);
            }
            self.peek_more().await?;
        }
    }

    /// Reads the header of the PROXY protocol that a connection begins with; what follows stays to be read.
    ///
    /// # Errors
    /// What the socket says, or `InvalidData` for anything else than a header.
    pub async fn read_proxy_header(&mut self) -> io::Result<()> {
        loop {
            match proxy_protocol::parse(&self.peeked) {
                Ok(Progress::Needs(_)) => self.peek_more().await?,
                Ok(Progress::Complete { source, consumed }) => {
                    self.peeked.advance(consumed.min(self.peeked.len()));
                    let cut = Connection::in_digest(self.shared.as_deref())
                        .map(|connection| Arc::clone(&connection.cut))
                        .unwrap_or_default();
                    let proxied = Some(source);
                    let connection = Connection { peer: self.peer, proxied, cut, ..Connection::default() };
                    self.shared = Arc::new(connection).digest();
                    return Ok(());
                }
                Err(e) => return Err(io::Error::new(io::ErrorKind::InvalidData, e)),
            }
        }
    }

    /// Waits until at least one byte waits to be read.
    ///
    /// # Errors
    /// What the socket says, or `UnexpectedEof` when the peer has closed.
    pub async fn readable(&mut self) -> io::Result<()> {
        if self.peeked.is_empty() { self.peek_more().await } else { Ok(()) }
    }

    /// Waits for more of that.
    ///
    /// # Errors
    /// What the socket says, or `UnexpectedEof` when the peer has closed.
    pub(super) async fn peek_more(&mut self) -> io::Result<()> {
        let mut some = [0; 512];
        let n = self.transport.read(&mut some).await?;
        let read = some.get(..n).unwrap_or_default();
        if read.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.peeked.extend_from_slice(read);
        Ok(())
    }

    fn is_cut(&self) -> bool {
        Connection::in_digest(self.shared.as_deref()).is_some_and(|connection| connection.is_cut())
    }

    fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let n = ready!(Pin::new(&mut self.transport).poll_write(cx, &self.unsent))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unsent.advance(n);
        }
        self.unsent = BytesMut::new();
        Poll::Ready(Ok(()))
    }

    /// Writes what was gathered and `bufs` behind it in one system call; says how much of `bufs` has left.
    fn poll_gathered(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        while !self.unsent.is_empty() {
            let unsent = std::mem::take(&mut self.unsent);
            let mut slices = [IoSlice::new(&[]); SLICES];
            let all = std::iter::once(&*unsent).chain(bufs.iter().map(|buf| &**buf));
            let filled = slices.iter_mut().zip(all).map(|(slot, buf)| *slot = IoSlice::new(buf)).count();
            let slices = slices.get(..filled).unwrap_or_default();
            let written = Pin::new(&mut self.transport).poll_write_vectored(cx, slices);
            self.unsent = unsent;
            let n = ready!(written)?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let gathered = self.unsent.len();
            self.unsent.advance(n.min(gathered));
            if n > gathered {
                self.unsent = BytesMut::new();
                return Poll::Ready(Ok(n.saturating_sub(gathered)));
            }
        }
        self.unsent = BytesMut::new();
        Pin::new(&mut self.transport).poll_write_vectored(cx, bufs)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.peeked.is_empty() {
            let n = self.peeked.len().min(buf.remaining());
            buf.put_slice(&self.peeked.split_to(n));
            if self.peeked.is_empty() {
                self.peeked = BytesMut::new();
            }
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut self.transport).poll_read(cx, buf);
        if read.is_pending() && (!self.unsent.is_empty() || self.transport.wants_write()) {
            // Who waits for the peer has nothing more to say for now, and the peer may wait for what was gathered: Pingora
            // flushes an answer of announced length only at its end, however long that takes to come.
            if let Poll::Ready(Err(e)) = self.poll_flush(cx) {
                return Poll::Ready(Err(e));
            }
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.unsent.len().saturating_add(buf.len()) <= GATHER {
            self.unsent.extend_from_slice(buf);
            return Poll::Ready(Ok(buf.len()));
        }
        self.poll_gathered(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_gathered(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_unsent(cx))?;
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_cut() {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_unsent(cx))?;
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for Socket {
    async fn shutdown(&mut self) {
        // The peer may be gone already: nobody is left to be told.
        drop(AsyncWriteExt::shutdown(self).await);
    }
}

impl UniqueID for Socket {
    fn id(&self) -> UniqueIDType {
        self.as_raw_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.transport.as_raw_fd()
    }
}

impl Ssl for Socket {}

#[async_trait]
impl Peek for Socket {
    async fn try_peek(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        while self.peeked.len() < buf.len() {
            self.peek_more().await?;
        }
        let Some(peeked) = self.peeked.get(..buf.len()) else { return Ok(false) };
        buf.copy_from_slice(peeked);
        Ok(true)
    }
}

impl GetTimingDigest for Socket {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        vec![Some(TimingDigest { established_ts: self.accepted, ..TimingDigest::default() })]
    }
}

impl GetProxyDigest for Socket {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.shared.clone()
    }
}

impl GetSocketDigest for Socket {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(Arc::clone(&self.digest))
    }
}
