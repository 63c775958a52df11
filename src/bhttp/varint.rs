//! QUIC's variable-length integers (RFC 9000 §16).

/// The largest number that can be written.
pub(crate) const MAX_VARINT: u64 = (1 << 62) - 1;

/// Bytes that `value` takes.
pub(crate) const fn varint_len(value: u64) -> usize {
    match value {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    }
}

/// A number as it is written, in the shortest form. What is larger than the largest is written as the largest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Varint {
    bytes: [u8; 8],
    skip: usize,
}

impl Varint {
    pub(crate) fn new(value: u64) -> Self {
        let value = value.min(MAX_VARINT);
        let (skip, tagged) = match varint_len(value) {
            1 => (7, value),
            2 => (6, value | 0x4000),
            4 => (4, value | 0x8000_0000),
            _ => (0, value | 0xc000_0000_0000_0000),
        };
        Self { bytes: tagged.to_be_bytes(), skip }
    }
}

impl AsRef<[u8]> for Varint {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(self.skip..).unwrap_or_default()
    }
}

/// Appends `value`.
pub(crate) fn put_varint(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(Varint::new(value).as_ref());
}

/// Reads a number off the front of `bytes`, in any of its forms; `None` leaves them and wants more.
pub(crate) fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let (&first, rest) = bytes.split_first()?;
    let mut value = u64::from(first & 0x3f);
    let more = (1usize << (first >> 6)) - 1;
    let (following, rest) = rest.split_at_checked(more)?;
    for byte in following {
        value = value << 8 | u64::from(*byte);
    }
    *bytes = rest;
    Some(value)
}
