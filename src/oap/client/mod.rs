//! The gateway's side of a connection.
//!
//! A stream, as its user sees it (`poll`), and what the wire says:
//!
//! ```text
//! open ──► waiting ──RESP|START──► answering ──RESP|END code 0 or START's──► End
//!             │                        ├──RESP|END, another code──► Failed(AfterStart)
//!             ├──RESP|END 503──► Failed(NotProcessed)
//!             └──────────┬─────────────┘
//!                        ├──bad_sequence, bad_message──► 499 ──► Failed(Protocol)
//!                        ├──connection gone──► Failed(Lost)
//!                        └──give_up──► 499, gone at once
//! ```
//!
//! Whatever ends a stream while our own side is open also sends the `REQ|END` 499 that closes it. It does not choose
//! connections, retry, or time anything.

mod incoming;

use bytes::{Bytes, BytesMut};

use super::connection::{Connection, Stream, receive};
use super::frame::{Flags, GIVEN_UP};
use super::outbound::Start;
use super::{Counters, Output, ProtocolError, Sent, Settings, StreamFailure, StreamId, hello};
use crate::bhttp::ResponseHead;

/// How a client introduces itself.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// `ua` of HELLO.
    pub user_agent: String,
    /// Payload bytes that a stream of ours may receive unacknowledged, clamped to 128 KiB–4 MiB; `None` for an exclusive
    /// connection.
    pub window: Option<u32>,
}

/// What opens a stream.
#[derive(Clone, Copy, Debug)]
pub struct StartRequest<'a> {
    /// An encoded request head.
    pub head: &'a [u8],
    /// The capability token, empty for none.
    pub capability: &'a [u8],
    /// The tenant's id as a number, 0 for none.
    pub tenant_id: u128,
    /// Whether the method is HEAD: the answer then carries no content whatever it announces.
    pub is_head: bool,
}

/// Why no stream can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotOpen {
    /// The HELLO has not been answered yet.
    #[error("HELLO is not answered yet")]
    NotReady,
    /// The server takes no further streams on this connection.
    #[error("the connection is draining")]
    Draining,
    /// The connection has ended.
    #[error("the connection is over")]
    Over,
    /// All places are taken.
    #[error("as many streams as were agreed are open")]
    Full,
    /// Head and capability do not fit a frame.
    #[error("head and capability do not fit a frame")]
    TooLarge,
}

/// What happens on a stream, in its order.
#[derive(Debug)]
pub enum Incoming {
    /// The answer's head.
    Head {
        /// The head.
        head: ResponseHead,
        /// Payload bytes it took: for [`Client::passed_on`].
        credit: u32,
    },
    /// A piece of the answer's content.
    Data {
        /// The piece, never empty.
        bytes: Bytes,
        /// Payload bytes it took: for [`Client::passed_on`].
        credit: u32,
    },
    /// The answer is whole. The stream is gone.
    End,
    /// The stream is gone, its answer is not whole.
    Failed(StreamFailure),
}

impl Incoming {
    /// What to pass to [`Client::passed_on`] once this has gone on.
    #[must_use]
    pub fn credit(&self) -> u32 {
        match self {
            Self::Head { credit, .. } | Self::Data { credit, .. } => *credit,
            Self::End | Self::Failed(_) => 0,
        }
    }
}

/// The gateway's side of one connection as a state machine.
#[derive(Debug)]
pub struct Client {
    connection: Connection<ResponseHead, Own>,
    /// What we announced.
    window: Option<u32>,
    user_agent: String,
    /// The last HELLO, and whether it is unanswered.
    hello: StreamId,
    hello_open: bool,
    generation: u32,
    draining: bool,
}

/// What a client knows of a stream beside what both sides do.
#[derive(Debug)]
pub(super) struct Own {
    is_head: bool,
    /// The answer's.
    status: u16,
    /// How it ended, until somebody asks; comes after head and content.
    outcome: Option<Outcome>,
}

#[derive(Debug)]
pub(super) enum Outcome {
    Whole,
    Failed(StreamFailure),
}

impl Client {
    /// A fresh connection; its HELLO is already in the output.
    #[must_use]
    pub fn new(config: &ClientConfig) -> Self {
        let mut client = Self {
            connection: Connection::new(Flags::REQ),
            window: hello::own_window(config.window),
            user_agent: config.user_agent.clone(),
            hello: StreamId(0),
            hello_open: false,
            generation: 0,
            draining: false,
        };
        client.greet();
        client
    }

