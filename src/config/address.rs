//! Addresses: where the gateway listens or connects, names to discover, networks to trust; how each is written.
//!
//! Nothing is resolved here: an [`Address`] is numbers or a path, a [`DnsAddress`] is for the one who looks it up.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::finding::quoted;
use super::name::{HostName, is_host_name};
use super::text::text_value;
pub use crate::tenant::Network;

/// The longest path that fits a Unix socket's address, its final NUL excepted.
pub(super) const MAX_SOCKET_PATH: usize = 107;

/// Where a socket is bound or dialled: `10.0.0.1:9401`, `[::1]:9401`, `localhost:9401` or `unix:/path`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// A Unix socket's path.
    Unix(PathBuf),
}

impl Address {
    /// A port that only this machine can reach.
    pub(super) const fn loopback(port: u16) -> Self {
        Self::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    }

    /// Whether only this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// The path of a Unix socket.
    pub fn unix_path(&self) -> Option<&Path> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(path) => Some(path),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return socket_path(path).map(Self::Unix);
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self::Tcp(address));
        }
        let wrong = quoted(text);
        if text.parse::<IpAddr>().is_ok() {
            return Err(format!("{wrong} has no port, write {}", with_port(text)));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(format!(
                "{wrong} is no address, write HOST:PORT such as 127.0.0.1:8080, [IPV6]:PORT, or unix:/path"
            ));
        };
        let Ok(port) = port.parse::<u16>() else {
            return Err(format!("{} in {wrong} is no port, write 0 to 65535", quoted(port)));
        };
        match host {
            "localhost" => Ok(Self::Tcp(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port))),
            "" | "*" => {
                Err(format!("{wrong} has no host, write 0.0.0.0:{port} or [::]:{port} for all interfaces"))
            }
            _ if host.parse::<Ipv6Addr>().is_ok() => {
                Err(format!("an IPv6 address stands in brackets, write [{host}]:{port}"))
            }
            _ if is_host_name(host) => Err(format!(
                "{wrong} is a name, write its IP address (for a cluster's names, `backends: {{ dns: {host}:{port} }}`)"
            )),
            _ => Err(format!(
                "{} in {wrong} is no IP address, write one such as 127.0.0.1 or [::1], or unix:/path",
                quoted(host)
            )),
        }
    }
}

fn with_port(ip: &str) -> String {
    if ip.contains(':') { format!("[{ip}]:8080") } else { format!("{ip}:8080") }
}

fn socket_path(path: &str) -> Result<PathBuf, String> {
    if path.is_empty() {
        Err("the path is missing, write unix:/path/to/socket".to_owned())
    } else if path.len() > MAX_SOCKET_PATH {
        Err(format!(
            "the path has {} bytes and a Unix socket's at most {MAX_SOCKET_PATH}, write a shorter one",
            path.len()
        ))
    } else {
        Ok(PathBuf::from(path))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A name whose addresses DNS knows, and a port: `objects.internal:9401`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsAddress {
    /// The name to look up.
    pub host: HostName,
    /// The port of every address found, never 0.
    pub port: u16,
}

impl FromStr for DnsAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = quoted(text);
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(format!("{wrong} has no port, write NAME:PORT such as objects.internal:9401"));
        };
        match port.parse::<u16>() {
            Ok(port) if port > 0 => Ok(Self { host: host.parse()?, port }),
            _ => Err(format!("{} in {wrong} is no port, write 1 to 65535", quoted(port))),
        }
    }
}

impl fmt::Display for DnsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("{} is no IP address or network, write 10.0.0.1, 10.0.0.0/8 or fd00::/8", quoted(text))
        };
        let (ip, prefix) = match text.split_once('/') {
            Some((ip, prefix)) => (ip, Some(prefix)),
            None => (text, None),
        };
        let address = ip.parse::<IpAddr>().map_err(|_| wrong())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(prefix) => match prefix.parse::<u8>() {
                Ok(prefix) if prefix <= longest => prefix,
                _ => {
                    return Err(format!(
                        "{} in {} is no prefix, write 0 to {longest}",
                        quoted(prefix),
                        quoted(text)
                    ));
                }
            },
        };
        let network = Self::new(address, prefix);
        if network.first() == address {
            Ok(network)
        } else if network.first().is_ipv4() && address.is_ipv6() {
            Err(format!("{} is an IPv4 network in IPv6 form, write `{network}`", quoted(text)))
        } else {
            Err(format!("{} has bits behind the prefix, did you mean `{network}`?", quoted(text)))
        }
    }
}

