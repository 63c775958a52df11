//! What a connection has done since it was last asked. Facts only: whoever asks turns them into metrics.

use super::frame::{CONTROL, Flags, FrameHeader};

/// Frames by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameCounts {
    /// HELLO and its answer.
    pub hello: u64,
    /// Frames with START.
    pub start: u64,
    /// Frames of a stream without START, END included.
    pub data: u64,
    /// Returned credit.
    pub ack: u64,
    /// Events.
    pub event: u64,
}

impl FrameCounts {
    /// Each kind with its metric label.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("hello", self.hello),
            ("start", self.start),
            ("data", self.data),
            ("ack", self.ack),
            ("event", self.event),
        ]
        .into_iter()
    }

    pub(super) fn count(&mut self, header: &FrameHeader) {
        let flags = header.flags;
        if flags.contains(Flags::EVENT) {
            self.event += 1;
        } else if header.app_proto_id == CONTROL {
            self.hello += 1;
        } else if flags.contains(Flags::ACK) {
            self.ack += 1;
        } else if flags.contains(Flags::START) {
            self.start += 1;
        } else {
            self.data += 1;
        }
    }
}

/// Facts about a connection since they were last taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames received.
    pub received: FrameCounts,
    /// Frames encoded for sending.
    pub sent: FrameCounts,
    /// Of those received: for a stream that is no longer or never was open, and dropped therefore.
    pub dropped: u64,
}
