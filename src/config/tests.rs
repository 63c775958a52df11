//! Wrong configurations, each with all that is said about it; what right ones mean; and the shipped files.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::path::PathBuf;

use super::*;

mod capability;
mod files;
mod meaning;
mod shipped;
mod wrong;

/// Loads a text as if it stood in `gw.yaml`, with `HOST` and `WORKERS` in the environment.
fn parse(text: &str) -> Result<Loaded, Errors> {
    Config::parse(Path::new("gw.yaml"), text, &|name| match name {
        "HOST" => Some("10.0.0.1".to_owned()),
        "WORKERS" => Some("4".to_owned()),
        _ => None,
    })
}

/// The configuration of a text that must be right.
fn config(text: &str) -> Config {
    parse(text).unwrap_or_else(|errors| panic!("{errors}")).config
}

/// Findings as `check` prints them.
fn lines(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

/// A folder of configuration files that goes away with the test.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Writes a file with this mode.
    fn write(&self, name: &str, mode: u32, content: impl AsRef<[u8]>) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// Loads `gw.yaml` with this text; what is said has the folder's name taken out.
    fn load(&self, text: &str) -> Result<Loaded, Vec<String>> {
        let path = self.write("gw.yaml", 0o644, text);
        self.said(Config::load(Some(&path)))
    }

    fn said(&self, result: Result<Loaded, Errors>) -> Result<Loaded, Vec<String>> {
        let folder = format!("{}/", self.0.path().display());
        result
            .map_err(|errors| lines(errors.findings()).iter().map(|line| line.replace(&folder, "")).collect())
    }
}
