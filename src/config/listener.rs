//! `listeners` and `admin`: where the gateway accepts.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::address::{Address, Network};
use super::finding::quoted;
use super::name::Name;
use super::schema::{Schema, absent_or, address, flag, items, key, list, list_of_some, section, text, words};
use super::text;

/// One place where clients connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Unique; `admin` is taken.
    pub name: Name,
    /// Port 0 is any free one.
    pub address: Address,
    /// What it speaks, at least one, each once.
    #[serde(default = "all_protocols")]
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
}

impl Listener {
    /// Whether it speaks this protocol.
    pub fn speaks(&self, protocol: Protocol) -> bool {
        self.protocols.contains(&protocol)
    }

    /// The mode bits of the socket file.
    pub fn socket_mode(&self) -> u32 {
        self.mode.unwrap_or_default().bits()
    }
}

fn all_protocols() -> Vec<Protocol> {
    vec![Protocol::H1, Protocol::H2c]
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/1.1 and 1.0.
    H1,
    /// HTTP/2 without TLS, by prior knowledge only.
    H2c,
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
    /// As chmod takes them.
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl Default for SocketMode {
    fn default() -> Self {
        Self(0o600)
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

pub(super) fn default_listeners() -> Vec<Listener> {
    vec![Listener {
        name: Name::fixed("public"),
        address: Address::loopback(8080),
        protocols: all_protocols(),
        probes: false,
        trusted_addresses: Vec::new(),
        proxy_protocol: ProxyProtocol::Off,
        mode: None,
    }]
}

pub(super) fn schema() -> Schema {
    items(
        section([
            key("name", "unique; a label in metrics and logs", text::<Name>(super::name::NAME)).required(),
            key("address", "HOST:PORT, [IPV6]:PORT or unix:/path; port 0 is any free one", address())
                .required(),
            key("protocols", "h2c by prior knowledge only", list_of_some(words(&["h1", "h2c"]))),
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
