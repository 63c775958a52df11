//! Files that a configuration names: certificates and secrets.
//!
//! Looked at when the configuration is read, so that `check` finds what would fail at the start. What they hold is
//! loaded by who uses it.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// More than any chain of certificates.
const MAX_PEM: u64 = 1 << 20;

/// A file of certificates in PEM.
pub(super) fn check_certificates(path: &Path) -> Result<(), String> {
    let text = read(File::open(path).map_err(|e| unreadable(path, &e))?, path)?;
    if text.contains("-----BEGIN CERTIFICATE-----") {
        Ok(())
    } else {
        Err(format!(
            "`{}` holds no PEM certificate, it begins with -----BEGIN CERTIFICATE-----",
            path.display()
        ))
    }
}

/// A private key in PEM that nobody but its owner may read.
pub(super) fn check_private_key(path: &Path) -> Result<(), String> {
    let text = read(open_secret(path)?, path)?;
    if text.contains("PRIVATE KEY-----") {
        Ok(())
    } else {
        Err(format!(
            "`{}` holds no PEM private key, it begins with -----BEGIN … PRIVATE KEY-----",
            path.display()
        ))
    }
}

/// config.md: a secret is a file (mode 0600 or 0400, else refused), never inline.
pub(super) fn open_secret(path: &Path) -> Result<File, String> {
    let file = File::open(path).map_err(|e| unreadable(path, &e))?;
    let mode = file.metadata().map_err(|e| unreadable(path, &e))?.permissions().mode() & 0o7777;
    if mode == 0o600 || mode == 0o400 {
        Ok(file)
    } else {
        Err(format!(
            "`{}` has mode {mode:04o}, a secret has 0600 or 0400: chmod 600 {}",
            path.display(),
            path.display()
        ))
    }
}

fn read(file: File, path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    file.take(MAX_PEM).read_to_end(&mut bytes).map_err(|e| unreadable(path, &e))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub(super) fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("`{}` cannot be read ({}), name a file that is there and readable", path.display(), reason(error))
}

/// The system's words without the number behind them.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
