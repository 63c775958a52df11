//! Buckets of the many: one row a principal, or an address, in a table of fixed size.
//!
//! The table is an array of sets of eight rows; a key belongs to one set. A row is taken over only when its bucket is full
//! again, which is what a new one would be: nobody's use is ever forgotten, and nobody is refilled by filling the table.
//! Who finds no row shares one bucket with all others like it. Keys are hashed with secrets of the process, so that nobody
//! can choose their neighbours.

use std::hash::{BuildHasher, Hash, RandomState};

use parking_lot::{Mutex, MutexGuard};

use super::bucket::{Bucket, Ticks};

/// Rows that a key may be in.
const WAYS: usize = 8;
/// Sets that share a lock.
const SETS_A_SHARD: usize = 64;

/// One row: 32 bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Row {
    /// 0: nobody's.
    key: u128,
    bucket: Bucket,
    /// Whose policy it goes by.
    owner: u64,
}

pub(super) type Set = [Row; WAYS];

/// The table.
#[derive(Debug)]
pub(super) struct Table {
    shards: Box<[Mutex<Box<[Set]>>]>,
    sets: usize,
    overflow: Mutex<Bucket>,
    secrets: [RandomState; 2],
}

/// Where a key's bucket is, locked.
pub(super) enum Place<'a> {
    Row(MutexGuard<'a, Box<[Set]>>, usize, usize),
    Overflow(MutexGuard<'a, Bucket>),
}

impl Table {
    /// A table of at least `rows` rows: rounded up to whole sets.
    pub(super) fn new(rows: usize) -> Self {
        let sets = rows.div_ceil(WAYS).max(1);
        let shards = sets.div_ceil(SETS_A_SHARD);
        let shard = |n: usize| {
            let here = SETS_A_SHARD.min(sets.saturating_sub(n.saturating_mul(SETS_A_SHARD)));
            Mutex::new(vec![Set::default(); here].into_boxed_slice())
        };
        Self {
            shards: (0..shards).map(shard).collect(),
            sets,
            overflow: Mutex::default(),
            secrets: [RandomState::new(), RandomState::new()],
        }
    }

    /// Rows that there are.
    pub(super) fn rows(&self) -> usize {
        self.sets.saturating_mul(WAYS)
    }

    /// A key for what belongs to `owner`; never 0.
    pub(super) fn key(&self, owner: u64, what: &impl Hash) -> u128 {
        let [high, low] = self.secrets.each_ref().map(|secret| secret.hash_one((owner, what)));
        (u128::from(high) << 64 | u128::from(low)).max(1)
    }

    /// The bucket of `key`: its row, one that it takes over, or the one that is shared.
    pub(super) fn find(&self, key: u128, owner: u64, now: Ticks) -> Place<'_> {
        let set = self.set_of(key);
        let (shard, set) = (set / SETS_A_SHARD, set % SETS_A_SHARD);
        if let Some(mut sets) = self.shards.get(shard).map(Mutex::lock)
            && let Some(rows) = sets.get_mut(set)
        {
            let known = rows.iter().position(|row| row.key == key);
            // A full bucket holds what a new one would.
            let free = || rows.iter().position(|row| row.key == 0 || row.bucket.is_full(now));
            if let Some(way) = known.or_else(free)
                && let Some(row) = rows.get_mut(way)
            {
                if row.key != key {
                    *row = Row { key, bucket: Bucket::default(), owner };
                }
                return Place::Row(sets, set, way);
            }
        }
        Place::Overflow(self.overflow.lock())
    }

    // The high bits of a product: as even as a remainder, without a division.
    fn set_of(&self, key: u128) -> usize {
        let low = u128::from(u64::try_from(key & u128::from(u64::MAX)).unwrap_or(0));
        usize::try_from(low.saturating_mul(self.sets as u128) >> 64).unwrap_or(0)
    }

    /// Changes every bucket that is in use; `change` is told whose it is.
    pub(super) fn for_each(&self, mut change: impl FnMut(u64, &mut Bucket)) {
        for shard in &self.shards {
            for row in shard.lock().iter_mut().flatten().filter(|row| row.key != 0) {
                change(row.owner, &mut row.bucket);
            }
        }
    }

    /// As [`for_each`](Self::for_each), for the one that is shared.
    pub(super) fn change_overflow(&self, change: impl FnOnce(&mut Bucket)) {
        change(&mut self.overflow.lock());
    }

    /// Moves what is in use into a table of another size, as far as it fits.
    pub(super) fn resized(&self, rows: usize, now: Ticks) -> Self {
        let mut other = Self::new(rows);
        other.secrets = self.secrets.clone();
        for shard in &self.shards {
            for row in shard.lock().iter().flatten().filter(|row| row.key != 0 && !row.bucket.is_full(now)) {
                let mut place = other.find(row.key, row.owner, now);
                match &mut place {
                    Place::Row(..) => *place.bucket() = row.bucket,
                    // Shared by those that found no row: none of them may gain by it.
                    Place::Overflow(shared) => shared.join(row.bucket),
                }
            }
        }
        other.overflow.lock().join(*self.overflow.lock());
        other
    }
}

impl Place<'_> {
    pub(super) fn bucket(&mut self) -> &mut Bucket {
        match self {
            Self::Row(sets, set, way) => {
                // Found in `find`, under the same lock.
                #[expect(clippy::indexing_slicing, reason = "both indices were found in this very array")]
                &mut sets[*set][*way].bucket
            }
            Self::Overflow(bucket) => bucket,
        }
    }
}
