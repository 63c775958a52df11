//! Reloads under load: 64 connections ask on while the configuration is replaced again and again, every fourth time by a
//! broken one. No request may fail, what is new holds at once, a tenant at its limit stays limited, memory stays flat.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use gateway_testing::client::{Http1, Request};
use gateway_testing::load::Plan;
use gateway_testing::net::Address;
use gateway_testing::origin::Origin;
use gateway_testing::{Gateway, process};

use crate::house;

/// What the gateway may have grown by, in bytes.
const GROWTH: u64 = 4 << 20;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Reloads; every fourth is of a broken file.
    #[arg(long, default_value_t = 100)]
    count: u32,
    /// Connections of the load.
    #[arg(long, default_value_t = 64)]
    connections: usize,
}

/// The `n`th configuration: another route's time, another cap, the same small quota for who has the key.
fn configuration(oap: &Address, http1: SocketAddr, cap: u32) -> String {
    let key = "ff8e2bab3b26e0c127002127905539b47eb421de85d554e15f55a446459b52b4";
    format!(
        "listeners: [ {{ name: public, address: \"127.0.0.1:0\" }} ]
admin: {{ address: \"127.0.0.1:0\" }}
clusters:
  oap: {{ backends: [ {{ address: \"{oap}\" }} ] }}
  http1: {{ protocol: http1, backends: [ {{ address: \"{http1}\" }} ] }}
routes:
  - {{ name: oap, match: {{ path: {{ prefix: /oap/ }} }}, kind: proxy, cluster: oap, strip_prefix: /oap, timeout: {cap}s, shed: never }}
  - {{ name: http1, match: {{ path: {{ prefix: /http1/ }} }}, kind: proxy, cluster: http1, strip_prefix: /http1, body: {{ max: {cap}KiB }}, shed: never }}
danger_ok: [limits.rate]
limits: {{ rate: 10000000/s, burst: 10000000, per_address: {{ rate: none }} }}
tenants:
  anonymous: {{}}
  limited: {{ quota: {{ rate: 1/h, burst: {cap} }}, identify: [ {{ api_key: {{ header: x-key, blake3: [{key}] }} }} ] }}
log: {{ access: off, level: error }}
"
    )
}

pub fn run(arguments: &Arguments) -> bool {
    let runtime = house::runtime();
    let (_backend, oap) = runtime.block_on(house::backend());
    let origin = Origin::http1(1);
    let at = |cap| configuration(&oap, origin.address(), cap);
    let gateway = runtime.block_on(Gateway::start(&house::beside("svc-gateway"), &at(10)));
    let stored = runtime.block_on(async {
        let mut client = Http1::connect(gateway.address("public")).await;
        let stored = client.request(&Request::post("/oap/api/put", "hello, world!")).await;
        // The tenant uses its quota up.
        for _ in 0..10 {
            client.request(&limited()).await.expect(200, &gateway_testing::pattern(13));
        }
        stored.json()["addr"].as_str().expect("an address").to_owned()
    });
    let target = house::tcp(&gateway.address("public"));
    let requests = vec![Request::get(&format!("/oap/o/{stored}")), Request::get("/http1/bytes/13")];
    let plan = |time| Plan {
        requests: requests.clone(),
        connections: arguments.connections,
        expect: Some(13),
        time,
        ..Plan::new(target, requests[0].clone())
    };
    drop(plan(Duration::from_secs(2)).run());
    let before = process::resident(gateway.process().pid());
    let (over, is_over) = std::sync::mpsc::channel::<()>();
    let load = std::thread::spawn({
        let plan = plan(Duration::from_secs(1));
        move || {
            let mut sum = plan.run();
            while is_over.try_recv().is_err() {
                sum.add(&plan.run());
            }
            sum
        }
    });
    let mut well = runtime.block_on(reloads(arguments, &gateway, &at));
    over.send(()).expect("a load that lives");
    let report = load.join().expect("a load that lives");
    let growth = process::resident(gateway.process().pid()).saturating_sub(before);
    println!(
        "{} requests, {} errors {:?}; memory + {} KiB (below {} KiB)",
        report.requests,
        report.errors,
        report.kinds,
        growth / 1024,
        GROWTH / 1024
    );
    well &= report.errors == 0 && growth < GROWTH;
    println!("{}", if well { "ok" } else { "NOT WELL" });
    well
}

fn limited() -> Request {
    Request::get("/http1/bytes/13").field("x-key", "key")
}

async fn reloads(arguments: &Arguments, gateway: &Gateway, at: &impl Fn(u32) -> String) -> bool {
    let mut well = true;
    let mut slowest = Duration::ZERO;
    let (mut applied, mut refused) = (0, 0);
    for n in 0..arguments.count {
        let began = Instant::now();
        if n % 4 == 3 {
            let answer = gateway.reload(&(at(20) + "nonsense: true\n")).await;
            well &= answer.status == 422;
            refused += 1;
            continue;
        }
        let cap = if n % 2 == 0 { 20 } else { 10 };
        let answer = gateway.reload(&at(cap)).await;
        well &= answer.status == 200;
        applied += 1;
        let mut client = Http1::connect(gateway.address("public")).await;
        // 15 KiB are too much under one and not under the other.
        let body = client.request(&Request::post("/http1/x", vec![0; 15 << 10])).await;
        let wanted = if cap == 10 { 413 } else { 201 };
        well &= body.status == wanted;
        slowest = slowest.max(began.elapsed());
        let mut client = Http1::connect(gateway.address("public")).await;
        well &= client.request(&limited()).await.status == 429;
        if !well {
            println!("reload {n}: {answer:?} {body:?}");
            return false;
        }
    }
    println!(
        "{applied} reloads applied, {refused} refused; what was new held after {} ms at the latest (at most 1000), the \
         tenant at its limit stayed there",
        slowest.as_millis()
    );
    well && slowest <= Duration::from_secs(1)
}
