//! The cost of a request on both ways up: an `oap` and an `http1` cluster of one gateway process, by turns.
//!
//! GET of 13 B, GET of 64 KiB and POST of 64 KiB over HTTP/1.1 connections, against `svc-gateway backend` and an
//! HTTP/1.1 origin, each a process of its own on TCP. A round measures each request on both ways, one right after the
//! other, the first by turns, so that what else the machine does falls on both.

use std::time::Duration;

use gateway_testing::Gateway;
use gateway_testing::client::{Http1, Request};
use gateway_testing::load::{Plan, Report};
use gateway_testing::net::Address;
use gateway_testing::pattern;
use serde_json::Value;

use crate::{house, upstream_calls};

const LARGE: usize = 64 * 1024;
/// System calls upstream a request that an `oap` cluster may take.
const CALLS: f64 = 0.2;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Requests of each kind on each way, over all rounds.
    #[arg(long, default_value_t = 340_000)]
    count: u64,
    /// Rounds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Connections at once.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// No measurement may take longer than this many seconds.
    #[arg(long, default_value_t = 120)]
    limit: u64,
}

/// A request, the same on both ways but for where it goes.
struct Kind {
    name: &'static str,
    oap: Request,
    http1: Request,
    /// Content of an answer; `None` where the ways may differ.
    expect: Option<usize>,
    /// CPU time that `oap` may take, as a share of what `http1` does.
    bound: f64,
}

/// Names of the ways, in the order in which results are kept.
const WAYS: [&str; 2] = ["oap", "http1"];

pub fn run(arguments: &Arguments) -> bool {
    let runtime = house::runtime();
    let (backend, oap) = runtime.block_on(house::backend());
    let (origin, http1) = runtime.block_on(house::origin_process());
    let gateway = runtime.block_on(house::gateway(&oap, &http1, "auto"));
    let kinds = runtime.block_on(kinds(&gateway));
    let pids = vec![gateway.process().pid(), backend.pid(), origin.pid()];
    let target = house::tcp(&gateway.address("public"));
    let plan = |kind: &Kind, way: usize, count: u64| Plan {
        count,
        connections: arguments.connections,
        expect: kind.expect,
        time: Duration::from_secs(arguments.limit),
        pids: pids.clone(),
        ..Plan::new(target, if way == 0 { kind.oap.clone() } else { kind.http1.clone() })
    };
    // Connections, caches and the allocator get to where they stay.
    let each = arguments.count.div_ceil(arguments.rounds);
    for kind in &kinds {
        (0..WAYS.len()).for_each(|way| drop(plan(kind, way, each.min(5_000)).run()));
    }
    let mut rounds: Vec<Vec<[Report; 2]>> = Vec::new();
    for round in 0..arguments.rounds {
        let mut both = |kind: &Kind| {
            if round % 2 == 0 {
                let oap = plan(kind, 0, each).run();
                [oap, plan(kind, 1, each).run()]
            } else {
                let http1 = plan(kind, 1, each).run();
                [plan(kind, 0, each).run(), http1]
            }
        };
        rounds.push(kinds.iter().map(&mut both).collect());
    }
    let cheap = table(&kinds, &rounds);
    let few = calls(&gateway, &oap, &kinds, arguments);
    cheap & few
}

/// Stores what is asked for later, and checks once that both ways bring the right bytes.
async fn kinds(gateway: &Gateway) -> [Kind; 3] {
    let mut client = Http1::connect(gateway.address("public")).await;
    let mut paths = Vec::new();
    for size in [13, LARGE] {
        let stored = client.request(&Request::post("/oap/api/put", pattern(size))).await;
        let address = stored.json()["addr"].as_str().unwrap_or_else(|| panic!("{stored:?}")).to_owned();
        let path = format!("/oap/o/{address}");
        client.request(&Request::get(&path)).await.expect(200, &pattern(size));
        client.request(&Request::get(&format!("/http1/bytes/{size}"))).await.expect(200, &pattern(size));
        paths.push(path);
    }
    let get = |name, path: &str, size, bound| Kind {
        name,
        oap: Request::get(path),
        http1: Request::get(&format!("/http1/bytes/{size}")),
        expect: Some(size),
        bound,
    };
    let post = |way: &str| Request::post(&format!("/{way}/api/put"), pattern(LARGE));
    [
        get("GET 13 B", &paths[0], 13, 0.6),
        get("GET 64 KiB", &paths[1], LARGE, 0.8),
        Kind { name: "POST 64 KiB", oap: post("oap"), http1: post("http1"), expect: None, bound: 0.8 },
    ]
}

