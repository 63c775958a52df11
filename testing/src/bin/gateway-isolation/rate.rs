//! Tenants at the instance's rate of 500 requests a second: one far over its share takes nothing of what is another's.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::clients::{Tenant, get};
use crate::origin::Scarce;
use crate::{front, gateway, weighted};

/// The default, and what two tenants of one weight have of it each.
const RATE: u64 = 500;
const SHARE: u64 = RATE / 2;
const CONNECTIONS: usize = 200;
/// The burst of 500 is gone by then, even to the one that asks for 100 a second more than there are.
const WARM: Duration = Duration::from_secs(6);

/// An aggressor at 50 times its share, and one at 600 a second, beside a victim at half its share.
pub async fn run(scarce: &Scarce, time: Duration) -> bool {
    println!(
        "\n{:<34} {:>10} {:>10} {:>14} {:>14}",
        "at the rate of 500/s", "victim ok", "refused", "aggressor ok/s", "refused/s"
    );
    let mut well = true;
    for (name, asks) in [("aggressor at 50 x its share", 50 * SHARE), ("aggressor at 600/s", 600)] {
        let tenants = weighted([1, 1, 1]);
        let ours = gateway(scarce, "in_flight: 512, per_address: { rate: none }", &tenants, Vec::new()).await;
        let target = front("gateway", &ours).address;
        let (victim, other) = (Tenant::new(1, target), Tenant::new(2, target));
        let until = Instant::now() + time + WARM;
        let mut all = JoinSet::new();
        let every = Duration::from_secs(1) * u32::try_from(CONNECTIONS).unwrap_or(1)
            / u32::try_from(asks).unwrap_or(1);
        other.paced(CONNECTIONS, every, &Arc::new(get()), until, &mut all);
        tokio::time::sleep(WARM).await;
        let counts = || (other.ok.load(Relaxed), other.failed.load(Relaxed));
        let (before, began) = (counts(), Instant::now());
        victim.clone().steadily_apart(SHARE / 2, time).await;
        let (after, elapsed) = (counts(), began.elapsed().as_secs_f64());
        while all.join_next().await.is_some() {}
        let a_second = |after: u64, before: u64| (after - before) as f64 / elapsed;
        let (served, refused) = (victim.ok.load(Relaxed), victim.failed.load(Relaxed));
        let (got, turned_away) = (a_second(after.0, before.0), a_second(after.1, before.1));
        println!("{name:<34} {served:>10} {refused:>10} {got:>14.0} {turned_away:>14.0}");
        // What the victim leaves is the aggressor's.
        let left = (RATE - SHARE / 2) as f64;
        let asked = (got + turned_away) / asks as f64;
        let fine = refused == 0 && (0.97..=1.03).contains(&(got / left)) && asked >= 0.95;
        println!(
            "    0 refused, {left:.0}/s left to the aggressor, which asked {:.0} % of what it had to: {}",
            asked * 100.0,
            if fine { "ok" } else { "NOT WELL" }
        );
        well &= fine;
    }
    well
}
