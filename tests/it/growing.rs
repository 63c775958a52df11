//! Bodies that are decoded on their way over Pingora's pipeline, where more goes on than comes: services that die, answer
//! early or take their time, and clients of HTTP/1.0.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use gateway_testing::client::{Http1, Http2, Request};
use gateway_testing::conf::{self, Conf};
use gateway_testing::encoded::{Format, noise};
use gateway_testing::net::Address;
use gateway_testing::process::Signal;
use gateway_testing::{Gateway, PATIENCE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::BINARY;
use crate::both::Version;

/// A service of plain HTTP/1.1 that answers in chunks what the content's digest is.
struct Service {
    address: Address,
    /// So many connections die when they have read a little of a body.
    deaths: Arc<AtomicUsize>,
    /// Of a body on `/N` no more than N bytes, or a little more, are read before.
    reads: watch::Sender<bool>,
    /// Connections that wait for that.
    waiting: watch::Sender<usize>,
}

impl Service {
    async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let this = Arc::new(Self {
            address: listener.local_addr().unwrap().into(),
            deaths: Arc::default(),
            reads: watch::Sender::new(true),
            waiting: watch::Sender::new(0),
        });
        let service = Arc::clone(&this);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = Arc::clone(&service);
                tokio::spawn(async move { service.serve(stream).await });
            }
        });
        this
    }

    async fn are_waiting(&self, many: usize) {
        let mut waiting = self.waiting.subscribe();
        let enough = waiting.wait_for(|waiting| *waiting >= many);
        drop(tokio::time::timeout(PATIENCE, enough).await.expect("they wait").unwrap());
    }

    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        loop {
            let mut input = Vec::new();
            let head = loop {
                if stream.read_buf(&mut input).await.ok()? == 0 {
                    return None;
                }
                if let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") {
                    break end + 4;
                }
            };
            let told = String::from_utf8_lossy(&input[..head]).to_ascii_lowercase();
            let mut body = input.split_off(head);
            if told.contains("health check") {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.ok()?;
                continue;
            }
            assert!(
                told.contains("transfer-encoding: chunked") && !told.contains("content-encoding"),
                "{told}"
            );
            if told.starts_with("put /early ") {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nearly")
                    .await
                    .ok()?;
                return None;
            }
            let path = told.split(' ').nth(1)?;
            let before: usize = path[1..].parse().unwrap_or(10_000);
            while body.len() < before {
                if stream.read_buf(&mut body).await.ok()? == 0 {
                    return None;
                }
            }
            if self.deaths.fetch_update(Relaxed, Relaxed, |deaths| deaths.checked_sub(1)).is_ok() {
                return None;
            }
            self.waiting.send_modify(|waiting| *waiting += 1);
            self.reads.subscribe().wait_for(|reads| *reads).await.ok()?;
            self.waiting.send_modify(|waiting| *waiting -= 1);
            while !body.ends_with(b"\r\n0\r\n\r\n") {
                if stream.read_buf(&mut body).await.ok()? == 0 {
                    return None;
                }
            }
            let hash = blake3::hash(&dechunked(&body)).to_hex();
            let answer =
                format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n40\r\n{hash}\r\n0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.ok()?;
        }
    }

    fn conf(&self) -> Conf {
        conf::minimal()
            .http1_cluster("app", &self.address)
            .set("clusters.app.ejection", "{ share: 0% }")
            .set("clusters.app.health", "{ interval: 1h }")
            .set("clusters.app.retry", "{ attempts: 3 }")
            // Unoptimized decoders make timers late; that sheds writes.
            .set("degrade.lag", "1min")
            .proxy_route_with("app", "/", "app", ", decode: decode")
    }
}

fn dechunked(mut body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    loop {
        let end = body.windows(2).position(|two| two == b"\r\n").unwrap();
        let len = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        if len == 0 {
            return plain;
        }
        plain.extend_from_slice(&body[end + 2..end + 2 + len]);
        body = &body[end + 2 + len + 2..];
    }
}

