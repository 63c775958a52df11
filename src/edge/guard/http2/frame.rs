//! The nine bytes that every frame begins with (RFC 9113 §4.1), and the little of a payload that tells what it is worth.

/// Bytes of a frame's head.
pub(super) const HEAD: usize = 9;

pub(super) const ACK: u8 = 0x1;
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;

/// What a frame is, as far as the guard cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Headers,
    Priority,
    RstStream,
    Settings,
    Ping,
    WindowUpdate,
    Continuation,
    /// PUSH_PROMISE, GOAWAY, and all that RFC 9113 does not know.
    Other,
}

/// A frame's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) flags: u8,
    pub(super) stream: u32,
    /// Bytes of the payload.
    pub(super) length: u32,
}

impl Frame {
    pub(super) fn parse(head: [u8; HEAD]) -> Self {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = head;
        let kind = match kind {
            0 => Kind::Data,
            1 => Kind::Headers,
            2 => Kind::Priority,
            3 => Kind::RstStream,
            4 => Kind::Settings,
            6 => Kind::Ping,
            8 => Kind::WindowUpdate,
            9 => Kind::Continuation,
            _ => Kind::Other,
        };
        let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
        Self { kind, flags, stream, length: u32::from_be_bytes([0, l0, l1, l2]) }
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Bytes of the payload that must be seen: an increment, or how much of the content is padding.
    pub(super) fn telling(&self) -> u8 {
        match self.kind {
            Kind::WindowUpdate if self.length == 4 => 4,
            Kind::Data if self.has(PADDED) && self.length > 0 => 1,
            _ => 0,
        }
    }

    /// Content of DATA, when its first byte is `padding`.
    pub(super) fn content(&self, padding: u8) -> u32 {
        match self.telling() {
            0 => self.length,
            _ => self.length.saturating_sub(1).saturating_sub(u32::from(padding)),
        }
    }
}
