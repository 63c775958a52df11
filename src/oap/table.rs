//! The streams of a connection by their ids. Ids come from a client: ours are made so that the low bits are dense and
//! the first look finds them; others may collide, and are found all the same.

use std::collections::HashMap;

use slab::Slab;

use super::StreamId;

const VACANT: u32 = u32::MAX;

/// Streams by id.
#[derive(Debug)]
pub(super) struct Table<T> {
    slots: Slab<(StreamId, T)>,
    /// Slot of the id that has these low bits, if one has.
    direct: Box<[u32]>,
    /// Slots of the ids whose place in `direct` was taken.
    collided: HashMap<u64, u32>,
}

impl<T> Table<T> {
    /// For about `places` streams at once.
    pub(super) fn new(places: u32) -> Self {
        let direct = (places.max(1) as usize).next_power_of_two() * 2;
        Self { slots: Slab::new(), direct: vec![VACANT; direct].into(), collided: HashMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The slot that the next stream will take.
    pub(super) fn next_slot(&self) -> usize {
        self.slots.vacant_key()
    }

    pub(super) fn get(&self, id: StreamId) -> Option<&T> {
        self.slots.get(self.slot(id)?).map(|(_, stream)| stream)
    }

    pub(super) fn get_mut(&mut self, id: StreamId) -> Option<&mut T> {
        let slot = self.slot(id)?;
        self.slots.get_mut(slot).map(|(_, stream)| stream)
    }

    /// The caller has made sure that the id is not there.
    pub(super) fn insert(&mut self, id: StreamId, stream: T) {
        let slot = u32::try_from(self.slots.insert((id, stream))).unwrap_or(VACANT);
        let place = self.place(id);
        match self.direct.get_mut(place) {
            Some(vacant) if *vacant == VACANT => *vacant = slot,
            _ => drop(self.collided.insert(id.0, slot)),
        }
    }

    pub(super) fn remove(&mut self, id: StreamId) {
        let Some(slot) = self.slot(id) else { return };
        drop(self.slots.try_remove(slot));
        let place = self.place(id);
        match self.direct.get_mut(place) {
            Some(taken) if *taken as usize == slot => *taken = VACANT,
            _ => drop(self.collided.remove(&id.0)),
        }
    }

    pub(super) fn ids(&self) -> Vec<StreamId> {
        self.slots.iter().map(|(_, (id, _))| *id).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().map(|(_, (_, stream))| stream)
    }

    fn place(&self, id: StreamId) -> usize {
        let mask = self.direct.len() as u64 - 1;
        usize::try_from(id.0 & mask).unwrap_or_default()
    }

    fn slot(&self, id: StreamId) -> Option<usize> {
        let slot = *self.direct.get(self.place(id))? as usize;
        if self.slots.get(slot).is_some_and(|(found, _)| *found == id) {
            return Some(slot);
        }
        if self.collided.is_empty() {
            return None;
        }
        self.collided.get(&id.0).map(|slot| *slot as usize)
    }
}
