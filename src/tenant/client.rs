//! The client's address: the peer's own, or what trusted proxies say of whom they speak for.
//!
//! ```text
//! client ──▶ proxies that we trust ──▶ peer ──▶ gateway
//!            x-forwarded-for             PROXY protocol
//! ```
//!
//! RFC 7239 `forwarded` is not read for this: proxies that write it write `x-forwarded-for` too, and a request with
//! both would have two clients.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

use super::Network;
use super::proxy_protocol::Source;

/// Who is at the other end, as far as we can believe it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The client's address, IPv4 never in IPv6 clothes; `None` on a Unix socket.
    pub address: Option<IpAddr>,
    /// Whether who wrote the request's fields is trusted: its `forwarded`, `x-forwarded-*` and tenant fields count. Not
    /// so behind the PROXY protocol of a trusted address, unless what that names is trusted itself.
    pub trusted: bool,
}

/// The connection, before any request has come on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speaker {
    address: Option<IpAddr>,
    trusted: bool,
}

/// Trusted proxies in one chain. What stands before so many is not looked at.
const MOST_HOPS: usize = 32;

impl Speaker {
    // http.md §2: the peer; behind trusted addresses the PROXY protocol's.
    /// Who writes the requests of a connection. `proxied` is what the PROXY protocol said, if it was spoken; it counts
    /// only from a trusted address.
    pub fn new(peer: Option<IpAddr>, proxied: Option<Source>, trusted: &[Network]) -> Self {
        let peer = peer.map(|ip| ip.to_canonical());
        let peer_is_trusted = peer.is_some_and(|ip| contains(trusted, ip));
        match proxied.filter(|_| peer_is_trusted) {
            None | Some(Source::Local) => Self { address: peer, trusted: peer_is_trusted },
            Some(Source::Client(client)) => {
                let address = client.ip().to_canonical();
                Self { address: Some(address), trusted: contains(trusted, address) }
            }
            // Somebody is behind the proxy, and nothing is known of him: what he says is no proxy's word.
            Some(Source::Unknown) => Self { address: peer, trusted: false },
        }
    }

    /// Whether what it says of others is believed.
    pub fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// The address itself.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    // http.md §2: else the right-most `x-forwarded-for` entry that is not itself trusted.
    /// Whose request this is, with these fields. An entry that is no address is what a trusted proxy could not name:
    /// then that proxy stands for the client.
    pub fn client(&self, headers: &HeaderMap, trusted: &[Network]) -> Client {
        let mut client = Client { address: self.address, trusted: self.trusted };
        if !self.trusted {
            return client;
        }
        for entry in entries(headers).take(MOST_HOPS) {
            let Some(address) = address(entry) else { break };
            client.address = Some(address);
            if !contains(trusted, address) {
                break;
            }
        }
        client
    }
}

/// Whether one of the networks has the address.
pub fn contains(networks: &[Network], ip: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(ip))
}

/// What `x-forwarded-for` lists, the last entry of the last line first. RFC 9110 §5.6.1: empty elements do not count.
fn entries(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all("x-forwarded-for").iter().rev();
    lines
        .flat_map(|line| line.as_bytes().rsplit(|b| *b == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|entry| !entry.is_empty())
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`, any of them in quotes.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?;
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let ip = match bare {
        Some(bare) => IpAddr::V6(bare.parse().ok()?),
        None => text.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip())).ok()?,
    };
    Some(ip.to_canonical())
}
