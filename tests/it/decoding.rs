//! How much a request may bring, as it arrives and as it is decoded, over both versions of HTTP and both ways up.

use bytes::Bytes;
use gateway_testing::backend::{Backend, Script, What};
use gateway_testing::client::{Answer, Http1, Http2, Request};
use gateway_testing::conf::{self, Conf};
use gateway_testing::encoded::{Format, brotli, noise};
use gateway_testing::origin::Origin;
use gateway_testing::{Gateway, pattern};

use crate::BINARY;
use crate::both::Version;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Services on every way up, each of which answers what it was sent.
struct Behind {
    oap: Backend,
    http1: Origin,
    http2: Origin,
}

const WAYS: [&str; 3] = ["/oap", "/http1", "/http2"];

impl Behind {
    fn new() -> Self {
        Self { oap: Backend::oap().script(echo).start(), http1: Origin::http1(1), http2: Origin::http2() }
    }

    /// A route for each way; `more` is further keys of each.
    fn conf(&self, more: &str) -> Conf {
        let conf = conf::minimal()
            .oap_cluster("oap", &self.oap.address())
            .http1_cluster("http1", &self.http1.address().into())
            .http2_cluster("http2", &self.http2.address().into())
            // Unoptimized decoders, and this program beside them, make timers late; that sheds writes.
            .set("degrade.lag", "1min")
            .set("limits.rate", "2000/s")
            .set("limits.burst", "2000")
            .set("limits.per_address", "{ rate: none }");
        WAYS.iter().fold(conf, |conf, way| {
            let name = &way[1..];
            conf.proxy_route_with(name, way, name, &format!(", strip_prefix: {way}{more}"))
        })
    }

    /// What came of a request's content, when it was answered so.
    async fn content(&self, way: &str, answer: &Answer) -> Bytes {
        assert_eq!(answer.status, 200, "{way}: {answer:?}");
        assert!(answer.body.complete, "{way}: {answer:?}");
        if way != "/oap" {
            return answer.body.bytes.clone();
        }
        let id = answer.field("x-corr-id");
        let requests = self.oap.requests();
        let request = requests.iter().rev().find(|request| request.field("x-corr-id") == id);
        self.oap.content_of(request.expect("the backend knows of it")).await
    }

    /// Sends it and expects it to come as `wanted`; the fields that told of it.
    async fn passes(&self, version: Version, gateway: &Gateway, request: &Request, wanted: &[u8]) -> String {
        let way = WAYS.iter().find(|way| request.path.starts_with(**way)).expect("a way up");
        let answer = version.ask(gateway, request).await;
        let came = self.content(way, &answer).await;
        assert!(came == *wanted, "{way} {version:?}: {} of {} bytes came", came.len(), wanted.len());
        answer.field("x-came").unwrap_or_default().to_owned()
    }

    /// How many uploads came whole to any of them.
    fn uploads(&self) -> u64 {
        let oap = self.oap.events().iter().filter(|event| matches!(event.what, What::Complete(_))).count();
        oap as u64 + self.http1.uploads() + self.http2.uploads()
    }
}

/// The fields that told of the content, as the origins answer them; what the content was is the backend's to say.
fn echo(request: &gateway_testing::backend::Received) -> Script {
    let telling = ["content-encoding", "content-length", "content-digest", "repr-digest", "content-md5"];
    let came: Vec<_> = telling
        .iter()
        .filter_map(|name| request.field(name).map(|value| format!("{name}={value}")))
        .collect();
    Script::new().read_body().answer(200, &[("x-came", &came.join(", "))], "")
}

fn upload(way: &str, encoding: &str, body: &Bytes) -> Request {
    let request = Request::put(&format!("{way}/echo"), body.clone());
    if encoding.is_empty() { request } else { request.field("content-encoding", encoding) }
}

