//! What a request costs with one tenant configured, and with 100,000 of which many ask: two gateways, by turns.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use gateway_testing::Gateway;
use gateway_testing::client::Request;
use gateway_testing::load::Plan;
use gateway_testing::net::Address;

use crate::house;

/// The many may cost so much of what the one does.
const BOUND: f64 = 1.1;
/// Tenants of one file, which may hold 50,000 values.
const A_FILE: usize = 4_000;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Tenants of the second gateway.
    #[arg(long, default_value_t = 100_000)]
    tenants: usize,
    /// Connections, each of another tenant.
    #[arg(long, default_value_t = 512)]
    connections: usize,
    /// Requests of each gateway a round; there are seven.
    #[arg(long, default_value_t = 100_000)]
    count: u64,
}

pub fn run(arguments: &Arguments) -> bool {
    let runtime = house::runtime();
    let (_backend, oap) = runtime.block_on(house::backend());
    let start = |tenants: usize| {
        let began = Instant::now();
        let mut builder = Gateway::builder(&house::beside("svc-gateway")).config(configuration(&oap));
        for first in (0..tenants).step_by(A_FILE) {
            builder =
                builder.file(&format!("tenants-{first}.yaml"), file(first, tenants.min(first + A_FILE)));
        }
        let gateway = runtime.block_on(builder.start());
        println!("{tenants} tenants: ready after {:.1} s", began.elapsed().as_secs_f64());
        gateway
    };
    let gateways = [start(1), start(arguments.tenants)];
    let plan = |n: usize| {
        let target = house::tcp(&gateways[n].address("public"));
        let known = if n == 0 { 1 } else { arguments.tenants };
        // Far apart from one another.
        let of = |k: usize| Request::get("/nothing").field("x-key", &key(k * 7_919 % known));
        Plan {
            requests: (0..arguments.connections).map(of).collect(),
            connections: arguments.connections,
            count: arguments.count,
            time: Duration::from_secs(60),
            // The service has nothing of that name: an answer like any other here.
            good: Some(404),
            pids: vec![gateways[n].process().pid()],
            ..Plan::new(target, of(0))
        }
    };
    let plans = [plan(0), plan(1)];
    let (mut costs, mut well) = ([Vec::new(), Vec::new()], true);
    for round in 0..8 {
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for n in order {
            let report = plans[n].run();
            well &= report.errors == 0;
            if report.errors > 0 {
                println!("{} errors: {:?}", report.errors, report.kinds);
            }
            // The first is for warming up.
            if round > 0 {
                costs[n].push(report.cpu_micros(0));
            }
        }
    }
    let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
    let mut by_round: Vec<f64> = costs[1].iter().zip(&costs[0]).map(|(many, one)| many / one).collect();
    by_round.sort_by(f64::total_cmp);
    let ratio = mean(&costs[1]) / mean(&costs[0]);
    well &= ratio <= BOUND;
    println!(
        "CPU a request with 1 tenant {:.1} us, with {} ({} of them asking) {:.1} us: {ratio:.3} ({:.3} to {:.3} by round), at \
         most {BOUND}: {}",
        mean(&costs[0]),
        arguments.tenants,
        arguments.connections,
        mean(&costs[1]),
        by_round[0],
        by_round[by_round.len() - 1],
        if well { "ok" } else { "NOT WELL" }
    );
    well
}

fn configuration(oap: &Address) -> String {
    format!(
        "include: [ \"tenants-*.yaml\" ]
listeners: [ {{ name: public, address: \"127.0.0.1:0\" }} ]
admin: {{ address: \"127.0.0.1:0\" }}
clusters: {{ app: {{ backends: [ {{ address: \"{oap}\" }} ] }} }}
routes: [ {{ name: app, match: {{ path: {{ prefix: / }} }}, kind: proxy, cluster: app }} ]
danger_ok: [limits.rate, limits.in_flight]
limits: {{ rate: 10000000/s, burst: 10000000, in_flight: 65536, per_address: {{ rate: none, connections: none }} }}
log: {{ access: off, level: error }}
"
    )
}

fn key(n: usize) -> String {
    format!("key-{n}")
}

/// Tenants, each known by a key of its own.
fn file(first: usize, end: usize) -> String {
    let mut yaml = "tenants:\n".to_owned();
    for n in first..end {
        let hash = blake3::hash(key(n).as_bytes());
        let identify = format!("[ {{ api_key: {{ header: x-key, blake3: [{hash}] }} }} ]");
        writeln!(yaml, "  t{n}: {{ identify: {identify} }}").expect("memory");
    }
    yaml
}
