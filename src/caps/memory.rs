//! What all decoders together hold, counted before it is allocated.
//!
//! It allocates nothing itself, and does not know what a decoder is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes that decoders hold now. One for the gateway, over all generations of its policy.
#[derive(Debug, Default)]
pub struct Memory {
    used: AtomicU64,
}

impl Memory {
    /// Bytes that are reserved.
    pub fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    fn take(&self, bytes: u64, total: u64) -> bool {
        let fits = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= total);
        self.used.fetch_update(Relaxed, Relaxed, fits).is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Relaxed);
    }
}

/// What one decoder has reserved; dropped, all of it is free again.
#[derive(Debug)]
pub struct Reservation {
    memory: Arc<Memory>,
    total: u64,
    held: u64,
}

impl Reservation {
    /// Nothing yet, of a memory of which `total` bytes may be used by all.
    pub fn new(memory: &Arc<Memory>, total: u64) -> Self {
        Self { memory: Arc::clone(memory), total, held: 0 }
    }

    /// Takes `bytes` more if there are any left; else nothing changes.
    pub fn take(&mut self, bytes: u64) -> bool {
        let taken = self.memory.take(bytes, self.total);
        if taken {
            self.held = self.held.saturating_add(bytes);
        }
        taken
    }

    /// Gives `bytes` back.
    pub fn give_back(&mut self, bytes: u64) {
        let bytes = bytes.min(self.held);
        self.held = self.held.saturating_sub(bytes);
        self.memory.give_back(bytes);
    }

    /// Bytes that are held.
    pub fn held(&self) -> u64 {
        self.held
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.memory.give_back(self.held);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_byte_can_be_taken_and_no_more() {
        let memory = Arc::new(Memory::default());
        let (mut one, mut two) = (Reservation::new(&memory, 100), Reservation::new(&memory, 100));
        assert!(one.take(60) && two.take(40));
        assert!(!one.take(1) && !two.take(u64::MAX) && one.take(0));
        one.give_back(10);
        assert!(two.take(10));
        drop(one);
        assert_eq!((memory.used(), two.held()), (50, 50));
    }

    #[test]
    fn a_lowered_total_gives_nothing_until_below() {
        let memory = Arc::new(Memory::default());
        let mut old = Reservation::new(&memory, 100);
        assert!(old.take(100));
        let mut new = Reservation::new(&memory, 50);
        assert!(!new.take(1));
        old.give_back(60);
        assert!(new.take(10) && !new.take(1));
    }

    proptest! {
        #[test]
        fn what_is_used_is_what_is_held(
            steps in prop::collection::vec((0_usize..4, 0_u64..50, 0_u8..5), 0..200),
        ) {
            let memory = Arc::new(Memory::default());
            let new = || Reservation::new(&memory, 100);
            let mut all: Vec<_> = (0..4).map(|_| new()).collect();
            for (which, bytes, what) in steps {
                let room = 100 - memory.used();
                match what {
                    0..3 => prop_assert_eq!(all[which].take(bytes), bytes <= room),
                    3 => all[which].give_back(bytes),
                    _ => all[which] = new(),
                }
                prop_assert_eq!(memory.used(), all.iter().map(Reservation::held).sum::<u64>());
            }
            drop(all);
            prop_assert_eq!(memory.used(), 0);
        }
    }
}
