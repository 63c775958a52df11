//! Drawing by weight in constant time: Vose's alias method, in integers.

use std::num::NonZeroU32;

/// One column of the table: it is its own below `own`, another's from there on.
#[derive(Debug)]
struct Column {
    own: u64,
    other: usize,
}

#[derive(Debug)]
pub(super) struct Lots {
    /// Empty where all weights are equal.
    columns: Vec<Column>,
    /// Height of a column: the sum of the weights.
    height: u64,
    count: usize,
}

impl Lots {
    pub(super) fn new(weights: &[NonZeroU32]) -> Self {
        let count = weights.len();
        let height = weights.iter().map(|weight| u64::from(weight.get())).sum();
        if weights.windows(2).all(|pair| matches!(pair, [a, b] if a == b)) {
            return Self { columns: Vec::new(), height, count };
        }
        let times = u64::try_from(count).unwrap_or(u64::MAX);
        let mut columns: Vec<_> = weights
            .iter()
            .enumerate()
            .map(|(own_index, weight)| Column {
                own: u64::from(weight.get()).saturating_mul(times),
                other: own_index,
            })
            .collect();
        // What is too short is filled up from what is too tall, until all have the same height.
        let (mut short, mut tall): (Vec<_>, Vec<_>) =
            (0..count).partition(|index| columns.get(*index).is_some_and(|column| column.own < height));
        while let (Some(low), Some(high)) = (short.pop(), tall.pop()) {
            let Some(missing) = columns.get_mut(low).map(|column| {
                column.other = high;
                height.saturating_sub(column.own)
            }) else {
                break;
            };
            if let Some(column) = columns.get_mut(high) {
                column.own = column.own.saturating_sub(missing);
                if column.own < height { short.push(high) } else { tall.push(high) }
            }
        }
        Self { columns, height, count }
    }

    /// An index, as often as its weight says.
    pub(super) fn draw(&self, rng: &mut fastrand::Rng) -> Option<usize> {
        if self.count == 0 {
            return None;
        }
        let index = rng.usize(..self.count);
        match self.columns.get(index) {
            Some(column) if rng.u64(..self.height) >= column.own => Some(column.other),
            _ => Some(index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::balance::tests::weights;

    #[test]
    fn the_table_gives_every_weight_its_exact_share() {
        for numbers in [&[1][..], &[1, 1, 1], &[1, 2], &[1, 3, 5, 7, 1000], &[1000, 1, 1, 1], &[2, 2, 1]] {
            let weights = weights(numbers);
            let lots = Lots::new(&weights);
            let count = u64::try_from(numbers.len()).unwrap();
            let mut shares = vec![0; numbers.len()];
            if lots.columns.is_empty() {
                shares.iter_mut().for_each(|share| *share = lots.height);
            }
            for (index, column) in lots.columns.iter().enumerate() {
                let own = column.own.min(lots.height);
                shares[index] += own;
                shares[column.other] += lots.height - own;
            }
            let want: Vec<_> = numbers.iter().map(|w| u64::from(*w) * count).collect();
            assert_eq!(shares, want, "{numbers:?}");
        }
    }

    #[test]
    fn draws_follow_the_weights() {
        let lots = Lots::new(&weights(&[1, 2, 7]));
        let mut rng = fastrand::Rng::with_seed(42);
        let mut drawn = [0_u32; 3];
        for _ in 0..100_000 {
            drawn[lots.draw(&mut rng).unwrap()] += 1;
        }
        for (times, want) in drawn.into_iter().zip([10_000, 20_000, 70_000]) {
            assert!(times.abs_diff(want) < 700, "{drawn:?}");
        }
        assert_eq!(Lots::new(&[]).draw(&mut rng), None);
    }
}
