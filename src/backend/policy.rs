//! What an operator may decide about a service.

use std::path::PathBuf;
use std::time::Duration;

use super::Listen;
use crate::oap::{MAX_FRAME, ServerConfig};

/// How connections are served.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Connections at once; more wait in the kernel's queue.
    pub connections: usize,
    /// Streams at once on one shared connection (oap1 §3), 1–1024.
    pub max_inflight: u32,
    /// Bytes of one request on the way at once, 128 KiB–4 MiB; `None` for exclusive connections only (oap1 §4).
    pub window: Option<u32>,
    /// From accepting a connection to its HELLO.
    pub hello: Duration,
    /// How long the transport of a shared connection may take nothing while there is something to write. Its peer reads
    /// whatever its own clients do (oap1 §4).
    pub write: Duration,
    /// How long a connection may be without a stream, and how long an exclusive one may take nothing: there TCP is the flow
    /// control, and a slow client no fault.
    pub idle: Duration,
    /// How long requests that run may take to finish after the shutdown.
    pub drain: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            connections: 1024,
            max_inflight: 256,
            window: Some(256 * 1024),
            hello: Duration::from_secs(5),
            write: Duration::from_secs(5),
            // Longer than the gateway's own idle time (oap1 §6), so that it is the gateway who closes.
            idle: Duration::from_secs(120),
            drain: Duration::from_secs(30),
        }
    }
}

impl Policy {
    /// What HELLO announces.
    pub(super) fn announced(&self) -> ServerConfig {
        ServerConfig {
            user_agent: concat!("svc-gateway-backend/", env!("CARGO_PKG_VERSION")).to_owned(),
            max_frame: MAX_FRAME,
            max_inflight: self.max_inflight,
            window: self.window,
        }
    }
}

/// Where objects are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// In memory, at most so many bytes, keys and bookkeeping included; the least recently used go first.
    Memory(u64),
    /// In this folder, durably; it is made when needed.
    Directory(PathBuf),
}

/// An object service.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens.
    pub listen: Listen,
    /// Where it keeps objects.
    pub keep: Keep,
    /// The largest object in bytes; a larger upload is 413.
    pub object_max: u64,
    /// How it serves connections.
    pub policy: Policy,
}

/// Bytes in memory where nobody says.
const MEMORY: u64 = 256 << 20;
/// The largest object where nobody says; the gateway's own cap is far below.
const OBJECT_MAX: u64 = 64 << 20;

impl Options {
    /// Objects in memory, 256 MiB of them.
    pub fn memory(listen: Listen) -> Self {
        Self { listen, keep: Keep::Memory(MEMORY), object_max: OBJECT_MAX, policy: Policy::default() }
    }

    /// Objects in a folder.
    pub fn directory(listen: Listen, path: PathBuf) -> Self {
        Self { keep: Keep::Directory(path), ..Self::memory(listen) }
    }
}
