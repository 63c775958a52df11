//! What clients that hold on to connections, or flood them, cost the others.
//!
//! One worker. Thousands of connections that have asked once and then are silent; thousands whose head, body or reading
//! dribbles; then one client after the other that floods over HTTP/2, and connects again when it is cut. Beside each,
//! a few clients ask for 13 bytes over and over: what a request costs the gateway is compared with what it costs alone.

use std::time::{Duration, Instant};

use gateway_testing::Gateway;
use gateway_testing::backend::{Backend, Script};
use gateway_testing::client::{Http1, Request};
use gateway_testing::load::{Plan, Report};
use gateway_testing::net::{Address, Socket};
use gateway_testing::origin::Origin;
use gateway_testing::raw::http2::{self, frame};
use gateway_testing::{pattern, process};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::house;

/// Resident bytes that an idle connection may cost.
const EACH: u64 = 8 << 10;
/// What a request may cost beside others, as a multiple of what it costs alone.
const DEARER: f64 = 1.1;
/// Slow ones are cut after five seconds, and what the machine takes to get round to it.
const CUT: Duration = Duration::from_secs(9);
/// How long a reader dribbles: longer than it may.
const DRIBBLES: Duration = Duration::from_secs(7);
const LARGE: usize = 4 << 20;
/// How often a client that is cut comes again.
const AGAIN: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Idle connections.
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    /// Slow connections of each kind.
    #[arg(long, default_value_t = 4_000)]
    slow: usize,
    /// Seconds of each flood, and of what it is compared with.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

struct Yard {
    runtime: Runtime,
    gateway: Gateway,
    backend: Backend,
    _origin: Origin,
    time: Duration,
}

pub fn run(arguments: &Arguments) -> bool {
    let large = pattern(LARGE);
    let script = move |request: &gateway_testing::backend::Received| match request.path() {
        "/large" => Script::new().announce(200, LARGE as u64).data(large.clone()).end(),
        _ => Script::whole(200, &[], "thirteen byte"),
    };
    let backend = Backend::oap().quiet().script(script).start();
    let origin = Origin::http1(1);
    let runtime = house::runtime();
    let gateway = runtime.block_on(house::gateway(&backend.address(), &Address::from(origin.address()), "1"));
    let time = Duration::from_secs(arguments.seconds);
    let yard = Yard { runtime, gateway, backend, _origin: origin, time };
    // Connections, caches, the allocator and the pages of the program get to where they stay.
    drop(yard.runtime.block_on(yard.idle(500)));
    drop(yard.fast(Duration::from_secs(2)));
    println!("{}", Report::heading());
    let mut well = yard.idles(arguments.idle);
    for kind in [Slow::Head, Slow::Body, Slow::Reader] {
        well &= yard.slows(kind, arguments.slow);
    }
    for flood in FLOODS {
        well &= yard.floods(*flood);
    }
    well && yard.backend.violations().is_empty()
}

impl Yard {
    fn fast(&self, time: Duration) -> Report {
        let target = house::tcp(&self.gateway.address("public"));
        let plan =
            Plan { connections: 32, time, expect: Some(13), ..Plan::new(target, Request::get("/oap/x")) };
        Plan { pids: vec![self.gateway.process().pid()], ..plan }.run()
    }

    /// Whether a request beside others costs about as much as alone, and none fails.
    fn compare(&self, name: &str, alone: &Report, beside: &Report) -> bool {
        println!("{}", alone.row(&format!("alone, before {name}")));
        println!("{}", beside.row(&format!("beside {name}")));
        beside.errors == 0 && beside.cpu_micros(0) <= alone.cpu_micros(0) * DEARER
    }

    /// Connections that have asked once.
    async fn idle(&self, count: usize) -> Vec<Http1> {
        let mut idle = Vec::with_capacity(count);
        for _ in 0..count {
            let mut client = Http1::connect(self.gateway.address("public")).await;
            client.request(&Request::get("/oap/x")).await.expect(200, b"thirteen byte");
            idle.push(client);
        }
        idle
    }

    fn idles(&self, count: usize) -> bool {
        let alone = self.fast(self.time);
        let pid = self.gateway.process().pid();
        let before = process::resident(pid);
        let idle = self.runtime.block_on(self.idle(count));
        let each = process::resident(pid).saturating_sub(before) / count.max(1) as u64;
        let beside = self.fast(self.time);
        println!("{count} idle connections: {each} resident bytes each");
        let well = self.compare("idle connections", &alone, &beside) && each <= EACH;
        drop(idle);
        well
    }

