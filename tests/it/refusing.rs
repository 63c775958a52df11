//! What is refused before a backend is asked, over both versions of HTTP and both ways up.

use gateway_testing::backend::Backend;
use gateway_testing::client::{Http1, Http2, Request};
use gateway_testing::origin::Origin;
use gateway_testing::{Gateway, conf};

use crate::BINARY;
use crate::both::Version;
use crate::sharing::{Behind, WAYS};

#[tokio::test]
async fn each_refusal_has_one_reason_in_answer_log_and_metric() {
    let backend = Backend::oap().start();
    let origin = Origin::http1(1);
    let config = conf::minimal()
        .oap_cluster("oap", &backend.address())
        .http1_cluster("plain", &origin.address().into())
        .set("limits.request.uri", "1KiB")
        .set("limits.body.max", "64KiB")
        .route("{ name: oap, match: { path: { prefix: /oap/ }, methods: [GET, POST] }, kind: proxy, cluster: oap }")
        .route("{ name: plain, match: { path: { prefix: /plain/ }, methods: [GET, POST] }, kind: proxy, cluster: plain }");
    let gateway = Gateway::start(BINARY, &config.yaml()).await;
    let long = format!("/oap/{}", "a".repeat(1100));
    let body = vec![7_u8; 64 * 1024 + 1];
    let mut cases = vec![
        (Request::get("/elsewhere"), 404, "no_route"),
        (Request::new("DELETE", "/oap/x"), 405, "method"),
        (Request::get(&long), 414, "uri"),
        (Request::get("/oap/a/%2e%2e/b"), 400, "malformed"),
        (Request::get("/oap/a%2fb"), 400, "malformed"),
    ];
    for way in ["/oap/x", "/plain/x"] {
        cases.push((Request::post(way, body.clone()), 413, "body_cap"));
        cases.push((Request::post(way, body.clone()).open_length(), 413, "body_cap"));
    }
    let many = (0..101).fold(Request::get("/oap/x"), |request, n| request.field(&format!("x-{n}"), "v"));
    cases.push((many, 431, "headers"));
    for (request, status, reason) in cases {
        for version in Version::ALL {
            let before = gateway.metric(&format!("rejected_total{{reason=\"{reason}\"}}")).await;
            let answer = version.ask(&gateway, &request).await;
            assert_eq!(
                (answer.status, answer.reason().as_str()),
                (status, reason),
                "{version:?} {request:?}"
            );
            assert_eq!(answer.json()["corr_id"].as_str(), answer.field("x-corr-id"));
            assert_eq!(answer.field("cache-control"), Some("no-store"));
            let line = gateway.access_line(answer.field("x-corr-id").unwrap()).await;
            assert_eq!(
                (line["status"].as_u64(), line["reason"].as_str()),
                (Some(u64::from(status)), Some(reason))
            );
            let after = gateway.metric(&format!("rejected_total{{reason=\"{reason}\"}}")).await;
            assert!(after >= before + 1.0, "{reason}");
        }
    }
}

#[tokio::test]
async fn an_absolute_target_is_its_path_at_its_host() {
    let backend = Backend::oap().start();
    let config = conf::minimal().oap_cluster("app", &backend.address()).proxy_route("/a/", "app");
    let gateway = Gateway::start(BINARY, &config.yaml()).await;
    for (target, path) in [("http://h.example/a/b?c=d", "/a/b?c=d"), ("HTTP://h.example/a/", "/a/")] {
        let answer = Version::Http1.ask(&gateway, &Request::get(target).authority("h.example")).await;
        answer.expect(200, b"ok");
        let told = backend.next_request().await;
        assert_eq!(told.path(), path);
    }
    for (target, status) in
        [("http://h.example", 404), ("http://h.example?x", 404), ("http://other/a/b", 400)]
    {
        let answer = Version::Http1.ask(&gateway, &Request::get(target).authority("h.example")).await;
        assert_eq!(answer.status, status, "{target}");
    }
}

#[tokio::test]
async fn an_http_1_0_connection_ends_with_its_answer_unless_the_client_asks_for_more() {
    let backend = Backend::oap().start();
    let config = conf::minimal().oap_cluster("app", &backend.address()).proxy_route("/", "app");
    let gateway = Gateway::start(BINARY, &config.yaml()).await;
    for (path, status) in [("/x", 200), ("/%00", 400)] {
        let mut client = Http1::connect(gateway.address("public")).await;
        assert!(client.send(format!("GET {path} HTTP/1.0\r\nhost: a\r\n\r\n").as_bytes()).await);
        assert_eq!(client.answer("GET").await.status, status);
        assert!(client.closed().await.is_empty());
    }
    let mut client = Http1::connect(gateway.address("public")).await;
    for _ in 0..2 {
        assert!(client.send(b"GET /x HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n").await);
        client.answer("GET").await.expect(200, b"ok");
    }
}

#[tokio::test]
async fn what_http_1_cannot_say_is_malformed_over_http_2() {
    let behind = Behind::new();
    let gateway = Gateway::start(BINARY, &behind.conf("").yaml()).await;
    for way in WAYS {
        let client = Http2::connect(gateway.address("public")).await;
        let post = Request::new("POST", &format!("{way}/x"));
        let twice = post.clone().field("content-length", "0").field("content-length", "0");
        let mut upload = client.open(&twice).await;
        upload.finish();
        let no = upload.answer().await;
        assert_eq!((no.status, no.reason().as_str()), (400, "malformed"), "{way}");
        for padded in [" v", "v ", "\tv"] {
            let no = client.request(&Request::get(&format!("{way}/x")).field("x-any", padded)).await;
            assert_eq!((no.status, no.reason().as_str()), (400, "malformed"), "{way} {padded:?}");
        }
        let mut upload = client.open(&post.field("content-length", "0")).await;
        upload.finish();
        assert!(upload.answer().await.status < 300, "{way}");
    }
}
