//! How connections and services end: deadlines, drain. The clock is the test's: it moves when nothing else does.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

use super::Running;
use super::calls::Paths;
use super::peer::Peer;
use crate::backend::{Bound, Listen, Policy};
use crate::oap::StreamFailure;

fn patient() -> Policy {
    let long = Duration::from_secs(3600);
    Policy { hello: long, write: long, idle: long, drain: long, ..Policy::default() }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_say_hello_in_time_is_closed() {
    let (service, _ends) = Paths::new();
    let running = Running::tcp(service, Policy { hello: Duration::from_secs(5), ..patient() });
    let began = Instant::now();
    let mut silent = TcpStream::connect(&running.address).await.unwrap();
    assert_eq!(silent.read(&mut [0; 64]).await.unwrap(), 0);
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(5) && took < Duration::from_secs(6), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn who_reads_nothing_of_a_shared_connection_is_closed() {
    let (service, mut ends) = Paths::new();
    // A window that is larger than the socket's buffers.
    let running = Running::unix(service, Policy { write: Duration::from_secs(5), ..patient() });
    let mut peer = Peer::connect(&running.address, Some(4 << 20)).await;
    peer.get("/endless");
    peer.flush().await;
    let began = Instant::now();
    while ends.recv().await.unwrap() != "/endless" {}
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(5) && took < Duration::from_secs(6), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_exclusive_client_may_be_slow() {
    let (service, mut ends) = Paths::new();
    let policy =
        Policy { window: None, write: Duration::from_secs(5), idle: Duration::from_secs(60), ..patient() };
    let running = Running::unix(service, policy);
    let mut peer = Peer::connect(&running.address, None).await;
    peer.get("/endless");
    peer.flush().await;
    let began = Instant::now();
    while ends.recv().await.unwrap() != "/endless" {}
    assert!(began.elapsed() >= Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_told_before_it_is_closed() {
    let (service, _ends) = Paths::new();
    let running = Running::tcp(service, Policy { idle: Duration::from_secs(60), ..patient() });
    let mut peer = running.connect().await;
    // A request that takes longer than the idle time is no idleness.
    let began = Instant::now();
    assert_eq!(peer.ask("GET", "/hello", &[], "").await.body, b"hello");
    while !peer.core.is_draining() {
        peer.turn().await;
    }
    assert!(began.elapsed() >= Duration::from_secs(60) && !peer.at_end);
    while !peer.at_end {
        peer.turn().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_may_take_longer_than_the_idle_time() {
    let (service, _ends) = Paths::new();
    let running = Running::tcp(Arc::clone(&service), Policy { idle: Duration::from_secs(60), ..patient() });
    let mut peer = running.connect().await;
    let id = peer.get("/wait");
    peer.flush().await;
    tokio::time::advance(Duration::from_secs(600)).await;
    service.go.notify_one();
    assert_eq!(peer.answer(id).await.body, b"waited");
}

#[tokio::test]
async fn a_drain_finishes_what_runs_serves_what_crossed_it_and_ends_at_once() {
    let (service, mut ends) = Paths::new();
    let running = Running::tcp(Arc::clone(&service), patient());
    let address = running.address.clone();
    let (mut busy, mut idle) = (running.connect().await, running.connect().await);
    let first = busy.get("/wait");
    assert_eq!(busy.ask("GET", "/hello", &[], "").await.body, b"hello");
    let (task, _folder) = running.shutdown();
    // Told, with nothing open: the client closes.
    while !idle.core.is_draining() {
        idle.turn().await;
    }
    drop(idle);
    assert!(TcpStream::connect(&address).await.is_err(), "nothing more is accepted");
    // This one has not heard yet when it asks again.
    assert!(!busy.core.is_draining());
    let second = busy.get("/hello");
    assert_eq!(busy.answer(second).await.body, b"hello");
    assert!(busy.core.is_draining());
    service.go.notify_one();
    assert_eq!(busy.answer(first).await.body, b"waited");
    drop(busy);
    task.await.unwrap();
    assert_eq!(ends.recv().await.unwrap(), "/hello");
}

#[tokio::test(start_paused = true)]
async fn a_drain_does_not_wait_for_clients_that_stay_nor_for_ever() {
    let (service, _ends) = Paths::new();
    for (path, drain, status) in
        [("/hello", 3600, Some(Ok(()))), ("/hang", 30, Some(Err(StreamFailure::Lost)))]
    {
        let policy = Policy { drain: Duration::from_secs(drain), ..patient() };
        let running = Running::tcp(Arc::clone(&service), policy);
        let mut peer = running.connect().await;
        let id = peer.get(path);
        peer.flush().await;
        let began = Instant::now();
        let (task, _folder) = running.shutdown();
        task.await.unwrap();
        let took = began.elapsed();
        let most = if path == "/hang" { 31 } else { 3 };
        assert!(took <= Duration::from_secs(most), "{path}: {took:?}");
        assert_eq!(peer.answer(id).await.end, status, "{path}");
    }
}

#[tokio::test]
async fn a_socket_goes_with_its_service_and_only_a_dead_one_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listen = Listen::Unix(path.clone());
    // Left by a process that was killed.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let bound = Bound::new(&listen).unwrap();
    assert_eq!(bound.address(), format!("unix:{}", path.display()));
    assert_eq!(Bound::new(&listen).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    assert!(UnixStream::connect(&path).await.is_ok());
    drop(bound);
    assert!(!path.exists());
    std::fs::write(&path, "a file").unwrap();
    assert_eq!(Bound::new(&listen).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
}
