//! The active check: a connection of its own, HELLO, and a GET where one is asked for.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::backend::{Said, Speaks};
use super::*;
use crate::upstream::client::{CheckError, check};

fn unwell(why: &str) -> Result<(), CheckError> {
    Err(CheckError::Unwell(why.to_owned()))
}

fn impatient() -> PoolPolicy {
    PoolPolicy {
        connect: Duration::from_millis(300),
        hello: Duration::from_millis(700),
        ..PoolPolicy::default()
    }
}

#[tokio::test]
async fn without_a_path_hello_is_enough_and_the_connection_is_closed() {
    for speaks in [Speaks::multiplexed(64), Speaks::exclusive()] {
        let (dialer, mut backend) = backend::backend(speaks);
        for n in 1..=3 {
            let policy = PoolPolicy::default();
            let (checked, mut connection) = tokio::join!(check(&dialer, &policy, None), backend.accept());
            assert_eq!(checked, Ok(()));
            assert_eq!(connection.next().await, None, "nothing but HELLO was said");
            assert_eq!(backend.dials(), n, "each check dials anew");
        }
    }
}

#[tokio::test]
async fn with_a_path_the_answer_decides() {
    let no = unwell;
    for (status, want) in [
        (200, Ok(())),
        (204, Ok(())),
        (302, Ok(())),
        (400, no("answered 400")),
        (404, no("answered 404")),
        (500, no("answered 500")),
        (503, no("answered 503")),
    ] {
        let (dialer, mut backend) = backend::backend(Speaks::multiplexed(64));
        let policy = PoolPolicy::default();
        let serving = async {
            let mut connection = backend.accept().await;
            let (id, path) = connection.request().await;
            assert_eq!(path, "/health?deep");
            connection.until(id, Said::End).await;
            connection.answer(id, status, "", true);
            connection.until_closed().await;
        };
        let (checked, ()) = tokio::join!(check(&dialer, &policy, Some("/health?deep")), serving);
        assert_eq!(checked, want, "{status}");
    }
}

#[tokio::test]
async fn an_answer_of_any_length_is_taken_to_its_end() {
    let (dialer, mut backend) = backend::backend(Speaks::multiplexed(64));
    let policy = PoolPolicy::default();
    let serving = async {
        let mut connection = backend.accept().await;
        let (id, _) = connection.request().await;
        connection.respond(id, vec![1; 3 << 20]);
        connection.until_closed().await;
    };
    let (checked, ()) = tokio::join!(check(&dialer, &policy, Some("/")), serving);
    assert_eq!(checked, Ok(()));
}

#[tokio::test]
async fn half_an_answer_is_none() {
    let (dialer, mut backend) = backend::backend(Speaks::multiplexed(64));
    let policy = PoolPolicy::default();
    let serving = async {
        let mut connection = backend.accept().await;
        let (id, _) = connection.request().await;
        connection.begin(id, "half", false);
        connection.settle().await;
        drop(connection);
    };
    let (checked, ()) = tokio::join!(check(&dialer, &policy, Some("/")), serving);
    assert_eq!(checked, unwell("closed before its answer was whole"));
}

#[tokio::test]
async fn what_cannot_be_reached_or_does_not_greet_is_not_well() {
    let policy = PoolPolicy::default();
    let (dialer, mut backend) = backend::backend(Speaks::multiplexed(64));
    backend.dials.refused.store(true, Ordering::SeqCst);
    assert_eq!(check(&dialer, &policy, None).await, unwell("connect: refused"));
    backend.dials.refused.store(false, Ordering::SeqCst);
    for words in [&b""[..], b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"] {
        let babbling = async {
            let mut io = backend.raw().await;
            io.read_exact(&mut [0; 38]).await.unwrap();
            io.write_all(words).await.unwrap();
        };
        let (checked, ()) = tokio::join!(check(&dialer, &policy, None), babbling);
        assert!(checked.unwrap_err().to_string().starts_with("hello: "));
    }
}

#[tokio::test(start_paused = true)]
async fn dial_and_hello_have_their_own_bounds() {
    let (dialer, mut backend) = backend::backend(Speaks::multiplexed(64));
    backend.dials.held.store(true, Ordering::SeqCst);
    let begun = tokio::time::Instant::now();
    assert_eq!(check(&dialer, &impatient(), None).await, unwell("connect: no answer in time"));
    assert_eq!(begun.elapsed().as_millis(), 300);
    backend.dials.held.store(false, Ordering::SeqCst);
    let policy = impatient();
    let (checked, silent) = tokio::join!(check(&dialer, &policy, None), backend.raw());
    assert!(checked.unwrap_err().to_string().starts_with("hello: "));
    assert_eq!(begun.elapsed().as_millis(), 1000);
    drop(silent);
}

#[tokio::test(start_paused = true)]
async fn a_silent_answer_is_bounded_by_the_caller_and_leaves_nothing() {
    let (dialer, mut backend) = backend::backend(Speaks::multiplexed(64));
    let policy = PoolPolicy::default();
    let bounded = tokio::time::timeout(Duration::from_secs(1), check(&dialer, &policy, Some("/")));
    let serving = async {
        let mut connection = backend.accept().await;
        drop(connection.request().await);
        connection.until_closed().await;
    };
    let (checked, ()) = tokio::join!(bounded, serving);
    assert!(checked.is_err());
}
