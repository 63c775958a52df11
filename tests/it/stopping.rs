//! SIGTERM: what was accepted is served, and nothing is waited for in vain.

use std::time::Duration;

use gateway_testing::backend::{Backend, Gate, Script};
use gateway_testing::client::{Http1, Http2, Request};
use gateway_testing::net::Address;
use gateway_testing::origin::Origin;
use gateway_testing::process::Signal;
use gateway_testing::{Gateway, PATIENCE, conf, pattern};

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

/// A client that asks one thing after another on a connection until the gateway closes it between two: how many answers
/// it had. Panics at an answer that is cut.
async fn ask_until_closed(address: Address, path: &'static str) -> usize {
    let mut client = Http1::connect(address).await;
    let mut answers = 0;
    loop {
        if !client.send(&Request::get(path).http1_bytes()).await {
            return answers;
        }
        match client.answer_head("GET").await {
            Ok(head) => {
                let closes = head.fields.iter().any(|(name, value)| name == "connection" && value == "close");
                let answer = client.rest(head).await;
                answer.expect(200, &pattern(2));
                answers += 1;
                if closes {
                    return answers;
                }
            }
            Err(why) => panic!("a request was taken and not answered, after {answers}: {why}"),
        }
    }
}

/// The same over HTTP/2, several at a time.
async fn ask_streams_until_closed(address: Address, path: &'static str) -> usize {
    let client = Http2::connect(address).await;
    let mut answers = 0;
    loop {
        let Some(answer) = client.try_request(&Request::get(path)).await else { return answers };
        answer.expect(200, &pattern(2));
        answers += 1;
    }
}

#[tokio::test]
async fn under_a_load_no_request_that_was_taken_is_lost() {
    let backend = Backend::oap().quiet().script(|_| Script::whole(200, &[], pattern(2))).start();
    let origin = Origin::http1(1);
    let config = conf::minimal()
        .oap_cluster("app", &backend.address())
        .http1_cluster("plain", &origin.address().into())
        .proxy_route("/app/", "app")
        .proxy_route("/bytes/", "plain")
        .set("danger_ok", "[limits.rate]")
        .set("limits.rate", "1000000/s")
        .set("limits.burst", "1000000")
        .set("limits.per_address", "{ rate: none }")
        .set("log.access", "off");
    let gateway = Gateway::start(BINARY, &config.yaml()).await;
    let mut clients = tokio::task::JoinSet::new();
    for path in ["/app/x", "/bytes/2"].repeat(16) {
        clients.spawn(ask_until_closed(gateway.address("public"), path));
        clients.spawn(ask_streams_until_closed(gateway.address("public"), path));
    }
    gateway.metric_becomes("http_requests_total{status=\"200\"}", |n| n > 500.0).await;
    gateway.signal(Signal::TERM);
    let mut answers = 0;
    while let Some(ended) = clients.join_next().await {
        answers += ended.unwrap();
    }
    assert!(answers > 500, "{answers}");
    let status = gateway.wait_exit(PATIENCE.min(Duration::from_secs(15))).await;
    assert_eq!(status.code(), Some(0), "{}", gateway.log_text());
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
