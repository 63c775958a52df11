//! How a backend is reached: Pingora's connector dials TCP, TLS and Unix sockets for the gateway's own OAP/1
//! client and for its probes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::connectors::TransportConnector;
use pingora_core::protocols::Stream;
use pingora_core::protocols::tls::{ALPN, CustomALPN};
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::utils::tls::{CertKey, WrappedX509};

use super::client::{Dial, DialError};

/// A connection as Pingora's connector makes it.
pub type Io = Stream;

/// oap1 §6: TLS 1.3 with this ALPN.
const OAP_ALPN: &[u8] = b"ron/1";

/// Where a backend listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// Over TCP.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(at) => at.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// TLS towards a cluster's backends.
#[derive(Clone)]
pub struct Tls {
    /// The name that the certificate must bear, and that is sent as SNI.
    pub server_name: String,
    /// Trusted roots; `None` trusts the system's.
    pub roots: Option<Arc<[WrappedX509]>>,
    /// The gateway's own certificate.
    pub identity: Option<Arc<CertKey>>,
}

/// The protocol that is to be spoken, which TLS negotiates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// OAP/1.
    Oap,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// A peer as Pingora dials it. `group` keeps the connections of different clusters apart in Pingora's pools.
pub fn peer(target: &Target, tls: Option<&Tls>, spoken: Spoken, connect: Duration, group: u64) -> HttpPeer {
    let name = tls.map(|tls| tls.server_name.clone()).unwrap_or_default();
    let mut peer = match target {
        Target::Tcp(at) => HttpPeer::new(at, tls.is_some(), name),
        Target::Unix(path) => match HttpPeer::new_uds(&path.to_string_lossy(), tls.is_some(), name) {
            Ok(peer) => peer,
            Err(e) => {
                // The configuration refuses such paths; nothing listens on port 0.
                log::error!("{}: {e}", path.display());
                HttpPeer::new(SocketAddr::from(([127, 0, 0, 1], 0)), false, String::new())
            }
        },
    };
    peer.group_key = group;
    peer.options.connection_timeout = Some(connect);
    peer.options.total_connection_timeout = Some(connect);
    peer.options.alpn = match spoken {
        Spoken::Oap => ALPN::Custom(CustomALPN::new(OAP_ALPN.to_vec())),
        Spoken::Http1 => ALPN::H1,
        Spoken::Http2 => ALPN::H2,
    };
    if let Some(tls) = tls {
        peer.options.ca.clone_from(&tls.roots);
        peer.client_cert_key = tls.identity.clone();
    }
    peer
}

/// Dials one backend for the OAP/1 client.
pub struct Dialer {
    connector: Arc<TransportConnector>,
    peer: HttpPeer,
    tls: bool,
}

impl Dialer {
    /// A dialer for `target`.
    pub fn new(
        connector: Arc<TransportConnector>,
        target: &Target,
        tls: Option<&Tls>,
        connect: Duration,
    ) -> Self {
        Self { connector, peer: peer(target, tls, Spoken::Oap, connect, 0), tls: tls.is_some() }
    }
}

#[async_trait]
impl Dial for Dialer {
    type Io = Io;

    async fn dial(&self) -> Result<Io, DialError> {
        let stream =
            self.connector.new_stream(&self.peer).await.map_err(|e| DialError::new(e.to_string()))?;
        if self.tls {
            // oap1 §6: TLS 1.3 with ALPN `ron/1`. Pingora's connector would also take 1.2, and no ALPN at all.
            let version =
                stream.get_ssl_digest().map(|digest| digest.version.to_string()).unwrap_or_default();
            if !version.contains("1_3") && !version.contains("1.3") {
                return Err(DialError::new(format!("the backend speaks {version}, TLS 1.3 is needed")));
            }
            if !matches!(stream.selected_alpn_proto(), Some(ALPN::Custom(alpn)) if alpn.protocol() == OAP_ALPN)
            {
                return Err(DialError::new("the backend did not agree to ALPN ron/1"));
            }
        }
        Ok(stream)
    }
}
