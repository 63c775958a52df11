//! How many connections may be open, in all and from one client address (http.md §7).
//!
//! An address is IPv4 /32 or IPv6 /64: who has one IPv6 address has that many. Counts are kept of addresses with open
//! connections only, so that memory is bounded by the connections that are allowed.
//!
//! It does not know who is trusted, nor closes what is open: a lowered bound holds from the next connection on.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Locks; connections of one address share one.
const SHARDS: usize = 16;

/// The bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// In all.
    pub total: u32,
    /// From one address; `None` lifts it.
    pub per_address: Option<NonZeroU32>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { total: 10_000, per_address: NonZeroU32::new(256) }
    }
}

/// Why one more may not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Full {
    /// There are as many as may be.
    #[error("too many connections")]
    Total,
    /// Its address has as many as it may have.
    #[error("too many connections of this address")]
    Address,
}

impl Full {
    /// The word of the answer, the log and the metric (http.md §1).
    pub const fn reason(self) -> &'static str {
        "connections"
    }
}

/// Open connections.
#[derive(Debug, Default)]
pub struct Connections {
    open: AtomicU32,
    /// Its keys are secret, so that nobody can choose addresses that share a shard.
    hasher: RandomState,
    shards: [Mutex<HashMap<Network, u32>>; SHARDS],
}

/// One open connection; closed when dropped.
#[derive(Debug)]
pub struct Permit {
    connections: Arc<Connections>,
    network: Option<Network>,
}

/// What counts as one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Network {
    V4(u32),
    V6(u64),
}

impl Network {
    pub(super) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6(high_half(address)),
        }
    }
}

fn high_half(address: Ipv6Addr) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = address.octets();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

impl Connections {
    /// One more. `address` is `None` for whom the bound of an address does not hold: trusted peers, and those of Unix
    /// sockets, which have none.
    ///
    /// # Errors
    /// There are too many: close it, with 503 `connections` where that is cheap.
    pub fn enter(self: &Arc<Self>, policy: &Policy, address: Option<IpAddr>) -> Result<Permit, Full> {
        let more = |open: u32| (open < policy.total).then(|| open.saturating_add(1));
        self.open.fetch_update(Relaxed, Relaxed, more).map_err(|_| Full::Total)?;
        // From here on what is dropped gives back what was taken.
        let mut permit = Permit { connections: Arc::clone(self), network: None };
        if let Some(network) = address.map(Network::of) {
            self.take(policy, network)?;
            permit.network = Some(network);
        }
        Ok(permit)
    }

    /// Connections that are open.
    pub fn open(&self) -> u32 {
        self.open.load(Relaxed)
    }

    /// Counted also where there is no bound, so that one that is set later knows them.
    fn take(&self, policy: &Policy, network: Network) -> Result<(), Full> {
        let Some(mut shard) = self.shard(network) else { return Ok(()) };
        let most = policy.per_address.map_or(u32::MAX, NonZeroU32::get);
        let open = shard.get(&network).copied().unwrap_or_default();
        if open >= most {
            return Err(Full::Address);
        }
        let _before = shard.insert(network, open.saturating_add(1));
        Ok(())
    }

    fn give_back(&self, network: Network) {
        let Some(mut shard) = self.shard(network) else { return };
        match shard.get_mut(&network) {
            Some(open) if *open > 1 => *open = open.saturating_sub(1),
            _ => drop(shard.remove(&network)),
        }
    }

    fn shard(&self, network: Network) -> Option<MutexGuard<'_, HashMap<Network, u32>>> {
        let [.., low] = self.hasher.hash_one(network).to_be_bytes();
        let shard = self.shards.get(usize::from(low) % SHARDS)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(network) = self.network {
            self.connections.give_back(network);
        }
        self.connections.open.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy(total: u32, per_address: u32) -> Policy {
        Policy { total, per_address: NonZeroU32::new(per_address) }
    }

    fn at(address: &str) -> Option<IpAddr> {
        Some(address.parse().unwrap())
    }

