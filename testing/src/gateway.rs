//! The gateway as a process.
//!
//! It is started as an operator starts it, `svc-gateway run -c FILE`, and known by what it logs and serves.

use std::process::ExitStatus;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::client::{Answer, Http1, Request};
use crate::net::Address;
use crate::process::{Line, Process, Signal};
use crate::{LOOK, PATIENCE};

/// A gateway to be.
#[derive(Debug)]
pub struct Builder {
    program: String,
    config: String,
    files: Vec<(String, String)>,
    secrets: Vec<String>,
    environment: Vec<(String, String)>,
    descriptors: Option<(u32, u32)>,
}

/// A running gateway; it is killed when this is dropped.
#[derive(Debug)]
pub struct Gateway {
    process: Process,
    folder: TempDir,
}

impl Builder {
    /// The configuration's YAML.
    #[must_use]
    pub fn config(mut self, yaml: impl Into<String>) -> Self {
        self.config = yaml.into();
        self
    }

    /// Another file beside the configuration.
    #[must_use]
    pub fn file(mut self, name: &str, text: impl Into<String>) -> Self {
        self.files.push((name.to_owned(), text.into()));
        self
    }

    /// Another file beside the configuration, for its owner's eyes only.
    #[must_use]
    pub fn secret(mut self, name: &str, text: impl Into<String>) -> Self {
        self.secrets.push(name.to_owned());
        self.file(name, text)
    }

    /// A variable of the environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// How many descriptors it may open: what it begins with, and what it may raise that to.
    #[must_use]
    pub fn descriptors(mut self, soft: u32, hard: u32) -> Self {
        self.descriptors = Some((soft, hard));
        self
    }

    /// Starts the gateway and waits until it says that it is ready.
    pub async fn start(self) -> Gateway {
        let gateway = self.spawn();
        let ready =
            gateway.process.wait_for_line(PATIENCE, |line| (line.json["event"] == "ready").then_some(()));
        if ready.await.is_none() {
            panic!("the gateway is not ready; its log:\n{}", gateway.process.log_text());
        }
        gateway
    }

    /// Starts the gateway and expects it to refuse: its exit code and what it wrote.
    pub async fn start_refused(self) -> (Option<i32>, String) {
        let gateway = self.spawn();
        match gateway.process.wait_exit(PATIENCE).await {
            Some(status) => (status.code(), gateway.process.log_text()),
            None => panic!("the gateway runs; its log:\n{}", gateway.process.log_text()),
        }
    }

    fn spawn(self) -> Gateway {
        let folder = TempDir::with_prefix("gateway-").expect("a temporary folder");
        let path = folder.path().join("gateway.yaml");
        std::fs::write(&path, &self.config).expect("a written configuration");
        for (name, text) in &self.files {
            std::fs::write(folder.path().join(name), text).expect("a written file");
        }
        for name in &self.secrets {
            let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(folder.path().join(name), owner_only).expect("its mode");
        }
        let path = path.to_str().expect("a path of text");
        let process = match self.descriptors {
            None => Process::spawn(&self.program, &["run", "-c", path], &self.environment),
            Some((soft, hard)) => {
                let limited = format!("ulimit -S -n {soft}; ulimit -H -n {hard}; exec \"$0\" \"$@\"");
                let arguments = ["-c", &limited, &self.program, "run", "-c", path];
                Process::spawn("/bin/sh", &arguments, &self.environment)
            }
        };
        Gateway { process, folder }
    }
}

impl Gateway {
    /// A gateway from the program at `program`, unless `SVC_GATEWAY_BIN` names another.
    pub fn builder(program: &str) -> Builder {
        Builder {
            program: std::env::var("SVC_GATEWAY_BIN").unwrap_or_else(|_| program.to_owned()),
            config: String::new(),
            files: Vec::new(),
            secrets: Vec::new(),
            environment: Vec::new(),
            descriptors: None,
        }
    }

    /// Starts a gateway with a configuration and waits until it is ready.
    pub async fn start(program: &str, yaml: &str) -> Self {
        Self::builder(program).config(yaml).start().await
    }

    /// Where a listener is; the admin listener is `admin`.
    pub fn address(&self, listener: &str) -> Address {
        let found = self.process.log().iter().find_map(|line| {
            let here = line.json["event"] == "listening" && line.json["listener"] == listener;
            here.then(|| Address::parse(line.json["address"].as_str().unwrap_or_default()))
        });
        found.unwrap_or_else(|| panic!("no listener {listener}; the log:\n{}", self.log_text()))
    }

