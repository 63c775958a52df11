//! The coding `deflate`: zlib's format as RFC 9110 §8.4.1.2 has it, or raw DEFLATE, which many send instead.
//!
//! The first two bytes tell: a zlib header has method 8, a window of at most 32 KiB and a check value (RFC 1950 §2.2).
//! A raw stream that looks like one would begin with a stored block whose padding is not zero, which no encoder writes.

use super::inflate::Inflate;
use super::{Fault, Step};
use crate::caps::memory::Reservation;

#[derive(Debug)]
enum State {
    Start,
    First(u8),
    Body(Inflate),
}

/// A decoder that has yet to find out which of the two it is.
#[derive(Debug)]
pub(in crate::caps) struct Deflate {
    state: State,
    reservation: Option<Reservation>,
}

impl Deflate {
    pub(super) fn new(reservation: Reservation) -> Self {
        Self { state: State::Start, reservation: Some(reservation) }
    }

    pub(super) fn step(&mut self, raw: &[u8], out: &mut [u8]) -> Step {
        match (&mut self.state, raw.first()) {
            (State::Start | State::First(_), None) => Step::of(0, 0),
            (State::Start, Some(first)) => {
                self.state = State::First(*first);
                Step::of(1, 0)
            }
            (State::First(first), Some(second)) => {
                let head = [*first, *second];
                self.begin(head, out).unwrap_or_else(Step::fault)
            }
            (State::Body(inflate), _) if inflate.has_ended() => Step::past_the_end(raw),
            (State::Body(inflate), _) => inflate.step(raw, out),
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        matches!(&self.state, State::Body(inflate) if inflate.has_ended())
    }

    fn begin(&mut self, head: [u8; 2], out: &mut [u8]) -> Result<Step, Fault> {
        let reservation = self.reservation.take().ok_or(Fault::Malformed)?;
        let mut inflate = Inflate::new(is_zlib(head), reservation)?;
        // Two bytes are a header or at most one literal (3 bits of a block's head, 8 of the literal), for which there
        // is room, and no stream ends in the first of them: all of it is consumed.
        let step = inflate.step(&head, out);
        self.state = State::Body(inflate);
        match (step.fault, step.consumed) {
            (Some(fault), _) => Err(fault),
            (None, 2) => Ok(Step { consumed: 1, ..step }),
            (None, _) => Err(Fault::Malformed),
        }
    }
}

fn is_zlib([cmf, flg]: [u8; 2]) -> bool {
    cmf & 0x0f == 8 && cmf >> 4 <= 7 && u16::from_be_bytes([cmf, flg]) % 31 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zlib_header_is_told_from_everything_else() {
        for (head, zlib) in [
            ([0x78, 0x01], true),
            ([0x78, 0x5e], true),
            ([0x78, 0x9c], true),
            ([0x78, 0xda], true),
            // The smallest window.
            ([0x08, 0x1d], true),
            // A dictionary is asked for.
            ([0x78, 0xbb], true),
            ([0x78, 0x9d], false),
            ([0x88, 0x1c], false),
            // Raw: the last block, with fixed codes, dynamic ones, stored; not the last.
            ([0x03, 0x00], false),
            ([0x4b, 0x04], false),
            ([0x05, 0xc1], false),
            ([0x01, 0x05], false),
            ([0x00, 0x05], false),
        ] {
            assert_eq!(is_zlib(head), zlib, "{head:02x?}");
        }
        assert!((0..=u16::MAX).filter(|head| is_zlib(head.to_be_bytes())).count() < 70);
    }
}