    /// Takes all of `input`, however it is cut.
    ///
    /// # Errors
    ///
    /// A reason of oap1 §2 that ends the connection: it is over, and every stream without a whole answer has failed as
    /// lost. What ends a stream is reported on the stream.
    pub fn handle_input(&mut self, input: &mut BytesMut) -> Result<(), ProtocolError> {
        let received = receive(self, input);
        if received.is_err() {
            input.clear();
            self.handle_lost();
        }
        received
    }

    /// The server has closed its side.
    ///
    /// # Errors
    ///
    /// `BadHello` before the HELLO was answered, `Truncated` inside a frame or with answers outstanding. The connection
    /// is over in any case.
    pub fn handle_eof(&mut self) -> Result<(), ProtocolError> {
        if self.connection.over {
            return Ok(());
        }
        let outstanding =
            self.connection.streams.iter().any(|stream| !stream.closed && !stream.inbound.ended);
        let inside = self.connection.is_inside_frame();
        self.handle_lost();
        // oap1 §2: the connection ends inside a frame or with streams open.
        if inside || outstanding {
            return Err(ProtocolError::Truncated);
        }
        if self.connection.settings.is_none() { Err(hello::bad("missing")) } else { Ok(()) }
    }

    /// The transport failed or was given up: the connection is over, answers that are not whole are lost.
    pub fn handle_lost(&mut self) {
        for id in self.connection.streams.ids() {
            let Some(stream) = self.connection.streams.get_mut(id) else { continue };
            stream.outbound.ended = true;
            if !stream.closed && !stream.inbound.ended {
                stream.inbound.clear();
                stream.own.outcome = Some(Outcome::Failed(StreamFailure::Lost));
            }
            stream.closed = true;
            self.connection.wake(id);
        }
        self.connection.shut();
    }

    /// What is to be written, credit that is due included.
    pub fn output(&mut self) -> &mut Output {
        self.connection.output()
    }

