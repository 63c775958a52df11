//! How many TLS handshakes of a listener may be under way at once, and which of them is cut for another.
//!
//! One that has begun costs memory and, before it, arithmetic; a client that then says nothing keeps its place until its
//! time is over. So when all places are taken the oldest is given up for a newcomer, unless it is young still: then its
//! client may be answering, and the newcomer waits. Clients that answer are through long before that.
//!
//! ```text
//!   enter, a place is free ──────────────▶ In
//!   enter, all taken, the oldest is old ──▶ In, the oldest is cut
//!   enter, all taken, the oldest is young ▶ Full: again when one leaves, or when the oldest is old
//! ```
//!
//! It does not handshake, wait or close anything.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a client may think before it is given up for another: some round trips to the other side of the world.
pub const YOUNG: Duration = Duration::from_millis(500);

/// Handshakes under way, the oldest first; `C` is what cuts one.
#[derive(Debug)]
pub struct Handshakes<C> {
    under_way: VecDeque<UnderWay<C>>,
    next: u64,
}

#[derive(Debug)]
struct UnderWay<C> {
    place: Place,
    since: Instant,
    cut: C,
}

/// One handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(u64);

/// What becomes of a newcomer.
#[derive(Debug)]
pub enum Entry<C> {
    /// It begins, and these are given up.
    In(Place, Vec<C>),
    /// All places are taken by handshakes that are young until this moment.
    Full(Instant, C),
}

impl<C> Default for Handshakes<C> {
    fn default() -> Self {
        Self { under_way: VecDeque::new(), next: 0 }
    }
}

impl<C> Handshakes<C> {
    /// One more, where `most` may be under way.
    pub fn enter(&mut self, most: usize, now: Instant, cut: C) -> Entry<C> {
        let places = most.max(1);
        // After a bound was lowered there are more than one too many.
        let too_many = self.under_way.len().saturating_add(1).saturating_sub(places);
        if let Some(last) = too_many.checked_sub(1).and_then(|last| self.under_way.get(last)) {
            let old_at = last.since + YOUNG;
            if old_at > now {
                return Entry::Full(old_at, cut);
            }
        }
        let given_up = self.under_way.drain(..too_many).map(|one| one.cut).collect();
        let place = Place(self.next);
        self.next = self.next.wrapping_add(1);
        self.under_way.push_back(UnderWay { place, since: now, cut });
        Entry::In(place, given_up)
    }

    /// It is over, however it has ended. Says whether it had its place still.
    pub fn leave(&mut self, place: Place) -> bool {
        match self.under_way.binary_search_by_key(&place, |one| one.place) {
            Ok(at) => self.under_way.remove(at).is_some(),
            Err(_) => false,
        }
    }

    /// How many are under way.
    pub fn len(&self) -> usize {
        self.under_way.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn enter(
        handshakes: &mut Handshakes<u32>,
        most: usize,
        now: Instant,
        n: u32,
    ) -> Result<Vec<u32>, Instant> {
        match handshakes.enter(most, now, n) {
            Entry::In(_, cut) => Ok(cut),
            Entry::Full(until, back) => {
                assert_eq!(back, n);
                Err(until)
            }
        }
    }

    #[test]
    fn the_oldest_goes_for_a_newcomer_but_not_while_it_is_young() {
        let (mut handshakes, began) = (Handshakes::default(), Instant::now());
        let at = |ms| began + Duration::from_millis(ms);
        assert_eq!(enter(&mut handshakes, 2, at(0), 1), Ok(vec![]));
        assert_eq!(enter(&mut handshakes, 2, at(10), 2), Ok(vec![]));
        assert_eq!(enter(&mut handshakes, 2, at(20), 3), Err(at(0) + YOUNG));
        assert_eq!(enter(&mut handshakes, 2, at(500), 3), Ok(vec![1]));
        assert_eq!(enter(&mut handshakes, 2, at(500), 4), Err(at(10) + YOUNG));
        assert_eq!(enter(&mut handshakes, 3, at(500), 4), Ok(vec![]));
        // A lowered bound holds for the next that begins.
        assert_eq!(enter(&mut handshakes, 1, at(900), 5), Err(at(500) + YOUNG));
        assert_eq!(enter(&mut handshakes, 1, at(1000), 5), Ok(vec![2, 3, 4]));
    }

    #[test]
    fn a_place_that_is_left_is_free_and_is_left_once() {
        let (mut handshakes, now) = (Handshakes::default(), Instant::now());
        let Entry::In(place, _) = handshakes.enter(1, now, ()) else { panic!("nobody is there") };
        assert!(matches!(handshakes.enter(1, now, ()), Entry::Full(..)));
        assert!(handshakes.leave(place));
        assert!(!handshakes.leave(place) && handshakes.is_empty());
        assert!(matches!(handshakes.enter(1, now, ()), Entry::In(..)));
    }

    proptest! {
        #[test]
        fn there_are_never_more_than_may_be_and_no_young_one_is_cut(
            steps in prop::collection::vec((0_u64..400, prop::option::of(0_usize..8), 1_usize..6), 0..100),
        ) {
            let (mut handshakes, mut now) = (Handshakes::default(), Instant::now());
            let mut places: Vec<(Place, Instant)> = Vec::new();
            for (wait, leaves, most) in steps {
                now += Duration::from_millis(wait);
                if let Some(n) = leaves.filter(|n| *n < places.len()) {
                    let (place, _) = places.remove(n);
                    prop_assert!(handshakes.leave(place));
                    continue;
                }
                match handshakes.enter(most, now, now) {
                    Entry::In(place, cut) => {
                        prop_assert!(cut.iter().all(|since| *since + YOUNG <= now));
                        // The oldest ones, and no more than had to.
                        prop_assert_eq!(cut.len(), (places.len() + 1).saturating_sub(most));
                        let gone: Vec<_> = places.drain(..cut.len()).map(|(_, since)| since).collect();
                        prop_assert_eq!(gone, cut);
                        places.push((place, now));
                        prop_assert!(handshakes.len() <= most);
                    }
                    Entry::Full(until, _) => {
                        prop_assert!(until > now && places.len() >= most);
                        let cut = places.len() - most;
                        prop_assert_eq!(until, places[cut].1 + YOUNG);
                    }
                }
                prop_assert_eq!(handshakes.len(), places.len());
            }
        }
    }
}
