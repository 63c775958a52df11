//! When a connection is full, and when there may be no further one.

use std::time::Duration;

use super::backend::{Said, Speaks};
use super::*;

fn at_most(max: usize) -> PoolPolicy {
    PoolPolicy { max, ..PoolPolicy::default() }
}

#[tokio::test]
async fn a_full_connection_leads_to_another() {
    let (pool, backend) = pool(PoolPolicy::default(), Speaks::multiplexed(2));
    backend.echo();
    let mut streams = Vec::new();
    for n in 0..5 {
        streams.push(get(&pool, &format!("/{n}")).await.unwrap());
    }
    assert_eq!(pool.counts().shared, 3);
    for stream in &mut streams {
        whole(stream).await.unwrap();
    }
}

#[tokio::test]
async fn requests_beyond_all_places_wait_and_all_are_served() {
    let (pool, backend) = pool(at_most(2), Speaks::multiplexed(3));
    let dials = Arc::clone(&backend.dials);
    backend.echo();
    let requests: Vec<_> = (0..200)
        .map(|n| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move {
                let mut stream = get(&pool, &format!("/{n}")).await.unwrap();
                // Held for a while, so that others have to wait.
                settle().await;
                whole(&mut stream).await.unwrap()
            })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap().0, 200);
    }
    assert_eq!(dials.made.load(std::sync::atomic::Ordering::SeqCst), 2);
}

#[tokio::test]
async fn exclusive_connections_are_waited_for_too() {
    let (pool, backend) = pool(at_most(2), Speaks::exclusive());
    backend.echo();
    let requests: Vec<_> = (0..50)
        .map(|n| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move {
                let mut stream = get(&pool, &format!("/{n}")).await.unwrap();
                settle().await;
                // One in three leaves early, and costs its connection.
                if n % 3 != 0 {
                    whole(&mut stream).await.unwrap();
                }
            })
        })
        .collect();
    for request in requests {
        request.await.unwrap();
    }
    let counts = pool.counts();
    assert!(counts.exclusive_idle <= 2 && counts.exclusive_used == 0 && counts.dialing == 0, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn one_who_stops_waiting_does_not_take_the_wake_up_along() {
    let (pool, mut backend) = pool(at_most(1), Speaks::multiplexed(1));
    let (first, mut connection) = tokio::join!(get(&pool, "/1"), backend.accept());
    let impatient = {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move {
            let opened = tokio::time::timeout(Duration::from_millis(5), get(&pool, "/2")).await;
            assert!(opened.is_err(), "there is no place in time");
        })
    };
    settle().await;
    let patient = {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move { get(&pool, "/3").await.map(drop) })
    };
    settle().await;
    // Both happen before either waiter runs.
    tokio::time::advance(Duration::from_millis(5)).await;
    drop(first);
    impatient.await.unwrap();
    patient.await.unwrap().unwrap();
    connection.settle().await;
}

#[tokio::test]
async fn an_idle_exclusive_connection_makes_room_for_a_shared_one() {
    let (pool, backend) = pool(at_most(1), Speaks::multiplexed(64));
    backend.echo();
    whole(&mut get_alone(&pool, "/own").await.unwrap()).await.unwrap();
    assert_eq!(pool.counts().exclusive_idle, 1);
    whole(&mut get(&pool, "/shared").await.unwrap()).await.unwrap();
    let counts = pool.counts();
    assert_eq!((counts.exclusive_idle, counts.shared), (0, 1));
}

#[tokio::test]
async fn a_worker_without_a_connection_of_its_own_borrows_one() {
    let (pool, backend) = pool(at_most(1), Speaks::multiplexed(64));
    backend.echo();
    whole(&mut get(&pool, "/here").await.unwrap()).await.unwrap();
    let there = {
        let pool = Arc::clone(&pool);
        // Another thread is another worker.
        tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { whole(&mut get(&pool, "/there").await.unwrap()).await.unwrap() })
        })
    };
    assert_eq!(there.await.unwrap().1, b"/there");
    assert_eq!(pool.counts().shared, 1);
}

#[tokio::test]
async fn each_worker_has_its_own_connection() {
    let (pool, backend) = pool(PoolPolicy::default(), Speaks::multiplexed(64));
    backend.echo();
    whole(&mut get(&pool, "/here").await.unwrap()).await.unwrap();
    let there = {
        let pool = Arc::clone(&pool);
        tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let shared = runtime.block_on(async {
                whole(&mut get(&pool, "/there").await.unwrap()).await.unwrap();
                pool.counts().shared
            });
            drop(runtime);
            (shared, pool.counts().shared)
        })
    };
    // The second goes with the runtime that drove it.
    assert_eq!(there.await.unwrap(), (2, 1));
}

#[tokio::test]
async fn a_draining_connection_gets_no_new_streams_and_finishes_its_open_ones() {
    let (pool, mut backend) = pool(PoolPolicy::default(), Speaks::multiplexed(64));
    let (old, mut draining) = tokio::join!(get(&pool, "/old"), backend.accept());
    let mut old = old.unwrap();
    let (id, _) = draining.request().await;
    draining.server().drain();
    draining.settle().await;

    let (new, mut fresh) = tokio::join!(get(&pool, "/new"), backend.accept());
    let mut new = new.unwrap();
    let (new_id, path) = fresh.request().await;
    assert_eq!(path, "/new");
    fresh.respond(new_id, "new");
    fresh.settle().await;
    assert_eq!(whole(&mut new).await.unwrap().1, b"new");

    draining.respond(id, "old");
    draining.settle().await;
    assert_eq!(whole(&mut old).await.unwrap().1, b"old");
    // With its last stream it is closed.
    draining.until_closed().await;
    assert_eq!((pool.counts().shared, backend.dials()), (1, 2));
}

#[tokio::test]
async fn busy_connections_get_company_up_to_the_number_wanted() {
    let policy = PoolPolicy { shared_per_worker: 2, ..PoolPolicy::default() };
    let (pool, backend) = pool(policy, Speaks::multiplexed(64));
    backend.echo();
    let mut streams = Vec::new();
    for n in 0..8 {
        streams.push(get(&pool, &format!("/{n}")).await.unwrap());
        settle().await;
        assert!(matches!(streams.len(), 1) || pool.counts().shared == 2);
    }
    for stream in &mut streams {
        whole(stream).await.unwrap();
    }
}

#[tokio::test]
async fn when_no_further_connection_can_be_had_a_place_is_waited_for() {
    let (pool, mut backend) = pool(PoolPolicy::default(), Speaks::multiplexed(1));
    let (first, mut connection) = tokio::join!(get(&pool, "/1"), backend.accept());
    let mut first = first.unwrap();
    backend.dials.refused.store(true, std::sync::atomic::Ordering::SeqCst);
    let second = {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move { whole(&mut get(&pool, "/2").await.unwrap()).await.unwrap() })
    };
    settle().await;
    assert_eq!(backend.dials(), 2);
    let (id, _) = connection.request().await;
    connection.until(id, Said::End).await;
    connection.respond(id, "one");
    connection.settle().await;
    whole(&mut first).await.unwrap();
    let (id, path) = connection.request().await;
    assert_eq!(path, "/2");
    connection.respond(id, "two");
    connection.settle().await;
    assert_eq!(second.await.unwrap().1, b"two");
    assert_eq!(backend.dials(), 2, "a refused dial is not repeated at once");
}
