//! The decode guard: what an encoded body may become, checked while it streams.
//!
//! Decoding goes in steps of at most 64 KiB, and a step has room for one byte more than the body may have at that
//! point: what is over a cap is found by that byte, and nothing after it is ever decoded.
//!
//! The ratio is that of decoded to raw bytes so far. A body is measured at fixed places, every few KiB of raw bytes,
//! and at its end, so that the verdict does not hang on how the network cut it: while the slice from one place to the
//! next is decoded, all of it counts as come. It is exact at each of them.
//!
//! It does not count the raw bytes against a cap (that is [`BodyCap`](super::BodyCap)'s), keep them, or edit a head:
//! whoever forwards in [`Mode::Decode`] drops `content-encoding`, `content-length` and digest fields.

use std::cell::Cell;
use std::sync::Arc;

use bytes::{Buf, Bytes};

use super::decode::{Decoder, Fault};
use super::memory::{Memory, Reservation};
use super::{Breach, Encoding, Mode};

/// The most plain bytes that exist at a time.
pub const STEP: usize = 64 * 1024;
/// Raw bytes from one measurement of the ratio to the next: until so many have come as a long slice has, and then. A
/// call of an inflater costs up to 32 KiB copied, so that short slices cost a fifth of the throughput.
const SHORT: u64 = 4 * 1024;
const LONG: u64 = 16 * 1024;

/// `limits.decode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Decoded bytes for each raw one at most, past the floor.
    pub ratio: u32,
    /// Decoded bytes that are not held against the ratio.
    pub floor: u64,
    /// Decoded bytes at most.
    pub max: u64,
    /// Bytes that all decoders together may hold.
    pub memory_total: u64,
}

impl Policy {
    /// What `raw` bytes may have become, and what it is when they became more.
    fn allowed(&self, raw: u64) -> (u64, Breach) {
        let by_ratio = raw.saturating_mul(u64::from(self.ratio)).max(self.floor);
        if by_ratio < self.max { (by_ratio, Breach::DecodedRatio) } else { (self.max, Breach::DecodedCap) }
    }
}

/// What a turn of a guard came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// This may be forwarded.
    Piece(Bytes),
    /// About a step's worth of work was done, and there is more to do: let others have a turn.
    Again,
    /// All raw bytes are used up, and nothing waits.
    Dry,
}

/// The guard of one body.
#[derive(Debug)]
pub struct Guard {
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// Nothing is decoded.
    Pass,
    Through(Box<Decoding>),
    /// It has ended, well or in a breach, and every further question has the same answer. The decoder is gone.
    Over {
        verdict: Result<(), Breach>,
        decoded: u64,
        forward_plain: bool,
    },
}

impl Guard {
    /// A guard for a body that is encoded so, on a route of this mode. It holds next to nothing until bytes come.
    ///
    /// # Errors
    /// [`Breach::Unsupported`] when the route rejects encoded bodies.
    pub fn new(encoding: Encoding, mode: Mode, policy: Policy, memory: &Arc<Memory>) -> Result<Self, Breach> {
        let forward_plain = match mode {
            Mode::Off => return Ok(Self::passing()),
            Mode::Reject if encoding != Encoding::Identity => return Err(Breach::Unsupported),
            Mode::Decode => true,
            Mode::Reject | Mode::Verify => false,
        };
        let reservation = || Reservation::new(memory, policy.memory_total);
        let way = match Decoder::new(encoding, reservation) {
            None => Way::Pass,
            Some(decoder) => {
                let plain = forward_plain.then(reservation);
                Way::Through(Box::new(Decoding::new(decoder, plain, policy)))
            }
        };
        Ok(Self { way })
    }

    /// A guard that looks at nothing.
    pub fn passing() -> Self {
        Self { way: Way::Pass }
    }