    fn slows(&self, kind: Slow, count: usize) -> bool {
        let alone = self.fast(self.time);
        let pid = self.gateway.process().pid();
        let before = process::resident(pid);
        let open_before = self.gateway.process().descriptors();
        let mut slow = JoinSet::new();
        let address = self.gateway.address("public");
        let entered = self.runtime.enter();
        for _ in 0..count {
            drop(slow.spawn(kind.hold(address.clone())));
        }
        drop(entered);
        let beside = self.fast(CUT);
        let grown = process::resident(pid).saturating_sub(before);
        // Cut by the gateway, but for connections to the backend; what the kernel has for a client waits to be read.
        let still_open = self.gateway.process().descriptors().saturating_sub(open_before);
        let mut held = self.runtime.block_on(slow.join_all());
        held.sort();
        let (median, last) = (held[held.len() / 2], held[held.len() - 1]);
        println!(
            "{count} slow ({kind:?}): {still_open} descriptors more after {CUT:?}; ended for them after {median:.1?}, the last \
             {last:.1?}; {grown} bytes more resident"
        );
        // Connecting and cutting them takes its share of the worker: they may slow the others down, not fail them.
        println!("{}", alone.row(&format!("alone, before {kind:?}")));
        println!("{}", beside.row(&format!("beside {kind:?}")));
        beside.errors == 0 && still_open <= count / 40
    }

    fn floods(&self, (name, frames): (&str, fn() -> Vec<u8>)) -> bool {
        let alone = self.fast(self.time);
        let address = house::tcp(&self.gateway.address("public"));
        let flood = self.runtime.spawn(async move {
            // A client that is cut connects again, but not faster than one can by hand.
            let mut again = tokio::time::interval(AGAIN);
            again.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                again.tick().await;
                flood(address, frames()).await;
            }
        });
        let beside = self.fast(self.time);
        flood.abort();
        let cut = self.runtime.block_on(self.gateway.metric("http2_cut_total"));
        println!("{cut} connections of HTTP/2 cut so far");
        self.compare(name, &alone, &beside)
    }
}

/// How a client holds on.
#[derive(Clone, Copy, Debug)]
enum Slow {
    Head,
    Body,
    Reader,
}

impl Slow {
    /// Holds on until it is cut; how long that took.
    async fn hold(self, address: Address) -> Duration {
        let began = Instant::now();
        let Ok(socket) = Socket::try_connect(&address).await else { return began.elapsed() };
        let begin = match self {
            Self::Head => "GET /oap/x HTTP/1.1\r\nHost: a\r\nX: ",
            Self::Body => "POST /oap/x HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n",
            Self::Reader => "GET /oap/large HTTP/1.1\r\nHost: a\r\n\r\n",
        };
        if matches!(self, Self::Reader) {
            socket.set_receive_buffer(4 << 10);
        }
        let mut open = socket.write_whole(begin.as_bytes()).await.is_ok();
        let mut beat = tokio::time::interval(Duration::from_millis(500));
        let mut byte = [0];
        while open && began.elapsed() < CUT + CUT {
            open = match self {
                Self::Reader => {
                    beat.tick().await;
                    matches!(socket.read_some(&mut byte).await, Ok(1)) && began.elapsed() < DRIBBLES
                }
                Self::Head | Self::Body => tokio::select! {
                    _ = beat.tick() => socket.write_whole(b"x").await.is_ok(),
                    read = socket.read_some(&mut byte) => !matches!(read, Ok(_) | Err(_)),
                },
            };
        }
        // What the kernel has of an answer is all that there is, when it was cut.
        let mut rest = vec![0; 64 << 10];
        while matches!((self, socket.read_some(&mut rest).await), (Self::Reader, Ok(1..))) {}
        began.elapsed()
    }
}

type Flood = (&'static str, fn() -> Vec<u8>);

const FLOODS: &[Flood] = &[
    ("rapid resets", || {
        let get = [0x82, 0x86, 0x84, 0x01, 0x01, b'a'];
        (0..5000)
            .flat_map(|n| [frame(1, 5, 2 * n + 1, &get), frame(3, 0, 2 * n + 1, &[0, 0, 0, 8])].concat())
            .collect()
    }),
    ("settings", || frame(4, 0, 0, &[]).repeat(5000)),
    ("pings", || frame(6, 0, 0, &[0; 8]).repeat(5000)),
    ("continuations", || [frame(1, 0, 1, &[]), frame(9, 0, 1, &[]).repeat(5000)].concat()),
    ("empty data", || {
        let post = frame(1, 4, 1, &[0x83, 0x86, 0x84, 0x01, 0x01, b'a']);
        [post, frame(0, 0, 1, &[]).repeat(5000)].concat()
    }),
];

/// Sends frames over and over until it is cut.
async fn flood(address: std::net::SocketAddr, frames: Vec<u8>) {
    let Ok(socket) = Socket::try_connect(&address.into()).await else { return };
    let start = [http2::PREFACE, &frame(4, 0, 0, &[])].concat();
    if socket.write_whole(&start).await.is_err() {
        return;
    }
    let mut answer = vec![0; 16 << 10];
    tokio::select! {
        () = async { while socket.write_whole(&frames).await.is_ok() {} } => {}
        () = async { while matches!(socket.read_some(&mut answer).await, Ok(1..)) {} } => {}
    }
}
