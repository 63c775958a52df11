//! What a handshake has shown of a client, for the requests that follow.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::ServerConnection;
use rustls::server::ParsedCertificate;

use super::certificates::Certificates;
use super::{Alpn, Failure, Server};

/// A connection over TLS, as its requests know it.
#[derive(Debug)]
pub struct Secured {
    /// The host that the client asked for in its handshake, in lower case.
    sni: Option<Box<str>>,
    /// SHA-256 of the public key (SPKI) of the client's certificate, which the handshake verified.
    certificate: Option<[u8; 32]>,
    certificates: Arc<Certificates>,
}

impl Server {
    /// What a handshake that is complete has shown, and which protocol was agreed on.
    ///
    /// # Errors
    /// `Certificate` when the client's cannot be read: it was verified, so this is not to be expected.
    pub fn seen(&self, connection: &ServerConnection) -> Result<(Secured, Option<Alpn>), Failure> {
        let own = connection.peer_certificates().and_then(<[_]>::first);
        let certificate = match own {
            None => None,
            Some(own) => {
                let parsed = ParsedCertificate::try_from(own).map_err(|_| Failure::Certificate)?;
                let spki = digest(&SHA256, &parsed.subject_public_key_info());
                Some(spki.as_ref().try_into().map_err(|_| Failure::Other)?)
            }
        };
        let secured = Secured {
            sni: connection.server_name().map(|name| name.to_ascii_lowercase().into()),
            certificate,
            certificates: Arc::clone(&self.certificates),
        };
        let agreed = [Alpn::H2, Alpn::Http1];
        let alpn = agreed.into_iter().find(|alpn| connection.alpn_protocol() == Some(alpn.as_bytes()));
        Ok((secured, alpn))
    }
}

impl Secured {
    /// The host that the client asked for in its handshake, in lower case.
    pub fn sni(&self) -> Option<&str> {
        self.sni.as_deref()
    }

    /// SHA-256 of the public key (SPKI) of the client's certificate.
    pub fn certificate(&self) -> Option<&[u8; 32]> {
        self.certificate.as_ref()
    }

    // http.md §2: on TLS an authority that the SNI's certificate does not cover is 421 `host`.
    /// Whether requests for `host` (without a port) belong on this connection. Who has named no host in its handshake, as
    /// clients do that go by an address, may ask for any.
    pub fn covers(&self, host: &str) -> bool {
        self.sni.as_deref().is_none_or(|sni| self.certificates.cover(sni, host))
    }
}
