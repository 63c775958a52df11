//! The ring of rounds of one cluster: a waiting flow stands in the round in which its tenant's deficit will cover its
//! head, so that to find the next one is to look at the head of a list, however many tenants wait.
//!
//! All rings go by one count of rounds. A ring whose cluster is skipped is left as it is: the rounds go on without it,
//! and what fell due meanwhile is found when somebody looks again.

use super::arena::{Arena, Id, List};
use super::record::{Flow, Place};

/// Flows that wait for one cluster.
#[derive(Debug, Default)]
pub(super) struct Ring {
    /// Served first: their tenants were idle.
    sparse: List<Flow>,
    /// Those whose round is `base` or earlier.
    due: List<Flow>,
    /// Those of the rounds after `base`, each at its round modulo the length, which is a power of two.
    rounds: Box<[List<Flow>]>,
    /// A bit for each of `rounds` that is not empty.
    filled: Box<[u64]>,
    base: u64,
    length: u32,
}

impl Ring {
    /// Makes room for flows up to `ahead` rounds from now. Nothing is in the ring.
    pub(super) fn resize(&mut self, ahead: usize) {
        let length = (ahead + 1).next_power_of_two().max(64);
        if self.rounds.len() != length {
            self.rounds = (0..length).map(|_| List::default()).collect();
            self.filled = vec![0; length / 64].into();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn sparse(&self) -> Option<Id<Flow>> {
        self.sparse.front()
    }

    /// The flow whose turn it is in round `now`, if there is one.
    pub(super) fn due(&mut self, flows: &mut Arena<Flow>, now: u64) -> Option<Id<Flow>> {
        self.catch_up(flows, now);
        self.due.front()
    }

    /// The first round after `base` in which somebody stands.
    pub(super) fn next_round(&self) -> Option<u64> {
        let length = self.rounds.len() as u64;
        if length == 0 {
            return None;
        }
        let start = (self.base + 1) % length;
        let (first, offset) = (start / 64, start % 64);
        let words = length / 64;
        // The word of `start` is looked at twice: its upper bits first, its lower bits last.
        for step in 0..=words {
            let word = (first + step) % words;
            let mut bits = self.filled.get(usize::try_from(word).ok()?).copied()?;
            if step == 0 {
                bits &= u64::MAX << offset;
            } else if step == words {
                bits &= !(u64::MAX << offset);
            }
            if bits != 0 {
                let at = word * 64 + u64::from(bits.trailing_zeros());
                return Some(self.base + 1 + (at + length - start) % length);
            }
        }
        None
    }

    /// Puts `id`, which is in no list, where it belongs as seen in round `now`.
    pub(super) fn insert(&mut self, flows: &mut Arena<Flow>, id: Id<Flow>, place: Place, now: u64) {
        self.catch_up(flows, now);
        let place = match place {
            Place::Round(round) => Place::Round(round.min(self.base + self.rounds.len() as u64 - 1)),
            other => other,
        };
        flows[id].place = place;
        self.length += u32::from(place != Place::Nowhere);
        match place {
            Place::Nowhere => {}
            Place::Sparse => self.sparse.push_back(flows, id, Flow::by_ring),
            Place::Round(round) if round <= self.base => self.due.push_back(flows, id, Flow::by_ring),
            Place::Round(round) => {
                self.mark(round, true);
                if let Some(list) = self.list(round) {
                    list.push_back(flows, id, Flow::by_ring);
                }
            }
        }
    }

    /// Whether what stands at `place` may stay there though it belongs to `wanted`: one that is due keeps its turn.
    pub(super) fn holds_at(&self, place: Place, wanted: Place, now: u64) -> bool {
        match (place, wanted) {
            (Place::Round(place), Place::Round(wanted)) if place <= self.base => wanted <= now,
            _ => place == wanted,
        }
    }

    pub(super) fn remove(&mut self, flows: &mut Arena<Flow>, id: Id<Flow>) {
        let place = std::mem::take(&mut flows[id].place);
        self.length -= u32::from(place != Place::Nowhere);
        match place {
            Place::Nowhere => {}
            Place::Sparse => self.sparse.remove(flows, id, Flow::by_ring),
            Place::Round(round) if round <= self.base => self.due.remove(flows, id, Flow::by_ring),
            Place::Round(round) => {
                let Some(list) = self.list(round) else { return };
                list.remove(flows, id, Flow::by_ring);
                if list.is_empty() {
                    self.mark(round, false);
                }
            }
        }
    }

    /// What stands in rounds up to `now` is due, in the order of the rounds.
    fn catch_up(&mut self, flows: &mut Arena<Flow>, now: u64) {
        while self.base < now {
            let Some(round) = self.next_round().filter(|round| *round <= now) else {
                self.base = now;
                return;
            };
            self.base = round;
            self.mark(round, false);
            let mut list = self.list(round).map(std::mem::take).unwrap_or_default();
            self.due.append(flows, &mut list, Flow::by_ring);
        }
    }

    fn place(&self, round: u64) -> usize {
        usize::try_from(round % (self.rounds.len() as u64).max(1)).unwrap_or_default()
    }

    fn list(&mut self, round: u64) -> Option<&mut List<Flow>> {
        let place = self.place(round);
        self.rounds.get_mut(place)
    }

    fn mark(&mut self, round: u64, filled: bool) {
        let place = self.place(round);
        let Some(word) = self.filled.get_mut(place / 64) else { return };
        let bit = 1 << (place % 64);
        *word = if filled { *word | bit } else { *word & !bit };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn flows_come_out_in_the_order_of_their_rounds_and_within_one_as_they_came(
            ahead in 1_usize..200,
            steps in prop::collection::vec((0_u8..4, 0_u64..300, any::<prop::sample::Index>()), 0..200),
        ) {
            let (mut ring, mut flows) = (Ring::default(), Arena::default());
            ring.resize(ahead);
            let mut now = 0_u64;
            // (round in which it stands, order of coming, id)
            let mut model: Vec<(u64, usize, Id<Flow>)> = Vec::new();
            for (order, (step, by, at)) in steps.into_iter().enumerate() {
                match step {
                    0 | 1 => {
                        let round = now + by % (ahead as u64 + 1);
                        let id = flows.insert(Flow::default());
                        ring.insert(&mut flows, id, Place::Round(round), now);
                        model.push((round, order, id));
                    }
                    2 if !model.is_empty() => {
                        let (.., id) = model.remove(at.index(model.len()));
                        ring.remove(&mut flows, id);
                        flows.remove(id);
                    }
                    _ => now += by,
                }
                model.sort_by_key(|(round, order, _)| (*round, *order));
                let due = model.first().filter(|(round, ..)| *round <= now).map(|(.., id)| *id);
                prop_assert_eq!(ring.due(&mut flows, now), due);
                let next = model.iter().map(|(round, ..)| *round).find(|round| *round > now);
                prop_assert_eq!(ring.next_round(), next);
                // Those that are due come in the order in which they fell due.
                for entry in &mut model {
                    entry.0 = entry.0.max(if entry.0 <= now { 0 } else { entry.0 });
                }
            }
        }
    }
}
