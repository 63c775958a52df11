//! What client and listener agree on: protocol, version, certificate, key exchange.

use std::io::{Read, Write};
use std::net::TcpListener;

use gateway_testing::client::{Http1, Http2, Request};
use gateway_testing::pattern;
use gateway_testing::tls::{Client, Group, Version as Tls};

use super::{H2, HTTP1, Site, ask, failed, get, is_served};
use crate::both::Version;

#[tokio::test]
async fn bodies_cross_whole_over_either_protocol_and_backends_are_told_https() {
    let site = Site::new();
    let gateway = site.start(&site.conf("").set("limits.request.timeout", "60s")).await;
    for version in Version::ALL {
        let body = pattern(900_000);
        let echo = Request::post("/echo", body.clone()).authority("a.example");
        ask(version, &site.client(), &gateway, &echo).await.expect(200, &body);
        let received = site.backend.next_request().await;
        assert_eq!(received.head.field("x-forwarded-proto"), Some("https"));
        assert_eq!(received.head.field("forwarded"), Some("for=127.0.0.1;proto=https;host=\"a.example\""));
        let line = format!("{:?}", received.head.line);
        assert!(line.contains("scheme: \"https\""), "{line}");
    }
    // One connection serves many, and says goodbye as TLS does.
    let session = site.client().speaking(&[HTTP1]).connect(gateway.address("public")).await;
    let mut client = Http1::over(session.socket);
    for n in 0..5 {
        client.request(&get(&format!("/bytes/{n}000"))).await.expect(200, &pattern(n * 1000));
    }
    assert_eq!(client.request(&get("/x").field("connection", "close")).await.status, 200);
    client.closed().await;
    let session = site.client().speaking(&[H2]).connect(gateway.address("public")).await;
    let client = Http2::over(session.socket).await;
    let (one, two) = (get("/bytes/200000"), get("/bytes/300000"));
    let (one, two) = tokio::join!(client.request(&one), client.request(&two));
    one.expect(200, &pattern(200_000));
    two.expect(200, &pattern(300_000));
    assert_eq!(gateway.metric("tls_handshake_failures_total").await, 0.0);
}

#[tokio::test]
async fn backends_of_the_pipeline_are_told_https_too() {
    let site = Site::new();
    let origin = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = origin.local_addr().unwrap();
    let heads = std::thread::spawn(move || {
        let (mut heads, mut open) = (Vec::new(), Vec::new());
        while heads.len() < 2 {
            let (mut stream, _) = origin.accept().unwrap();
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                head.push(byte[0]);
            }
            if !head.is_empty() {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
                    .unwrap();
                let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
                // A health check asks for something else.
                heads.extend(Some(head).filter(|head| head.contains(" /plain/x ")));
                // Closed now, what it has not read yet would reset it.
                open.push(stream);
            }
        }
        heads
    });
    let conf = site
        .conf("")
        .http1_cluster("plain", &at.into())
        .set("clusters.plain.health", "{ interval: 1h }")
        .proxy_route("/plain/", "plain");
    let gateway = site.start(&conf).await;
    for version in Version::ALL {
        ask(version, &site.client(), &gateway, &get("/plain/x")).await.expect(200, b"ok");
    }
    for head in heads.join().unwrap() {
        assert!(head.contains("x-forwarded-proto: https\r\n"), "{head}");
        assert!(head.contains("proto=https"), "{head}");
    }
}

#[tokio::test]
async fn the_protocol_is_agreed_on_by_alpn() {
    let site = Site::new();
    let both = site.start(&site.conf("")).await;
    for (offers, agreed) in [
        (&[H2, HTTP1][..], Some(H2)),
        (&[HTTP1, H2], Some(H2)),
        (&[HTTP1], Some(HTTP1)),
        (&["spdy/3", HTTP1], Some(HTTP1)),
        (&[], None),
    ] {
        let session = site.client().speaking(offers).connect(both.address("public")).await;
        assert_eq!(session.alpn.as_deref(), agreed, "{offers:?}");
        let version = if agreed == Some(H2) { Version::Http2 } else { Version::Http1 };
        assert_eq!(super::over(version, session, &get("/x")).await.status, 200, "{offers:?}");
    }
    assert!(site.client().speaking(&["spdy/3"]).try_connect(both.address("public")).await.is_err());
    failed(&both, "alpn", 1.0).await;

    let wanted = site.start(&site.conf_with("", ", protocols: [h1, h2]")).await;
    let session = site.client().speaking(&[H2, HTTP1]).connect(wanted.address("public")).await;
    assert_eq!(session.alpn.as_deref(), Some(HTTP1), "the listener's order counts");

    let old = site.start(&site.conf_with("", ", protocols: [h1]")).await;
    assert!(site.client().speaking(&[H2]).try_connect(old.address("public")).await.is_err());
    let session = site.client().speaking(&[H2, HTTP1]).connect(old.address("public")).await;
    assert_eq!(session.alpn.as_deref(), Some(HTTP1));
    // Without ALPN nothing but HTTP/1 is spoken, whatever a client begins with.
    let new = site.start(&site.conf_with("", ", protocols: [h2]")).await;
    assert!(!is_served(&site.client(), &new).await);
    failed(&new, "alpn", 1.0).await;
}

