//! `backends: embedded`: an object store in this process, behind a real Unix socket, so that the gateway does its
//! main job out of the box and exactly as it would with a backend of its own machine.

use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::backend;
use crate::config::Config;
use crate::server::StartError;

/// The process's folder for sockets (config.md `server.runtime_dir`).
pub struct RuntimeDir {
    path: PathBuf,
    /// Ours alone: goes when we go.
    temporary: bool,
}

impl RuntimeDir {
    /// The configured folder, or the first of `/run/svc-gateway`, `$XDG_RUNTIME_DIR/svc-gateway` and a temporary
    /// one that can be used. Made when needed, 0700.
    ///
    /// # Errors
    /// None of them can be made or written.
    pub fn new(config: &Config) -> Result<Self, StartError> {
        let wrong = |source| StartError::System { what: "server.runtime_dir", source };
        if let Some(path) = &config.server.runtime_dir {
            usable(path).map_err(wrong)?;
            return Ok(Self { path: path.clone(), temporary: false });
        }
        let user = std::env::var_os("XDG_RUNTIME_DIR").map(|dir| PathBuf::from(dir).join("svc-gateway"));
        for path in [Some(PathBuf::from("/run/svc-gateway")), user].into_iter().flatten() {
            if usable(&path).is_ok() {
                return Ok(Self { path, temporary: false });
            }
        }
        let path = std::env::temp_dir().join(format!("svc-gateway-{:016x}", fastrand::u64(..)));
        usable(&path).map_err(wrong)?;
        Ok(Self { path, temporary: true })
    }

    /// Where the embedded store listens: a name of this process's own, since several gateways may share a folder.
    pub fn socket(&self) -> PathBuf {
        self.path.join(format!("embedded-{}.sock", std::process::id()))
    }

    /// The embedded store's options.
    pub fn embedded(&self) -> backend::Options {
        backend::Options::memory(backend::Listen::Unix(self.socket()))
    }
}

impl Drop for RuntimeDir {
    fn drop(&mut self) {
        drop(std::fs::remove_file(self.socket()));
        if self.temporary {
            drop(std::fs::remove_dir(&self.path));
        }
    }
}

fn usable(path: &Path) -> io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => return Ok(()),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(e),
    }
    let found = std::fs::symlink_metadata(path)?;
    if !found.is_dir() {
        return Err(io::Error::new(io::ErrorKind::NotADirectory, format!("{} is no folder", path.display())));
    }
    // Who may write here may put a socket of theirs in our place.
    if found.permissions().mode() & 0o022 != 0 {
        let why = format!("{} is writable for others, make it 0700", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    let probe = path.join(format!(".probe-{}", std::process::id()));
    drop(std::fs::File::create(&probe)?);
    std::fs::remove_file(probe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_others_can_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        assert!(usable(&path).is_ok());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(usable(&path).is_err());
    }
}