/// Few raw bytes, and many plain ones.
fn grown() -> Vec<u8> {
    noise(20_000).repeat(8)
}

fn upload(path: &str, body: &Bytes, open: bool) -> Request {
    let request = Request::put(path, body.clone()).field("content-encoding", "gzip");
    if open { request.open_length() } else { request }
}

fn digest(plain: &[u8]) -> String {
    blake3::hash(plain).to_hex().to_string()
}

#[tokio::test]
async fn a_body_that_is_held_is_decoded_again_for_another_attempt() {
    let service = Service::start().await;
    let gateway = Gateway::start(BINARY, &service.conf().yaml()).await;
    let plain = grown();
    let body = Format::Gzip.encode(&plain);
    assert!(body.len() < 60_000 && plain.len() > 7 * body.len());
    for version in Version::ALL {
        for open in [false, true] {
            service.deaths.store(1, Relaxed);
            // Of those that may be repeated, it is one with content.
            let request = Request::new("OPTIONS", "/x").body(body.clone()).field("content-encoding", "gzip");
            let request = if open { request.open_length() } else { request };
            let answer = version.ask(&gateway, &request).await;
            let what = format!("{version:?} {open}: {answer:?}");
            assert_eq!((answer.status, answer.text()), (200, digest(&plain)), "{what}");
            assert_eq!(service.deaths.load(Relaxed), 0, "{what}");
        }
    }
}

#[tokio::test]
async fn behind_a_failure_a_client_is_told_that_its_connection_closes() {
    let service = Service::start().await;
    let conf = service.conf().set("clusters.app.retry", "{ attempts: 1 }");
    let gateway = Gateway::start(BINARY, &conf.yaml()).await;
    let body = Format::Gzip.encode(&grown());
    for open in [false, true] {
        service.deaths.store(1, Relaxed);
        let mut client = Http1::connect(gateway.address("public")).await;
        let answer = client.request(&upload("/x", &body, open)).await;
        assert_eq!((answer.status, answer.reason().as_str()), (502, "upstream"), "{answer:?}");
        assert_eq!(answer.field("connection"), Some("close"));
        assert_eq!(client.closed().await, "");
    }
}

#[tokio::test]
async fn an_early_answer_passes_and_the_rest_of_the_body_goes_nowhere() {
    let service = Service::start().await;
    let gateway = Gateway::start(BINARY, &service.conf().yaml()).await;
    let body = Format::Gzip.growing(400_000, 99);
    for version in Version::ALL {
        for open in [false, true] {
            version.ask(&gateway, &upload("/early", &body, open)).await.expect(200, b"early");
        }
    }
    gateway.metric_becomes("inflight_requests{route=\"app\"}", |n| n == 0.0).await;
    gateway.metric_becomes("gateway_decoder_memory_bytes", |held| held == 0.0).await;
}

