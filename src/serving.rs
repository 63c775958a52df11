//! `svc-gateway backend`: the object service as a process of its own.

use std::io;
use std::time::Duration;

use pingora_runtime::Runtime;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::access_log::Log;
use crate::backend::{self, Keep, Listen, Options};
use crate::cli::{BackendArgs, BackendMode};
use crate::config::{Address, LogLevel};
use crate::{clock, logger};

/// The listener's name in the log.
const LISTENER: &str = "backend";

/// Serves objects until a signal. SIGTERM drains: requests that run are finished. SIGINT, and a second SIGTERM, stop at
/// once.
///
/// # Errors
/// The folder cannot be used, the address cannot be had, or the system refuses threads or signals.
pub fn run(args: &BackendArgs) -> io::Result<()> {
    let (log, writer) = Log::new(io::stderr())?;
    logger::install(&log, LogLevel::Info);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let runtime = Runtime::new_steal(threads, LISTENER);
    let served = runtime.get_handle().block_on(serve(options(args), &log));
    // What still runs is given up.
    runtime.shutdown_timeout(Duration::ZERO);
    if served.is_ok() {
        log.event(clock::wall(), "info", "stopped", &[]);
    }
    drop(writer);
    served
}

async fn serve(options: Options, log: &Log) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (draining, mut drains) = tokio::sync::oneshot::channel();
    let told = |address: &str| {
        log.event(
            clock::wall(),
            "info",
            "listening",
            &[("listener", json!(LISTENER)), ("address", json!(address))],
        );
        log.event(clock::wall(), "info", "ready", &[]);
    };
    let shutdown = async {
        if terminate.recv().await.is_none() {
            return std::future::pending().await;
        }
        log.event(clock::wall(), "info", "draining", &[]);
        // From now on somebody listens for the second one.
        drop(draining.send(terminate));
    };
    let at_once = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            Ok(mut terminate) = &mut drains => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
        }
    };
    tokio::select! {
        served = backend::run(options, shutdown, told) => served,
        () = at_once => Ok(()),
    }
}

fn options(args: &BackendArgs) -> Options {
    let listen = match &args.listen {
        Address::Tcp(address) => Listen::Tcp(*address),
        Address::Unix(path) => Listen::Unix(path.clone()),
    };
    let mut options = Options::memory(listen);
    options.keep = match &args.dir {
        Some(folder) => Keep::Directory(folder.clone()),
        None => Keep::Memory(args.memory),
    };
    options.policy.window = match args.mode {
        BackendMode::Auto => Some(args.window),
        BackendMode::Exclusive => None,
    };
    options
}
