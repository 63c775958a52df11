//! What is refused before a backend is asked, over both versions of HTTP and both ways up.

use gateway_testing::backend::Backend;
use gateway_testing::client::Request;
use gateway_testing::origin::Origin;
use gateway_testing::{Gateway, conf};

use crate::BINARY;
use crate::both::Version;

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
