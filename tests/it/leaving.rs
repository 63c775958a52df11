//! Clients that leave in the middle: their streams are given up, and nothing of theirs stays behind.

use gateway_testing::backend::{Backend, Script, What};
use gateway_testing::client::{Http1, Http2, Request};
use gateway_testing::{Gateway, conf, pattern};

use crate::BINARY;

async fn with(backend: &Backend) -> Gateway {
    let config = conf::minimal().oap_cluster("app", &backend.address()).proxy_route("/", "app");
    Gateway::start(BINARY, &config.yaml()).await
}

#[tokio::test]
async fn who_leaves_mid_download_gives_the_stream_up() {
    let backend = Backend::oap()
        .script(|_| Script::new().read_body().announce(200, 1_000_000).data(pattern(1000)).stall())
        .start();
    let gateway = with(&backend).await;
    for n in 1..=100 {
        if n % 2 == 0 {
            let mut client = Http1::connect(gateway.address("public")).await;
            assert!(client.send(&Request::get("/x").http1_bytes()).await);
            drop(client.answer_head("GET").await.unwrap());
            drop(client);
        } else {
            let client = Http2::connect(gateway.address("public")).await;
            let mut download = client.open(&Request::get("/x")).await;
            download.finish();
            drop(download.answer_start().await.unwrap());
            download.leave();
        }
        backend.wait_for_give_ups(n).await;
    }
    gateway.metric_becomes("inflight_requests{route=\"app\"}", |n| n == 0.0).await;
    gateway.metric_becomes("rejected_total{reason=\"client_left\"}", |n| n == 100.0).await;
}

#[tokio::test]
async fn who_leaves_mid_upload_gives_the_stream_up() {
    let backend = Backend::oap().script(|_| Script::new().read_bytes(1).mark("reading").read_body()).start();
    let gateway = with(&backend).await;
    for n in 1..=50 {
        let from = backend.now();
        let reading =
            || backend.wait_from(from, |event| matches!(event.what, What::Mark("reading")).then_some(()));
        if n % 2 == 0 {
            let mut client = Http1::connect(gateway.address("public")).await;
            assert!(client.send(b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\nsome").await);
            reading().await;
            drop(client);
        } else {
            let client = Http2::connect(gateway.address("public")).await;
            let mut upload = client.open(&Request::new("POST", "/x").open_length()).await;
            assert!(upload.send(pattern(1000)).await);
            reading().await;
            upload.leave();
        }
        backend.wait_for_give_ups(n).await;
    }
    gateway.metric_becomes("inflight_requests{route=\"app\"}", |n| n == 0.0).await;
}
