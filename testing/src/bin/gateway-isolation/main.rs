//! What a tenant feels of its neighbours: a scarce service behind the gateway, beside a plain first-come queue (haproxy) in
//! front of the same service. One command, one table; ends with 1 when something is not as it has to be.
//!
//! Nothing is configured but weights, `in_flight`, lifted rates and `shed: never`. Each tenant has addresses of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    reason = "a measuring tool fails by panicking, and reads the clock"
)]

mod clients;
mod origin;
mod rate;
mod stall;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use clap::Parser;
use gateway_testing::Gateway;
use gateway_testing::net::Address;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;

use clients::{Tenant, get, post};
use origin::Scarce;

/// Places at the service, and in flight.
const SLOTS: usize = 16;
/// What the gateway is told beside weights.
const LIFTED: &str = "rate: 1000000/s, burst: 1000000, in_flight: 16, per_address: { rate: none }";
const SERVICE: Duration = Duration::from_millis(5);
const SLOWED: Duration = Duration::from_millis(20);
/// The victim asks so often a second.
const STEADY: u64 = 100;
/// Bodies of the dear requests: 17 units each.
const DEAR: usize = 1 << 20;

/// A victim beside aggressors, and tenants that saturate.
#[derive(Debug, Parser)]
struct Arguments {
    /// Seconds of each run.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Only these runs: a, b, c, slowed, shares, weights, many, rate, stall. All of them if none is named.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

/// Who is in front of the service.
#[derive(Clone, Copy)]
struct Front {
    name: &'static str,
    address: SocketAddr,
}

/// What a run came to.
struct Row {
    name: String,
    p50: u64,
    p99: u64,
    failed: u64,
    goodput: f64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    if runtime.block_on(run(arguments)) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What stands ready for every run.
struct Bench {
    scarce: Scarce,
    time: Duration,
    fifo: Option<Haproxy>,
    only: Vec<String>,
}

async fn run(arguments: Arguments) -> bool {
    let scarce = Scarce::start(SLOTS, SERVICE);
    let fifo = Haproxy::start(scarce.address);
    if fifo.is_none() {
        println!("haproxy is not installed: no first-come queue to compare with");
    }
    let bench = Bench { scarce, time: Duration::from_secs(arguments.seconds), fifo, only: arguments.only };
    let mut well = true;
    if bench.wants_any(&["a", "b", "c", "slowed"]) {
        well &= bench.beside_aggressors().await;
    }
    if bench.wants_any(&["shares", "weights"]) {
        well &= bench.saturating().await;
    }
    if bench.wants_any(&["many"]) {
        well &= bench.among_many().await;
    }
    if bench.wants_any(&["rate"]) {
        well &= rate::run(&bench.scarce, bench.time).await;
    }
    if bench.wants_any(&["stall"]) {
        well &= stall::run(bench.time).await;
    }
    println!("{}", if well { "ok" } else { "NOT WELL" });
    well
}

impl Bench {
    fn wants_any(&self, runs: &[&str]) -> bool {
        self.only.is_empty() || runs.iter().any(|run| self.only.iter().any(|only| only == run))
    }

    async fn beside(&self, front: Front, aggressor: Aggressor) -> Row {
        beside(front, &self.scarce, aggressor, self.time).await
    }

    /// A, B, C, and A while the service slows down.
    async fn beside_aggressors(&self) -> bool {
        let plain = gateway(&self.scarce, LIFTED, &weighted([1, 1, 1]), Vec::new()).await;
        let ours = front("gateway", &plain);
        println!(
            "{:<40} {:>9} {:>9} {:>8} {:>7} {:>9}",
            "run", "p50 us", "p99 us", "x solo", "failed", "goodput/s"
        );
        let fifo = match &self.fifo {
            Some(fifo) => Some((fifo.front(), self.beside(fifo.front(), Aggressor::None).await.print(None))),
            None => None,
        };
        let mut well = true;
        let solo = self.beside(ours, Aggressor::None).await.print(None);
        for (run, aggressor) in [
            ("a", Aggressor::Closed(200)),
            ("b", Aggressor::Reconnecting(200)),
            ("c", Aggressor::Trickling(500)),
        ] {
            if !self.wants_any(&[run]) {
                continue;
            }
            let first_come = match &fifo {
                Some((front, solo)) => Some(self.beside(*front, aggressor).await.print(Some(solo))),
                None => None,
            };
            let row = self.beside(ours, aggressor).await.print(Some(&solo));
            well &= check(&row, bound(&solo));
            if let (Aggressor::Closed(_), Some(first_come)) = (aggressor, first_come) {
                let share = row.goodput / first_come.goodput;
                println!("    goodput {share:.3} of the first-come queue's (at least 0.98)");
                well &= share >= 0.98;
            }
        }
        if self.wants_any(&["slowed"]) {
            self.scarce.set(SLOWED);
            let slowed_solo = self.beside(ours, Aggressor::None).await.print(None);
            self.scarce.set(SERVICE);
            let row = slowing(ours, &self.scarce, self.time).await.print(Some(&slowed_solo));
            well &= check(&row, bound(&slowed_solo) + micros(SLOWED));
            self.scarce.set(SERVICE);
        }
        well
    }