    /// Takes raw bytes from the front of `raw` and does some of the work that there is with them: no step of it is
    /// larger than 64 KiB, and two are the most. What may be forwarded is in [`Mode::Decode`] at most 64 KiB of plain
    /// bytes, else `raw` as it came, once all of it is found good. Call it with what is left in `raw` until it is
    /// [`Turn::Dry`].
    ///
    /// # Errors
    /// A [`Breach`] of what was decoded; the same again from then on.
    pub fn turn(&mut self, raw: &mut Bytes) -> Result<Turn, Breach> {
        let turn = match &mut self.way {
            Way::Pass if raw.is_empty() => Ok(Turn::Dry),
            Way::Pass => Ok(Turn::Piece(std::mem::take(raw))),
            Way::Over { verdict: Err(breach), .. } => Err(*breach),
            Way::Over { .. } if raw.is_empty() => Ok(Turn::Dry),
            // Whoever said that the body had ended was wrong.
            Way::Over { .. } => Err(Breach::Malformed),
            Way::Through(decoding) => decoding.turn(raw),
        };
        if let Err(breach) = &turn {
            let breach = *breach;
            self.end(Err(breach));
        }
        turn
    }

    /// As [`turn`](Self::turn), however much work it is: the next piece that may be forwarded, or `None` when `raw` is
    /// used up and nothing waits.
    ///
    /// # Errors
    /// As [`turn`](Self::turn).
    pub fn next_piece(&mut self, raw: &mut Bytes) -> Result<Option<Bytes>, Breach> {
        loop {
            match self.turn(raw)? {
                Turn::Piece(piece) => return Ok(Some(piece)),
                Turn::Again => {}
                Turn::Dry => return Ok(None),
            }
        }
    }

    /// Takes a whole piece, and gives `sink` all that may be forwarded for it.
    ///
    /// # Errors
    /// As [`turn`](Self::turn); what `sink` was given until then was good.
    pub fn take(&mut self, mut raw: Bytes, mut sink: impl FnMut(Bytes)) -> Result<(), Breach> {
        while let Some(piece) = self.next_piece(&mut raw)? {
            sink(piece);
        }
        Ok(())
    }

    /// The body has ended. To be asked before its end is forwarded. The decoder is let go.
    ///
    /// # Errors
    /// [`Breach::Malformed`] when it was cut short, [`Breach::DecodedRatio`] when what came last was too much, or the
    /// breach that there was.
    // A body without a byte is none, whatever its head says: there is nothing that could be decoded.
    pub fn finish(&mut self) -> Result<(), Breach> {
        let verdict = match &self.way {
            Way::Pass => return Ok(()),
            Way::Over { verdict, .. } => return *verdict,
            Way::Through(decoding) => decoding.verdict(),
        };
        self.end(verdict);
        verdict
    }

    /// Bytes that came out of the decoder, to be charged beside the raw ones; 0 where nothing is decoded.
    pub fn decoded(&self) -> u64 {
        match &self.way {
            Way::Pass => 0,
            Way::Over { decoded, .. } => *decoded,
            Way::Through(decoding) => decoding.decoded,
        }
    }

    /// Whether anything is decoded at all.
    pub fn decodes(&self) -> bool {
        !matches!(self.way, Way::Pass)
    }

    /// Whether the body is forwarded otherwise than it came, and the head must say so.
    pub fn rewrites(&self) -> bool {
        match &self.way {
            Way::Pass => false,
            Way::Over { forward_plain, .. } => *forward_plain,
            Way::Through(decoding) => decoding.plain.is_some(),
        }
    }

    fn end(&mut self, verdict: Result<(), Breach>) {
        let (decoded, forward_plain) = (self.decoded(), self.rewrites());
        self.way = Way::Over { verdict, decoded, forward_plain };
    }
}

/// A body on its way through a decoder.
#[derive(Debug)]
struct Decoding {
    decoder: Decoder,
    /// Where it is forwarded plain: the piece that goes on, counted as the decoder's.
    plain: Option<Reservation>,
    policy: Policy,
    raw: u64,
    decoded: u64,
    /// Raw bytes at the end of the present slice.
    bound: u64,
    /// The decoder may have more to give for what it has consumed of the present slice.
    draining: bool,
    /// What is being verified, until all of it is.
    piece: Bytes,
}

impl Decoding {
    fn new(decoder: Decoder, plain: Option<Reservation>, policy: Policy) -> Self {
        let piece = Bytes::new();
        Self { decoder, plain, policy, raw: 0, decoded: 0, bound: SHORT, draining: false, piece }
    }

