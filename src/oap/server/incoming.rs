//! What the client's frames mean for the streams of a server.

use bytes::{Buf, BytesMut};

use super::{Outcome, Own, Server};
use crate::bhttp::RequestHead;
use crate::oap::connection::{Connection, Side, Stream};
use crate::oap::frame::{Flags, FrameHeader, UNAVAILABLE};
use crate::oap::{ProtocolError, Settings, StreamFailure, StreamId, hello};

/// What a request is told that breaks the protocol.
const BAD_REQUEST: u16 = 400;
/// A client that opens streams it may not open, and does not read that it may not, is let go at this many.
const MAX_UNSENT_REFUSALS: usize = 1024;

impl Side for Server {
    type Head = RequestHead;
    type Own = Own;

    fn connection(&mut self) -> &mut Connection<RequestHead, Own> {
        &mut self.connection
    }

    fn on_hello(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), ProtocolError> {
        // oap1 §3: a HELLO may be repeated, one at a time.
        if !self.connection.wire.output.has_left(self.hello_position) {
            return Err(hello::bad("repeated before it was answered"));
        }
        let config = &self.config;
        let settings = hello::read_request(payload, config.max_frame, config.max_inflight, config.window)?;
        let answer = hello::answer(&config.user_agent, config.max_frame, config.max_inflight, config.window);
        self.hello_position = self.connection.wire.put_hello(header.stream, hello::OK, &answer);
        // oap1 §3: a repeated HELLO changes no setting.
        if self.connection.settings.is_none() {
            self.connection.settle_on(settings);
        }
        Ok(())
    }

    // oap1 §2: unknown EVENTs are skipped; a server knows none.
    fn on_event(&mut self, _header: &FrameHeader) {}

    fn on_frame(&mut self, header: &FrameHeader) -> Result<bool, ProtocolError> {
        let id = header.stream;
        if self.connection.streams.get(id).is_none() && header.flags.contains(Flags::START) {
            return self.on_open(header);
        }
        let Some(stream) = self.connection.streams.get_mut(id).filter(|stream| !stream.closed) else {
            // oap1 §2: a frame for a `corr_id` that is no longer or never was open is dropped and counted.
            self.connection.wire.counters.dropped += 1;
            return Ok(false);
        };
        stream.inbound.credit.arrive(header.payload_len())?;
        if stream.outbound.ended {
            // The answer has ended: only what closes the client's side still matters.
            return Ok(header.flags.contains(Flags::END));
        }
        if let Err(error) = check_sequence(header, stream) {
            // What is wrong about the frame, its END still closes the client's side.
            stream.inbound.ended |= header.flags.contains(Flags::END);
            self.break_off(id, error);
            return Ok(false);
        }
        if header.flags.contains(Flags::ACK_REQ) {
            self.connection.on_ack_request(id);
        }
        Ok(true)
    }

    fn on_capability(&mut self, header: &FrameHeader, piece: &[u8]) {
        if let Some(stream) = self.connection.streams.get_mut(header.stream) {
            stream.own.capability.extend_from_slice(piece);
        }
    }

    fn on_payload(&mut self, header: &FrameHeader, input: &mut BytesMut, len: usize, left: usize) {
        let id = header.stream;
        let stream = self.connection.streams.get_mut(id);
        let Some(stream) = stream.filter(|stream| !stream.outbound.ended && !gives_up(header)) else {
            return input.advance(len);
        };
        let mut whole_head = false;
        let result = if header.flags.contains(Flags::START) {
            stream.inbound.opening(input, len, left, false, |_| {
                whole_head = true;
                Ok(())
            })
        } else {
            stream.inbound.data(input, len)
        };
        if let Err(bad) = result {
            return self.break_off(id, bad.into());
        }
        if whole_head {
            self.arrived.push_back(id);
            // Whoever accepts nothing must not make the list grow.
            let streams = &self.connection.streams;
            if self.arrived.len() > 2 * streams.len() + 64 {
                self.arrived.retain(|id| streams.get(*id).is_some());
            }
        }
        self.connection.wake(id);
    }

