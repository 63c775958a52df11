//! A service's side of a connection.
//!
//! A stream is accepted once its head has arrived, its content is polled, and it is answered in between or afterwards.
//! With the end of the answer it is done, whatever of the request is unread; on the wire it stays until the client has
//! closed its side. The core answers by itself what never gets that far: a stream too many is not processed, a request
//! that breaks the protocol gets 400. It does not store, route or time anything.

mod incoming;

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::connection::{Connection, receive};
use super::frame::{Flags, UNAVAILABLE};
use super::outbound::Start;
use super::{
    Counters, MAX_FRAME, MAX_INFLIGHT, MIN_FRAME, Output, ProtocolError, Sent, Settings, StreamFailure,
    StreamId, hello,
};
use crate::bhttp::{RequestHead, encode_response_head};

/// Status of an answer that could not be given.
const INTERNAL: u16 = 500;
/// What says so when the answer had that very status.
const BAD_GATEWAY: u16 = 502;

/// What a server announces.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// `ua` of HELLO.
    pub user_agent: String,
    /// Longest frame in bytes, clamped to 128 KiB–1 MiB.
    pub max_frame: u32,
    /// Streams at once, clamped to 1–1024.
    pub max_inflight: u32,
    /// Payload bytes that a stream may receive unacknowledged, clamped to 128 KiB–4 MiB; `None`: exclusive connections
    /// only.
    pub window: Option<u32>,
}

/// What happens on a stream, in its order.
#[derive(Debug)]
pub enum Arriving {
    /// The request's head: the first event of a stream.
    Head {
        /// The head.
        head: RequestHead,
        /// The tenant's id, 0 for none.
        tenant_id: u128,
        /// The capability token, empty for none.
        capability: Bytes,
        /// Payload bytes it took: for [`Server::passed_on`].
        credit: u32,
    },
    /// A piece of the request's content.
    Data {
        /// The piece, never empty.
        bytes: Bytes,
        /// Payload bytes it took: for [`Server::passed_on`].
        credit: u32,
    },
    /// The request is whole. The stream stays until it is answered.
    End,
    /// The client gave the stream up: the request never counts as complete. The stream is gone.
    GivenUp,
    /// The stream is gone.
    Failed(StreamFailure),
}

impl Arriving {
    /// What to pass to [`Server::passed_on`] once this has gone on.
    #[must_use]
    pub fn credit(&self) -> u32 {
        match self {
            Self::Head { credit, .. } | Self::Data { credit, .. } => *credit,
            Self::End | Self::GivenUp | Self::Failed(_) => 0,
        }
    }
}

/// A service's side of one connection as a state machine.
#[derive(Debug)]
pub struct Server {
    connection: Connection<RequestHead, Own>,
    config: ServerConfig,
    /// Streams whose head has arrived and that nobody has accepted yet.
    arrived: VecDeque<StreamId>,
    /// Streams that are open on the wire.
    open: usize,
    /// Where the last answer to a HELLO ends in the output.
    hello_position: u64,
    /// Ends of the refusals that may still be unsent.
    refusals: VecDeque<u64>,
    draining: bool,
}

/// What a server knows of a stream beside what both sides do.
#[derive(Debug)]
pub(super) struct Own {
    tenant_id: u128,
    capability: BytesMut,
    accepted: bool,
    /// The answer's, once it has begun.
    status: Option<u16>,
    /// How the request ended, until somebody asks; comes after head and content.
    outcome: Option<Outcome>,
}

#[derive(Debug)]
pub(super) enum Outcome {
    Whole,
    GivenUp,
    Failed(StreamFailure),
}

impl Server {
    /// A fresh connection, which waits for HELLO.
    #[must_use]
    pub fn new(config: &ServerConfig) -> Self {
        let config = ServerConfig {
            user_agent: config.user_agent.clone(),
            max_frame: config.max_frame.clamp(MIN_FRAME, MAX_FRAME),
            max_inflight: config.max_inflight.clamp(1, MAX_INFLIGHT),
            window: hello::own_window(config.window),
        };
        Self {
            connection: Connection::new(Flags::RESP),
            config,
            arrived: VecDeque::new(),
            open: 0,
            hello_position: 0,
            refusals: VecDeque::new(),
            draining: false,
        }
    }

