//! `degrade`: past which threshold writes are shed, and when no longer.

use std::time::Duration;

use gateway_testing::Gateway;
use gateway_testing::backend::{Backend, Gate, Script};
use gateway_testing::client::{Http2, Request};
use gateway_testing::conf::{self, Conf};
use gateway_testing::process::Signal;

use crate::BINARY;
use crate::both::Version;

fn app(backend: &Backend) -> Conf {
    conf::minimal()
        .oap_cluster("app", &backend.address())
        .set("clusters.app.health.interval", "1h")
        .set("clusters.app.ejection.share", "0%")
        .set("clusters.app.retry.attempts", "1")
        .proxy_route("/", "app")
}

/// Whether it comes under pressure; that it does not is seen over some of its measurements, which come every 100 ms.
async fn comes_under_pressure(gateway: &Gateway, expected: bool, what: &str) {
    if expected {
        gateway.metric_becomes("gateway_degraded", |degraded| degraded == 1.0).await;
    } else {
        stays(gateway, 0.0, what).await;
    }
}

async fn stays(gateway: &Gateway, degraded: f64, what: &str) {
    let began = tokio::time::Instant::now();
    while began.elapsed() < Duration::from_millis(350) {
        assert_eq!(gateway.metric("gateway_degraded").await, degraded, "{what}");
    }
}

#[tokio::test]
async fn slots_and_the_wait_for_them_count_together() {
    for (degrade, expected) in [
        ("in_flight: 5%, wait: 10ms", true),
        ("in_flight: 90%, wait: 10ms", false),
        ("in_flight: 5%, wait: 60s", false),
    ] {
        let gate = Gate::default();
        let opens = gate.clone();
        let backend = Backend::oap()
            .script(move |_| Script::new().mark("here").wait(&opens).answer(200, &[], "ok"))
            .start();
        // One of ten slots is taken, and the cluster takes no second request.
        let conf = app(&backend)
            .set("clusters.app.in_flight", "1")
            .set("limits.in_flight", "10")
            .set("admission.wait", "60s")
            .set("degrade", format!("{{ {degrade}, lag: 1h }}"));
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        let client = Http2::connect(gateway.address("public")).await;
        let mut first = client.open(&Request::get("/x")).await;
        first.finish();
        backend.wait_for_mark("here").await;
        let mut second = client.open(&Request::get("/x")).await;
        second.finish();
        gateway.metric_becomes("gateway_drr_queue_depth", |queued| queued == 1.0).await;
        comes_under_pressure(&gateway, expected, degrade).await;
        gate.open();
        first.answer().await.expect(200, b"ok");
        second.answer().await.expect(200, b"ok");
    }
}

#[tokio::test]
async fn a_runtime_that_comes_late_is_under_pressure() {
    let backend = Backend::oap().start();
    for (lag, expected) in [("100ms", true), ("1h", false)] {
        let conf = app(&backend).set("degrade", format!("{{ lag: {lag}, hold: 1h }}"));
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        // Its workers are at work.
        Version::Http1.ask(&gateway, &Request::get("/x")).await.expect(200, b"ok");
        // What a machine does that has no time for it.
        gateway.signal(Signal::STOP);
        tokio::time::sleep(Duration::from_millis(400)).await;
        gateway.signal(Signal::CONT);
        comes_under_pressure(&gateway, expected, lag).await;
        let write = Version::Http1.ask(&gateway, &Request::post("/x", "a")).await;
        assert_eq!(write.status, if expected { 503 } else { 201 }, "{lag}");
    }
}

#[tokio::test]
async fn memory_and_descriptors_count_past_their_threshold() {
    let backend = Backend::oap().start();
    for (degrade, expected) in [
        ("memory: 1MiB", true),
        ("memory: 1GiB", false),
        ("memory: none", false),
        ("descriptors: 0%", true),
        ("descriptors: 90%", false),
    ] {
        let conf = app(&backend).set("degrade", format!("{{ {degrade}, lag: 1h }}"));
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        comes_under_pressure(&gateway, expected, degrade).await;
    }
}

#[tokio::test]
async fn a_cluster_may_fail_so_large_a_share_of_its_requests() {
    for (share, expected) in [("20%", true), ("90%", false)] {
        let backend = Backend::oap()
            .script(|request| match request.path() {
                "/fails" => Script::new().read_body().reset(),
                _ => Script::whole(200, &[], "ok"),
            })
            .start();
        let conf = app(&backend).set("degrade", format!("{{ backend_failures: {share}, lag: 1h }}"));
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        for n in 0..40 {
            // One resets its connection, on which nobody else is.
            let path = if n % 2 == 0 { "/fails" } else { "/well" };
            Version::Http1.ask(&gateway, &Request::get(path)).await;
        }
        comes_under_pressure(&gateway, expected, share).await;
    }
}

#[tokio::test]
async fn pressure_ends_below_its_release_and_after_its_hold() {
    let backend = Backend::oap().start();
    let conf = |degrade: &str| app(&backend).set("degrade", format!("{{ {degrade}, lag: 1h }}")).yaml();
    for (lifted, ends) in [
        ("memory: 1GiB, release: 80%, hold: 100ms", true),
        // A thousandth of it is less than any process has.
        ("memory: 1GiB, release: 0.1%, hold: 100ms", false),
        ("memory: 1GiB, release: 80%, hold: 1h", false),
    ] {
        let gateway = Gateway::start(BINARY, &conf("memory: 1MiB")).await;
        comes_under_pressure(&gateway, true, lifted).await;
        assert_eq!(gateway.reload(&conf(lifted)).await.status, 200);
        if ends {
            gateway.metric_becomes("gateway_degraded", |degraded| degraded == 0.0).await;
        } else {
            stays(&gateway, 1.0, lifted).await;
        }
    }
}
