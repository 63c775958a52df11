//! Many streams on one connection.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::io::AsyncReadExt;

use super::backend::{Said, Speaks};
use super::*;
use crate::oap::{Sent, StreamFailure};
use crate::upstream::client::Kind;

#[tokio::test]
async fn sixty_four_streams_share_one_connection() {
    let (pool, backend) = pool(PoolPolicy::default(), Speaks::multiplexed(64));
    let dials = Arc::clone(&backend.dials);
    backend.echo();
    let requests: Vec<_> = (0..64)
        .map(|n| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move {
                let path = format!("/{n}");
                let mut stream = get(&pool, &path).await.unwrap();
                assert_eq!(stream.kind(), Kind::Shared);
                assert_eq!(whole(&mut stream).await.unwrap(), (200, path.into_bytes()));
            })
        })
        .collect();
    for request in requests {
        request.await.unwrap();
    }
    assert_eq!(dials.made.load(std::sync::atomic::Ordering::SeqCst), 1);
    let counts = pool.counts();
    assert_eq!((counts.shared, counts.dialing, counts.exclusive_used), (1, 0, 0));
    assert_eq!((counts.frames.sent.start, counts.frames.received.start), (64, 64));
}

#[tokio::test]
async fn a_reader_that_takes_nothing_stalls_nobody_else() {
    let (pool, mut backend) = pool(PoolPolicy::default(), Speaks::multiplexed(64));
    let (slow, mut connection) = tokio::join!(get(&pool, "/slow"), backend.accept());
    let mut slow = slow.unwrap();
    let (id, _) = connection.request().await;
    let large = vec![7; 1 << 20];
    connection.respond(id, large.clone());
    drop(tokio::spawn(connection.echo()));
    for n in 0..100 {
        let path = format!("/{n}");
        let mut stream = get(&pool, &path).await.unwrap();
        assert_eq!(whole(&mut stream).await.unwrap().1, path.into_bytes());
    }
    // And it loses nothing by that.
    assert_eq!(whole(&mut slow).await.unwrap(), (200, large));
}

#[tokio::test]
async fn a_reader_that_takes_nothing_costs_one_window() {
    const LARGE: usize = 10 << 20;
    let (pool, mut backend) = pool(PoolPolicy::default(), Speaks::multiplexed(64));
    let (slow, mut connection) = tokio::join!(get(&pool, "/slow"), backend.accept());
    let mut slow = slow.unwrap();
    let (id, _) = connection.request().await;
    connection.respond(id, vec![7; LARGE]);
    for _ in 0..10 {
        connection.settle().await;
    }
    let window = usize::try_from(PoolPolicy::default().window).unwrap();
    assert!(LARGE - connection.unsent() <= window);
    // What was taken and has not gone on is no credit either.
    let mut taken = 0;
    while taken < window / 2 {
        taken += usize::try_from(slow.recv().await.credit()).unwrap();
    }
    connection.settle().await;
    assert!(LARGE - connection.unsent() <= window);
    // Half a window that has gone on is.
    slow.passed_on(u32::try_from(taken).unwrap());
    connection.settle().await;
    let more = LARGE - connection.unsent();
    assert!(more > window && more <= window + taken, "{more}");
}

#[tokio::test]
async fn an_upload_without_credit_waits_for_it_and_stalls_nobody_else() {
    let (pool, mut backend) = pool(PoolPolicy::default(), Speaks::multiplexed(64));
    let mut content = Bytes::from(vec![1; 1 << 20]);
    let (upload, mut connection) =
        tokio::join!(open(&pool, "/up", &mut content, true, false), backend.accept());
    let mut upload = upload.unwrap();
    connection.hold_credit = true;
    let serving = tokio::spawn(async move {
        let (mut id, mut taken, mut echoed) = (None, 0, 0);
        loop {
            match connection.next().await {
                Some((on, Said::Head(path))) if path == "/up" => id = Some(on),
                Some((on, Said::Data(n))) if id == Some(on) => taken += n,
                Some((on, Said::End)) if id == Some(on) => break,
                Some((on, Said::End)) => {
                    connection.respond(on, "fast");
                    echoed += 1;
                    if echoed == 10 {
                        // Only now may the upload go on.
                        assert!(taken < 256 * 1024, "{taken} bytes in a window of 256 KiB");
                        connection.hold_credit = false;
                    }
                }
                Some(_) => {}
                None => panic!("the connection ended"),
            }
        }
        connection.respond(id.unwrap(), format!("{taken}"));
        connection.settle().await;
    });
    let other = async {
        for _ in 0..10 {
            let mut stream = get(&pool, "/fast").await.unwrap();
            assert_eq!(whole(&mut stream).await.unwrap().1, b"fast");
        }
    };
    let sending = async { assert_eq!(upload.send(&mut content, true).await, Sent::All) };
    tokio::join!(sending, other);
    assert_eq!(whole(&mut upload).await.unwrap().1, b"1048576");
    serving.await.unwrap();
}

