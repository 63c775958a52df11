//! Frames into the output, counted and booked. It decides nothing: what may be sent is known to whoever calls.

use bytes::Bytes;

use super::counters::Counters;
use super::frame::{CONTROL, Flags, FrameHeader, HEADER_LEN, MAX_FRAME, StreamId};
use super::output::Output;

/// The sending end of a connection.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) output: Output,
    pub(super) counters: Counters,
    side: Flags,
    max_frame: u32,
}

impl Wire {
    /// `side` is the flag that this side sends with.
    pub(super) fn new(side: Flags) -> Self {
        Self { output: Output::default(), counters: Counters::default(), side, max_frame: MAX_FRAME }
    }

    pub(super) fn side(&self) -> Flags {
        self.side
    }

    pub(super) fn max_frame(&self) -> usize {
        self.max_frame as usize
    }

    pub(super) fn set_max_frame(&mut self, max_frame: u32) {
        self.max_frame = max_frame;
    }

    /// A frame of a stream. Says how many bytes it is.
    pub(super) fn put(&mut self, header: &FrameHeader, payload: Bytes) -> usize {
        self.put_start(header, [&[]; 3], payload)
    }

    /// A frame of a stream, with parts that are copied between its header and the rest of its payload.
    pub(super) fn put_start(&mut self, header: &FrameHeader, parts: [&[u8]; 3], payload: Bytes) -> usize {
        self.counters.sent.count(header);
        self.output.put(&header.to_bytes());
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            self.output.put(part);
        }
        if !payload.is_empty() {
            self.output.put_payload(payload);
        }
        self.output.book(header.stream)
    }

    /// Credit for a stream, booked on nobody. Says where it ends in the output.
    pub(super) fn put_ack(&mut self, id: StreamId, up_to: u64) -> u64 {
        let header = FrameHeader::http(id, self.side | Flags::ACK, 0, 8);
        self.put_unbooked(&header, &up_to.to_be_bytes());
        self.output.position()
    }

    /// HELLO or its answer.
    pub(super) fn put_hello(&mut self, id: StreamId, code: u16, payload: &[u8]) -> u64 {
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.put_unbooked(
            &FrameHeader { app_proto_id: CONTROL, ..FrameHeader::http(id, self.side, code, len) },
            payload,
        );
        self.output.position()
    }

    /// An event.
    pub(super) fn put_event(&mut self, code: u16) {
        let header =
            FrameHeader { app_proto_id: CONTROL, ..FrameHeader::http(StreamId(0), Flags::EVENT, code, 0) };
        self.put_unbooked(&header, &[]);
    }

    /// An answer for a stream that is not there: not processed.
    pub(super) fn put_refusal(&mut self, id: StreamId, code: u16) -> u64 {
        self.put_unbooked(&FrameHeader::http(id, self.side | Flags::END, code, 0), &[]);
        self.output.position()
    }

    fn put_unbooked(&mut self, header: &FrameHeader, payload: &[u8]) {
        self.counters.sent.count(header);
        self.output.put(&header.to_bytes());
        self.output.put(payload);
        debug_assert_eq!(header.len as usize, HEADER_LEN + payload.len(), "a frame is as long as it says");
        self.output.book_nobody();
    }
}