    /// Takes all of `input`, however it is cut.
    ///
    /// # Errors
    ///
    /// A reason of oap1 §2 that ends the connection: it is over, and every accepted stream without a whole answer has
    /// failed as lost. What ends a stream is reported on the stream.
    pub fn handle_input(&mut self, input: &mut BytesMut) -> Result<(), ProtocolError> {
        let received = receive(self, input);
        if received.is_err() {
            input.clear();
            self.handle_lost();
        }
        received
    }

    /// The client has closed its side.
    ///
    /// # Errors
    ///
    /// `BadHello` before HELLO, `Truncated` inside a frame or with answers outstanding. The connection is over in any
    /// case.
    pub fn handle_eof(&mut self) -> Result<(), ProtocolError> {
        if self.connection.over {
            return Ok(());
        }
        let outstanding =
            self.connection.streams.iter().any(|stream| !stream.closed && !stream.outbound.ended);
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
            if !stream.released && !stream.closed {
                stream.inbound.clear();
                stream.own.outcome = Some(Outcome::Failed(StreamFailure::Lost));
            }
            self.forget(id);
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

    /// What was agreed; `None` until HELLO.
    #[must_use]
    pub fn settings(&self) -> Option<Settings> {
        self.connection.settings
    }

    /// Whether [`Server::drain`] was called.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Whether the connection is to be closed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.connection.over
    }

