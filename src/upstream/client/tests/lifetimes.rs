//! How connections end.

use std::time::Duration;

use bytes::Bytes;

use super::backend::{Said, Speaks};
use super::*;
use crate::oap::{Sent, StreamFailure};
use crate::upstream::client::Mode;

const IDLE: Duration = Duration::from_secs(10);

fn idle() -> PoolPolicy {
    PoolPolicy { idle: IDLE, ..PoolPolicy::default() }
}

#[tokio::test(start_paused = true)]
async fn a_shared_connection_closes_when_it_was_idle_for_long_enough() {
    let (pool, backend) = pool(idle(), Speaks::multiplexed(64));
    backend.echo();
    for n in 0..5 {
        whole(&mut get(&pool, &format!("/{n}")).await.unwrap()).await.unwrap();
        // Each use begins the time anew.
        tokio::time::advance(IDLE - Duration::from_millis(1)).await;
        settle().await;
        assert_eq!(pool.counts().shared, 1);
    }
    tokio::time::advance(Duration::from_millis(1)).await;
    settle().await;
    assert_eq!(pool.counts().shared, 0);
}

#[tokio::test(start_paused = true)]
async fn a_shared_connection_with_a_stream_is_not_idle() {
    let (pool, mut backend) = pool(idle(), Speaks::multiplexed(64));
    let (stream, mut connection) = tokio::join!(get(&pool, "/"), backend.accept());
    let mut stream = stream.unwrap();
    for _ in 0..5 {
        tokio::time::advance(IDLE).await;
        settle().await;
    }
    let (id, _) = connection.request().await;
    connection.respond(id, "late");
    connection.settle().await;
    assert_eq!(whole(&mut stream).await.unwrap().1, b"late");
    assert_eq!(pool.counts().shared, 1);
}

#[tokio::test(start_paused = true)]
async fn exclusive_connections_close_one_by_one_as_they_grow_old() {
    let (pool, backend) = pool(PoolPolicy { mode: Mode::Exclusive, ..idle() }, Speaks::exclusive());
    backend.echo();
    let (mut first, mut second) = (get(&pool, "/1").await.unwrap(), get(&pool, "/2").await.unwrap());
    whole(&mut first).await.unwrap();
    tokio::time::advance(IDLE / 2).await;
    whole(&mut second).await.unwrap();
    settle().await;
    assert_eq!(pool.counts().exclusive_idle, 2);
    tokio::time::advance(IDLE / 2).await;
    settle().await;
    assert_eq!(pool.counts().exclusive_idle, 1);
    tokio::time::advance(IDLE / 2).await;
    settle().await;
    assert_eq!(pool.counts().exclusive_idle, 0);
    // And again, when the task that looked after them has gone.
    whole(&mut get(&pool, "/3").await.unwrap()).await.unwrap();
    settle().await;
    assert_eq!(pool.counts().exclusive_idle, 1);
    tokio::time::advance(IDLE).await;
    settle().await;
    assert_eq!(pool.counts().exclusive_idle, 0);
}

#[tokio::test(start_paused = true)]
async fn a_shared_connection_that_takes_nothing_for_too_long_is_lost() {
    let policy = PoolPolicy { write: Duration::from_secs(2), ..PoolPolicy::default() };
    let (pool, mut backend) = pool(policy, Speaks::multiplexed(64));
    let mut content = Bytes::from(vec![0; 1 << 20]);
    let (stream, connection) = tokio::join!(open(&pool, "/", &mut content, true, false), backend.accept());
    let mut stream = stream.unwrap();
    // The pipe holds 64 KiB, and nobody reads it any more.
    let begun = tokio::time::Instant::now();
    assert_eq!(stream.send(&mut content, true).await, Sent::Closed);
    assert!(matches!(stream.recv().await, Incoming::Failed(StreamFailure::Lost)));
    assert_eq!(begun.elapsed().as_secs(), 2);
    assert_eq!(pool.counts().shared, 0);
    drop(connection);
}

