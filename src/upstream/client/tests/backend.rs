//! A backend that does what the test says: it hands over each connection that the pool dials, and the test answers.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::{Notify, mpsc};

use super::super::wire::Wire;
use super::super::{Dial, DialError};
use crate::bhttp::encode_response_head;
use crate::oap::{Arriving, Server, ServerConfig, StreamId};

/// What the backend's HELLO says.
#[derive(Clone, Copy)]
pub(super) struct Speaks {
    pub(super) window: Option<u32>,
    pub(super) max_inflight: u32,
}

impl Speaks {
    pub(super) fn multiplexed(max_inflight: u32) -> Self {
        Self { window: Some(256 * 1024), max_inflight }
    }

    pub(super) fn exclusive() -> Self {
        Self { window: None, max_inflight: 64 }
    }
}

/// The test's hand on the dials.
#[derive(Default)]
pub(super) struct Dials {
    pub(super) made: AtomicUsize,
    pub(super) refused: AtomicBool,
    pub(super) held: AtomicBool,
    pub(super) released: Notify,
    /// Connections take no more bytes of the client's; what the backend says still arrives.
    pub(super) deaf: AtomicBool,
}

pub(super) struct Dialer {
    dials: Arc<Dials>,
    writes: Arc<AtomicUsize>,
    connections: mpsc::UnboundedSender<DuplexStream>,
}

/// The backend's side.
pub(super) struct Backend {
    pub(super) dials: Arc<Dials>,
    /// Write calls on all connections.
    pub(super) writes: Arc<AtomicUsize>,
    speaks: Speaks,
    connections: mpsc::UnboundedReceiver<DuplexStream>,
}

pub(super) fn backend(speaks: Speaks) -> (Dialer, Backend) {
    let (sender, connections) = mpsc::unbounded_channel();
    let (dials, writes) = (Arc::<Dials>::default(), Arc::<AtomicUsize>::default());
    let dialer = Dialer { dials: Arc::clone(&dials), writes: Arc::clone(&writes), connections: sender };
    (dialer, Backend { dials, writes, speaks, connections })
}

#[async_trait]
impl Dial for Dialer {
    type Io = Pipe;

    async fn dial(&self) -> Result<Pipe, DialError> {
        self.dials.made.fetch_add(1, Ordering::SeqCst);
        if self.dials.held.load(Ordering::SeqCst) {
            self.dials.released.notified().await;
        }
        if self.dials.refused.load(Ordering::SeqCst) {
            return Err(DialError::new("refused"));
        }
        let (near, far) = tokio::io::duplex(64 * 1024);
        self.connections.send(far).map_err(|_| DialError::new("gone"))?;
        Ok(Pipe { io: near, writes: Arc::clone(&self.writes), dials: Arc::clone(&self.dials) })
    }
}

impl Backend {
    /// The next connection that the pool dials, greeted.
    pub(super) async fn accept(&mut self) -> Connection {
        let mut connection = Connection::new(self.raw().await, self.speaks);
        connection.settle().await;
        connection
    }

    /// The same, without a word of OAP/1 spoken.
    pub(super) async fn raw(&mut self) -> DuplexStream {
        self.connections.recv().await.unwrap()
    }

    pub(super) fn dials(&self) -> usize {
        self.dials.made.load(Ordering::SeqCst)
    }

    /// Answers everything on every connection with its path, at once.
    pub(super) fn echo(mut self) {
        drop(tokio::spawn(async move {
            while let Some(io) = self.connections.recv().await {
                drop(tokio::spawn(Connection::new(io, self.speaks).echo()));
            }
        }));
    }
}

/// One connection, the backend's side.
pub(super) struct Connection {
    wire: Wire<DuplexStream>,
    server: Server,
    paths: HashMap<StreamId, String>,
    ready: VecDeque<(StreamId, Said)>,
    sending: Vec<(StreamId, Bytes, bool)>,
    over: bool,
    owed: Vec<(StreamId, u32)>,
    /// Nothing that arrives is acknowledged.
    pub(super) hold_credit: bool,
}

/// What a client said on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Head(String),
    Data(usize),
    End,
    GivenUp,
    Failed,
}

impl Connection {
    pub(super) fn new(io: DuplexStream, speaks: Speaks) -> Self {
        let config = ServerConfig {
            user_agent: String::from("test"),
            max_frame: 1 << 20,
            max_inflight: speaks.max_inflight,
            window: speaks.window,
        };
        Self {
            wire: Wire::new(io, std::time::Duration::from_secs(3600)),
            server: Server::new(&config),
            paths: HashMap::new(),
            ready: VecDeque::new(),
            sending: Vec::new(),
            over: false,
            owed: Vec::new(),
            hold_credit: false,
        }
    }

