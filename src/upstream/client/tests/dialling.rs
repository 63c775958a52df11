//! The way to a greeted connection.

use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::backend::Speaks;
use super::*;
use crate::oap::ProtocolError;
use crate::upstream::client::{DialError, Kind, Observer};

#[tokio::test]
async fn many_who_need_the_first_connection_share_one_dial() {
    let (pool, backend) = pool(PoolPolicy::default(), Speaks::multiplexed(64));
    let dials = Arc::clone(&backend.dials);
    backend.echo();
    dials.held.store(true, Ordering::SeqCst);
    let requests = requests(&pool, 50);
    settle().await;
    assert_eq!((dials.made.load(Ordering::SeqCst), pool.counts().dialing), (1, 1));
    dials.released.notify_one();
    for request in requests {
        request.await.unwrap().unwrap();
    }
    assert_eq!(dials.made.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_dial_that_fails_tells_all_who_waited() {
    let (pool, backend) = pool(PoolPolicy::default(), Speaks::multiplexed(64));
    let dials = Arc::clone(&backend.dials);
    backend.echo();
    dials.held.store(true, Ordering::SeqCst);
    dials.refused.store(true, Ordering::SeqCst);
    let waiting = requests(&pool, 50);
    settle().await;
    dials.held.store(false, Ordering::SeqCst);
    dials.released.notify_one();
    for request in waiting {
        assert_eq!(request.await.unwrap(), Err(OpenError::Connect(DialError::new("refused"))));
    }
    assert_eq!((dials.made.load(Ordering::SeqCst), pool.counts().dialing), (1, 0));

    dials.refused.store(false, Ordering::SeqCst);
    for request in requests(&pool, 5) {
        request.await.unwrap().unwrap();
    }
    assert_eq!(dials.made.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_dial_outlives_the_request_that_began_it() {
    let (pool, backend) = pool(PoolPolicy::default(), Speaks::multiplexed(64));
    let dials = Arc::clone(&backend.dials);
    backend.echo();
    dials.held.store(true, Ordering::SeqCst);
    let requests = requests(&pool, 2);
    settle().await;
    requests[0].abort();
    settle().await;
    dials.released.notify_one();
    let [_, second]: [_; 2] = requests.try_into().unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(dials.made.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_exclusive_dial_goes_with_its_request() {
    let (pool, backend) = pool(PoolPolicy::default(), Speaks::exclusive());
    let dials = Arc::clone(&backend.dials);
    backend.echo();
    dials.held.store(true, Ordering::SeqCst);
    let request = {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move { get_alone(&pool, "/").await.map(drop) })
    };
    settle().await;
    assert_eq!(pool.counts().dialing, 1);
    request.abort();
    settle().await;
    assert_eq!(pool.counts().dialing, 0);
}

#[tokio::test(start_paused = true)]
async fn a_dial_takes_no_longer_than_it_may() {
    let policy = PoolPolicy { connect: Duration::from_millis(300), ..PoolPolicy::default() };
    let (pool, backend) = pool(policy, Speaks::multiplexed(64));
    backend.dials.held.store(true, Ordering::SeqCst);
    let begun = tokio::time::Instant::now();
    assert_eq!(get(&pool, "/").await.map(drop), Err(OpenError::Timeout));
    assert_eq!(begun.elapsed().as_millis(), 300);
    assert_eq!(get_alone(&pool, "/").await.map(drop), Err(OpenError::Timeout));
    assert_eq!(pool.counts().dialing, 0);
}

#[tokio::test(start_paused = true)]
async fn a_hello_that_is_not_answered_in_time_is_a_bad_one() {
    let policy = PoolPolicy { hello: Duration::from_millis(300), ..PoolPolicy::default() };
    let (dialer, mut backend) = backend::backend(Speaks::multiplexed(64));
    let seen = Arc::new(Seen::default());
    let pool = Pool::observed(policy, dialer, Arc::clone(&seen) as Arc<dyn Observer>);
    let (opened, silent) = tokio::join!(get(&pool, "/"), backend.raw());
    assert!(matches!(opened.map(drop), Err(OpenError::Protocol(ProtocolError::BadHello(_)))));
    drop(silent);
    assert_eq!(*seen.0.lock(), ["bad_hello"]);
    assert_eq!(pool.counts().dialing, 0);
}

#[tokio::test]
async fn a_peer_that_leaves_or_babbles_instead_of_greeting_is_refused() {
    for (words, reason) in
        [(&b""[..], "bad_hello"), (b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", "")]
    {
        let (dialer, mut backend) = backend::backend(Speaks::multiplexed(64));
        let seen = Arc::new(Seen::default());
        let pool = Pool::observed(PoolPolicy::default(), dialer, Arc::clone(&seen) as Arc<dyn Observer>);
        let babbling = async {
            let mut io = backend.raw().await;
            let mut hello = [0; 38];
            io.read_exact(&mut hello).await.unwrap();
            io.write_all(words).await.unwrap();
        };
        let (opened, ()) = tokio::join!(get(&pool, "/"), babbling);
        assert!(matches!(opened.map(drop), Err(OpenError::Protocol(_))));
        let seen = seen.0.lock();
        assert!(seen.len() == 1 && seen[0].contains(reason), "{seen:?}");
    }
}

#[tokio::test]
async fn a_peer_that_breaks_the_protocol_is_reported_once_and_fails_its_streams() {
    let (dialer, mut backend) = backend::backend(Speaks::multiplexed(64));
    let seen = Arc::new(Seen::default());
    let pool = Pool::observed(PoolPolicy::default(), dialer, Arc::clone(&seen) as Arc<dyn Observer>);
    let (first, mut connection) = tokio::join!(get(&pool, "/1"), backend.accept());
    let (mut first, mut second) = (first.unwrap(), get(&pool, "/2").await.unwrap());
    connection.settle().await;
    let mut io = connection.into_io();
    io.write_all(&[0xff; 64]).await.unwrap();
    assert!(matches!(first.recv().await, Incoming::Failed(_)));
    assert!(matches!(second.recv().await, Incoming::Failed(_)));
    settle().await;
    assert_eq!(*seen.0.lock(), ["opened", "frame_oversize", "closed"]);
}

/// What an observer was told, in order.
#[derive(Default)]
struct Seen(Mutex<Vec<&'static str>>);

impl Observer for Seen {
    fn on_connection_opened(&self, _kind: Kind) {
        self.0.lock().push("opened");
    }

    fn on_connection_closed(&self, _kind: Kind) {
        self.0.lock().push("closed");
    }

    fn on_protocol_error(&self, error: &ProtocolError) {
        self.0.lock().push(error.reason());
    }
}

fn requests(pool: &Arc<Pool<Dialer>>, n: usize) -> Vec<tokio::task::JoinHandle<Result<(), OpenError>>> {
    let request = |n| {
        let pool = Arc::clone(pool);
        tokio::spawn(async move {
            whole(&mut get(&pool, &format!("/{n}")).await?).await.unwrap();
            Ok(())
        })
    };
    (0..n).map(request).collect()
}
