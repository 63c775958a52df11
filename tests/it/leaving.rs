//! Clients that leave in the middle: their streams are given up at once, and nothing of theirs stays behind.

use std::time::Duration;

use gateway_testing::backend::{Backend, Event, Script, What};
use gateway_testing::client::{Http1, Http2, Request};
use gateway_testing::{Gateway, conf, pattern};
use tokio::time::Instant;

use crate::BINARY;

/// A way to be in the middle of something and to leave it.
#[derive(Clone, Copy, Debug)]
enum Way {
    DownloadHttp1,
    DownloadHttp2,
    /// The stream goes with its connection.
    DownloadHttp2Closed,
    UploadHttp1,
    UploadHttp2,
    UploadHttp2Closed,
}

impl Way {
    const ALL: [Self; 6] = [
        Self::DownloadHttp1,
        Self::DownloadHttp2,
        Self::DownloadHttp2Closed,
        Self::UploadHttp1,
        Self::UploadHttp2,
        Self::UploadHttp2Closed,
    ];
}

/// Comes, leaves, and says how long it took until the backend knew.
async fn leave(gateway: &Gateway, backend: &Backend, way: Way) -> Duration {
    let from = backend.now();
    let reading =
        || backend.wait_from(from, |event| matches!(event.what, What::Mark("reading")).then_some(()));
    let at = gateway.address("public");
    let left;
    match way {
        Way::DownloadHttp1 => {
            let mut client = Http1::connect(at).await;
            assert!(client.send(&Request::get("/down").http1_bytes()).await);
            drop(client.answer_head("GET").await.unwrap());
            left = Instant::now().into_std();
            drop(client);
        }
        Way::DownloadHttp2 | Way::DownloadHttp2Closed => {
            let client = Http2::connect(at).await;
            let mut download = client.open(&Request::get("/down")).await;
            download.finish();
            drop(download.answer_start().await.unwrap());
            left = Instant::now().into_std();
            match way {
                Way::DownloadHttp2 => download.leave(),
                _ => drop((client, download)),
            }
        }
        Way::UploadHttp1 => {
            let mut client = Http1::connect(at).await;
            assert!(
                client.send(b"POST /up HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nsome").await
            );
            reading().await;
            left = Instant::now().into_std();
            drop(client);
        }
        Way::UploadHttp2 | Way::UploadHttp2Closed => {
            let client = Http2::connect(at).await;
            let mut upload = client.open(&Request::new("POST", "/up").open_length()).await;
            assert!(upload.send(pattern(1000)).await);
            reading().await;
            left = Instant::now().into_std();
            match way {
                Way::UploadHttp2 => upload.leave(),
                _ => drop((client, upload)),
            }
        }
    }
    let given_up = |event: &Event| matches!(event.what, What::GivenUp(_)).then_some(event.at);
    backend.wait_from(from, given_up).await.saturating_duration_since(left)
}

/// What must be the same before and after.
async fn standing(gateway: &Gateway) -> (f64, usize) {
    gateway.metric_becomes("inflight_requests", |n| n == 0.0).await;
    (gateway.metric("upstream_connections").await, gateway.process().descriptors())
}

async fn nothing_stays_behind(exclusive: bool) {
    let builder = if exclusive { Backend::oap().exclusive() } else { Backend::oap() };
    // More than a window, so that as much as may wait in the gateway does.
    let backend = builder
        .script(|request| match request.path() {
            "/down" => Script::new().read_body().announce(200, 4_000_000).data(pattern(4_000_000)),
            _ => Script::new().read_bytes(1).mark("reading").read_body(),
        })
        .start();
    let config = conf::minimal().oap_cluster("app", &backend.address()).proxy_route("/", "app");
    let gateway = Gateway::start(BINARY, &config.set("log.access", "off").yaml()).await;
    // The workers' connections, and what the allocator keeps, get to where they stay.
    for _ in 0..8 {
        for way in Way::ALL {
            leave(&gateway, &backend, way).await;
        }
    }
    let (before, resident) = (standing(&gateway).await, gateway.process().resident());
    let mut times = Vec::new();
    for _ in 0..25 {
        for way in Way::ALL {
            times.push(leave(&gateway, &backend, way).await);
        }
    }
    // Half of them, so that a machine that stands still for a moment does not make it fail; each in the load run.
    times.sort_unstable();
    assert!(times[times.len() / 2] <= Duration::from_millis(100), "exclusive={exclusive}: {times:?}");
    let left = (8 + 25) * Way::ALL.len();
    gateway.metric_becomes("rejected_total{reason=\"client_left\"}", |n| n == left as f64).await;
    let after = standing(&gateway).await;
    assert_eq!(before.0, after.0, "upstream connections, exclusive={exclusive}");
    // The scrape's own connection may be open still, or closed already.
    assert!(before.1.abs_diff(after.1) <= 2, "exclusive={exclusive}: {before:?} {after:?}");
    // A window of each of them would be 37 MiB.
    let growth = gateway.process().resident().saturating_sub(resident);
    assert!(growth < 8 << 20, "exclusive={exclusive}: {growth} bytes more");
    assert_eq!(backend.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn who_leaves_a_shared_connection_is_forgotten_at_once() {
    nothing_stays_behind(false).await;
}

#[tokio::test]
async fn who_leaves_an_exclusive_connection_is_forgotten_at_once() {
    nothing_stays_behind(true).await;
}