/// What every refusal must be: one word in answer, log and metrics.
async fn refused(gateway: &Gateway, answer: &Answer, status: u16, reason: &str, what: &str) {
    assert_eq!((answer.status, answer.reason().as_str()), (status, reason), "{what}: {answer:?}");
    assert_eq!(answer.field("retry-after").is_some(), matches!(status, 429 | 503), "{what}: {answer:?}");
    let line = gateway.access_line(answer.field("x-corr-id").unwrap()).await;
    let logged = (line["status"].as_u64(), line["reason"].as_str());
    assert_eq!(logged, (Some(status.into()), Some(reason)), "{what}: {line}");
}

/// Sends a body of open length in pieces of so many bytes, and reads the answer.
async fn feed(version: Version, gateway: &Gateway, request: &Request, cut: usize) -> Answer {
    let body = request.body.clone().unwrap();
    let request = request.clone().open_length();
    match version {
        Version::Http1 => {
            let mut client = Http1::connect(gateway.address("public")).await;
            let mut sends = client.send(&request.http1_head()).await;
            for piece in body.chunks(cut) {
                let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
                sends = sends && client.send(&chunk).await;
            }
            let _ = client.send(b"0\r\n\r\n").await;
            client.answer("PUT").await
        }
        Version::Http2 => {
            let client = Http2::connect(gateway.address("public")).await;
            let mut upload = client.open(&request).await;
            for piece in body.chunks(cut) {
                if !upload.send(Bytes::copy_from_slice(piece)).await {
                    break;
                }
            }
            upload.finish();
            upload.answer().await
        }
    }
}

#[tokio::test]
async fn a_body_over_the_cap_is_refused_unread_or_at_the_cap() {
    let behind = Behind::new();
    let conf = behind.conf("").proxy_route_with(
        "small",
        "/small",
        "http1",
        ", strip_prefix: /small, body: { max: 10KiB }",
    );
    let gateway = Gateway::start(BINARY, &conf.yaml()).await;
    let large = pattern(3 * MIB / 2);
    let read = "rejected_body_bytes_read_total{reason=\"body_cap\"}";
    for version in Version::ALL {
        for way in WAYS {
            let what = format!("{way} {version:?}");
            let before = (gateway.metric(read).await, behind.uploads(), behind.oap.requests().len());
            let declared = version.ask(&gateway, &upload(way, "", &large)).await;
            refused(&gateway, &declared, 413, "body_cap", &what).await;
            // Not a byte of it, and nobody behind was told.
            let after = (gateway.metric(read).await, behind.uploads(), behind.oap.requests().len());
            assert_eq!(after, before, "{what}");

            let open = version.ask(&gateway, &upload(way, "", &large).open_length()).await;
            refused(&gateway, &open, 413, "body_cap", &what).await;
            assert_eq!(behind.uploads(), before.1, "{what}");
            let line = gateway.access_line(open.field("x-corr-id").unwrap()).await;
            let came = line["req_bytes"].as_u64().unwrap();
            assert!((1 << 20..(1 << 20) + 130_000).contains(&came), "{what}: {came}");

            let most = pattern(MIB);
            behind.passes(version, &gateway, &upload(way, "", &most), &most).await;
            behind.passes(version, &gateway, &upload(way, "", &most).open_length(), &most).await;
        }
        let body = pattern(10 * KIB + 1);
        let no = version.ask(&gateway, &upload("/small", "", &body)).await;
        refused(&gateway, &no, 413, "body_cap", "a route's own cap").await;
        let no = version.ask(&gateway, &upload("/small", "", &body).open_length()).await;
        refused(&gateway, &no, 413, "body_cap", "a route's own cap").await;
        let body = body.slice(1..);
        version.ask(&gateway, &upload("/small", "", &body)).await.expect(200, &body);
    }
    // Each stream that had begun was given up.
    behind.oap.wait_for_give_ups(Version::ALL.len()).await;
    assert!(behind.oap.violations().is_empty(), "{:?}", behind.oap.violations());
}

