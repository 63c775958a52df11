//! `limits`: what one request, one connection and one client may take.

use std::time::Duration;

use gateway_testing::backend::{Backend, Script};
use gateway_testing::client::{Http1, Request};
use gateway_testing::conf::{self, Conf};
use gateway_testing::raw::http2::{PREFACE, frame};
use gateway_testing::{Gateway, PATIENCE};

use crate::BINARY;
use crate::both::Version;
use crate::sharing::{Behind, WAYS, get};

fn app(backend: &Backend) -> Conf {
    conf::minimal().oap_cluster("app", &backend.address()).proxy_route("/", "app")
}

fn well() -> Backend {
    Backend::oap().script(|_| Script::whole(200, &[], "ok")).start()
}

#[tokio::test]
async fn a_request_costs_what_its_method_does() {
    let backend = well();
    for method in ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"] {
        for (cost, passes) in [(5, 1), (2, 2)] {
            let conf = app(&backend)
                .set("limits.cost", format!("{{ {method}: {cost} }}"))
                .set("tenants.anonymous", "{ quota: { rate: 1/h, burst: 5 } }");
            let gateway = Gateway::start(BINARY, &conf.yaml()).await;
            let request = Request::new(method, "/x");
            if method == "HEAD" {
                backend.set_script(|_| Script::new().announce(200, 2).end());
            } else {
                backend.set_script(|_| Script::whole(200, &[], "ok"));
            }
            for n in 0..3 {
                let answer = Version::Http1.ask(&gateway, &request).await;
                assert_eq!(answer.status == 200, n < passes, "{method} {cost} {n}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn each_bound_of_a_head_refuses_what_is_past_it() {
    let behind = Behind::new();
    let long = format!("?{}", "q".repeat(300));
    let fields =
        |n: usize| (0..n).fold(Request::get("/x"), |request, n| request.field(&format!("x-{n}"), "v"));
    let large = Request::get("/x").field("x-large", &"v".repeat(3000));
    for (key, small, request, status, reason) in [
        ("uri", "128B", Request::get(&long), 414, "uri"),
        ("fields", "20", fields(30), 431, "headers"),
        ("head", "2KiB", large, 431, "headers"),
    ] {
        for (value, refuses) in [(small, true), ("default", false)] {
            let conf = behind.conf("");
            let conf = if refuses { conf.set(&format!("limits.request.{key}"), value) } else { conf };
            let gateway = Gateway::start(BINARY, &conf.yaml()).await;
            for way in WAYS {
                for version in Version::ALL {
                    let path = get(way).path + request.path.trim_start_matches("/x");
                    let answer = version.ask(&gateway, &Request { path, ..request.clone() }).await;
                    assert_eq!(
                        answer.status == status,
                        refuses,
                        "{key} {value} {way} {version:?}: {answer:?}"
                    );
                    // What Pingora's own parser refuses has an empty body (http.md §1).
                    if refuses && !answer.body.bytes.is_empty() {
                        assert_eq!(answer.reason(), reason, "{key}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_request_has_the_time_of_the_instance_unless_its_route_says_otherwise() {
    let backend = Backend::oap().script(|_| Script::new().stall()).start();
    let conf = app(&backend).set("limits.request.timeout", "200ms").set("clusters.app.timeouts.read", "60s");
    let longer = backend.address();
    let conf = conf
        .oap_cluster("app", &longer)
        .proxy_route_with("short", "/short/", "app", ", timeout: 50ms")
        .proxy_route_with("long", "/long/", "app", ", timeout: 400ms");
    let gateway = Gateway::start(BINARY, &conf.yaml()).await;
    for version in Version::ALL {
        for (path, most) in [("/x", 200), ("/short/x", 50), ("/long/x", 400)] {
            let answer = version.ask(&gateway, &Request::get(path)).await;
            assert_eq!((answer.status, answer.reason().as_str()), (504, "timeout"), "{path} {version:?}");
            let told =
                backend.requests().last().unwrap().field("x-deadline-ms").unwrap().parse::<u64>().unwrap();
            assert!(told <= most && told > most / 2, "{path}: {told}");
        }
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_when_its_time_is_up() {
    let backend = well();
    let short = Gateway::start(BINARY, &app(&backend).set("limits.request.idle", "100ms").yaml()).await;
    let long = Gateway::start(BINARY, &app(&backend).set("limits.request.idle", "1h").yaml()).await;
    for request in [Some(Request::get("/x")), None] {
        let mut stays = Http1::connect(long.address("public")).await;
        let mut goes = Http1::connect(short.address("public")).await;
        if let Some(request) = &request {
            stays.request(request).await.expect(200, b"ok");
            goes.request(request).await.expect(200, b"ok");
        }
        assert!(goes.closed().await.is_empty());
        stays.request(&Request::get("/x")).await.expect(200, b"ok");
    }
}

#[tokio::test]
async fn an_http2_connection_is_told_its_bounds() {
    let backend = well();
    for (http2, expected) in [
        ("{ streams: 7, stream_window: 32KiB, connection_window: 1MiB }", [7, 32 << 10, 1 << 20]),
        ("{}", [100, 64 << 10, 8 << 20]),
    ] {
        let gateway = Gateway::start(BINARY, &app(&backend).set("limits.http2", http2).yaml()).await;
        let mut client = Http1::connect(gateway.address("public")).await;
        assert!(client.send(&[PREFACE, &frame(4, 0, 0, &[])].concat()).await);
        let (mut told, mut seen) = (Vec::new(), [0; 4096]);
        while bounds(&told) != expected {
            let read = tokio::time::timeout(PATIENCE, client.socket().read_some(&mut seen)).await;
            let read = read.unwrap_or_else(|_| panic!("{http2}: {:?}", bounds(&told))).unwrap();
            assert!(read > 0, "{http2}: {:?}", bounds(&told));
            told.extend_from_slice(&seen[..read]);
        }
    }
}

/// Streams, window of a stream, window of the connection, as RFC 9113 §6.5.2 and §6.9 say them.
fn bounds(mut bytes: &[u8]) -> [u32; 3] {
    let number = |bytes: &[u8]| bytes.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    let mut told = [u32::MAX, 65_535, 65_535];
    while bytes.len() >= 9 {
        let (head, rest) = bytes.split_at(9);
        let Some((payload, rest)) = rest.split_at_checked(number(&head[..3]) as usize) else { break };
        bytes = rest;
        match (head[3], head[4] & 1, number(&head[5..])) {
            (4, 0, 0) => {
                for setting in payload.chunks(6) {
                    match number(&setting[..2]) {
                        3 => told[0] = number(&setting[2..]),
                        4 => told[1] = number(&setting[2..]),
                        _ => {}
                    }
                }
            }
            (8, _, 0) => told[2] += number(payload),
            _ => {}
        }
    }
    told
}

#[tokio::test]
async fn principals_without_a_row_share_what_is_left() {
    let backend = well();
    for (principals, all_pass) in [("8", false), ("100000", true)] {
        let conf = app(&backend)
            .set("limits.principals", principals)
            .set("limits.per_address.rate", "none")
            .set("tenants.anonymous", "{ principal: { rate: 1/h, burst: 1 } }");
        let yaml =
            conf.yaml().replacen("\"127.0.0.1:0\" }", "\"127.0.0.1:0\", trusted_addresses: [127.0.0.1] }", 1);
        let gateway = Gateway::start(BINARY, &yaml).await;
        let mut client = Http1::connect(gateway.address("public")).await;
        let mut passed = 0;
        for n in 1..=24 {
            let request = Request::get("/x").field("x-forwarded-for", &format!("192.0.2.{n}"));
            passed += u32::from(client.request(&request).await.status == 200);
        }
        // Eight rows, and the bucket that all others share.
        assert_eq!(passed, if all_pass { 24 } else { 9 }, "{principals}");
    }
}

#[tokio::test]
async fn one_that_hammers_is_held_after_so_many_refusals_and_for_so_long() {
    let backend = well();
    for (after, delay, held) in [
        (0, "1min", [false; 4]),
        (1, "300ms", [false, true, true, true]),
        (3, "300ms", [false, false, false, true]),
    ] {
        let conf = app(&backend)
            .set("limits.penalty", format!("{{ after: {after}, delay: {delay} }}"))
            .set("limits.rate", "1/h")
            .set("limits.burst", "1");
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        let mut client = Http1::connect(gateway.address("public")).await;
        client.request(&Request::get("/x")).await.expect(200, b"ok");
        for (n, held) in held.into_iter().enumerate() {
            let began = tokio::time::Instant::now();
            assert_eq!(client.request(&Request::get("/x")).await.status, 429);
            // That one is not held is shown by those before it: `after: 0` would take minutes.
            assert!(!held || began.elapsed() >= Duration::from_millis(300), "{after}: {n}");
        }
    }
}
