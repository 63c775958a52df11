//! What stands before any parser: raw bytes of both versions of HTTP, right and wrong, and what becomes of them.

use gateway_testing::backend::Backend;
use gateway_testing::client::{Http1, Http2, Request};
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
