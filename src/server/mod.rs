//! From a configuration to a running process: the log, the listeners, the services, the signals, the drain.
//!
//! Everything that can fail does so before the first connection is accepted, with a sentence that says what and
//! where. Pingora runs the services; stopping is ours, since Pingora sleeps its grace period in full even when
//! nothing is left to wait for.

mod face;
mod measuring;
mod watching;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use pingora_core::apps::http_app::HttpServer;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs, Server, ShutdownSignal, ShutdownSignalWatch};
use pingora_core::services::background::background_service;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use self::face::{Control, Public};
use self::measuring::Measuring;
use self::watching::Watching;
use crate::access_log::{Log, Writer};
use crate::admin::Admin;
use crate::cluster::{Keeper, Surroundings};
use crate::config::{self, Config, LogTarget, Protocol};
use crate::edge::{self, Accepting, Bound, Drain, Endpoint, FileAccess, Protocols};
use crate::metrics::Metrics;
use crate::quota::Quotas;
use crate::reload::{OnSignal, Reloading};
use crate::snapshot::{self, Snapshot};
use crate::state::State;
use crate::{clock, descriptors, embedded, logger};

/// The admin listener's name in the log.
const ADMIN: &str = "admin";
/// Who may open the admin socket.
const OWNER_ONLY: FileAccess = FileAccess { mode: 0o600, group: None };
const ADMIN_THREADS: usize = 1;

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener's address cannot be had.
    #[error("listener {name}: cannot listen on {address}: {source}")]
    Bind {
        /// The listener.
        name: String,
        /// Where it should listen.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// Something else that the system refuses.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A policy that cannot be compiled.
    #[error("{0}")]
    Policy(String),
}

/// Serves `config`, which came from `path`, until a signal stops it.
///
/// # Errors
/// A [`StartError`], before anything is served.
pub fn run(config: Config, path: Option<PathBuf>) -> Result<(), StartError> {
    let (log, writer) = open_log(&config)?;
    logger::install(&log, config.log.level);
    descriptors::ask_for_all();
    if let Some(why) = descriptors::too_few_for(config.limits.connections.get()) {
        log.event(clock::wall(), "warn", "few_descriptors", &[("message", json!(why))]);
    }
    let metrics = Metrics::new().map_err(|e| StartError::Policy(e.to_string()))?;
    let runtime_dir = embedded::RuntimeDir::new(&config)?;
    let around = Surroundings::new(&metrics, &runtime_dir.socket());
    let quotas = Arc::new(Quotas::new(snapshot::quotas(&config), clock::now()));
    let snapshot = Snapshot::compile(&config, &around, &quotas, None).map_err(StartError::Policy)?;
    let state = State::new(snapshot, around, quotas, log.clone());
    serve(config, path, &state, &runtime_dir)?;
    log.event(clock::wall(), "info", "stopped", &[]);
    drop(writer);
    drop(runtime_dir);
    Ok(())
}

fn open_log(config: &Config) -> Result<(Log, Writer), StartError> {
    let sink: Box<dyn io::Write + Send> = match config.log.to {
        LogTarget::Stderr => Box::new(io::stderr()),
        LogTarget::Stdout => Box::new(io::stdout()),
    };
    Log::new(sink).map_err(|source| StartError::System { what: "the log's thread", source })
}

