//! What follows a failure: another backend, and the way back of the first.

use std::time::Duration;

use gateway_testing::backend::{Backend, Received, Script};
use gateway_testing::client::Request;
use gateway_testing::origin::Origin;
use gateway_testing::relay::Relay;
use gateway_testing::{Gateway, PATIENCE, conf, pattern};

use crate::BINARY;
use crate::both::Version;

#[tokio::test]
async fn a_request_that_may_be_repeated_goes_to_another_backend() {
    let broken = Backend::oap().script(|_| Script::new().read_body().reset()).start();
    let well = Backend::oap().start();
    let config = conf::minimal()
        .cluster("app", "oap", [&broken.address(), &well.address()])
        .set("clusters.app.balance", "round_robin")
        .set("clusters.app.ejection", "{ share: 0% }")
        .proxy_route("/", "app")
        .yaml();
    let gateway = Gateway::start(BINARY, &config).await;
    for _ in 0..6 {
        for version in Version::ALL {
            version.ask(&gateway, &Request::get("/x")).await.expect(200, b"ok");
        }
    }
    assert!(!broken.requests().is_empty(), "the broken one was never tried");
    // A POST that has been written may have been carried out: it is not repeated.
    let mut failed = 0;
    for _ in 0..4 {
        let answer = Version::Http1.ask(&gateway, &Request::post("/x", "body")).await;
        failed += u32::from(answer.status == 502);
    }
    assert_eq!(failed, 2);
}

#[tokio::test]
async fn a_backend_that_was_killed_is_found_again() {
    let backend = Backend::oap().start();
    let config = conf::minimal()
        .oap_cluster("app", &backend.address())
        .set("clusters.app.health", "{ interval: 100ms, timeout: 100ms, unhealthy: 1, healthy: 2 }")
        .set("clusters.app.ejection", "{ share: 0% }")
        .proxy_route("/", "app")
        .yaml();
    let gateway = Gateway::start(BINARY, &config).await;
    Version::Http1.ask(&gateway, &Request::get("/x")).await.expect(200, b"ok");
    backend.kill().await;
    gateway.readiness_becomes(503).await;
    for version in Version::ALL {
        let answer = version.ask(&gateway, &Request::get("/x")).await;
        assert_eq!((answer.status, answer.reason().as_str()), (503, "no_backend"), "{version:?}");
    }
    backend.restart();
    gateway.readiness_becomes(200).await;
    for version in Version::ALL {
        version.ask(&gateway, &Request::get("/x")).await.expect(200, b"ok");
    }
}

/// From the moment at which a backend is back to the first request that it answers.
async fn back_in(what: &str, gateway: &Gateway, version: Version) -> Duration {
    let began = tokio::time::Instant::now();
    let mut tries = tokio::time::interval(Duration::from_millis(10));
    loop {
        tries.tick().await;
        let answer = version.ask(gateway, &Request::get("/bytes/2")).await;
        if answer.status == 200 {
            answer.expect(200, &pattern(2));
            return began.elapsed();
        }
        assert!(matches!(answer.status, 502..=504), "{answer:?}");
        assert!(began.elapsed() < PATIENCE, "{what} {version:?} does not come back\n{}", gateway.log_text());
    }
}

/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(1);

/// A way to be away and to come back.
#[derive(Clone, Copy, Debug)]
enum Absence {
    Killed,
    Stalled,
}

