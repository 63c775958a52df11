//! The figures of http.md §2 and the issue, in virtual time.

use std::time::Duration;

use super::sim::{Client, Pattern, Seen, World, policy};
use crate::admission::policy::Policy;

/// Of virtual time.
const SECONDS: u64 = 4;
const MS: Duration = Duration::from_millis(1);

fn report(name: &str, world: &World, secs: u64) {
    if std::env::var_os("FIGURES").is_none() {
        return;
    }
    let done: u64 = world.seen.iter().map(|seen| seen.done).sum();
    eprintln!("{name}: {}/s", done / secs);
    for (client, seen) in world.clients.iter().zip(&world.seen).take(4) {
        eprintln!(
            "  tenant {} weight {}: {}/s cost {:.0}/s, waits p50 {:?} p99 {:?}, rejected {:?}",
            client.tenant,
            client.weight,
            seen.done / secs,
            seen.cost / secs as f64,
            seen.wait(500),
            seen.wait(990),
            seen.rejected
        );
    }
}

fn run(name: &str, clients: Vec<Client>, service: Duration) -> World {
    let mut world = World::new(policy(16), service, clients);
    world.run(Duration::from_secs(1));
    world.forget();
    world.run(Duration::from_secs(SECONDS));
    report(name, &world, SECONDS);
    world
}

fn total(world: &World) -> u64 {
    world.seen.iter().map(|seen| seen.done).sum()
}

fn jain(seen: &[Seen], weights: &[f64]) -> f64 {
    let shares: Vec<_> = seen.iter().zip(weights).map(|(seen, weight)| seen.cost / weight).collect();
    let sum: f64 = shares.iter().sum();
    sum * sum / (shares.len() as f64 * shares.iter().map(|share| share * share).sum::<f64>())
}

#[test]
fn a_victim_at_half_its_share_hardly_waits_beside_ten_that_saturate() {
    let mut clients = vec![Client::new(0, Pattern::Every(MS * 1000 / 39))];
    clients.extend((1..=10).map(|n| Client { weight: 4, ..Client::new(n, Pattern::Closed(40)) }));
    let world = run("ten of weight 4", clients, 5 * MS);
    assert!(world.seen[0].wait(990) < 2 * MS, "5 ms of service, and 6.7 ms in all");
    assert_eq!(world.seen[0].failed(), 0);
}

#[test]
fn a_victim_keeps_its_latency_beside_a_flood_and_the_slots_stay_busy() {
    for (service, more) in [(5 * MS, 2 * MS), (20 * MS, 24 * MS)] {
        let clients = vec![Client::new(0, Pattern::Every(10 * MS)), Client::new(1, Pattern::Closed(200))];
        let world = run("A", clients, service);
        assert!(world.seen[0].wait(990) <= more, "{:?}", world.seen[0].wait(990));
        assert_eq!(world.seen[0].failed(), 0);
        let most = 16 * Duration::from_secs(SECONDS).as_nanos() / service.as_nanos();
        assert!(u128::from(total(&world)) * 100 >= most * 98, "{} of {most}", total(&world));
    }
}

#[test]
fn shares_go_by_weight_not_by_connections() {
    for (weights, connections) in [
        ([1, 1, 1], [100, 100, 100]),
        ([1, 1, 1], [25, 100, 400]),
        ([1, 2, 4], [100, 100, 100]),
        ([1, 2, 4], [25, 100, 400]),
    ] {
        let clients = (0..3)
            .map(|n| Client { weight: weights[n], ..Client::new(n as u64, Pattern::Closed(connections[n])) });
        let world = run("weights", clients.collect(), 5 * MS);
        let sum: u32 = weights.iter().sum();
        for (seen, weight) in world.seen.iter().zip(weights) {
            let share = seen.done as f64 / total(&world) as f64 * f64::from(sum) / f64::from(weight);
            assert!((0.98..1.02).contains(&share), "{weights:?} {connections:?}: {share}");
        }
        assert!(jain(&world.seen, &weights.map(f64::from)) > 0.99);
    }
}

