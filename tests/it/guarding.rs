//! What stands before any parser: raw bytes of both versions of HTTP, right and wrong, and what becomes of them.

use gateway_testing::backend::{Backend, Script};
use gateway_testing::client::{Http1, Http2, Pace, Request};
use gateway_testing::conf::Conf;
use gateway_testing::net::Address;
use gateway_testing::origin::Origin;
use gateway_testing::raw::{http1, http2};
use gateway_testing::{Gateway, PATIENCE, conf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::BINARY;

/// A request before another one.
const GOOD: &[u8] = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

/// Everything, however busy the machine is.
const ROUTE: &str = "{ name: app, match: { path: { prefix: / } }, kind: proxy, cluster: app, shed: never }";

/// Listeners of one protocol each, with room for everything that comes, before one cluster.
fn one_protocol(protocol: &str) -> Conf {
    conf::minimal()
        .set("listeners", "[]")
        .listener("public", "127.0.0.1:0", &format!(", protocols: [{protocol}]"))
        .set("danger_ok", "[limits.rate]")
        .set("limits.rate", "100000/s")
        .set("limits.burst", "100000")
        .set("limits.per_address", "{ rate: none, connections: none }")
}

/// Sends bytes, cut in these places, and holds what comes back against what must: `before` good answers first.
async fn try_case(gateway: &Gateway, case: &http1::Case, bytes: &[u8], before: usize, cuts: &[usize]) {
    let name = case.name;
    let mut client = Http1::connect(gateway.address("public")).await;
    // Who is refused may be closed before all is sent.
    let _ = client.send_cut(bytes, cuts).await;
    let served = match case.expect {
        http1::Expect::Served(requests) => before + requests,
        _ => before,
    };
    for n in 0..served {
        let answer = client.answer("GET").await;
        // A backend's answer, whatever it is, and no rejection.
        assert!(
            answer.status > 0 && answer.field("cache-control").is_none(),
            "{name}, answer {n}: {answer:?}"
        );
    }
    match case.expect {
        http1::Expect::Served(_) => {}
        http1::Expect::Refused(status, reason) | http1::Expect::RefusedInBody(status, reason) => {
            let answer = client.answer("GET").await;
            assert_eq!((answer.status, answer.reason().as_str()), (status, reason), "{name}");
            assert!(answer.field("x-corr-id").is_some(), "{name}");
            assert_eq!(client.closed().await, "", "{name}: nothing follows");
        }
        http1::Expect::RefusedByRoute(status, reason) => {
            let answer = client.answer("GET").await;
            assert_eq!(answer.status, status, "{name}");
            // http.md §1: what Pingora's own parser refuses has an empty body.
            if answer.field("server").is_none() {
                assert_eq!(answer.reason(), reason, "{name}");
            }
        }
    }
}

fn served(cases: &[http1::Case]) -> usize {
    let count = |case: &http1::Case| if let http1::Expect::Served(n) = case.expect { n } else { 0 };
    cases.iter().map(count).sum()
}

fn ends_before_a_backend(case: &http1::Case) -> bool {
    !matches!(case.expect, http1::Expect::RefusedInBody(..))
}

#[tokio::test]
async fn nothing_malformed_reaches_a_backend_however_it_is_cut() {
    let backend = Backend::oap().start();
    let config = one_protocol("h1").oap_cluster("app", &backend.address()).route(ROUTE);
    let gateway = Gateway::start(BINARY, &config.yaml()).await;
    let (cases, in_body): (Vec<_>, Vec<_>) = http1::cases().into_iter().partition(ends_before_a_backend);
    for case in &cases {
        try_case(&gateway, case, &case.bytes, 0, &[]).await;
    }
    assert_eq!(backend.requests().len(), served(&cases));
    let behind: Vec<_> = cases.iter().filter(|case| case.bytes.len() < 500).cloned().collect();
    for case in &behind {
        try_case(&gateway, case, &[GOOD, &case.bytes].concat(), 1, &[]).await;
    }
    let so_far = served(&cases) + served(&behind) + behind.len();
    assert_eq!(backend.requests().len(), so_far);
    for case in &behind {
        let everywhere: Vec<_> = (1..case.bytes.len()).collect();
        try_case(&gateway, case, &case.bytes, 0, &everywhere).await;
    }
    assert_eq!(backend.requests().len(), so_far + served(&behind));
    for case in &in_body {
        try_case(&gateway, case, &case.bytes, 0, &[]).await;
        try_case(&gateway, case, &[GOOD, &case.bytes].concat(), 1, &[]).await;
        let everywhere: Vec<_> = (1..case.bytes.len()).collect();
        try_case(&gateway, case, &case.bytes, 0, &everywhere).await;
    }
    assert_eq!(backend.violations(), [""; 0]);
}

#[tokio::test]
async fn the_pipeline_refuses_the_same() {
    let origin = Origin::http1(1);
    let config = one_protocol("h1").http1_cluster("app", &origin.address().into()).route(ROUTE);
    let gateway = Gateway::start(BINARY, &config.yaml()).await;
    for case in http1::cases() {
        try_case(&gateway, &case, &case.bytes, 0, &[]).await;
    }
}

#[tokio::test]
async fn a_refused_head_has_one_reason_in_answer_log_and_metric() {
    let backend = Backend::oap().start();
    let config = conf::minimal().oap_cluster("app", &backend.address()).route(ROUTE);
    let gateway = Gateway::start(BINARY, &config.yaml()).await;
    let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(9000));
    for (bytes, status, reason) in [
        ("GET /x HTTP/1.1\r\n\r\n", 400, "malformed"),
        (long.as_str(), 414, "uri"),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 405, "method"),
    ] {
        let before = gateway.metric(&format!("rejected_total{{reason=\"{reason}\"}}")).await;
        let mut client = Http1::connect(gateway.address("public")).await;
        let _ = client.send(bytes.as_bytes()).await;
        let answer = client.answer("GET").await;
        assert_eq!((answer.status, answer.reason().as_str()), (status, reason));
        assert_eq!(answer.json()["corr_id"].as_str(), answer.field("x-corr-id"));
        assert_eq!(answer.field("cache-control"), Some("no-store"));
        assert_eq!(answer.field("allow").is_some(), status == 405);
        let line = gateway.access_line(answer.field("x-corr-id").unwrap()).await;
        assert_eq!((line["status"].as_u64(), line["reason"].as_str()), (Some(status.into()), Some(reason)));
        let after = gateway.metric(&format!("rejected_total{{reason=\"{reason}\"}}")).await;
        assert_eq!(after, before + 1.0, "{reason}");
    }
}

