//! The coding `br` (RFC 7932). The stream's window is read from its first byte, before anything is allocated; what the
//! decoder allocates is counted in advance, and refused when it is too much for one or for all.

use brotli_decompressor::{
    Allocator, BrotliDecompressStream, BrotliResult, BrotliState, SliceWrapper, SliceWrapperMut,
};

use super::{Fault, Step};
use crate::caps::memory::Reservation;

/// http.md §7: a brotli window of at most 4 MiB, as bits.
const LARGEST_WINDOW: u8 = 22;
/// What the prefix code tables of one decoder may take. Encoders of ordinary data need up to 0.4 MiB (quality 5 to 9,
/// much less at 11), the format allows some 3.3 MiB: 256 trees of each of three kinds, 1,080 entries of 4 bytes each.
const TABLES: u64 = 1 << 20;
/// Context maps (at most 256 × 64 and 256 × 4 bytes), modes, and what the ring has beyond its size.
const MAPS: u64 = 32 << 10;

/// What the first byte says of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Window {
    /// So many bits, less 16 bytes.
    Bits(u8),
    /// The extension that is known as large-window brotli, and no part of RFC 7932.
    Large,
    /// Not a code for a window.
    Invalid,
}

/// Reads WBITS (RFC 7932 §9.1), 1 to 7 bits that are all in the first byte.
fn window_of(first: u8) -> Window {
    match (first & 1, first >> 1 & 7, first >> 4 & 7) {
        (0, _, _) => Window::Bits(16),
        (_, 0, 0) => Window::Bits(17),
        // 0b0010001 is no window; followed by a zero bit it announces a large one.
        (_, 0, 1) if first >> 7 == 0 => Window::Large,
        (_, 0, 1) => Window::Invalid,
        (_, 0, n) => Window::Bits(8_u8.saturating_add(n)),
        (_, n, _) => Window::Bits(17_u8.saturating_add(n)),
    }
}

type State = BrotliState<Counted, Counted, Counted>;

/// A decoder that has yet to see its window.
pub(in crate::caps) struct Brotli {
    at: At,
    reservations: Option<[Reservation; 3]>,
}

enum At {
    Start,
    Body(Box<State>),
    End,
}

impl std::fmt::Debug for Brotli {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Brotli").finish_non_exhaustive()
    }
}

impl Brotli {
    pub(super) fn new(reservation: impl Fn() -> Reservation) -> Self {
        Self { at: At::Start, reservations: Some([reservation(), reservation(), reservation()]) }
    }

    pub(super) fn step(&mut self, raw: &[u8], out: &mut [u8]) -> Step {
        match (&mut self.at, raw.first()) {
            (At::Start, None) => Step::of(0, 0),
            (At::Start, Some(first)) => match self.begin(*first) {
                Ok(()) => self.step(raw, out),
                Err(fault) => Step::fault(fault),
            },
            (At::Body(state), _) => {
                let (step, ended) = run(state, raw, out);
                if ended {
                    self.at = At::End;
                }
                step
            }
            (At::End, _) => Step::past_the_end(raw),
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        matches!(self.at, At::End)
    }

    /// What had been decoded before an error, and was not written out for it.
    pub(super) fn withheld(&self) -> u64 {
        let At::Body(state) = &self.at else { return 0 };
        let ring = u64::try_from(state.ringbuffer_size).unwrap_or_default();
        let at = u64::try_from(state.pos).unwrap_or_default().min(ring);
        state.rb_roundtrips.saturating_mul(ring).saturating_add(at).saturating_sub(state.partial_pos_out)
    }

    fn begin(&mut self, first: u8) -> Result<(), Fault> {
        let window = match window_of(first) {
            Window::Bits(bits) if bits <= LARGEST_WINDOW => 1_u64 << bits,
            Window::Bits(_) | Window::Large => return Err(Fault::TooLarge),
            Window::Invalid => return Err(Fault::Malformed),
        };
        let [bytes, words, mut codes] = self.reservations.take().ok_or(Fault::Malformed)?;
        let itself = u64::try_from(size_of::<State>()).unwrap_or(u64::MAX);
        if !codes.take(itself) {
            return Err(Fault::Spent);
        }
        // The ring grows with the stream: while it does, the old one, half as large, is there as well.
        let rings = window.saturating_add(window / 2).saturating_add(MAPS);
        let state = State::new_strict(
            Counted::new(bytes, rings),
            Counted::new(words, MAPS),
            Counted::new(codes, TABLES.saturating_add(itself)),
        );
        self.at = At::Body(Box::new(state));
        Ok(())
    }
}

/// One step of the decoder, and whether the stream is at its end.
fn run(state: &mut State, raw: &[u8], out: &mut [u8]) -> (Step, bool) {
    let (mut left, mut consumed) = (raw.len(), 0);
    let (mut room, mut produced) = (out.len(), 0);
    let mut total = 0;
    let result = BrotliDecompressStream(
        &mut left,
        &mut consumed,
        raw,
        &mut room,
        &mut produced,
        out,
        &mut total,
        state,
    );
    let fault = match result {
        BrotliResult::ResultFailure => Some(fault_of(state)),
        _ => None,
    };
    (Step { consumed, produced, fault }, matches!(result, BrotliResult::ResultSuccess))
}

/// A decoder that was refused memory fails like one that has read nonsense.
fn fault_of(state: &State) -> Fault {
    let refused = [state.alloc_u8.refused, state.alloc_u32.refused, state.alloc_hc.refused];
    refused.into_iter().flatten().next().unwrap_or(Fault::Malformed)
}

/// Gives a decoder memory as long as there is any for it.
struct Counted {
    reservation: Reservation,
    /// What this one may hold.
    most: u64,
    refused: Option<Fault>,
}

impl Counted {
    fn new(reservation: Reservation, most: u64) -> Self {
        Self { reservation, most, refused: None }
    }

    fn allow(&mut self, bytes: u64) -> bool {
        if self.reservation.held().saturating_add(bytes) > self.most {
            self.refused = Some(Fault::TooLarge);
        } else if !self.reservation.take(bytes) {
            self.refused = Some(Fault::Spent);
        }
        self.refused.is_none()
    }
}

impl<T: Clone + Default> Allocator<T> for Counted {
    type AllocatedMemory = Cell<T>;

    /// Memory, or none: an empty cell, which the decoder takes for a failed allocation.
    fn alloc_cell(&mut self, len: usize) -> Cell<T> {
        if self.allow(bytes_of::<T>(len)) { Cell(vec![T::default(); len]) } else { Cell::default() }
    }

    fn free_cell(&mut self, cell: Cell<T>) {
        self.reservation.give_back(bytes_of::<T>(cell.0.len()));
    }
}

fn bytes_of<T>(len: usize) -> u64 {
    u64::try_from(len.saturating_mul(size_of::<T>())).unwrap_or(u64::MAX)
}

/// A piece of a decoder's memory.
struct Cell<T>(Vec<T>);

impl<T> Default for Cell<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> SliceWrapper<T> for Cell<T> {
    fn slice(&self) -> &[T] {
        &self.0
    }
}

impl<T> SliceWrapperMut<T> for Cell<T> {
    fn slice_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}
