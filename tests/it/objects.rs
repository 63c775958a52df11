//! Objects through the gateway as it comes out of the box: the embedded store, both versions of HTTP.

use gateway_testing::backend::{Backend, Script};
use gateway_testing::client::{Answer, Request};
use gateway_testing::{Gateway, conf, pattern};

use crate::BINARY;
use crate::both::Version;

async fn with_store() -> Gateway {
    let config = conf::minimal().embedded_cluster("objects").object_routes("objects");
    Gateway::start(BINARY, &config.yaml()).await
}

fn address(answer: &Answer) -> String {
    answer.json()["addr"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_object_is_put_and_read_back_whole_in_part_and_not_at_all() {
    let gateway = with_store().await;
    let content = pattern(256 * 1024);
    for version in Version::ALL {
        let put = version.ask(&gateway, &Request::post("/api/put", content.clone())).await;
        assert!(matches!(put.status, 200 | 201), "{version:?}: {put:?}");
        assert_eq!(put.json()["size"], 262_144);
        let addr = address(&put);
        assert_eq!(addr, format!("b3:{}", blake3::hash(&content).to_hex()));
        let path = format!("/o/{addr}");
        let etag = format!("\"{addr}\"");

        let whole = version.ask(&gateway, &Request::get(&path)).await;
        whole.expect(200, &content);
        assert_eq!(whole.field("etag"), Some(etag.as_str()));
        assert_eq!(whole.field("accept-ranges"), Some("bytes"));
        assert!(whole.field("cache-control").unwrap().contains("immutable"));

        let part = version.ask(&gateway, &Request::get(&path).field("range", "bytes=1000-1999")).await;
        part.expect(206, &content[1000..2000]);
        assert_eq!(part.field("content-range"), Some("bytes 1000-1999/262144"));
        let line = gateway.access_line(part.field("x-corr-id").unwrap()).await;
        assert_eq!(line["unverified"], true);

        let outside = version.ask(&gateway, &Request::get(&path).field("range", "bytes=262144-")).await;
        assert_eq!(outside.status, 416);
        let head = version.ask(&gateway, &Request::head(&path)).await;
        assert_eq!((head.status, head.field("content-length")), (200, Some("262144")));
        let known = version.ask(&gateway, &Request::get(&path).field("if-none-match", &etag)).await;
        known.expect(304, b"");
    }
}

#[tokio::test]
async fn what_is_not_an_object_is_refused_with_its_reason() {
    let gateway = with_store().await;
    let absent = format!("/o/b3:{}", "0".repeat(64));
    for version in Version::ALL {
        let wrong = version.ask(&gateway, &Request::put(&absent, "other bytes")).await;
        assert_eq!((wrong.status, wrong.reason().as_str()), (422, "digest_mismatch"), "{version:?}");
        let gone = version.ask(&gateway, &Request::get(&absent)).await;
        assert_eq!(gone.status, 404);
        let malformed = version.ask(&gateway, &Request::get("/o/b3:00")).await;
        assert_eq!((malformed.status, malformed.reason().as_str()), (400, "malformed"));
        let large = version.ask(&gateway, &Request::post("/api/put", vec![0; (1 << 20) + 1])).await;
        assert_eq!((large.status, large.reason().as_str()), (413, "body_cap"));
        let chunked = Request::post("/api/put", vec![0; (1 << 20) + 1]).open_length();
        let large = version.ask(&gateway, &chunked).await;
        assert_eq!((large.status, large.reason().as_str()), (413, "body_cap"));
    }
    gateway.metric_becomes("rejected_total{reason=\"digest_mismatch\"}", |n| n == 2.0).await;
    gateway.metric_becomes("rejected_total{reason=\"body_cap\"}", |n| n == 4.0).await;
}

#[tokio::test]
async fn a_backend_that_lies_about_an_object_never_ends_a_complete_answer() {
    let content = pattern(100_000);
    let path = format!("/o/b3:{}", blake3::hash(&content).to_hex());
    let mut wrong = content.to_vec();
    wrong[99_999] ^= 1;
    let backend = Backend::oap().script(move |_| Script::whole(200, &[], wrong.clone())).start();
    let config = conf::minimal().oap_cluster("objects", &backend.address()).object_routes("objects");
    let gateway = Gateway::start(BINARY, &config.yaml()).await;
    for version in Version::ALL {
        let answer = version.ask(&gateway, &Request::get(&path)).await;
        assert!(!answer.body.complete, "{version:?}: {}", answer.status);
    }
    // Short enough to be held whole: it is known before the head goes out.
    backend.set_script(|_| Script::whole(200, &[], "short and wrong"));
    for version in Version::ALL {
        let answer = version.ask(&gateway, &Request::get(&path)).await;
        assert_eq!((answer.status, answer.reason().as_str()), (502, "upstream"));
    }
    gateway.metric_becomes("integrity_fail_total", |n| n == 4.0).await;

    backend.set_script(|_| {
        Script::whole(201, &[], format!("{{\"addr\":\"b3:{}\",\"size\":4}}", "1".repeat(64)))
    });
    for version in Version::ALL {
        let answer = version.ask(&gateway, &Request::post("/api/put", "mine")).await;
        assert_eq!((answer.status, answer.reason().as_str()), (502, "upstream"), "it names another object");
    }
}