#[tokio::test]
async fn http_2_is_cut_where_a_flood_begins_and_nowhere_else() {
    let backend = Backend::oap().start();
    let config = one_protocol("h2c").oap_cluster("app", &backend.address()).route(ROUTE);
    let gateway = Gateway::start(BINARY, &config.yaml()).await;
    let mut cut = 0;
    for case in http2::cases() {
        let name = case.name;
        let mut client = Frames::connect(&gateway).await;
        let word = match case.expect {
            http2::Expect::Cut(word) => word,
            _ => "",
        };
        // One more than in a second is one too many only within it.
        if matches!(word, "h2_tiny_data" | "h2_window_updates") {
            continue;
        }
        let series = format!("http2_cut_total{{reason=\"{word}\"}}");
        let before = gateway.metric(&series).await;
        // Who is cut may be closed before all is sent.
        let _ = client.0.write_all(&case.bytes).await;
        match case.expect {
            // The library behind the guard takes five of them, and says so.
            http2::Expect::Passes if name == "as many continuations as may be" => {
                assert!(client.until(name, |kind, _| kind == GOAWAY).await, "{name}");
            }
            http2::Expect::Passes => {
                let get = [0x82, 0x86, 0x84, 0x01, 0x01, b'a'];
                client.0.write_all(&http2::frame(HEADERS, 5, ANOTHER, &get)).await.unwrap();
                assert!(
                    client.until(name, |kind, stream| kind == HEADERS && stream == ANOTHER).await,
                    "{name}"
                );
            }
            http2::Expect::Cut(_) => {
                let told = client.until(name, |kind, _| kind == GOAWAY).await;
                // Without its preface it is no connection of HTTP/2 at all, which this listener closes. What takes more
                // than one read the library behind the guard may have refused first.
                if case.bytes.starts_with(http2::PREFACE) && !told {
                    gateway.metric_becomes(&series, |count| count == before + 1.0).await;
                    cut += 1;
                }
            }
            http2::Expect::RefusedByParser => {
                let ends = |kind, _| matches!(kind, RST_STREAM | GOAWAY);
                assert!(client.until(name, ends).await, "{name}");
            }
        }
    }
    assert!(cut >= 20, "{cut} are cut by the guard itself");
    assert_eq!(backend.violations(), [""; 0]);
}

