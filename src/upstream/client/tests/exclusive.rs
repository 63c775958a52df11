//! One stream at a time on a connection.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;

use super::backend::{Said, Speaks};
use super::*;
use crate::oap::{Sent, StreamFailure};
use crate::upstream::client::{Kind, Mode};

fn alone() -> PoolPolicy {
    PoolPolicy { mode: Mode::Exclusive, ..PoolPolicy::default() }
}

#[tokio::test]
async fn a_connection_is_reused_for_the_next_stream_with_one_hello() {
    let (pool, backend) = pool(alone(), Speaks::exclusive());
    let dials = Arc::clone(&backend.dials);
    backend.echo();
    for n in 0..10 {
        let path = format!("/{n}");
        let mut stream = get(&pool, &path).await.unwrap();
        assert_eq!(stream.kind(), Kind::Exclusive);
        assert_eq!(whole(&mut stream).await.unwrap(), (200, path.into_bytes()));
        assert!(stream.wrote_anything());
    }
    assert_eq!(dials.made.load(Ordering::SeqCst), 1);
    let counts = pool.counts();
    assert_eq!((counts.exclusive_idle, counts.exclusive_used, counts.shared), (1, 0, 0));
    assert_eq!(
        (counts.frames.sent.hello, counts.frames.sent.start, counts.frames.received.start),
        (1, 10, 10)
    );
}

#[tokio::test]
async fn a_peer_that_declines_to_share_is_offered_it_once() {
    let (pool, backend) = pool(PoolPolicy::default(), Speaks::exclusive());
    let dials = Arc::clone(&backend.dials);
    backend.echo();
    let mut streams = Vec::new();
    for n in 0..4 {
        streams.push(get(&pool, &format!("/{n}")).await.unwrap());
    }
    assert_eq!(dials.made.load(Ordering::SeqCst), 4);
    assert_eq!(pool.counts().exclusive_used, 4);
    for stream in &mut streams {
        whole(stream).await.unwrap();
    }
    assert_eq!(pool.counts().exclusive_idle, 4);
}

#[tokio::test]
async fn a_peer_that_shares_can_be_asked_for_a_connection_of_ones_own() {
    let (pool, backend) = pool(PoolPolicy { max: 2, ..PoolPolicy::default() }, Speaks::multiplexed(64));
    backend.echo();
    let mut shared = get(&pool, "/shared").await.unwrap();
    let mut own = get_alone(&pool, "/own").await.unwrap();
    // There may be no third: sharing is better than waiting.
    let mut third = get_alone(&pool, "/third").await.unwrap();
    assert_eq!((shared.kind(), own.kind(), third.kind()), (Kind::Shared, Kind::Exclusive, Kind::Shared));
    for (stream, path) in [(&mut shared, "/shared"), (&mut own, "/own"), (&mut third, "/third")] {
        assert_eq!(whole(stream).await.unwrap().1, path.as_bytes());
    }
}

#[tokio::test]
async fn head_and_first_piece_leave_in_one_write() {
    let (pool, mut backend) = pool(alone(), Speaks::exclusive());
    let mut nothing = Bytes::new();
    let (stream, mut connection) =
        tokio::join!(open(&pool, "/", &mut nothing, false, false), backend.accept());
    let mut stream = stream.unwrap();
    let hello = backend.writes.load(Ordering::SeqCst);
    // A large piece is not copied: it is its own slice of the one write.
    let mut piece = Bytes::from(vec![3; 16 * 1024]);
    let answer = async {
        assert_eq!(stream.send(&mut piece, true).await, Sent::All);
        assert_eq!(backend.writes.load(Ordering::SeqCst) - hello, 1);
        whole(&mut stream).await.unwrap()
    };
    let serving = async {
        let (id, _) = connection.request().await;
        connection.until(id, Said::End).await;
        connection.respond(id, "ok");
        connection.settle().await;
    };
    assert_eq!(tokio::join!(answer, serving).0.1, b"ok");
}

#[tokio::test]
async fn a_head_whose_body_does_not_come_leaves_alone() {
    let (pool, mut backend) = pool(alone(), Speaks::exclusive());
    let mut nothing = Bytes::new();
    let (stream, mut connection) =
        tokio::join!(open(&pool, "/", &mut nothing, false, false), backend.accept());
    let mut stream = stream.unwrap();
    assert!(!stream.wrote_anything());
    let serving = async {
        let (id, _) = connection.request().await;
        connection.respond(id, "early");
        connection.settle().await;
    };
    let (answer, ()) = tokio::join!(whole(&mut stream), serving);
    assert_eq!(answer.unwrap().1, b"early");
    // Our side was open: oap1 §3, the connection is closed and not reused.
    assert_eq!(connection.next().await.map(|(_, said)| said), None);
    assert_eq!((pool.counts().exclusive_idle, pool.counts().exclusive_used), (0, 0));
}

#[tokio::test]
async fn a_large_body_crosses_both_ways() {
    let (pool, mut backend) = pool(alone(), Speaks::exclusive());
    let mut content = Bytes::from(vec![5; 3 << 20]);
    let (stream, mut connection) =
        tokio::join!(open(&pool, "/", &mut content, true, false), backend.accept());
    let mut stream = stream.unwrap();
    let serving = async {
        let (id, _) = connection.request().await;
        let mut taken = 0;
        while let Some((_, said)) = connection.next().await {
            match said {
                Said::Data(n) => taken += n,
                _ => break,
            }
        }
        assert_eq!(taken, 3 << 20);
        connection.respond(id, vec![6; 3 << 20]);
        drop(tokio::spawn(connection.echo()));
    };
    let exchange = async {
        assert_eq!(stream.send(&mut content, true).await, Sent::All);
        whole(&mut stream).await.unwrap().1.len()
    };
    assert_eq!(tokio::join!(exchange, serving).0, 3 << 20);
    assert_eq!(pool.counts().exclusive_idle, 1);
}

