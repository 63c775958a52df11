//! The fields of a head: one checked run of bytes, read again each time. It holds no list, so that a head costs no
//! allocation beyond its bytes.

use bytes::Bytes;

use super::varint::take_varint;
use super::{BadMessage, MAX_FIELDS};

/// Field lines in their order, names in lower case. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    section: Bytes,
    len: usize,
    content_length: Option<u64>,
}

impl Fields {
    /// Checks a field section (without its own length).
    pub(super) fn parse(section: Bytes) -> Result<Self, BadMessage> {
        let mut rest: &[u8] = &section;
        let (mut len, mut content_length) = (0, None);
        while !rest.is_empty() {
            let (name, value) = take_line(&mut rest).ok_or(BadMessage::Truncated)?;
            len += 1;
            if len > MAX_FIELDS {
                return Err(BadMessage::TooManyFields);
            }
            check_field(name, value, &mut content_length)?;
        }
        Ok(Self { section, len, content_length })
    }

    /// Name and value of each field.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        let mut rest: &[u8] = &self.section;
        std::iter::from_fn(move || take_line(&mut rest))
    }

    /// As [`Fields::iter`], the value as a piece of the head that it came in (nothing is copied).
    pub fn iter_shared(&self) -> impl Iterator<Item = (&[u8], Bytes)> {
        let mut rest: &[u8] = &self.section;
        std::iter::from_fn(move || {
            let (name, value) = take_line(&mut rest)?;
            let end = self.section.len() - rest.len();
            Some((name, self.section.slice(end - value.len()..end)))
        })
    }

    /// The value of the first field of that name (lower case).
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter().find(|(candidate, _)| *candidate == name).map(|(_, value)| value)
    }

    /// Number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The announced length of the content, in bytes.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }
}

fn take_line<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let name = take_string(rest)?;
    let value = take_string(rest)?;
    Some((name, value))
}

fn take_string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(take_varint(rest)?).ok()?;
    let (string, behind) = rest.split_at_checked(len)?;
    *rest = behind;
    Some(string)
}

/// Holds one field against oap1 §5; `content_length` is what the earlier ones announced.
pub(super) fn check_field(
    name: &[u8],
    value: &[u8],
    content_length: &mut Option<u64>,
) -> Result<(), BadMessage> {
    // oap1 §5: field names are lower-case tokens without `:`.
    if name.is_empty() || !name.iter().fold(true, |ok, byte| ok & is_name_byte(*byte)) {
        return Err(BadMessage::FieldName);
    }
    // oap1 §5: values without CR, LF and NUL. No early exit: so the loop runs over many bytes at once.
    if value.iter().fold(false, |bad, byte| bad | (*byte == 0) | (*byte == b'\r') | (*byte == b'\n')) {
        return Err(BadMessage::FieldValue);
    }
    if is_forbidden(name) {
        return Err(BadMessage::ForbiddenField);
    }
    // oap1 §5: one `content-length` at most.
    if name == b"content-length" {
        if content_length.is_some() {
            return Err(BadMessage::ContentLength);
        }
        *content_length = Some(parse_length(value).ok_or(BadMessage::ContentLength)?);
    }
    Ok(())
}

// oap1 §5: hop-by-hop fields never cross; there is no `host` field.
fn is_forbidden(name: &[u8]) -> bool {
    match name.len() {
        2 => name == b"te",
        4 => name == b"host",
        6 => name == b"expect",
        7 => name == b"trailer" || name == b"upgrade",
        10 => name == b"connection" || name == b"keep-alive",
        14 => name == b"http2-settings",
        16 => name == b"proxy-connection",
        17 => name == b"transfer-encoding",
        _ => false,
    }
}

const fn is_name_byte(byte: u8) -> bool {
    const TABLE: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0u8;
        loop {
            let punctuation = matches!(
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
            #[expect(clippy::indexing_slicing, reason = "a byte is always below 256")]
            {
                table[byte as usize] = byte.is_ascii_lowercase() || byte.is_ascii_digit() || punctuation;
            }
            if byte == u8::MAX {
                break table;
            }
            byte += 1;
        }
    };
    #[expect(clippy::indexing_slicing, reason = "a byte is always below 256")]
    {
        TABLE[byte as usize]
    }
}

fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}
