//! SIGTERM: what was accepted is served, and nothing is waited for in vain.

use std::time::Duration;

use gateway_testing::backend::{Backend, Gate, Received, Script};
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
/// it had. Panics at an answer that is cut, and at a request without one: a client that asks again as soon as it has its
/// answer loses nothing to a stop, although HTTP/1.1 would allow that (RFC 9112 §9.3.1: a connection may be closed while a
/// request is on its way).
async fn ask_until_closed(address: Address, request: Request, status: u16) -> usize {
    let mut client = Http1::connect(address).await;
    let mut answers = 0;
    loop {
        if !client.send(&request.http1_bytes()).await {
            panic!("closed without a word, after {answers}");
        }
        match client.answer_head(&request.method).await {
            Ok(head) => {
                let closes = head.fields.iter().any(|(name, value)| name == "connection" && value == "close");
                let answer = client.rest(head).await;
                assert!(answer.body.complete && answer.status == status, "{answer:?}");
                answers += 1;
                if closes {
                    return answers;
                }
            }
            Err(why) => panic!("a request was taken and not answered, after {answers}: {why}"),
        }
    }
}

/// The same over HTTP/2.
async fn ask_streams_until_closed(address: Address, request: Request, status: u16) -> usize {
    let client = Http2::connect(address).await;
    let mut answers = 0;
    loop {
        let Some(answer) = client.try_request(&request).await else { return answers };
        assert!(answer.body.complete && answer.status == status, "{answer:?}");
        answers += 1;
    }
}

/// Takes 50 ms: over `/slow/` before the head, over `/drip/` between head and content, so that the head was written before
/// the drain began and says nothing of it; uploads are read at once.
fn slowly(request: &Received) -> Script {
    let pause = Duration::from_millis(50);
    match (request.method(), request.path()) {
        ("POST", _) => Script::new().read_body().pause(pause).answer(201, &[], "stored"),
        (_, path) if path.starts_with("/drip") => {
            Script::new().read_body().announce(200, 2).data(pattern(1)).pause(pause).data(pattern(1)).end()
        }
        (_, path) if path.starts_with("/slow") => Script::new().pause(pause).answer(200, &[], pattern(2)),
        _ => Script::whole(200, &[], pattern(2)),
    }
}

async fn loses_nothing(requests: [(Request, u16); 4], enough: f64) {
    let backend = Backend::oap().quiet().script(slowly).start();
    let origin = Origin::http1(1);
    let config = conf::minimal()
        .oap_cluster("app", &backend.address())
        .http1_cluster("plain", &origin.address().into())
        .route("{ name: plain, match: { path: { prefix: /plain/ } }, kind: proxy, cluster: plain, strip_prefix: /plain }")
        .proxy_route("/", "app")
        .set("danger_ok", "[limits.rate]")
        .set("limits.rate", "1000000/s")
        .set("limits.burst", "1000000")
        .set("limits.per_address", "{ rate: none }")
        .set("log.access", "off");
    let gateway = Gateway::start(BINARY, &config.yaml()).await;
    let mut clients = tokio::task::JoinSet::new();
    for (request, status) in requests {
        for _ in 0..16 {
            clients.spawn(ask_until_closed(gateway.address("public"), request.clone(), status));
        }
        for _ in 0..4 {
            // Content is sent by the other kind of client.
            let request = if request.body.is_some() { Request::get("/slow/2") } else { request.clone() };
            let status = if status == 201 { 200 } else { status };
            clients.spawn(ask_streams_until_closed(gateway.address("public"), request, status));
        }
    }
    gateway.metric_becomes("http_requests_total", |n| n > enough).await;
    gateway.signal(Signal::TERM);
    let mut answers = 0;
    while let Some(ended) = clients.join_next().await {
        answers += ended.unwrap();
    }
    let last = tokio::time::Instant::now();
    assert!(answers as f64 > enough, "{answers}");
    let status = gateway.wait_exit(PATIENCE.min(Duration::from_secs(15))).await;
    assert_eq!(status.code(), Some(0), "{}", gateway.log_text());
    // The exit comes with the last answer, give or take what a busy machine adds; far below the drain's bound of 30 s.
    assert!(last.elapsed() < Duration::from_secs(2), "{:?}", last.elapsed());
}

#[tokio::test]
async fn under_a_load_of_quick_answers_no_request_that_was_taken_is_lost() {
    let requests = ["/x", "/plain/bytes/2", "/y", "/plain/bytes/3"];
    loses_nothing(requests.map(|path| (Request::get(path), 200)), 500.0).await;
}

#[tokio::test]
async fn under_a_load_of_slow_answers_no_request_that_was_taken_is_lost() {
    let requests = [
        (Request::get("/slow/2"), 200),
        (Request::get("/drip/2"), 200),
        (Request::post("/up", pattern(100_000)), 201),
        (Request::get("/plain/slow/50/2"), 200),
    ];
    loses_nothing(requests, 200.0).await;
}

#[tokio::test]
async fn an_answer_whose_head_was_written_before_the_drain_may_be_followed_by_another_request() {
    // RFC 9112 §9.6: the head has promised a connection that stays, and its client may take it at its word.
    let gate = Gate::default();
    let opens = gate.clone();
    let backend = Backend::oap()
        .script(move |request| match request.path() {
            "/long" => Script::new().announce(200, 2).data(pattern(1)).wait(&opens).data(pattern(1)).end(),
            _ => Script::whole(200, &[], "ok"),
        })
        .start();
    let config = conf::minimal().oap_cluster("app", &backend.address()).proxy_route("/", "app");
    let gateway = Gateway::start(BINARY, &config.yaml()).await;
    let mut client = Http1::connect(gateway.address("public")).await;
    assert!(client.send(&Request::get("/long").http1_bytes()).await);
    let head = client.answer_head("GET").await.unwrap();
    let mut idle = Http1::connect(gateway.address("public")).await;
    idle.request(&Request::get("/x")).await.expect(200, b"ok");
    gateway.signal(Signal::TERM);
    // Idle connections are closed: the drain is past that.
    assert!(idle.closed().await.is_empty());
    gate.open();
    assert!(client.rest(head).await.body.complete);
    let answer = client.request(&Request::get("/x")).await;
    answer.expect(200, b"ok");
    assert_eq!(answer.field("connection"), Some("close"));
    assert_eq!(gateway.wait_exit(PATIENCE.min(Duration::from_secs(15))).await.code(), Some(0));
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
