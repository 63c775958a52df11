//! Certificates made on the spot, what a TLS server shows and asks for, and what a client makes of one.

use std::io;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::io::AsyncWriteExt;
use tokio_rustls::rustls::crypto::aws_lc_rs::{self, kx_group};
use tokio_rustls::rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, HandshakeKind, ProtocolVersion, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::net::{Address, Socket};

/// Who signs certificates.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
}

/// A certificate with its key.
#[derive(Debug)]
pub struct Identity {
    /// The certificate, in PEM.
    pub certificate: String,
    /// Its key, in PEM.
    pub key: String,
    der: CertificateDer<'static>,
    key_der: Vec<u8>,
}

/// A TLS server in the making.
#[derive(Debug)]
pub struct Server<'a> {
    /// What it shows.
    pub identity: &'a Identity,
    /// What it speaks, the most wanted first; nothing: it knows nothing of ALPN.
    pub alpn: &'a [&'a str],
    /// Whether it knows no later version than 1.2.
    pub old: bool,
    /// Whose certificates it asks clients for.
    pub clients: Option<&'a Authority>,
}

impl Authority {
    /// One that nobody knows yet.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("legal parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let (der, pem) = (certificate.der().clone(), certificate.pem());
        Self { issuer: Issuer::new(params, key), der, pem }
    }

    /// Its own certificate, in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate that bears this name.
    pub fn issue(&self, name: &str) -> Identity {
        self.issue_with(&[name], |_| {})
    }

    /// A certificate that bears these names, and is otherwise as `change` makes it.
    pub fn issue_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut params = CertificateParams::new(names).expect("legal names");
        // Another than its authority's, or it would seem to have signed itself.
        params.distinguished_name.push(DnType::CommonName, "somebody");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().clone(),
            key_der: key.serialize_der(),
        }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// A date, for a certificate's validity.
pub use rcgen::date_time_ymd;

/// A TLS client in the making: 1.2 and 1.3, every key exchange that there is in the usual order.
#[derive(Clone, Debug)]
pub struct Client<'a> {
    /// Whom it trusts.
    pub trusts: &'a Authority,
    /// The name that it asks for and expects; an address is expected and not asked for.
    pub name: &'a str,
    /// What it speaks, the most wanted first; nothing: it knows nothing of ALPN.
    pub alpn: &'a [&'a str],
    /// The only version that it knows.
    pub only: Option<Version>,
    /// The only key exchange that it knows.
    pub group: Option<Group>,
    /// What it shows.
    pub shows: Option<&'a Identity>,
}

/// A client that keeps sessions and resumes them.
#[derive(Clone, Debug)]
pub struct Connector {
    config: Arc<ClientConfig>,
    name: String,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 1.2
    V12,
    /// 1.3
    V13,
}

/// A key exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// X25519
    X25519,
    /// X25519MLKEM768
    X25519MlKem768,
}

/// A connection over TLS.
#[derive(Debug)]
pub struct Session {
    /// What is said and heard in clear text.
    pub socket: Socket,
    /// What was agreed on.
    pub alpn: Option<String>,
    /// The version in use.
    pub version: Option<Version>,
    /// The key exchange, by its name.
    pub group: String,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    shown: CertificateDer<'static>,
}

impl<'a> Client<'a> {
    /// One that trusts `trusts` and asks for `name`.
    pub fn new(trusts: &'a Authority, name: &'a str) -> Self {
        Self { trusts, name, alpn: &[], only: None, group: None, shows: None }
    }

