//! A service that stalls: writes are shed, reads go on, and readiness says so once, not again and again.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::clients::{Tenant, get, post};
use crate::origin::Scarce;
use crate::{front, gateway};

const SERVICE: Duration = Duration::from_millis(5);
const STALLED: Duration = Duration::from_millis(500);
/// What the gateway has in flight; readers alone take less when the service stalls, writers and they more.
const SLOTS: usize = 64;
/// From eight addresses: one that is slow has a quarter of the slots while others are there (http.md §2).
const READERS: [usize; 8] = [5; 8];
const WRITERS: usize = 100;
/// Each asks so often.
const EVERY: Duration = Duration::from_millis(50);
/// It is measured from when shedding must have begun.
const NOTICED: Duration = Duration::from_secs(1);

/// Fine, then a stall, then fine again.
pub async fn run(time: Duration) -> bool {
    println!(
        "\n{:<34} {:>9} {:>12} {:>10} {:>13}",
        "a stall of 500 ms", "reads ok", "reads refused", "writes ok", "writes refused"
    );
    let service = Scarce::start(1000, SERVICE);
    // `shed` is left to what it is by default.
    let limits =
        format!("rate: 1000000/s, burst: 1000000, in_flight: {SLOTS}, per_address: {{ rate: none }}");
    let ours = gateway(&service, &limits, "", Vec::new()).await;
    let target = front("gateway", &ours).address;
    let writer = Tenant::new(1, target);
    let readers: Vec<_> = (2..).map(|n| Tenant::new(n, target)).take(READERS.len()).collect();
    let over = Instant::now() + 2 * time + 3 * RECOVERY;
    let mut all = JoinSet::new();
    for (reader, count) in readers.iter().zip(READERS) {
        reader.paced(count, EVERY, &Arc::new(get()), over, &mut all);
    }
    writer.paced(WRITERS, EVERY, &Arc::new(post(1)), over, &mut all);
    let mut seen = Readiness::default();
    let counts = || {
        let read = |count: fn(&Tenant) -> u64| readers.iter().map(count).sum();
        let (ok, failed) =
            (read(|reader| reader.ok.load(Relaxed)), read(|reader| reader.failed.load(Relaxed)));
        [ok, failed, writer.ok.load(Relaxed), writer.failed.load(Relaxed)]
    };
    let mut at = counts();
    let mut rows = Vec::new();
    for (name, service_time, lasts) in [
        ("before", SERVICE, RECOVERY),
        ("it begins", STALLED, NOTICED),
        ("it lasts", STALLED, time),
        ("it ends", SERVICE, RECOVERY),
        ("after", SERVICE, time.min(RECOVERY)),
    ] {
        service.set(service_time);
        seen.watch(&ours, lasts).await;
        let now = counts();
        let row: [u64; 4] = std::array::from_fn(|n| now[n] - at[n]);
        println!("{name:<34} {:>9} {:>12} {:>10} {:>13}", row[0], row[1], row[2], row[3]);
        rows.push(row);
        at = now;
    }
    drop(ours);
    while all.join_next().await.is_some() {}
    println!("    /readyz {:?}, for reads {:?}", seen.all, seen.reads);
    let [before, _, lasts, _, after] = [0, 1, 2, 3, 4].map(|n| rows[n]);
    let reads = lasts[0] as f64 / (lasts[0] + lasts[1]).max(1) as f64;
    let writes = lasts[2] as f64 / (lasts[2] + lasts[3]).max(1) as f64;
    let well = before[1] + before[3] + after[1] + after[3] == 0
        && reads >= 0.95
        && writes <= 0.5
        && seen.all == [200, 503, 200]
        && seen.reads == [200];
    println!(
        "    of the reads {:.1} % (at least 95), of the writes {:.1} % (at most 50) while it lasted, all before and after, \
         /readyz there and back once: {}",
        reads * 100.0,
        writes * 100.0,
        if well { "ok" } else { "NOT WELL" }
    );
    well
}

/// How often readiness is asked for.
const LOOK: Duration = Duration::from_millis(20);
/// Release takes its hold of 2 s, and its trials.
const RECOVERY: Duration = Duration::from_secs(7);

/// The answers of the readiness endpoints, each as often as it changed.
#[derive(Default)]
struct Readiness {
    all: Vec<u16>,
    reads: Vec<u16>,
}

impl Readiness {
    async fn watch(&mut self, gateway: &gateway_testing::Gateway, time: Duration) {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let until = Instant::now() + time;
        while looks.tick().await < until {
            for (path, seen) in [("/readyz", &mut self.all), ("/readyz?for=read", &mut self.reads)] {
                let status = gateway.admin(path).await.status;
                if seen.last() != Some(&status) {
                    seen.push(status);
                }
            }
        }
    }
}
