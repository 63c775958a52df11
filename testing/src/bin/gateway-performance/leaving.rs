//! Clients that leave in the middle: how soon their streams are given up, and whether anything of theirs stays behind.
//!
//! Downloads and uploads over HTTP/1.1 and HTTP/2, left half way one after the other, by closing the connection or
//! resetting the stream, over shared and over exclusive connections to the backend. Its clock and the client's are the same.

use std::time::{Duration, Instant};

use gateway_testing::backend::{Backend, Script, What};
use gateway_testing::client::{Http1, Http2, Request};
use gateway_testing::net::Address;
use gateway_testing::origin::Origin;
use gateway_testing::{Gateway, pattern, process};

use crate::house;

/// In which a stream must have been given up.
const SOON: Duration = Duration::from_millis(100);
/// What the gateway may have grown by, in bytes.
const GROWTH: u64 = 2 << 20;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Clients that leave, in all.
    #[arg(long, default_value_t = 1000)]
    count: usize,
}

/// The ways to leave. In the last of each three the whole connection goes.
const WAYS: [&str; 6] = [
    "download http/1.1",
    "download http/2",
    "download http/2 -",
    "upload http/1.1",
    "upload http/2",
    "upload http/2 -",
];

pub fn run(arguments: &Arguments) -> bool {
    [false, true].into_iter().all(|exclusive| leave_all(arguments.count / 2, exclusive))
}

fn leave_all(count: usize, exclusive: bool) -> bool {
    println!("{} connections to the backend", if exclusive { "exclusive" } else { "shared" });
    let backend = if exclusive { Backend::oap().exclusive() } else { Backend::oap() };
    // More than a window, so that as much as may wait in the gateway does.
    let backend = backend.script(|request| match request.path() {
        "/down" => Script::new().read_body().announce(200, 4_000_000).data(pattern(4_000_000)),
        _ => Script::new().read_bytes(1).mark("reading").read_body(),
    });
    let backend = backend.start();
    let origin = Origin::http1(1);
    let runtime = house::runtime();
    runtime.block_on(async {
        let gateway = house::gateway(&backend.address(), &Address::from(origin.address()), "auto").await;
        // Connections, caches and the allocator get to where they stay.
        for n in 0..100 {
            leave(&gateway, &backend, n % WAYS.len()).await;
        }
        let before = standing(&gateway).await;
        let mut took: Vec<Vec<Duration>> = vec![Vec::new(); WAYS.len()];
        for n in 0..count {
            let way = n % WAYS.len();
            took[way].push(leave(&gateway, &backend, way).await);
        }
        verdict(&mut took, &before, &gateway).await
    })
}

/// One client comes and leaves; how long until the backend knows.
async fn leave(gateway: &Gateway, backend: &Backend, way: usize) -> Duration {
    let from = backend.now();
    let reading =
        || backend.wait_from(from, |event| matches!(event.what, What::Mark("reading")).then_some(()));
    let at = gateway.address("public");
    let left;
    match way {
        0 => {
            let mut client = Http1::connect(at).await;
            assert!(client.send(&Request::get("/oap/down").http1_bytes()).await);
            drop(client.answer_head("GET").await.expect("an answer"));
            left = Instant::now();
            drop(client);
        }
        1 | 2 => {
            let client = Http2::connect(at).await;
            let mut download = client.open(&Request::get("/oap/down")).await;
            download.finish();
            drop(download.answer_start().await.expect("an answer"));
            left = Instant::now();
            if way == 1 { download.leave() } else { drop((client, download)) }
        }
        3 => {
            let mut client = Http1::connect(at).await;
            assert!(
                client.send(b"POST /oap/up HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nsome").await
            );
            reading().await;
            left = Instant::now();
            drop(client);
        }
        _ => {
            let client = Http2::connect(at).await;
            let mut upload = client.open(&Request::new("POST", "/oap/up").open_length()).await;
            assert!(upload.send(pattern(1000)).await);
            reading().await;
            left = Instant::now();
            if way == 4 { upload.leave() } else { drop((client, upload)) }
        }
    }
    let given_up = |event: &gateway_testing::backend::Event| match event.what {
        What::GivenUp(_) => Some(event.at),
        _ => None,
    };
    backend.wait_from(from, given_up).await.saturating_duration_since(left)
}

/// What must be the same before and after.
struct Standing {
    in_flight: f64,
    upstream: f64,
    descriptors: usize,
    resident: u64,
}

async fn standing(gateway: &Gateway) -> Standing {
    gateway.metric_becomes("inflight_requests", |n| n == 0.0).await;
    Standing {
        in_flight: 0.0,
        upstream: gateway.metric("upstream_connections").await,
        descriptors: gateway.process().descriptors(),
        resident: process::resident(gateway.process().pid()),
    }
}

async fn verdict(took: &mut [Vec<Duration>], before: &Standing, gateway: &Gateway) -> bool {
    let mut well = true;
    println!("{:<20} {:>7} {:>9} {:>9} {:>9}", "left", "times", "p50 us", "p99 us", "max us");
    for (way, took) in WAYS.iter().zip(took) {
        took.sort_unstable();
        let at = |per_cent: usize| took[(took.len() - 1) * per_cent / 100].as_micros();
        let max = took[took.len() - 1];
        well &= max <= SOON;
        println!("{way:<20} {:>7} {:>9} {:>9} {:>9}", took.len(), at(50), at(99), max.as_micros());
    }
    let after = standing(gateway).await;
    let growth = after.resident.saturating_sub(before.resident);
    println!(
        "in flight {} -> {}; upstream connections {} -> {}; descriptors {} -> {}; memory + {} KiB (below {} KiB)",
        before.in_flight,
        after.in_flight,
        before.upstream,
        after.upstream,
        before.descriptors,
        after.descriptors,
        growth / 1024,
        GROWTH / 1024
    );
    let left = gateway.metric("rejected_total{reason=\"client_left\"}").await;
    println!("counted as client_left: {left}");
    well &= before.upstream == after.upstream && growth < GROWTH;
    // The scrape's own connection may still be open, or closed already.
    well &= before.descriptors.abs_diff(after.descriptors) <= 2;
    println!("{}", if well { "ok" } else { "NOT WELL" });
    well
}