    /// The same, with another list for ALPN.
    #[must_use]
    pub fn speaking(self, alpn: &'a [&'a str]) -> Self {
        Self { alpn, ..self }
    }

    /// The same, with a certificate to show.
    #[must_use]
    pub fn showing(self, identity: &'a Identity) -> Self {
        Self { shows: Some(identity), ..self }
    }

    /// Connects, or panics.
    pub async fn connect(&self, address: impl Into<Address>) -> Session {
        self.build().connect(address).await
    }

    /// Connects and handshakes. In 1.3 a server may say later what it thinks of the client's certificate.
    pub async fn try_connect(&self, address: impl Into<Address>) -> io::Result<Session> {
        self.build().over(Socket::connect(&address.into()).await).await
    }

    /// As it is to be from now on.
    pub fn build(&self) -> Connector {
        Connector { config: Arc::new(self.config()), name: self.name.to_owned() }
    }

    fn config(&self) -> ClientConfig {
        let groups: Vec<&'static dyn SupportedKxGroup> = match self.group {
            None => vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1],
            Some(Group::X25519) => vec![kx_group::X25519],
            Some(Group::X25519MlKem768) => vec![kx_group::X25519MLKEM768],
        };
        let provider = CryptoProvider { kx_groups: groups, ..aws_lc_rs::default_provider() };
        let versions = match self.only {
            None => &[&TLS13, &TLS12][..],
            Some(Version::V12) => &[&TLS12],
            Some(Version::V13) => &[&TLS13],
        };
        let mut roots = RootCertStore::empty();
        roots.add(self.trusts.der.clone()).expect("a root");
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .expect("a provider that knows them")
            .with_root_certificates(roots);
        let mut config = match self.shows {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let key = PrivateKeyDer::try_from(identity.key_der.clone()).expect("a key");
                builder
                    .with_client_auth_cert(vec![identity.der.clone()], key)
                    .expect("a certificate with its key")
            }
        };
        config.alpn_protocols = self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}

impl Connector {
    /// Connects, or panics.
    pub async fn connect(&self, address: impl Into<Address>) -> Session {
        self.over(Socket::connect(&address.into()).await).await.expect("a TLS handshake")
    }

    /// Handshakes over a connection that is open.
    pub async fn over(&self, socket: Socket) -> io::Result<Session> {
        let name = ServerName::try_from(self.name.clone()).expect("a legal name");
        let stream = TlsConnector::from(Arc::clone(&self.config)).connect(name, socket).await?;
        let (near, mut far) = tokio::net::UnixStream::pair()?;
        let seen = stream.get_ref().1;
        let session = Session {
            alpn: seen.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
            version: match seen.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => Some(Version::V12),
                Some(ProtocolVersion::TLSv1_3) => Some(Version::V13),
                _ => None,
            },
            group: seen
                .negotiated_key_exchange_group()
                .map_or_else(String::new, |group| format!("{:?}", group.name())),
            resumed: seen.handshake_kind() == Some(HandshakeKind::Resumed),
            shown: seen
                .peer_certificates()
                .and_then(<[_]>::first)
                .expect("a certificate")
                .clone()
                .into_owned(),
            socket: Socket::Unix(near),
        };
        drop(tokio::spawn(async move {
            let (mut reads, mut writes) = tokio::io::split(stream);
            let (mut heard, mut said) = far.split();
            let down = async {
                drop(tokio::io::copy(&mut reads, &mut said).await);
                drop(said.shutdown().await);
            };
            let up = async {
                drop(tokio::io::copy(&mut heard, &mut writes).await);
                drop(writes.shutdown().await);
            };
            tokio::join!(down, up);
        }));
        Ok(session)
    }
}

impl Session {
    /// Whether this is the certificate that was shown.
    pub fn shows(&self, identity: &Identity) -> bool {
        self.shown == identity.der
    }
}

impl<'a> Server<'a> {
    /// TLS 1.2 and 1.3 for everybody who trusts `identity`.
    pub fn new(identity: &'a Identity, alpn: &'a [&'a str]) -> Self {
        Self { identity, alpn, old: false, clients: None }
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let provider = Arc::new(ring::default_provider());
        let versions = if self.old { &[&TLS12][..] } else { &[&TLS12, &TLS13] };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .expect("a provider that knows them");
        let builder = match self.clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.der.clone()).expect("a root");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
            }
        };
        let key = PrivateKeyDer::try_from(self.identity.key_der.clone()).expect("a key");
        let mut config = builder
            .with_single_cert(vec![self.identity.der.clone()], key)
            .expect("a certificate with its key");
        config.alpn_protocols = self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}