#[tokio::test]
async fn an_upload_that_was_cut_by_its_answer_closes_the_connection_even_when_its_499_has_left() {
    let (pool, mut backend) = pool(alone(), Speaks::exclusive());
    let mut some = Bytes::from_static(b"some");
    let (stream, mut connection) = tokio::join!(open(&pool, "/", &mut some, false, false), backend.accept());
    let mut stream = stream.unwrap();
    let serving = async {
        let (id, _) = connection.request().await;
        connection.respond(id, "enough");
        connection.settle().await;
    };
    let (head, ()) = tokio::join!(stream.recv(), serving);
    assert!(matches!(head, Incoming::Head { .. }));
    // This writes what closes our side, so that nothing is left over when the answer's end is looked at.
    assert_eq!(stream.send(&mut Bytes::from_static(b"more"), true).await, Sent::Closed);
    while !matches!(stream.recv().await, Incoming::End) {}
    let counts = pool.counts();
    assert_eq!((counts.exclusive_idle, counts.exclusive_used), (0, 0));
}

#[tokio::test]
async fn a_dropped_stream_closes_its_connection() {
    let (pool, mut backend) = pool(alone(), Speaks::exclusive());
    let (stream, mut connection) = tokio::join!(get(&pool, "/"), backend.accept());
    let mut stream = stream.unwrap();
    let waiting = async { assert!(matches!(connection.request().await.1.as_str(), "/")) };
    tokio::select! {
        _ = stream.recv() => panic!("nothing was answered"),
        () = waiting => {}
    }
    drop(stream);
    while connection.next().await.is_some() {}
    assert_eq!(pool.counts().exclusive_used, 0);
}

#[tokio::test]
async fn an_idle_connection_that_the_peer_closed_is_not_used() {
    let (pool, mut backend) = pool(alone(), Speaks::exclusive());
    exchange(&pool, &mut backend, "/1").await;
    settle().await;
    assert_eq!(pool.counts().exclusive_idle, 1);
    exchange(&pool, &mut backend, "/2").await;
    assert_eq!(backend.dials(), 2);
}

#[tokio::test]
async fn who_lost_a_connection_is_given_none_that_was_idle() {
    let (pool, backend) = pool(PoolPolicy { max: 2, ..alone() }, Speaks::exclusive());
    let dials = Arc::clone(&backend.dials);
    backend.echo();
    let mut streams = [get(&pool, "/1").await.unwrap(), get(&pool, "/2").await.unwrap()];
    for stream in &mut streams {
        whole(stream).await.unwrap();
    }
    assert_eq!(pool.counts().exclusive_idle, 2);
    let head = head("GET", "/3");
    let start = StartRequest { head: &head, capability: b"", tenant_id: 0, is_head: false };
    // All places are taken by idle ones: the oldest gives way.
    let wish = Wish { exclusive: false, fresh: true };
    let mut stream = pool.open(&start, &mut Bytes::new(), true, wish).await.unwrap();
    assert_eq!(dials.made.load(Ordering::SeqCst), 3);
    assert_eq!(whole(&mut stream).await.unwrap().1, b"/3");
    assert_eq!(pool.counts().exclusive_idle, 2);
}

#[tokio::test]
async fn an_idle_connection_with_stray_bytes_is_not_used() {
    let (pool, mut backend) = pool(alone(), Speaks::exclusive());
    let connection = {
        let (stream, mut connection) = tokio::join!(get(&pool, "/1"), backend.accept());
        serve(&mut stream.unwrap(), &mut connection).await;
        connection
    };
    let mut io = connection.into_io();
    io.write_all(b"stray").await.unwrap();
    exchange(&pool, &mut backend, "/2").await;
    assert_eq!(backend.dials(), 2);
}

#[tokio::test]
async fn a_connection_that_ends_inside_an_answer_fails_the_stream() {
    let (pool, mut backend) = pool(alone(), Speaks::exclusive());
    let (stream, mut connection) = tokio::join!(get(&pool, "/"), backend.accept());
    let mut stream = stream.unwrap();
    let serving = async move {
        let (id, _) = connection.request().await;
        connection.begin(id, "half", false);
        connection.settle().await;
    };
    let (answer, ()) = tokio::join!(whole(&mut stream), serving);
    assert!(matches!(answer, Err(Incoming::Failed(StreamFailure::Lost))));
    assert!(stream.wrote_anything());
    assert_eq!(pool.counts().exclusive_idle, 0);
}

/// One request on the next connection, which the backend closes after it.
async fn exchange(pool: &Arc<Pool<Dialer>>, backend: &mut Backend, path: &str) {
    let (stream, mut connection) = tokio::join!(get(pool, path), backend.accept());
    serve(&mut stream.unwrap(), &mut connection).await;
}

async fn serve(stream: &mut Stream<Pipe>, connection: &mut backend::Connection) {
    let serving = async {
        let (id, _) = connection.request().await;
        connection.until(id, Said::End).await;
        connection.respond(id, "ok");
        connection.settle().await;
    };
    let (answer, ()) = tokio::join!(whole(stream), serving);
    assert_eq!(answer.unwrap().1, b"ok");
}
