//! Which capabilities hold, and where they are asked for.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::config::{self, Config, Demand};
use crate::tenant::capability::{Keys, Revoked};

/// What tokens are held against.
pub struct Capabilities {
    /// All verify.
    pub keys: Keys,
    /// What holds no more.
    pub revoked: Revocations,
}

impl Capabilities {
    /// Reads keys and revocations from their files.
    pub(super) fn load(config: &Config) -> Result<Self, String> {
        let capability = &config.capability;
        let keys = capability.load_keys().map_err(|e| format!("capability.keys: {e}"))?;
        let revoked = Revocations::load(capability).map_err(|e| format!("capability.revoked: {e}"))?;
        Ok(Self { keys, revoked })
    }
}

/// What a route asks of its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demands {
    mutating: Demand,
    other: Demand,
}

impl Demands {
    // http.md §2: `capability` not off, keys configured; else a bearer token is no evidence and crosses.
    pub(super) fn of(route: &config::Route, config: &Config) -> Self {
        let demand = |mutates| match config.capability.keys.is_empty() {
            true => Demand::Off,
            false => config.capability.demand(route, mutates),
        };
        Self { mutating: demand(true), other: demand(false) }
    }

    /// What it asks of one that may change something, or may not.
    pub fn when(&self, mutates: bool) -> Demand {
        if mutates { self.mutating } else { self.other }
    }
}

/// The list of revoked identifiers: of one generation, but read anew when its file changes (config.md: watched).
pub struct Revocations {
    path: Option<PathBuf>,
    list: ArcSwap<Revoked>,
    /// What the file was when it was last looked at.
    stamp: Mutex<Option<Stamp>>,
}

/// What a look at the file has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// What was known.
    Same,
    /// Another list, of so many identifiers, which is in force now.
    Changed(usize),
    /// A file that is no list, in a sentence, once for each change of it; the list in force stays.
    Wrong(String),
}

impl Revocations {
    fn load(capability: &config::Capability) -> Result<Self, String> {
        let path = capability.revoked.clone();
        // Before it is read: what changes in between is seen at the next look.
        let stamp = path.as_deref().and_then(Stamp::of);
        let list = capability.load_revoked()?;
        Ok(Self { path, list: ArcSwap::from_pointee(list), stamp: Mutex::new(stamp) })
    }

    /// The list in force.
    pub fn list(&self) -> Arc<Revoked> {
        self.list.load_full()
    }

    /// Looks whether the file has changed, and reads it anew if so. Blocks: it reads files.
    pub fn look(&self) -> Seen {
        let Some(path) = self.path.as_deref() else { return Seen::Same };
        let now = Stamp::of(path);
        let mut stamp = self.stamp.lock();
        if *stamp == now {
            return Seen::Same;
        }
        *stamp = now;
        match config::load_revoked(path) {
            Ok(list) => {
                let count = list.len();
                self.list.store(Arc::new(list));
                Seen::Changed(count)
            }
            Err(why) => Seen::Wrong(why),
        }
    }
}

/// Tells one state of a file from another; `None` where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    changed: (i64, i64),
    length: u64,
    inode: u64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|file: Metadata| Self {
            modified: file.modified().ok(),
            changed: (file.ctime(), file.ctime_nsec()),
            length: file.len(),
            inode: file.ino(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::capability::Identifier;

    const ONE: &str = "v1:k1:07070707070707070707070707070707";

    fn holds(revocations: &Revocations) -> bool {
        revocations.list().contains(&Identifier::parse(ONE.as_bytes()).unwrap().hash())
    }

    #[test]
    fn a_list_that_changes_is_read_and_one_that_is_wrong_or_gone_ends_no_revocation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revoked");
        let write = |text: &str| {
            // Replaced whole: another inode.
            std::fs::write(folder.path().join("new"), text).unwrap();
            std::fs::rename(folder.path().join("new"), &path).unwrap();
        };
        write("# nobody yet\n");
        let capability = config::Capability { revoked: Some(path.clone()), ..Default::default() };
        let revocations = Revocations::load(&capability).unwrap();
        assert!(revocations.look() == Seen::Same && !holds(&revocations));
        write(ONE);
        assert_eq!(revocations.look(), Seen::Changed(1));
        assert!(revocations.look() == Seen::Same && holds(&revocations));
        write("everybody");
        assert!(matches!(revocations.look(), Seen::Wrong(why) if why.contains("line 1 is no identifier")));
        assert!(revocations.look() == Seen::Same && holds(&revocations));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(revocations.look(), Seen::Wrong(why) if why.contains("cannot be read")));
        assert!(revocations.look() == Seen::Same && holds(&revocations));
        write("");
        assert_eq!(revocations.look(), Seen::Changed(0));
        assert!(!holds(&revocations));
    }
}
