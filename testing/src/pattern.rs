//! Bytes that tell where they stand, so that lost, doubled and swapped pieces show.

use bytes::Bytes;

/// `len` bytes of the pattern from its start.
pub fn pattern(len: usize) -> Bytes {
    pattern_at(0, len)
}

/// `len` bytes of the pattern from `offset`. No period below 16 MiB: each byte mixes three of its offset's.
pub fn pattern_at(offset: usize, len: usize) -> Bytes {
    (offset..offset + len).map(byte_at).collect()
}

fn byte_at(at: usize) -> u8 {
    (at ^ (at >> 8).wrapping_mul(31) ^ (at >> 16).wrapping_mul(97)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_of_the_pattern_is_where_the_whole_has_it() {
        let whole = pattern(200_000);
        for (offset, len) in [(0, 1), (255, 3), (65_535, 70_000), (199_999, 1), (7, 0)] {
            assert_eq!(pattern_at(offset, len), whole.slice(offset..offset + len));
        }
        assert_ne!(whole.slice(0..65_536), whole.slice(65_536..131_072));
    }
}
