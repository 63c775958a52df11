//! What the server's frames mean for the streams of a client.

use bytes::{Buf, BytesMut};

use super::{Client, Outcome, Own};
use crate::bhttp::{BadMessage, ResponseHead};
use crate::oap::connection::{Connection, Side};
use crate::oap::frame::{CONTROL, Flags, FrameHeader, UNAVAILABLE};
use crate::oap::{ProtocolError, StreamFailure, StreamId, hello};

/// `code` 0 is read as this status.
const OK: u16 = 200;

impl Side for Client {
    type Head = ResponseHead;
    type Own = Own;

    fn connection(&mut self) -> &mut Connection<ResponseHead, Own> {
        &mut self.connection
    }

    fn on_hello(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), ProtocolError> {
        let ours = header.stream == self.hello && self.hello_open;
        if !ours && self.connection.settings.is_some() {
            self.connection.wire.counters.dropped += 1;
            return Ok(());
        }
        if !ours {
            return Err(hello::bad("the answer's id is not the request's"));
        }
        let settings = hello::read_answer(header.code, payload, self.window)?;
        self.hello_open = false;
        // oap1 §3: a repeated HELLO changes no setting.
        if self.connection.settings.is_none() {
            self.connection.settle_on(settings);
        }
        Ok(())
    }

    // oap1 §3: EVENT, `app_proto_id` 0, code 503 drains. oap1 §2: unknown EVENTs are skipped.
    fn on_event(&mut self, header: &FrameHeader) {
        self.draining |= header.app_proto_id == CONTROL && header.code == UNAVAILABLE;
    }

    fn on_frame(&mut self, header: &FrameHeader) -> Result<bool, ProtocolError> {
        let id = header.stream;
        let Some(stream) = self.connection.streams.get_mut(id).filter(|stream| !stream.closed) else {
            // oap1 §2: a frame for a `corr_id` that is no longer or never was open is dropped and counted.
            self.connection.wire.counters.dropped += 1;
            return Ok(false);
        };
        stream.inbound.credit.arrive(header.payload_len())?;
        if let Err(error) = check_sequence(header, stream.inbound.started, stream.inbound.ended) {
            self.fail(id, error);
            return Ok(false);
        }
        stream.inbound.started |= header.flags.contains(Flags::START);
        if header.flags.contains(Flags::ACK_REQ) {
            self.connection.on_ack_request(id);
        }
        Ok(true)
    }

    fn on_capability(&mut self, _header: &FrameHeader, _piece: &[u8]) {}

    fn on_payload(&mut self, header: &FrameHeader, input: &mut BytesMut, len: usize, left: usize) {
        let id = header.stream;
        let stream = self.connection.streams.get_mut(id).filter(|stream| !stream.closed);
        let Some(stream) = stream.filter(|stream| stream.inbound.started) else {
            return input.advance(len);
        };
        let result = if header.flags.contains(Flags::START) {
            let own = &mut stream.own;
            let is_head = own.is_head;
            stream.inbound.opening(input, len, left, is_head, |head| {
                own.status = head.status;
                check_code(header.code, head.status)
            })
        } else {
            stream.inbound.data(input, len)
        };
        match result {
            Ok(()) => self.connection.wake(id),
            Err(bad) => self.fail(id, bad.into()),
        }
    }

    fn on_frame_end(&mut self, header: &FrameHeader) {
        let id = header.stream;
        let Some(stream) = self.connection.streams.get_mut(id).filter(|stream| !stream.closed) else {
            return;
        };
        if header.flags.contains(Flags::START)
            && let Err(bad) = stream.inbound.opened()
        {
            return self.fail(id, bad.into());
        }
        if header.flags.contains(Flags::END) {
            self.on_end(id, header.code);
        }
        // Padding may have been passed on without anybody's help.
        self.connection.queue_ack(id);
    }
}

impl Client {
    fn on_end(&mut self, id: StreamId, code: u16) {
        let Some(stream) = self.connection.streams.get_mut(id) else { return };
        let whole = code == 0 || code == stream.own.status;
        stream.inbound.ended = true;
        stream.closed = stream.outbound.ended;
        let outcome = if !stream.inbound.started {
            // oap1 §3: `RESP|END` 503 without a START. Other codes have been refused.
            Outcome::Failed(StreamFailure::NotProcessed)
        } else if !whole {
            // oap1 §3: an END with any other code is a failure after START.
            Outcome::Failed(StreamFailure::AfterStart { code })
        } else if let Err(bad) = stream.inbound.whole() {
            return self.fail(id, bad.into());
        } else {
            Outcome::Whole
        };
        stream.own.outcome = Some(outcome);
        self.connection.wake(id);
    }

    // oap1 §2: where a stream ends, it is given up and answers 502.
    fn fail(&mut self, id: StreamId, error: ProtocolError) {
        let Some(stream) = self.connection.streams.get_mut(id) else { return };
        stream.inbound.clear();
        stream.own.outcome = Some(Outcome::Failed(StreamFailure::Protocol(error)));
        self.connection.wake(id);
        self.close(id);
        // Even when both sides had ended: an exclusive connection whose stream is given up is closed.
        if !self.connection.is_multiplexed() {
            self.connection.shut();
        }
    }
}

/// oap1 §2, `bad_sequence`, on the header of a frame.
fn check_sequence(header: &FrameHeader, started: bool, ended: bool) -> Result<(), ProtocolError> {
    use ProtocolError::BadSequence;
    let (start, end) = (header.flags.contains(Flags::START), header.flags.contains(Flags::END));
    let data = header.payload_len() > 0;
    if start && (started || ended) {
        return Err(BadSequence("a second START"));
    }
    if ended && (data || end) {
        return Err(BadSequence("data after END"));
    }
    if started || start {
        return Ok(());
    }
    match (end, header.code) {
        (true, UNAVAILABLE) => Ok(()),
        (true, _) => Err(BadSequence("END without START")),
        (false, _) if data => Err(BadSequence("data before START")),
        (false, _) => Ok(()),
    }
}

// oap1 §5: `code` of `RESP|START` equals the status (0 is read as 200).
fn check_code(code: u16, status: u16) -> Result<(), BadMessage> {
    let read = if code == 0 { OK } else { code };
    if read == status { Ok(()) } else { Err(BadMessage::CodeMismatch) }
}
