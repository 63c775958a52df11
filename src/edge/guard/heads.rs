//! The unfinished heads of the process, held to one bound together: when they are too many bytes, the oldest is cut
//! (http.md §7, `heads_total`). Who dribbles heads loses them first; who has just begun one does not pay for it.
//!
//! A head that is whole when it is first seen need not be counted. What is cut gives its room back at once, though its
//! bytes live until its connection's task has run: the bound is passed by what is being cut, for that long.
//!
//! One lock, taken when an unfinished head grows and never across anything. It holds no bytes, and closes nothing: the
//! connection that asks is told, and woken when it does not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The head was cut: too much is held, and it is the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many bytes of unfinished heads, of which this is the oldest")]
pub struct Cut;

/// All unfinished heads.
#[derive(Debug)]
pub struct Heads(Mutex<State>);

#[derive(Debug)]
struct State {
    limit: u64,
    bytes: u64,
    next: u64,
    /// By age, the oldest first. One that is not here has been cut.
    unfinished: BTreeMap<u64, Unfinished>,
}

#[derive(Debug, Default)]
struct Unfinished {
    bytes: u64,
    waker: Option<Waker>,
}

/// Room for one unfinished head; given back when dropped.
#[derive(Debug)]
pub struct Room {
    heads: Arc<Heads>,
    number: u64,
}

impl Heads {
    /// No heads yet, and at most `limit` bytes of them.
    pub fn new(limit: u64) -> Arc<Self> {
        let state = State { limit, bytes: 0, next: 0, unfinished: BTreeMap::new() };
        Arc::new(Self(Mutex::new(state)))
    }

    /// Another bound. A lower one cuts as heads grow.
    pub fn set_limit(&self, limit: u64) {
        self.lock().limit = limit;
    }

    /// Room for a head that has begun now; it has no bytes yet.
    pub fn begin(self: &Arc<Self>) -> Room {
        let mut state = self.lock();
        let number = state.next;
        state.next = number.saturating_add(1);
        drop(state.unfinished.insert(number, Unfinished::default()));
        Room { heads: Arc::clone(self), number }
    }

    /// Unfinished heads, and their bytes.
    pub fn held(&self) -> (usize, u64) {
        let state = self.lock();
        (state.unfinished.len(), state.bytes)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// The head has so many bytes by now. Others, older ones, may be cut for it.
    ///
    /// # Errors
    /// It has been cut, now or before: drop its bytes and close.
    pub fn grow(&self, bytes: usize) -> Result<(), Cut> {
        let mut state = self.heads.lock();
        let head = state.unfinished.get_mut(&self.number).ok_or(Cut)?;
        let had = std::mem::replace(&mut head.bytes, bytes as u64);
        state.bytes = state.bytes.saturating_sub(had).saturating_add(bytes as u64);
        let cut = state.cut_oldest();
        let outcome = state.unfinished.contains_key(&self.number).then_some(()).ok_or(Cut);
        drop(state);
        cut.into_iter().for_each(Waker::wake);
        outcome
    }

    /// Ready when the head has been cut; else the task is woken when it is.
    pub fn poll_cut(&self, cx: &mut Context<'_>) -> Poll<Cut> {
        match self.heads.lock().unfinished.get_mut(&self.number) {
            None => return Poll::Ready(Cut),
            Some(Unfinished { waker: Some(waker), .. }) if waker.will_wake(cx.waker()) => {}
            Some(head) => head.waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.heads.lock().remove(self.number);
    }
}

impl State {
    /// Takes the oldest heads away until the rest is within the bound, and says whom to wake.
    fn cut_oldest(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while self.bytes > self.limit
            && let Some(oldest) = self.unfinished.keys().next().copied()
        {
            wakers.extend(self.remove(oldest));
        }
        wakers
    }

    fn remove(&mut self, number: u64) -> Option<Waker> {
        let head = self.unfinished.remove(&number)?;
        self.bytes = self.bytes.saturating_sub(head.bytes);
        head.waker
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use proptest::prelude::*;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_oldest_is_cut_and_told_when_there_is_no_room() {
        let heads = Heads::new(100);
        let rooms: Vec<_> = (0..3).map(|_| heads.begin()).collect();
        let woken = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&woken));
        let cut = |room: &Room| room.poll_cut(&mut Context::from_waker(&waker)).is_ready();
        // Growing in another order than they began in changes nothing.
        for n in [2, 0, 1] {
            assert_eq!(rooms[n].grow(33), Ok(()));
        }
        assert!(!rooms.iter().any(cut));
        assert_eq!(rooms[2].grow(34), Ok(()));
        assert_eq!((heads.held(), woken.0.load(Ordering::Relaxed)), ((3, 100), 0));
        assert_eq!(rooms[2].grow(35), Ok(()));
        assert_eq!((heads.held(), woken.0.load(Ordering::Relaxed)), ((2, 68), 1));
        assert_eq!(rooms.iter().map(cut).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(rooms[0].grow(1), Err(Cut));
        // The oldest that grows is cut itself.
        assert_eq!(rooms[1].grow(66), Err(Cut));
        assert_eq!(heads.held(), (1, 35));
        drop(rooms);
        assert_eq!(heads.held(), (0, 0));
    }

    #[test]
    fn a_head_larger_than_all_may_be_is_cut_and_takes_the_others_along() {
        let heads = Heads::new(100);
        let (one, two) = (heads.begin(), heads.begin());
        assert_eq!(one.grow(10), Ok(()));
        assert_eq!(two.grow(101), Err(Cut));
        assert_eq!(one.grow(10), Err(Cut));
        assert_eq!(heads.held(), (0, 0));
    }

    #[test]
    fn a_lower_bound_cuts_as_heads_grow() {
        let heads = Heads::new(100);
        let (one, two) = (heads.begin(), heads.begin());
        assert_eq!((one.grow(40), two.grow(40)), (Ok(()), Ok(())));
        heads.set_limit(50);
        assert_eq!(two.grow(41), Ok(()));
        assert_eq!((one.grow(41), heads.held()), (Err(Cut), (1, 41)));
    }

    proptest! {
        #[test]
        fn the_bound_holds_and_only_the_oldest_pay(
            steps in prop::collection::vec((0_usize..8, 0_usize..60), 0..100),
        ) {
            let heads = Heads::new(100);
            // What should be there: number of the room, bytes.
            let mut rooms: Vec<Option<(Room, usize)>> = (0..8).map(|_| None).collect();
            let mut order: Vec<usize> = Vec::new();
            for (n, bytes) in steps {
                if bytes == 0 {
                    rooms[n] = None;
                    order.retain(|other| *other != n);
                    continue;
                }
                let (room, had) = rooms[n].get_or_insert_with(|| {
                    order.push(n);
                    (heads.begin(), 0)
                });
                let known = order.contains(&n);
                *had = bytes;
                let outcome = room.grow(bytes);
                if known {
                    while order.iter().map(|n| rooms[*n].as_ref().unwrap().1).sum::<usize>() > 100 {
                        order.remove(0);
                    }
                }
                prop_assert_eq!(outcome.is_ok(), order.contains(&n));
                let bytes = order.iter().map(|n| rooms[*n].as_ref().unwrap().1 as u64).sum::<u64>();
                prop_assert_eq!(heads.held(), (order.len(), bytes));
            }
        }
    }
}
