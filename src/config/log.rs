//! `log` and `metrics`: what is written and counted about requests and the process.

use serde::{Deserialize, Serialize};

use super::schema::{Schema, flag, key, number, section, share, words};
use super::units::Share;

/// What is written, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// The line a request.
    pub access: AccessLog,
    /// The process's own lines, from this level up.
    pub level: LogLevel,
    /// Where all of it goes.
    pub to: LogTarget,
    /// Share of the requests answered below 400 that get a line; the others always do.
    pub sample_ok: Share,
    /// Whether answers tell the client their times in a `server-timing` field.
    pub server_timing: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            access: AccessLog::Json,
            level: LogLevel::Info,
            to: LogTarget::Stderr,
            sample_ok: Share::ALL,
            server_timing: false,
        }
    }
}

/// Form of the line a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessLog {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
    /// None.
    Off,
}

/// From grave to chatty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words say it")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// Where lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogTarget {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
}

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsPolicy {
    /// Tenants with series of their own, the busiest ones; the rest is `other`.
    pub tenants: u32,
}

impl Default for MetricsPolicy {
    fn default() -> Self {
        Self { tenants: 200 }
    }
}

pub(super) fn metrics_schema() -> Schema {
    section([key(
        "tenants",
        "the busiest ones, with series of their own; the rest is `other`",
        number(0, 10_000),
    )])
}

pub(super) fn schema() -> Schema {
    section([
        key("access", "form of the line a request", words(&["json", "text", "off"])),
        key("level", "the process's own lines", words(&["error", "warn", "info", "debug", "trace"])),
        key("to", "where all of it goes", words(&["stderr", "stdout"])),
        key("sample_ok", "share of the requests answered below 400 that get a line", share()),
        key("server_timing", "answers tell the client their times", flag()),
    ])
}
