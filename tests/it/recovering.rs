//! What follows a failure: another backend, and the way back of the first.

use gateway_testing::backend::{Backend, Script};
use gateway_testing::client::Request;
use gateway_testing::{Gateway, conf};

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
