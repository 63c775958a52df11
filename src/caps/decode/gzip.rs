//! The coding `gzip` (RFC 1952): members one after another are one stream (§2.2).
//!
//! After a member nothing may follow but another. gzip(1) passes over zeros there, which tapes left, and over other
//! bytes with a warning; here both are malformed, since readers do not agree on what they mean. A member without
//! content weighs 20 bytes and takes some 0.13 µs to decode: the cap on raw bytes is the bound on their number.

use flate2::Crc;

use super::header::Header;
use super::inflate::Inflate;
use super::{Fault, Step};
use crate::caps::memory::Reservation;

/// CRC-32 and length of what a member holds, each 4 bytes, little-endian.
const TRAILER: usize = 8;

#[derive(Debug)]
enum At {
    Header(Header),
    Body,
    /// So many bytes of it have come.
    Trailer([u8; TRAILER], usize),
    /// Between members, or at the end.
    Between,
}

/// A decoder of members.
#[derive(Debug)]
pub(in crate::caps) struct Gzip {
    at: At,
    reservation: Option<Reservation>,
    inflate: Option<Inflate>,
    crc: Crc,
}

impl Gzip {
    pub(super) fn new(reservation: Reservation) -> Self {
        let at = At::Header(Header::new());
        Self { at, reservation: Some(reservation), inflate: None, crc: Crc::new() }
    }

    /// Goes through as many parts of members as there are in `raw`, until `out` is full.
    pub(super) fn step(&mut self, raw: &[u8], out: &mut [u8]) -> Step {
        let mut all = Step::of(0, 0);
        loop {
            let rest = raw.get(all.consumed..).unwrap_or_default();
            let room = out.get_mut(all.produced..).unwrap_or_default();
            let step = self.part(rest, room).unwrap_or_else(Step::fault);
            all.consumed = all.consumed.saturating_add(step.consumed);
            all.produced = all.produced.saturating_add(step.produced);
            all.fault = step.fault;
            let moved = step.consumed != 0 || step.produced != 0;
            if !moved || all.fault.is_some() || all.produced >= out.len() {
                return all;
            }
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        matches!(self.at, At::Between)
    }

    fn part(&mut self, raw: &[u8], out: &mut [u8]) -> Result<Step, Fault> {
        match &mut self.at {
            At::Header(header) => {
                let taken = header.take(raw)?;
                if header.is_over() {
                    self.begin()?;
                }
                Ok(Step::of(taken, 0))
            }
            At::Body => self.body(raw, out),
            At::Trailer(trailer, came) => {
                let room = trailer.get_mut(*came..).unwrap_or_default();
                let taken = room.len().min(raw.len());
                room.iter_mut().zip(raw).for_each(|(to, from)| *to = *from);
                *came = came.saturating_add(taken);
                if *came == TRAILER {
                    let trailer = *trailer;
                    self.check(trailer)?;
                }
                Ok(Step::of(taken, 0))
            }
            At::Between if raw.is_empty() => Ok(Step::of(0, 0)),
            At::Between => {
                self.at = At::Header(Header::new());
                self.part(raw, out)
            }
        }
    }

    fn begin(&mut self) -> Result<(), Fault> {
        match (&mut self.inflate, self.reservation.take()) {
            (Some(inflate), _) => inflate.restart(),
            (none, Some(reservation)) => *none = Some(Inflate::new(false, reservation)?),
            (None, None) => return Err(Fault::Spent),
        }
        self.crc.reset();
        self.at = At::Body;
        Ok(())
    }

    fn body(&mut self, raw: &[u8], out: &mut [u8]) -> Result<Step, Fault> {
        let inflate = self.inflate.as_mut().ok_or(Fault::Malformed)?;
        let step = inflate.step(raw, out);
        self.crc.update(out.get(..step.produced).unwrap_or_default());
        if inflate.has_ended() {
            self.at = At::Trailer([0; TRAILER], 0);
        }
        Ok(step)
    }

    // RFC 1952 §2.3.1: CRC32 of the content, and its length modulo 2^32.
    fn check(&mut self, trailer: [u8; TRAILER]) -> Result<(), Fault> {
        let [a, b, c, d, e, f, g, h] = trailer;
        let (sum, length) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        if sum != self.crc.sum() || length != self.crc.amount() {
            return Err(Fault::Malformed);
        }
        self.at = At::Between;
        Ok(())
    }
}
