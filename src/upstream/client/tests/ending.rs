//! Connections that the backend ends, by drain or by death, with streams on them.

use bytes::Bytes;

use super::backend::{Said, Speaks};
use super::*;
use crate::oap::StreamFailure;
use crate::upstream::client::Mode;

#[tokio::test]
async fn a_backend_that_dies_costs_what_was_not_whole_and_nothing_else() {
    let (pool, mut backend) = pool(PoolPolicy::default(), Speaks::multiplexed(64));
    let (whole_one, mut connection) = tokio::join!(get(&pool, "/whole"), backend.accept());
    let mut whole_one = whole_one.unwrap();
    let mut half = get(&pool, "/half").await.unwrap();
    let mut none = get(&pool, "/none").await.unwrap();
    let mut upload = open(&pool, "/up", &mut Bytes::from_static(b"some"), false, false).await.unwrap();
    for _ in 0..4 {
        match connection.request().await {
            (id, path) if path == "/whole" => connection.respond(id, vec![1; 60_000]),
            (id, path) if path == "/half" => connection.begin(id, vec![2; 60_000], false),
            _ => {}
        }
    }
    connection.settle().await;
    drop(connection);
    settle().await;
    // Nobody had looked until now.
    assert_eq!(whole(&mut whole_one).await.unwrap(), (200, vec![1; 60_000]));
    for stream in [&mut half, &mut none, &mut upload] {
        assert!(matches!(whole(stream).await, Err(Incoming::Failed(StreamFailure::Lost))));
        assert!(stream.wrote_anything());
    }
    assert_eq!(pool.counts().shared, 0);
}

#[tokio::test]
async fn what_crosses_the_drain_and_is_not_processed_says_so() {
    let (pool, mut backend) = pool(PoolPolicy::default(), Speaks::multiplexed(64));
    let (first, mut connection) = tokio::join!(get(&pool, "/1"), backend.accept());
    let mut first = first.unwrap();
    let (id, _) = connection.request().await;
    connection.server().drain();
    // Opened before the drain has arrived.
    let mut late = get(&pool, "/late").await.unwrap();
    let refusing = async {
        let (late, _) = connection.request().await;
        connection.server().not_processed(late);
        connection.respond(id, "one");
        connection.until_closed().await;
    };
    let answers = async {
        let refused = whole(&mut late).await;
        assert!(matches!(refused, Err(Incoming::Failed(StreamFailure::NotProcessed))));
        assert_eq!(whole(&mut first).await.unwrap().1, b"one");
    };
    tokio::join!(refusing, answers);
    assert_eq!((pool.counts().shared, backend.dials()), (0, 1));
}

#[tokio::test]
async fn a_drained_connection_without_streams_is_closed_at_once() {
    let (pool, mut backend) = pool(PoolPolicy::default(), Speaks::multiplexed(64));
    let (stream, mut connection) = tokio::join!(get(&pool, "/"), backend.accept());
    let (id, _) = connection.request().await;
    connection.respond(id, "ok");
    connection.settle().await;
    whole(&mut stream.unwrap()).await.unwrap();
    connection.server().drain();
    connection.until_closed().await;
    settle().await;
    assert_eq!(pool.counts().shared, 0);
}

#[tokio::test]
async fn an_exclusive_connection_that_drains_finishes_its_stream_and_is_not_used_again() {
    let policy = PoolPolicy { mode: Mode::Exclusive, ..PoolPolicy::default() };
    let (pool, mut backend) = pool(policy, Speaks::exclusive());
    let (stream, mut connection) = tokio::join!(get(&pool, "/"), backend.accept());
    let mut stream = stream.unwrap();
    let serving = async {
        let (id, _) = connection.request().await;
        connection.until(id, Said::End).await;
        connection.server().drain();
        connection.respond(id, "ok");
        connection.until_closed().await;
    };
    let (answer, ()) = tokio::join!(whole(&mut stream), serving);
    assert_eq!(answer.unwrap().1, b"ok");
    assert_eq!((pool.counts().exclusive_idle, pool.counts().exclusive_used), (0, 0));
}

#[tokio::test]
async fn an_exclusive_connection_that_drains_while_idle_is_not_used_again() {
    let policy = PoolPolicy { mode: Mode::Exclusive, ..PoolPolicy::default() };
    let (pool, mut backend) = pool(policy, Speaks::exclusive());
    let (stream, mut connection) = tokio::join!(get(&pool, "/1"), backend.accept());
    let mut stream = stream.unwrap();
    let serving = async {
        let (id, _) = connection.request().await;
        connection.until(id, Said::End).await;
        connection.respond(id, "ok");
        connection.settle().await;
    };
    let (answer, ()) = tokio::join!(whole(&mut stream), serving);
    answer.unwrap();
    assert_eq!(pool.counts().exclusive_idle, 1);
    connection.server().drain();
    connection.settle().await;
    let (second, fresh) = tokio::join!(get(&pool, "/2"), backend.accept());
    assert!(second.is_ok());
    assert_eq!(backend.dials(), 2);
    drop(fresh);
}
