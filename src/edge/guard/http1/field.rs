//! Field lines of heads and trailers: their syntax, and the few that frame a message or name its host.

use super::{Breach, Fault, Policy};
use crate::route::target;

/// The characters of a token (RFC 9110 §5.6.2).
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    loop {
        let special = matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        );
        #[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
        {
            table[byte as usize] = special || byte.is_ascii_alphanumeric();
        }
        if byte == u8::MAX {
            break table;
        }
        byte += 1;
    }
};

pub(super) fn is_token_byte(byte: u8) -> bool {
    TOKEN.get(usize::from(byte)).copied().unwrap_or_default()
}

pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_token_byte(*byte))
}

/// A field line's name and its value without the space around it.
pub(super) fn split(line: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let end = line.iter().position(|byte| !is_token_byte(*byte)).unwrap_or(line.len());
    let (name, rest) = line.split_at_checked(end).unwrap_or_default();
    match (name, rest) {
        ([], [b' ' | b'\t', ..]) => Err(Fault::Folded),
        // RFC 9112 §5.1: no whitespace between name and colon.
        ([], _) => Err(Fault::FieldName),
        (_, [b':', value @ ..]) if is_value(value) => Ok((name, trim(value))),
        (_, [b':', ..]) => Err(Fault::FieldValue),
        _ => Err(Fault::FieldName),
    }
}

/// Visible characters, spaces, tabs and obs-text (RFC 9110 §5.5). Written to be checked many bytes at a time.
fn is_value(value: &[u8]) -> bool {
    value.iter().fold(true, |all, byte| all & ((*byte >= b' ' && *byte != 0x7f) | (*byte == b'\t')))
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Counts a field line, within the bound.
pub(super) fn count(fields: &mut u32, policy: &Policy) -> Result<(), Breach> {
    *fields = fields.saturating_add(1);
    if *fields > policy.fields { Err(Breach::Fields) } else { Ok(()) }
}

/// What the fields of a head have said so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said {
    pub(super) host: bool,
    pub(super) length: Option<u64>,
    pub(super) chunked: bool,
    pub(super) expects_continue: bool,
}

impl Said {
    /// Takes a field of a head.
    pub(super) fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        // Told by its length first, most names are compared with none.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.host(value),
            6 if name.eq_ignore_ascii_case(b"expect") => {
                self.expects_continue |= value.eq_ignore_ascii_case(b"100-continue");
                Ok(())
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => self.length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.transfer_encoding(value),
            _ => Ok(()),
        }
    }

    // http.md §1, refused as `malformed`: more than one Host or none; a Host that is no authority.
    fn host(&mut self, value: &[u8]) -> Result<(), Fault> {
        if std::mem::replace(&mut self.host, true) {
            return Err(Fault::ManyHosts);
        }
        target::check_authority(value).map_err(|_| Fault::BadHost)
    }

    // RFC 9110 §8.6 lets a recipient take equal duplicates and lists of equal lengths; two parsers may differ there.
    fn length(&mut self, value: &[u8]) -> Result<(), Fault> {
        if self.length.is_some() {
            return Err(Fault::ManyLengths);
        }
        self.length = Some(parse_length(value).ok_or(Fault::Length)?);
        Ok(())
    }

    // The one transfer coding that the gateway speaks; any other framing would be a guess.
    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Fault> {
        if std::mem::replace(&mut self.chunked, true) || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Fault::TransferEncoding);
        }
        Ok(())
    }
}

/// Plain digits, at most 2⁶³ - 1: what parsers with signed lengths take too.
fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    let mut length = 0_i64;
    for byte in value {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte & 0x0f))?;
        length = length.checked_mul(10)?.checked_add(digit)?;
    }
    u64::try_from(length).ok()
}

// RFC 9110 §6.5.1: no trailer that frames or routes the message.
pub(super) fn check_trailer(name: &[u8]) -> Result<(), Fault> {
    let forbidden: [&[u8]; 3] = [b"host", b"content-length", b"transfer-encoding"];
    let is_forbidden = forbidden.iter().any(|field| name.eq_ignore_ascii_case(field));
    if is_forbidden { Err(Fault::Trailer) } else { Ok(()) }
}