fn serve(
    config: Config,
    path: Option<PathBuf>,
    state: &Arc<State>,
    runtime_dir: &embedded::RuntimeDir,
) -> Result<(), StartError> {
    let workers = workers(&config);
    let conf = ServerConf {
        threads: workers,
        work_stealing: false,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        // Attempts are ours to count; Pingora's own bound only must not be in the way.
        max_retries: 16,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    let listeners = public(&config, state, &server.configuration)?;
    let reloading = Reloading::new(Arc::clone(state), path, config.clone());
    let admins = admin(&config, state, &reloading)?;
    let admin_drain = Drain::new();
    let keeper = server.add_service(Keeper::new(Arc::clone(state), runtime_dir.embedded()));
    let public =
        server.add_service(Accepting::new("public", workers, listeners, Arc::clone(&state.drain)).noting({
            let lag = state.pressure.lag.clone();
            move |late| lag.note(late)
        }));
    // Who connects before the embedded store listens waits in the listener's queue.
    public.add_dependency(keeper);
    drop(server.add_service(Accepting::new("admin", ADMIN_THREADS, admins, admin_drain)));
    drop(server.add_service(background_service("reload", OnSignal(reloading))));
    drop(server.add_service(background_service("pressure", Measuring(Arc::clone(state)))));
    drop(server.add_service(background_service("revocations", Watching(Arc::clone(state)))));
    server.run(RunArgs { shutdown_signal: Box::new(Stop { state: Arc::clone(state) }) });
    Ok(())
}

fn workers(config: &Config) -> usize {
    let auto = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    config.server.workers.map_or_else(auto, std::num::NonZero::get)
}

fn address_of(address: &config::Address, access: FileAccess) -> edge::Address {
    match address {
        config::Address::Tcp(at) => edge::Address::Tcp(*at),
        config::Address::Unix(path) => edge::Address::Unix(path.clone(), access),
    }
}

fn bind(state: &State, name: &str, address: &edge::Address) -> Result<Bound, StartError> {
    let bound = Bound::new(name, address).map_err(|source| StartError::Bind {
        name: name.to_owned(),
        address: address.to_string(),
        source,
    })?;
    let fields = [("listener", json!(bound.name())), ("address", json!(bound.address()))];
    state.log.event(clock::wall(), "info", "listening", &fields);
    Ok(bound)
}

fn public(
    config: &Config,
    state: &Arc<State>,
    conf: &Arc<ServerConf>,
) -> Result<Vec<Endpoint<Public>>, StartError> {
    let mut endpoints = Vec::new();
    for listener in &config.listeners {
        let protocols = Protocols { h1: listener.speaks(Protocol::H1), h2: listener.speaks_h2() };
        let group = listener.group.as_ref().map(config::Group::number);
        let address = address_of(&listener.address, FileAccess { mode: listener.socket_mode(), group });
        endpoints.push(Endpoint {
            bound: bind(state, listener.name.as_str(), &address)?,
            protocols,
            serves: Arc::new(Public::new(state, listener.name.as_str(), protocols.h2, conf)),
        });
    }
    Ok(endpoints)
}

fn admin(
    config: &Config,
    state: &Arc<State>,
    reloading: &Arc<Reloading>,
) -> Result<Vec<Endpoint<Control>>, StartError> {
    let mut endpoints = Vec::new();
    for address in std::iter::once(&config.admin.address).chain(&config.admin.socket) {
        let address = address_of(address, OWNER_ONLY);
        let app = Arc::new(HttpServer::new_app(Admin::new(Arc::clone(state), Arc::clone(reloading))));
        endpoints.push(Endpoint {
            bound: bind(state, ADMIN, &address)?,
            protocols: Protocols { h1: true, h2: false },
            serves: Arc::new(Control { state: Arc::clone(state), app, unread: Arc::default() }),
        });
    }
    Ok(endpoints)
}

/// Waits for a signal, then for what runs.
struct Stop {
    state: Arc<State>,
}

#[async_trait]
impl ShutdownSignalWatch for Stop {
    /// SIGTERM drains: what was accepted is served, for `server.drain` at most and not longer than it takes. SIGINT,
    /// and a second SIGTERM, stop at once.
    async fn recv(&self) -> ShutdownSignal {
        let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            log::error!("signals cannot be watched");
            return std::future::pending().await;
        };
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => return ShutdownSignal::FastShutdown,
        }
        let open = self.state.drain.count();
        self.state.log.event(clock::wall(), "info", "draining", &[("connections", json!(open))]);
        self.state.drain.begin();
        let limit = self.state.snapshot.load().drain;
        tokio::select! {
            left = self.state.drain.finished(limit) => if left > 0 {
                log::warn!("{left} connections were still open after {limit:?}");
            },
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        ShutdownSignal::FastShutdown
    }
}