#[tokio::test(start_paused = true)]
async fn an_exclusive_connection_that_takes_nothing_for_too_long_is_lost() {
    let policy = PoolPolicy { write: Duration::from_secs(2), mode: Mode::Exclusive, ..PoolPolicy::default() };
    let (pool, mut backend) = pool(policy, Speaks::exclusive());
    let mut content = Bytes::from(vec![0; 1 << 20]);
    let (stream, connection) = tokio::join!(open(&pool, "/", &mut content, true, false), backend.accept());
    let mut stream = stream.unwrap();
    let begun = tokio::time::Instant::now();
    assert_eq!(stream.send(&mut content, true).await, Sent::Closed);
    assert!(matches!(stream.recv().await, Incoming::Failed(StreamFailure::Lost)));
    assert_eq!(begun.elapsed().as_secs(), 2);
    drop(connection);
}

#[tokio::test]
async fn a_closed_pool_lets_open_streams_finish_and_takes_no_new_ones() {
    let (pool, mut backend) = pool(PoolPolicy::default(), Speaks::multiplexed(64));
    let (stream, mut connection) = tokio::join!(get(&pool, "/"), backend.accept());
    let mut stream = stream.unwrap();
    pool.close();
    assert_eq!(get(&pool, "/new").await.map(drop), Err(OpenError::Closed));
    assert_eq!(get_alone(&pool, "/new").await.map(drop), Err(OpenError::Closed));
    let (id, _) = connection.request().await;
    connection.until(id, Said::End).await;
    connection.respond(id, "whole");
    connection.settle().await;
    assert_eq!(whole(&mut stream).await.unwrap().1, b"whole");
    connection.until_closed().await;
    assert_eq!(pool.counts().shared, 0);
}

#[tokio::test]
async fn a_closed_pool_keeps_no_exclusive_connection() {
    let (pool, backend) = pool(PoolPolicy { mode: Mode::Exclusive, ..idle() }, Speaks::exclusive());
    backend.echo();
    let mut used = get(&pool, "/used").await.unwrap();
    whole(&mut get(&pool, "/idle").await.unwrap()).await.unwrap();
    assert_eq!((pool.counts().exclusive_idle, pool.counts().exclusive_used), (1, 1));
    pool.close();
    assert_eq!((pool.counts().exclusive_idle, pool.counts().exclusive_used), (0, 1));
    assert_eq!(whole(&mut used).await.unwrap().1, b"/used");
    assert_eq!((pool.counts().exclusive_idle, pool.counts().exclusive_used), (0, 0));
}

#[tokio::test]
async fn those_who_wait_learn_that_the_pool_was_closed() {
    let (pool, mut backend) = pool(PoolPolicy { max: 1, ..PoolPolicy::default() }, Speaks::multiplexed(1));
    let (first, connection) = tokio::join!(get(&pool, "/1"), backend.accept());
    let waiting = {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move { get(&pool, "/2").await.map(drop) })
    };
    settle().await;
    pool.close();
    assert_eq!(waiting.await.unwrap(), Err(OpenError::Closed));
    drop((first, connection));
}

#[tokio::test]
async fn a_dropped_pool_ends_its_connections() {
    let (pool, mut backend) = pool(PoolPolicy::default(), Speaks::multiplexed(64));
    let (stream, mut connection) = tokio::join!(get(&pool, "/"), backend.accept());
    let (id, _) = connection.request().await;
    connection.respond(id, "ok");
    connection.settle().await;
    whole(&mut stream.unwrap()).await.unwrap();
    drop(pool);
    connection.until_closed().await;
}

#[tokio::test]
async fn a_thousand_requests_that_are_given_up_leave_nothing_behind() {
    let (pool, backend) = pool(PoolPolicy { max: 2, ..PoolPolicy::default() }, Speaks::multiplexed(8));
    backend.echo();
    for n in 0..1000 {
        let stream = get(&pool, "/").await.unwrap();
        if n % 3 == 0 {
            settle().await;
        }
        drop(stream);
    }
    whole(&mut get(&pool, "/").await.unwrap()).await.unwrap();
    let counts = pool.counts();
    assert_eq!((counts.exclusive_used, counts.dialing), (0, 0));
    assert!(counts.shared <= 2);
}