/// What comes, what it is called, and what must become of it: `""` is that it passes.
fn bodies() -> Vec<(String, &'static str, Bytes, u16, &'static str)> {
    let mut all = Vec::new();
    let plain = noise(10_000).repeat(6);
    for format in Format::ALL {
        let name = format.name();
        let good = format.encode(&plain);
        let bent = |at: usize| {
            let mut bytes = good.to_vec();
            bytes[at] ^= 0x55;
            Bytes::from(bytes)
        };
        let behind = |more: &[u8]| Bytes::from([&good, more].concat());
        let mut add = |what: &str, body, status, reason| {
            all.push((format!("{format:?} {what}"), name, body, status, reason));
        };
        add("good", good.clone(), 200, "");
        add("empty", Bytes::new(), 200, "");
        add("of nothing", format.encode(b""), 200, "");
        add("9.9 times", format.growing(20 * KIB, 99), 200, "");
        add("10.1 times", format.growing(20 * KIB, 101), 413, "decoded_ratio");
        add("10.1 times, large", format.growing(100 * KIB, 101), 413, "decoded_ratio");
        add("below the floor", format.becoming(0, 64 * KIB), 200, "");
        add("above the floor", format.becoming(0, 64 * KIB + 1), 413, "decoded_ratio");
        add("100 KiB of 12 MiB", format.becoming(90 * KIB, 12 * MIB), 413, "decoded_ratio");
        add("over 8 MiB", format.becoming(900 * KIB, 8 * MIB + 1), 413, "decoded_cap");
        add("8 MiB", format.becoming(900 * KIB, 8 * MIB), 200, "");
        add("cut short", good.slice(..good.len() - 1), 400, "malformed");
        add("cut in half", good.slice(..good.len() / 2), 400, "malformed");
        add("with more behind", behind(b"x"), 400, "malformed");
        add("encoded twice", format.encode(&format.becoming(10, 10 * MIB)), 200, "");
        if format != Format::Raw && format != Format::Brotli {
            add("with a wrong checksum", bent(good.len() - 5), 400, "malformed");
        }
    }
    let (gzip, zeros) = (Format::Gzip.encode(&plain), Format::Gzip.becoming(0, 60 * KIB));
    let mut add = |what: &str, name, body, status, reason| {
        all.push((what.to_owned(), name, body, status, reason));
    };
    add("members", "gzip", gzip.repeat(3).into(), 200, "");
    add("members that add up", "gzip", zeros.repeat(2).into(), 413, "decoded_ratio");
    add("x-gzip", "x-gzip", gzip.clone(), 200, "");
    add("identity", "identity", pattern(1000), 200, "");
    add("no gzip", "gzip", pattern(1000), 400, "malformed");
    add("brotli by the name of gzip", "gzip", Format::Brotli.encode(&plain), 400, "malformed");
    add("a window of 16 MiB", "br", brotli(&noise(1000), 24).into(), 413, "decoded_cap");
    add("two codings", "gzip, gzip", gzip.clone(), 415, "unsupported");
    add("another two", "br, gzip", gzip.clone(), 415, "unsupported");
    add("none that is known", "zstd", gzip, 415, "unsupported");
    all
}

#[tokio::test]
async fn an_encoded_body_is_forwarded_as_it_came_or_refused() {
    let behind = Behind::new();
    let gateway = Gateway::start(BINARY, &behind.conf("").yaml()).await;
    let counted =
        async |reason: &str| gateway.metric(&format!("decoded_reject_total{{reason=\"{reason}\"}}")).await;
    for (what, encoding, body, status, reason) in bodies() {
        let before = (counted(reason).await, behind.uploads());
        let mut times = 0.0;
        for version in Version::ALL {
            for way in WAYS {
                for open in [false, true] {
                    // The largest take their time: each version sees them in one framing.
                    if body.len() > 500 * KIB && open == (version == Version::Http1) {
                        continue;
                    }
                    let what = format!("{what}: {way} {version:?}, open: {open}");
                    let request = upload(way, encoding, &body);
                    let request = if open { request.open_length() } else { request };
                    if status == 200 {
                        let came = behind.passes(version, &gateway, &request, &body).await;
                        assert!(came.contains(&format!("content-encoding={encoding}")), "{what}: {came}");
                        continue;
                    }
                    let answer = version.ask(&gateway, &request).await;
                    refused(&gateway, &answer, status, reason, &what).await;
                    let accepted = (status == 415).then_some("gzip, deflate, br, identity");
                    assert_eq!(answer.field("accept-encoding"), accepted, "{what}");
                    times += 1.0;
                }
            }
        }
        if times > 0.0 {
            assert_eq!((counted(reason).await, behind.uploads()), (before.0 + times, before.1), "{what}");
        }
    }
    assert!(behind.oap.violations().is_empty(), "{:?}", behind.oap.violations());
}

