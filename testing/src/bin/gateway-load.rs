//! `gateway-load`: asks the same over and over, from many connections, and says what came of it.
//!
//! ```text
//! gateway-load http://127.0.0.1:8080/x --count 100000 --watch gateway=1234
//! gateway-load http://127.0.0.1:8080/api/put --body 64KiB --time 30s --protocol h2c --streams 16 --json
//! ```
//!
//! It ends with 1 when there was an answer that was not good, or none at all.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a measuring tool fails by panicking"
)]

use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use gateway_testing::client::Request;
use gateway_testing::load::{Plan, Report};
use gateway_testing::pattern;

/// Closed-loop load: so many connections, each with one request (h2c: several) at a time.
#[derive(Debug, Parser)]
struct Arguments {
    /// `http://HOST:PORT/PATH`
    #[arg(value_parser = target)]
    url: Target,
    /// Connections at once.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// What is spoken.
    #[arg(long, value_enum, default_value_t)]
    protocol: Protocol,
    /// Requests at once on each h2c connection.
    #[arg(long, default_value_t = 1)]
    streams: usize,
    /// Threads of the generator.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// GET, or POST where there is content.
    #[arg(long)]
    method: Option<String>,
    /// Content of each request: bytes, `64KiB`, `1MiB`.
    #[arg(long, value_parser = size)]
    body: Option<usize>,
    /// A further field, `NAME: VALUE`.
    #[arg(long, value_parser = field)]
    field: Vec<(String, String)>,
    /// End after so many answers.
    #[arg(long, default_value_t = u64::MAX, hide_default_value = true)]
    count: u64,
    /// End after this time in any case: `30s`, `5min`.
    #[arg(long, default_value = "10s", value_parser = time)]
    time: Duration,
    /// Content that every answer must have.
    #[arg(long, value_parser = size)]
    expect: Option<usize>,
    /// Measure a process's CPU time a request, `NAME=PID`.
    #[arg(long, value_parser = watched)]
    watch: Vec<(String, u32)>,
    /// The result as one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Protocol {
    #[default]
    Http1,
    H2c,
}

#[derive(Clone, Debug)]
struct Target {
    address: SocketAddr,
    authority: String,
    path: String,
}

fn target(text: &str) -> Result<Target, String> {
    let rest = text.strip_prefix("http://").ok_or("write http://HOST:PORT/PATH")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let found = authority.to_socket_addrs().map_err(|error| error.to_string())?.next();
    let address = found.ok_or("no such host")?;
    Ok(Target { address, authority: authority.to_owned(), path: format!("/{path}") })
}

fn unit(text: &str, units: &[(&str, u64)]) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    let number =
        number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    number.ok_or_else(|| {
        let names: Vec<_> = units.iter().map(|(name, _)| *name).filter(|name| !name.is_empty()).collect();
        format!("write a number and one of {}", names.join(", "))
    })
}

fn size(text: &str) -> Result<usize, String> {
    let bytes = unit(text, &[("", 1), ("KiB", 1 << 10), ("MiB", 1 << 20)])?;
    usize::try_from(bytes).map_err(|error| error.to_string())
}

fn time(text: &str) -> Result<Duration, String> {
    Ok(Duration::from_secs(unit(text, &[("s", 1), ("min", 60)])?))
}

fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write NAME: VALUE")?;
    Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
}

fn watched(text: &str) -> Result<(String, u32), String> {
    let (name, pid) = text.split_once('=').ok_or("write NAME=PID")?;
    Ok((name.to_owned(), pid.parse().map_err(|_| format!("{pid} is no process number"))?))
}

impl Arguments {
    fn plan(&self) -> Plan {
        let method = self.method.as_deref().unwrap_or(if self.body.is_some() { "POST" } else { "GET" });
        let mut request = Request::new(method, &self.url.path).authority(&self.url.authority);
        request.fields.clone_from(&self.field);
        request.body = self.body.map(pattern);
        Plan {
            connections: self.connections,
            streams: (self.protocol == Protocol::H2c).then_some(self.streams),
            threads: self.threads,
            count: self.count,
            time: self.time,
            expect: self.expect,
            pids: self.watch.iter().map(|(_, pid)| *pid).collect(),
            ..Plan::new(self.url.address, request)
        }
    }

    fn print(&self, report: &Report) {
        let names: Vec<String> = self.watch.iter().map(|(name, _)| name.clone()).collect();
        if self.json {
            return println!("{}", report.json(&names));
        }
        println!(
            "{}\n{}",
            Report::heading(),
            report.row(&self.url.path.chars().take(24).collect::<String>())
        );
        for (status, count) in &report.statuses {
            println!("  {count} × {status}");
        }
        for (kind, count) in &report.kinds {
            println!("  {count} × {kind} (not good)");
        }
        for (n, name) in names.iter().enumerate() {
            println!("  {name}: {:.1} us of CPU a request", report.cpu_micros(n));
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let report = arguments.plan().run();
    arguments.print(&report);
    if report.errors == 0 && report.requests > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_units_are_read() {
        Arguments::command().debug_assert();
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("13"), Ok(13));
        assert!(size("1KB").is_err() && size("").is_err() && size("99999999999999999999").is_err());
        assert_eq!(time("5min"), Ok(Duration::from_secs(300)));
        assert!(time("5").is_err());
        assert_eq!(watched("gateway=12"), Ok(("gateway".to_owned(), 12)));
    }

    #[test]
    fn content_makes_it_a_post() {
        let plan = |more: &[&str]| {
            Arguments::parse_from(["gateway-load", "http://127.0.0.1:1/x?y"].iter().chain(more)).plan()
        };
        let get = plan(&["--field", "A: b"]).requests[0].http1_bytes();
        assert_eq!(get, "GET /x?y HTTP/1.1\r\nhost: 127.0.0.1:1\r\na: b\r\n\r\n");
        assert!(plan(&["--body", "1KiB"]).requests[0].http1_bytes().starts_with(b"POST /x?y "));
        assert_eq!(plan(&["--protocol", "h2c", "--streams", "4"]).streams, Some(4));
    }
}