    /// Tenants that saturate.
    async fn saturating(&self) -> bool {
        let (scarce, time) = (&self.scarce, self.time);
        println!("\n{:<34} {:>24} {:>24} {:>7}", "saturating", "served/s", "share / due", "Jain");
        let mut well = true;
        if self.wants_any(&["shares"]) {
            let plain = gateway(scarce, LIFTED, &weighted([1, 1, 1]), Vec::new()).await;
            let ours = front("gateway", &plain);
            for (name, connections, weights, bodies) in [
                ("equal connections", [100, 100, 100], [1, 1, 1], [0, 0, 0]),
                ("25 / 100 / 400 connections", [25, 100, 400], [1, 1, 1], [0, 0, 0]),
                ("13 B beside 1 MiB", [100, 40, 0], [1, 1, 0], [0, DEAR, 0]),
            ] {
                well &= shares(name, ours, scarce, connections, weights, bodies, time).await;
            }
        }
        if self.wants_any(&["weights"]) {
            let by_weight = gateway(scarce, LIFTED, &weighted([1, 2, 4]), Vec::new()).await;
            let ours = front("gateway", &by_weight);
            well &= shares("weights 1:2:4", ours, scarce, [100, 100, 100], [1, 2, 4], [0, 0, 0], time).await;
        }
        well
    }