    fn on_frame_end(&mut self, header: &FrameHeader) {
        let id = header.stream;
        let Some(stream) = self.connection.streams.get_mut(id).filter(|stream| !stream.closed) else {
            return;
        };
        if gives_up(header) {
            return self.on_given_up(id);
        }
        if !stream.outbound.ended {
            let opened = if header.flags.contains(Flags::START) { stream.inbound.opened() } else { Ok(()) };
            let end = header.flags.contains(Flags::END);
            stream.inbound.ended |= end;
            if let Err(bad) = opened.and_then(|()| if end { stream.inbound.whole() } else { Ok(()) }) {
                return self.break_off(id, bad.into());
            }
            if end {
                stream.own.outcome = Some(Outcome::Whole);
                return self.connection.wake(id);
            }
            return self.connection.queue_ack(id);
        }
        if header.flags.contains(Flags::END) {
            stream.inbound.ended = true;
            self.forget(id);
        }
    }
}

impl Server {
    /// `REQ|START` of an id that is not open.
    fn on_open(&mut self, header: &FrameHeader) -> Result<bool, ProtocolError> {
        let Some(settings) = self.connection.settings else { return Err(hello::bad("missing")) };
        if gives_up(header) {
            self.connection.wire.counters.dropped += 1;
            return Ok(false);
        }
        let own = Own {
            tenant_id: header.tenant_id,
            capability: BytesMut::new(),
            accepted: false,
            status: None,
            outcome: None,
        };
        let mut stream = Stream::new(&settings, own);
        stream.inbound.credit.arrive(header.payload_len())?;
        stream.inbound.started = true;
        if !self.has_place(&settings) {
            self.refuse(header.stream)?;
            return Ok(false);
        }
        self.open += 1;
        self.connection.insert(header.stream, stream);
        if header.flags.contains(Flags::ACK_REQ) {
            self.connection.on_ack_request(header.stream);
        }
        Ok(true)
    }

    /// Streams that are done and wait for the output take room too, though not the client's places.
    fn has_place(&mut self, settings: &Settings) -> bool {
        self.connection.settle();
        let places = settings.max_inflight as usize;
        self.open < places && self.connection.streams.len() < 2 * places
    }

    fn refuse(&mut self, id: StreamId) -> Result<(), ProtocolError> {
        let output = &self.connection.wire.output;
        while self.refusals.pop_front_if(|position| output.has_left(*position)).is_some() {}
        if self.refusals.len() >= MAX_UNSENT_REFUSALS {
            return Err(ProtocolError::CreditViolation("far more streams than were agreed"));
        }
        self.refusals.push_back(self.connection.wire.put_refusal(id, UNAVAILABLE));
        Ok(())
    }

    // oap1 §3: the server forgets the stream; a request given up is never taken as complete.
    fn on_given_up(&mut self, id: StreamId) {
        let Some(stream) = self.connection.streams.get_mut(id) else { return };
        stream.inbound.clear();
        stream.inbound.ended = true;
        // A stream that has failed was given up because of that.
        if !matches!(stream.own.outcome, Some(Outcome::Failed(_))) {
            stream.own.outcome = Some(Outcome::GivenUp);
        }
        self.forget(id);
    }

    /// A request that breaks the protocol: the client is told, and so is who has accepted it.
    fn break_off(&mut self, id: StreamId, error: ProtocolError) {
        self.end_as_failed(id, BAD_REQUEST);
        let Some(stream) = self.connection.streams.get_mut(id) else { return };
        stream.own.outcome = Some(Outcome::Failed(StreamFailure::Protocol(error)));
        if stream.own.accepted {
            self.connection.wake(id);
        } else {
            self.connection.release(id);
        }
    }
}

/// oap1 §1: `code` is 0 in a request that goes well. So END gives the stream up with any other code, not with 499 alone.
fn gives_up(header: &FrameHeader) -> bool {
    header.flags.contains(Flags::END) && header.code != 0
}

/// oap1 §2, `bad_sequence`, on the header of a frame of an open stream.
fn check_sequence(header: &FrameHeader, stream: &Stream<RequestHead, Own>) -> Result<(), ProtocolError> {
    if header.flags.contains(Flags::START) {
        return Err(ProtocolError::BadSequence("a second START"));
    }
    // oap1 §3: 499 may come after its own END.
    let more = header.payload_len() > 0 || header.flags.contains(Flags::END);
    if stream.inbound.ended && more && !gives_up(header) {
        return Err(ProtocolError::BadSequence("data after END"));
    }
    Ok(())
}
