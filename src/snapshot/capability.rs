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
    pub(super) fn load(config: &Config, before: Option<&Self>) -> Result<Self, String> {
        let capability = &config.capability;
        let keys = capability.load_keys().map_err(|e| format!("capability.keys: {e}"))?;
        let revoked = Revocations::load(capability, before.map(|before| &before.revoked))
            .map_err(|e| format!("capability.revoked: {e}"))?;
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

/// Looks in a row at which a file that lacks what it had must be the same, until what it lacks is revoked no more.
const SETTLES: u8 = 5;

/// The list of revoked identifiers: of one generation, but read anew when its file changes (config.md: watched).
///
/// What is added holds when it is first seen. What is missing may only not have been written yet, by a program that
/// empties the file and then fills it: it is revoked until the file has stayed as it is for some looks. A reload keeps
/// to that too, since it may be asked for just then.
pub struct Revocations {
    path: Option<PathBuf>,
    list: ArcSwap<Revoked>,
    looked: Mutex<Looked>,
}

/// What was seen when the file was last looked at.
#[derive(Default)]
struct Looked {
    stamp: Option<Stamp>,
    /// A list that lacks something of the one in force, and at how many looks in a row it has been so.
    lacking: Option<(Revoked, u8)>,
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
    fn load(capability: &config::Capability, before: Option<&Self>) -> Result<Self, String> {
        let path = capability.revoked.clone();
        // Before it is read: what changes in between is seen at the next look.
        let stamp = path.as_deref().and_then(Stamp::of);
        let list = capability.load_revoked()?;
        let same = before.filter(|before| path.is_some() && before.path == path);
        let this = Self {
            path,
            list: same.map_or_else(ArcSwap::default, |before| ArcSwap::new(before.list())),
            looked: Mutex::new(Looked { stamp, lacking: None }),
        };
        let _told_by_the_reload = this.take(list, &mut this.looked.lock());
        Ok(this)
    }

    /// The list in force.
    pub fn list(&self) -> Arc<Revoked> {
        self.list.load_full()
    }

    /// Looks whether the file has changed, and reads it anew if so. Blocks: it reads files.
    pub fn look(&self) -> Seen {
        let Some(path) = self.path.as_deref() else { return Seen::Same };
        let now = Stamp::of(path);
        let mut looked = self.looked.lock();
        if looked.stamp == now {
            return self.wait(&mut looked);
        }
        *looked = Looked { stamp: now, lacking: None };
        match config::load_revoked(path) {
            Ok(list) => self.take(list, &mut looked),
            Err(why) => Seen::Wrong(why),
        }
    }

    /// The file is what it was: perhaps for long enough.
    fn wait(&self, looked: &mut Looked) -> Seen {
        match looked.lacking.take() {
            Some((list, looks)) if looks.saturating_add(1) >= SETTLES => self.store(list),
            Some((list, looks)) => {
                looked.lacking = Some((list, looks.saturating_add(1)));
                Seen::Same
            }
            None => Seen::Same,
        }
    }

    /// The file has this list now.
    fn take(&self, list: Revoked, looked: &mut Looked) -> Seen {
        let in_force = self.list();
        if list.covers(&in_force) {
            return self.store(list);
        }
        let both = in_force.and(&list).filter(|_| !in_force.covers(&list));
        looked.lacking = Some((list, 1));
        both.map_or(Seen::Same, |both| self.store(both))
    }

    fn store(&self, list: Revoked) -> Seen {
        let count = list.len();
        self.list.store(Arc::new(list));
        Seen::Changed(count)
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
        let revocations = Revocations::load(&capability, None).unwrap();
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
        for _ in 1..SETTLES {
            assert!(revocations.look() == Seen::Same && holds(&revocations));
        }
        assert_eq!(revocations.look(), Seen::Changed(0));
        assert!(revocations.look() == Seen::Same && !holds(&revocations));
    }

    #[test]
    fn a_list_that_is_emptied_and_filled_again_ends_no_revocation_and_what_is_added_holds_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revoked");
        let write = |lines: &[&str]| std::fs::write(&path, lines.join("\n")).unwrap();
        let other = ONE.replace("07", "08");
        let third = ONE.replace("07", "099");
        let third = third.get(..ONE.len()).unwrap();
        write(&[ONE, &other]);
        let capability = config::Capability { revoked: Some(path.clone()), ..Default::default() };
        let revocations = Revocations::load(&capability, None).unwrap();
        for _ in 0..3 {
            write(&[]);
            for _ in 1..SETTLES {
                assert!(revocations.look() == Seen::Same && revocations.list().len() == 2);
            }
            // Each change of what is lacking is waited for anew.
            write(&[&other]);
            for _ in 1..SETTLES {
                assert!(revocations.look() == Seen::Same && holds(&revocations));
            }
            write(&[&other, ONE]);
            assert_eq!(revocations.look(), Seen::Changed(2));
        }
        write(&[third]);
        assert_eq!(revocations.look(), Seen::Changed(3));
        assert!(holds(&revocations));
        for _ in 2..SETTLES {
            assert_eq!(revocations.look(), Seen::Same);
        }
        assert_eq!(revocations.look(), Seen::Changed(1));
        assert!(!holds(&revocations));
    }

    #[test]
    fn a_reload_ends_no_revocation_at_once_unless_it_names_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revoked");
        std::fs::write(&path, ONE).unwrap();
        let of = |path| config::Capability { revoked: path, ..Default::default() };
        let before = Revocations::load(&of(Some(path.clone())), None).unwrap();
        std::fs::write(&path, "").unwrap();
        let after = Revocations::load(&of(Some(path.clone())), Some(&before)).unwrap();
        for _ in 2..SETTLES {
            assert!(after.look() == Seen::Same && holds(&after));
        }
        assert!(after.look() == Seen::Changed(0) && !holds(&after));
        let another = folder.path().join("another");
        std::fs::write(&another, "").unwrap();
        for path in [None, Some(another)] {
            assert!(!holds(&Revocations::load(&of(path), Some(&before)).unwrap()));
        }
    }
}
