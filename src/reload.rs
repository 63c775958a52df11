//! Reload: a whole new generation is compiled aside, then swapped in, or the old one is kept and it is said why.
//!
//! What has been learned (connections, health, ejections, quotas, queues) is the gateway's, not a generation's, and goes on.
//! What cannot change in a running process is refused whole, naming the keys (config.md). One reload at a time; nothing of
//! it runs where requests do.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Config, Listener, Protocol};
use crate::metrics::ReloadResult;
use crate::snapshot::Snapshot;
use crate::state::State;
use crate::{clock, descriptors, logger};

/// What reloads need to know beside the gateway's state.
pub struct Reloading {
    state: Arc<State>,
    /// `None`: the process was started without a file.
    path: Option<PathBuf>,
    in_force: Mutex<Config>,
}

/// What a reload came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// The generation in force.
    pub generation: u64,
    /// What is legal and risky in it.
    pub warnings: Vec<String>,
}

/// Why the old generation is kept: one sentence a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub Vec<String>);

impl Reloading {
    /// Of `state`, which `config` is in force in; it came from `path`.
    pub fn new(state: Arc<State>, path: Option<PathBuf>, config: Config) -> Arc<Self> {
        Arc::new(Self { state, path, in_force: Mutex::new(config) })
    }

    /// Reads the configuration anew and puts it in force. Blocks: it reads files.
    ///
    /// # Errors
    /// Everything that is wrong with it; the old one stays in force.
    pub fn reload(&self) -> Result<Reloaded, Refused> {
        let mut in_force = self.in_force.lock();
        let outcome = self.replace(&mut in_force);
        let (metrics, log) = (&self.state.metrics, &self.state.log);
        match &outcome {
            Ok(done) => {
                metrics.on_reload(ReloadResult::Applied);
                let fields = [("generation", json!(done.generation)), ("warnings", json!(done.warnings))];
                log.event(clock::wall(), "info", "reloaded", &fields);
            }
            Err(Refused(errors)) => {
                metrics.on_reload(ReloadResult::Refused);
                let generation = self.state.snapshot.load().generation;
                let fields = [("generation", json!(generation)), ("errors", json!(errors))];
                log.event(clock::wall(), "error", "reload_refused", &fields);
            }
        }
        outcome
    }

    fn replace(&self, in_force: &mut Config) -> Result<Reloaded, Refused> {
        let Some(path) = &self.path else {
            return Err(Refused(vec![
                "this gateway was started without a file, start it with -c FILE".to_owned(),
            ]));
        };
        let loaded = Config::load(Some(path))
            .map_err(|errors| Refused(errors.findings().iter().map(ToString::to_string).collect()))?;
        let fixed = fixed(in_force, &loaded.config);
        if !fixed.is_empty() {
            return Err(Refused(fixed));
        }
        let before = self.state.snapshot.load_full();
        let snapshot =
            Snapshot::compile(&loaded.config, &self.state.around, &self.state.quotas, Some(&before))
                .map_err(|why| Refused(vec![why]))?;
        let generation = snapshot.generation;
        logger::set_level(loaded.config.log.level);
        self.state.put_in_force(Arc::new(snapshot));
        let mut warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
        warnings.extend(descriptors::too_few_for(loaded.config.limits.connections.get()));
        *in_force = loaded.config;
        Ok(Reloaded { generation, warnings })
    }
}

/// The keys that differ and cannot change in a running process.
fn fixed(before: &Config, after: &Config) -> Vec<String> {
    let mut keys = BTreeSet::new();
    let mut differs = |key: String, differs: bool| {
        if differs {
            let _ = keys.insert(key);
        }
    };
    differs("server.workers".to_owned(), before.server.workers != after.server.workers);
    differs("server.runtime_dir".to_owned(), before.server.runtime_dir != after.server.runtime_dir);
    differs("admin.address".to_owned(), before.admin.address != after.admin.address);
    differs("admin.socket".to_owned(), before.admin.socket != after.admin.socket);
    differs("log.to".to_owned(), before.log.to != after.log.to);
    let named = |config: &'_ Config, name: &str| -> Option<Listener> {
        config.listeners.iter().find(|listener| listener.name.as_str() == name).cloned()
    };
    for listener in before.listeners.iter().chain(&after.listeners) {
        let name = listener.name.as_str();
        match (named(before, name), named(after, name)) {
            (Some(old), Some(new)) => {
                differs(format!("listeners.{name}.address"), old.address != new.address);
                // A listener may take TLS on, or off: HTTP/2 without it and over it are the same to the process.
                let spoken = |listener: &Listener| (listener.speaks(Protocol::H1), listener.speaks_h2());
                differs(format!("listeners.{name}.protocols"), spoken(&old) != spoken(&new));
                differs(format!("listeners.{name}.mode"), old.socket_mode() != new.socket_mode());
                differs(format!("listeners.{name}.group"), old.group != new.group);
            }
            _ => differs(format!("listeners.{name}"), true),
        }
    }
    keys.into_iter()
        .map(|key| format!("{key}: cannot change in a running process, restart it, or take the change back"))
        .collect()
}

/// Reloads at SIGHUP, as a service of Pingora's server.
pub struct OnSignal(pub Arc<Reloading>);

#[async_trait]
impl BackgroundService for OnSignal {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let mut hangups = match signal(SignalKind::hangup()) {
            Ok(hangups) => hangups,
            Err(e) => return log::error!("SIGHUP cannot be watched: {e}"),
        };
        loop {
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => return,
                hangup = hangups.recv() => if hangup.is_none() { return },
            }
            let reloading = Arc::clone(&self.0);
            // What it came to is in the log.
            drop(tokio::task::spawn_blocking(move || reloading.reload()).await);
        }
    }
}
