//! The decoders behind one face: raw bytes in, plain bytes out, never more of them than there is room for.
//!
//! ```text
//!  Encoding ──▶ Decoder ─┬─ Gzip     members: header, Inflate, CRC and length, again
//!                        ├─ Deflate  two bytes tell zlib from raw, then Inflate
//!                        └─ Brotli   one byte tells the window, then the decoder
//! ```
//!
//! Only this folder names a decoder's crate. What plain bytes are too many is the guard's to say.

mod brotli;
mod deflate;
mod gzip;
mod header;
mod inflate;

use super::Encoding;
use super::memory::Reservation;

/// Why a decoder goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The bytes are not what they should be.
    Malformed,
    /// It would need more memory than one may have.
    TooLarge,
    /// It would need more memory than there is.
    Spent,
}

/// What a step did. `fault` is of what follows the bytes that were produced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) consumed: usize,
    pub(super) produced: usize,
    pub(super) fault: Option<Fault>,
}

impl Step {
    fn of(consumed: usize, produced: usize) -> Self {
        Self { consumed, produced, fault: None }
    }

    fn fault(fault: Fault) -> Self {
        Self { consumed: 0, produced: 0, fault: Some(fault) }
    }

    /// After the end: nothing may follow.
    fn past_the_end(raw: &[u8]) -> Self {
        if raw.is_empty() { Self::of(0, 0) } else { Self::fault(Fault::Malformed) }
    }
}

/// A decoder of one body.
#[derive(Debug)]
pub(super) enum Decoder {
    Gzip(gzip::Gzip),
    Deflate(deflate::Deflate),
    Brotli(brotli::Brotli),
}

impl Decoder {
    /// Decodes `encoding`; `None` where there is nothing to decode. Allocates when the first bytes come.
    pub(super) fn new(encoding: Encoding, reservation: impl Fn() -> Reservation) -> Option<Self> {
        match encoding {
            Encoding::Identity => None,
            Encoding::Gzip => Some(Self::Gzip(gzip::Gzip::new(reservation()))),
            Encoding::Deflate => Some(Self::Deflate(deflate::Deflate::new(reservation()))),
            Encoding::Brotli => Some(Self::Brotli(brotli::Brotli::new(reservation))),
        }
    }

    /// Takes what it can of `raw` and fills what it can of `out`, which is not empty. All that can be said of `raw`
    /// was said when all of it is consumed and `out` is not full.
    pub(super) fn step(&mut self, raw: &[u8], out: &mut [u8]) -> Step {
        match self {
            Self::Gzip(gzip) => gzip.step(raw, out),
            Self::Deflate(deflate) => deflate.step(raw, out),
            Self::Brotli(brotli) => brotli.step(raw, out),
        }
    }

    /// Whether what came is whole.
    pub(super) fn is_whole(&self) -> bool {
        match self {
            Self::Gzip(gzip) => gzip.is_whole(),
            Self::Deflate(deflate) => deflate.is_whole(),
            Self::Brotli(brotli) => brotli.is_whole(),
        }
    }

    /// Plain bytes before a fault that are not given out any more.
    pub(super) fn withheld(&self) -> u64 {
        match self {
            Self::Gzip(_) | Self::Deflate(_) => 0,
            Self::Brotli(brotli) => brotli.withheld(),
        }
    }
}