    /// The next thing that the client says; `None` at the end of the connection.
    pub(super) async fn next(&mut self) -> Option<(StreamId, Said)> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// The next stream that is opened, and its path. Everything else on the way is skipped.
    pub(super) async fn request(&mut self) -> (StreamId, String) {
        loop {
            if let (id, Said::Head(path)) = self.next().await.expect("the connection ended") {
                return (id, path);
            }
        }
    }

    /// Skips to where the client has said `what` on `id`.
    pub(super) async fn until(&mut self, id: StreamId, what: Said) {
        while self.next().await.expect("the connection ended") != (id, what.clone()) {}
    }

    /// Takes what comes until the client has closed the connection.
    pub(super) async fn until_closed(&mut self) {
        while self.next().await.is_some() {}
    }

    /// The bare transport.
    pub(super) fn into_io(self) -> DuplexStream {
        self.wire.into_io()
    }

    /// Moves bytes until the client is silent.
    pub(super) async fn settle(&mut self) {
        for _ in 0..64 {
            poll_fn(|cx| Poll::Ready(self.step(cx).is_ready())).await;
            tokio::task::yield_now().await;
        }
    }

    /// Answers 200 with `body`.
    pub(super) fn respond(&mut self, id: StreamId, body: impl Into<Bytes>) {
        self.begin(id, body, true);
    }

    /// The same, and leaves the answer open if `end` is false.
    pub(super) fn begin(&mut self, id: StreamId, body: impl Into<Bytes>, end: bool) {
        self.answer(id, 200, body, end);
    }

    /// The same with another status.
    pub(super) fn answer(&mut self, id: StreamId, status: u16, body: impl Into<Bytes>, end: bool) {
        let (mut head, mut body) = (Vec::new(), body.into());
        encode_response_head(&mut head, status, std::iter::empty()).unwrap();
        self.server.respond(id, status, &head, &mut body, end);
        if !body.is_empty() {
            self.sending.push((id, body, end));
        }
    }

    /// Bytes of answers that wait for credit.
    pub(super) fn unsent(&self) -> usize {
        self.sending.iter().map(|(_, body, _)| body.len()).sum()
    }

    /// The server's core, for everything else.
    pub(super) fn server(&mut self) -> &mut Server {
        &mut self.server
    }

    /// Answers each request with its own path until the client has closed the connection.
    pub(super) async fn echo(mut self) {
        while let Some((id, said)) = self.next().await {
            match said {
                Said::Head(path) => drop(self.paths.insert(id, path)),
                Said::End => {
                    // What was asked for before the echo began is answered elsewhere.
                    if let Some(path) = self.paths.remove(&id) {
                        self.respond(id, path);
                    }
                }
                _ => {}
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<(StreamId, Said)>> {
        loop {
            if let Some(said) = self.ready.pop_front() {
                return Poll::Ready(Some(said));
            }
            if self.over {
                return Poll::Ready(None);
            }
            std::task::ready!(self.step(cx));
        }
    }

    /// Moves bytes both ways. Pending when there is nothing to move.
    fn step(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.collect();
        loop {
            let server = &mut self.server;
            self.sending.retain_mut(|(id, body, end)| {
                server.send(*id, body, *end);
                !body.is_empty()
            });
            if !self.server.wants_write() && !self.wire.is_unflushed() {
                break;
            }
            let written = self.wire.poll_write(cx, self.server.output());
            self.collect();
            match written {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => self.over = true,
                Poll::Pending => break,
            }
        }
        match std::task::ready!(self.wire.poll_read(cx)) {
            Ok(input) if !input.is_empty() => self.server.handle_input(input).unwrap(),
            _ => {
                drop(self.server.handle_eof());
                self.over = true;
            }
        }
        self.collect();
        Poll::Ready(())
    }

    fn collect(&mut self) {
        while let Some(id) = self.server.accept().or_else(|| self.server.next_woken()) {
            while let Some(arriving) = self.server.poll(id) {
                self.owed.push((id, arriving.credit()));
                let said = match arriving {
                    Arriving::Head { head, .. } => Said::Head(String::from_utf8(head.path.to_vec()).unwrap()),
                    Arriving::Data { bytes, .. } => Said::Data(bytes.len()),
                    Arriving::End => Said::End,
                    Arriving::GivenUp => Said::GivenUp,
                    Arriving::Failed(_) => Said::Failed,
                };
                self.ready.push_back((id, said));
            }
        }
        if !self.hold_credit {
            for (id, credit) in self.owed.drain(..) {
                self.server.passed_on(id, credit);
            }
        }
    }
}

/// The client's end of a connection: counts the write calls.
pub(super) struct Pipe {
    io: DuplexStream,
    writes: Arc<AtomicUsize>,
    dials: Arc<Dials>,
}

impl Pipe {
    fn hears(&self) -> io::Result<()> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        if self.dials.deaf.load(Ordering::SeqCst) { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.hears()?;
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.hears()?;
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
