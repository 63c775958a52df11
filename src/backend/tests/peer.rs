//! A client: the core of the gateway's own, a socket, and nothing that happens by itself.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::bhttp::{ResponseHead, encode_request_head};
use crate::oap::{Client, ClientConfig, Incoming, Sent, StartRequest, StreamFailure, StreamId};

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// What has come back on a stream.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) head: Option<ResponseHead>,
    pub(crate) body: Vec<u8>,
    /// `Some(Ok)` when it is whole.
    pub(crate) end: Option<Result<(), StreamFailure>>,
    /// Credit that was not returned, while the stream is held.
    owed: u32,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.as_ref().map_or(0, |head| head.status)
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.as_ref()?.fields.find(name.as_bytes()).map(|value| std::str::from_utf8(value).unwrap())
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.end == Some(Ok(()))
    }
}

/// One connection.
pub(crate) struct Peer {
    io: Box<dyn Io>,
    pub(crate) core: Client,
    input: BytesMut,
    answers: HashMap<StreamId, Answer>,
    held: Option<StreamId>,
    pub(crate) at_end: bool,
}

impl Peer {
    /// Connects and says HELLO; `window` is what it wants for a shared connection.
    pub(crate) async fn connect(address: &str, window: Option<u32>) -> Self {
        match address.strip_prefix("unix:") {
            Some(path) => Self::over(UnixStream::connect(path).await.unwrap(), window).await,
            None => Self::over(TcpStream::connect(address).await.unwrap(), window).await,
        }
    }

    pub(crate) async fn over(
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        window: Option<u32>,
    ) -> Self {
        let core = Client::new(&ClientConfig { user_agent: "test".to_owned(), window });
        let mut peer = Self {
            io: Box::new(io),
            core,
            input: BytesMut::new(),
            answers: HashMap::new(),
            held: None,
            at_end: false,
        };
        while peer.core.settings().is_none() {
            peer.turn().await;
        }
        peer
    }

    /// Opens a stream; what did not fit is returned.
    pub(crate) fn open(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: impl Into<Bytes>,
        end: bool,
    ) -> (StreamId, Bytes) {
        let mut head = Vec::new();
        let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        encode_request_head(&mut head, method.as_bytes(), b"http", b"test", path.as_bytes(), fields).unwrap();
        let start = StartRequest { head: &head, capability: &[], tenant_id: 0, is_head: method == "HEAD" };
        let mut body = body.into();
        let id = self.core.open(start, &mut body, end).unwrap();
        self.answers.insert(id, Answer::default());
        (id, body)
    }

    /// Opens a stream without content.
    pub(crate) fn get(&mut self, path: &str) -> StreamId {
        self.open("GET", path, &[], Bytes::new(), true).0
    }

    /// From now on no credit is returned on this stream.
    pub(crate) fn hold(&mut self, id: StreamId) {
        self.held = Some(id);
    }

    /// Returns what is owed, and goes on as usual.
    pub(crate) fn let_go(&mut self) {
        if let Some(id) = self.held.take() {
            let owed = std::mem::take(&mut self.answers.get_mut(&id).unwrap().owed);
            self.core.passed_on(id, owed);
        }
    }

    /// Writes all that waits, without reading.
    pub(crate) async fn flush(&mut self) {
        while self.core.wants_write() {
            let mut all = Vec::new();
            let output = self.core.output();
            let mut slices = [std::io::IoSlice::new(&[]); 64];
            let filled = output.io_slices(&mut slices);
            slices[..filled].iter().for_each(|slice| all.extend_from_slice(slice));
            output.advance(all.len());
            // A server that is gone is seen by reading.
            if self.io.write_all(&all).await.is_err() {
                self.at_end = true;
                return self.core.handle_lost();
            }
        }
    }

    /// Writes what waits, reads once, and sorts what came.
    pub(crate) async fn turn(&mut self) {
        self.flush().await;
        match self.io.read_buf(&mut self.input).await {
            Ok(1..) => self.core.handle_input(&mut self.input).unwrap(),
            _ => {
                self.at_end = true;
                self.core.handle_lost();
            }
        }
        self.sort();
    }

    fn sort(&mut self) {
        while let Some(id) = self.core.next_woken() {
            while let Some(incoming) = self.core.poll(id) {
                let answer = self.answers.get_mut(&id).unwrap();
                if self.held == Some(id) {
                    answer.owed += incoming.credit();
                } else {
                    self.core.passed_on(id, incoming.credit());
                }
                match incoming {
                    Incoming::Head { head, .. } => answer.head = Some(head),
                    Incoming::Data { bytes, .. } => answer.body.extend_from_slice(&bytes),
                    Incoming::End => answer.end = Some(Ok(())),
                    Incoming::Failed(failure) => answer.end = Some(Err(failure)),
                }
            }
        }
    }

    /// What has come so far.
    pub(crate) fn so_far(&self, id: StreamId) -> &Answer {
        &self.answers[&id]
    }

    /// Waits for the stream's end.
    pub(crate) async fn answer(&mut self, id: StreamId) -> Answer {
        while self.answers[&id].end.is_none() {
            self.turn().await;
        }
        self.answers.remove(&id).unwrap()
    }

    /// Sends all of `body`, the last of the request, as credit comes back.
    pub(crate) async fn send_rest(&mut self, id: StreamId, mut body: Bytes) {
        while self.core.send(id, &mut body, true) == Sent::Blocked {
            self.flush().await;
            if self.core.credit(id) == 0 {
                self.turn().await;
            }
        }
        self.flush().await;
    }

    /// One whole exchange.
    pub(crate) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let (id, rest) = self.open(method, path, fields, body, true);
        if !rest.is_empty() {
            self.send_rest(id, rest).await;
        }
        self.answer(id).await
    }

    /// Gives a stream up.
    pub(crate) async fn give_up(&mut self, id: StreamId) {
        self.core.give_up(id);
        self.flush().await;
    }
}
