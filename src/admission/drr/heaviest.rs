//! Which tenant queues most for its weight: a heap in which each tenant knows its place.

use super::arena::{Arena, Id};
use super::record::Tenant;

/// The tenants that wait, the one with most requests for its weight on top.
#[derive(Debug, Default)]
pub(super) struct Heaviest {
    heap: Vec<Id<Tenant>>,
}

impl Heaviest {
    pub(super) fn top(&self) -> Option<Id<Tenant>> {
        self.heap.first().copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Id<Tenant>> + '_ {
        self.heap.iter().copied()
    }

    /// Puts `id` where its queue and weight belong now.
    pub(super) fn update(&mut self, tenants: &mut Arena<Tenant>, id: Id<Tenant>) {
        let (place, queued) = (tenants[id].heap_place, tenants[id].queued);
        match (place, queued) {
            (None, 0) => {}
            (None, _) => {
                self.heap.push(id);
                self.rise(tenants, self.heap.len() - 1);
            }
            (Some(place), 0) => {
                tenants[id].heap_place = None;
                let last = self.heap.pop().unwrap_or_default();
                if last != id {
                    self.set(tenants, place, last);
                    let place = self.rise(tenants, place);
                    self.sink(tenants, place);
                }
            }
            (Some(place), _) => {
                let place = self.rise(tenants, place);
                self.sink(tenants, place);
            }
        }
    }

    fn rise(&mut self, tenants: &mut Arena<Tenant>, mut place: usize) -> usize {
        let id = self.at(place);
        while place > 0 {
            let above = (place - 1) / 2;
            if !is_heavier(tenants, id, self.at(above)) {
                break;
            }
            self.set(tenants, place, self.at(above));
            place = above;
        }
        self.set(tenants, place, id);
        place
    }

    fn sink(&mut self, tenants: &mut Arena<Tenant>, mut place: usize) {
        let id = self.at(place);
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            if left >= self.heap.len() {
                break;
            }
            let right_wins = right < self.heap.len() && is_heavier(tenants, self.at(right), self.at(left));
            let below = if right_wins { right } else { left };
            if !is_heavier(tenants, self.at(below), id) {
                break;
            }
            self.set(tenants, place, self.at(below));
            place = below;
        }
        self.set(tenants, place, id);
    }

    fn at(&self, place: usize) -> Id<Tenant> {
        self.heap.get(place).copied().unwrap_or_default()
    }

    fn set(&mut self, tenants: &mut Arena<Tenant>, place: usize, id: Id<Tenant>) {
        if let Some(slot) = self.heap.get_mut(place) {
            *slot = id;
            tenants[id].heap_place = Some(place);
        }
    }
}

/// Queued for the weight, compared without a division.
fn is_heavier(tenants: &Arena<Tenant>, one: Id<Tenant>, other: Id<Tenant>) -> bool {
    let (one, other) = (&tenants[one], &tenants[other]);
    u64::from(one.queued) * u64::from(other.policy.weight.get())
        > u64::from(other.queued) * u64::from(one.policy.weight.get())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_top_queues_most_for_its_weight(
            weights in prop::collection::vec(1_u32..20, 1..12),
            steps in prop::collection::vec((any::<prop::sample::Index>(), 0_u32..30), 0..100),
        ) {
            let mut tenants = Arena::default();
            let ids: Vec<_> = weights.iter().map(|weight| {
                let mut tenant = Tenant::default();
                tenant.policy.weight = NonZeroU32::new(*weight).unwrap();
                tenants.insert(tenant)
            }).collect();
            let mut heap = Heaviest::default();
            for (at, queued) in steps {
                let id = ids[at.index(ids.len())];
                tenants[id].queued = queued;
                heap.update(&mut tenants, id);
                let waiting: Vec<_> = ids.iter().copied().filter(|id| tenants[*id].queued > 0).collect();
                prop_assert_eq!(heap.iter().count(), waiting.len());
                match heap.top() {
                    Some(top) => prop_assert!(!waiting.iter().any(|id| is_heavier(&tenants, *id, top))),
                    None => prop_assert!(waiting.is_empty()),
                }
            }
        }
    }
}
