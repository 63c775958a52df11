//! DEFLATE (RFC 1951), with or without zlib's frame (RFC 1950).

use flate2::{Decompress, FlushDecompress, Status};

use super::{Fault, Step};
use crate::caps::memory::Reservation;

/// What an inflater holds. zlib-ng allocates once, when it is made: 42,224 bytes, of which 32 KiB are the window.
const HELD: u64 = 48 * 1024;

/// One inflater, and the memory that it was given for.
#[derive(Debug)]
pub(super) struct Inflate {
    zlib: Decompress,
    ended: bool,
    _held: Reservation,
}

impl Inflate {
    /// An inflater of a stream with zlib's frame or of a raw one.
    pub(super) fn new(framed: bool, mut reservation: Reservation) -> Result<Self, Fault> {
        if !reservation.take(HELD) {
            return Err(Fault::Spent);
        }
        Ok(Self { zlib: Decompress::new(framed), ended: false, _held: reservation })
    }

    /// Begins another raw stream.
    pub(super) fn restart(&mut self) {
        self.zlib.reset(false);
        self.ended = false;
    }

    /// Whether the stream is at its end, with zlib's checksum if it has one.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// One step; consumes nothing past the end of the stream.
    pub(super) fn step(&mut self, raw: &[u8], out: &mut [u8]) -> Step {
        if self.ended {
            return Step::of(0, 0);
        }
        let (in_before, out_before) = (self.zlib.total_in(), self.zlib.total_out());
        // A stream that asks for a dictionary is an error here: HTTP knows none (RFC 1950 §2.2, FDICT).
        let status = self.zlib.decompress(raw, out, FlushDecompress::None);
        self.ended = matches!(status, Ok(Status::StreamEnd));
        Step {
            consumed: difference(self.zlib.total_in(), in_before),
            produced: difference(self.zlib.total_out(), out_before),
            fault: status.is_err().then_some(Fault::Malformed),
        }
    }
}

/// Both are of a buffer's length at most.
fn difference(after: u64, before: u64) -> usize {
    usize::try_from(after.saturating_sub(before)).unwrap_or(usize::MAX)
}
