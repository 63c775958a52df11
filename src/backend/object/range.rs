//! Byte ranges (RFC 9110 §14). One range is served; a request for several gets the whole, as the RFC allows.

use std::ops::Range;

use crate::bhttp::Fields;

/// What of an object is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// All of it: no range, or none that is understood.
    Whole,
    /// A part, never empty.
    Part(Range<u64>),
    /// Nothing that is there: 416.
    Unsatisfiable,
}

/// Reads Range and If-Range of a GET of an object of `size` bytes with that tag.
pub(super) fn asked(fields: &Fields, etag: &str, size: u64) -> Asked {
    let mut ranges = fields.iter().filter(|(name, _)| *name == b"range").map(|(_, value)| value);
    let (Some(range), None) = (ranges.next(), ranges.next()) else { return Asked::Whole };
    // RFC 9110 §13.1.5: strong comparison; a date never matches what has none.
    if fields.find(b"if-range").is_some_and(|condition| condition.trim_ascii() != etag.as_bytes()) {
        return Asked::Whole;
    }
    part(range, size)
}

fn part(range: &[u8], size: u64) -> Asked {
    let range = range.trim_ascii();
    // Range units are case-insensitive.
    let Some((unit, set)) =
        range.split_at_checked(6).filter(|(unit, _)| unit.eq_ignore_ascii_case(b"bytes="))
    else {
        return Asked::Whole;
    };
    debug_assert_eq!(unit.len(), 6);
    let mut ends = set.trim_ascii().splitn(2, |byte| *byte == b'-');
    let (Some(first), Some(last)) = (ends.next(), ends.next()) else { return Asked::Whole };
    match (number(first), number(last)) {
        // RFC 9110 §14.1.2: a last position before the first is invalid, one past the end means the end.
        (Some(first), Some(last)) if last >= first => within(first..last.saturating_add(1), size),
        (Some(first), None) if last.is_empty() => within(first..size, size),
        (None, Some(0)) if first.is_empty() => Asked::Unsatisfiable,
        // The end of something empty is all of it.
        (None, Some(_)) if first.is_empty() && size == 0 => Asked::Whole,
        (None, Some(suffix)) if first.is_empty() => Asked::Part(size.saturating_sub(suffix)..size),
        _ => Asked::Whole,
    }
}

fn within(range: Range<u64>, size: u64) -> Asked {
    if range.start < size { Asked::Part(range.start..range.end.min(size)) } else { Asked::Unsatisfiable }
}

/// Digits; as many as somebody likes, so a number that is too large is the largest.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        Some(number.saturating_mul(10).saturating_add(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_as_the_rfc_says() {
        let huge = "bytes=2-99999999999999999999999999";
        for (range, size, expected) in [
            ("bytes=0-0", 10, Asked::Part(0..1)),
            ("bytes=2-5", 10, Asked::Part(2..6)),
            ("BYTES=2-5", 10, Asked::Part(2..6)),
            ("bytes=2-", 10, Asked::Part(2..10)),
            ("bytes=-3", 10, Asked::Part(7..10)),
            ("bytes=-30", 10, Asked::Part(0..10)),
            (huge, 10, Asked::Part(2..10)),
            ("bytes=9-9", 10, Asked::Part(9..10)),
            ("bytes=10-", 10, Asked::Unsatisfiable),
            ("bytes=10-12", 10, Asked::Unsatisfiable),
            ("bytes=-0", 10, Asked::Unsatisfiable),
            ("bytes=0-", 0, Asked::Unsatisfiable),
            ("bytes=-5", 0, Asked::Whole),
            // Not understood: as if it were not there.
            ("bytes=5-2", 10, Asked::Whole),
            ("bytes=-", 10, Asked::Whole),
            ("bytes=", 10, Asked::Whole),
            ("bytes=1", 10, Asked::Whole),
            ("bytes=a-b", 10, Asked::Whole),
            ("bytes=1-2,4-5", 10, Asked::Whole),
            ("bytes=+1-2", 10, Asked::Whole),
            ("bytes=1-2-3", 10, Asked::Whole),
            ("lines=1-2", 10, Asked::Whole),
            ("byte", 10, Asked::Whole),
            ("", 10, Asked::Whole),
        ] {
            assert_eq!(part(range.as_bytes(), size), expected, "{range} of {size}");
        }
    }
}
