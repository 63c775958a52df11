//! Who may connect: how many, from where, and whom a proxy speaks for.

use gateway_testing::backend::{Backend, Script};
use gateway_testing::client::{Http1, Http2, Request};
use gateway_testing::conf::{self, Conf};
use gateway_testing::origin::Origin;
use gateway_testing::process::Line;
use gateway_testing::{Gateway, PATIENCE};

use crate::BINARY;

fn app(backend: &Backend) -> Conf {
    conf::minimal().oap_cluster("app", &backend.address()).proxy_route("/", "app")
}

/// A connection on which a request has been answered: it is open for certain.
async fn open(gateway: &Gateway) -> Http1 {
    let mut client = Http1::connect(gateway.address("public")).await;
    client.request(&Request::get("/x")).await.expect(200, b"ok");
    client
}

/// Whether the next connection is closed without an answer.
async fn is_refused(gateway: &Gateway) -> bool {
    let mut client = Http1::connect(gateway.address("public")).await;
    let _sent = client.send(&Request::get("/x").http1_bytes()).await;
    client.answer_head("GET").await.is_err()
}

#[tokio::test]
async fn connections_are_bounded_in_all_and_from_one_address_at_start_and_after_a_reload() {
    let backend = Backend::oap().script(|_| Script::whole(200, &[], "ok")).start();
    for key in ["limits.connections", "limits.per_address.connections"] {
        let conf = |most: &str| app(&backend).set(key, most).yaml();
        let gateway = Gateway::start(BINARY, &conf("2")).await;
        let first = open(&gateway).await;
        let _second = open(&gateway).await;
        assert!(is_refused(&gateway).await, "{key}");
        gateway.metric_becomes("rejected_total{reason=\"connections\"}", |n| n == 1.0).await;
        // A raised bound holds from the next connection on, a lowered one closes nobody.
        assert_eq!(gateway.reload(&conf("3")).await.status, 200);
        let _third = open(&gateway).await;
        assert_eq!(gateway.reload(&conf("1")).await.status, 200);
        assert!(is_refused(&gateway).await, "{key}");
        let mut first = first;
        first.request(&Request::get("/x")).await.expect(200, b"ok");
        // A place that is given back is free again.
        drop(first);
        assert_eq!(gateway.reload(&conf("3")).await.status, 200);
        let began = tokio::time::Instant::now();
        while is_refused(&gateway).await {
            assert!(began.elapsed() < PATIENCE, "{key}");
        }
    }
}

#[tokio::test]
async fn trusted_peers_are_not_bounded_by_their_address() {
    let backend = Backend::oap().script(|_| Script::whole(200, &[], "ok")).start();
    let yaml = app(&backend).set("limits.per_address.connections", "1").yaml();
    let trusting = yaml.replacen("\"127.0.0.1:0\" }", "\"127.0.0.1:0\", trusted_addresses: [127.0.0.1] }", 1);
    let gateway = Gateway::start(BINARY, &trusting).await;
    let _all = [open(&gateway).await, open(&gateway).await, open(&gateway).await];
}

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 80\r\n";
/// Version 2, PROXY, TCP over IPv4: 192.0.2.7:4711 to 198.51.100.1:80.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x12\x67\0\x50";

#[tokio::test]
async fn the_proxy_protocol_names_the_client_however_its_header_is_cut() {
    let backend = Backend::oap().script(|_| Script::whole(200, &[], "ok")).start();
    let yaml = app(&backend)
        .set("tenants.anonymous", "{}")
        .set("tenants.named", "{ identify: [ { address: [192.0.2.7] } ] }")
        .yaml();
    let listener = "\"127.0.0.1:0\", trusted_addresses: [127.0.0.1], proxy_protocol: required }";
    let gateway = Gateway::start(BINARY, &yaml.replacen("\"127.0.0.1:0\" }", listener, 1)).await;
    for header in [V1, V2] {
        for cut in [1, 5, 13, header.len() - 1] {
            let mut client = Http1::connect(gateway.address("public")).await;
            let whole = [header, &Request::get("/x").http1_bytes()].concat();
            assert!(client.send_cut(&whole, &[cut]).await);
            let answer = client.answer("GET").await;
            answer.expect(200, b"ok");
            let line = gateway.access_line(answer.field("x-corr-id").unwrap()).await;
            assert_eq!(line["tenant"], "named", "{line}");
            let told = backend.next_request().await;
            assert_eq!(told.head.field("x-forwarded-for"), Some("192.0.2.7"));
            // The connection goes on without another header.
            client.request(&Request::get("/x")).await.expect(200, b"ok");
            drop(backend.next_request().await);
        }
    }
    // Without one it is closed, and so is one that is none.
    for first in [&b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n"[..], b"PROXY TCP4 nonsense\r\n"] {
        let mut client = Http1::connect(gateway.address("public")).await;
        let _sent = client.send(first).await;
        assert!(client.answer_head("GET").await.is_err());
    }
}

