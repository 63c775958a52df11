//! Reload: a good configuration takes over without a request noticing, a wrong one changes nothing.

use std::process::Command;

use gateway_testing::backend::{Backend, Gate, Script};
use gateway_testing::client::{Http1, Request};
use gateway_testing::conf::{self, Conf};
use gateway_testing::process::Signal;
use gateway_testing::{Gateway, pattern};

use crate::BINARY;
use crate::both::Version;

fn app(backend: &Backend) -> Conf {
    conf::minimal().oap_cluster("app", &backend.address()).proxy_route("/", "app")
}

#[tokio::test]
async fn what_is_reloaded_holds_from_the_next_request_on_and_requests_under_way_keep_theirs() {
    let gate = Gate::default();
    let opens = gate.clone();
    let script = move |_: &_| Script::new().mark("here").wait(&opens).answer(200, &[], "old");
    let before = Backend::oap().script(script).start();
    let after = Backend::oap().script(|_| Script::whole(200, &[], "new")).start();
    let gateway = Gateway::start(BINARY, &app(&before).yaml()).await;
    let mut under_way = Http1::connect(gateway.address("public")).await;
    assert!(under_way.send(&Request::get("/1").http1_bytes()).await);
    before.wait_for_mark("here").await;

    let answer = gateway.reload(&app(&after).set("limits.body.max", "100KiB").yaml()).await;
    assert_eq!((answer.status, answer.json()["generation"].as_u64()), (200, Some(2)), "{answer:?}");
    for version in Version::ALL {
        version.ask(&gateway, &Request::get("/2")).await.expect(200, b"new");
        let large = version.ask(&gateway, &Request::post("/3", pattern(200 << 10))).await;
        assert_eq!((large.status, large.reason().as_str()), (413, "body_cap"), "{version:?}");
    }
    gate.open();
    under_way.answer("GET").await.expect(200, b"old");
    assert_eq!(gateway.metric("config_version").await, 2.0);
    assert_eq!(gateway.metric("config_reloads_total{result=\"applied\"}").await, 1.0);
}

#[tokio::test]
async fn connections_to_a_backend_that_stays_survive_whatever_else_changes() {
    let backend = Backend::oap().script(|_| Script::whole(200, &[], "ok")).start();
    let other = Backend::oap().start();
    let gateway = Gateway::start(BINARY, &app(&backend).set("server.workers", "1").yaml()).await;
    Version::Http1.ask(&gateway, &Request::get("/1")).await.expect(200, b"ok");
    let mut connections = std::collections::BTreeSet::new();
    connections.insert(backend.next_request().await.connection);
    let changes = [
        app(&backend),
        app(&backend).set("clusters.app.retry", "{ attempts: 1 }").set("clusters.app.balance", "round_robin"),
        app(&backend).set("limits.request.timeout", "9s"),
        app(&backend).set(
            "clusters.app.backends",
            format!(
                "[{{ address: \"{}\" }}, {{ address: \"{}\", weight: 1 }}]",
                backend.address(),
                other.address()
            ),
        ),
        app(&backend),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let answer = gateway.reload(&change.set("server.workers", "1").yaml()).await;
        assert_eq!(answer.status, 200, "{n}: {answer:?}");
        if n != 3 {
            Version::Http1.ask(&gateway, &Request::get("/1")).await.expect(200, b"ok");
            connections.insert(backend.next_request().await.connection);
        }
    }
    assert_eq!(connections.len(), 1, "{connections:?}");
}

#[tokio::test]
async fn a_wrong_configuration_changes_nothing_and_says_why_to_whoever_asked() {
    let backend = Backend::oap().script(|_| Script::whole(200, &[], "ok")).start();
    let good = app(&backend).yaml();
    let gateway = Gateway::start(BINARY, &good).await;
    let wrong = [
        ("limits: { body: { max: 1 } }\n".to_owned() + &good, "limits"),
        (good.clone() + "nonsense: 1\n", "nonsense"),
        (good.replacen("127.0.0.1:0", "127.0.0.1:1", 1), "listeners.public.address"),
        (app(&backend).set("server.workers", "7").yaml(), "server.workers"),
        (app(&backend).listener("more", "127.0.0.1:0", "").yaml(), "listeners.more"),
        (app(&backend).set("admin.address", "127.0.0.1:2").yaml(), "admin.address"),
        (app(&backend).proxy_route("/", "gone").yaml(), "gone"),
    ];
    for (yaml, names) in &wrong {
        let answer = gateway.reload(yaml).await;
        let errors = answer.json()["errors"].to_string();
        assert!(answer.status == 422 && errors.contains(names), "{names}: {answer:?}");
        Version::Http1.ask(&gateway, &Request::get("/")).await.expect(200, b"ok");
    }
    assert_eq!(gateway.metric("config_version").await, 1.0);
    assert_eq!(gateway.metric("config_reloads_total{result=\"refused\"}").await, wrong.len() as f64);

    // By signal: the log tells.
    gateway.signal(Signal::HUP);
    let refused = "config_reloads_total{result=\"refused\"}";
    gateway.metric_becomes(refused, |count| count > wrong.len() as f64).await;
    let line = gateway.log_line(|line| line["event"] == "reload_refused").await;
    assert!(line["errors"].as_array().is_some_and(|errors| !errors.is_empty()), "{line}");
    gateway.configure(&good);
    gateway.signal(Signal::HUP);
    gateway.log_line(|line| line["event"] == "reloaded" && line["generation"] == 2).await;

    // By command: the exit code and the text tell.
    let admin = gateway.address("admin").to_string();
    let command = |admin: &str| {
        let done = Command::new(BINARY).args(["reload", "--admin", admin]).output().unwrap();
        (
            done.status.code(),
            String::from_utf8(done.stdout).unwrap() + &String::from_utf8(done.stderr).unwrap(),
        )
    };
    let (code, said) = command(&admin);
    assert!(code == Some(0) && said.contains("generation 3"), "{code:?} {said}");
    gateway.configure("typo: 1\n");
    let (code, said) = command(&admin);
    assert!(code == Some(2) && said.contains("gateway.yaml:1:1: typo"), "{code:?} {said}");
    let (code, said) = command("unix:/nowhere/at/all.sock");
    assert!(code == Some(3) && said.contains("--admin"), "{code:?} {said}");
}

#[tokio::test]
async fn a_page_in_a_browser_cannot_reload() {
    let gateway = Gateway::start(BINARY, &conf::minimal().yaml()).await;
    let request = Request::new("POST", "/reload").field("origin", "http://evil.example");
    let answer = Http1::connect(gateway.address("admin")).await.request(&request).await;
    assert_eq!(answer.status, 403);
    assert_eq!(gateway.admin("/reload").await.status, 405);
    assert_eq!(gateway.metric("config_version").await, 1.0);
}