/// A backend whose absence is noticed at the first check, and which is back after `healthy` checks and not before.
async fn returns_after_its_checks(what: &str, relay: &Relay, protocol: &str, mode: &str) {
    let config = conf::minimal()
        .cluster("app", protocol, [&relay.address()])
        .set("clusters.app.connections", format!("{{ mode: {mode} }}"))
        .set("clusters.app.health", "{ interval: 400ms, timeout: 200ms, unhealthy: 1, healthy: 3 }")
        .set("clusters.app.ejection", "{ share: 0% }")
        .proxy_route_with("app", "/", "app", ", timeout: 300ms")
        .yaml();
    let gateway = Gateway::start(BINARY, &config).await;
    // `healthy` × interval, each with its jitter of a tenth, of which the first may follow a check that came too early.
    let bound = Duration::from_millis(3 * 440) + SLACK;
    for (absence, version) in [
        (Absence::Killed, Version::Http1),
        (Absence::Stalled, Version::Http2),
        (Absence::Stalled, Version::Http1),
    ] {
        version.ask(&gateway, &Request::get("/bytes/2")).await.expect(200, &pattern(2));
        match absence {
            Absence::Killed => relay.kill().await,
            Absence::Stalled => relay.stall(),
        }
        gateway.readiness_becomes(503).await;
        let known = relay.accepted();
        match absence {
            Absence::Killed => relay.restart(),
            Absence::Stalled => relay.resume(),
        }
        let took = back_in(what, &gateway, version).await;
        assert!(took <= bound, "{what} {absence:?} {version:?}: {took:?}");
        // A check that had begun may have been answered late; one more, and the next, may follow before we ask.
        let connections = relay.accepted() - known;
        assert!((2..=5).contains(&connections), "{what} {absence:?} {version:?}: {connections} connections");
    }
}

#[tokio::test]
async fn a_backend_that_died_or_stalled_is_used_again_after_its_checks_pass() {
    let backend = Backend::oap().start();
    let (http1, http2) = (Origin::http1(1), Origin::http2());
    let relays = [
        ("shared", "oap", "auto", Relay::to(backend.address())),
        ("exclusive", "oap", "exclusive", Relay::to(backend.address())),
        ("http1", "http1", "auto", Relay::to(http1.address())),
        ("http2", "http2", "auto", Relay::to(http2.address())),
    ];
    let mut all = tokio::task::JoinSet::new();
    for (what, protocol, mode, relay) in relays {
        all.spawn(async move { returns_after_its_checks(what, &relay, protocol, mode).await });
    }
    while let Some(ended) = all.join_next().await {
        ended.unwrap();
    }
}

/// Connections to a backend that move nothing any more, and do not end, while new ones are well: checks, which dial anew,
/// see nothing of it, so that the gateway has to find out by what its connections do.
async fn replaces_its_connections(what: &str, relay: &Relay, protocol: &str, mode: &str) {
    let config = conf::minimal()
        .set("server.workers", "1")
        .cluster("app", protocol, [&relay.address()])
        .set("clusters.app.connections", format!("{{ mode: {mode} }}"))
        .set("clusters.app.timeouts", "{ hello: 400ms, read: 200ms, write: 200ms }")
        .set("clusters.app.health", "{ interval: 200ms, timeout: 2s }")
        .set("clusters.app.ejection", "{ share: 0% }")
        .proxy_route_with("app", "/", "app", ", timeout: 200ms")
        .yaml();
    let gateway = Gateway::start(BINARY, &config).await;
    for version in Version::ALL {
        version.ask(&gateway, &Request::get("/bytes/2")).await.expect(200, &pattern(2));
        relay.lose_connections();
        let took = back_in(what, &gateway, version).await;
        // A silence longer than `hello` is suspect, and `write` the time for a sign of life; Pingora's PING is given up
        // after 5 s. Each is noticed by a request that takes 200 ms.
        let bound = Duration::from_millis(if protocol == "http2" { 5_600 } else { 1_000 }) + SLACK;
        assert!(took <= bound, "{what} {version:?}: {took:?}");
        let answer = gateway.admin("/readyz").await;
        assert_eq!(answer.status, 200, "{what} {version:?}: {answer:?}");
    }
}

#[tokio::test]
async fn connections_that_died_without_a_word_are_replaced() {
    let backend = Backend::oap().start();
    let (http1, http2) = (Origin::http1(1), Origin::http2());
    let relays = [
        ("shared", "oap", "auto", Relay::to(backend.address())),
        ("exclusive", "oap", "exclusive", Relay::to(backend.address())),
        ("http1", "http1", "auto", Relay::to(http1.address())),
        ("http2", "http2", "auto", Relay::to(http2.address())),
    ];
    let mut all = tokio::task::JoinSet::new();
    for (what, protocol, mode, relay) in relays {
        all.spawn(async move { replaces_its_connections(what, &relay, protocol, mode).await });
    }
    while let Some(ended) = all.join_next().await {
        ended.unwrap();
    }
}