#[tokio::test]
async fn only_1_3_is_spoken_unless_1_2_is_asked_for() {
    let site = Site::new();
    for (min, serves_old) in
        [("", false), (", min_version: \"1.3\"", false), (", min_version: \"1.2\"", true)]
    {
        let gateway = site.start(&site.conf(min)).await;
        for (only, served) in [(Tls::V12, serves_old), (Tls::V13, true)] {
            let client = Client { only: Some(only), ..site.client() };
            match client.try_connect(gateway.address("public")).await {
                Ok(session) => {
                    assert_eq!((session.version, served), (Some(only), true), "{min}");
                    assert_eq!(super::over(Version::Http1, session, &get("/x")).await.status, 200);
                }
                Err(error) => {
                    assert!(!served, "{min} {only:?}: {error}");
                    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
                    failed(&gateway, "version", 1.0).await;
                }
            }
        }
        // Who knows both gets the newer.
        let session = site.client().connect(gateway.address("public")).await;
        assert_eq!(session.version, Some(Tls::V13));
    }
}

#[tokio::test]
async fn the_certificate_is_chosen_by_name_exact_before_wildcard_before_the_first() {
    let site = Site::new();
    let exact = site.authority.issue("x.b.example");
    let wildcard = site.authority.issue_with(&["*.b.example", "c.example"], |_| {});
    let pairs = "{ certificates: [ { cert: a.pem, key: a.key }, { cert: w.pem, key: w.key }, { cert: x.pem, key: x.key } ] }";
    let gateway = gateway_testing::Gateway::builder(crate::BINARY)
        .config(site.conf_of(pairs).yaml())
        .file("a.pem", &site.identity.certificate)
        .secret("a.key", &site.identity.key)
        .file("w.pem", &wildcard.certificate)
        .secret("w.key", &wildcard.key)
        .file("x.pem", &exact.certificate)
        .secret("x.key", &exact.key)
        .start()
        .await;
    for (name, shown) in [
        ("a.example", &site.identity),
        ("x.b.example", &exact),
        ("y.b.example", &wildcard),
        ("c.example", &wildcard),
    ] {
        for version in Version::ALL {
            let alpn: &[&str] = if version == Version::Http2 { &[H2] } else { &[HTTP1] };
            let client = Client::new(&site.authority, name).speaking(alpn);
            let session = client.connect(gateway.address("public")).await;
            assert!(session.shows(shown), "{name}");
            assert_eq!(super::over(version, session, &Request::get("/x").authority(name)).await.status, 200);
            // http.md §2: an authority that the SNI's certificate does not cover is 421; one that it covers is not.
            for (host, status) in [
                (name.to_ascii_uppercase(), 200),
                (format!("{name}:8443"), 200),
                ("other.example".to_owned(), 421),
                ("127.0.0.1".to_owned(), 421),
                ("c.example".to_owned(), if std::ptr::eq(shown, &wildcard) { 200 } else { 421 }),
            ] {
                let client = Client::new(&site.authority, name);
                let request = Request::get("/x").authority(&host);
                let answer = ask(version, &client, &gateway, &request).await;
                assert_eq!(answer.status, status, "{version:?} {name} {host}: {answer:?}");
                if status == 421 {
                    assert_eq!(answer.reason(), "host");
                }
            }
        }
    }
    // A name that nothing is for gets the first, and nobody who looks at it stays.
    assert!(Client::new(&site.authority, "z.example").try_connect(gateway.address("public")).await.is_err());
    assert!(gateway.metric("rejected_total{reason=\"host\"}").await > 0.0);
}

#[tokio::test]
async fn who_goes_by_an_address_may_ask_for_any_host() {
    let authority = gateway_testing::tls::Authority::new();
    let identity = authority.issue_with(&["127.0.0.1", "a.example"], |_| {});
    let site = Site { authority, identity, backend: gateway_testing::backend::Backend::oap().start() };
    let gateway = site.start(&site.conf("")).await;
    let client = Client::new(&site.authority, "127.0.0.1");
    for host in ["127.0.0.1:8443", "a.example", "other.example"] {
        for version in Version::ALL {
            let answer = ask(version, &client, &gateway, &Request::get("/x").authority(host)).await;
            assert_eq!(answer.status, 200, "{host}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn key_exchange_is_post_quantum_as_far_as_pq_says() {
    let site = Site::new();
    for (pq, any, classic, hybrid) in [
        ("", "X25519MLKEM768", true, true),
        (", pq: prefer", "X25519MLKEM768", true, true),
        (", pq: require", "X25519MLKEM768", false, true),
        (", pq: off", "X25519", true, false),
    ] {
        let gateway = site.start(&site.conf(pq)).await;
        let session = site.client().connect(gateway.address("public")).await;
        assert_eq!(session.group, any, "{pq}");
        for (group, served) in [(Group::X25519, classic), (Group::X25519MlKem768, hybrid)] {
            let client = Client { group: Some(group), only: Some(Tls::V13), ..site.client() };
            assert_eq!(is_served(&client, &gateway).await, served, "{pq} {group:?}");
        }
        let refused = [classic, hybrid].iter().filter(|served| !**served).count();
        failed(&gateway, "parameters", refused as f64).await;
    }
}
