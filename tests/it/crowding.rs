//! Places in flight, and who waits for one: tenants, principals and clusters, over both versions of HTTP and both ways up.

use gateway_testing::backend::{Gate, Script};
use gateway_testing::client::{Answer, Http1, Http2, Request, Upload};
use gateway_testing::conf::Conf;
use gateway_testing::{Gateway, pattern};

use tokio::task::JoinSet;

use crate::BINARY;
use crate::both::Version;
use crate::sharing::{Behind, WAYS, counted, get, refused};

/// A gateway with one place in flight, which a request has taken that waits for the gate.
async fn crowded(behind: &Behind, gate: &Gate, conf: Conf) -> (Gateway, Http1) {
    let opens = gate.clone();
    behind.oap.set_script(move |request| match request.path() {
        "/slow" => Script::new().read_body().mark("here").wait(&opens).answer(200, &[], "slow"),
        _ => Script::whole(200, &[], "ok"),
    });
    let gateway = Gateway::start(BINARY, &conf.set("limits.in_flight", "1").yaml()).await;
    let mut slow = Http1::connect(gateway.address("public")).await;
    assert!(slow.send(&Request::get("/oap/slow").http1_bytes()).await);
    behind.oap.wait_for_mark("here").await;
    (gateway, slow)
}

#[tokio::test]
async fn who_finds_no_place_in_flight_is_busy_and_who_waits_gets_it() {
    for way in WAYS {
        for version in Version::ALL {
            let behind = Behind::new();
            let gate = Gate::default();
            let conf = behind.conf("").set("admission.wait", "200ms");
            let (gateway, mut slow) = crowded(&behind, &gate, conf).await;
            let no = version.ask(&gateway, &get(way)).await;
            refused(&gateway, &no, 429, "busy").await;
            let route = way.trim_start_matches('/');
            assert_eq!(counted(&gateway, &format!("busy_rejections_total{{route=\"{route}\"}}")).await, 1.0);
            gate.open();
            slow.answer("GET").await.expect(200, b"slow");
            assert_eq!(version.ask(&gateway, &get(way)).await.status, 200, "{way} {version:?}");
        }
    }
}

#[tokio::test]
async fn queues_are_bounded_and_a_client_that_leaves_gives_its_place_up() {
    let behind = Behind::new();
    let gate = Gate::default();
    let conf = behind
        .conf("")
        .set("admission", "{ wait: 60s, queue: 2, queue_total: 2 }")
        .set("log.server_timing", "true");
    let (gateway, mut slow) = crowded(&behind, &gate, conf).await;
    let depth = "gateway_drr_queue_depth{tenant=\"anonymous\"}";
    let mut waiting = Vec::new();
    for n in 1..=2 {
        let mut client = Http1::connect(gateway.address("public")).await;
        assert!(client.send(&get("/oap").http1_bytes()).await);
        gateway.metric_becomes(depth, |queued| queued == f64::from(n)).await;
        waiting.push(client);
    }
    let no = Version::Http2.ask(&gateway, &get("/oap")).await;
    refused(&gateway, &no, 429, "busy").await;
    // One leaves: there is a place in the queue, over HTTP/2 too.
    drop(waiting.pop());
    gateway.metric_becomes(depth, |queued| queued == 1.0).await;
    let client = Http2::connect(gateway.address("public")).await;
    let mut second = client.open(&get("/oap")).await;
    second.finish();
    gateway.metric_becomes(depth, |queued| queued == 2.0).await;
    second.leave();
    gateway.metric_becomes(depth, |queued| queued == 1.0).await;
    gate.open();
    slow.answer("GET").await.expect(200, b"slow");
    let answer = waiting.pop().unwrap().answer("GET").await;
    answer.expect(200, b"ok");
    let timing = answer.field("server-timing").unwrap();
    assert!(timing.starts_with("queue;dur=") && !timing.starts_with("queue;dur=0.0"), "{timing}");
    let line = gateway.access_line(answer.field("x-corr-id").unwrap()).await;
    assert!(line["queue_ms"].as_f64().unwrap() > 0.0, "{line}");
    assert!(counted(&gateway, "gateway_drr_wait_seconds_count{tenant=\"anonymous\"}").await >= 3.0);
}

