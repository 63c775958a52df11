//! A gzip member's header (RFC 1952 §2.3), however it is cut. Nothing of it is kept: its names and comments are for
//! files.

use flate2::Crc;

use super::Fault;

const FHCRC: u8 = 1 << 1;
const FEXTRA: u8 = 1 << 2;
const FNAME: u8 = 1 << 3;
const FCOMMENT: u8 = 1 << 4;
// §2.3.1.2: reserved bits must be zero, and a decoder must say so when they are not.
const RESERVED: u8 = 0b1110_0000;
/// Bytes that are always there: magic, method, flags, time, extra flags, system.
const FIXED: u8 = 10;

/// Where in the header the next byte belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Fixed(u8),
    /// With the low byte of the length once that has come.
    ExtraLength(Option<u8>),
    /// So many bytes are left.
    Extra(u16),
    Name,
    Comment,
    /// With the first byte of the CRC once that has come.
    Check(Option<u8>),
    Over,
}

#[derive(Debug)]
pub(super) struct Header {
    at: At,
    flags: u8,
    crc: Crc,
}

impl Header {
    pub(super) fn new() -> Self {
        Self { at: At::Fixed(0), flags: 0, crc: Crc::new() }
    }

    /// Whether all of it has come.
    pub(super) fn is_over(&self) -> bool {
        self.at == At::Over
    }

    /// Consumes what belongs to the header; says how much that is.
    pub(super) fn take(&mut self, raw: &[u8]) -> Result<usize, Fault> {
        let mut left = raw;
        while self.at != At::Over
            && let Some(byte) = left.first()
        {
            let run = self.run(left).max(1);
            let (taken, rest) = left.split_at_checked(run).unwrap_or((left, &[]));
            // §2.3.1: the header's own CRC is of all before it.
            if !matches!(self.at, At::Check(_)) {
                self.crc.update(taken);
            }
            self.at = match self.at {
                At::Extra(left) => self.after_extra(left, taken),
                At::Name | At::Comment => self.after_text(taken),
                _ => self.after(*byte)?,
            };
            left = rest;
        }
        Ok(raw.len().saturating_sub(left.len()))
    }

    /// How many of these bytes go the same way: one, but for what is skipped.
    fn run(&self, raw: &[u8]) -> usize {
        match self.at {
            At::Extra(left) => raw.len().min(usize::from(left)),
            At::Name | At::Comment => memchr::memchr(0, raw).map_or(raw.len(), |end| end.saturating_add(1)),
            _ => 1,
        }
    }

    fn after(&mut self, byte: u8) -> Result<At, Fault> {
        match self.at {
            At::Fixed(n) => self.after_fixed(n, byte),
            At::ExtraLength(None) => Ok(At::ExtraLength(Some(byte))),
            At::ExtraLength(Some(low)) => Ok(match u16::from_le_bytes([low, byte]) {
                0 => self.next_of(FNAME),
                length => At::Extra(length),
            }),
            At::Check(None) => Ok(At::Check(Some(byte))),
            At::Check(Some(low)) => {
                let [.., high_sum, low_sum] = self.crc.sum().to_be_bytes();
                if (low, byte) == (low_sum, high_sum) { Ok(At::Over) } else { Err(Fault::Malformed) }
            }
            At::Extra(_) | At::Name | At::Comment | At::Over => Ok(self.at),
        }
    }

    fn after_fixed(&mut self, n: u8, byte: u8) -> Result<At, Fault> {
        let fits = match n {
            0 => byte == 0x1f,
            1 => byte == 0x8b,
            // §2.3.1: method 8 is DEFLATE, the others are reserved.
            2 => byte == 8,
            3 => {
                self.flags = byte;
                byte & RESERVED == 0
            }
            _ => true,
        };
        match n.saturating_add(1) {
            _ if !fits => Err(Fault::Malformed),
            FIXED => Ok(self.next_of(FEXTRA)),
            next => Ok(At::Fixed(next)),
        }
    }

    fn after_extra(&self, left: u16, taken: &[u8]) -> At {
        match left.saturating_sub(u16::try_from(taken.len()).unwrap_or(u16::MAX)) {
            0 => self.next_of(FNAME),
            left => At::Extra(left),
        }
    }

    fn after_text(&self, taken: &[u8]) -> At {
        match (taken.last(), self.at) {
            (Some(0), At::Name) => self.next_of(FCOMMENT),
            (Some(0), _) => self.next_of(FHCRC),
            _ => self.at,
        }
    }

    /// The first part from `flag` on that this header has, in the order of §2.3.
    fn next_of(&self, flag: u8) -> At {
        let parts = [
            (FEXTRA, At::ExtraLength(None)),
            (FNAME, At::Name),
            (FCOMMENT, At::Comment),
            (FHCRC, At::Check(None)),
        ];
        let mut rest = parts.into_iter().skip_while(|(part, _)| *part != flag);
        rest.find(|(part, _)| self.flags & part != 0).map_or(At::Over, |(_, at)| at)
    }
}
