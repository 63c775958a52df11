//! The default rate over sockets: how many of 600 a second pass, whether Retry-After is true, and what a refusal costs.

use std::time::{Duration, Instant};

use gateway_testing::Gateway;
use gateway_testing::client::{Http1, Request};
use gateway_testing::load::{Paced, Plan};
use gateway_testing::net::Address;

use crate::house;

/// The default: requests a second, and at once.
const RATE: u64 = 500;
const BURST: u64 = 500;
/// A refusal may take so much of the CPU time of a request that is proxied.
const SHARE: f64 = 0.5;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Seconds of 600 requests each.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Times that the bucket is emptied and waited for.
    #[arg(long, default_value_t = 20)]
    waits: u32,
    /// Requests of each kind whose CPU time is measured, a round; there are five.
    #[arg(long, default_value_t = 50_000)]
    count: u64,
}

pub fn run(arguments: &Arguments) -> bool {
    let runtime = house::runtime();
    let (_origin, http1) = runtime.block_on(house::origin_process());
    let gateway =
        runtime.block_on(Gateway::start(&house::beside("svc-gateway"), &configuration(&http1, "", "")));
    let target = house::tcp(&gateway.address("public"));
    let paced = Paced {
        target,
        source: None,
        request: Request::get("/bytes/13").http1_bytes(),
        a_second: 600,
        time: Duration::from_secs(arguments.seconds),
        threads: 64,
        first: true,
    };
    let counted = counts(&paced);
    let truthful = waits(&paced, arguments.waits);
    drop(gateway);
    let cheap = cost(arguments, &runtime, &http1);
    counted & truthful & cheap
}

/// On its defaults, but for what the runs need.
fn configuration(http1: &Address, listener: &str, rest: &str) -> String {
    format!(
        "listeners: [ {{ name: public, address: \"127.0.0.1:0\"{listener} }} ]
admin: {{ address: \"127.0.0.1:0\" }}
clusters: {{ app: {{ protocol: http1, backends: [ {{ address: \"{http1}\" }} ] }} }}
routes: [ {{ name: app, match: {{ path: {{ prefix: / }} }}, kind: proxy, cluster: app }} ]
log: {{ access: off, level: error }}
{rest}"
    )
}

/// 600 a second: what passes is the rate and the burst, within one per cent.
fn counts(paced: &Paced) -> bool {
    let told = paced.run();
    let of = |status| told.iter().filter(|told| told.status == Some(status)).count() as u64;
    let (passed, refused) = (of(200), of(429));
    let due = RATE * paced.time.as_secs() + BURST;
    let expected = due.min(told.len() as u64);
    let off = passed.abs_diff(expected) as f64 / expected as f64;
    let waits: Vec<u64> = told.iter().filter_map(|told| told.retry_after).collect();
    let well = off <= 0.01 && passed + refused == told.len() as u64 && waits.len() as u64 == refused;
    println!(
        "{} asked at 600/s: {passed} passed, {expected} expected (off by {:.2} %, at most 1), {refused} refused, each with \
         retry-after, {:?} to {:?} s: {}",
        told.len(),
        off * 100.0,
        waits.iter().min().unwrap_or(&0),
        waits.iter().max().unwrap_or(&0),
        if well { "ok" } else { "NOT WELL" }
    );
    well
}

/// Empties the bucket, waits as long as it is told, and asks once: again and again.
fn waits(paced: &Paced, times: u32) -> bool {
    let (mut kept, mut passed, mut longest) = (None, 0, 0);
    for _ in 0..times {
        let wait = loop {
            let told = paced.ask(&mut kept, Instant::now());
            if told.status != Some(200) {
                break told.retry_after.unwrap_or(0);
            }
        };
        longest = longest.max(wait);
        std::thread::sleep(Duration::from_secs(wait));
        passed += u32::from(paced.ask(&mut kept, Instant::now()).status == Some(200));
    }
    let well = passed == times;
    println!(
        "{passed} of {times} passed after waiting for retry-after (up to {longest} s): {}",
        if well { "ok" } else { "NOT WELL" }
    );
    well
}

/// What a refusal takes beside a GET of 13 B proxied to an `http1` cluster, by turns, by one gateway. The penalty box, which
/// would hold them, leaves trusted addresses alone.
fn cost(arguments: &Arguments, runtime: &tokio::runtime::Runtime, http1: &Address) -> bool {
    // The BLAKE3 of "key".
    let key = "ff8e2bab3b26e0c127002127905539b47eb421de85d554e15f55a446459b52b4";
    let rest = format!(
        "danger_ok: [limits.rate]
limits: {{ rate: 10000000/s, burst: 10000000, per_address: {{ rate: none }} }}
tenants:
  anonymous: {{}}
  limited: {{ quota: {{ rate: 1/h, burst: 1 }}, identify: [ {{ api_key: {{ header: x-key, blake3: [{key}] }} }} ] }}
"
    );
    let config = configuration(http1, ", trusted_addresses: [127.0.0.1/32]", &rest);
    let gateway = runtime.block_on(Gateway::start(&house::beside("svc-gateway"), &config));
    let limited = Request::get("/bytes/13").field("x-key", "key");
    runtime.block_on(async {
        let mut client = Http1::connect(gateway.address("public")).await;
        client.request(&limited).await.expect(200, &gateway_testing::pattern(13));
    });
    let target = house::tcp(&gateway.address("public"));
    let plan = |request: &Request| Plan {
        count: arguments.count,
        time: Duration::from_secs(60),
        pids: vec![gateway.process().pid()],
        ..Plan::new(target, request.clone())
    };
    let (refused, proxied) = (Plan { good: Some(429), ..plan(&limited) }, plan(&Request::get("/bytes/13")));
    let (mut no, mut yes, mut well) = (Vec::new(), Vec::new(), true);
    for round in 0..6 {
        let (a, b) = (refused.run(), proxied.run());
        well &= a.errors + b.errors == 0;
        // The first is for warming up.
        if round > 0 {
            no.push(a.cpu_micros(0));
            yes.push(b.cpu_micros(0));
        }
    }
    let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
    let mut by_round: Vec<f64> = no.iter().zip(&yes).map(|(no, yes)| no / yes).collect();
    by_round.sort_by(f64::total_cmp);
    let share = mean(&no) / mean(&yes);
    well &= share <= SHARE;
    println!(
        "CPU of a 429 {:.1} us, of a GET proxied to an http1 cluster {:.1} us: {share:.2} ({:.2} to {:.2} by round), at most \
         {SHARE}: {}",
        mean(&no),
        mean(&yes),
        by_round[0],
        by_round[by_round.len() - 1],
        if well { "ok" } else { "NOT WELL" }
    );
    well
}