/// Prints what the rounds came to; whether all is within its bound, without an error.
fn table(kinds: &[Kind; 3], rounds: &[Vec<[Report; 2]>]) -> bool {
    println!("{}", Report::heading());
    let mut good = 0;
    let mut errors = 0;
    let mut ratios = Vec::new();
    for (n, kind) in kinds.iter().enumerate() {
        let sum = |way: usize| {
            let mut all = rounds.iter().map(|round| &round[n][way]);
            let mut sum = all.next().expect("a round").clone();
            all.for_each(|report| sum.add(report));
            sum
        };
        let sums = [sum(0), sum(1)];
        for (sum, way) in sums.iter().zip(WAYS) {
            println!("{}", sum.row(&format!("{} {way}", kind.name)));
            for (kind, count) in &sum.kinds {
                println!("    {count} × {kind}");
            }
            good += sum.requests;
            errors += sum.errors;
        }
        let ratio = |pair: [&Report; 2]| pair[0].cpu_micros(0) / pair[1].cpu_micros(0);
        let mut each: Vec<f64> = rounds.iter().map(|round| ratio([&round[n][0], &round[n][1]])).collect();
        each.sort_by(f64::total_cmp);
        let backends = [sums[0].cpu_micros(1), sums[1].cpu_micros(2)];
        ratios.push((kind, ratio([&sums[0], &sums[1]]), each, backends));
    }
    println!("\nCPU of the gateway a request, oap / http1 (by round), and of what is behind it in us:");
    let mut within = true;
    for (kind, ratio, each, backends) in &ratios {
        within &= *ratio <= kind.bound;
        let verdict = if *ratio <= kind.bound { "ok" } else { "TOO MUCH" };
        println!(
            "{:<12} {ratio:.2} ({:.2} to {:.2}), at most {}: {verdict}; {:.1}, {:.1}",
            kind.name,
            each[0],
            each[each.len() - 1],
            kind.bound,
            backends[0],
            backends[1]
        );
    }
    println!("\n{errors} errors in {} requests", good + errors);
    within && errors == 0
}

/// Prints how many reads and writes a request takes on the connections to the `oap` backend; whether few enough.
fn calls(gateway: &Gateway, oap: &Address, kinds: &[Kind; 3], arguments: &Arguments) -> bool {
    println!(
        "\nReads and writes upstream a request of the oap cluster, {} in flight:",
        arguments.connections
    );
    let mut few = true;
    for kind in kinds {
        let mut load = vec![house::beside("gateway-load")];
        load.push(format!("http://{}{}", gateway.address("public"), kind.oap.path));
        load.extend(["--json", "--time", "30s", "--connections"].map(str::to_owned));
        load.push(arguments.connections.to_string());
        load.extend(["--count".to_owned(), arguments.count.min(20_000).to_string()]);
        if let Some(body) = &kind.oap.body {
            load.extend(["--body".to_owned(), body.len().to_string()]);
        }
        match upstream_calls::count(gateway.process().pid(), house::tcp(oap), &load) {
            Some(calls) => {
                let report: Value = serde_json::from_str(&calls.output).unwrap_or_default();
                let requests = report["requests"].as_f64().unwrap_or(0.0);
                let each = (calls.reads + calls.writes) as f64 / requests.max(1.0);
                // What has to come in pieces cannot share its calls.
                let bounded = kind.expect == Some(13);
                let well = report["errors"] == 0 && requests > 0.0 && (!bounded || each < CALLS);
                few &= well;
                let bound = if bounded { format!(", below {CALLS}") } else { String::new() };
                println!(
                    "{:<12} {each:.3}{bound}: {} ({} reads, {} writes, {requests} requests, {} connections, by {})",
                    kind.name,
                    if well { "ok" } else { "TOO MANY" },
                    calls.reads,
                    calls.writes,
                    calls.connections,
                    calls.by
                );
            }
            None => {
                few = false;
                println!(
                    "{:<12} not counted: neither perf nor strace may, or a connection changed",
                    kind.name
                );
            }
        }
    }
    few
}