#[tokio::test]
async fn a_client_of_http10_and_one_that_stays_get_answers_they_can_read() {
    let service = Service::start().await;
    let gateway = Gateway::start(BINARY, &service.conf().yaml()).await;
    let plain = grown();
    let body = Format::Gzip.encode(&plain);
    let mut client = Http1::connect(gateway.address("public")).await;
    let head = format!(
        "PUT /x HTTP/1.0\r\nhost: a\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    assert!(client.send(&[head.as_bytes(), &body].concat()).await);
    let answer = client.answer("PUT").await;
    assert_eq!((answer.status, answer.text()), (200, digest(&plain)), "{answer:?}");
    assert_eq!(answer.field("transfer-encoding"), None);
    assert_eq!(client.closed().await, "");

    // One connection, over and over.
    let mut client = Http1::connect(gateway.address("public")).await;
    for open in [false, true, false, true] {
        let answer = client.request(&upload("/x", &body, open)).await;
        assert_eq!((answer.status, answer.text()), (200, digest(&plain)), "{answer:?}");
    }
    // The last answer of a gateway that goes says so.
    service.reads.send_replace(false);
    assert!(client.send(&upload("/10000", &body, false).http1_bytes()).await);
    service.are_waiting(1).await;
    gateway.signal(Signal::TERM);
    gateway.log_line(|line| line["event"] == "draining").await;
    service.reads.send_replace(true);
    let answer = client.answer("PUT").await;
    assert_eq!((answer.status, answer.text()), (200, digest(&plain)), "{answer:?}");
    assert_eq!(answer.field("connection"), Some("close"));
}

#[tokio::test]
async fn a_client_is_not_slow_while_the_service_is() {
    let service = Service::start().await;
    let conf = service.conf().set("clusters.app.timeouts", "{ read: 60s, write: 60s }");
    let gateway = Gateway::start(BINARY, &conf.set("limits.request.timeout", "60s").yaml()).await;
    service.reads.send_replace(false);
    // It becomes eight megabytes with its last bytes: there is more to be read of it, or all has come.
    let body = Format::Gzip.growing(800_000, 99);
    let sends = |version: Version, path: &'static str| {
        let (gateway, request) = (&gateway, upload(path, &body, true));
        async move {
            let answer = version.ask(gateway, &request).await;
            assert_eq!(answer.status, 200, "{version:?} {path}: {answer:?}");
        }
    };
    let meanwhile = async {
        service.are_waiting(4).await;
        // As long as it takes to find another slow.
        let client = Http2::connect(gateway.address("public")).await;
        let mut slow = client.open(&upload("/x", &body, true)).await;
        assert!(slow.send(body.slice(..1)).await);
        let answer = slow.answer().await;
        assert_eq!((answer.status, answer.reason().as_str()), (408, "slow"));
        service.reads.send_replace(true);
    };
    tokio::join!(
        sends(Version::Http1, "/10000"),
        sends(Version::Http1, "/1000000"),
        sends(Version::Http2, "/10000"),
        sends(Version::Http2, "/1000000"),
        meanwhile,
    );
}

#[tokio::test]
async fn a_service_that_takes_nothing_is_the_slow_one() {
    let service = Service::start().await;
    let gateway = Gateway::start(BINARY, &service.conf().yaml()).await;
    service.reads.send_replace(false);
    let body = Format::Gzip.growing(800_000, 99);
    let ask = |version: Version| {
        let (gateway, request) = (&gateway, upload("/10000", &body, true));
        async move {
            let no = version.ask(gateway, &request).await;
            assert_eq!((no.status, no.reason().as_str()), (504, "timeout"), "{version:?}: {no:?}");
        }
    };
    tokio::join!(ask(Version::Http1), ask(Version::Http2));
}

#[tokio::test]
async fn a_client_that_leaves_while_the_service_takes_nothing_is_let_go() {
    let service = Service::start().await;
    let conf = service.conf().set("clusters.app.timeouts", "{ read: 60s, write: 60s }");
    let gateway = Gateway::start(BINARY, &conf.set("limits.request.timeout", "60s").yaml()).await;
    service.reads.send_replace(false);
    // All of it has come, and most of what it becomes waits.
    let body = Format::Gzip.growing(800_000, 99);
    let inflight =
        async |n: f64| gateway.metric_becomes("inflight_requests{route=\"app\"}", |now| now == n).await;
    let held = async || gateway.metric("gateway_decoder_memory_bytes").await;

    let mut client = Http1::connect(gateway.address("public")).await;
    assert!(client.send(&upload("/1000000", &body, false).http1_bytes()).await);
    service.are_waiting(1).await;
    assert!(held().await > 0.0);
    drop(client);
    inflight(0.0).await;
    assert_eq!(held().await, 0.0);

    let client = Http2::connect(gateway.address("public")).await;
    let mut leaves = client.open(&upload("/1000000", &body, true)).await;
    assert!(leaves.send(body.clone()).await);
    service.are_waiting(2).await;
    leaves.leave();
    inflight(0.0).await;
    assert_eq!(held().await, 0.0);
}
