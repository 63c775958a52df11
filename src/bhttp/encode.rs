//! From heads to bytes. What may not cross is refused here as well: the peer would have to.

use super::fields::check_field;
use super::parse::{is_path, is_scheme, is_status, is_token_byte};
use super::varint::{put_varint, varint_len};
use super::{BadMessage, MAX_FIELDS, MAX_HEAD};

/// Appends a request head to `out`, which the caller reuses. After an error `out` holds a part of it.
///
/// # Errors
///
/// What oap1 §5 does not allow: the caller has to strip and join fields first.
pub fn encode_request_head<'a>(
    out: &mut Vec<u8>,
    method: &[u8],
    scheme: &[u8],
    authority: &[u8],
    path: &[u8],
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
) -> Result<(), BadMessage> {
    let control = !method.is_empty()
        && method.iter().all(|byte| is_token_byte(*byte))
        && is_scheme(scheme)
        && !authority.is_empty()
        && authority.iter().all(u8::is_ascii_graphic)
        && is_path(path);
    if !control {
        return Err(BadMessage::ControlData);
    }
    let start = out.len();
    out.push(0);
    for part in [method, scheme, authority, path] {
        put_string(out, part);
    }
    put_fields(out, start, fields)
}

/// Appends a response head to `out`, which the caller reuses. After an error `out` holds a part of it.
///
/// # Errors
///
/// What oap1 §5 does not allow, informational statuses included.
pub fn encode_response_head<'a>(
    out: &mut Vec<u8>,
    status: u16,
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
) -> Result<(), BadMessage> {
    if !is_status(status) {
        return Err(BadMessage::Status);
    }
    let start = out.len();
    out.push(1);
    put_varint(out, u64::from(status));
    put_fields(out, start, fields)
}

fn put_fields<'a>(
    out: &mut Vec<u8>,
    start: usize,
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
) -> Result<(), BadMessage> {
    let (mut count, mut len, mut content_length) = (0, 0, None);
    for (name, value) in fields.clone() {
        check_field(name, value, &mut content_length)?;
        count += 1;
        len += string_len(name) + string_len(value);
    }
    if count > MAX_FIELDS {
        return Err(BadMessage::TooManyFields);
    }
    if out.len() - start + varint_len(len as u64) + len > MAX_HEAD {
        return Err(BadMessage::TooLarge);
    }
    put_varint(out, len as u64);
    out.reserve(len);
    for (name, value) in fields {
        put_string(out, name);
        put_string(out, value);
    }
    Ok(())
}

fn string_len(string: &[u8]) -> usize {
    varint_len(string.len() as u64) + string.len()
}

fn put_string(out: &mut Vec<u8>, string: &[u8]) {
    put_varint(out, string.len() as u64);
    out.extend_from_slice(string);
}
