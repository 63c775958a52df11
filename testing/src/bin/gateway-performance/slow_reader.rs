//! What one slow client does to its neighbours on the same connection to the backend, and to the gateway's memory.
//!
//! One worker, hence one shared connection. 32 clients ask for 1 KiB over and over, first alone, then beside one that
//! reads 10 MiB at 1 MB/s; later beside one that uploads 1 MiB at 100 KB/s. Each is done in several rounds; the medians
//! of the rounds' 99th percentiles are compared.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gateway_testing::Gateway;
use gateway_testing::backend::{Backend, Script};
use gateway_testing::client::{Answer, Http1, Pace, Request};
use gateway_testing::load::{Plan, Report};
use gateway_testing::net::Address;
use gateway_testing::origin::Origin;
use gateway_testing::{pattern, process};
use tokio::runtime::Runtime;

use crate::house;

const DOWN: usize = 10 << 20;
const DOWN_RATE: u64 = 1_000_000;
const UP: usize = 1 << 20;
const UP_RATE: u64 = 100_000;
const FAST: usize = 1024;
/// The fast ones' 99th percentile beside a slow one, as a multiple of what it is without.
const SLOWER: f64 = 1.5;
/// What the gateway may grow by, in bytes.
const GROWTH: u64 = 2 << 20;
/// The reader's receive buffer, in bytes: the kernel's own would take in most of the answer at once.
const RECEIVE_BUFFER: usize = 64 * 1024;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Rounds of each.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds that the fast clients run for, each time; the slow one takes ten.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Fast clients.
    #[arg(long, default_value_t = 32)]
    connections: usize,
}

struct Yard {
    runtime: Runtime,
    backend: Backend,
    gateway: Gateway,
    _origin: Origin,
}

/// A slow client, and what to compare it with.
#[derive(Clone, Copy)]
enum Slow {
    Reader,
    Writer,
}

/// What a round came to.
struct Round {
    alone: Report,
    beside: Report,
    growth: u64,
}

pub fn run(arguments: &Arguments) -> bool {
    let large = pattern(DOWN);
    let small = pattern(FAST);
    let used = Arc::new(Mutex::new(BTreeMap::<u64, u64>::new()));
    let uses = Arc::clone(&used);
    let backend = Backend::oap().quiet().script(move |request| {
        *uses.lock().expect("nobody panics with it").entry(request.connection).or_default() += 1;
        match request.path() {
            "/large" => Script::new().read_body().announce(200, DOWN as u64).data(large.clone()).end(),
            "/upload" => Script::whole(201, &[], "stored"),
            _ => Script::whole(200, &[], small.clone()),
        }
    });
    let backend = backend.start();
    let origin = Origin::http1(1);
    let runtime = house::runtime();
    let gateway = runtime.block_on(house::gateway(&backend.address(), &Address::from(origin.address()), "1"));
    let yard = Yard { runtime, backend, gateway, _origin: origin };
    // Connections, caches, the allocator and the pages of the program get to where they stay.
    drop(yard.fast(arguments, Duration::from_secs(2)));
    for slow in [Slow::Reader, Slow::Writer] {
        let address = yard.gateway.address("public");
        slow.check(&yard.runtime.block_on(slow.request(address, u64::MAX)));
    }
    println!("{}", Report::heading());
    let mut well = true;
    for slow in [Slow::Reader, Slow::Writer] {
        let rounds: Vec<Round> = (0..arguments.rounds).map(|n| yard.round(slow, arguments, n)).collect();
        well &= verdict(slow, &rounds);
    }
    let used = used.lock().expect("nobody panics with it").clone();
    let violations = yard.backend.violations();
    println!(
        "requests by connection, of which there is to be one: {used:?}; breaches of OAP/1: {violations:?}"
    );
    well && used.len() == 1 && violations.is_empty()
}

