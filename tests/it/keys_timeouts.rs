//! `clusters.*.timeouts` and `clusters.*.health`: each step takes as long as it may, and no longer.

use std::time::Duration;

use gateway_testing::backend::{Backend, Gate, Greeting, Script};
use gateway_testing::client::{Http1, Pace, Request};
use gateway_testing::conf::{self, Conf};
use gateway_testing::net::Address;
use gateway_testing::origin::Origin;
use gateway_testing::relay::Relay;
use gateway_testing::tls::{Authority, Server};
use gateway_testing::wire::ServerHello;
use gateway_testing::{Gateway, PATIENCE, comes_true, pattern};

use crate::BINARY;
use crate::both::Version;

/// One cluster, which nothing but requests notices anything of.
fn app(protocol: &str, mode: &str, address: &Address) -> Conf {
    conf::minimal()
        .cluster("app", protocol, [address])
        .set("clusters.app.connections.mode", mode)
        .set("clusters.app.health.interval", "1h")
        .set("clusters.app.ejection", "{ share: 0% }")
        .set("clusters.app.retry", "{ attempts: 1 }")
        .proxy_route_with("app", "/", "app", ", timeout: 400ms")
}

/// A cluster of each kind, with how many requests share a connection.
fn kinds(oap: &Backend, http1: &Origin, http2: &Origin) -> [(&'static str, &'static str, Address); 4] {
    [
        ("oap", "auto", oap.address()),
        ("oap", "exclusive", oap.address()),
        ("http1", "auto", http1.address().into()),
        ("http2", "auto", http2.address().into()),
    ]
}

#[tokio::test]
async fn a_connect_takes_as_long_as_it_may_tls_included() {
    let backend = Backend::oap().start();
    let (http1, http2) = (Origin::http1(1), Origin::http2());
    let authority = Authority::new();
    let identity = authority.issue("backend.test");
    for (protocol, alpn, address) in [
        ("oap", "ron/1", backend.address()),
        ("http1", "http/1.1", http1.address().into()),
        ("http2", "h2", http2.address().into()),
    ] {
        let relay = Relay::tls(&Server::new(&identity, &[alpn]), address);
        relay.stall();
        for (connect, in_time) in [("50ms", false), ("60s", true)] {
            let conf = app(protocol, "auto", &relay.address())
                .set("clusters.app.tls", "{ ca: ca.pem, server_name: backend.test }")
                .set("clusters.app.timeouts.connect", connect);
            let conf = conf.yaml().replace("timeout: 400ms", "timeout: 1s");
            let gateway = Gateway::builder(BINARY).config(conf).file("ca.pem", authority.pem()).start().await;
            let answer = Version::Http1.ask(&gateway, &Request::get("/bytes/2")).await;
            assert!(matches!(answer.status, 502 | 504), "{protocol} {connect}: {answer:?}");
            // The request's own time is up long before the second's.
            let line = gateway.access_line(answer.field("x-corr-id").unwrap()).await;
            let took = line["latency_ms"].as_f64().unwrap();
            assert_eq!(took >= 990.0, in_time, "{protocol} {connect}: {line}");
        }
    }
}

