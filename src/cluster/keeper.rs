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
use crate::upstream::client::CheckError;
use crate::upstream::health::{Change, Health};
use crate::{backend, clock};

/// Keeps the clusters of a gateway, as a service of Pingora's server. Services that depend on it start when the store
/// listens and every name has been looked up once.
pub struct Keeper {
    state: Arc<State>,
    embedded: Option<backend::Options>,
}

impl Keeper {
    /// A keeper of `state`'s clusters, and of the store in this process from when one is wanted.
    pub fn new(state: Arc<State>, embedded: backend::Options) -> Self {
        Self { state, embedded: Some(embedded) }
    }
}

/// A cluster that is looked after, and the task that does.
struct Kept(Arc<Cluster>, AbortHandle);

impl Drop for Kept {
    fn drop(&mut self) {
        self.1.abort();
    }
}

impl Keeper {
    /// Looks after the clusters of the generation in force, and no others.
    async fn keep(&mut self, kept: &mut Vec<Kept>) {
        let policy = self.state.snapshot.load_full();
        if policy.wants_embedded
            && let Some(options) = self.embedded.take()
        {
            self.start_embedded(options).await;
        }
        let mut before = std::mem::take(kept);
        for cluster in policy.clusters.values() {
            match before.iter().position(|kept| Arc::ptr_eq(&kept.0, cluster)) {
                Some(at) => kept.push(before.swap_remove(at)),
                None => {
                    if let Err(e) = cluster.look_up().await {
                        log::warn!("cluster {}: {e}", cluster.name);
                    }
                    let task = tokio::spawn(keep(Arc::clone(cluster))).abort_handle();
                    kept.push(Kept(Arc::clone(cluster), task));
                }
            }
        }
    }

    /// Resolves when the store listens, or has failed to.
    async fn start_embedded(&self, options: backend::Options) {
        let (bound, is_bound) = oneshot::channel();
        let log = self.state.log.clone();
        drop(tokio::spawn(async move {
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
        let mut kept = Vec::new();
        let mut generations = self.state.generations();
        self.keep(&mut kept).await;
        self.state.log.event(clock::wall(), "info", "ready", &[]);
        ready.notify_ready();
        loop {
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => return,
                changed = generations.changed() => if changed.is_err() { return },
            }
            self.keep(&mut kept).await;
        }
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
        let current = cluster.lasting.members.current();
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
    let mut health = Health::known(backend.is_healthy(), clock::now());
    let mut told = false;
    loop {
        tokio::time::sleep_until(health.next_probe().into()).await;
        let began = clock::now();
        let result = backend.link.probe.run().await;
        let now = clock::now();
        let passed = result.is_ok();
        let why = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
        log::debug!("cluster {}: check of {}: {passed} {why}", cluster.name, backend.name());
        if let Err(CheckError::Local(why)) = &result {
            // Once for all in a row: the rest would only fill the log.
            if !std::mem::replace(&mut told, true) {
                log::warn!("cluster {}: {} cannot be checked: {why}", cluster.name, backend.name());
            }
            health.put_off(&cluster.health, began, now, &mut fastrand::Rng::new());
            continue;
        }
        told = false;
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
