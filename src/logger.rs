//! The process's own lines (`log::warn!` and friends, Pingora's too), as JSON beside the access log.

use std::io::Write;

use crate::access_log::Log;
use crate::clock;
use crate::config::LogLevel;

/// Sends every line of the `log` facade to `log`. In a process that has a logger already, as tests do, it stays.
pub fn install(log: &Log, level: LogLevel) {
    let mut builder = env_logger::Builder::new();
    builder
        // What is wanted is held by the facade's own level, which a reload may change.
        .filter_level(log::LevelFilter::Trace)
        .format(|out, record| {
            if !wanted(record.target()) {
                return Ok(());
            }
            let line = serde_json::json!({
                "ts": crate::access_log::timestamp(clock::wall()),
                "level": record.level().as_str().to_ascii_lowercase(),
                "event": "log",
                "target": record.target(),
                "message": record.args().to_string(),
            });
            writeln!(out, "{line}")
        })
        .target(env_logger::Target::Pipe(Box::new(Pipe(log.clone()))));
    if builder.try_init().is_ok() {
        set_level(level);
    }
}

/// What is logged from now on.
pub fn set_level(level: LogLevel) {
    log::set_max_level(match level {
        LogLevel::Error => log::LevelFilter::Error,
        LogLevel::Warn => log::LevelFilter::Warn,
        LogLevel::Info => log::LevelFilter::Info,
        LogLevel::Debug => log::LevelFilter::Debug,
        LogLevel::Trace => log::LevelFilter::Trace,
    });
}

/// Pingora tells of every failed request at `error` and of every start-up step at `info`; the access log and the events
/// say the same, once. Who asks for `debug` gets it.
fn wanted(target: &str) -> bool {
    log::max_level() >= log::LevelFilter::Debug
        || !(target.starts_with("pingora_proxy") || target.starts_with("pingora_core"))
}

struct Pipe(Log);

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.0.append(|out| out.extend_from_slice(buf));
        Ok(buf.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