    /// A, with 10,000 tenants known and 1,000 active.
    async fn among_many(&self) -> bool {
        println!("\n10,000 tenants known, 1,000 active");
        let many = gateway(&self.scarce, LIFTED, &weighted([1, 1, 1]), many()).await;
        let ours = front("gateway", &many);
        let solo = self.beside(ours, Aggressor::None).await.print(None);
        let row = self.beside(ours, Aggressor::Many(1000, 200)).await.print(Some(&solo));
        check(&row, bound(&solo))
    }
}

/// The victim's p99 may be so much, in microseconds: 1.2 times what it is alone, and a millisecond of noise.
fn bound(solo: &Row) -> u64 {
    solo.p99 + solo.p99 / 5 + 1000
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn check(row: &Row, bound: u64) -> bool {
    let well = row.failed == 0 && row.p99 <= bound;
    println!("    at most {bound} us and 0 failed: {}", if well { "ok" } else { "NOT WELL" });
    well
}

#[derive(Clone, Copy)]
enum Aggressor {
    None,
    Closed(usize),
    Reconnecting(usize),
    Trickling(usize),
    /// So many tenants that ask once a second each, beside one of so many connections in a closed loop.
    Many(u32, usize),
}

/// The victim at its steady rate beside an aggressor.
async fn beside(front: Front, scarce: &Scarce, aggressor: Aggressor, time: Duration) -> Row {
    let victim = Tenant::new(1, front.address);
    let other = Tenant::new(2, front.address);
    let until = Instant::now() + time + Duration::from_secs(1);
    let mut all = JoinSet::new();
    let name = match aggressor {
        Aggressor::None => "victim alone".to_owned(),
        Aggressor::Closed(n) => {
            (0..n).for_each(|k| drop(all.spawn(other.clone().closed_loop(k, Arc::new(get()), until))));
            format!("A: {n} in a closed loop")
        }
        Aggressor::Reconnecting(n) => {
            (0..n).for_each(|k| drop(all.spawn(other.clone().reconnecting(k, until))));
            format!("B: {n} that reconnect")
        }
        Aggressor::Trickling(n) => {
            (0..n).for_each(|k| drop(all.spawn(other.clone().trickling(k, until))));
            format!("C: {n} that post a byte every 100 ms")
        }
        Aggressor::Many(active, n) => {
            (0..n).for_each(|k| drop(all.spawn(other.clone().closed_loop(k, Arc::new(get()), until))));
            for k in 0..usize::try_from(active).unwrap_or(0) {
                let tenant = Tenant::many(k, front.address);
                // Spread over the second: a thousand at once would be a load of their own.
                let after = Duration::from_secs(1) * u32::try_from(k).unwrap_or(0) / active;
                drop(all.spawn(async move {
                    tokio::time::sleep(after).await;
                    tenant.steadily(1, time).await;
                }));
            }
            format!("A beside {active} active")
        }
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (before, began) = (scarce.served(), Instant::now());
    victim.clone().steadily_apart(STEADY, time).await;
    let goodput = (scarce.served() - before) as f64 / began.elapsed().as_secs_f64();
    while all.join_next().await.is_some() {}
    Row::of(format!("{} {name}", front.name), &victim, goodput)
}

/// A, with the service slowed down under way and nothing reconfigured; measured from the slowing on.
async fn slowing(front: Front, scarce: &Scarce, time: Duration) -> Row {
    let (victim, other) = (Tenant::new(1, front.address), Tenant::new(2, front.address));
    let until = Instant::now() + time + Duration::from_secs(2);
    let mut all = JoinSet::new();
    (0..200).for_each(|k| drop(all.spawn(other.clone().closed_loop(k, Arc::new(get()), until))));
    tokio::time::sleep(Duration::from_secs(2)).await;
    scarce.set(SLOWED);
    let (before, began) = (scarce.served(), Instant::now());
    victim.clone().steadily_apart(STEADY, time).await;
    let goodput = (scarce.served() - before) as f64 / began.elapsed().as_secs_f64();
    while all.join_next().await.is_some() {}
    Row::of(format!("{} A, slowed to 20 ms under way", front.name), &victim, goodput)
}

/// Tenants that saturate: each by its weight, within 2 %.
async fn shares(
    name: &str,
    front: Front,
    scarce: &Scarce,
    connections: [usize; 3],
    weights: [u64; 3],
    bodies: [usize; 3],
    time: Duration,
) -> bool {
    let tenants = [1, 2, 3].map(|net| Tenant::new(net, front.address));
    let until = Instant::now() + time + Duration::from_secs(3);
    let mut all = JoinSet::new();
    for ((tenant, count), body) in tenants.iter().zip(connections).zip(bodies) {
        let request = Arc::new(if body > 0 { post(body) } else { get() });
        for n in 0..count {
            drop(all.spawn(tenant.clone().closed_loop(n, Arc::clone(&request), until)));
        }
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let counts = || tenants.each_ref().map(|tenant| tenant.ok.load(Relaxed));
    let (before, began, served) = (counts(), Instant::now(), scarce.served());
    tokio::time::sleep(time).await;
    let (after, elapsed) = (counts(), began.elapsed().as_secs_f64());
    let goodput = (scarce.served() - served) as f64 / elapsed;
    while all.join_next().await.is_some() {}
    // In units of cost: a request and what it carries.
    let cost = |n: usize| 1.0 + bodies[n] as f64 / 65_536.0;
    let rates: Vec<f64> = (0..3).map(|n| (after[n] - before[n]) as f64 / elapsed).collect();
    let there: Vec<usize> = (0..3).filter(|n| connections[*n] > 0).collect();
    let normal: Vec<f64> = there.iter().map(|n| rates[*n] * cost(*n) / weights[*n] as f64).collect();
    let mean = normal.iter().sum::<f64>() / normal.len() as f64;
    let due: Vec<f64> = normal.iter().map(|share| share / mean).collect();
    let jain = normal.iter().sum::<f64>().powi(2)
        / (normal.len() as f64 * normal.iter().map(|share| share * share).sum::<f64>());
    let list = |values: &[f64], digits: usize| {
        values.iter().fold(String::new(), |text, value| text + &format!(" {value:.digits$}"))
    };
    let well = jain >= 0.99 && due.iter().all(|share| (share - 1.0).abs() <= 0.02);
    let verdict = if well { "ok" } else { "NOT WELL" };
    println!(
        "{name:<34} {:>24} {:>24} {jain:>7.4}  {goodput:.0}/s in all: {verdict}",
        list(&rates, 0),
        list(&due, 3)
    );
    well
}

impl Row {
    fn of(name: String, victim: &Tenant, goodput: f64) -> Self {
        let mut times = victim.times.lock().clone();
        times.sort_unstable();
        let at =
            |per_cent: usize| times.get(times.len().saturating_sub(1) * per_cent / 100).copied().unwrap_or(0);
        Self { name, p50: at(50), p99: at(99), failed: victim.failed.load(Relaxed), goodput }
    }

    fn print(self, solo: Option<&Self>) -> Self {
        let times =
            solo.map_or_else(String::new, |solo| format!("{:.2}", self.p99 as f64 / solo.p99.max(1) as f64));
        println!(
            "{:<40} {:>9} {:>9} {times:>8} {:>7} {:>9.0}",
            self.name, self.p50, self.p99, self.failed, self.goodput
        );
        self
    }
}

fn front(name: &'static str, gateway: &Gateway) -> Front {
    let Address::Tcp(address) = gateway.address("public") else { panic!("no TCP address") };
    Front { name, address }
}

async fn gateway(scarce: &Scarce, limits: &str, tenants: &str, others: Vec<String>) -> Gateway {
    let shed = if tenants.is_empty() { "with_writes" } else { "never" };
    let include = if others.is_empty() { "[]" } else { "[ \"tenants-*.yaml\" ]" };
    let config = format!(
        "include: {include}
listeners: [ {{ name: public, address: \"127.0.0.1:0\" }} ]
admin: {{ address: \"127.0.0.1:0\" }}
clusters: {{ app: {{ protocol: http1, backends: [ {{ address: \"{}\" }} ] }} }}
routes: [ {{ name: app, match: {{ path: {{ prefix: / }} }}, kind: proxy, cluster: app, shed: {shed} }} ]
danger_ok: [limits.rate]
limits: {{ {limits} }}
log: {{ access: off, level: warn }}
tenants:
  anonymous: {{}}
{tenants}",
        scarce.address
    );
    let mut builder = Gateway::builder(&beside_this("svc-gateway")).config(config);
    for (n, others) in others.into_iter().enumerate() {
        builder = builder.file(&format!("tenants-{n}.yaml"), others);
    }
    builder.start().await
}

fn weighted(weights: [u32; 3]) -> String {
    let tenant = |(net, weight)| {
        format!("  t{net}: {{ weight: {weight}, identify: [ {{ address: [127.0.{net}.0/24] }} ] }}\n")
    };
    (1..).zip(weights).map(tenant).collect()
}

/// Ten thousand others by their addresses, in files of no more than one may hold.
fn many() -> Vec<String> {
    let tenant = |n: usize| {
        format!("  m{n}: {{ identify: [ {{ address: [{}/32] }} ] }}\n", Tenant::address_of_many(n))
    };
    let file =
        |n: usize| "tenants:\n".to_owned() + &(n * 1000..(n + 1) * 1000).map(tenant).collect::<String>();
    (0..10).map(file).collect()
}

fn beside_this(name: &str) -> String {
    let here: PathBuf = std::env::current_exe().expect("a path of this program");
    here.with_file_name(name).to_str().expect("a path of text").to_owned()
}

/// haproxy as a plain first-come queue: the same places, one backend.
struct Haproxy {
    child: std::process::Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Haproxy {
    fn start(origin: SocketAddr) -> Option<Self> {
        let folder = TempDir::with_prefix("haproxy-").ok()?;
        // Free a moment ago: nobody else takes ports on this address.
        let address = std::net::TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?;
        let config = format!(
            "global
  maxconn 4000
  nbthread 2
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  timeout queue 60s
listen app
  bind {address}
  server one {origin} maxconn {SLOTS}
"
        );
        let path = folder.path().join("haproxy.cfg");
        std::fs::write(&path, config).ok()?;
        let child = Command::new("haproxy")
            .arg("-f")
            .arg(&path)
            .args(["-db", "-q"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let began = std::time::Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            if began.elapsed() > Duration::from_secs(5) {
                return None;
            }
            std::thread::yield_now();
        }
        Some(Self { child, address, _folder: folder })
    }

    fn front(&self) -> Front {
        Front { name: "haproxy", address: self.address }
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        super::Arguments::command().debug_assert();
    }
}
