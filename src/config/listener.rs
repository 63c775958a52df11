//! `listeners` and `admin`: where the gateway accepts.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::address::{Address, Network};
use super::finding::quoted;
use super::listener_tls::{self, ListenerTls};
use super::name::Name;
use super::schema::{
    Schema, absent_or, address, flag, items, key, list, list_of_some, number, section, text, words,
};
use super::text;
use crate::tls::Policy;

/// One place where clients connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Unique; `admin` is taken.
    pub name: Name,
    /// Port 0 is any free one.
    pub address: Address,
    /// What it speaks, at least one, each once; the most wanted first. Empty only while it is read.
    #[serde(default)]
    pub protocols: Vec<Protocol>,
    /// Whether it serves /healthz and /readyz too.
    #[serde(default)]
    pub probes: bool,
    /// Whose `forwarded`, `x-forwarded-*` and tenant headers count.
    #[serde(default)]
    pub trusted_addresses: Vec<Network>,
    /// Whether connections begin with a header of the PROXY protocol.
    #[serde(default)]
    pub proxy_protocol: ProxyProtocol,
    /// The mode of a Unix socket; never set for others. Read it by [`Listener::socket_mode`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<SocketMode>,
    /// The group of a Unix socket's file; never set for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// Whose processes may connect to a Unix socket; empty: whoever its mode lets in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peer_uids: Vec<u32>,
    /// Connections begin with a TLS handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ListenerTls>,
}

impl Listener {
    /// Whether it speaks this protocol.
    pub fn speaks(&self, protocol: Protocol) -> bool {
        self.protocols.contains(&protocol)
    }

    /// Whether it speaks HTTP/2, with TLS or without.
    pub fn speaks_h2(&self) -> bool {
        self.speaks(Protocol::H2) || self.speaks(Protocol::H2c)
    }

    // config.md: with peer_uids the mode defaults to 0666 and SO_PEERCRED decides.
    /// The mode bits of the socket file.
    pub fn socket_mode(&self) -> u32 {
        let default = if self.peer_uids.is_empty() { SocketMode::OWNER } else { SocketMode::EVERYBODY };
        self.mode.unwrap_or(default).bits()
    }

    /// What its handshakes go by.
    pub fn tls_policy(&self) -> Option<Policy> {
        self.tls.as_ref().map(|tls| tls.policy(&self.protocols))
    }

    /// Fills in what is not written: what it speaks hangs on whether it has TLS.
    pub(super) fn fill_in(&mut self) {
        if self.protocols.is_empty() {
            self.protocols = match self.tls {
                Some(_) => vec![Protocol::H2, Protocol::H1],
                None => vec![Protocol::H1, Protocol::H2c],
            };
        }
    }
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/1.1 and 1.0.
    H1,
    /// HTTP/2 without TLS, by prior knowledge only.
    H2c,
    /// HTTP/2 over TLS, by ALPN.
    H2,
}

/// Whether connections begin with a header of the PROXY protocol, version 1 or 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyProtocol {
    /// They do not.
    #[default]
    Off,
    /// From trusted addresses they do, everybody else is closed.
    Required,
}

/// Who may connect to a Unix socket: octal mode bits up to 0777, written `0600`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketMode(u32);

impl SocketMode {
    const OWNER: Self = Self(0o600);
    const EVERYBODY: Self = Self(0o666);

    /// As chmod takes them.
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl FromStr for SocketMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match u32::from_str_radix(text, 8) {
            Ok(bits) if bits <= 0o777 && (3..=4).contains(&text.len()) && !text.starts_with('+') => {
                Ok(Self(bits))
            }
            _ => Err(format!("{} is no mode, write three octal digits such as 0600 or 0660", quoted(text))),
        }
    }
}

impl fmt::Display for SocketMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

text::text_value!(SocketMode);

/// A group of this machine's, which is there, by name or number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    written: Box<str>,
    number: u32,
}

impl Group {
    /// Its number.
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl FromStr for Group {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = match text.parse() {
            Ok(number) => number,
            Err(_) => group_number(text).ok_or_else(|| {
                format!("there is no group {}, write one of {GROUPS} or a number", quoted(text))
            })?,
        };
        Ok(Self { written: text.into(), number })
    }
}

/// This machine's own groups (group(5)); those of a directory service go by their numbers.
const GROUPS: &str = "/etc/group";

/// `name:password:number:members`
fn group_number(name: &str) -> Option<u32> {
    let groups = std::fs::read_to_string(GROUPS).ok()?;
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name && !name.is_empty()).then(|| fields.nth(1)?.parse().ok())?
    })
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

text::text_value!(Group);

pub(super) fn default_listeners() -> Vec<Listener> {
    let mut public = Listener {
        name: Name::fixed("public"),
        address: Address::loopback(8080),
        protocols: Vec::new(),
        probes: false,
        trusted_addresses: Vec::new(),
        proxy_protocol: ProxyProtocol::Off,
        mode: None,
        group: None,
        peer_uids: Vec::new(),
        tls: None,
    };
    public.fill_in();
    vec![public]
}

pub(super) fn schema() -> Schema {
    items(
        section([
            key("name", "unique; a label in metrics and logs", text::<Name>(super::name::NAME)).required(),
            key("address", "HOST:PORT, [IPV6]:PORT or unix:/path; port 0 is any free one", address())
                .required(),
            key(
                "protocols",
                "h2 over TLS by ALPN, h2c by prior knowledge only",
                list_of_some(words(&["h1", "h2", "h2c"])),
            ),
            key("probes", "serve /healthz and /readyz here too", flag()),
            key(
                "trusted_addresses",
                "whose forwarded, x-forwarded-* and tenant headers count",
                list(text::<Network>(NETWORK)),
            ),
            key(
                "proxy_protocol",
                "required: from trusted addresses, everybody else is closed",
                words(&["off", "required"]),
            ),
            key("mode", "of a Unix socket", text::<SocketMode>("three octal digits such as 0600")),
            key("group", "of a Unix socket", absent_or("none", text::<Group>("a group's name or number"))),
            key(
                "peer_uids",
                "users whose processes may connect to a Unix socket",
                list(number(0, u64::from(u32::MAX))),
            ),
            key("tls", "TLS towards the clients", listener_tls::schema()),
        ]),
        true,
    )
}

pub(super) const NETWORK: &str = "an IP address or network such as 10.0.0.0/8";

/// The control surface: health, readiness, metrics, version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Port 0 is any free one.
    pub address: Address,
    /// A Unix socket that serves the same, readable by its owner only; always [`Address::Unix`].
    #[serde(serialize_with = "text::or_none")]
    pub socket: Option<Address>,
}

impl Admin {
    /// The path of the Unix socket.
    pub fn socket_path(&self) -> Option<PathBuf> {
        self.socket.as_ref().and_then(Address::unix_path).map(PathBuf::from)
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self { address: Address::loopback(9090), socket: None }
    }
}

pub(super) fn admin_schema() -> Schema {
    section([
        key("address", "HOST:PORT or [IPV6]:PORT; port 0 is any free one", address()),
        key("socket", "the same on a Unix socket, unix:/path", absent_or("none", address())),
    ])
}
