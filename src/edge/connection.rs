//! What is known of a connection, shared by all requests that come on it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use pingora_core::protocols::Digest;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_http::ResponseHeader;

use super::bounds::Cut;
use super::guard::unread::Held;
use crate::quota::Penalty;
use crate::tenant::proxy_protocol::Source;
use crate::tls::Secured;

/// A connection.
#[derive(Debug, Default)]
pub struct Connection {
    /// The other end; `None` on a Unix socket.
    pub peer: Option<SocketAddr>,
    /// The user at the other end of a Unix socket.
    pub uid: Option<u32>,
    /// What the PROXY protocol said, if it was spoken.
    pub proxied: Option<Source>,
    /// What its TLS handshake has shown; `None` in clear text.
    pub tls: Option<Secured>,
    /// What comes of asking on after a refusal.
    pub penalty: Penalty,
    /// An answer of which only the connection's end tells the end was cut.
    pub(super) cut: Arc<AtomicBool>,
    /// HTTP/2: what it has sent of bodies and nobody has read.
    pub(super) unread: OnceLock<Arc<Held>>,
    /// Why its bytes go no further.
    pub(super) refused: OnceLock<Cut>,
}

impl Connection {
    /// The connection of a session, by what Pingora hands over from the socket to its sessions, over either version of HTTP.
    pub fn of(digest: Option<&Digest>) -> Option<&Arc<Self>> {
        Self::in_digest(digest?.proxy_digest.as_deref())
    }

    /// What [`Connection::digest`] has handed over.
    pub(super) fn in_digest(digest: Option<&ProxyDigest>) -> Option<&Arc<Self>> {
        digest?.user_data.as_ref()?.downcast_ref()
    }

    /// What it has sent of bodies and nobody has read; `None` over HTTP/1, which has one body at a time.
    pub fn unread(&self) -> Option<&Arc<Held>> {
        self.unread.get()
    }

    /// Makes the connection end with a reset: an orderly end would say that the answer is whole.
    pub fn cut(&self) {
        self.cut.store(true, Relaxed);
    }

    /// Whether it is to end with a reset.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Relaxed)
    }

    /// Why its bytes go no further, when they do not: who reads them gets an error that does not tell.
    pub fn refused(&self) -> Option<Cut> {
        self.refused.get().copied()
    }

    /// The first reason is the cause of the later ones.
    pub(super) fn refused_by(&self, why: Cut) {
        let _ = self.refused.set(why);
    }

    /// Who is at the other end, as far as its connection tells.
    pub(super) fn client(&self) -> Option<SocketAddr> {
        match self.proxied {
            Some(Source::Client(client)) => Some(client),
            _ => self.peer,
        }
    }

    /// As Pingora hands it over: it knows of no other place for it.
    pub(super) fn digest(self: &Arc<Self>) -> Option<Arc<ProxyDigest>> {
        // The answer of a proxy that there was none of.
        let head = ResponseHeader::build_no_case(200, Some(0)).ok()?;
        Some(Arc::new(ProxyDigest::new(Box::new(head), Some(Box::new(Arc::clone(self))))))
    }
}
