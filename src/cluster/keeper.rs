//! What goes on beside the requests: finding backends, checking them, and the store in this process.
//!
//! One task a cluster, one a backend; each sleeps until its next step is due.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::server::{ListenFds, ShutdownWatch};
use pingora_core::services::{ServiceReadyNotifier, ServiceWithDependents};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};

use super::{Backend, Cluster};
use crate::state::State;
use crate::upstream::BackendId;
use crate::upstream::health::{Change, Health};
use crate::{backend, clock};

/// Keeps the clusters of a gateway, as a service of Pingora's server. Services that depend on it start when the store
/// listens and every name has been looked up once.
pub struct Keeper {
    state: Arc<State>,
    embedded: Option<backend::Options>,
}

impl Keeper {
    /// A keeper of `state`'s clusters, and of the store in this process if one is wanted.
    pub fn new(state: Arc<State>, embedded: Option<backend::Options>) -> Self {
        Self { state, embedded }
    }
}

#[async_trait]
impl ServiceWithDependents for Keeper {
    async fn start_service(
        &mut self,
        _fds: Option<ListenFds>,
        mut shutdown: ShutdownWatch,
        _listeners_per_fd: usize,
        ready: ServiceReadyNotifier,
    ) {
        let mut tasks = JoinSet::new();
        if let Some(options) = self.embedded.take() {
            let (bound, is_bound) = oneshot::channel();
            let log = self.state.log.clone();
            drop(tasks.spawn(async move {
                let told = |_: &str| {
                    let _ = bound.send(());
                };
                if let Err(e) = backend::run(options, std::future::pending(), told).await {
                    let fields = [("message", json!(format!("the embedded backend: {e}")))];
                    log.event(clock::wall(), "error", "failed", &fields);
                }
            }));
            // An error drops the sender: the gateway serves, and says 503 where the store is needed.
            drop(is_bound.await);
        }
        let clusters: Vec<_> = self.state.snapshot.load().clusters.values().map(Arc::clone).collect();
        for cluster in clusters {
            if let Err(e) = cluster.look_up().await {
                log::warn!("cluster {}: {e}", cluster.name);
            }
            drop(tasks.spawn(keep(cluster)));
        }
        self.state.log.event(clock::wall(), "info", "ready", &[]);
        ready.notify_ready();
        drop(shutdown.wait_for(|stop| *stop).await);
    }

    fn name(&self) -> &'static str {
        "clusters"
    }

    fn threads(&self) -> Option<usize> {
        Some(1)
    }
}

impl Cluster {
    /// Asks once who its backends are.
    async fn look_up(&self) -> pingora_core::Result<()> {
        self.discovery.refresh(|found| self.apply(found)).await
    }
}

/// Looks a cluster's backends up again and again, and checks those that there are.
async fn keep(cluster: Arc<Cluster>) {
    let mut checks = JoinSet::new();
    let mut checked: HashMap<BackendId, AbortHandle> = HashMap::new();
    loop {
        let current = cluster.members.current();
        checked.retain(|id, check| {
            let stays = current.backends().any(|(backend, _)| backend.id() == *id);
            if !stays {
                check.abort();
            }
            stays
        });
        for (backend, _) in current.backends() {
            let begin = || checks.spawn(check(Arc::clone(&cluster), Arc::clone(backend)));
            let _ = checked.entry(backend.id()).or_insert_with(begin);
        }
        drop(current);
        match cluster.refresh {
            Some(every) => tokio::time::sleep(jittered(every)).await,
            None => std::future::pending().await,
        }
        if let Err(e) = cluster.look_up().await {
            log::warn!("cluster {}: {e}", cluster.name);
        }
        // Ended ones are those that were aborted.
        while checks.try_join_next().is_some() {}
    }
}

/// A tenth to either side, so that many gateways do not ask at once.
fn jittered(every: Duration) -> Duration {
    every.saturating_mul(fastrand::u32(900..=1100)) / 1000
}

/// Checks one backend for as long as it belongs to the cluster.
async fn check(cluster: Arc<Cluster>, backend: Arc<Backend>) {
    let mut health = Health::new(clock::now());
    loop {
        tokio::time::sleep_until(health.next_probe().into()).await;
        let began = clock::now();
        let result = backend.link.probe.run().await;
        let now = clock::now();
        let passed = result.is_ok();
        let why = result.err().unwrap_or_default();
        log::debug!("cluster {}: check of {}: {passed} {why}", cluster.name, backend.name());
        match health.handle_result(&cluster.health, passed, began, now, &mut fastrand::Rng::new()) {
            Some(Change::Unhealthy) => {
                backend.set_healthy(false);
                log::warn!("cluster {}: {} is unhealthy: {why}", cluster.name, backend.name());
            }
            Some(Change::Healthy) => {
                backend.set_healthy(true);
                log::info!("cluster {}: {} is healthy", cluster.name, backend.name());
            }
            None => {}
        }
    }
}