#[tokio::test]
async fn bounds_of_tenants_principals_and_clusters_hold_while_there_are_other_places() {
    for (key, value) in [
        ("tenants.anonymous", "{ in_flight: 1 }"),
        ("tenants.anonymous", "{ principal: { in_flight: 1 } }"),
        ("clusters.oap.in_flight", "1"),
    ] {
        let behind = Behind::new();
        let gate = Gate::default();
        let opens = gate.clone();
        behind.oap.set_script(move |request| match request.path() {
            "/slow" => Script::new().mark("here").wait(&opens).answer(200, &[], "slow"),
            _ => Script::whole(200, &[], "ok"),
        });
        let conf = behind.conf("").set("admission.wait", "100ms").set(key, value);
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        let mut slow = Http1::connect(gateway.address("public")).await;
        assert!(slow.send(&Request::get("/oap/slow").http1_bytes()).await);
        behind.oap.wait_for_mark("here").await;
        for version in Version::ALL {
            let no = version.ask(&gateway, &get("/oap")).await;
            assert_eq!((no.status, no.reason().as_str()), (429, "busy"), "{key} {value} {version:?}: {no:?}");
        }
        let elsewhere = Version::Http1.ask(&gateway, &get("/plain")).await.status;
        assert_eq!(elsewhere, if key.starts_with("clusters") { 200 } else { 429 }, "{key} {value}");
        gate.open();
        slow.answer("GET").await.expect(200, b"slow");
    }
}

/// Requests that nobody answers, by the way they go.
fn slow(way: &str) -> Request {
    Request::get(&format!("{way}{}", if way == "/oap" { "/slow" } else { "/slow/60000/2" }))
}

