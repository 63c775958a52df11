//! TLS towards backends: what the configuration's files hold, in the form that Pingora's connector takes.

use std::path::Path;
use std::sync::Arc;

use pingora_core::utils::tls::{CertKey, WrappedX509, parse_x509};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::config::{Backends, ClusterTls};
use crate::upstream::dial::Tls;

/// Loads the files of `tls`.
///
/// # Errors
/// A sentence that names the key and the file.
pub(super) fn load(tls: &ClusterTls, backends: &Backends) -> Result<Tls, String> {
    let server_name = match (&tls.server_name, backends) {
        (Some(name), _) => name.to_string(),
        (None, Backends::Dns(discovery)) => discovery.dns.host.to_string(),
        // Without a name Pingora would accept any certificate.
        (None, _) => {
            return Err(
                "tls.server_name: backends that are addresses need the name of their certificate".into()
            );
        }
    };
    let roots = match &tls.ca {
        Some(path) => Some(
            certificates("tls.ca", path)?.into_iter().map(|der| WrappedX509::new(der, parse_x509)).collect(),
        ),
        None => None,
    };
    let identity = match (&tls.client_cert, &tls.client_key) {
        (Some(chain), Some(key)) => Some(Arc::new(CertKey::new(
            certificates("tls.client_cert", chain)?,
            private_key("tls.client_key", key)?,
        ))),
        _ => None,
    };
    Ok(Tls { server_name, roots, identity })
}

/// The certificates of a PEM file in DER, at least one, each of them readable: Pingora's own reader panics at others.
fn certificates(key: &str, path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let wrong = |why: String| format!("{key}: {}: {why}", path.display());
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|e| wrong(e.to_string()))? {
        let der = certificate.map_err(|e| wrong(e.to_string()))?.to_vec();
        drop(X509Certificate::from_der(&der).map_err(|e| wrong(format!("not an X.509 certificate: {e}")))?);
        found.push(der);
    }
    if found.is_empty() { Err(wrong("holds no certificate".into())) } else { Ok(found) }
}

fn private_key(key: &str, path: &Path) -> Result<Vec<u8>, String> {
    let found = PrivateKeyDer::from_pem_file(path).map_err(|e| format!("{key}: {}: {e}", path.display()))?;
    Ok(found.secret_der().to_vec())
}

/// Tells whether the files that `tls` names hold what they held.
pub(super) fn fingerprint(tls: Option<&ClusterTls>) -> Option<blake3::Hash> {
    let tls = tls?;
    let mut hash = blake3::Hasher::new();
    for path in [&tls.ca, &tls.client_cert, &tls.client_key].into_iter().flatten() {
        // One that cannot be read is told of where it is needed.
        let read = std::fs::read(path).unwrap_or_default();
        let _ = hash.update(&(read.len() as u64).to_be_bytes()).update(&read);
    }
    Some(hash.finalize())
}
