//! From bytes to heads, however few of them have arrived: the length of a head is known, and held against its bound,
//! long before its last byte.

use bytes::Bytes;

use super::varint::take_varint;
use super::{BadMessage, Fields, MAX_HEAD, RequestHead, ResponseHead};

/// How far a head has got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress<T> {
    /// At least so many bytes in all (those here included) are needed to get on.
    Needs(usize),
    /// The head is whole and took that many bytes; content may follow them.
    Complete {
        /// The head.
        head: T,
        /// Bytes of the head.
        consumed: usize,
    },
}

/// Reads a request head off the front of `bytes`: all that has arrived of a message of `total` bytes.
///
/// # Errors
///
/// What oap1 §5 does not allow, as soon as it can be seen.
pub fn parse_request_head(bytes: &Bytes, total: usize) -> Result<Progress<RequestHead>, BadMessage> {
    let mut scan = Scan { bytes, at: 0, total };
    scan.finish(|scan| {
        scan.framing(0)?;
        let method = scan.string()?;
        check(!method.is_empty() && method.iter().all(|byte| is_token_byte(*byte)))?;
        let scheme = scan.string()?;
        check(is_scheme(&scheme))?;
        let authority = scan.string()?;
        check(!authority.is_empty() && authority.iter().all(u8::is_ascii_graphic))?;
        let path = scan.string()?;
        check(is_path(&path))?;
        let fields = scan.fields()?;
        Ok(RequestHead { method, scheme, authority, path, fields })
    })
}

/// Reads a response head off the front of `bytes`: all that has arrived of a message of `total` bytes.
///
/// # Errors
///
/// What oap1 §5 does not allow, as soon as it can be seen.
pub fn parse_response_head(bytes: &Bytes, total: usize) -> Result<Progress<ResponseHead>, BadMessage> {
    let mut scan = Scan { bytes, at: 0, total };
    scan.finish(|scan| {
        scan.framing(1)?;
        // oap1 §5: 200–599; informational responses are not sent.
        let status = u16::try_from(scan.number()?).map_err(|_| BadMessage::Status)?;
        if !is_status(status) {
            return Err(BadMessage::Status.into());
        }
        Ok(ResponseHead { status, fields: scan.fields()? })
    })
}

pub(super) fn is_status(status: u16) -> bool {
    (200..=599).contains(&status)
}

pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

pub(super) fn is_scheme(scheme: &[u8]) -> bool {
    scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
}

// oap1 §5: path and query cross as they came: what HTTP/1 lets through between two spaces.
pub(super) fn is_path(path: &[u8]) -> bool {
    (path.starts_with(b"/") || path == b"*") && path.iter().all(|byte| *byte > b' ' && *byte != 0x7f)
}

fn check(good: bool) -> Result<(), Stop> {
    if good { Ok(()) } else { Err(BadMessage::ControlData.into()) }
}

/// Why a scan did not reach the end of the head.
enum Stop {
    Needs(usize),
    Bad(BadMessage),
}

impl From<BadMessage> for Stop {
    fn from(bad: BadMessage) -> Self {
        Self::Bad(bad)
    }
}

/// A position in the front part of a message.
struct Scan<'a> {
    bytes: &'a Bytes,
    at: usize,
    total: usize,
}

impl Scan<'_> {
    fn finish<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Stop>,
    ) -> Result<Progress<T>, BadMessage> {
        match read(self) {
            Ok(_) if self.at > MAX_HEAD => Err(BadMessage::TooLarge),
            Ok(head) => Ok(Progress::Complete { head, consumed: self.at }),
            Err(Stop::Bad(bad)) => Err(bad),
            // oap1 §5: a head is at most 80 KiB; seen from its lengths, before its bytes are gathered.
            Err(Stop::Needs(end)) if end > MAX_HEAD => Err(BadMessage::TooLarge),
            Err(Stop::Needs(end)) if end > self.total => Err(BadMessage::Truncated),
            Err(Stop::Needs(end)) => Ok(Progress::Needs(end)),
        }
    }

    fn number(&mut self) -> Result<u64, Stop> {
        let before = self.bytes.get(self.at..).unwrap_or_default();
        let mut rest = before;
        let Some(number) = take_varint(&mut rest) else {
            let width = before.first().map_or(1, |first| 1usize << (first >> 6));
            return Err(Stop::Needs(self.at + width));
        };
        self.at += before.len() - rest.len();
        Ok(number)
    }

    fn string(&mut self) -> Result<Bytes, Stop> {
        let len = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        let end = self.at.saturating_add(len);
        if end > self.bytes.len() {
            return Err(Stop::Needs(end));
        }
        let string = self.bytes.slice(self.at..end);
        self.at = end;
        Ok(string)
    }

    fn framing(&mut self, indicator: u64) -> Result<(), Stop> {
        if self.number()? == indicator { Ok(()) } else { Err(BadMessage::Framing.into()) }
    }

    fn fields(&mut self) -> Result<Fields, Stop> {
        // RFC 9292 §3.8: a message without fields and content may end right behind its control data.
        if self.at == self.total {
            return Ok(Fields::default());
        }
        Ok(Fields::parse(self.string()?)?)
    }
}
