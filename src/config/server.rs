//! `server`: the process itself.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::schema::{Schema, absent_or, duration, key, number, path, section};
use super::{text, units};

/// The process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Threads that serve; `None` (`auto`) is one a core.
    #[serde(serialize_with = "text::or_auto")]
    pub workers: Option<NonZeroUsize>,
    /// At stop and upgrade: how long open requests may go on.
    #[serde(with = "units::duration")]
    pub drain: Duration,
    /// The folder of the process's sockets; `None` (`auto`) is /run/svc-gateway, else $XDG_RUNTIME_DIR/svc-gateway,
    /// else a private temporary one.
    #[serde(serialize_with = "text::or_auto")]
    pub runtime_dir: Option<PathBuf>,
}

impl Default for Server {
    fn default() -> Self {
        Self { workers: None, drain: Duration::from_secs(30), runtime_dir: None }
    }
}

pub(super) fn schema() -> Schema {
    section([
        key("workers", "threads; auto = one a core", absent_or("auto", number(1, 1024))),
        key("drain", "at stop and upgrade: how long open requests may go on", duration(Duration::ZERO, HOUR)),
        key(
            "runtime_dir",
            "folder of the process's sockets, 0700, made when needed",
            absent_or("auto", path()),
        ),
    ])
}

const HOUR: Duration = Duration::from_secs(3600);