    /// Whether no stream is open and nothing waits to be written.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.open == 0 && self.connection.live == 0 && !self.connection.wants_write()
    }

    /// Streams that are not answered, given up or failed.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.connection.live
    }

    /// The next stream whose head has arrived. Its first event is [`Arriving::Head`], unless it has failed since.
    pub fn accept(&mut self) -> Option<StreamId> {
        while let Some(id) = self.arrived.pop_front() {
            if let Some(stream) = self.connection.streams.get_mut(id).filter(|stream| !stream.released) {
                stream.own.accepted = true;
                return Some(id);
            }
        }
        None
    }

    /// The next event of the stream. After [`Arriving::GivenUp`] and [`Arriving::Failed`] the stream is gone, after
    /// [`Arriving::End`] it waits for its answer.
    pub fn poll(&mut self, id: StreamId) -> Option<Arriving> {
        let stream = self.connection.streams.get_mut(id).filter(|stream| !stream.released)?;
        if let Some((head, credit)) = stream.inbound.head.take() {
            let capability = std::mem::take(&mut stream.own.capability).freeze();
            return Some(Arriving::Head { head, tenant_id: stream.own.tenant_id, capability, credit });
        }
        if let Some(bytes) = stream.inbound.piece() {
            let credit = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            return Some(Arriving::Data { bytes, credit });
        }
        match stream.own.outcome.take()? {
            Outcome::Whole => Some(Arriving::End),
            Outcome::GivenUp => {
                self.connection.release(id);
                Some(Arriving::GivenUp)
            }
            Outcome::Failed(failure) => {
                self.connection.release(id);
                Some(Arriving::Failed(failure))
            }
        }
    }

    /// Begins the answer: `RESP|START`, with END when `content` is used up and `end` is wanted. `code` is the head's
    /// status. Takes what credit and frame allow of `content` and leaves the rest in it, for [`Server::send`]. A head that
    /// fits no frame becomes a 500.
    pub fn respond(&mut self, id: StreamId, code: u16, head: &[u8], content: &mut Bytes, end: bool) -> Sent {
        self.connection.settle();
        let Some(stream) = self.connection.streams.get_mut(id).filter(|stream| !stream.outbound.ended) else {
            return Sent::Closed;
        };
        if stream.own.status.is_some() {
            return Sent::Closed;
        }
        let start = Start { id, flags: Flags::RESP, code, tenant_id: 0, capability: &[], head };
        let Some(sent) = stream.outbound.start(&mut self.connection.wire, start, content, end) else {
            self.fail(id, INTERNAL);
            return Sent::Closed;
        };
        stream.own.status = Some(code);
        self.finish_if_answered(id);
        sent
    }

    /// Queues what credit, the stream's share of the output and framing allow of `data`, END with its last byte if `end`.
    pub fn send(&mut self, id: StreamId, data: &mut Bytes, end: bool) -> Sent {
        if self.connection.streams.get(id).is_none_or(|stream| stream.own.status.is_none()) {
            return Sent::Closed;
        }
        let sent = self.connection.send(id, data, end);
        self.finish_if_answered(id);
        sent
    }

    /// Ends the stream as failed: `RESP|END` with a code that cannot be taken for success, or, before
    /// [`Server::respond`], an answer of that status without content. A stream that is given up is forgotten.
    pub fn fail(&mut self, id: StreamId, code: u16) {
        if self.connection.streams.get(id).is_some_and(|stream| !stream.released) {
            self.end_as_failed(id, code);
            self.connection.release(id);
        }
    }

    /// Says that the request was not looked at, and may be repeated elsewhere: `RESP|END` 503 without START. After
    /// [`Server::respond`] it is too late, and the stream fails.
    pub fn not_processed(&mut self, id: StreamId) {
        let Some(stream) = self.connection.streams.get_mut(id).filter(|stream| !stream.released) else {
            return;
        };
        if stream.own.status.is_some() {
            return self.fail(id, UNAVAILABLE);
        }
        if !stream.outbound.ended {
            stream.outbound.end(&mut self.connection.wire, id, UNAVAILABLE);
        }
        self.finish_if_answered(id);
        self.connection.release(id);
    }

    /// Tells the client to open no further streams here. What is open, or has crossed this on its way, is served.
    pub fn drain(&mut self) {
        if !self.draining && !self.connection.over {
            self.draining = true;
            self.connection.wire.put_event(UNAVAILABLE);
        }
    }

    /// That many payload bytes of the stream have gone on: credit for the client.
    pub fn passed_on(&mut self, id: StreamId, bytes: u32) {
        self.connection.passed_on(id, bytes);
    }

    /// The next stream on which [`Server::poll`] or [`Server::send`] may get on, each once.
    pub fn next_woken(&mut self) -> Option<StreamId> {
        loop {
            let id = self.connection.next_woken()?;
            if self.connection.streams.get(id).is_some_and(|stream| stream.own.accepted) {
                return Some(id);
            }
        }
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

    /// What happened since the last call.
    pub fn counters(&mut self) -> Counters {
        std::mem::take(&mut self.connection.wire.counters)
    }

    /// Lengths of the lists of streams: owed an ACK, to be woken, to be accepted.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> [usize; 3] {
        let [acks, woken] = self.connection.waiting();
        [acks, woken, self.arrived.len()]
    }

    /// The answer's side may have ended: then nobody waits for the rest of the request, and the stream stays only until
    /// the client has closed its own side.
    fn finish_if_answered(&mut self, id: StreamId) {
        let Some(stream) = self.connection.streams.get_mut(id) else { return };
        if !stream.outbound.ended {
            return;
        }
        stream.inbound.clear();
        if stream.inbound.ended {
            self.forget(id);
        }
        self.connection.release(id);
    }

    fn end_as_failed(&mut self, id: StreamId, code: u16) {
        let wire = &mut self.connection.wire;
        let Some(stream) = self.connection.streams.get_mut(id) else { return };
        if !stream.outbound.ended {
            match stream.own.status {
                // oap1 §3: neither 0 nor START's code, which would make it a whole answer.
                Some(status) if code == 0 || code == status => {
                    let other = if status == INTERNAL { BAD_GATEWAY } else { INTERNAL };
                    stream.outbound.end(wire, id, other);
                }
                Some(_) => stream.outbound.end(wire, id, code),
                None => {
                    let code = if (200..=599).contains(&code) { code } else { INTERNAL };
                    let mut head = Vec::with_capacity(32);
                    let length = [(b"content-length".as_slice(), b"0".as_slice())];
                    let encoded = encode_response_head(&mut head, code, length.into_iter());
                    debug_assert!(encoded.is_ok(), "a fixed head of a final status");
                    let start =
                        Start { id, flags: Flags::RESP, code, tenant_id: 0, capability: &[], head: &head };
                    let _sent = stream.outbound.start(wire, start, &mut Bytes::new(), true);
                }
            }
        }
        stream.inbound.clear();
        if stream.inbound.ended {
            self.forget(id);
        }
    }

    /// The stream is over on the wire, in both directions.
    fn forget(&mut self, id: StreamId) {
        let Some(stream) = self.connection.streams.get_mut(id) else { return };
        stream.outbound.ended = true;
        if !std::mem::replace(&mut stream.closed, true) {
            self.open -= 1;
        }
        if !stream.own.accepted {
            return self.connection.release(id);
        }
        self.connection.wake(id);
        self.connection.remove_if_done(id);
    }
}
