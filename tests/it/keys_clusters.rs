//! `clusters`: who is asked, and over how many connections of which kind.

use std::collections::BTreeSet;

use gateway_testing::backend::{Backend, Event, Gate, Script, What};
use gateway_testing::client::{Http2, Request};
use gateway_testing::conf::{self, Conf};
use gateway_testing::origin::Origin;
use gateway_testing::relay::Relay;
use gateway_testing::{Gateway, comes_true, pattern};

use crate::BINARY;
use crate::both::Version;

/// Two backends of one cluster.
fn two(balance: &str) -> (Backend, Backend, Conf) {
    let (one, other) = (Backend::oap().start(), Backend::oap().start());
    let conf = conf::minimal()
        .cluster("app", "oap", [&one.address(), &other.address()])
        .set("clusters.app.balance", balance)
        .proxy_route("/", "app");
    (one, other, conf)
}

fn keyed(key: usize) -> Request {
    Request::get("/x").field("x-key", &key.to_string())
}

#[tokio::test]
async fn each_balance_chooses_as_it_says() {
    let (one, other, conf) = two("round_robin");
    let gateway = Gateway::start(BINARY, &conf.yaml()).await;
    for n in 0..8 {
        Version::Http1.ask(&gateway, &keyed(n)).await.expect(200, b"ok");
    }
    assert_eq!((one.requests().len(), other.requests().len()), (4, 4), "in turn");

    let (one, other, conf) = two("{ hash: { header: x-key } }");
    let gateway = Gateway::start(BINARY, &conf.yaml()).await;
    for n in 0..32 {
        Version::Http1.ask(&gateway, &keyed(n / 2)).await.expect(200, b"ok");
    }
    let seen = [&one, &other].map(|backend| {
        let requests = backend.requests();
        let keys: BTreeSet<_> =
            requests.iter().map(|request| request.field("x-key").unwrap().to_owned()).collect();
        assert_eq!(requests.len(), keys.len() * 2, "each key where it was");
        keys.len()
    });
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");

    // One is busy: the other is asked, until it has as many.
    let (one, other, conf) = two("least_requests");
    let gate = Gate::default();
    let opens = gate.clone();
    one.set_script(move |_| Script::new().wait(&opens).answer(200, &[], "ok"));
    let gateway = Gateway::start(BINARY, &conf.yaml()).await;
    let client = Http2::connect(gateway.address("public")).await;
    let (mut held, mut quick) = (Vec::new(), 0);
    while held.is_empty() {
        let mut request = client.open(&keyed(0)).await;
        request.finish();
        tokio::select! {
            _ = one.next_request() => held.push(request),
            _ = other.next_request() => quick += 1,
        }
    }
    for n in 0..8 {
        client.request(&keyed(n)).await.expect(200, b"ok");
    }
    assert_eq!((one.requests().len(), other.requests().len()), (1, quick + 8));
    gate.open();
}

#[tokio::test]
async fn an_object_is_asked_of_the_same_backend_each_time() {
    let (one, other, conf) = two("{ hash: object }");
    let gateway = Gateway::start(
        BINARY,
        &conf.yaml().replace("kind: proxy", "kind: object").replace("prefix: / ", "prefix: /o/ "),
    )
    .await;
    let content = |n: usize| format!("object {n}");
    let path = |n: usize| format!("/o/b3:{}", blake3::hash(content(n).as_bytes()).to_hex());
    let all: std::collections::BTreeMap<_, _> = (0..16).map(|n| (path(n), content(n))).collect();
    for backend in [&one, &other] {
        let all = all.clone();
        backend.set_script(move |request| Script::whole(200, &[], all[request.path()].clone()));
    }
    for n in 0..32 {
        Version::Http1
            .ask(&gateway, &Request::get(&path(n / 2)))
            .await
            .expect(200, content(n / 2).as_bytes());
    }
    for backend in [&one, &other] {
        let requests = backend.requests();
        let paths: BTreeSet<_> = requests.iter().map(|request| request.path().to_owned()).collect();
        assert!(!paths.is_empty() && requests.len() == paths.len() * 2, "{paths:?}");
    }
}

#[tokio::test]
async fn weights_share_the_requests_among_the_backends() {
    for (weights, expected) in [([1, 1], [4, 4]), ([3, 1], [6, 2])] {
        let (one, other, conf) = two("round_robin");
        let item = |backend: &Backend, weight: u32| {
            format!("{{ address: \"{}\", weight: {weight} }}", backend.address())
        };
        let backends = format!("[{}, {}]", item(&one, weights[0]), item(&other, weights[1]));
        let gateway = Gateway::start(BINARY, &conf.set("clusters.app.backends", backends).yaml()).await;
        for n in 0..8 {
            Version::Http1.ask(&gateway, &keyed(n)).await.expect(200, b"ok");
        }
        assert_eq!([one.requests().len(), other.requests().len()], expected);
    }
}

#[tokio::test]
async fn a_name_is_looked_up_as_often_as_refresh_says() {
    let lookups = |gateway: &Gateway| {
        let failed = |text: &str| text.contains("looking up backend.invalid");
        gateway.log().iter().filter(|line| failed(line.json["message"].as_str().unwrap_or_default())).count()
    };
    let start = async |refresh: &str| {
        let backends = format!("{{ dns: \"backend.invalid:1\", refresh: {refresh} }}");
        let conf = conf::minimal().set("clusters.app.backends", backends).proxy_route("/", "app");
        Gateway::start(BINARY, &conf.yaml()).await
    };
    let (rarely, often) = (start("1h").await, start("100ms").await);
    comes_true("it is looked up again", || lookups(&often) >= 3).await;
    assert_eq!(lookups(&rarely), 1);
}