impl Yard {
    fn fast(&self, arguments: &Arguments, time: Duration) -> Report {
        let plan = Plan {
            connections: arguments.connections,
            time,
            expect: Some(FAST),
            pids: vec![self.gateway.process().pid()],
            ..Plan::new(house::tcp(&self.gateway.address("public")), Request::get("/oap/fast"))
        };
        plan.run()
    }

    fn round(&self, slow: Slow, arguments: &Arguments, number: u32) -> Round {
        let time = Duration::from_secs(arguments.seconds);
        let alone = self.fast(arguments, time);
        println!("{}", alone.row(&format!("{number}: {} alone", arguments.connections)));
        let pid = self.gateway.process().pid();
        let before = process::resident(pid);
        let started = Instant::now();
        let address = self.gateway.address("public");
        let client = self.runtime.spawn(async move { slow.request(address, slow.rate()).await });
        let over = Arc::new(AtomicBool::new(false));
        let watch = std::thread::spawn({
            let over = Arc::clone(&over);
            move || {
                let mut most = 0;
                while !over.load(Ordering::Relaxed) {
                    most = most.max(process::resident(pid));
                    std::thread::sleep(Duration::from_millis(20));
                }
                most
            }
        });
        let beside = self.fast(arguments, time);
        println!("{}", beside.row(&format!("{number}: beside a slow {}", slow.name())));
        let answer = self.runtime.block_on(client).expect("a client that lives");
        over.store(true, Ordering::Relaxed);
        let growth = watch.join().expect("a thread that lives").saturating_sub(before);
        slow.check(&answer);
        // Otherwise it was not beside a slow one that the fast ones ran.
        assert!(started.elapsed() >= time, "the slow client was done after {:?}", started.elapsed());
        Round { alone, beside, growth }
    }
}

impl Slow {
    fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Writer => "writer",
        }
    }

    /// Bytes a second.
    fn rate(self) -> u64 {
        match self {
            Self::Reader => DOWN_RATE,
            Self::Writer => UP_RATE,
        }
    }

    async fn request(self, address: Address, rate: u64) -> Answer {
        let mut client = Http1::connect(address).await;
        match self {
            Self::Reader => {
                client.socket().set_receive_buffer(RECEIVE_BUFFER);
                client.request_at(&Request::get("/oap/large"), Pace::new(rate)).await
            }
            Self::Writer => {
                // Of a length that is not announced: an upload that is known to be large may get a connection of its own.
                let request = Request::post("/oap/upload", pattern(UP)).open_length();
                client.send_at(&request.http1_bytes(), Pace::new(rate)).await;
                client.answer("POST").await
            }
        }
    }

    fn check(self, answer: &Answer) {
        match self {
            Self::Reader => answer.expect(200, &pattern(DOWN)),
            Self::Writer => answer.expect(201, b"stored"),
        }
    }
}

fn verdict(slow: Slow, rounds: &[Round]) -> bool {
    let median = |of: fn(&Round) -> u64| {
        let mut all: Vec<u64> = rounds.iter().map(of).collect();
        all.sort_unstable();
        all[all.len() / 2]
    };
    let alone = median(|round| round.alone.micros(0.99));
    let beside = median(|round| round.beside.micros(0.99));
    let growths: Vec<String> = rounds.iter().map(|round| (round.growth / 1024).to_string()).collect();
    let growth = rounds.iter().map(|round| round.growth).max().unwrap_or(0);
    let errors: u64 = rounds.iter().map(|round| round.alone.errors + round.beside.errors).sum();
    let ratio = beside as f64 / alone.max(1) as f64;
    let well = ratio <= SLOWER && growth < GROWTH && errors == 0;
    println!(
        "slow {}: p99 {alone} us alone, {beside} us beside it, {ratio:.2} × (at most {SLOWER}); memory + {} KiB ({}; below \
         {} KiB); {errors} errors: {}",
        slow.name(),
        growth / 1024,
        growths.join(", "),
        GROWTH / 1024,
        if well { "ok" } else { "NOT WELL" }
    );
    well
}
