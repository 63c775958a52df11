//! Services that speak plain HTTP/1.1, as they are found: connections that die in use, interim answers, answers whose end is
//! the connection's; and clients of HTTP/1.0 on every way up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use gateway_testing::backend::{Backend, Script};
use gateway_testing::client::{Answer, Http1, Request};
use gateway_testing::net::Address;
use gateway_testing::{Gateway, conf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::BINARY;
use crate::both::Version;

/// An origin that answers by the path, and counts what it was asked behind the first request of a connection.
struct Origin {
    address: Address,
    later: Arc<AtomicUsize>,
}

impl Origin {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().into();
        let later = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&later);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&count)));
            }
        });
        Self { address, later }
    }
}

async fn serve(mut stream: TcpStream, later: Arc<AtomicUsize>) -> Option<()> {
    let mut input = Vec::new();
    for turn in 0.. {
        while !input.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut input).await.ok()? == 0 {
                return None;
            }
        }
        let asked = String::from_utf8_lossy(&input).into_owned();
        input.clear();
        if turn > 0 {
            later.fetch_add(1, Relaxed);
        }
        let path = asked.split(' ').nth(1)?;
        let answer: &[u8] = match path {
            // Every connection serves one request, and is gone at the second.
            "/dies" if turn > 0 => return None,
            "/early" => {
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n\
                  HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
            }
            "/switches" => b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            "/chunks" => b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "/cut" => b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
            _ => b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        };
        stream.write_all(answer).await.ok()?;
        if path == "/cut" {
            return None;
        }
    }
    None
}

async fn in_front_of(origin: &Origin) -> Gateway {
    let conf = conf::minimal()
        .http1_cluster("app", &origin.address)
        .set("clusters.app.ejection", "{ share: 0% }")
        .set("clusters.app.health", "{ interval: 1h }")
        .proxy_route("/", "app");
    Gateway::start(BINARY, &conf.yaml()).await
}

/// An answer to HTTP/1.0, with nothing said of keeping the connection.
async fn ask_as_http10(gateway: &Gateway, path: &str, keep: bool) -> (Answer, Vec<u16>) {
    let mut client = Http1::connect(gateway.address("public")).await;
    let keep = if keep { "connection: keep-alive\r\n" } else { "" };
    client.send(format!("GET {path} HTTP/1.0\r\nhost: a\r\n{keep}\r\n").as_bytes()).await;
    let answer = client.answer("GET").await;
    (answer, client.informational().to_vec())
}

#[tokio::test]
async fn a_kept_connection_that_dies_under_a_request_is_told_and_never_repeats_a_post() {
    let origin = Origin::start().await;
    let gateway = in_front_of(&origin).await;
    for version in Version::ALL {
        // A GET is repeated once, on a new connection or on another that was kept, and dies too.
        for (request, wanted) in
            [(Request::get("/dies"), &[(200, 1), (502, 2)][..]), (Request::post("/dies", ""), &[(502, 1)])]
        {
            // Behind its answer a connection is kept, for the next request but for one that comes too early: that one is
            // served on a new one.
            let (answer, asked) = loop {
                version.ask(&gateway, &Request::get("/warm")).await.expect(200, b"ok");
                let before = origin.later.load(Relaxed);
                let answer = version.ask(&gateway, &request).await;
                let asked = origin.later.load(Relaxed) - before;
                if asked > 0 {
                    break (answer, asked);
                }
                answer.expect(200, b"ok");
            };
            let seen = (answer.status, asked);
            assert!(wanted.contains(&seen), "{version:?} {request:?}: {asked} {answer:?}");
            assert!(answer.status == 200 || answer.reason() == "upstream", "{answer:?}");
        }
    }
    assert!(!gateway.log_text().contains("panicked"), "{}", gateway.log_text());
}

#[tokio::test]
async fn what_a_backend_says_ahead_of_its_answer_passes_but_to_http10() {
    let origin = Origin::start().await;
    let gateway = in_front_of(&origin).await;
    let mut client = Http1::connect(gateway.address("public")).await;
    client.request(&Request::get("/early")).await.expect(200, b"ok");
    assert!(client.informational().contains(&103), "{:?}", client.informational());
    Version::Http2.ask(&gateway, &Request::get("/early")).await.expect(200, b"ok");
    let (answer, informational) = ask_as_http10(&gateway, "/early", false).await;
    answer.expect(200, b"ok");
    assert_eq!(informational, [0; 0]);
    for version in Version::ALL {
        let no = version.ask(&gateway, &Request::get("/switches")).await;
        assert_eq!((no.status, no.reason().as_str()), (502, "upstream"), "{version:?}");
    }
}

#[tokio::test]
async fn an_answer_that_was_cut_never_looks_whole_to_http10() {
    let origin = Origin::start().await;
    let gateway = in_front_of(&origin).await;
    let backend = Backend::oap().start();
    let relayed = conf::minimal()
        .oap_cluster("app", &backend.address())
        .set("clusters.app.ejection", "{ share: 0% }")
        .proxy_route("/", "app");
    let relayed = Gateway::start(BINARY, &relayed.yaml()).await;
    backend.set_script(|request| {
        let script = Script::new().start(200, &[]).data("hello");
        if request.path() == "/cut" { script.end_with(500) } else { script.end() }
    });
    for keep in [false, true] {
        let cut =
            [ask_as_http10(&gateway, "/cut", keep).await.0, ask_as_http10(&relayed, "/cut", keep).await.0];
        for answer in cut {
            assert!(answer.status == 200 && !answer.body.complete, "{keep}: {answer:?}");
        }
        let whole = [
            ask_as_http10(&gateway, "/chunks", keep).await.0,
            ask_as_http10(&relayed, "/whole", keep).await.0,
        ];
        for (answer, content) in whole.into_iter().zip(["ok", "hello"]) {
            answer.expect(200, content.as_bytes());
            assert_eq!(answer.field("transfer-encoding"), None);
            // Its end is the connection's.
            assert_ne!(answer.field("connection"), Some("keep-alive"), "{answer:?}");
        }
    }
}
