//! What the files hold: certificate chains, keys, authorities; and what is wrong with them, in words that an operator can
//! act on.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::certificates::Shown;
use super::names::Names;
use super::{Clients, Pair, Policy};

/// Which file of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `certificates[N].cert`
    Certificate(usize),
    /// `certificates[N].key`
    Key(usize),
    /// `client_ca`
    Authorities,
    /// None: what they ask for together.
    Whole,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Which.
    pub at: Part,
    /// What is wrong, and what would be right.
    pub why: String,
}

/// A certificate that is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Its place in the policy.
    pub certificate: usize,
    /// In words.
    pub why: String,
}

/// A certificate with its key.
pub(super) fn pair(n: usize, pair: &Pair, provider: &CryptoProvider) -> Result<Shown, Wrong> {
    let at_certificate = |why| Wrong { at: Part::Certificate(n), why };
    let at_key = |why| Wrong { at: Part::Key(n), why };
    let chain = certificates(&pair.certificate).map_err(at_certificate)?;
    let (names, valid) = match chain.first().map(|own| X509Certificate::from_der(own)) {
        Some(Ok((_, own))) => {
            let validity = own.validity();
            (Names::of(&own), (validity.not_before, validity.not_after))
        }
        _ => return Err(at_certificate(format!("`{}` holds no certificate", pair.certificate.display()))),
    };
    if names.is_empty() {
        return Err(at_certificate(format!(
            "`{}` has no subjectAltName, and no client would accept it: have it issued with the names it is for",
            pair.certificate.display()
        )));
    }
    let key = key(&pair.key).map_err(at_key)?;
    let key = CertifiedKey::from_der(chain, key, provider).map_err(|e| match e {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => at_key(format!(
            "`{}` is the key of another certificate than `{}`, name the one that it was issued for",
            pair.key.display(),
            pair.certificate.display()
        )),
        other => at_key(format!(
            "`{}` holds no key that TLS has a use for ({other}), take one for ECDSA (P-256, P-384), Ed25519 or RSA \
             of 2048 bits or more",
            pair.key.display()
        )),
    })?;
    Ok(Shown { key: Arc::new(key), names, valid })
}

/// What tells whether a client's certificate is one of theirs.
pub(super) fn verifier(
    clients: &Clients,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Wrong> {
    let wrong = |why| Wrong { at: Part::Authorities, why };
    let mut roots = RootCertStore::empty();
    for authority in certificates(&clients.authorities).map_err(wrong)? {
        roots.add(authority).map_err(|e| {
            wrong(format!(
                "`{}` holds a certificate that signs nothing ({e}), name those of your authorities",
                clients.authorities.display()
            ))
        })?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = if clients.required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|e| wrong(e.to_string()))
}

/// The certificates of a PEM file, at least one, each of them X.509.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |why: &dyn std::fmt::Display| {
        format!("`{}` cannot be read ({why}), name a file of PEM certificates", path.display())
    };
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|e| wrong(&e))? {
        let certificate = certificate.map_err(|e| wrong(&e))?;
        drop(
            X509Certificate::from_der(&certificate)
                .map_err(|e| wrong(&format!("no X.509 certificate: {e}")))?,
        );
        found.push(certificate);
    }
    if found.is_empty() { Err(wrong(&"no certificate in it")) } else { Ok(found) }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(path).map_err(|e| {
        let text = std::fs::read(path).unwrap_or_default();
        let path = path.display();
        if is_encrypted(&text) {
            format!(
                "`{path}` is encrypted and nobody is there to type its passphrase: openssl pkey -in {path}"
            )
        } else {
            format!("`{path}` cannot be read ({e}), name a file with a PEM private key")
        }
    })
}

fn is_encrypted(text: &[u8]) -> bool {
    let has = |word: &[u8]| memchr::memmem::find(text, word).is_some();
    has(b"ENCRYPTED PRIVATE KEY-----") || has(b"Proc-Type: 4,ENCRYPTED")
}

/// Tells whether the files of `policy` hold what they held.
pub(super) fn fingerprint(policy: &Policy) -> blake3::Hash {
    let pairs = policy.certificates.iter().flat_map(|pair| [&pair.certificate, &pair.key]);
    let authorities = policy.clients.as_ref().map(|clients| &clients.authorities);
    let mut hash = blake3::Hasher::new();
    for path in pairs.chain(authorities) {
        // One that cannot be read is told of where it is needed.
        let read = std::fs::read(path).unwrap_or_default();
        let _ = hash.update(&(read.len() as u64).to_be_bytes()).update(&read);
    }
    hash.finalize()
}
