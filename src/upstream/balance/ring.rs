//! Consistent hashing: a ring of points, many of each backend, as in Ketama.
//!
//! A key belongs to the first point after its hash. A backend's points depend on its name and weight alone, so one that
//! leaves moves only its own keys, and gateways that know the same backends agree, restarts included: the hash is fixed.
//! (Pingora's Ketama ring would leave Unix sockets out.)

use std::num::NonZeroU32;

use super::turns::reduced;

/// Points that are looked at before all backends are.
pub(super) const TRIES: usize = 64;

/// Points of a backend of the smallest weight: shares are even within about 10 %.
const POINTS: u64 = 160;

/// Bound of all points together. Beyond it each backend has half as many, and so on.
const MAX_POINTS: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Ring {
    /// By hash; with the index of the backend.
    points: Vec<(u64, usize)>,
}

impl Ring {
    pub(super) fn new<'n>(backends: impl Iterator<Item = (&'n [u8], NonZeroU32)>) -> Self {
        let (names, weights): (Vec<_>, Vec<_>) = backends.unzip();
        let weights = reduced(&weights);
        let total = weights.iter().sum::<u64>().saturating_mul(POINTS);
        let halved = (0..u64::BITS).find(|halved| total >> halved <= MAX_POINTS).unwrap_or(0);
        let mut points = Vec::new();
        for (index, (name, weight)) in names.into_iter().zip(weights).enumerate() {
            let seed = hash(name);
            let count = (weight.saturating_mul(POINTS) >> halved).max(1);
            points.extend((0..count).map(|n| (mixed(seed ^ mixed(n)), index)));
        }
        points.sort_unstable();
        Self { points }
    }

    /// The backends' indices from the key's place on, once around; each comes up once for each of its points.
    pub(super) fn walk(&self, key: &[u8]) -> impl Iterator<Item = usize> {
        let hash = hash(key);
        let start = self.points.partition_point(|(point, _)| *point < hash);
        let (before, after) = self.points.split_at_checked(start).unwrap_or_default();
        after.iter().chain(before).map(|(_, index)| *index)
    }
}

/// A hash that never changes, neither with the process nor with the machine. It is even and fast, and no secret.
fn hash(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut tail = [0; 8];
    tail.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let words = words.iter().chain(std::iter::once(&tail)).map(|word| u64::from_le_bytes(*word));
    words.fold(mixed(length ^ 0x9e37_79b9_7f4a_7c15), |hash, word| mixed(hash ^ word))
}

/// The finalizer of SplitMix64: one to one, and every bit changes half of the others.
fn mixed(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_what_it_was_in_the_last_release() {
        // Computed by another program.
        for (key, want) in [
            ("", 0x4821_8226_ff3c_d4bf),
            ("b3:00ff", 0x93c8_649f_5b7d_603b),
            ("x-user: somebody", 0x9b32_ee1d_f0bb_e3ad),
        ] {
            assert_eq!(hash(key.as_bytes()), want, "{key:?}");
        }
    }

    #[test]
    fn keys_that_differ_in_one_bit_or_in_length_hash_differently() {
        let base = [0_u8; 67];
        let mut hashes = std::collections::HashSet::new();
        for length in 0..=base.len() {
            assert!(hashes.insert(hash(&base[..length])));
        }
        for bit in 0..base.len() * 8 {
            let mut key = base;
            key[bit / 8] ^= 1 << (bit % 8);
            assert!(hashes.insert(hash(&key)), "bit {bit}");
        }
    }

    #[test]
    fn the_number_of_points_is_bounded() {
        let names: Vec<_> = (0..3000_u32).map(|n| n.to_string()).collect();
        let weight = |n: usize| NonZeroU32::new(if n == 0 { 1 } else { 1000 }).unwrap();
        let ring = Ring::new(names.iter().enumerate().map(|(n, name)| (name.as_bytes(), weight(n))));
        assert!(ring.points.len() <= (1 << 20) + 3000, "{}", ring.points.len());
        assert_eq!(Ring::new(std::iter::empty()).walk(b"x").count(), 0);
    }
}