#[tokio::test]
async fn a_dropped_stream_is_given_up_on_the_wire_and_its_place_is_free() {
    let (pool, mut backend) = pool(PoolPolicy { max: 1, ..PoolPolicy::default() }, Speaks::multiplexed(1));
    let (first, mut connection) = tokio::join!(get(&pool, "/1"), backend.accept());
    let (id, _) = connection.request().await;
    connection.until(id, Said::End).await;

    let mut second = pin!(get(&pool, "/2"));
    assert!(poll_once(second.as_mut()).await.is_none(), "there is one place");
    drop(first.unwrap());
    let mut second = second.await.unwrap();

    // oap1 §3: REQ|END 499, before the place is used again.
    assert_eq!(connection.next().await, Some((id, Said::GivenUp)));
    let (id, path) = connection.request().await;
    assert_eq!(path, "/2");
    connection.respond(id, "two");
    connection.settle().await;
    assert_eq!(whole(&mut second).await.unwrap().1, b"two");
    assert_eq!(pool.counts().shared, 1);
}

#[tokio::test]
async fn an_answer_that_ends_early_closes_the_upload() {
    let (pool, mut backend) = pool(PoolPolicy::default(), Speaks::multiplexed(64));
    let mut content = Bytes::from_static(b"some");
    let (stream, mut connection) =
        tokio::join!(open(&pool, "/", &mut content, false, false), backend.accept());
    let mut stream = stream.unwrap();
    let (id, _) = connection.request().await;
    connection.respond(id, "enough");
    connection.settle().await;
    assert_eq!(whole(&mut stream).await.unwrap().1, b"enough");
    assert_eq!(stream.send(&mut Bytes::from_static(b"more"), true).await, Sent::Closed);
    assert!(matches!(stream.recv().await, Incoming::End), "and says so again");
    connection.settle().await;
    assert_eq!(connection.server().open_streams(), 0, "the upload is closed");
}

#[tokio::test]
async fn a_lost_connection_fails_all_its_streams_and_the_next_request_dials() {
    let (pool, mut backend) = pool(PoolPolicy::default(), Speaks::multiplexed(64));
    let (first, mut connection) = tokio::join!(get(&pool, "/1"), backend.accept());
    let mut streams = vec![first.unwrap(), get(&pool, "/2").await.unwrap(), get(&pool, "/3").await.unwrap()];
    for _ in 0..3 {
        drop(connection.request().await);
    }
    drop(connection);
    for stream in &mut streams {
        assert!(matches!(stream.recv().await, Incoming::Failed(StreamFailure::Lost)));
        assert!(stream.wrote_anything());
        assert_eq!(stream.send(&mut Bytes::from_static(b"x"), true).await, Sent::Closed);
    }
    assert_eq!(pool.counts().shared, 0);
    let (again, mut connection) = tokio::join!(get(&pool, "/4"), backend.accept());
    let (id, _) = connection.request().await;
    connection.respond(id, "back");
    connection.settle().await;
    assert_eq!(whole(&mut again.unwrap()).await.unwrap().1, b"back");
    assert_eq!(backend.dials(), 2);
}

#[tokio::test]
async fn a_stream_of_which_nothing_was_written_says_so() {
    let (pool, mut backend) = pool(PoolPolicy::default(), Speaks::multiplexed(64));
    let (first, mut connection) = tokio::join!(get(&pool, "/1"), backend.accept());
    let mut first = first.unwrap();
    drop(connection.request().await);
    // Opened, and the connection is lost before the driver runs.
    let mut second = get(&pool, "/2").await.unwrap();
    assert!(!second.wrote_anything());
    drop(connection);
    assert!(matches!(second.recv().await, Incoming::Failed(StreamFailure::Lost)));
    assert!(!second.wrote_anything());
    assert!(matches!(first.recv().await, Incoming::Failed(StreamFailure::Lost)));
    assert!(first.wrote_anything());
}

#[tokio::test]
async fn what_was_written_of_others_is_not_ones_own() {
    let (pool, mut backend) = pool(PoolPolicy::default(), Speaks::multiplexed(64));
    let mut content = Bytes::from(vec![1; 1 << 20]);
    let (upload, connection) = tokio::join!(open(&pool, "/up", &mut content, false, false), backend.accept());
    let mut upload = upload.unwrap();
    {
        let mut sending = pin!(upload.send(&mut content, false));
        for _ in 0..3 {
            assert!(poll_once(sending.as_mut()).await.is_none(), "pipe and queue are full");
        }
    }
    let mut second = get(&pool, "/2").await.unwrap();
    let mut io = connection.into_io();
    let mut some = vec![0; 10_000];
    for (taken, written) in [(10_000, false), (64 << 10, true)] {
        some.resize(taken, 0);
        io.read_exact(&mut some).await.unwrap();
        settle().await;
        assert_eq!(second.wrote_anything(), written, "with {taken} bytes more");
    }
    drop(io);
    assert!(matches!(second.recv().await, Incoming::Failed(StreamFailure::Lost)));
    assert!(second.wrote_anything());
}

/// Polls once, and lets the others run.
async fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    let polled = future.poll(&mut Context::from_waker(Waker::noop()));
    settle().await;
    match polled {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