#[tokio::test]
async fn a_bomb_that_is_fed_slowly_is_found_like_any_other() {
    let behind = Behind::new();
    let gateway = Gateway::start(BINARY, &behind.conf("").yaml()).await;
    for format in Format::ALL {
        let bomb = format.becoming(4 * KIB, 12 * MIB);
        for version in Version::ALL {
            for way in WAYS {
                let what = format!("{format:?} {way} {version:?}");
                let answer = feed(version, &gateway, &upload(way, format.name(), &bomb), 61).await;
                refused(&gateway, &answer, 413, "decoded_ratio", &what).await;
            }
        }
    }
    assert_eq!(behind.uploads(), 0);
}

#[tokio::test]
async fn a_routes_mode_says_what_becomes_of_an_encoded_body() {
    let behind = Behind::new();
    let conf = behind.conf(", decode: decode");
    let gateway = Gateway::start(BINARY, &conf.yaml()).await;
    let sent = |way: &str, encoding: &str, body: &Bytes, open: bool| {
        let request = upload(way, encoding, body)
            .field("content-digest", "sha-256=:AA==:")
            .field("repr-digest", "sha-256=:AA==:")
            .field("content-md5", "AA==");
        if open { request.open_length() } else { request }
    };
    let plains =
        [noise(10), noise(10_000).repeat(8), [noise(800 * KIB), vec![0; 7 * MIB]].concat(), Vec::new()];
    for version in Version::ALL {
        for way in WAYS {
            for open in [false, true] {
                for format in Format::ALL {
                    for plain in &plains {
                        // The largest takes its time: each format has it in one framing and over one version.
                        let odd = format as usize % 2 == 1;
                        if plain.len() > MIB && (open != odd || (version == Version::Http1) != odd) {
                            continue;
                        }
                        let what = format!("{format:?} {way} {version:?} {} {open}", plain.len());
                        let body = format.encode(plain);
                        let request = sent(way, format.name(), &body, open);
                        let came = behind.passes(version, &gateway, &request, plain).await;
                        let framed = if way == "/http1" { "transfer-encoding=chunked" } else { "" };
                        assert_eq!(came, framed, "{what}");
                    }
                    let bomb = format.becoming(0, 64 * KIB + 1);
                    let no = version.ask(&gateway, &sent(way, format.name(), &bomb, open)).await;
                    refused(&gateway, &no, 413, "decoded_ratio", way).await;
                    let short = format.encode(&plains[1]).slice(..900);
                    let no = version.ask(&gateway, &sent(way, format.name(), &short, open)).await;
                    refused(&gateway, &no, 400, "malformed", way).await;
                }
            }
            // What is not encoded is forwarded as it came, and so is what is empty.
            let body = pattern(100);
            let came = behind.passes(version, &gateway, &sent(way, "", &body, false), &body).await;
            let digests = "content-digest=sha-256=:AA==:, repr-digest=sha-256=:AA==:, content-md5=AA==";
            assert_eq!(came, format!("content-length=100, {digests}"), "{way}");
            let empty = sent(way, "gzip", &Bytes::new(), false);
            assert_eq!(behind.passes(version, &gateway, &empty, b"").await, "content-length=0", "{way}");
        }
    }
    assert!(behind.oap.violations().is_empty(), "{:?}", behind.oap.violations());

    // A reload changes it for the requests that begin then.
    let answer = gateway.reload(&behind.conf(", decode: reject").yaml()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let gzip = Format::Gzip.encode(b"hello");
    for version in Version::ALL {
        for way in WAYS {
            for encoding in ["gzip", "br", "zstd", "identity, gzip"] {
                let no = version.ask(&gateway, &upload(way, encoding, &gzip)).await;
                refused(&gateway, &no, 415, "unsupported", way).await;
                assert_eq!(no.field("accept-encoding"), Some("identity"), "{way} {encoding}");
            }
            for encoding in ["", "identity"] {
                behind.passes(version, &gateway, &upload(way, encoding, &gzip), &gzip).await;
            }
        }
    }
    let answer = gateway.reload(&behind.conf(", decode: off").yaml()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let bomb = Format::Gzip.becoming(0, 12 * MIB);
    for version in Version::ALL {
        for way in WAYS {
            for (encoding, body) in [("gzip", &bomb), ("gzip", &pattern(9)), ("zstd, br", &gzip)] {
                let came = behind.passes(version, &gateway, &upload(way, encoding, body), body).await;
                assert!(came.contains(&format!("content-encoding={encoding}")), "{way}: {came}");
            }
        }
    }
}

#[tokio::test]
async fn each_bound_of_decoding_bites_from_the_next_request_on() {
    let behind = Behind::new();
    let gateway = Gateway::start(BINARY, &behind.conf("").yaml()).await;
    let five_times = Format::Gzip.growing(40 * KIB, 50);
    let small = Format::Gzip.becoming(0, 60 * KIB);
    let cases = [
        ("limits.decode.ratio", "4", &five_times, "decoded_ratio"),
        ("limits.decode.floor", "32KiB", &small, "decoded_ratio"),
        ("limits.decode", "{ floor: 1KiB, max: 190KiB }", &five_times, "decoded_cap"),
        ("limits.decode.memory_total", "112KiB", &Format::Brotli.encode(&noise(100 * KIB)), "degraded"),
    ];
    for (key, value, body, reason) in cases {
        let encoding = if reason == "degraded" { "br" } else { "gzip" };
        for (limited, yaml) in
            [(false, behind.conf("").yaml()), (true, behind.conf("").set(key, value).yaml())]
        {
            let reloaded = gateway.reload(&yaml).await;
            assert_eq!(reloaded.status, 200, "{reloaded:?}");
            for version in Version::ALL {
                for way in WAYS {
                    for open in [false, true] {
                        let request = upload(way, encoding, body);
                        let request = if open { request.open_length() } else { request };
                        let answer = version.ask(&gateway, &request).await;
                        let what = format!("{key}: {value} {way} {version:?} {open}");
                        if limited {
                            let status = if reason == "degraded" { 503 } else { 413 };
                            refused(&gateway, &answer, status, reason, &what).await;
                        } else {
                            assert_eq!(answer.status, 200, "{what}: {answer:?}");
                        }
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn decoders_share_their_memory_and_give_it_back() {
    let behind = Behind::new();
    // Room for two inflaters.
    let conf = behind.conf("").set("limits.decode.memory_total", "120KiB");
    let gateway = Gateway::start(BINARY, &conf.yaml()).await;
    let body = Format::Gzip.encode(&noise(100 * KIB));
    let small = Format::Gzip.encode(b"hello");
    for way in WAYS {
        // Those that have begun to arrive and go on slowly hold a decoder…
        let client = Http2::connect(gateway.address("public")).await;
        let mut slow = Vec::new();
        for n in 1..3 {
            let mut one = client.open(&upload(way, "gzip", &body).open_length()).await;
            assert!(one.send(body.slice(..50_000)).await);
            let held = f64::from(n * 48 * 1024);
            gateway.metric_becomes("gateway_decoder_memory_bytes", |now| now == held).await;
            slow.push(one);
        }
        let no = Version::Http1.ask(&gateway, &upload(way, "gzip", &small)).await;
        refused(&gateway, &no, 503, "degraded", way).await;
        for mut one in slow {
            assert!(one.send(body.slice(50_000..)).await);
            one.finish();
            assert_eq!(behind.content(way, &one.answer().await).await, body);
        }
        gateway.metric_becomes("gateway_decoder_memory_bytes", |held| held == 0.0).await;
        // …and one that is gathered holds none before it is all here.
        let mut slow = client.open(&upload(way, "gzip", &small)).await;
        assert!(slow.send(small.slice(..15)).await);
        for _ in 0..3 {
            behind.passes(Version::Http1, &gateway, &upload(way, "gzip", &small), &small).await;
        }
        assert!(slow.send(small.slice(15..)).await);
        slow.finish();
        assert_eq!(behind.content(way, &slow.answer().await).await, small);
    }
}

#[tokio::test]
async fn what_a_body_becomes_is_paid_for_like_what_it_is() {
    let behind = Behind::new();
    let body = Format::Gzip.becoming(0, 60 * KIB);
    let get = Request::get("/http1/bytes/2");
    for version in Version::ALL {
        for way in WAYS {
            for open in [false, true] {
                let sends = |encoding| {
                    let request =
                        Request::post(&format!("{way}/x"), body.clone()).field("content-encoding", encoding);
                    if open { request.open_length() } else { request }
                };
                for (encoding, paid) in [("gzip", false), ("identity", true)] {
                    // A second's worth is more than what arrives, and less than what that becomes.
                    let conf = behind
                        .conf("")
                        .set("tenants.anonymous", "{ quota: { bytes: 72000KiB/h } }")
                        .set("clusters.oap.retry", "{ attempts: 1 }");
                    let gateway = Gateway::start(BINARY, &conf.yaml()).await;
                    let answer = version.ask(&gateway, &sends(encoding)).await;
                    assert!(answer.status < 300, "{way} {version:?} {encoding}: {answer:?}");
                    let answer = version.ask(&gateway, &get).await;
                    let what = format!("{way} {version:?} {encoding} {open}");
                    if paid {
                        assert_eq!(answer.status, 200, "{what}");
                    } else {
                        refused(&gateway, &answer, 429, "quota", &what).await;
                        let policy = answer.field("ratelimit-policy").unwrap();
                        assert!(policy.starts_with("\"bytes\""), "{what}: {policy}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn an_object_is_what_was_forwarded() {
    let plain = Bytes::from(noise(20_000).repeat(8));
    let address = |bytes: &[u8]| format!("/o/b3:{}", blake3::hash(bytes).to_hex());
    for (mode, format) in [("verify", Format::Gzip), ("decode", Format::Brotli)] {
        let object = |name: &str, at: &str| {
            format!("{{ name: {name}, match: {{ path: {at} }}, kind: object, cluster: s, decode: {mode} }}")
        };
        let conf = conf::minimal()
            .embedded_cluster("s")
            .route(object("objects", "{ prefix: /o/ }"))
            .route(object("put", "{ exact: /api/put }"));
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        let encoded = format.encode(&plain);
        let (stored, other) = if mode == "decode" { (&plain, &encoded) } else { (&encoded, &plain) };
        for version in Version::ALL {
            for open in [false, true] {
                let sent = |request: Request| {
                    let request = request.field("content-encoding", format.name());
                    if open { request.open_length() } else { request }
                };
                let wrong =
                    version.ask(&gateway, &sent(Request::put(&address(other), encoded.clone()))).await;
                refused(&gateway, &wrong, 422, "digest_mismatch", mode).await;
                let put = version.ask(&gateway, &sent(Request::put(&address(stored), encoded.clone()))).await;
                assert!(matches!(put.status, 200 | 201), "{mode}: {put:?}");
                let post = version.ask(&gateway, &sent(Request::post("/api/put", encoded.clone()))).await;
                assert!(matches!(post.status, 200 | 201), "{mode}: {post:?}");
                assert_eq!(address(stored)[3..], *post.json()["addr"].as_str().unwrap());
                version.ask(&gateway, &Request::get(&address(stored))).await.expect(200, stored);
            }
        }
    }
}

#[tokio::test]
async fn a_breach_behind_the_answers_head_cuts_the_answer() {
    let backend =
        Backend::oap().script(|_| Script::new().start(200, &[]).data("begun").until_given_up()).start();
    let conf = conf::minimal().oap_cluster("app", &backend.address()).proxy_route("/", "app");
    let gateway = Gateway::start(BINARY, &conf.yaml()).await;
    let bomb = Format::Gzip.becoming(4 * KIB, 12 * MIB);
    let request = Request::put("/x", bomb.clone()).field("content-encoding", "gzip").open_length();
    let (first, rest) = (bomb.slice(..20), bomb.slice(20..));

    let mut client = Http1::connect(gateway.address("public")).await;
    let chunk = |piece: &[u8]| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
    assert!(client.send(&request.http1_head()).await && client.send(&chunk(&first)).await);
    let mut answer = client.answer_head("PUT").await.unwrap();
    assert_eq!(client.piece(&mut answer, 5).await.unwrap(), "begun");
    let _ = client.send(&chunk(&rest)).await;
    let answer = client.rest(answer).await;
    assert!(!answer.body.complete, "{answer:?}");

    let client = Http2::connect(gateway.address("public")).await;
    let mut upload = client.open(&request).await;
    assert!(upload.send(first).await);
    let (status, mut body, begun) = upload.answer_start().await.unwrap();
    assert_eq!((status, &begun[..]), (200, &b"begun"[..]));
    let _ = upload.send(rest).await;
    assert!(body.data().await.unwrap().is_err());

    backend.wait_for_give_ups(2).await;
    let cut = gateway.log_line(|line| line["event"] == "request" && line["cut"] == true).await;
    assert_eq!((cut["status"].as_u64(), cut["reason"].as_str()), (Some(200), Some("decoded_ratio")));
}

#[tokio::test]
async fn a_trailer_section_over_http2_ends_a_body_on_every_way_up() {
    let behind = Behind::new();
    let plain = [noise(3000), noise(70_000)];
    for mode in ["off", "verify", "decode"] {
        let gateway = Gateway::start(BINARY, &behind.conf(&format!(", decode: {mode}")).yaml()).await;
        let client = Http2::connect(gateway.address("public")).await;
        for way in WAYS {
            for plain in &plain {
                for open in [false, true] {
                    let body = Format::Gzip.encode(plain);
                    let request = upload(way, "gzip", &body);
                    let request = if open { request.open_length() } else { request };
                    let mut upload = client.open(&request).await;
                    assert!(upload.send(body.clone()).await);
                    upload.finish_with_trailer("x-checksum", "1");
                    let came = behind.content(way, &upload.answer().await).await;
                    let wanted = if mode == "decode" { plain } else { &body[..] };
                    assert!(came == *wanted, "{mode} {way} {} {open}: {} came", plain.len(), came.len());
                }
            }
        }
    }
}

#[tokio::test]
async fn a_body_that_is_cut_short_is_never_a_whole_request_to_a_backend() {
    let behind = Behind::new();
    let gateway = Gateway::start(BINARY, &behind.conf("").yaml()).await;
    let client = Http2::connect(gateway.address("public")).await;
    for way in WAYS {
        for format in Format::ALL {
            for (size, cut) in [(3000, 1), (200_000, 1), (200_000, 20)] {
                let whole = format.encode(&noise(size));
                let body = whole.slice(..whole.len() - cut);
                // All that was announced, and only then the end of the stream.
                let mut upload = client.open(&upload(way, format.name(), &body)).await;
                assert!(upload.send(body).await);
                let what = format!("{way} {format:?} {size} {cut}");
                if size < 64 * KIB || way == "/oap" {
                    upload.finish();
                }
                // Elsewhere nothing more can come that would mend it.
                refused(&gateway, &upload.answer().await, 400, "malformed", &what).await;
            }
        }
    }
    assert_eq!(behind.uploads(), 0);
}