#[tokio::test]
async fn who_is_not_trusted_may_not_speak_the_proxy_protocol() {
    let backend = Backend::oap().script(|_| Script::whole(200, &[], "ok")).start();
    let listener = "\"127.0.0.1:0\", trusted_addresses: [192.0.2.1], proxy_protocol: required }";
    let yaml = app(&backend).yaml().replacen("\"127.0.0.1:0\" }", listener, 1);
    let gateway = Gateway::start(BINARY, &yaml).await;
    let mut client = Http1::connect(gateway.address("public")).await;
    let _sent = client.send(&[V1, &Request::get("/x").http1_bytes()].concat()).await;
    assert!(client.answer_head("GET").await.is_err());
    assert!(backend.requests().is_empty());
}

#[tokio::test]
async fn many_clients_connect_at_once_over_either_version() {
    let backend = Backend::oap().script(|_| Script::whole(200, &[], "ok")).start();
    let gateway = Gateway::start(BINARY, &app(&backend).yaml()).await;
    let mut all = tokio::task::JoinSet::new();
    for n in 0..100 {
        let address = gateway.address("public");
        all.spawn(async move {
            let request = Request::get("/x");
            match n % 2 {
                0 => Http1::connect(address).await.request(&request).await.expect(200, b"ok"),
                _ => Http2::connect(address).await.request(&request).await.expect(200, b"ok"),
            }
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
}

/// Waits until each of these has been checked so often, and each time without a descriptor for it.
async fn checked_in_vain(gateway: &Gateway, backends: &[&str], times: usize) {
    let in_vain = |line: &Line, backend: &str| {
        let message = line.json["message"].as_str().unwrap_or_default();
        message.contains(&format!("check of {backend}: false")) && message.contains("Too many open files")
    };
    let mut counts = vec![0; backends.len()];
    let all = gateway.process().wait_for_line(PATIENCE, |line| {
        backends.iter().zip(&mut counts).for_each(|(at, count)| *count += usize::from(in_vain(line, at)));
        counts.iter().all(|count| *count >= times).then_some(())
    });
    assert!(all.await.is_some(), "{}", gateway.log_text());
}

fn both_ways(oap: &Backend, http1: &Origin) -> Conf {
    conf::minimal()
        .oap_cluster("app", &oap.address())
        .http1_cluster("plain", &http1.address().into())
        .proxy_route_with("plain", "/plain/", "plain", ", shed: never")
        .proxy_route_with("app", "/", "app", ", shed: never")
}

#[tokio::test]
async fn a_gateway_without_descriptors_blames_no_backend() {
    let backend = Backend::oap().script(|_| Script::whole(200, &[], "ok")).start();
    let origin = Origin::http1(1);
    let (oap, plain) = (backend.address().to_string(), origin.address().to_string());
    let config = both_ways(&backend, &origin)
        .oap_cluster("fresh", &backend.address())
        .proxy_route_with("fresh", "/fresh/", "fresh", ", shed: never")
        .set("clusters.app.health", "{ interval: 50ms, unhealthy: 2 }")
        .set("clusters.plain.health", "{ interval: 50ms, unhealthy: 2 }")
        .set("clusters.fresh.health.interval", "1h")
        .set("clusters.fresh.ejection", "{ consecutive_failures: 1, share: 100% }")
        .set("clusters.plain.ejection", "{ consecutive_failures: 1, share: 100% }")
        .set("log.level", "debug");
    let gateway = Gateway::builder(BINARY).config(config.yaml()).descriptors(120, 120).start().await;
    let mut client = open(&gateway).await;
    // Operators may take every descriptor that is left.
    let mut held = Vec::new();
    for _ in 0..120 {
        held.push(Http1::connect(gateway.address("admin")).await);
    }
    checked_in_vain(&gateway, &[&oap, &plain], 5).await;
    // What needs no further connection goes on.
    client.request(&Request::get("/x")).await.expect(200, b"ok");
    // In this order: the pipeline closes the connection, which gives a descriptor back.
    for path in ["/fresh/x", "/plain/x"] {
        let answer = client.request(&Request::get(path)).await;
        assert_eq!((answer.status, answer.reason().as_str()), (503, "degraded"), "{path}");
        assert!(answer.field("retry-after").is_some(), "{path}");
        let line = gateway.access_line(answer.field("x-corr-id").unwrap()).await;
        assert!(line["detail"].as_str().unwrap().contains("Too many open files"), "{line}");
    }
    drop(held);
    gateway.metric_becomes("upstream_health", |healthy| healthy == 2.0).await;
    let log = gateway.log_text();
    assert!(!log.contains("is unhealthy") && !log.contains("is ejected"), "{log}");
    let told = format!("{plain} cannot be checked");
    assert_eq!(log.matches(&told).count(), 1, "once, and not again and again");
    let mut client = open(&gateway).await;
    assert_eq!(client.request(&Request::get("/fresh/x")).await.status, 200);
    assert_eq!(client.request(&Request::get("/plain/x")).await.status, 404, "it is the service's own");
}

#[tokio::test]
async fn clients_do_not_get_the_descriptors_that_backends_and_operators_need() {
    let backend = Backend::oap().script(|_| Script::whole(200, &[], "ok")).start();
    let origin = Origin::http1(1);
    let (oap, plain) = (backend.address().to_string(), origin.address().to_string());
    let config = both_ways(&backend, &origin)
        .set("clusters.app.health", "{ interval: 50ms, unhealthy: 2 }")
        .set("clusters.plain.health", "{ interval: 50ms, unhealthy: 2 }")
        .set("limits.per_address.connections", "none")
        .set("log.level", "debug");
    // It takes what it may have.
    let gateway = Gateway::builder(BINARY).config(config.yaml()).descriptors(80, 120).start().await;
    let says_so =
        |text: &str| text.contains("10000 are more than the 120 descriptors") && text.contains("88");
    gateway
        .log_line(|line| {
            line["event"] == "few_descriptors" && says_so(line["message"].as_str().unwrap_or_default())
        })
        .await;
    let mut client = open(&gateway).await;
    let mut held = Vec::new();
    for _ in 0..200 {
        held.push(Http1::connect(gateway.address("public")).await);
    }
    gateway.metric_becomes("rejected_total{reason=\"connections\"}", |n| n >= 112.0).await;
    assert!(is_refused(&gateway).await);
    let checked = |line: &Line, at: &str| {
        line.json["message"].as_str().is_some_and(|message| message.contains(&format!("check of {at}: true")))
    };
    let from = gateway.log().len();
    for at in [&oap, &plain] {
        let mut checks = 0;
        let often = gateway.process().wait_for_line_from(from, PATIENCE, |line| {
            checks += u32::from(checked(line, at));
            (checks >= 5).then_some(())
        });
        assert!(often.await.is_some(), "{}", gateway.log_text());
    }
    client.request(&Request::get("/x")).await.expect(200, b"ok");
    assert_eq!(client.request(&Request::get("/plain/x")).await.status, 404, "it is the service's own");
    for (connections, warns) in [("88", false), ("10000", true)] {
        let answer = gateway.reload(&config.clone().set("limits.connections", connections).yaml()).await;
        let warnings = answer.json()["warnings"].to_string();
        assert_eq!((answer.status, says_so(&warnings)), (200, warns), "{warnings}");
    }
    assert!(!gateway.log_text().contains("Too many open files"), "{}", gateway.log_text());
    drop(held);
    let began = tokio::time::Instant::now();
    while is_refused(&gateway).await {
        assert!(began.elapsed() < PATIENCE);
    }
}
