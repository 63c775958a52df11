//! Records by number, and lists through them that are changed in constant time wherever it may be.

use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

use slab::Slab;

/// The number of a record in the arena of its kind.
pub(super) struct Id<T>(u32, PhantomData<fn() -> T>);

impl<T> Id<T> {
    pub(super) const NONE: Self = Self(u32::MAX, PhantomData);

    pub(super) fn some(self) -> Option<Self> {
        (self != Self::NONE).then_some(self)
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Id<T> {}

impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl<T> Default for Id<T> {
    fn default() -> Self {
        Self::NONE
    }
}

impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Records of one kind. A number that names none is a mistake of ours: tests fail on it, in production it reads and
/// writes a spare record that means nothing.
#[derive(Debug)]
pub(super) struct Arena<T> {
    slots: Slab<T>,
    spare: T,
}

impl<T: Default> Default for Arena<T> {
    fn default() -> Self {
        Self { slots: Slab::new(), spare: T::default() }
    }
}

impl<T: Default> Arena<T> {
    pub(super) fn insert(&mut self, record: T) -> Id<T> {
        Id(u32::try_from(self.slots.insert(record)).unwrap_or(u32::MAX), PhantomData)
    }

    pub(super) fn remove(&mut self, id: Id<T>) -> T {
        self.slots.try_remove(id.0 as usize).unwrap_or_default()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn ids(&self) -> Vec<Id<T>> {
        self.slots.iter().map(|(n, _)| Id(u32::try_from(n).unwrap_or(u32::MAX), PhantomData)).collect()
    }
}

impl<T> Index<Id<T>> for Arena<T> {
    type Output = T;

    fn index(&self, id: Id<T>) -> &T {
        let found = self.slots.get(id.0 as usize);
        debug_assert!(found.is_some(), "no record {id:?}");
        found.unwrap_or(&self.spare)
    }
}

impl<T> IndexMut<Id<T>> for Arena<T> {
    fn index_mut(&mut self, id: Id<T>) -> &mut T {
        let found = self.slots.get_mut(id.0 as usize);
        debug_assert!(found.is_some(), "no record {id:?}");
        found.unwrap_or(&mut self.spare)
    }
}

/// A record's neighbours in one list.
#[derive(Debug)]
pub(super) struct Links<T> {
    prev: Id<T>,
    next: Id<T>,
}

impl<T> Links<T> {
    pub(super) fn next(&self) -> Option<Id<T>> {
        self.next.some()
    }
}

impl<T> Default for Links<T> {
    fn default() -> Self {
        Self { prev: Id::NONE, next: Id::NONE }
    }
}

/// First and last of a list. Each operation is told which links it goes by, since a record may stand in several lists.
#[derive(Debug)]
pub(super) struct List<T> {
    head: Id<T>,
    tail: Id<T>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { head: Id::NONE, tail: Id::NONE }
    }
}

impl<T: Default> List<T> {
    pub(super) fn front(&self) -> Option<Id<T>> {
        self.head.some()
    }

    pub(super) fn back(&self) -> Option<Id<T>> {
        self.tail.some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.head == Id::NONE
    }

    pub(super) fn push_back(&mut self, of: &mut Arena<T>, id: Id<T>, by: fn(&mut T) -> &mut Links<T>) {
        *by(&mut of[id]) = Links { prev: self.tail, next: Id::NONE };
        match self.tail.some() {
            Some(tail) => by(&mut of[tail]).next = id,
            None => self.head = id,
        }
        self.tail = id;
    }

    /// `id` is in this list.
    pub(super) fn remove(&mut self, of: &mut Arena<T>, id: Id<T>, by: fn(&mut T) -> &mut Links<T>) {
        let Links { prev, next } = std::mem::take(by(&mut of[id]));
        match prev.some() {
            Some(prev) => by(&mut of[prev]).next = next,
            None => self.head = next,
        }
        match next.some() {
            Some(next) => by(&mut of[next]).prev = prev,
            None => self.tail = prev,
        }
    }

    /// Moves all of `other` behind what is here.
    pub(super) fn append(&mut self, of: &mut Arena<T>, other: &mut Self, by: fn(&mut T) -> &mut Links<T>) {
        let other = std::mem::take(other);
        let Some(first) = other.front() else { return };
        match self.tail.some() {
            Some(tail) => {
                by(&mut of[tail]).next = first;
                by(&mut of[first]).prev = tail;
            }
            None => self.head = first,
        }
        self.tail = other.tail;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Default)]
    struct Record(Links<Record>);

    fn by(record: &mut Record) -> &mut Links<Record> {
        &mut record.0
    }

    proptest! {
        #[test]
        fn a_list_is_what_a_queue_would_be(steps in prop::collection::vec((0_u8..4, any::<prop::sample::Index>()), 0..200)) {
            let mut arena = Arena::default();
            let (mut list, mut queue) = (List::default(), VecDeque::new());
            for (step, at) in steps {
                match step {
                    0 | 1 => {
                        let id = arena.insert(Record::default());
                        list.push_back(&mut arena, id, by);
                        queue.push_back(id);
                    }
                    2 if !queue.is_empty() => {
                        let id = queue.remove(at.index(queue.len())).unwrap();
                        list.remove(&mut arena, id, by);
                        arena.remove(id);
                    }
                    _ => {
                        let mut other = List::default();
                        for _ in 0..at.index(3) {
                            let id = arena.insert(Record::default());
                            other.push_back(&mut arena, id, by);
                            queue.push_back(id);
                        }
                        list.append(&mut arena, &mut other, by);
                        prop_assert!(other.is_empty());
                    }
                }
                let mut seen = VecDeque::new();
                let mut next = list.front();
                while let Some(id) = next {
                    seen.push_back(id);
                    next = arena[id].0.next();
                }
                prop_assert_eq!(&seen, &queue);
                prop_assert_eq!(list.back(), queue.back().copied());
                prop_assert_eq!(arena.len(), queue.len());
            }
        }
    }
}
