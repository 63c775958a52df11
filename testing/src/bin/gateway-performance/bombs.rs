//! What the gateway's memory does while many encoded bodies are under way at once that grow as much as they may, or more.
//!
//! Each client sends its body in small pieces. All of them wait for one another when the first few have gone, and where a
//! body is good also before its end, so that all decoders are at work at the same time and hold what they ever hold. Each kind
//! has a gateway of its own. The growth is that of the process's peak over its resident memory after two rounds of bodies
//! that are not encoded.
//!
//! All decoders together have `limits.decode.memory_total`: the largest windows need a little more than that, and some
//! of their bodies are answered with 503.

use std::sync::Arc;

use bytes::Bytes;
use gateway_testing::Gateway;
use gateway_testing::backend::{Backend, Script};
use gateway_testing::client::{Http1, Request};
use gateway_testing::conf;
use gateway_testing::encoded::{Format, noise};
use gateway_testing::net::Address;
use gateway_testing::origin::Origin;
use gateway_testing::process;
use tokio::sync::Barrier;

use crate::house;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// What each client sends at a time.
const PIECE: usize = 2 * KIB;
/// What a request may take beside its decoder's window.
const BESIDE: usize = 256 * KIB;
/// The default of `limits.decode.memory_total`.
const TOTAL: usize = 256 * MIB;
const WAYS: [&str; 4] = ["/oap-verify", "/oap-decode", "/http1-verify", "/http1-decode"];

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Bodies at once.
    #[arg(long, default_value_t = 64)]
    count: usize,
}

/// Bodies of one kind.
struct Kind {
    what: String,
    encoding: &'static str,
    body: Bytes,
    /// What they are answered with; below 300 they are held before their end.
    status: u16,
    window: usize,
}

pub fn run(arguments: &Arguments) -> bool {
    let backend = Backend::oap().quiet().script(|_| Script::whole(201, &[], "stored")).start();
    let origin = Origin::http1(1);
    let conf = conf::open()
        .oap_cluster("oap", &backend.address())
        .http1_cluster("http1", &Address::from(origin.address()))
        .set("limits.rate", "2000/s")
        .set("limits.burst", "100000")
        .set("limits.per_address", "{ rate: none, connections: none }")
        // One megabyte and 8 MiB, as by default; but nothing of the machine's own slowness.
        .set("degrade.lag", "1min");
    let conf = WAYS.iter().fold(conf, |conf, way| {
        let (cluster, mode) = way[1..].split_once('-').expect("both in its name");
        conf.proxy_route_with(&way[1..], way, cluster, &format!(", decode: {mode}"))
    });
    let plain = Kind {
        what: "not encoded".to_owned(),
        encoding: "identity",
        body: noise(MIB).into(),
        status: 201,
        window: 0,
    };
    let kinds = kinds();
    let runtime = house::runtime();
    runtime.block_on(async {
        let mut well = true;
        for way in WAYS {
            println!("{way}: {} at once", arguments.count);
            for kind in &kinds {
                let gateway = Gateway::start(&house::beside("svc-gateway"), &conf.yaml()).await;
                for _ in 0..2 {
                    well &= round(&gateway, way, &plain, arguments.count).await.wrong.is_empty();
                }
                let round = round(&gateway, way, kind, arguments.count).await;
                // Those that were cut off may be on their way out yet.
                let held = |held| held == 0.0;
                gateway.metric_becomes("gateway_decoder_memory_bytes", held).await;
                well &= round.tell(kind, arguments.count);
            }
        }
        well
    })
}

fn kinds() -> Vec<Kind> {
    let mut kinds = Vec::new();
    for format in Format::ALL {
        let window = if format == Format::Brotli { 4 * MIB } else { 32 * KIB };
        let bomb = format.becoming(90 * KIB, 12 * MIB);
        let twice = format.encode(&bomb);
        for (what, body, status) in [
            ("of 12 MiB", bomb, 413),
            ("10.1 times", format.growing(300 * KIB, 101), 413),
            ("over 8 MiB", format.becoming(900 * KIB, 8 * MIB + 1), 413),
            ("9.9 times", format.growing(800 * KIB, 99), 201),
            ("encoded twice", twice, 201),
        ] {
            let what = format!("{format:?} {what}, {} KiB", body.len() / KIB);
            kinds.push(Kind { what, encoding: format.name(), body, status, window });
        }
    }
    kinds
}

/// What a round came to.
struct Round {
    growth: u64,
    /// Answers that were not what they should be.
    wrong: Vec<u16>,
}

impl Round {
    fn tell(&self, kind: &Kind, count: usize) -> bool {
        let beside = (count * BESIDE) as u64;
        let each = (count * (kind.window + BESIDE)) as u64;
        // See above.
        let together = count * kind.window >= TOTAL;
        let most = if together { each.max(TOTAL as u64 + beside) } else { each };
        let spent = self.wrong.iter().filter(|status| **status == 503).count();
        let well = self.growth < most && (self.wrong.is_empty() || together && spent == self.wrong.len());
        println!(
            "  {:<36} {:>3}: + {:>6} KiB, at most {:>6}; {spent} of 503: {}",
            kind.what,
            kind.status,
            self.growth / 1024,
            most / 1024,
            if well { "ok".to_owned() } else { format!("NOT WELL {:?}", self.wrong) }
        );
        well
    }
}

async fn round(gateway: &Gateway, way: &'static str, kind: &Kind, count: usize) -> Round {
    let pid = gateway.process().pid();
    let barrier = Arc::new(Barrier::new(count));
    process::forget_peak(pid);
    let before = process::resident(pid);
    let clients: Vec<_> = (0..count)
        .map(|_| {
            let request = Request::put(&format!("{way}/x"), kind.body.clone());
            let request = request.field("content-encoding", kind.encoding).open_length();
            let (address, barrier) = (gateway.address("public"), Arc::clone(&barrier));
            let holds = kind.status < 300;
            tokio::spawn(async move { send(address, request, barrier, holds).await })
        })
        .collect();
    let mut wrong = Vec::new();
    for client in clients {
        let status = client.await.expect("a client that lives");
        if status != kind.status {
            wrong.push(status);
        }
    }
    Round { growth: process::peak(pid).saturating_sub(before), wrong }
}

/// Sends a body in pieces, and gives the answer's status.
async fn send(address: Address, request: Request, barrier: Arc<Barrier>, holds: bool) -> u16 {
    let mut client = Http1::connect(address).await;
    let mut sends = client.send(&request.http1_head()).await;
    let body = request.body.clone().unwrap_or_default();
    for (n, piece) in body.chunks(PIECE).enumerate() {
        let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
        sends = sends && client.send(&chunk).await;
        if n == 0 {
            barrier.wait().await;
        }
        if !sends {
            break;
        }
    }
    if holds {
        barrier.wait().await;
    }
    // An answer that came before ends the sending.
    let _ = sends && client.send(b"0\r\n\r\n").await;
    client.answer("PUT").await.status
}
