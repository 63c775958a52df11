//! How many TLS handshakes of a listener may be under way at once, and which of them is given up for another.
//!
//! One that has begun costs memory and, before it, arithmetic; a client that then says nothing would keep its place until
//! its time is over. So a newcomer always gets a place. When all are taken, the address that has most of them loses its
//! oldest: who opens a thousand and answers none takes the places from itself, and a client of another address is
//! through undisturbed. Nobody waits: a queue in front of the places would be as long as whoever floods makes it.
//!
//! It does not handshake, wait or close anything.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use super::connections::Network;

/// Handshakes under way, the oldest first; `C` is what cuts one.
#[derive(Debug)]
pub struct Handshakes<C> {
    under_way: VecDeque<UnderWay<C>>,
    /// How many each address has; none has 0.
    by_client: HashMap<Option<Network>, usize>,
    next: u64,
}

#[derive(Debug)]
struct UnderWay<C> {
    place: Place,
    client: Option<Network>,
    cut: C,
}

/// One handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(u64);

impl<C> Default for Handshakes<C> {
    fn default() -> Self {
        Self { under_way: VecDeque::new(), by_client: HashMap::new(), next: 0 }
    }
}

impl<C> Handshakes<C> {
    /// One more, where `most` may be under way, and those that are given up for it: more than one after `most` was
    /// lowered. `client` is `None` on a Unix socket.
    pub fn enter(&mut self, most: usize, client: Option<IpAddr>, cut: C) -> (Place, Vec<C>) {
        let mut given_up = Vec::new();
        while self.under_way.len() >= most.max(1) {
            given_up.extend(self.give_up());
        }
        let client = client.map(Network::of);
        let place = Place(self.next);
        self.next = self.next.wrapping_add(1);
        self.under_way.push_back(UnderWay { place, client, cut });
        let of_client = self.by_client.entry(client).or_default();
        *of_client = of_client.saturating_add(1);
        (place, given_up)
    }

    /// It is over, however it has ended. One that was given up has no place any more.
    pub fn leave(&mut self, place: Place) {
        if let Ok(at) = self.under_way.binary_search_by_key(&place, |one| one.place) {
            drop(self.remove(at));
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

    /// The oldest of the address that has most; of several such, the oldest of all.
    fn give_up(&mut self) -> Option<C> {
        let most = *self.by_client.values().max()?;
        let at = self.under_way.iter().position(|one| self.by_client.get(&one.client) == Some(&most))?;
        self.remove(at)
    }

    fn remove(&mut self, at: usize) -> Option<C> {
        let UnderWay { client, cut, .. } = self.under_way.remove(at)?;
        if let Some(of_client) = self.by_client.get_mut(&client) {
            *of_client = of_client.saturating_sub(1);
            if *of_client == 0 {
                let _ = self.by_client.remove(&client);
            }
        }
        Some(cut)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client(n: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, n]))
    }

    #[test]
    fn a_newcomer_takes_the_place_of_the_oldest_of_who_has_most() {
        let mut handshakes = Handshakes::default();
        let mut enter = |most, from, n: u32| handshakes.enter(most, client(from), n).1;
        for (from, n) in [(1, 10), (2, 20), (2, 21), (1, 11), (1, 12)] {
            assert!(enter(5, from, n).is_empty());
        }
        assert_eq!(enter(5, 3, 30), [10], "1 has three");
        assert_eq!(enter(5, 3, 31), [20], "all have two or one, and 20 is the oldest of two");
        assert_eq!(enter(5, 2, 22), [11]);
        assert_eq!(enter(5, 2, 23), [21]);
        // A lowered bound holds for the next that begins.
        assert_eq!(enter(2, 4, 40), [30, 22, 12, 31]);
        assert_eq!(enter(0, 4, 41), [23, 40], "there is always one place");
    }

    #[test]
    fn a_place_that_is_left_is_free_and_is_left_once() {
        let mut handshakes = Handshakes::default();
        let (place, _) = handshakes.enter(1, None, 1);
        handshakes.leave(place);
        handshakes.leave(place);
        assert!(handshakes.is_empty() && handshakes.by_client.is_empty());
        let (given_up, none) = handshakes.enter(1, None, 2);
        assert!(none.is_empty());
        assert_eq!(handshakes.enter(1, client(1), 3).1, [2]);
        handshakes.leave(given_up);
        assert_eq!(handshakes.len(), 1);
    }

    proptest! {
        #[test]
        fn there_are_never_more_than_may_be_and_who_has_fewer_is_not_cut_for_who_has_more(
            steps in prop::collection::vec((0_u8..5, prop::option::of(0_usize..8), 1_usize..6), 0..100),
        ) {
            let mut handshakes = Handshakes::default();
            let mut under_way: Vec<(Place, u8)> = Vec::new();
            for (from, leaves, most) in steps {
                if let Some(n) = leaves.filter(|n| *n < under_way.len()) {
                    handshakes.leave(under_way.remove(n).0);
                } else {
                    let before = under_way.clone();
                    let (place, cut) = handshakes.enter(most, client(from), (from, handshakes.next));
                    for (of, number) in cut {
                        let count = |who: u8| under_way.iter().filter(|(_, other)| *other == who).count();
                        prop_assert!((0..5).all(|who| count(who) <= count(of)), "{before:?}");
                        under_way.retain(|(place, _)| place.0 != number);
                    }
                    under_way.push((place, from));
                    prop_assert!(under_way.len() <= most);
                }
                prop_assert_eq!(handshakes.len(), under_way.len());
                prop_assert_eq!(handshakes.by_client.values().sum::<usize>(), under_way.len());
            }
        }
    }
}