    /// Whether there is something to write.
    #[must_use]
    pub fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }

    /// What was agreed; `None` until the HELLO is answered.
    #[must_use]
    pub fn settings(&self) -> Option<Settings> {
        self.connection.settings
    }

    /// Whether the server wants no further streams here.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Whether the connection is to be closed: it failed, or it was exclusive and its stream was given up.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.connection.over
    }

    /// Streams that are neither polled to their end nor given up.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.connection.live
    }

    /// Whether [`Client::open`] would find a place.
    #[must_use]
    pub fn can_open(&self) -> bool {
        self.check_open().is_ok()
    }

    /// Opens a stream: `REQ|START`, with END when `content` is used up and `end` is wanted. Takes what credit and frame
    /// allow of `content` and leaves the rest in it, for [`Client::send`].
    ///
    /// # Errors
    ///
    /// Nothing has been sent then, and `content` is as it was.
    pub fn open(
        &mut self,
        start: StartRequest<'_>,
        content: &mut Bytes,
        end: bool,
    ) -> Result<StreamId, CannotOpen> {
        self.connection.settle();
        let settings = self.check_open()?;
        // oap1 §1: `corr_id` is never used twice on a connection. The slot in its low bits makes it quick to find.
        let slot = self.connection.streams.next_slot() as u64;
        let id = StreamId(u64::from(self.generation + 1) << 32 | slot);
        let own = Own { is_head: start.is_head, status: 0, outcome: None };
        let mut stream = Stream::new(&settings, own);
        let start = Start {
            id,
            flags: Flags::REQ,
            code: 0,
            tenant_id: start.tenant_id,
            capability: start.capability,
            head: start.head,
        };
        let Some(_) = stream.outbound.start(&mut self.connection.wire, start, content, end) else {
            return Err(CannotOpen::TooLarge);
        };
        self.generation += 1;
        self.connection.insert(id, stream);
        Ok(id)
    }

    /// Queues what credit, the stream's share of the output and framing allow of `data`, END with its last byte if `end`.
    pub fn send(&mut self, id: StreamId, data: &mut Bytes, end: bool) -> Sent {
        // oap1 §3: after `RESP|END` the client sends no more data.
        if self.connection.streams.get(id).is_none_or(|stream| stream.inbound.ended) {
            return Sent::Closed;
        }
        self.connection.send(id, data, end)
    }

    /// Whether more should be made for [`send`](Self::send), and how many bytes of the stream wait to be written. If not,
    /// the stream is woken when none do.
    pub fn has_room(&mut self, id: StreamId) -> (bool, usize) {
        self.connection.has_room(id)
    }

    /// Gives the stream up, whatever its state. An exclusive connection is over then, unless the answer had ended.
    pub fn give_up(&mut self, id: StreamId) {
        if self.connection.streams.get(id).is_some_and(|stream| !stream.released) {
            self.close(id);
            self.connection.release(id);
        }
    }

    /// The next event of the stream. After [`Incoming::End`] and [`Incoming::Failed`] the stream is gone.
    pub fn poll(&mut self, id: StreamId) -> Option<Incoming> {
        let stream = self.connection.streams.get_mut(id).filter(|stream| !stream.released)?;
        if let Some((head, credit)) = stream.inbound.head.take() {
            return Some(Incoming::Head { head, credit });
        }
        if let Some(bytes) = stream.inbound.piece() {
            let credit = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            return Some(Incoming::Data { bytes, credit });
        }
        let outcome = stream.own.outcome.take()?;
        self.connection.settle();
        self.close(id);
        self.connection.release(id);
        Some(match outcome {
            Outcome::Whole => Incoming::End,
            Outcome::Failed(failure) => Incoming::Failed(failure),
        })
    }

    /// That many payload bytes of the stream have gone on: credit for the server.
    pub fn passed_on(&mut self, id: StreamId, bytes: u32) {
        self.connection.passed_on(id, bytes);
    }

    /// The next stream on which [`Client::poll`] or [`Client::send`] may get on, each once.
    pub fn next_woken(&mut self) -> Option<StreamId> {
        self.connection.next_woken()
    }

    /// Payload bytes that may be sent on the stream now.
    #[must_use]
    pub fn credit(&self, id: StreamId) -> u32 {
        self.connection.credit(id)
    }

    /// Whether bytes of the stream wait in the output.
    #[must_use]
    pub fn has_unsent(&self, id: StreamId) -> bool {
        self.connection.has_unsent(id)
    }

    /// Asks the server for a sign of life: HELLO once more. Whether it was sent: one at a time, and on an exclusive
    /// connection only between streams.
    pub fn probe(&mut self) -> bool {
        let Some(settings) = self.connection.settings else { return false };
        let busy = !settings.multiplexed && self.connection.live > 0;
        if self.connection.over || self.hello_open || busy {
            return false;
        }
        self.greet();
        true
    }

    /// Whether no HELLO is unanswered.
    #[must_use]
    pub fn probe_answered(&self) -> bool {
        !self.hello_open
    }

    /// What happened since the last call.
    pub fn counters(&mut self) -> Counters {
        std::mem::take(&mut self.connection.wire.counters)
    }

    fn check_open(&self) -> Result<Settings, CannotOpen> {
        let connection = &self.connection;
        if connection.over {
            return Err(CannotOpen::Over);
        }
        let settings = connection.settings.ok_or(CannotOpen::NotReady)?;
        if self.draining || self.generation == u32::MAX {
            return Err(CannotOpen::Draining);
        }
        // oap1 §3: a place is free once what closes its stream is sent.
        let idle = connection.wire.output.is_empty();
        let taken = if idle { connection.live } else { connection.streams.len() };
        if taken >= settings.max_inflight as usize { Err(CannotOpen::Full) } else { Ok(settings) }
    }

    fn greet(&mut self) {
        self.hello = StreamId(self.hello.0 + 1);
        self.hello_open = true;
        let payload = hello::request(&self.user_agent, self.window);
        let _position = self.connection.wire.put_hello(self.hello, 0, &payload);
    }

    /// Closes our side of a stream, if anything of it is open.
    fn close(&mut self, id: StreamId) {
        let multiplexed = self.connection.is_multiplexed();
        let Some(stream) = self.connection.streams.get_mut(id) else { return };
        if std::mem::replace(&mut stream.closed, true) {
            return;
        }
        // oap1 §3: `REQ|END` 499, also after its own END while the answer is outstanding. In exclusive mode it is not
        // sent: the connection is closed.
        if multiplexed {
            stream.outbound.end(&mut self.connection.wire, id, GIVEN_UP);
        } else {
            stream.outbound.ended = true;
            self.connection.shut();
        }
    }
}
