//! Objects in memory. Objects, and uploads as they grow, count against one bound; for either the least recently used
//! objects go. What a client is still being sent when it goes stays until it is sent.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::lru::{Lru, OVERHEAD};
use super::{Refused, Stored, check};
use crate::object::{self, Address};

/// Hashed in pieces of this many bytes: many at once are faster than few at a time, and all at once would take long.
const HASH: usize = 128 * 1024;

/// A store in memory.
#[derive(Debug)]
pub(in crate::backend) struct Memory {
    objects: Mutex<Lru>,
}

impl Memory {
    /// At most `bound` bytes.
    pub(super) fn new(bound: u64) -> Self {
        Self { objects: Mutex::new(Lru::new(bound)) }
    }

    pub(super) fn find(&self, address: &Address) -> Option<Bytes> {
        self.objects.lock().find(address)
    }

    fn reserve(&self, bytes: u64, in_all: u64) -> Result<(), Refused> {
        let mut objects = self.objects.lock();
        if in_all > objects.bound() {
            return Err(Refused::TooLarge);
        }
        let gone = objects.reserve(bytes);
        drop(objects);
        // Freed without the lock.
        gone.map(drop).ok_or(Refused::Full)
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> u64 {
        self.objects.lock().used()
    }
}

/// An upload into memory.
#[derive(Debug)]
pub(in crate::backend) struct Upload {
    store: Arc<Memory>,
    /// What is announced, 0 if nothing is. Believed only as far as what has arrived backs it.
    declared: usize,
    content: Vec<u8>,
    reserved: u64,
    hashed: usize,
    /// Its two kilobytes are not for the futures that hold this.
    hash: Box<object::Upload>,
}

impl Upload {
    pub(super) fn new(store: Arc<Memory>, declared: Option<u64>) -> Self {
        let declared = declared.map_or(0, |declared| usize::try_from(declared).unwrap_or(usize::MAX));
        Self { store, declared, content: Vec::new(), reserved: 0, hashed: 0, hash: Box::default() }
    }

    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Refused> {
        self.make_room(piece.len())?;
        self.content.extend_from_slice(piece);
        if self.content.len() - self.hashed >= HASH {
            self.hash();
        }
        Ok(())
    }

    pub(super) fn finish(mut self, expected: Option<Address>) -> Result<Stored, Refused> {
        self.hash();
        let address = self.hash.address();
        check(address, expected)?;
        let mut content = std::mem::take(&mut self.content);
        content.shrink_to_fit();
        let size = content.len() as u64;
        // An empty object has not reserved anything yet.
        let wanted = size + OVERHEAD;
        match wanted.checked_sub(self.reserved) {
            Some(missing) => self.store.reserve(missing, wanted)?,
            None => self.store.objects.lock().release(self.reserved - wanted),
        }
        self.reserved = 0;
        let new = self.store.objects.lock().insert(address, Bytes::from(content), wanted);
        Ok(Stored { address, size, new })
    }

    /// Hashes what has not been.
    fn hash(&mut self) {
        self.hash.update(self.content.get(self.hashed..).unwrap_or_default());
        self.hashed = self.content.len();
    }

    /// Room for `more` bytes: twice what is there, but not more than is announced.
    fn make_room(&mut self, more: usize) -> Result<(), Refused> {
        let needed = self.content.len().saturating_add(more);
        if needed <= self.content.capacity() {
            return Ok(());
        }
        let double = self.content.capacity().saturating_mul(2);
        let capacity =
            if self.declared >= needed { double.clamp(needed, self.declared) } else { double.max(needed) };
        let wanted = (capacity as u64).saturating_add(OVERHEAD);
        self.store.reserve(wanted - self.reserved, wanted)?;
        self.reserved = wanted;
        self.content.reserve_exact(capacity - self.content.len());
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.store.objects.lock().release(self.reserved);
    }
}
