//! Accepts connections, keeps their tasks, and ends them.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::{Id, JoinSet};

use super::driver::drive;
use super::link::Link;
use super::listen::{Accepted, Bound};
use super::{Policy, Service};

/// Pause after the system had no descriptor or memory for a connection.
const EXHAUSTED: Duration = Duration::from_millis(50);

impl Bound {
    /// Serves every connection until `shutdown`. Then nothing more is accepted, clients are told to go elsewhere, and what
    /// runs is finished, for `policy.drain` at most. Dropping the future ends everything at once.
    pub async fn serve<S: Service>(
        self,
        service: Arc<S>,
        policy: &Policy,
        shutdown: impl Future<Output = ()>,
    ) {
        let mut connections = Connections { service, policy, tasks: JoinSet::new(), links: HashMap::new() };
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(ended) = connections.tasks.join_next_with_id() => connections.forget(ended),
                accepted = self.accept(), if connections.links.len() < policy.connections => match accepted {
                    Ok(accepted) => connections.begin(accepted),
                    Err(e) => {
                        log::warn!("{}: cannot accept: {e}", self.address());
                        tokio::time::sleep(EXHAUSTED).await;
                    }
                },
            }
        }
        // Whoever has connected in the meantime believes to be served.
        while connections.links.len() < policy.connections
            && let Some(Ok(accepted)) = self.accept().now_or_never()
        {
            connections.begin(accepted);
        }
        drop(self);
        connections.drain().await;
    }
}

struct Connections<'a, S> {
    service: Arc<S>,
    policy: &'a Policy,
    tasks: JoinSet<()>,
    links: HashMap<Id, Arc<Link>>,
}

impl<S: Service> Connections<'_, S> {
    fn begin(&mut self, accepted: Accepted) {
        let link = Link::new(&self.policy.announced());
        let (service, policy) = (Arc::clone(&self.service), self.policy.clone());
        let task = match accepted {
            Accepted::Tcp(io) => self.tasks.spawn(drive(io, Arc::clone(&link), service, policy)),
            Accepted::Unix(io) => self.tasks.spawn(drive(io, Arc::clone(&link), service, policy)),
        };
        drop(self.links.insert(task.id(), link));
    }

    fn forget(&mut self, ended: Result<(Id, ()), tokio::task::JoinError>) {
        let id = ended.map_or_else(|e| e.id(), |(id, ())| id);
        drop(self.links.remove(&id));
    }

    async fn drain(mut self) {
        for link in self.links.values() {
            link.leave();
        }
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(self.policy.drain, ended).await.is_err() {
            log::warn!("{} connections were still open after {:?}", self.tasks.len(), self.policy.drain);
        }
    }
}
