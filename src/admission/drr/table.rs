//! Records by a key from outside. Those at rest are kept for what they remember, the longest at rest goes first when
//! they become too many; those in use stay.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use super::arena::{Arena, Id, Links, List};

/// What a [`Table`] asks of its records.
pub(super) trait Keyed: Default + Sized {
    type Key: Copy + Eq + Hash;

    fn new(key: Self::Key) -> Self;
    fn key(&self) -> Self::Key;
    fn rest_links(&mut self) -> &mut Links<Self>;
}

/// Records by key.
#[derive(Debug)]
pub(super) struct Table<T: Keyed> {
    pub(super) records: Arena<T>,
    ids: HashMap<T::Key, Id<T>, Seeded>,
    resting: List<T>,
    at_rest: usize,
    /// At rest at once.
    most: usize,
}

impl<T: Keyed> Table<T> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            records: Arena::default(),
            ids: HashMap::with_hasher(Seeded::new()),
            resting: List::default(),
            at_rest: 0,
            most,
        }
    }

    /// The record of `key`; a new one is at rest.
    pub(super) fn find_or_insert(&mut self, key: T::Key) -> Id<T> {
        if let Some(id) = self.ids.get(&key) {
            return *id;
        }
        let id = self.records.insert(T::new(key));
        self.ids.insert(key, id);
        self.rest(id);
        id
    }

    /// `id`, which is at rest, comes into use.
    pub(super) fn wake(&mut self, id: Id<T>) {
        self.resting.remove(&mut self.records, id, T::rest_links);
        self.at_rest -= 1;
    }

    /// `id`, which is in use, is so no longer.
    pub(super) fn rest(&mut self, id: Id<T>) {
        self.resting.push_back(&mut self.records, id, T::rest_links);
        self.at_rest += 1;
        if self.at_rest > self.most
            && let Some(longest) = self.resting.front()
        {
            self.wake(longest);
            let key = self.records.remove(longest).key();
            self.ids.remove(&key);
        }
    }
}

/// Hashes what is mostly a hash already: one multiplication with a secret mixed in a word.
#[derive(Clone, Copy, Debug)]
struct Seeded(u64);

impl Seeded {
    fn new() -> Self {
        Self(RandomState::new().hash_one(0))
    }
}

impl BuildHasher for Seeded {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        *self
    }
}

impl Hasher for Seeded {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, word: u64) {
        const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
        let mixed = self.0 ^ word;
        let high = (u128::from(mixed) * u128::from(ODD)) >> 64;
        self.0 = mixed.wrapping_mul(ODD) ^ u64::try_from(high).unwrap_or_default();
    }
}