/// A backend that fails each request, by resetting or by saying nothing, is ejected, and used again when that is over.
async fn returns_after_its_ejection(multiplexed: bool, stalls: bool) {
    let failing = move |_: &Received| {
        if stalls { Script::new().stall() } else { Script::new().read_body().reset() }
    };
    let builder = if multiplexed { Backend::oap() } else { Backend::oap().exclusive() };
    let backend = builder.script(failing).start();
    let config = conf::minimal()
        .oap_cluster("app", &backend.address())
        .set("clusters.app.health", "{ interval: 1h }")
        .set("clusters.app.ejection", "{ consecutive_failures: 2, base: 500ms, max: 500ms, share: 100% }")
        .set("clusters.app.retry", "{ attempts: 1 }")
        .proxy_route_with("app", "/", "app", ", timeout: 200ms")
        .yaml();
    let gateway = Gateway::start(BINARY, &config).await;
    let what = if stalls { "stalled" } else { "reset" };
    let why = if stalls { (504, "timeout") } else { (502, "upstream") };
    for version in Version::ALL {
        backend.set_script(failing);
        for _ in 0..2 {
            let answer = version.ask(&gateway, &Request::get("/bytes/2")).await;
            assert_eq!((answer.status, answer.reason().as_str()), why, "{version:?}");
        }
        backend.set_script(Script::standard);
        let asked = backend.requests().len();
        let answer = version.ask(&gateway, &Request::get("/bytes/2")).await;
        assert_eq!((answer.status, answer.reason().as_str()), (503, "no_backend"), "{version:?}");
        assert_eq!(backend.requests().len(), asked, "an ejected backend was asked");
        let took = back_in(what, &gateway, version).await;
        assert!(took <= Duration::from_millis(500) + SLACK, "{version:?}: {took:?}");
    }
}

#[tokio::test]
async fn an_ejected_backend_is_used_again_when_its_ejection_is_over() {
    let cases = [(true, true), (true, false), (false, true), (false, false)];
    let mut all = tokio::task::JoinSet::new();
    for (multiplexed, stalls) in cases {
        all.spawn(returns_after_its_ejection(multiplexed, stalls));
    }
    while let Some(ended) = all.join_next().await {
        ended.unwrap();
    }
}

/// A service of HTTP/2 that refuses the first stream of each path, and answers what it was sent on the others.
async fn refusing_service() -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut seen = std::collections::HashSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                if seen.insert(request.uri().path().to_owned()) {
                    respond.send_reset(h2::Reason::REFUSED_STREAM);
                    continue;
                }
                tokio::spawn(async move {
                    let mut content = request.into_body();
                    let mut came = Vec::new();
                    while let Some(Ok(piece)) = content.data().await {
                        drop(content.flow_control().release_capacity(piece.len()));
                        came.extend_from_slice(&piece);
                    }
                    let mut stream = respond.send_response(http::Response::new(()), false).unwrap();
                    drop(stream.send_data(came.into(), true));
                });
            }
        }
    });
    address
}

#[tokio::test]
async fn what_an_http2_service_refuses_unprocessed_is_repeated_whatever_its_method() {
    let conf = conf::minimal()
        .http2_cluster("app", &refusing_service().await.into())
        .set("clusters.app.ejection", "{ share: 0% }")
        .set("clusters.app.health", "{ interval: 1h }")
        .proxy_route("/", "app");
    let gateway = Gateway::start(BINARY, &conf.yaml()).await;
    let body = gateway_testing::pattern(20_000);
    for (n, version) in Version::ALL.into_iter().enumerate() {
        for open in [false, true] {
            let request = Request::post(&format!("/{n}{open}"), body.clone());
            let request = if open { request.open_length() } else { request };
            version.ask(&gateway, &request).await.expect(200, &body);
        }
    }
}