    fn turn(&mut self, raw: &mut Bytes) -> Result<Turn, Breach> {
        if self.plain.is_none() && self.piece.is_empty() {
            self.piece = raw.clone();
        }
        let mut scratch = Scratch::take();
        let mut work = 0;
        while work < STEP {
            let before = raw.len();
            let Some(produced) = self.step(raw, &mut scratch)? else {
                let piece = std::mem::take(&mut self.piece);
                return Ok(if piece.is_empty() { Turn::Dry } else { Turn::Piece(piece) });
            };
            if self.plain.is_some() && produced > 0 {
                return Ok(Turn::Piece(scratch.piece(produced)));
            }
            // At least 1, so that it comes to an end.
            work += produced.max(before.saturating_sub(raw.len())).max(1);
        }
        Ok(Turn::Again)
    }

    /// One step of the decoder; says how much it left in `scratch`, or `None` when it has nothing to go on.
    fn step(&mut self, raw: &mut Bytes, scratch: &mut Scratch) -> Result<Option<usize>, Breach> {
        if !self.draining {
            if raw.is_empty() {
                return Ok(None);
            }
            if self.raw >= self.bound {
                let slice = if self.bound < LONG { SHORT } else { LONG };
                self.bound = self.bound.saturating_add(slice);
            }
        }
        let (allowed, breach) = self.policy.allowed(self.bound);
        // One byte more than there may be, so that too many show.
        let room = length(allowed.saturating_sub(self.decoded).saturating_add(1), STEP);
        let slice = length(self.bound.saturating_sub(self.raw), raw.len());
        if let Some(plain) = &mut self.plain
            && plain.held() == 0
            && !plain.take(STEP as u64)
        {
            return Err(Breach::Degraded);
        }
        let out = scratch.first(room);
        let step = self.decoder.step(raw.get(..slice).unwrap_or_default(), out);
        raw.advance(step.consumed.min(slice));
        self.raw = self.raw.saturating_add(step.consumed as u64);
        self.decoded = self.decoded.saturating_add(step.produced as u64);
        self.draining = step.produced == room || step.consumed < slice;
        let stuck = slice != 0 && step.consumed == 0 && step.produced == 0;
        let withheld = if step.fault.is_some() { self.decoder.withheld() } else { 0 };
        match step.fault {
            _ if self.decoded.saturating_add(withheld) > allowed => Err(breach),
            Some(Fault::Spent) => Err(Breach::Degraded),
            Some(Fault::TooLarge) => Err(Breach::DecodedCap),
            Some(Fault::Malformed) => Err(Breach::Malformed),
            None if stuck => Err(Breach::Malformed),
            None => Ok(Some(step.produced)),
        }
    }

    fn verdict(&self) -> Result<(), Breach> {
        match self.policy.allowed(self.raw) {
            (allowed, breach) if self.decoded > allowed => Err(breach),
            _ if self.raw == 0 || self.decoder.is_whole() => Ok(()),
            _ => Err(Breach::Malformed),
        }
    }
}

fn length(bytes: u64, most: usize) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX).min(most)
}

/// Where a step's plain bytes are for a moment: the thread's, since no step waits for anything.
struct Scratch(Box<[u8]>);

thread_local! {
    static SCRATCH: Cell<Box<[u8]>> = Cell::default();
}

impl Scratch {
    fn take() -> Self {
        let mut bytes = SCRATCH.take();
        if bytes.is_empty() {
            bytes = vec![0; STEP].into_boxed_slice();
        }
        Self(bytes)
    }

    fn first(&mut self, room: usize) -> &mut [u8] {
        let room = room.min(self.0.len());
        self.0.get_mut(..room).unwrap_or_default()
    }

    /// The first `produced` bytes, to be passed on: as they are where they fill it well. A small piece is copied, so that
    /// it does not pin a whole step.
    fn piece(mut self, produced: usize) -> Bytes {
        if produced < STEP / 2 {
            return Bytes::copy_from_slice(self.first(produced));
        }
        Bytes::from_owner(Filled { scratch: self, len: produced })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            // One is kept; a thread that ends keeps none.
            let _ = SCRATCH.try_with(|kept| kept.set(std::mem::take(&mut self.0)));
        }
    }
}

/// A step that goes on. Whoever has passed it on has it for the next one, so that none is made and zeroed anew.
struct Filled {
    scratch: Scratch,
    len: usize,
}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        self.scratch.0.get(..self.len).unwrap_or_default()
    }
}