    /// Writes another configuration where the gateway reads it.
    pub fn configure(&self, yaml: &str) {
        // Replaced whole, as an editor or a deployment does: it is never seen half written.
        let (path, fresh) = (self.folder.path().join("gateway.yaml"), self.folder.path().join("gateway.new"));
        std::fs::write(&fresh, yaml).expect("a written configuration");
        std::fs::rename(fresh, path).expect("a replaced configuration");
    }

    /// Writes another configuration and has the gateway take it: the status and what it answered.
    pub async fn reload(&self, yaml: &str) -> Answer {
        self.configure(yaml);
        let request = Request::new("POST", "/reload").field("connection", "close");
        Http1::connect(self.address("admin")).await.request(&request).await
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The folder of its configuration.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// All log lines so far.
    pub fn log(&self) -> Vec<Line> {
        self.process.log()
    }

    /// The log, for a message.
    pub fn log_text(&self) -> String {
        self.process.log_text()
    }

    /// Waits for a log line, past or to come, that `matches`; panics with the log when none comes.
    pub async fn log_line(&self, matches: impl Fn(&Value) -> bool) -> Value {
        let line =
            self.process.wait_for_line(PATIENCE, |line| matches(&line.json).then(|| line.json.clone()));
        line.await.unwrap_or_else(|| panic!("no such line; the log:\n{}", self.log_text()))
    }

    /// The access-log line of a request, by its `x-corr-id`.
    pub async fn access_line(&self, corr_id: &str) -> Value {
        self.log_line(|line| line["corr_id"] == corr_id && line.get("status").is_some()).await
    }

    /// A GET on the admin listener.
    pub async fn admin(&self, path: &str) -> Answer {
        Http1::connect(self.address("admin"))
            .await
            .request(&Request::get(path).field("connection", "close"))
            .await
    }

    /// The text of `/metrics`.
    pub async fn metrics(&self) -> String {
        let answer = self.admin("/metrics").await;
        assert!(answer.status == 200 && answer.body.complete, "{answer:?}");
        answer.text()
    }

    /// A metric: by its exact series, `name{label="value"}` with labels in any order and possibly not all of them;
    /// the values of all series that fit are added up, 0 when there are none.
    pub async fn metric(&self, series: &str) -> f64 {
        sum(&self.metrics().await, series)
    }

    /// Scrapes until the metric is as `wanted`; panics with the last value when it does not come to be.
    pub async fn metric_becomes(&self, series: &str, wanted: impl Fn(f64) -> bool) -> f64 {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut scrape = tokio::time::interval(LOOK);
        loop {
            scrape.tick().await;
            let value = self.metric(series).await;
            if wanted(value) {
                return value;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "{series} stays {value}; the log:\n{}",
                self.log_text()
            );
        }
    }

    /// Asks for `/readyz` until it says what is `wanted`.
    pub async fn readiness_becomes(&self, wanted: u16) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut scrape = tokio::time::interval(LOOK);
        loop {
            scrape.tick().await;
            let answer = self.admin("/readyz").await;
            if answer.status == wanted {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "/readyz stays {answer:?}\n{}", self.log_text());
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for the end of the process; panics when it does not come within `within`.
    pub async fn wait_exit(&self, within: Duration) -> ExitStatus {
        let status = self.process.wait_exit(within).await;
        status.unwrap_or_else(|| panic!("the gateway runs on; its log:\n{}", self.log_text()))
    }
}

/// Adds up the series of a Prometheus text that have the name and at least the labels of `series`.
fn sum(text: &str, series: &str) -> f64 {
    let (name, wanted) = labels(series);
    let fits = |line: &&str| {
        let (this, have) = labels(line);
        this == name && wanted.iter().all(|label| have.contains(label))
    };
    let value = |line: &str| line.rsplit_once(' ').and_then(|(_, value)| value.parse::<f64>().ok());
    text.lines().filter(|line| !line.starts_with('#')).filter(fits).filter_map(value).sum()
}

fn labels(series: &str) -> (&str, Vec<&str>) {
    match series.split_once('{') {
        Some((name, rest)) => {
            let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
            (name, inner.split(',').map(str::trim).filter(|label| !label.is_empty()).collect())
        }
        None => (series.split(' ').next().unwrap_or_default(), Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_found_by_name_and_labels_in_any_order() {
        let text = "# HELP a b\na{x=\"1\",y=\"2\"} 3\na{x=\"1\",y=\"3\"} 4\nab{x=\"1\"} 100\nplain 7\n";
        assert_eq!(sum(text, "a{y=\"2\",x=\"1\"}"), 3.0);
        assert_eq!(sum(text, "a{x=\"1\"}"), 7.0);
        assert_eq!(sum(text, "a"), 7.0);
        assert_eq!(sum(text, "plain"), 7.0);
        assert_eq!(sum(text, "gone"), 0.0);
    }
}
