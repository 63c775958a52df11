//! Objects in the order of their last use, within a bound of bytes. Nothing here locks or hashes.

use std::collections::HashMap;

use bytes::Bytes;
use slab::Slab;

use crate::object::Address;

/// What an object takes beside its bytes: its place in the list and in the index, both right after they have doubled, and
/// what the allocator rounds up.
pub(super) const OVERHEAD: u64 = 384;

/// The list's end.
const NONE: usize = usize::MAX;

/// A bounded list with an index. `used` counts objects with their overhead, and what is reserved.
#[derive(Debug)]
pub(super) struct Lru {
    bound: u64,
    used: u64,
    index: HashMap<Address, usize>,
    nodes: Slab<Node>,
    newest: usize,
    oldest: usize,
}

#[derive(Debug)]
struct Node {
    address: Address,
    content: Bytes,
    charge: u64,
    newer: usize,
    older: usize,
}

impl Lru {
    pub(super) fn new(bound: u64) -> Self {
        Self { bound, used: 0, index: HashMap::new(), nodes: Slab::new(), newest: NONE, oldest: NONE }
    }

    pub(super) fn bound(&self) -> u64 {
        self.bound
    }

    /// The object, which has been used now.
    pub(super) fn find(&mut self, address: &Address) -> Option<Bytes> {
        let slot = *self.index.get(address)?;
        if slot != self.newest {
            self.unlink(slot);
            self.link(slot);
        }
        self.nodes.get(slot).map(|node| node.content.clone())
    }

    /// Sets `bytes` aside; the objects that had to go for it, or `None` if even all of them would not do.
    pub(super) fn reserve(&mut self, bytes: u64) -> Option<Vec<Bytes>> {
        let held: u64 = self.used.checked_add(bytes)?;
        if held > self.bound && !self.can_free(held - self.bound) {
            return None;
        }
        let mut gone = Vec::new();
        while self.used + bytes > self.bound {
            gone.push(self.evict()?);
        }
        self.used += bytes;
        Some(gone)
    }

    /// Gives back what was reserved.
    pub(super) fn release(&mut self, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
    }

    /// Adds an object in the place of `reserved` bytes, its overhead among them. Whether it is new; one that is there is
    /// merely used.
    pub(super) fn insert(&mut self, address: Address, content: Bytes, reserved: u64) -> bool {
        if self.find(&address).is_some() {
            self.release(reserved);
            return false;
        }
        let slot = self.nodes.insert(Node { address, content, charge: reserved, newer: NONE, older: NONE });
        self.index.insert(address, slot);
        self.link(slot);
        true
    }

    /// What a list's node and an index entry take at most, tables twice as large as needed after growing.
    #[cfg(test)]
    pub(super) fn entry_size() -> u64 {
        let index = size_of::<(Address, usize)>() + 1;
        let node = size_of::<Node>() + size_of::<usize>();
        // A hash table that has just grown is 7/16 full, a list half.
        (index * 16 / 7 + 2 * node) as u64
    }

    /// Bytes that count against the bound.
    #[cfg(test)]
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// The addresses, the most recently used first.
    #[cfg(test)]
    pub(super) fn addresses(&self) -> Vec<Address> {
        let newest = self.nodes.get(self.newest);
        std::iter::successors(newest, |node| self.nodes.get(node.older)).map(|node| node.address).collect()
    }

    /// Whether evicting would free so many bytes; looks only as far as it must.
    fn can_free(&self, bytes: u64) -> bool {
        let oldest = self.nodes.get(self.oldest);
        let mut freed = 0;
        std::iter::successors(oldest, |node| self.nodes.get(node.newer)).any(|node| {
            freed += node.charge;
            freed >= bytes
        })
    }

    fn evict(&mut self) -> Option<Bytes> {
        let slot = self.oldest;
        self.nodes.get(slot)?;
        self.unlink(slot);
        let node = self.nodes.try_remove(slot)?;
        self.index.remove(&node.address);
        self.release(node.charge);
        Some(node.content)
    }

    fn unlink(&mut self, slot: usize) {
        let Some(node) = self.nodes.get(slot) else { return };
        let (newer, older) = (node.newer, node.older);
        match self.nodes.get_mut(newer) {
            Some(node) => node.older = older,
            None => self.newest = older,
        }
        match self.nodes.get_mut(older) {
            Some(node) => node.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn link(&mut self, slot: usize) {
        let before = std::mem::replace(&mut self.newest, slot);
        if let Some(node) = self.nodes.get_mut(slot) {
            node.newer = NONE;
            node.older = before;
        }
        match self.nodes.get_mut(before) {
            Some(node) => node.newer = slot,
            None => self.oldest = slot,
        }
    }
}
