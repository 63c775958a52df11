//! A chunked body (RFC 9112 §7.1), checked byte by byte where it frames and passed whole where it does not.
//!
//! Chunks pass as they come; the trailer section is held until it is whole and checked, so that no body seems to end
//! whose trailers are malformed.

use super::head::check_bytes;
use super::lines::Lines;
use super::{Breach, Fault, Policy, Progress, field};

/// Digits of a chunk's size: what fits every parser's integers.
const MAX_DIGITS: u8 = 15;
// RFC 9112 §7.1.1: a server ought to limit the total length of chunk extensions received in a request.
/// Bytes of all extensions of a body. Nobody is known to use any.
const MAX_EXTENSIONS: u16 = 1024;

/// A chunked body of which some has been read.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    at: At,
    extensions: u16,
}

#[derive(Debug)]
enum At {
    Size { size: u64, digits: u8 },
    Extension { size: u64 },
    SizeLf { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    Trailers { lines: Lines, fields: u32 },
    Wrong(Breach),
}

impl Default for At {
    fn default() -> Self {
        Self::Size { size: 0, digits: 0 }
    }
}

impl Chunked {
    /// Bytes of the trailer section that are held.
    pub(super) fn seen(&self) -> usize {
        if let At::Trailers { lines, .. } = &self.at { lines.seen() } else { 0 }
    }

    /// As many bytes as are right. What is wrong is said when nothing stands before it.
    pub(super) fn read(&mut self, held: &[u8], policy: &Policy) -> Result<Progress, Breach> {
        let mut rest = held;
        loop {
            let len = held.len().saturating_sub(rest.len());
            match &mut self.at {
                _ if rest.is_empty() => return Ok(Progress::Body { len, ends: false }),
                At::Trailers { .. } | At::Wrong(_) if len > 0 => {
                    return Ok(Progress::Body { len, ends: false });
                }
                At::Wrong(breach) => return Err(*breach),
                At::Trailers { lines, fields } => return trailers(lines, fields, held, policy),
                At::Data { left } => rest = pass(left, rest),
                _ => rest = self.frame(rest),
            }
            if matches!(self.at, At::Data { left: 0 }) {
                self.at = At::DataCr;
            }
        }
    }

    /// Takes one byte of what stands between chunks.
    fn frame<'h>(&mut self, rest: &'h [u8]) -> &'h [u8] {
        let Some((byte, after)) = rest.split_first() else { return rest };
        match self.next(*byte) {
            Ok(next) => {
                self.at = next;
                after
            }
            Err(fault) => {
                self.at = At::Wrong(fault.into());
                rest
            }
        }
    }

    fn next(&mut self, byte: u8) -> Result<At, Fault> {
        Ok(match (&self.at, byte) {
            (At::Size { size, digits }, byte) if byte.is_ascii_hexdigit() && *digits < MAX_DIGITS => {
                At::Size { size: size << 4 | u64::from(hex(byte)), digits: digits.saturating_add(1) }
            }
            // Neither space nor LF may follow the digits.
            (At::Size { size, digits: 1.. }, b'\r') => At::SizeLf { size: *size },
            (At::Size { size, digits: 1.. }, b';') => At::Extension { size: self.extend(*size)? },
            (At::Size { .. }, _) => return Err(Fault::ChunkSize),
            (At::Extension { size }, b'\r') => At::SizeLf { size: *size },
            (At::Extension { size }, b'\t' | b' '..=b'~') => At::Extension { size: self.extend(*size)? },
            (At::Extension { .. }, _) => return Err(Fault::ChunkExtension),
            (At::SizeLf { size: 0 }, b'\n') => At::Trailers { lines: Lines::default(), fields: 0 },
            (At::SizeLf { size }, b'\n') => At::Data { left: *size },
            (At::SizeLf { .. }, _) => return Err(Fault::ChunkSize),
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::default(),
            _ => return Err(Fault::ChunkEnd),
        })
    }

    fn extend(&mut self, size: u64) -> Result<u64, Fault> {
        self.extensions = self.extensions.saturating_add(1);
        if self.extensions > MAX_EXTENSIONS { Err(Fault::ChunkExtension) } else { Ok(size) }
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit & 0x0f,
        letter => (letter & 0x0f).saturating_add(9),
    }
}

fn pass<'h>(left: &mut u64, rest: &'h [u8]) -> &'h [u8] {
    let n = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
    *left = left.saturating_sub(n as u64);
    rest.get(n..).unwrap_or_default()
}

fn trailers(lines: &mut Lines, fields: &mut u32, held: &[u8], policy: &Policy) -> Result<Progress, Breach> {
    loop {
        let line = lines.next(held);
        check_bytes(&line, policy)?;
        match line.content()? {
            None => return Ok(Progress::NeedMore),
            Some([]) => return Ok(Progress::Body { len: line.end(), ends: true }),
            Some(content) => {
                field::count(fields, policy)?;
                let (name, _) = field::split(content)?;
                field::check_trailer(name)?;
            }
        }
    }
}