text_value!(Address, DnsAddress, Network);

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_alike() {
        for text in ["127.0.0.1:8080", "[::1]:0", "unix:/run/x.sock"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!("localhost:80".parse::<Address>().unwrap().to_string(), "127.0.0.1:80");
    }

    #[test]
    fn a_wrong_address_says_what_would_be_right() {
        for (text, message) in [
            ("127.0.0.1", "`127.0.0.1` has no port, write 127.0.0.1:8080"),
            ("::1", "`::1` has no port, write [::1]:8080"),
            (":8080", "`:8080` has no host, write 0.0.0.0:8080 or [::]:8080 for all interfaces"),
            ("1:2:3:4:5:6:7:8:80", "an IPv6 address stands in brackets, write [1:2:3:4:5:6:7:8]:80"),
            ("127.0.0.1:80800", "`80800` in `127.0.0.1:80800` is no port, write 0 to 65535"),
            ("unix:", "the path is missing, write unix:/path/to/socket"),
            (
                "8080",
                "`8080` is no address, write HOST:PORT such as 127.0.0.1:8080, [IPV6]:PORT, or unix:/path",
            ),
            (
                "api.internal:80",
                "`api.internal:80` is a name, write its IP address (for a cluster's names, `backends: { dns: api.internal:80 }`)",
            ),
        ] {
            assert_eq!(text.parse::<Address>().unwrap_err(), message);
        }
        assert!(format!("unix:/{}", "x".repeat(107)).parse::<Address>().is_err());
    }

    #[test]
    fn only_loopback_and_unix_sockets_are_local() {
        for (text, local) in [
            ("127.8.8.8:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("unix:/x", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
            ("10.0.0.1:1", false),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().is_local(), local, "{text}");
        }
    }

    #[test]
    fn networks_contain_their_addresses_and_no_others() {
        let contains =
            |network: &str, ip: &str| network.parse::<Network>().unwrap().contains(ip.parse().unwrap());
        assert!(contains("10.0.0.0/8", "10.255.0.1"));
        assert!(contains("10.0.0.0/8", "::ffff:10.1.1.1"));
        assert!(contains("::/0", "2001:db8::1") && !contains("::/0", "10.1.1.1"));
        assert!(!contains("10.0.0.0/8", "11.0.0.0"));
        assert!(contains("0.0.0.0/0", "1.2.3.4"));
        assert!(!contains("0.0.0.0/0", "::1"));
        assert!(contains("fd00::/8", "fdff::1"));
        assert!(!contains("fd00::/8", "fe00::1"));
        assert!(contains("192.0.2.1", "192.0.2.1"));
        assert!(!contains("192.0.2.1", "192.0.2.2"));
        assert!(contains("::/0", "2001:db8::1"));
    }

    #[test]
    fn a_network_with_host_bits_is_a_slip() {
        assert_eq!(
            "::ffff:10.0.0.0/104".parse::<Network>().unwrap_err(),
            "`::ffff:10.0.0.0/104` is an IPv4 network in IPv6 form, write `10.0.0.0/8`"
        );
        assert_eq!(
            "10.0.0.1/8".parse::<Network>().unwrap_err(),
            "`10.0.0.1/8` has bits behind the prefix, did you mean `10.0.0.0/8`?"
        );
        assert_eq!(
            "10.0.0.0/33".parse::<Network>().unwrap_err(),
            "`33` in `10.0.0.0/33` is no prefix, write 0 to 32"
        );
        for text in ["10.0.0.0/8", "192.0.2.1", "fd00::/8"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_dns_address_is_a_name_and_a_port() {
        assert_eq!("a.b:9401".parse::<DnsAddress>().unwrap().to_string(), "a.b:9401");
        for wrong in ["a.b", "a.b:0", "10.0.0.1:80", "a.b:x", ":80"] {
            assert!(wrong.parse::<DnsAddress>().is_err(), "{wrong}");
        }
    }
}