#[test]
fn shares_are_of_cost_whether_it_is_declared_or_found_out() {
    for (request, response) in [(1 << 20, 13), (0, 1 << 20)] {
        let clients = vec![
            Client::new(0, Pattern::Closed(100)),
            Client { request, response, ..Client::new(1, Pattern::Closed(100)) },
        ];
        let world = run("17 times", clients, 5 * MS);
        let share = world.seen[0].cost / world.seen[1].cost;
        assert!((0.98..1.02).contains(&share), "{request}, {response}: {share}");
    }
}

#[test]
fn a_thousand_active_tenants_change_nothing() {
    let mut clients = vec![Client::new(0, Pattern::Every(10 * MS)), Client::new(1, Pattern::Closed(200))];
    clients.extend((2..1002).map(|n| Client::new(n, Pattern::Every(1000 * MS))));
    let world = run("1,000 active", clients, 5 * MS);
    assert!(world.seen[0].wait(990) <= 2 * MS, "{:?}", world.seen[0].wait(990));
    assert_eq!(world.seen.iter().skip(2).map(Seen::failed).sum::<u64>() + world.seen[0].failed(), 0);
    assert!(total(&world) * 100 >= SECONDS * 3200 * 98);
}

#[test]
fn slow_requests_fill_no_more_than_their_part_and_the_others_feel_nothing() {
    // Each holds its slot for five seconds, all wait as long as they may.
    let slow = Client { service: Some(5000 * MS), ..Client::new(2, Pattern::Closed(200)) };
    let clients = vec![Client::new(0, Pattern::Every(10 * MS)), Client::new(1, Pattern::Closed(30)), slow];
    let world = run("slow", clients, 5 * MS);
    assert!(world.seen[0].wait(990) <= 8 * MS, "{:?}", world.seen[0].wait(990));
    assert_eq!((world.seen[0].failed(), world.seen[1].failed()), (0, 0));
    // The slow one took its share, a half, before it was known to be slow.
    let most = 8 * SECONDS * 200;
    assert!(total(&world) * 100 >= most * 98, "{} of {most}", total(&world));
}

#[test]
fn a_backend_that_slows_down_changes_nothing_but_its_own_time() {
    let clients = vec![Client::new(0, Pattern::Every(10 * MS)), Client::new(1, Pattern::Closed(200))];
    let mut world = World::new(policy(16), 5 * MS, clients);
    world.run(Duration::from_secs(1));
    world.forget();
    world.service = 20 * MS;
    world.run(Duration::from_secs(SECONDS));
    report("slows down", &world, SECONDS);
    assert!(world.seen[0].wait(990) <= 24 * MS, "{:?}", world.seen[0].wait(990));
    assert_eq!(world.seen[0].failed(), 0);
    assert!(total(&world) * 100 >= SECONDS * 800 * 98, "{}", total(&world));
}

#[test]
fn what_is_lent_only_to_who_gives_back_costs_no_goodput() {
    let several = Policy { only_cluster: false, ..policy(16) };
    for policy in [several, Policy { only_tenant: true, ..several }] {
        for (connections, service) in [(16, 5 * MS), (16, 90 * MS), (100, 5 * MS), (100, 90 * MS)] {
            let mut world = World::new(policy, service, vec![Client::new(0, Pattern::Closed(connections))]);
            world.run(Duration::from_secs(1));
            world.forget();
            world.run(Duration::from_secs(SECONDS));
            report("one of several clusters", &world, SECONDS);
            // A connection's time between two requests is its own.
            let between = Duration::from_micros(if connections > 16 { 0 } else { 200 });
            let most = 16 * Duration::from_secs(SECONDS).as_nanos() / (service + between).as_nanos();
            let done = u128::from(total(&world));
            assert!(done * 100 >= most * 98, "{connections}, {service:?}: {done} of {most}");
        }
    }
}
