//! What a run came to.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Histogram, Seen};

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Good answers.
    pub requests: u64,
    /// Everything else.
    pub errors: u64,
    /// The same by kind: a status, or `connect`, `closed`, `reset`, `framing`, `length` (other than expected),
    /// `unasked` (bytes that nobody asked for), `unfinished` (no answer at the end of the run).
    pub kinds: BTreeMap<String, u64>,
    /// Good answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// From first to last.
    pub elapsed: Duration,
    /// Times of good answers, from the request's first byte to the answer's last.
    pub times: Histogram,
    /// CPU time that each process took.
    pub cpu: Vec<(u32, Duration)>,
}

impl Report {
    pub(super) fn new(all: Vec<Seen>, elapsed: Duration, cpu: Vec<(u32, Duration)>) -> Self {
        let mut report = Self {
            requests: 0,
            errors: 0,
            kinds: BTreeMap::new(),
            statuses: BTreeMap::new(),
            elapsed,
            times: Histogram::default(),
            cpu,
        };
        for seen in all {
            report.times.add(&seen.times);
            for (status, count) in seen.statuses {
                *report.statuses.entry(status).or_default() += count;
            }
            for (kind, count) in seen.errors {
                *report.kinds.entry(kind).or_default() += count;
                report.errors += count;
            }
        }
        report.requests = report.times.count();
        report
    }

    /// Adds another run to this one, as if they had been one.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.elapsed += other.elapsed;
        self.times.add(&other.times);
        for (kind, count) in &other.kinds {
            *self.kinds.entry(kind.clone()).or_default() += count;
        }
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        for (mine, theirs) in self.cpu.iter_mut().zip(&other.cpu) {
            mine.1 += theirs.1;
        }
    }

    /// Good answers a second.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// CPU time a good answer of the `n`th measured process, in microseconds; 0 when there is none.
    pub fn cpu_micros(&self, n: usize) -> f64 {
        let cpu = self.cpu.get(n).map_or(Duration::ZERO, |(_, cpu)| *cpu);
        cpu.as_secs_f64() * 1e6 / self.requests.max(1) as f64
    }

    /// The time that this share of the good answers stayed within, in microseconds.
    pub fn micros(&self, share: f64) -> u64 {
        u64::try_from(self.times.percentile(share).as_micros()).unwrap_or(u64::MAX)
    }

    /// As one JSON object; `names` are those of the measured processes, in their order.
    pub fn json(&self, names: &[String]) -> Value {
        let cpu: BTreeMap<_, _> =
            names.iter().enumerate().map(|(n, name)| (name, self.cpu_micros(n))).collect();
        json!({
            "requests": self.requests,
            "errors": self.errors,
            "error_kinds": self.kinds,
            "statuses": self.statuses,
            "seconds": self.elapsed.as_secs_f64(),
            "per_second": self.rate(),
            "p50_us": self.micros(0.5),
            "p99_us": self.micros(0.99),
            "max_us": self.micros(1.0),
            "cpu_us_per_request": cpu,
        })
    }

    /// The heading of [`Report::row`].
    pub fn heading() -> String {
        let columns = ["requests", "errors", "per s", "p50 us", "p99 us", "max us", "CPU us"];
        columns.iter().fold(format!("{:<24}", ""), |line, column| line + &format!(" {column:>9}"))
    }

    /// As a line of a table; its CPU time a request is that of the first measured process.
    pub fn row(&self, name: &str) -> String {
        format!(
            "{name:<24} {:>9} {:>9} {:>9.0} {:>9} {:>9} {:>9} {:>9.1}",
            self.requests,
            self.errors,
            self.rate(),
            self.micros(0.5),
            self.micros(0.99),
            self.micros(1.0),
            self.cpu_micros(0)
        )
    }
}
