//! Sets of neighbouring addresses. How they are written is the configuration's.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A set of neighbouring IP addresses: `10.0.0.0/8`, `fd00::/8`, or one address. The bits behind the prefix are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// The addresses whose first `prefix` bits are those of `address`; a prefix longer than an address is a whole one.
    /// IPv4 networks in IPv6 clothes (`::ffff:10.0.0.0/104`) are IPv4 networks.
    pub fn new(address: IpAddr, prefix: u8) -> Self {
        let (address, prefix) = match (address.to_canonical(), prefix.checked_sub(96)) {
            (IpAddr::V4(plain), Some(prefix)) if address.is_ipv6() => (IpAddr::V4(plain), prefix),
            _ => (address, prefix),
        };
        let (address, prefix) = match address {
            IpAddr::V4(ip) => {
                let prefix = prefix.min(32);
                (Ipv4Addr::from_bits(ip.to_bits() & mask_v4(prefix)).into(), prefix)
            }
            IpAddr::V6(ip) => {
                let prefix = prefix.min(128);
                (Ipv6Addr::from_bits(ip.to_bits() & mask_v6(prefix)).into(), prefix)
            }
        };
        Self { address, prefix }
    }

    /// The first of them.
    pub fn first(&self) -> IpAddr {
        self.address
    }

    /// The last of them.
    pub fn last(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() | !mask_v4(self.prefix)).into(),
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() | !mask_v6(self.prefix)).into(),
        }
    }

    /// How many leading bits they share.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether `ip` is one of them; an IPv4 address in IPv6 clothes (`::ffff:10.0.0.1`) counts as IPv4.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(of), IpAddr::V4(ip)) => (of.to_bits() ^ ip.to_bits()) & mask_v4(self.prefix) == 0,
            (IpAddr::V6(of), IpAddr::V6(ip)) => (of.to_bits() ^ ip.to_bits()) & mask_v6(self.prefix) == 0,
            _ => false,
        }
    }

    /// Whether these are all addresses of their kind.
    pub fn is_everything(&self) -> bool {
        self.prefix == 0
    }
}

fn mask_v4(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

fn mask_v6(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = if self.address.is_ipv4() { 32 } else { 128 };
        if self.prefix == longest {
            self.address.fmt(f)
        } else {
            write!(f, "{}/{}", self.address, self.prefix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_reaches_from_its_first_address_to_its_last() {
        for (ip, prefix, first, last) in [
            ("10.1.2.3", 8, "10.0.0.0", "10.255.255.255"),
            ("10.1.2.3", 32, "10.1.2.3", "10.1.2.3"),
            ("10.1.2.3", 99, "10.1.2.3", "10.1.2.3"),
            ("10.1.2.3", 0, "0.0.0.0", "255.255.255.255"),
            ("fd00::1", 8, "fd00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("::1", 0, "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            let network = Network::new(ip.parse().unwrap(), prefix);
            let ends = [network.first(), network.last()].map(|ip| ip.to_string());
            assert_eq!(ends, [first, last], "{ip}/{prefix}");
            assert!(network.contains(network.first()) && network.contains(network.last()));
        }
    }
}
