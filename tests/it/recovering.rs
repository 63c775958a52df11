//! What follows a failure: another backend, and the way back of the first.

use std::time::Duration;

use gateway_testing::backend::{Backend, Greeting, Script};
use gateway_testing::client::Request;
use gateway_testing::wire::ServerHello;
use gateway_testing::{Gateway, PATIENCE, conf};

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
async fn back_in(gateway: &Gateway) -> Duration {
    let began = tokio::time::Instant::now();
    let mut tries = tokio::time::interval(Duration::from_millis(10));
    loop {
        tries.tick().await;
        let answer = Version::Http1.ask(gateway, &Request::get("/x")).await;
        if answer.status == 200 {
            answer.expect(200, b"ok");
            return began.elapsed();
        }
        assert!(matches!(answer.status, 502..=504), "{answer:?}");
        assert!(began.elapsed() < PATIENCE, "it does not come back\n{}", gateway.log_text());
    }
}

/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_backend_that_died_or_stalled_is_used_again_after_its_checks_pass() {
    for exclusive in [false, true] {
        let hello = if exclusive {
            ServerHello { flags: 0, window: None, ..ServerHello::default() }
        } else {
            ServerHello::default()
        };
        let backend = Backend::oap().hello(hello.clone()).start();
        let config = conf::minimal()
            .oap_cluster("app", &backend.address())
            .set("clusters.app.health", "{ interval: 200ms, timeout: 100ms, unhealthy: 1, healthy: 3 }")
            .set("clusters.app.ejection", "{ share: 0% }")
            .proxy_route_with("app", "/", "app", ", timeout: 300ms")
            .yaml();
        let gateway = Gateway::start(BINARY, &config).await;
        // `healthy` × interval and its jitter of a tenth, and the check that was under way when it came back.
        let bound = Duration::from_millis(4 * 220 + 100) + SLACK;
        backend.kill().await;
        gateway.readiness_becomes(503).await;
        backend.restart();
        let took = back_in(&gateway).await;
        assert!(took <= bound, "killed, exclusive={exclusive}: {took:?}");

        backend.set_greeting(Greeting::Silent);
        backend.close_connections();
        gateway.readiness_becomes(503).await;
        backend.set_greeting(Greeting::Answer(hello));
        let took = back_in(&gateway).await;
        assert!(took <= bound, "stalled, exclusive={exclusive}: {took:?}");
    }
}

#[tokio::test]
async fn an_ejected_backend_is_used_again_when_its_ejection_is_over() {
    let backend = Backend::oap().script(|_| Script::new().read_body().reset()).start();
    let config = conf::minimal()
        .oap_cluster("app", &backend.address())
        .set("clusters.app.health", "{ interval: 1h }")
        .set("clusters.app.ejection", "{ consecutive_failures: 2, base: 500ms, max: 500ms, share: 100% }")
        .set("clusters.app.retry", "{ attempts: 1 }")
        .proxy_route("/", "app")
        .yaml();
    let gateway = Gateway::start(BINARY, &config).await;
    for _ in 0..2 {
        let answer = Version::Http1.ask(&gateway, &Request::get("/x")).await;
        assert_eq!((answer.status, answer.reason().as_str()), (502, "upstream"));
    }
    backend.set_script(Script::standard);
    let answer = Version::Http1.ask(&gateway, &Request::get("/x")).await;
    assert_eq!((answer.status, answer.reason().as_str()), (503, "no_backend"));
    let took = back_in(&gateway).await;
    assert!(took <= Duration::from_millis(500) + SLACK, "{took:?}");
}
