//! How a backend is reached: Pingora's connector dials TCP, TLS and Unix sockets for the gateway's own OAP/1
//! client and for its probes.

use std::io;
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
use rustix::io::Errno;

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

/// Whether a connection could not be made for want of something of this process's or system's: descriptors, buffers,
/// memory. That tells nothing of the backend.
pub fn is_local(error: &pingora_core::Error) -> bool {
    let mut cause = error.cause.as_deref();
    while let Some(error) = cause {
        if let Some(e) = error.downcast_ref::<io::Error>() {
            let said = Errno::from_io_error(e);
            return matches!(said, Some(Errno::NFILE | Errno::MFILE | Errno::NOBUFS | Errno::NOMEM));
        }
        // Pingora's own do not tell their cause by `source`.
        cause = match error.downcast_ref::<Box<pingora_core::Error>>() {
            Some(e) => e.cause.as_deref(),
            None => error.downcast_ref::<pingora_core::Error>().and_then(|e| e.cause.as_deref()),
        };
    }
    false
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
        let failed = |e: Box<pingora_core::Error>| match is_local(&e) {
            true => DialError::local(e.to_string()),
            false => DialError::new(e.to_string()),
        };
        let stream = self.connector.new_stream(&self.peer).await.map_err(failed)?;
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use pingora_core::{Error, ErrorType};

    use super::*;

    fn as_connecting_says_it(said: Errno) -> Box<Error> {
        let system = Error::because(ErrorType::SocketError, "failed to create socket", io::Error::from(said));
        Error::because(ErrorType::InternalError, "Fail to connect", system).more_context("to a backend")
    }

    #[test]
    fn what_this_process_lacks_is_told_from_what_a_backend_does() {
        for said in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert!(is_local(&as_connecting_says_it(said)), "{said}");
        }
        for said in [Errno::CONNREFUSED, Errno::HOSTUNREACH, Errno::TIMEDOUT, Errno::CONNRESET] {
            assert!(!is_local(&as_connecting_says_it(said)), "{said}");
        }
        assert!(!is_local(&Error::explain(ErrorType::ConnectTimedout, "no answer")));
    }
}
