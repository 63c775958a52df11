//! Services on real sockets, with the project's own client core as the peer.

mod batching;
mod calls;
mod ending;
mod flow;
pub(super) mod peer;

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::peer::Peer;
use super::{Bound, Listen, Policy, Service};

/// A service that is being served.
pub(super) struct Running {
    pub(super) address: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    folder: tempfile::TempDir,
}

impl Running {
    /// On a TCP port.
    pub(super) fn tcp(service: Arc<impl Service>, policy: Policy) -> Self {
        Self::start(&Listen::Tcp(([127, 0, 0, 1], 0).into()), service, policy, tempfile::tempdir().unwrap())
    }

    /// On a Unix socket.
    pub(super) fn unix(service: Arc<impl Service>, policy: Policy) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::start(&Listen::Unix(folder.path().join("socket")), service, policy, folder)
    }

    fn start(listen: &Listen, service: Arc<impl Service>, policy: Policy, folder: tempfile::TempDir) -> Self {
        let bound = Bound::new(listen).unwrap();
        let address = bound.address().to_owned();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            bound.serve(service, &policy, async { drop(stopped.await) }).await;
        });
        Self { address, stop, task, folder }
    }

    /// A shared connection.
    pub(super) async fn connect(&self) -> Peer {
        Peer::connect(&self.address, Some(256 * 1024)).await
    }

    /// Asks it to stop; the handle is done when it has.
    pub(super) fn shutdown(self) -> (JoinHandle<()>, tempfile::TempDir) {
        self.stop.send(()).unwrap();
        (self.task, self.folder)
    }
}
