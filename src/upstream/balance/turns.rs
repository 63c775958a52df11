//! Whose turn it is: the smooth weighted round robin of nginx, computed once for a whole round.
//!
//! A round is as long as the weights add up to, their common divisor taken out. One counter says where it stands, so
//! that threads take turns without a lock.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Turns that one request may take before it looks at all backends.
pub(super) const TRIES: usize = 32;

/// Longest round; the weights of a longer one are rounded to fit.
const LONGEST: u64 = 1 << 14;

#[derive(Debug)]
pub(super) struct Turns {
    round: Box<[usize]>,
    taken: AtomicUsize,
}

impl Turns {
    pub(super) fn new(weights: &[NonZeroU32]) -> Self {
        let weights = rounded(&reduced(weights));
        let total: i64 = weights.iter().sum();
        // In each turn everybody gains its weight; who has most goes, and pays for the whole turn.
        let mut credit = vec![0_i64; weights.len()];
        let turn = |_| {
            credit.iter_mut().zip(&weights).for_each(|(credit, weight)| *credit += weight);
            // The first of those that have most: `max_by_key` alone would take the last.
            let (index, most) = credit.iter_mut().enumerate().rev().max_by_key(|(_, credit)| **credit)?;
            *most -= total;
            Some(index)
        };
        Self { round: (0..total).filter_map(turn).collect(), taken: AtomicUsize::new(0) }
    }

    /// Who is next; `None` when there is nobody.
    pub(super) fn next(&self) -> Option<usize> {
        let place = self.taken.fetch_add(1, Relaxed).checked_rem(self.round.len())?;
        self.round.get(place).copied()
    }
}

/// The weights without their greatest common divisor.
pub(super) fn reduced(weights: &[NonZeroU32]) -> Vec<u64> {
    fn divisor(a: u64, b: u64) -> u64 {
        if b == 0 { a } else { divisor(b, a % b) }
    }
    let common = weights.iter().fold(0, |common, weight| divisor(common, u64::from(weight.get()))).max(1);
    weights.iter().map(|weight| u64::from(weight.get()) / common).collect()
}

fn rounded(weights: &[u64]) -> Vec<i64> {
    let total: u64 = weights.iter().sum();
    let fit = |weight: u64| if total > LONGEST { (weight * LONGEST / total).max(1) } else { weight };
    weights.iter().map(|weight| i64::try_from(fit(*weight)).unwrap_or(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::balance::tests::weights;

    fn round(numbers: &[u32]) -> Vec<usize> {
        Turns::new(&weights(numbers)).round.into_vec()
    }

    #[test]
    fn turns_are_spread_over_the_round() {
        assert_eq!(round(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(round(&[300, 100, 200]), [0, 2, 0, 1, 2, 0]);
        assert_eq!(round(&[7]), [0]);
        assert_eq!(round(&[4, 4, 4]), [0, 1, 2]);
        assert_eq!(Turns::new(&[]).next(), None);
    }

    #[test]
    fn a_round_is_bounded_and_leaves_nobody_out() {
        let numbers: Vec<u32> = (1..=500).chain([1000]).collect();
        let round = round(&numbers);
        assert!(round.len() <= 17_000, "{}", round.len());
        assert!((0..numbers.len()).all(|index| round.contains(&index)));
    }

    #[test]
    fn turns_follow_each_other_round_after_round() {
        let turns = Turns::new(&weights(&[2, 1]));
        let taken: Vec<_> = (0..6).map(|_| turns.next().unwrap()).collect();
        assert_eq!(taken, [0, 1, 0, 0, 1, 0]);
    }
}
