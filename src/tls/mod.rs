//! TLS as a listener speaks it: which certificate for which name, which versions and key exchanges, whose clients.
//!
//! ```text
//! files ──Server::new──▶ Server ──rustls::ServerConfig──▶ a handshake ──Server::seen──▶ Secured
//!                          └ Certificates, chosen by SNI                 └ SNI, the client's key
//! ```
//!
//! A [`Server`] is compiled once a generation and kept by the connections that began with it. It reads files and nothing
//! else: no socket, no clock; the handshake itself, its deadline and how many of them there may be are the accept loop's.

mod certificates;
mod failure;
mod files;
mod hello;
mod names;
mod secured;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};

use self::certificates::Certificates;
pub use self::failure::Failure;
pub use self::files::{Expiry, Part, Wrong};
pub use self::hello::{Hello, NoHello};
pub use self::names::Names;
pub use self::secured::Secured;

/// `listeners.*.tls`, as far as a handshake depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// At least one; the first is for clients that name no host, or one that nothing covers.
    pub certificates: Vec<Pair>,
    /// Whose clients are asked for a certificate.
    pub clients: Option<Clients>,
    /// The oldest version.
    pub oldest: Version,
    /// Key exchange.
    pub post_quantum: PostQuantum,
    /// By ALPN, the most wanted first.
    pub protocols: Vec<Alpn>,
}

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Client certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    /// PEM file of the certificates that sign them.
    pub authorities: PathBuf,
    /// Whether a client without one is turned away.
    pub required: bool,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 1.2 (RFC 5246).
    V12,
    /// 1.3 (RFC 8446).
    V13,
}

/// Whether key exchange is hybrid with ML-KEM (X25519MLKEM768), so that what is recorded today stays secret from a quantum
/// computer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostQuantum {
    /// Always: clients that do not know it are turned away.
    Require,
    /// With clients that put it first, as all do that know it.
    Prefer,
    /// Never.
    Off,
}

/// A protocol above TLS (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// `h2`
    H2,
    /// `http/1.1`
    Http1,
}

impl Alpn {
    /// As it stands in a handshake.
    pub const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::H2 => b"h2",
            Self::Http1 => b"http/1.1",
        }
    }
}

/// What one generation's listener handshakes with.
#[derive(Debug)]
pub struct Server {
    policy: Policy,
    files: blake3::Hash,
    config: Arc<ServerConfig>,
    certificates: Arc<Certificates>,
}

impl Server {
    /// Reads the files of `policy`.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn new(policy: &Policy) -> Result<Self, Vec<Wrong>> {
        let files = files::fingerprint(policy);
        let provider = provider(policy.post_quantum);
        let mut wrong = Vec::new();
        let mut shown = Vec::new();
        for (n, pair) in policy.certificates.iter().enumerate() {
            match files::pair(n, pair, &provider) {
                Ok(one) => shown.push(one),
                Err(why) => wrong.push(why),
            }
        }
        let verifier = match &policy.clients {
            None => WebPkiClientVerifier::no_client_auth(),
            Some(clients) => match files::verifier(clients, &provider) {
                Ok(verifier) => verifier,
                Err(why) => {
                    wrong.push(why);
                    WebPkiClientVerifier::no_client_auth()
                }
            },
        };
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let certificates = Arc::new(Certificates::new(shown));
        let versions = match policy.oldest {
            Version::V12 => &[&TLS13, &TLS12][..],
            Version::V13 => &[&TLS13],
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|e| vec![Wrong { at: Part::Whole, why: e.to_string() }])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::clone(&certificates) as _);
        // Sessions that may be resumed are rustls' 256, in memory; there are no tickets that a key of ours would open.
        config.alpn_protocols = policy.protocols.iter().map(|alpn| alpn.as_bytes().to_vec()).collect();
        Ok(Self { policy: policy.clone(), files, config: Arc::new(config), certificates })
    }

    /// `before` when neither `policy` nor its files have changed, so that sessions go on to be resumed; else anew.
    ///
    /// # Errors
    /// Everything that is wrong with the files.
    pub fn renewed(policy: &Policy, before: Option<&Arc<Self>>) -> Result<Arc<Self>, Vec<Wrong>> {
        match before {
            Some(before) if before.policy == *policy && before.files == files::fingerprint(policy) => {
                Ok(Arc::clone(before))
            }
            _ => Self::new(policy).map(Arc::new),
        }
    }

    /// What a handshake is configured with.
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// Its certificates that are not valid at `now`, in seconds since the Unix epoch.
    pub fn invalid_at(&self, now: i64) -> Vec<Expiry> {
        self.certificates.invalid_at(now)
    }
}

/// Makes the cryptography that listeners use the process's, for who has no choice of its own.
pub fn install_provider() {
    // Whoever was faster has chosen.
    drop(CryptoProvider::clone(&provider(PostQuantum::Prefer)).install_default());
}

fn provider(post_quantum: PostQuantum) -> Arc<CryptoProvider> {
    const CLASSIC: [&dyn SupportedKxGroup; 3] = [kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];
    let mut provider = default_provider();
    provider.kx_groups = match post_quantum {
        PostQuantum::Require => vec![kx_group::X25519MLKEM768],
        PostQuantum::Prefer => [&[kx_group::X25519MLKEM768][..], &CLASSIC].concat(),
        PostQuantum::Off => CLASSIC.to_vec(),
    };
    Arc::new(provider)
}