    /// Addresses that are counted now.
    fn rows(connections: &Connections) -> usize {
        connections.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }

    #[test]
    fn an_address_has_its_share_and_a_network_of_ipv6_is_one() {
        let connections = Arc::new(Connections::default());
        let policy = policy(100, 2);
        let enter = |address| connections.enter(&policy, at(address));
        let _open: Vec<_> = ["10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1", "2001:db8::ffff:0:0:2"]
            .map(|address| enter(address).unwrap())
            .into();
        for full in ["10.0.0.1", "::ffff:10.0.0.1", "2001:db8::3"] {
            assert_eq!(enter(full).unwrap_err(), Full::Address, "{full}");
        }
        for other in ["10.0.0.2", "2001:db8:0:1::1", "::1"] {
            assert!(enter(other).is_ok(), "{other}");
        }
        assert_eq!(rows(&connections), 2);
    }

    #[test]
    fn the_bound_of_all_holds_for_those_that_have_no_address_too() {
        let connections = Arc::new(Connections::default());
        let policy = policy(3, 1);
        let open: Vec<_> = (0..3).map(|_| connections.enter(&policy, None).unwrap()).collect();
        assert_eq!(connections.enter(&policy, None).unwrap_err(), Full::Total);
        assert_eq!(connections.enter(&policy, at("10.0.0.1")).unwrap_err(), Full::Total);
        drop(open);
        let _one = connections.enter(&policy, at("10.0.0.1")).unwrap();
        assert_eq!(connections.enter(&policy, at("10.0.0.1")).unwrap_err(), Full::Address);
        assert_eq!(connections.open(), 1, "who is refused takes no place");
    }

    #[test]
    fn a_bound_that_is_set_later_knows_those_that_are_open() {
        let connections = Arc::new(Connections::default());
        let open: Vec<_> =
            (0..5).map(|_| connections.enter(&policy(100, 0), at("10.0.0.1")).unwrap()).collect();
        assert_eq!(connections.enter(&policy(100, 5), at("10.0.0.1")).unwrap_err(), Full::Address);
        assert!(connections.enter(&policy(100, 6), at("10.0.0.1")).is_ok());
        drop(open);
        assert_eq!((connections.open(), rows(&connections)), (0, 0));
    }

    #[test]
    fn threads_do_not_take_more_than_there_is() {
        let connections = Arc::new(Connections::default());
        let enter = || {
            (0..100).filter_map(|n: u8| {
                connections.enter(&policy(150, 40), Some(IpAddr::from([10, 0, 0, n % 4]))).ok()
            })
        };
        let open: Vec<Permit> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| enter().collect::<Vec<_>>())).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!((open.len(), connections.open()), (150, 150));
        drop(open);
        assert_eq!((connections.open(), rows(&connections)), (0, 0));
    }

    proptest! {
        #[test]
        fn one_more_is_let_in_exactly_when_there_is_room(
            steps in prop::collection::vec((any::<bool>(), 0_u8..5), 0..200), total in 0_u32..20, each in 1_u32..6,
        ) {
            let connections = Arc::new(Connections::default());
            let mut open: Vec<(u8, Permit)> = Vec::new();
            for (enters, n) in steps {
                if !enters {
                    if let Some(at) = open.iter().position(|(other, _)| *other == n) {
                        drop(open.remove(at));
                    }
                    continue;
                }
                // 0 has no address.
                let address = (n > 0).then(|| IpAddr::from([10, 0, 0, n]));
                let same = open.iter().filter(|(other, _)| *other == n).count();
                let want = if open.len() >= total as usize {
                    Err(Full::Total)
                } else if n > 0 && same >= each as usize {
                    Err(Full::Address)
                } else {
                    Ok(())
                };
                let outcome = connections.enter(&policy(total, each), address);
                prop_assert_eq!(outcome.as_ref().map(drop).map_err(|full| *full), want);
                open.extend(outcome.ok().map(|permit| (n, permit)));
                prop_assert_eq!(connections.open() as usize, open.len());
            }
        }
    }
}
