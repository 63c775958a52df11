//! Which backend takes a request.
//!
//! A [`Balancer`] is one list of backends with what its policy precomputes; a changed list is a new one. It asks the
//! backends whether they are available and how many requests are under way, and changes nothing but whose turn it is.
//! When none may take the request there is none: the caller answers 503 `no_backend`.
//!
//! Discovery, checks and ejection are not here; nor is what a hash key is made of.

mod lots;
mod ring;
mod turns;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use self::lots::Lots;
use self::ring::Ring;
use self::turns::Turns;
use super::backend::{Backend, BackendId};

/// How one of the backends is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// In turn, by weight.
    RoundRobin,
    /// Of two drawn at random by weight, the one with fewer requests under way for its weight.
    #[default]
    LeastRequests,
    /// The same backend for the same key as long as it is available, else the next on a ring. Requests without a key go
    /// the way of [`Policy::LeastRequests`].
    Hash,
}

/// Backends to choose from.
#[derive(Debug)]
pub struct Balancer<T> {
    entries: Vec<Entry<T>>,
    lots: Lots,
    choice: Choice,
}

#[derive(Debug)]
struct Entry<T> {
    backend: Arc<Backend<T>>,
    weight: NonZeroU32,
}

#[derive(Debug)]
enum Choice {
    Turns(Turns),
    LeastRequests,
    Ring(Ring),
}

/// Draws of one backend before all are looked through.
const DRAWS: usize = 4;

impl<T> Balancer<T> {
    /// Prepares choosing among `backends`, each with its weight.
    pub fn new(policy: Policy, backends: impl IntoIterator<Item = (Arc<Backend<T>>, NonZeroU32)>) -> Self {
        let entries: Vec<_> =
            backends.into_iter().map(|(backend, weight)| Entry { backend, weight }).collect();
        let weights: Vec<_> = entries.iter().map(|entry| entry.weight).collect();
        let choice = match policy {
            Policy::RoundRobin => Choice::Turns(Turns::new(&weights)),
            Policy::LeastRequests => Choice::LeastRequests,
            Policy::Hash => {
                let named = entries.iter().map(|entry| (entry.backend.name().as_bytes(), entry.weight));
                Choice::Ring(Ring::new(named))
            }
        };
        Self { lots: Lots::new(&weights), entries, choice }
    }

    /// The policy it was made for.
    pub fn policy(&self) -> Policy {
        match self.choice {
            Choice::Turns(_) => Policy::RoundRobin,
            Choice::LeastRequests => Policy::LeastRequests,
            Choice::Ring(_) => Policy::Hash,
        }
    }

    /// Every backend with its weight, available or not.
    pub fn backends(&self) -> impl ExactSizeIterator<Item = (&Arc<Backend<T>>, NonZeroU32)> {
        self.entries.iter().map(|entry| (&entry.backend, entry.weight))
    }

    /// The backend for a request: available at `now` and none of `exclude` (those that were tried already). `key` is
    /// what [`Policy::Hash`] hashes.
    pub fn pick(
        &self,
        key: Option<&[u8]>,
        exclude: &[BackendId],
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Option<Arc<Backend<T>>> {
        let may =
            |entry: &Entry<T>| entry.backend.is_available(now) && !exclude.contains(&entry.backend.id());
        let chosen = match (&self.choice, key) {
            (Choice::Turns(turns), _) => self.in_turn(turns, may, rng),
            (Choice::Ring(ring), Some(key)) => self.on_ring(ring, key, may),
            (Choice::Ring(_) | Choice::LeastRequests, _) => self.least_of_two(may, rng),
        };
        chosen.map(|entry| Arc::clone(&entry.backend))
    }

    fn in_turn(
        &self,
        turns: &Turns,
        may: impl Fn(&Entry<T>) -> bool,
        rng: &mut fastrand::Rng,
    ) -> Option<&Entry<T>> {
        // Who may not is skipped by taking the next turn, so that its turns are everybody's, not its neighbour's.
        let mut some = (0..turns::TRIES).filter_map(|_| self.entries.get(turns.next()?));
        some.find(|entry| may(entry)).or_else(|| self.draw_of_all(may, rng))
    }

    fn on_ring(&self, ring: &Ring, key: &[u8], may: impl Fn(&Entry<T>) -> bool) -> Option<&Entry<T>> {
        let mut walk = ring.walk(key).filter_map(|index| self.entries.get(index));
        if let Some(entry) = walk.by_ref().take(ring::TRIES).find(|entry| may(entry)) {
            return Some(entry);
        }
        if self.entries.iter().any(&may) { walk.find(|entry| may(entry)) } else { None }
    }

    fn least_of_two(&self, may: impl Fn(&Entry<T>) -> bool, rng: &mut fastrand::Rng) -> Option<&Entry<T>> {
        let draw = |rng: &mut fastrand::Rng| {
            let index = self.lots.draw(rng)?;
            self.entries.get(index).filter(|entry| may(entry)).map(|entry| (index, entry))
        };
        let drawn = (0..DRAWS).find_map(|_| draw(rng));
        let Some((index, first)) = drawn else { return self.draw_of_all(may, rng) };
        let second =
            (0..DRAWS).find_map(|_| draw(rng).filter(|(other, _)| *other != index)).map(|(_, entry)| entry);
        // Beside one that is drawn nearly always, the others must be asked too.
        let second = second.or_else(|| {
            let after = self.entries.iter().skip(index.saturating_add(1));
            after.chain(self.entries.iter().take(index)).find(|entry| may(entry))
        });
        Some(second.filter(|second| second.is_less_busy_than(first)).unwrap_or(first))
    }

    /// One by weight among those that may, after looking at all.
    fn draw_of_all(&self, may: impl Fn(&Entry<T>) -> bool, rng: &mut fastrand::Rng) -> Option<&Entry<T>> {
        let weight = |entry: &Entry<T>| u64::from(entry.weight.get());
        let total: u64 = self.entries.iter().filter(|entry| may(entry)).map(weight).sum();
        if total == 0 {
            return None;
        }
        let mut lot = rng.u64(..total);
        let fitting = self.entries.iter().filter(|entry| may(entry));
        let mut last = None;
        for entry in fitting {
            last = Some(entry);
            match lot.checked_sub(weight(entry)) {
                Some(rest) => lot = rest,
                None => break,
            }
        }
        last
    }
}

impl<T> Entry<T> {
    /// Requests under way in relation to the weight.
    fn is_less_busy_than(&self, other: &Self) -> bool {
        let load =
            |entry: &Self, by: &Self| u64::from(entry.backend.in_flight()) * u64::from(by.weight.get());
        load(self, other) < load(other, self)
    }
}

#[cfg(test)]
mod tests;