#[tokio::test]
async fn hello_is_waited_for_as_long_as_it_may_take() {
    for mode in ["auto", "exclusive"] {
        let backend = Backend::oap().greeting(Greeting::Silent).start();
        for (hello, status) in [("50ms", 502), ("60s", 504)] {
            let conf = app("oap", mode, &backend.address()).set("clusters.app.timeouts.hello", hello);
            let gateway = Gateway::start(BINARY, &conf.yaml()).await;
            let answer = Version::Http1.ask(&gateway, &Request::get("/x")).await;
            assert_eq!(answer.status, status, "{mode} {hello}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_may_be_silent_for_as_long_as_read_says() {
    let pausing = |_: &_| {
        let content = pattern(2);
        Script::new().announce(200, 2).pause(Duration::from_millis(300)).data(content).end()
    };
    let backend = Backend::oap().script(pausing).start();
    let (http1, http2) = (Origin::http1(1), Origin::http2());
    for (protocol, mode, address) in kinds(&backend, &http1, &http2) {
        for (read, whole) in [("100ms", false), ("5s", true)] {
            let conf = app(protocol, mode, &address)
                .set("clusters.app.timeouts.read", read)
                .set("limits.request.timeout", "60s");
            let conf = conf.yaml().replace(", timeout: 400ms", "");
            let gateway = Gateway::start(BINARY, &conf).await;
            for version in Version::ALL {
                let answer = version.ask(&gateway, &Request::get("/slow/300/2")).await;
                let is_whole = answer.status == 200 && answer.body.complete;
                assert_eq!(is_whole, whole, "{protocol} {mode} {read} {version:?}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_backend_may_return_no_credit_for_as_long_as_write_says() {
    let late = |_: &_| Script::new().pause(Duration::from_millis(500)).read_body().answer(201, &[], "late");
    let backend = Backend::oap().script(late).start();
    for (write, status) in [("100ms", 504), ("5s", 201)] {
        let conf = app("oap", "auto", &backend.address()).set("clusters.app.timeouts.write", write);
        let conf = conf.yaml().replace("timeout: 400ms", "timeout: 60s");
        let gateway = Gateway::start(BINARY, &conf).await;
        // More than a window. What is known to be large has a connection of its own.
        let upload = Request::post("/x", pattern(900_000)).open_length();
        let answer = Version::Http1.ask(&gateway, &upload).await;
        assert_eq!(answer.status, status, "{write}: {answer:?}");
    }
}

#[tokio::test]
async fn a_backend_may_take_nothing_for_as_long_as_write_says() {
    let backend = Backend::oap().start();
    let (http1, http2) = (Origin::http1(1), Origin::http2());
    for (protocol, address) in
        [("oap", backend.address()), ("http1", http1.address().into()), ("http2", http2.address().into())]
    {
        for (write, taken) in [("100ms", false), ("20s", true)] {
            let relay = Relay::to(address.clone());
            // Pingora waits for an answer of one that takes no more of the request, for `read`.
            let read = if taken { "20s" } else { "100ms" };
            let conf = app(protocol, "exclusive", &relay.address())
                .set("clusters.app.timeouts", format!("{{ write: {write}, read: {read} }}"))
                .set("danger_ok", "[limits.body.max]")
                .set("limits.body.max", "64MiB");
            let conf = conf.yaml().replace("timeout: 400ms", "timeout: 60s");
            let gateway = Gateway::start(BINARY, &conf).await;
            Version::Http1.ask(&gateway, &Request::get("/bytes/2")).await.expect(200, &pattern(2));
            relay.stall();
            // More than all sockets on its way take up.
            let upload = Request::post("/x", pattern(24 << 20));
            let asked = Version::Http1.ask(&gateway, &upload);
            tokio::pin!(asked);
            let early = if taken { Duration::from_millis(500) } else { PATIENCE };
            let answer = match tokio::time::timeout(early, &mut asked).await {
                Ok(answer) => answer,
                Err(_) => {
                    relay.resume();
                    asked.await
                }
            };
            let fits = if taken { answer.status == 201 } else { matches!(answer.status, 502 | 504) };
            assert!(fits, "{protocol} {write}: {answer:?}\n{}", gateway.log_text());
        }
    }
}

#[tokio::test]
async fn a_client_that_takes_its_time_is_no_backend_that_does() {
    for builder in [Backend::oap(), Backend::oap().exclusive()] {
        let backend = builder.start();
        let conf = app("oap", "auto", &backend.address())
            .set("clusters.app.timeouts", "{ write: 200ms, read: 200ms }")
            .set("admission.gather", "0B");
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        let mut client = Http1::connect(gateway.address("public")).await;
        let request = Request::post("/x", pattern(100_000));
        assert!(client.send(&request.http1_head()).await);
        // A quarter of a second for each piece.
        let mut pace = Pace::new(160_000);
        for piece in pattern(100_000).chunks(40_000) {
            assert!(client.send(piece).await);
            pace.moved(piece.len()).await;
        }
        assert_eq!(client.answer("POST").await.status, 201, "{}", gateway.log_text());
    }
}

#[tokio::test]
async fn an_unused_connection_is_kept_for_as_long_as_idle_says() {
    let backend = Backend::oap().start();
    let (http1, http2) = (Origin::http1(1), Origin::http2());
    for (protocol, mode, address) in kinds(&backend, &http1, &http2) {
        let relays = [Relay::to(address.clone()), Relay::to(address)];
        let gateway = async |relay: &Relay, idle: &str| {
            let conf = app(protocol, mode, &relay.address()).set("clusters.app.timeouts.idle", idle);
            let gateway = Gateway::start(BINARY, &conf.set("server.workers", "1").yaml()).await;
            // The first check is over, so that no connection is its.
            comes_true("a check", || relay.accepted() > 0 && relay.open() == 0).await;
            Version::Http1.ask(&gateway, &Request::get("/bytes/2")).await.expect(200, &pattern(2));
            gateway
        };
        let (_long, short) = (gateway(&relays[0], "1h").await, gateway(&relays[1], "100ms").await);
        comes_true(&format!("{protocol} {mode}: it is closed"), || relays[1].open() == 0).await;
        assert_eq!(relays[0].open(), 1, "{protocol} {mode}");
        drop(short);
    }
}

/// The checks of a cluster's backend so far, by the log, and how the last that there were went.
fn checks(gateway: &Gateway, passed: bool) -> usize {
    let words = format!(": {passed} ");
    let is_check = |text: &str| text.contains("check of ") && text.contains(&words);
    gateway.log().iter().filter(|line| is_check(line.json["message"].as_str().unwrap_or_default())).count()
}

async fn checked(backend: &Address, health: &str) -> Gateway {
    let conf = app("oap", "auto", backend).set("clusters.app.health", health).set("log.level", "debug");
    Gateway::start(BINARY, &conf.yaml()).await
}

#[tokio::test]
async fn checks_come_as_often_as_their_interval_says() {
    let backend = Backend::oap().start();
    let relays = [Relay::to(backend.address()), Relay::to(backend.address())];
    let _rarely = checked(&relays[0].address(), "{ interval: 1h }").await;
    let _often = checked(&relays[1].address(), "{ interval: 20ms }").await;
    comes_true("many checks", || relays[1].accepted() > 20).await;
    assert_eq!(relays[0].accepted(), 1);
}

#[tokio::test]
async fn a_check_fails_when_its_time_is_up() {
    let gate = Gate::default();
    let late = || Backend::oap().greeting(Greeting::Late(gate.clone(), ServerHello::default())).start();
    let start = async |backend: &Address, timeout: &str| {
        let health = format!("{{ interval: 50ms, timeout: {timeout}, unhealthy: 1 }}");
        let conf = app("oap", "auto", backend)
            .set("clusters.app.health", health)
            .set("clusters.app.timeouts.hello", "60s")
            .set("log.level", "debug");
        Gateway::start(BINARY, &conf.yaml()).await
    };
    let (patiently, hastily) = (late(), late());
    let relay = Relay::to(patiently.address());
    let patient = start(&relay.address(), "20s").await;
    comes_true("its check is under way", || relay.accepted() > 0).await;
    // Another one's begins later, and is over by now.
    start(&hastily.address(), "50ms").await.readiness_becomes(503).await;
    gate.open();
    comes_true("it passes", || checks(&patient, true) > 0).await;
    assert_eq!(checks(&patient, false), 0);
}

#[tokio::test]
async fn so_many_checks_in_a_row_change_a_backends_health() {
    for (unhealthy, healthy) in [(1, 3), (3, 1)] {
        let backend = Backend::oap().start();
        let relay = Relay::to(backend.address());
        let health = format!("{{ interval: 30ms, unhealthy: {unhealthy}, healthy: {healthy} }}");
        let gateway = checked(&relay.address(), &health).await;
        let says = async |words: &str| {
            let said = |line: &serde_json::Value| line["message"].as_str().is_some_and(|m| m.contains(words));
            gateway.log_line(said).await
        };
        relay.kill().await;
        says("is unhealthy").await;
        relay.restart();
        says("is healthy").await;
        let log = gateway.log();
        let lines: Vec<_> = log.iter().filter_map(|line| line.json["message"].as_str()).collect();
        let at = |words: &str| lines.iter().position(|line| line.contains(words)).unwrap();
        let (down, up) = (at("is unhealthy"), at("is healthy"));
        let count = |lines: &[&str], words: &str| lines.iter().filter(|line| line.contains(words)).count();
        assert_eq!(count(&lines[..down], ": false "), unhealthy, "{lines:?}");
        assert_eq!(count(&lines[down..up], ": true "), healthy, "{lines:?}");
    }
}

#[tokio::test]
async fn a_path_is_asked_for_and_must_be_well() {
    for (protocol, path, status) in [
        ("oap", "/sick", 503),
        ("oap", "/well", 200),
        ("oap", "none", 200),
        ("http1", "/bytes/2", 200),
        ("http1", "/sick", 503),
    ] {
        let backend = Backend::oap()
            .script(|request| Script::whole(if request.path() == "/sick" { 500 } else { 200 }, &[], "ok"))
            .start();
        let origin = Origin::http1(1);
        let address = if protocol == "oap" { backend.address() } else { origin.address().into() };
        let relay = Relay::to(address);
        let conf = app(protocol, "auto", &relay.address())
            .set("clusters.app.health", format!("{{ interval: 20ms, unhealthy: 2, path: {path} }}"));
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        comes_true("checks", || relay.accepted() > 4).await;
        gateway.readiness_becomes(status).await;
        if protocol == "oap" {
            let asked =
                backend.requests().iter().all(|request| request.path() == path && request.method() == "GET");
            assert!(asked && backend.requests().is_empty() == (path == "none"), "{path}");
        }
        // A request is no check.
        let mut client = Http1::connect(gateway.address("public")).await;
        let answer = client.request(&Request::get("/bytes/2")).await;
        assert_eq!(answer.status, status, "{protocol} {path}");
    }
}