/// So many requests at once, all of one client or each of another's.
fn burst(
    gateway: &Gateway,
    version: Version,
    request: &Request,
    clients: Clients,
    times: usize,
) -> JoinSet<Answer> {
    let requests = (0..times).map(|n| match clients {
        Clients::One => request.clone(),
        Clients::Many => request.clone().field("x-forwarded-for", &format!("127.0.1.{n}")),
    });
    let address = gateway.address("public");
    requests
        .map(|request| {
            let address = address.clone();
            async move {
                match version {
                    Version::Http1 => Http1::connect(address).await.request(&request).await,
                    Version::Http2 => Http2::connect(address).await.request(&request).await,
                }
            }
        })
        .collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clients {
    One,
    Many,
}

/// `yaml`, whose public listener believes what is told of clients.
fn believing(yaml: &str) -> String {
    let listener = "{ name: public, address: \"127.0.0.1:0\"";
    yaml.replacen(listener, &format!("{listener}, trusted_addresses: [127.0.0.1]"), 1)
}

#[tokio::test]
async fn a_burst_to_a_cluster_that_stalls_leaves_places_for_the_others() {
    const ANOTHER: &str = "{ identify: [ { address: [127.9.0.2] } ] }";
    for (stalls, well) in [("/oap", "/plain"), ("/plain", "/oap")] {
        for (warm, version) in [(false, Version::Http1), (true, Version::Http2)] {
            for (another_tenant, clients, most) in
                [(false, Clients::Many, 14.0), (true, Clients::Many, 13.0), (true, Clients::One, 13.0)]
            {
                let what = format!("{stalls} warm: {warm} {version:?} {clients:?} another: {another_tenant}");
                // A quarter, while nothing is known of the one client.
                let most = if clients == Clients::One && !warm { 4.0 } else { most };
                let behind = Behind::new();
                let gate = Gate::default();
                behind.oap.set_script(move |request| match request.path() {
                    "/slow" => Script::new().wait(&gate).answer(200, &[], "slow"),
                    _ => Script::whole(200, &[], "ok"),
                });
                let conf = behind.conf("").set("admission.wait", "500ms").set("limits.in_flight", "16");
                let conf = conf.set("limits.request.timeout", "60s").set("tenants.anonymous", "{}");
                let conf = if another_tenant { conf.set("tenants.another", ANOTHER) } else { conf };
                let gateway = Gateway::start(BINARY, &believing(&conf.yaml())).await;
                if warm {
                    for way in [stalls, well, stalls, well] {
                        assert_eq!(version.ask(&gateway, &get(way)).await.status, 200, "{what}");
                    }
                }
                let _slow = burst(&gateway, version, &slow(stalls), clients, 30);
                let held = format!("inflight_requests{{route=\"{}\"}}", stalls.trim_start_matches('/'));
                gateway.metric_becomes(&held, |held| held == most).await;
                for _ in 0..5 {
                    for version in Version::ALL {
                        let answer = version.ask(&gateway, &get(well)).await;
                        assert_eq!(answer.status, 200, "{what}: {answer:?}");
                    }
                }
                assert_eq!(counted(&gateway, &held).await, most, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn a_reload_that_raises_a_bound_serves_those_that_wait_at_once() {
    for way in WAYS {
        let name = way.trim_start_matches('/');
        for (key, value, version) in [
            ("tenants.anonymous", "{ in_flight: N }", Version::Http1),
            ("tenants.anonymous", "{ principal: { in_flight: N } }", Version::Http2),
            (&*format!("clusters.{name}.in_flight"), "N", Version::Http1),
        ] {
            let what = format!("{way} {key} {value}");
            let behind = Behind::new();
            let gate = Gate::default();
            behind.oap.set_script(move |_| Script::new().wait(&gate).answer(200, &[], "slow"));
            let conf = |most: u32| {
                let conf = behind.conf("").set("admission.wait", "60s").set("limits.request.timeout", "60s");
                conf.set(key, value.replace('N', &most.to_string())).yaml()
            };
            let gateway = Gateway::start(BINARY, &conf(1)).await;
            let _slow = burst(&gateway, version, &slow(way), Clients::One, 6);
            let depth = "gateway_drr_queue_depth{tenant=\"anonymous\"}";
            let held = format!("inflight_requests{{route=\"{name}\"}}");
            let becomes = async |most: f64| {
                gateway.metric_becomes(&held, |held| held == most).await;
                gateway.metric_becomes(depth, |waiting| waiting == 6.0 - most).await;
            };
            becomes(1.0).await;
            for most in [3, 5] {
                assert_eq!(gateway.reload(&conf(most)).await.status, 200, "{what}");
                becomes(most.into()).await;
            }
            // Lowered, it takes nothing back, and gives nothing.
            assert_eq!(gateway.reload(&conf(2)).await.status, 200, "{what}");
            becomes(5.0).await;
            let _more = burst(&gateway, version, &slow(way), Clients::One, 1);
            gateway.metric_becomes(depth, |waiting| waiting == 2.0).await;
            assert_eq!(counted(&gateway, &held).await, 5.0, "{what}");
        }
    }
}

#[tokio::test]
async fn a_small_body_takes_no_place_while_it_arrives() {
    for way in WAYS {
        let behind = Behind::new();
        behind.oap.set_script(|_| Script::new().read_body().answer(201, &[], "stored"));
        let conf = behind.conf("").set("admission.wait", "100ms").set("limits.in_flight", "1");
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        // Half of a small body: no place is taken.
        let mut slow = Http1::connect(gateway.address("public")).await;
        let head =
            format!("POST {way}/x HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\nexpect: 100-continue\r\n\r\n");
        assert!(slow.send(head.as_bytes()).await);
        assert!(slow.send(b"half").await);
        assert_eq!(Version::Http1.ask(&gateway, &get("/plain")).await.status, 200);
        assert!(slow.send(b"rest").await);
        let answer = slow.answer("POST").await;
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(slow.informational(), [100]);
        // Half of one that is not gathered: it holds the place.
        for (key, value, declared) in [
            ("admission.gather", "4B", "content-length: 8"),
            ("admission.gather_total", "0B", "content-length: 8"),
            ("admission.gather", "64KiB", "transfer-encoding: chunked"),
        ] {
            let conf =
                behind.conf("").set("admission.wait", "100ms").set("limits.in_flight", "1").set(key, value);
            let gateway = Gateway::start(BINARY, &conf.yaml()).await;
            let mut slow = Http1::connect(gateway.address("public")).await;
            let head = format!("POST {way}/x HTTP/1.1\r\nhost: a\r\n{declared}\r\n\r\n");
            assert!(slow.send(head.as_bytes()).await);
            gateway.metric_becomes("inflight_requests", |n| n == 1.0).await;
            let no = Version::Http2.ask(&gateway, &get("/plain")).await;
            assert_eq!((no.status, no.reason().as_str()), (429, "busy"), "{way} {key}: {no:?}");
        }
    }
}

/// Says a head whose body is large, and so many bytes of it.
async fn part_of_an_upload(client: &Http2, way: &str, id: &str, part: usize) -> Upload {
    let body = pattern(100_000);
    let post = Request::post(&format!("{way}/x"), body.clone()).field("x-corr-id", id);
    let mut upload = client.open(&post).await;
    assert!(upload.send(body.slice(..part)).await);
    upload
}

#[tokio::test]
async fn beyond_what_may_be_unread_who_holds_most_of_it_is_refused_and_nobody_else() {
    const UNREAD: &str = "gateway_http2_unread_bytes";
    for way in WAYS {
        let behind = Behind::new();
        let gate = Gate::default();
        let conf = behind
            .conf(", shed: never")
            .set("admission", "{ wait: 60s }")
            .set("limits.request.timeout", "60s")
            .set("limits.http2.unread_total", "125KiB");
        let (gateway, mut slow) = crowded(&behind, &gate, conf.clone()).await;
        let (greedy, modest) = (
            Http2::connect(gateway.address("public")).await,
            Http2::connect(gateway.address("public")).await,
        );
        let mut uploads = Vec::new();
        for n in 1..=2 {
            uploads.push(part_of_an_upload(&greedy, way, "an-upload", 60_000).await);
            gateway.metric_becomes(UNREAD, |bytes| bytes == f64::from(n) * 60_000.0).await;
        }
        let one_of_the_modest = part_of_an_upload(&modest, way, "another", 10_000).await;
        gateway.metric_becomes(UNREAD, |bytes| bytes == 130_000.0).await;
        let mut refused = part_of_an_upload(&greedy, way, "refused-1", 60_000).await;
        let no = refused.answer_head().await.expect_err("it is refused");
        assert_eq!(no.reason(), Some(h2::Reason::REFUSED_STREAM), "{way}");
        let line = gateway.access_line("refused-1").await;
        assert_eq!((&line["status"], &line["reason"]), (&429.into(), &"busy".into()), "{line}");
        assert_eq!(counted(&gateway, "rejected_total{reason=\"busy\"}").await, 1.0);
        // What was thrown away is known to within the windows of those that are left.
        const EXCESS: f64 = 2.0 * 65_536.0 - 120_000.0;
        // Who holds less than a share may go on, and so may what has no body.
        let another_of_the_modest = part_of_an_upload(&modest, way, "more", 10_000).await;
        gateway.metric_becomes(UNREAD, |bytes| (140_000.0..=140_000.0 + EXCESS).contains(&bytes)).await;
        let request = get(way);
        let mut bodyless = std::pin::pin!(greedy.request(&request));
        let depth = "gateway_drr_queue_depth{tenant=\"anonymous\"}";
        tokio::select! {
            no = &mut bodyless => panic!("{no:?}"),
            _ = gateway.metric_becomes(depth, |queued| queued == 5.0) => {}
        }
        // A reload raises the bound at once.
        let raised = conf.clone().set("limits.in_flight", "1").set("limits.http2.unread_total", "1MiB");
        assert_eq!(gateway.reload(&raised.yaml()).await.status, 200);
        uploads.push(part_of_an_upload(&greedy, way, "let-in", 60_000).await);
        gateway.metric_becomes(UNREAD, |bytes| (200_000.0..=200_000.0 + EXCESS).contains(&bytes)).await;
        // What is thrown away is unread no more, nor what is read.
        uploads.remove(0).leave();
        gateway.metric_becomes(UNREAD, |bytes| bytes < 200_000.0).await;
        gate.open();
        slow.answer("GET").await.expect(200, b"slow");
        let large = uploads.into_iter().map(|upload| (upload, 60_000));
        let small = [one_of_the_modest, another_of_the_modest].map(|upload| (upload, 10_000));
        let all = futures_util::future::join_all(large.chain(small).map(|(mut upload, sent)| async move {
            // Whether it is asked for or not: the service answers at once.
            if upload.send(pattern(100_000).split_off(sent)).await {
                upload.finish();
            }
            let answer = upload.answer().await;
            assert!(matches!(answer.status, 200 | 201), "{answer:?}");
        }));
        let (bodyless, _) = tokio::join!(bodyless, all);
        assert_eq!(bodyless.status, 200, "{bodyless:?}");
        gateway.metric_becomes(UNREAD, |bytes| bytes == 0.0).await;
    }
}
