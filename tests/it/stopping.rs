//! SIGTERM: what was accepted is served, and nothing is waited for in vain.

use std::time::Duration;

use gateway_testing::backend::{Backend, Gate, Script};
use gateway_testing::client::{Http1, Http2, Request};
use gateway_testing::process::Signal;
use gateway_testing::{Gateway, PATIENCE, conf};

use crate::BINARY;

#[tokio::test]
async fn requests_under_way_are_served_and_idle_connections_are_not_waited_for() {
    let gate = Gate::default();
    let opens = gate.clone();
    let backend = Backend::oap()
        .script(move |_| Script::new().mark("here").wait(&opens).answer(200, &[], "late"))
        .start();
    let config = conf::minimal().oap_cluster("app", &backend.address()).proxy_route("/", "app");
    let gateway = Gateway::start(BINARY, &config.yaml()).await;
    let idle = Http1::connect(gateway.address("public")).await;
    let mut one = Http1::connect(gateway.address("public")).await;
    let two = Http2::connect(gateway.address("public")).await;
    assert!(one.send(&Request::get("/1").http1_bytes()).await);
    let mut second = two.open(&Request::get("/2")).await;
    second.finish();
    backend.next_request().await;
    backend.next_request().await;
    gateway.signal(Signal::TERM);
    gateway.log_line(|line| line["event"] == "draining").await;
    gate.open();
    one.answer("GET").await.expect(200, b"late");
    second.answer().await.expect(200, b"late");
    // Far below the drain's bound of 30 s: the exit comes with the last request.
    let status = gateway.wait_exit(PATIENCE.min(Duration::from_secs(15))).await;
    assert_eq!(status.code(), Some(0));
    drop(idle);
}

#[tokio::test]
async fn a_drain_is_bounded() {
    let backend = Backend::oap().script(|_| Script::new().mark("here").stall()).start();
    let config = conf::minimal()
        .set("server.drain", "200ms")
        .oap_cluster("app", &backend.address())
        .proxy_route_with("app", "/", "app", ", timeout: 60s");
    let gateway = Gateway::start(BINARY, &config.yaml()).await;
    let mut one = Http1::connect(gateway.address("public")).await;
    assert!(one.send(&Request::get("/1").http1_bytes()).await);
    backend.wait_for_mark("here").await;
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait_exit(Duration::from_secs(15)).await.code(), Some(0));
}
