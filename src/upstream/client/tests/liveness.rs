//! Peers that are silent, deaf, or gone between requests.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;

use super::backend::{Said, Speaks};
use super::*;
use crate::oap::{Sent, StreamFailure};
use crate::upstream::client::Mode;

const HELLO: Duration = Duration::from_secs(1);
const WRITE: Duration = Duration::from_secs(5);
/// More than the backend reads while it answers.
const LARGE: usize = 16 << 20;

fn policy() -> PoolPolicy {
    PoolPolicy { hello: HELLO, write: WRITE, ..PoolPolicy::default() }
}

async fn pass(time: Duration) {
    settle().await;
    tokio::time::advance(time + Duration::from_millis(1)).await;
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_was_silent_for_long_is_asked_for_a_sign_of_life_and_kept_if_it_gives_one() {
    let (pool, mut backend) = pool(policy(), Speaks::multiplexed(64));
    let (stream, mut connection) = tokio::join!(get(&pool, "/"), backend.accept());
    drop(connection.request().await);
    pass(HELLO).await;
    drop(stream);
    connection.settle().await;
    pass(WRITE).await;
    let counts = pool.counts();
    assert_eq!((counts.frames.sent.hello, counts.frames.received.hello, counts.shared), (2, 2, 1));
    // And asked again the next time.
    drop(get(&pool, "/").await.map(Some));
    let stream = get(&pool, "/").await;
    pass(HELLO).await;
    drop(stream);
    connection.settle().await;
    assert_eq!(pool.counts().frames.received.hello, 3);
    assert_eq!(backend.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_gives_no_sign_of_life_is_left() {
    let (pool, mut backend) = pool(policy(), Speaks::multiplexed(64));
    let (first, mut connection) = tokio::join!(get(&pool, "/1"), backend.accept());
    let mut second = get(&pool, "/2").await.unwrap();
    drop(connection.request().await);
    pass(HELLO).await;
    drop(first);
    pass(WRITE - Duration::from_millis(10)).await;
    assert_eq!(pool.counts().shared, 1, "it has some time for that");
    pass(Duration::from_millis(10)).await;
    assert_eq!(pool.counts().shared, 0);
    assert!(matches!(second.recv().await, Incoming::Failed(StreamFailure::Lost)));
    backend.echo();
    assert_eq!(whole(&mut get(&pool, "/3").await.unwrap()).await.unwrap().1, b"/3");
    drop(connection);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_never_heard_is_left_however_soon_its_requests_are_given_up() {
    let (pool, mut backend) = pool(policy(), Speaks::multiplexed(64));
    let (first, connection) = tokio::join!(get(&pool, "/"), backend.accept());
    drop(first);
    for _ in 0..3 {
        let stream = get(&pool, "/").await;
        pass(HELLO / 2).await;
        drop(stream);
    }
    pass(WRITE).await;
    assert_eq!(pool.counts().shared, 0);
    drop(connection);
}

#[tokio::test(start_paused = true)]
async fn whatever_a_peer_says_is_a_sign_of_life() {
    let (pool, mut backend) = pool(policy(), Speaks::multiplexed(64));
    let (first, mut connection) = tokio::join!(get(&pool, "/1"), backend.accept());
    let mut second = get(&pool, "/2").await.unwrap();
    drop(connection.request().await);
    let (id, _) = connection.request().await;
    // Takes note of the requests' ends, so that nothing is left to be read but what follows.
    connection.until(id, Said::End).await;
    pass(HELLO).await;
    drop(first);
    pass(WRITE / 2).await;
    connection.begin(id, "half", false);
    connection.settle().await;
    pass(WRITE).await;
    assert_eq!(pool.counts().shared, 1);
    connection.server().send(id, &mut Bytes::new(), true);
    connection.settle().await;
    assert_eq!(whole(&mut second).await.unwrap().1, b"half");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_soon_asks_nothing() {
    let (pool, mut backend) = pool(policy(), Speaks::multiplexed(64));
    let (stream, mut connection) = tokio::join!(get(&pool, "/"), backend.accept());
    drop(stream);
    connection.settle().await;
    // The connection was idle for long, but the request was not there for long.
    pass(HELLO * 9).await;
    drop(get(&pool, "/").await.map(Some));
    connection.settle().await;
    assert_eq!(pool.counts().frames.sent.hello, 1);
}

#[tokio::test]
async fn a_shared_connection_that_the_peer_closed_while_it_was_idle_is_not_used() {
    let (pool, mut backend) = pool(policy(), Speaks::multiplexed(64));
    for n in 1..=5 {
        let (stream, mut connection) = tokio::join!(get(&pool, "/"), backend.accept());
        let (id, _) = connection.request().await;
        connection.respond(id, "ok");
        connection.settle().await;
        assert_eq!(whole(&mut stream.unwrap()).await.unwrap().1, b"ok");
        drop(connection);
        settle().await;
        assert_eq!((pool.counts().shared, backend.dials()), (0, n));
    }
}

#[tokio::test]
async fn answers_that_came_before_a_shared_connection_went_deaf_are_taken() {
    let (pool, mut backend) = pool(policy(), Speaks::multiplexed(64));
    let (first, mut connection) = tokio::join!(get(&pool, "/1"), backend.accept());
    let mut first = first.unwrap();
    let (id, _) = connection.request().await;
    connection.until(id, Said::End).await;
    backend.dials.deaf.store(true, Ordering::SeqCst);
    let mut second = get(&pool, "/2").await.unwrap();
    settle().await;
    connection.respond(id, vec![1; 100_000]);
    let answer = async { whole(&mut first).await.unwrap().1.len() };
    assert_eq!(tokio::join!(answer, connection.settle()).0, 100_000);
    drop(connection);
    assert!(matches!(second.recv().await, Incoming::Failed(StreamFailure::Lost)));
    assert!(first.wrote_anything() && !second.wrote_anything());
    backend.dials.deaf.store(false, Ordering::SeqCst);
    backend.echo();
    assert_eq!(whole(&mut get(&pool, "/3").await.unwrap()).await.unwrap().1, b"/3");
}

#[tokio::test(start_paused = true)]
async fn a_deaf_connection_is_listened_to_for_a_while_only_and_takes_no_new_stream() {
    let (pool, mut backend) = pool(policy(), Speaks::multiplexed(64));
    let (first, mut connection) = tokio::join!(get(&pool, "/1"), backend.accept());
    let mut first = first.unwrap();
    drop(connection.request().await);
    backend.dials.deaf.store(true, Ordering::SeqCst);
    let second = get(&pool, "/2").await.unwrap();
    settle().await;
    backend.dials.deaf.store(false, Ordering::SeqCst);
    let (third, fresh) = tokio::join!(get(&pool, "/3"), backend.accept());
    assert_eq!(backend.dials(), 2);
    pass(WRITE).await;
    assert!(matches!(first.recv().await, Incoming::Failed(StreamFailure::Lost)));
    assert_eq!(pool.counts().shared, 1);
    drop((second, third, connection, fresh));
}

#[tokio::test]
async fn an_early_answer_is_taken_though_the_upload_met_a_closed_connection() {
    let alone = PoolPolicy { mode: Mode::Exclusive, ..policy() };
    let (pool, mut backend) = pool(alone, Speaks::exclusive());
    let mut content = Bytes::from(vec![1; LARGE]);
    let (stream, mut connection) =
        tokio::join!(open(&pool, "/", &mut content, true, false), backend.accept());
    let mut stream = stream.unwrap();
    let serving = async {
        let (id, _) = connection.request().await;
        connection.answer(id, 413, "too much", true);
        connection.settle().await;
        drop(connection);
    };
    let (sent, ()) = tokio::join!(stream.send(&mut content, true), serving);
    assert_eq!(sent, Sent::Closed);
    assert_eq!(whole(&mut stream).await.unwrap(), (413, b"too much".to_vec()));
    assert_eq!((pool.counts().exclusive_idle, pool.counts().exclusive_used), (0, 0));
}

#[tokio::test]
async fn without_an_answer_a_closed_connection_is_a_lost_one() {
    for mode in [Mode::Auto, Mode::Exclusive] {
        let speaks = if mode == Mode::Auto { Speaks::multiplexed(64) } else { Speaks::exclusive() };
        let (pool, mut backend) = pool(PoolPolicy { mode, ..policy() }, speaks);
        let mut content = Bytes::from(vec![1; LARGE]);
        let (stream, mut connection) =
            tokio::join!(open(&pool, "/", &mut content, true, false), backend.accept());
        let mut stream = stream.unwrap();
        let serving = async {
            let (id, _) = connection.request().await;
            connection.begin(id, "half", false);
            connection.settle().await;
            drop(connection);
        };
        let (sent, ()) = tokio::join!(stream.send(&mut content, true), serving);
        assert_eq!(sent, Sent::Closed);
        assert!(matches!(whole(&mut stream).await, Err(Incoming::Failed(StreamFailure::Lost))));
        assert!(stream.wrote_anything());
    }
}