#[tokio::test]
async fn a_flood_that_goes_on_is_cut_and_others_are_served() {
    let backend = Backend::oap().start();
    let config = one_protocol("h2c").oap_cluster("app", &backend.address()).route(ROUTE);
    let gateway = Gateway::start(BINARY, &config.yaml()).await;
    let other = Http2::connect(gateway.address("public")).await;
    let start = [http2::PREFACE, &http2::frame(SETTINGS, 0, 0, &[])].concat();
    let post = http2::frame(HEADERS, 4, 1, &[0x83, 0x86, 0x84, 0x01, 0x01, b'a']);
    let again = |kind, flags, stream, payload: &[u8]| http2::frame(kind, flags, stream, payload).repeat(50);
    for (word, first, then) in [
        ("h2_resets", &post, again(RST_STREAM, 0, 1, &[0; 4])),
        ("h2_settings", &post, again(SETTINGS, 0, 0, &[])),
        ("h2_pings", &post, again(PING, 0, 0, &[0; 8])),
        ("h2_empty_data", &post, again(DATA, 0, 1, &[])),
        ("h2_window_updates", &post, again(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("h2_priorities", &post, again(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])),
    ] {
        let mut flood = Frames::connect(&gateway).await;
        flood.0.write_all(&[&start, first.as_slice()].concat()).await.unwrap();
        let sending = async { while flood.0.write_all(&then).await.is_ok() {} };
        tokio::time::timeout(PATIENCE, sending).await.unwrap_or_else(|_| panic!("{word} goes on"));
        let series = format!("http2_cut_total{{reason=\"{word}\"}}");
        gateway.metric_becomes(&series, |count| count == 1.0).await;
        gateway.log_line(|line| line["event"] == "connection_cut" && line["reason"] == word).await;
        other.request(&Request::get("/x")).await.expect(200, b"ok");
    }
}

const RST_STREAM: u8 = 3;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
/// A stream that no case uses.
const ANOTHER: u32 = 99_999;
const GOAWAY: u8 = 7;

/// A client that reads frames and no more.
struct Frames(TcpStream, Vec<u8>);

impl Frames {
    async fn connect(gateway: &Gateway) -> Self {
        let Address::Tcp(address) = gateway.address("public") else { panic!("no TCP address") };
        Self(TcpStream::connect(address).await.unwrap(), Vec::new())
    }

    /// Reads until a frame is `wanted`, or the connection ends: false.
    async fn until(&mut self, name: &str, wanted: impl Fn(u8, u32) -> bool) -> bool {
        let reading = async {
            loop {
                while let [a, b, c, kind, _, s0, s1, s2, s3, rest @ ..] = self.1.as_slice() {
                    let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
                    if rest.len() < length {
                        break;
                    }
                    if wanted(*kind, u32::from_be_bytes([*s0, *s1, *s2, *s3])) {
                        return true;
                    }
                    drop(self.1.drain(..9 + length));
                }
                let mut piece = [0; 16 << 10];
                match self.0.read(&mut piece).await {
                    Ok(0) | Err(_) => return false,
                    Ok(n) => self.1.extend_from_slice(&piece[..n]),
                }
            }
        };
        tokio::time::timeout(PATIENCE, reading)
            .await
            .unwrap_or_else(|_| panic!("{name}: neither a frame nor the end"))
    }
}

/// What a listener of both protocols and one route are, to whom keys are added.
fn app(backend: &Backend) -> Conf {
    conf::minimal().oap_cluster("app", &backend.address()).route(ROUTE)
}

#[tokio::test]
async fn a_head_that_is_not_whole_in_time_is_answered_408_from_the_next_one_after_a_reload() {
    let backend = Backend::oap().start();
    let gateway = Gateway::start(BINARY, &app(&backend).yaml()).await;
    let mut kept = Http1::connect(gateway.address("public")).await;
    kept.request(&Request::get("/x")).await.expect(200, b"ok");
    let config = app(&backend).set("limits.request.head_timeout", "200ms");
    assert_eq!(gateway.reload(&config.yaml()).await.status, 200);
    // What could still become either version, what cannot, and a head behind a request.
    kept.request(&Request::get("/x")).await.expect(200, b"ok");
    let new = || Http1::connect(gateway.address("public"));
    for (mut client, begin) in [(new().await, "P"), (new().await, "GET /x HTTP/1.1\r\nHos"), (kept, "GET /x")]
    {
        assert!(client.send(begin.as_bytes()).await);
        let answer = client.answer("GET").await;
        assert_eq!((answer.status, answer.reason().as_str()), (408, "slow"), "{begin}");
        assert_eq!(client.closed().await, "");
    }
    gateway.metric_becomes("rejected_total{reason=\"slow\"}", |n| n == 3.0).await;
    let mut half = Frames::connect(&gateway).await;
    let begin = [http2::PREFACE, &http2::frame(SETTINGS, 0, 0, &[]), &[0, 0, 6, HEADERS, 5]].concat();
    half.0.write_all(&begin).await.unwrap();
    assert!(!half.until("half a head", |_, _| false).await);
    gateway.metric_becomes("http2_cut_total{reason=\"slow\"}", |n| n == 1.0).await;
}

#[tokio::test]
async fn an_unused_connection_is_closed_without_a_word() {
    let backend = Backend::oap().start();
    let gateway = Gateway::start(BINARY, &app(&backend).set("limits.request.idle", "200ms").yaml()).await;
    let mut unused = Http1::connect(gateway.address("public")).await;
    assert_eq!(unused.closed().await, "");
    let mut used = Http1::connect(gateway.address("public")).await;
    used.request(&Request::get("/x")).await.expect(200, b"ok");
    assert_eq!(used.closed().await, "");
    let mut http2 = Frames::connect(&gateway).await;
    http2.0.write_all(&[http2::PREFACE, &http2::frame(SETTINGS, 0, 0, &[])].concat()).await.unwrap();
    assert!(!http2.until("idle", |_, _| false).await);
    assert_eq!(gateway.metric("rejected_total").await, 0.0);
}

#[tokio::test]
async fn of_too_many_unfinished_heads_the_oldest_is_cut() {
    let backend = Backend::oap().start();
    let config = app(&backend).set("limits.request.heads_total", "64KiB");
    let gateway = Gateway::start(BINARY, &config.yaml()).await;
    let mut heads = Vec::new();
    let begin = format!("GET /x HTTP/1.1\r\nHost: a\r\nX: {}", "y".repeat(30 << 10));
    for _ in 0..2 {
        let mut client = Http1::connect(gateway.address("public")).await;
        assert!(client.send(begin.as_bytes()).await);
        heads.push(client);
    }
    let mut last = Http1::connect(gateway.address("public")).await;
    assert!(last.send(begin.as_bytes()).await);
    // Whichever of the first two was read first.
    gateway.metric_becomes("rejected_total{reason=\"slow\"}", |n| n == 1.0).await;
    assert!(last.send(b"\r\n\r\n").await);
    last.answer("GET").await.expect(200, b"ok");
    let mut served = 0;
    for mut client in heads {
        let _ = client.send(b"\r\n\r\n").await;
        let answer = client.answer("GET").await;
        assert!(matches!(answer.status, 200 | 408), "{answer:?}");
        served += u32::from(answer.status == 200);
    }
    assert_eq!(served, 1);
}

#[tokio::test]
async fn unfinished_heads_of_http_2_count_twice_and_the_oldest_goes_with_its_connection() {
    let backend = Backend::oap().start();
    let config = app(&backend).set("limits.request.heads_total", "128KiB");
    let gateway = Gateway::start(BINARY, &config.yaml()).await;
    // A GET with a field of 25,000 bytes, in two frames.
    let get = [0x82, 0x86, 0x84, 0x01, 0x01, b'a', 0x00, 0x01, b'x', 0x7f, 0xa9, 0xc2, 0x01];
    let block = [get.as_slice(), &[b'y'; 25_000]].concat();
    let (first, second) = block.split_at(16 << 10);
    let start =
        [http2::PREFACE, &http2::frame(SETTINGS, 0, 0, &[]), &http2::frame(PING, 0, 0, &[0; 8])].concat();
    let head = [http2::frame(HEADERS, 1, 1, first), http2::frame(CONTINUATION, 4, 1, second)].concat();
    let (begin, end) = head.split_at(head.len() - 1);
    assert!(begin.len() * 2 * 2 < 128 << 10 && begin.len() * 2 * 3 > 128 << 10);
    let served = |kind, stream| kind == HEADERS && stream == 1;
    let mut clients = Vec::new();
    for cut in [0.0, 0.0, 1.0, 2.0] {
        let mut client = Frames::connect(&gateway).await;
        let (soon, then) = begin.split_at(12);
        client.0.write_all(&[&start, soon].concat()).await.unwrap();
        // With the PING the first bytes of the head have come: it is the youngest.
        assert!(client.until("an answer to its PING", |kind, _| kind == PING).await);
        client.0.write_all(then).await.unwrap();
        clients.push(client);
        // The oldest goes while it waits, and nothing comes of it.
        gateway.metric_becomes("http2_cut_total{reason=\"slow\"}", |n| n == cut).await;
    }
    let mut fates = Vec::new();
    for mut client in clients {
        // Who is cut may be closed before all is sent.
        let _ = client.0.write_all(end).await;
        fates.push(client.until("its end", served).await);
    }
    assert_eq!(fates, [false, false, true, true]);
    // What has ended has given its room back.
    for _ in 0..3 {
        let mut client = Frames::connect(&gateway).await;
        client.0.write_all(&[start.as_slice(), &head].concat()).await.unwrap();
        assert!(client.until("its end", served).await);
    }
    assert_eq!(gateway.metric("http2_cut_total").await, 2.0);
}

#[tokio::test]
async fn the_bounds_of_a_head_are_those_of_the_configuration_when_it_begins() {
    let backend = Backend::oap().start();
    let tight = app(&backend)
        .set("limits.request.uri", "64B")
        .set("limits.request.head", "1KiB")
        .set("limits.request.fields", "3");
    let gateway = Gateway::start(BINARY, &app(&backend).yaml()).await;
    let requests = [
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(100)), 414),
        (format!("GET /x HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(1100)), 431),
        (format!("GET /x HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(4)), 431),
    ];
    let mut kept = Vec::new();
    for (request, _) in &requests {
        let mut client = Http1::connect(gateway.address("public")).await;
        assert!(client.send(request.as_bytes()).await);
        client.answer("GET").await.expect(200, b"ok");
        kept.push(client);
    }
    assert_eq!(gateway.reload(&tight.yaml()).await.status, 200);
    for ((request, status), mut client) in requests.iter().zip(kept) {
        // The head that a connection waits for began its wait under the generation before.
        assert!(client.send(GOOD).await);
        client.answer("GET").await.expect(200, b"ok");
        assert!(client.send(request.as_bytes()).await);
        assert_eq!(client.answer("GET").await.status, *status, "{request}");
    }
}

#[tokio::test]
async fn each_rate_of_http_2_frames_is_that_of_its_key() {
    let backend = Backend::oap().start();
    let some = |kind, payload: &[u8], stream| http2::frame(kind, 0, stream, payload);
    let frames = [
        ("resets", some(RST_STREAM, &[0; 4], 1)),
        ("settings", some(SETTINGS, &[], 0)),
        ("pings", some(PING, &[0; 8], 0)),
    ];
    let post = http2::frame(HEADERS, 4, 1, &[0x83, 0x86, 0x84, 0x01, 0x01, b'a']);
    let begin = [http2::PREFACE, &http2::frame(SETTINGS, 0, 0, &[]), &post].concat();
    let gateway = Gateway::start(BINARY, &app(&backend).yaml()).await;
    for (key, frame) in &frames {
        let path = format!("limits.http2.{key}");
        assert_eq!(gateway.reload(&app(&backend).set(&path, "3/min").yaml()).await.status, 200);
        let mut client = Frames::connect(&gateway).await;
        client.0.write_all(&[begin.clone(), frame.repeat(4)].concat()).await.unwrap();
        assert!(!client.until(key, |_, _| false).await);
        gateway.metric_becomes(&format!("http2_cut_total{{reason=\"h2_{key}\"}}"), |n| n == 1.0).await;
        assert_eq!(gateway.reload(&app(&backend).set(&path, "none").yaml()).await.status, 200);
        let mut client = Frames::connect(&gateway).await;
        let get = http2::frame(HEADERS, 5, ANOTHER, &[0x82, 0x86, 0x84, 0x01, 0x01, b'a']);
        client.0.write_all(&[begin.clone(), frame.repeat(300), get].concat()).await.unwrap();
        assert!(client.until(key, |kind, stream| kind == HEADERS && stream == ANOTHER).await, "{key}");
    }
}

#[tokio::test]
async fn a_body_below_the_minimum_rate_is_answered_408() {
    let backend = Backend::oap().start();
    let (origin, other) = (Origin::http1(1), Origin::http2());
    let way = |name: &str| {
        format!(
            "{{ name: {name}, match: {{ path: {{ prefix: /{name}/ }} }}, kind: proxy, cluster: {name}, shed: never }}"
        )
    };
    let config = conf::minimal()
        .oap_cluster("oap", &backend.address())
        .http1_cluster("plain", &origin.address().into())
        .http2_cluster("http2", &other.address().into())
        .route(way("oap"))
        .route(way("plain"))
        .route(way("http2"));
    // No other bound comes first.
    let config = ["oap", "plain", "http2"].iter().fold(config, |config, name| {
        config.set(&format!("clusters.{name}.timeouts"), "{ read: 60s, write: 60s }")
    });
    let config = config.set("limits.request.timeout", "60s");
    let gateway = Gateway::start(BINARY, &config.clone().set("limits.request.min_rate", "none").yaml()).await;
    // Under no minimum it may go on, also after one has been set.
    let mut slow = Http1::connect(gateway.address("public")).await;
    let head = |way: &str, length: usize| {
        format!("POST /{way}/x HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n1")
    };
    assert!(slow.send(head("oap", 70_000).as_bytes()).await);
    gateway.metric_becomes("inflight_requests{route=\"oap\"}", |n| n == 1.0).await;
    assert_eq!(gateway.reload(&config.yaml()).await.status, 200);
    // Small bodies are gathered before their request has a place, larger ones cross as they come.
    let http1 = |way: &'static str, length: usize| {
        let gateway = &gateway;
        async move {
            let mut client = Http1::connect(gateway.address("public")).await;
            assert!(client.send(head(way, length).as_bytes()).await);
            let answer = client.answer("POST").await;
            assert_eq!((answer.status, answer.reason().as_str()), (408, "slow"), "HTTP/1 {way} {length}");
            assert_eq!(client.closed().await, "", "HTTP/1 {way} {length}");
        }
    };
    let http2 = |way: &'static str, length: usize| {
        let gateway = &gateway;
        async move {
            let client = Http2::connect(gateway.address("public")).await;
            let path = format!("/{way}/x");
            let mut upload =
                client.open(&Request::new("POST", &path).field("content-length", &length.to_string())).await;
            assert!(upload.send("1").await);
            let answer = upload.answer().await;
            assert_eq!((answer.status, answer.reason().as_str()), (408, "slow"), "HTTP/2 {way} {length}");
        }
    };
    let dripping = |way: &'static str| {
        let gateway = &gateway;
        async move {
            let client = Http2::connect(gateway.address("public")).await;
            let mut upload = client.open(&Request::new("POST", &format!("/{way}/x"))).await;
            let drips = async { while upload.send_at("1", Pace::new(20)).await {} };
            tokio::time::timeout(PATIENCE, drips).await.unwrap_or_else(|_| panic!("{way} drips on"));
            let answer = upload.answer().await;
            assert_eq!((answer.status, answer.reason().as_str()), (408, "slow"), "HTTP/2 {way} drips");
        }
    };
    tokio::join!(
        dripping("oap"),
        dripping("plain"),
        dripping("http2"),
        http1("oap", 1000),
        http1("oap", 100_000),
        http1("plain", 1000),
        http1("plain", 100_000),
        http1("http2", 1000),
        http1("http2", 100_000),
        http2("oap", 1000),
        http2("oap", 100_000),
        http2("plain", 1000),
        http2("plain", 100_000),
        http2("http2", 1000),
        http2("http2", 100_000),
    );
    assert!(slow.send(&[7; 69_999]).await);
    assert!(slow.answer("POST").await.status < 300);
    gateway.metric_becomes("rejected_total{reason=\"slow\"}", |n| n == 15.0).await;
}

#[tokio::test]
async fn an_answer_that_is_not_read_is_cut() {
    const LARGE: usize = 16 << 20;
    let script = |_: &_| Script::new().announce(200, LARGE as u64).data(vec![7; LARGE]).end();
    let backend = Backend::oap().quiet().script(script).start();
    let gateway = Gateway::start(BINARY, &app(&backend).yaml()).await;
    let mut unread = Http1::connect(gateway.address("public")).await;
    unread.socket().set_receive_buffer(16 << 10);
    assert!(unread.send(GOOD).await);
    let http2 = Http2::connect(gateway.address("public")).await;
    let mut stalled = http2.open(&Request::get("/x")).await;
    stalled.finish();
    let (status, body) = stalled.answer_head().await.unwrap();
    assert_eq!(status, 200);
    // Each held up to its window, or to the kernel's buffers, and no longer than the minimum rate allows.
    gateway.metric_becomes("rejected_total{reason=\"slow\"}", |n| n == 2.0).await;
    let answer = unread.answer("GET").await;
    assert!(answer.status == 200 && !answer.body.complete, "{answer:?}");
    drop(body);
}
