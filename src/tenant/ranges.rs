//! Address → the smallest configured network around it, and from there outwards.
//!
//! Networks nest or lie apart, so all addresses fall into consecutive ranges, each with one innermost network. A
//! look-up is a binary search over where they begin: about 2 log₂ n comparisons, whatever prefixes there are.

use std::net::IpAddr;

use super::Network;

/// No network.
pub(super) const NONE: u32 = u32::MAX;

/// Networks by the number that each was added with, from 0.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    v4: Sorted<u32>,
    v6: Sorted<u128>,
    /// The smallest network around each.
    around: Box<[u32]>,
}

/// Where ranges begin, and the innermost network of each.
#[derive(Debug, Default)]
struct Sorted<T> {
    starts: Vec<T>,
    innermost: Vec<u32>,
}

impl Ranges {
    /// `networks` are distinct, each one's number is its place.
    pub(super) fn new(networks: &[Network]) -> Self {
        let mut numbered: Vec<(Network, u32)> = networks.iter().copied().zip(0..).collect();
        // By the first address, and of those that begin alike the largest first.
        numbered.sort_unstable();
        let mut around = vec![NONE; networks.len()];
        let (mut v4, mut v6) = (Nesting::default(), Nesting::default());
        for (network, number) in numbered {
            let outer = match (network.first(), network.last()) {
                (IpAddr::V4(first), IpAddr::V4(last)) => v4.open(first.to_bits(), last.to_bits(), number),
                (IpAddr::V6(first), IpAddr::V6(last)) => v6.open(first.to_bits(), last.to_bits(), number),
                _ => NONE,
            };
            if let Some(slot) = around.get_mut(number as usize) {
                *slot = outer;
            }
        }
        Self { v4: v4.close(), v6: v6.close(), around: around.into() }
    }

    /// The number of the smallest network around `ip`, or [`NONE`].
    pub(super) fn find(&self, ip: IpAddr) -> u32 {
        match ip.to_canonical() {
            IpAddr::V4(ip) => self.v4.find(ip.to_bits()),
            IpAddr::V6(ip) => self.v6.find(ip.to_bits()),
        }
    }

    /// The smallest network around this one, or [`NONE`].
    pub(super) fn around(&self, number: u32) -> u32 {
        self.around.get(number as usize).copied().unwrap_or(NONE)
    }
}

impl<T: Ord> Sorted<T> {
    fn find(&self, at: T) -> u32 {
        let after = self.starts.partition_point(|start| *start <= at);
        after.checked_sub(1).and_then(|n| self.innermost.get(n)).copied().unwrap_or(NONE)
    }
}

/// The networks around the place where building has come to.
struct Nesting<T> {
    sorted: Sorted<T>,
    /// The last address and the number of each, the outermost first.
    open: Vec<(T, u32)>,
}

impl<T: Ord + Copy + Successor> Nesting<T> {
    /// The next network; says which one is around it.
    fn open(&mut self, first: T, last: T, number: u32) -> u32 {
        self.leave(|end| end < first);
        let outer = self.innermost();
        self.begin(first, number);
        self.open.push((last, number));
        outer
    }

    fn close(mut self) -> Sorted<T> {
        self.leave(|_| true);
        self.sorted
    }

    fn leave(&mut self, is_over: impl Fn(T) -> bool) {
        while let Some((end, _)) = self.open.pop_if(|(end, _)| is_over(*end)) {
            if let Some(next) = end.successor() {
                self.begin(next, self.innermost());
            }
        }
    }

    fn innermost(&self) -> u32 {
        self.open.last().map_or(NONE, |(_, number)| *number)
    }

    fn begin(&mut self, start: T, number: u32) {
        // Of ranges that begin alike the last is the innermost, and the one that is found.
        self.sorted.starts.push(start);
        self.sorted.innermost.push(number);
    }
}

impl<T> Default for Nesting<T> {
    fn default() -> Self {
        Self { sorted: Sorted { starts: Vec::new(), innermost: Vec::new() }, open: Vec::new() }
    }
}

trait Successor: Sized {
    fn successor(self) -> Option<Self>;
}

impl Successor for u32 {
    fn successor(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl Successor for u128 {
    fn successor(self) -> Option<Self> {
        self.checked_add(1)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    /// All networks around an address, the smallest first.
    fn chain(ranges: &Ranges, ip: IpAddr) -> Vec<u32> {
        let first = ranges.find(ip);
        let up = std::iter::successors(Some(first), |n| Some(ranges.around(*n)));
        up.take_while(|n| *n != NONE).collect()
    }

    fn address(v6: bool, bits: u32) -> IpAddr {
        // Few bits at either end, so that networks nest and addresses meet them.
        let (high, low) = (bits & 0xe000_0000, bits & 7);
        if v6 {
            Ipv6Addr::from_bits(u128::from(high) << 96 | u128::from(low)).into()
        } else {
            Ipv4Addr::from_bits(high | low).into()
        }
    }

    proptest! {
        #[test]
        fn an_address_finds_the_networks_around_it_the_smallest_first(
            networks in prop::collection::btree_set((any::<bool>(), any::<u32>(), 0_u8..=128), 0..40),
            asked in prop::collection::vec((any::<bool>(), any::<u32>()), 1..40),
        ) {
            let mut networks: Vec<_> =
                networks.into_iter().map(|(v6, bits, prefix)| Network::new(address(v6, bits), prefix)).collect();
            networks.sort_unstable();
            networks.dedup();
            let ranges = Ranges::new(&networks);
            for (v6, bits) in asked {
                let ip = address(v6, bits);
                let mut around: Vec<_> = (0..).zip(&networks).filter(|(_, n)| n.contains(ip)).collect();
                around.sort_by_key(|(_, network)| std::cmp::Reverse(network.prefix()));
                let around: Vec<u32> = around.into_iter().map(|(number, _)| number).collect();
                prop_assert_eq!(chain(&ranges, ip), around, "{}", ip);
            }
        }
    }
}
