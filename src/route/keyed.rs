//! A map by text that is built once: a handful of keys are compared one by one, more are hashed.
//!
//! A text that is longer than every key is not even hashed, so that a client cannot buy work with long names.

use std::collections::{BTreeMap, HashMap};

/// Up to here, comparing is faster than hashing.
const FEW: usize = 8;

#[derive(Debug)]
pub(super) struct Keyed<V> {
    map: Map<V>,
    longest: usize,
}

#[derive(Debug)]
enum Map<V> {
    Few(Box<[(Box<str>, V)]>),
    Many(HashMap<Box<str>, V>),
}

impl<V> Keyed<V> {
    pub(super) fn find(&self, key: &str) -> Option<&V> {
        if key.len() > self.longest {
            return None;
        }
        match &self.map {
            Map::Few(pairs) => pairs.iter().find(|(k, _)| **k == *key).map(|(_, value)| value),
            Map::Many(map) => map.get(key),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(&self.map, Map::Few(pairs) if pairs.is_empty())
    }
}

/// Gathers the keys of a [`Keyed`].
#[derive(Debug)]
pub(super) struct KeyedBuilder<B>(BTreeMap<Box<str>, B>);

impl<B: Default> KeyedBuilder<B> {
    pub(super) fn entry(&mut self, key: &str) -> &mut B {
        self.0.entry(key.into()).or_default()
    }
}

impl<B> KeyedBuilder<B> {
    pub(super) fn build<V>(self, mut value: impl FnMut(B) -> V) -> Keyed<V> {
        let longest = self.0.keys().map(|key| key.len()).max().unwrap_or(0);
        let few = self.0.len() <= FEW;
        let pairs = self.0.into_iter().map(|(key, part)| (key, value(part)));
        let map = if few { Map::Few(pairs.collect()) } else { Map::Many(pairs.collect()) };
        Keyed { map, longest }
    }
}

impl<B> Default for KeyedBuilder<B> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_and_no_other_be_they_few_or_many() {
        for count in [0, 1, FEW, FEW + 1, 1000] {
            let mut builder = KeyedBuilder::default();
            for n in 0..count {
                *builder.entry(&format!("k{n}")) = n;
            }
            let map = builder.build(|n| n);
            assert_eq!(map.is_empty(), count == 0);
            assert!((0..count).all(|n| *map.find(&format!("k{n}")).unwrap() == n));
            for other in [String::new(), "k".to_owned(), format!("k{count}"), "k".repeat(100)] {
                assert_eq!(map.find(&other), None, "{other} among {count}");
            }
        }
    }
}
