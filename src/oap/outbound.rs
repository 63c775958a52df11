//! What is sent on one stream: how much of it now, and in which frames.

use bytes::Bytes;

use super::CHUNK;
use super::credit::SendCredit;
use super::frame::{Flags, FrameHeader, StreamId};
use super::wire::Wire;
use crate::bhttp::{Varint, varint_len};

/// While this much of a stream is unsent it is not woken to send more: frames of a few bytes would be the result.
const LOW: usize = CHUNK / 2;
/// Room below this many bytes is not used, for the same reason.
const WORTH_A_FRAME: usize = 4 * 1024;

/// What became of data that was offered for sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// All of it is queued, END too if it was wanted.
    All,
    /// Some of it is left; the stream is woken when there is room again.
    Blocked,
    /// Nothing more may be sent on this stream: the answer has ended, or the stream has.
    Closed,
}

/// One direction of a stream, as its sender sees it.
#[derive(Debug)]
pub(super) struct Outbound {
    pub(super) credit: SendCredit,
    /// Bytes of the stream in the output, headers included.
    pub(super) unsent: usize,
    /// Where its last byte is in the output.
    pub(super) position: u64,
    pub(super) ended: bool,
    waits: Waits,
}

/// What a stream is to be woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    No,
    /// It has something to send.
    ToSend,
    /// It makes no more before all of it is out.
    ToMake,
}

/// What opens a stream or an answer, beside its content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start<'a> {
    pub(super) id: StreamId,
    pub(super) flags: Flags,
    pub(super) code: u16,
    pub(super) tenant_id: u128,
    pub(super) capability: &'a [u8],
    pub(super) head: &'a [u8],
}

impl Outbound {
    pub(super) fn new(window: Option<u32>) -> Self {
        Self { credit: SendCredit::new(window), unsent: 0, position: 0, ended: false, waits: Waits::No }
    }

    /// Queues as much of `data` as may be sent now, END with its last byte if `end`.
    pub(super) fn send(&mut self, wire: &mut Wire, id: StreamId, data: &mut Bytes, end: bool) -> Sent {
        if self.ended {
            return Sent::Closed;
        }
        while !data.is_empty() {
            let len = self.room(data.len()).min(wire.max_frame() - super::HEADER_LEN);
            if len == 0 {
                self.waits = Waits::ToSend;
                return Sent::Blocked;
            }
            let piece = data.split_to(len);
            self.ended = end && data.is_empty();
            self.credit.take(len);
            let flags = wire.side().with(Flags::END, self.ended);
            let len = u32::try_from(len).unwrap_or(u32::MAX);
            let queued = wire.put(&FrameHeader::http(id, flags, 0, len), piece);
            self.queued(wire, queued);
        }
        if end && !self.ended {
            self.end(wire, id, 0);
        }
        Sent::All
    }

    /// Queues START with as much of `content` as may be sent now; `None` if not even the head fits.
    pub(super) fn start(
        &mut self,
        wire: &mut Wire,
        start: Start<'_>,
        content: &mut Bytes,
        end: bool,
    ) -> Option<Sent> {
        let capability_len = u16::try_from(start.capability.len()).ok()?;
        let fixed = super::HEADER_LEN + start.capability.len();
        let space = wire.max_frame().checked_sub(fixed)?.min(self.credit.available() as usize);
        let space = space.checked_sub(start.head.len())?;
        let wanted = content.len().min(CHUNK);
        let piece = content.split_to(wanted.min(space.saturating_sub(varint_len(wanted as u64))));
        self.ended = end && content.is_empty();

        let length = Varint::new(piece.len() as u64);
        // oap1 §5: no content section means that content follows in frames.
        let length = if piece.is_empty() { &[] } else { length.as_ref() };
        let payload = start.head.len() + length.len() + piece.len();
        let header = FrameHeader {
            len: u32::try_from(fixed + payload).ok()?,
            flags: (start.flags | Flags::START).with(Flags::END, self.ended),
            capability_len,
            tenant_id: start.tenant_id,
            ..FrameHeader::http(start.id, start.flags, start.code, 0)
        };
        self.credit.take(payload);
        let queued = wire.put_start(&header, [start.capability, start.head, length], piece);
        self.queued(wire, queued);
        if content.is_empty() {
            return Some(Sent::All);
        }
        self.waits = Waits::ToSend;
        Some(Sent::Blocked)
    }

    /// Queues an END without payload.
    pub(super) fn end(&mut self, wire: &mut Wire, id: StreamId, code: u16) {
        self.ended = true;
        let queued = wire.put(&FrameHeader::http(id, wire.side() | Flags::END, code, 0), Bytes::new());
        self.queued(wire, queued);
    }

    /// Whether little enough waits to be written that more should be made; else the stream is woken when nothing does.
    // A piece that is half out is held whole.
    pub(super) fn has_room(&mut self) -> bool {
        let room = self.unsent <= LOW;
        if !room {
            self.waits = Waits::ToMake;
        }
        room
    }

    /// Whether what it waited for is there; says so once.
    pub(super) fn take_unblocked(&mut self) -> bool {
        let unblocked = match self.waits {
            Waits::No => false,
            Waits::ToSend => self.unsent <= LOW && self.credit.available() > 0,
            Waits::ToMake => self.unsent == 0,
        };
        if unblocked {
            self.waits = Waits::No;
        }
        unblocked
    }

    fn queued(&mut self, wire: &Wire, bytes: usize) {
        self.unsent += bytes;
        self.position = wire.output.position();
    }

    // oap1 §4: a sender with any credit left sends what fits.
    fn room(&self, wanted: usize) -> usize {
        let budget = CHUNK.saturating_sub(self.unsent);
        if budget < wanted.min(WORTH_A_FRAME) {
            return 0;
        }
        wanted.min(budget).min(self.credit.available() as usize)
    }
}