#[tokio::test]
async fn without_a_required_cluster_the_instance_is_not_ready() {
    let well = Backend::oap().start();
    let gone = Backend::oap().start();
    gone.stop_listening().await;
    for (required, status) in [("true", 503), ("false", 200)] {
        let conf = conf::minimal()
            .oap_cluster("well", &well.address())
            .oap_cluster("gone", &gone.address())
            .set("clusters.gone.health", "{ interval: 20ms, unhealthy: 1 }")
            .set("clusters.gone.required", required)
            .proxy_route("/well/", "well")
            .proxy_route("/gone/", "gone");
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        gateway
            .metric_becomes(&format!("upstream_health{{backend=\"{}\"}}", gone.address()), |up| up == 0.0)
            .await;
        assert_eq!(gateway.admin("/readyz").await.status, status, "{required}");
    }
}

/// A gateway of one worker, whose backend answers when the gate opens.
async fn gated(connections: &str) -> (Gateway, Backend, Gate) {
    let gate = Gate::default();
    let opens = gate.clone();
    let backend = Backend::oap().script(move |_| Script::new().wait(&opens).answer(200, &[], "ok")).start();
    let conf = conf::minimal()
        .set("server.workers", "1")
        .oap_cluster("app", &backend.address())
        .set("clusters.app.connections", connections)
        .set("clusters.app.health.interval", "1h")
        .set("admission.wait", "60s")
        .set("limits.request.timeout", "60s")
        .proxy_route("/", "app");
    (Gateway::start(BINARY, &conf.yaml()).await, backend, gate)
}

#[tokio::test]
async fn connections_are_shared_where_their_mode_allows_it_and_as_many_as_it_says() {
    for (connections, state, expected) in [
        ("{ mode: auto, shared_per_worker: 1 }", "shared", [1, 1, 1, 1, 1]),
        // Another one is made when the freest has a stream.
        ("{ mode: auto, shared_per_worker: 3 }", "shared", [1, 2, 2, 3, 3]),
        ("{ mode: exclusive, max: 3 }", "exclusive_used", [1, 2, 3, 3, 3]),
        ("{ mode: exclusive, max: 256 }", "exclusive_used", [1, 2, 3, 4, 5]),
    ] {
        let (gateway, backend, gate) = gated(connections).await;
        let client = Http2::connect(gateway.address("public")).await;
        let mut all = tokio::task::JoinSet::new();
        for (before, expected) in expected.into_iter().enumerate() {
            let client = client.clone();
            all.spawn(async move { client.request(&Request::get("/x")).await });
            if state == "shared" || before < expected {
                assert_eq!(backend.next_request().await.multiplexed, state == "shared", "{connections}");
            } else {
                gateway.metric_becomes("gateway_drr_queue_depth", |queued| queued > 0.0).await;
            }
            let series = format!("upstream_connections{{state=\"{state}\"}}");
            gateway.metric_becomes(&series, |there| there == expected as f64).await;
        }
        gate.open();
        while let Some(answer) = all.join_next().await {
            answer.unwrap().expect(200, b"ok");
        }
    }
}

#[tokio::test]
async fn there_are_no_more_connections_to_an_http_backend_than_its_most() {
    for (max, expected) in [("2", 2), ("256", 5)] {
        let origin = Origin::http1(1);
        let relay = Relay::to(origin.address());
        let conf = conf::minimal()
            .http1_cluster("app", &relay.address())
            .set("clusters.app.connections.max", max)
            .set("clusters.app.health.interval", "1h")
            .set("admission.wait", "20s")
            .set("limits.request.timeout", "20s")
            .proxy_route("/", "app");
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        gateway.metric_becomes("upstream_health", |up| up == 1.0).await;
        comes_true("the check's is over", || relay.accepted() > 0 && relay.open() == 0).await;
        let client = Http2::connect(gateway.address("public")).await;
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..5 {
            let client = client.clone();
            all.spawn(async move { client.request(&Request::get("/slow/700/2")).await });
        }
        // None of them is answered yet: the others wait for their turn.
        let waiting = (5 - expected) as f64;
        gateway.metric_becomes("gateway_drr_queue_depth", |queued| queued == waiting).await;
        comes_true("those that have a place have a connection", || relay.open() >= expected).await;
        assert_eq!(relay.open(), expected, "{max}");
        while let Some(answer) = all.join_next().await {
            answer.unwrap().expect(200, &pattern(2));
        }
    }
}

#[tokio::test]
async fn a_backend_is_told_the_window_that_it_has() {
    for (window, bytes) in [("128KiB", 128 << 10), ("1MiB", 1 << 20)] {
        let (gateway, backend, gate) = gated(&format!("{{ window: {window} }}")).await;
        gate.open();
        Version::Http1.ask(&gateway, &Request::get("/x")).await.expect(200, b"ok");
        let told = |event: &Event| match &event.what {
            What::Hello(hello) => Some(hello.window),
            _ => None,
        };
        assert!(backend.events().iter().filter_map(told).any(|window| window == Some(bytes)), "{window}");
    }
}
