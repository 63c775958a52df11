//! Handshakes that begin and do not end: a deadline for each, a bound for all, and nobody else hurt.

use std::time::Duration;

use gateway_testing::client::Http1;
use gateway_testing::net::Socket;
use gateway_testing::process::Signal;
use gateway_testing::{Gateway, PATIENCE};

use super::{HTTP1, Site, ask, failed, get};
use crate::both::Version;

/// A ClientHello for 1.3 that is answered: one suite, X25519 with a key share, ECDSA and RSA.
fn client_hello() -> Vec<u8> {
    let key_share = [&[0, 0x1d, 0, 32][..], &[9; 32]].concat();
    let extension = |kind: u16, data: &[u8]| {
        [&kind.to_be_bytes()[..], &u16::try_from(data.len()).unwrap().to_be_bytes(), data].concat()
    };
    let listed = |data: &[u8]| [&u16::try_from(data.len()).unwrap().to_be_bytes()[..], data].concat();
    let extensions = [
        extension(0x2b, &[2, 3, 4]),
        extension(0x0a, &listed(&[0, 0x1d])),
        extension(0x0d, &listed(&[4, 3, 8, 4])),
        extension(0x33, &listed(&key_share)),
    ]
    .concat();
    let body = [&[3, 3][..], &[7; 32], &[0], &listed(&[0x13, 1]), &[1, 0], &listed(&extensions)].concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let message = [&[1, length[1], length[2], length[3]], &body[..]].concat();
    [&[22, 3, 1][..], &listed(&message)].concat()
}

/// Connections that have said so much of a handshake, and then nothing.
async fn stuck(gateway: &Gateway, said: &[u8], many: usize) -> Vec<Http1> {
    let mut all = Vec::new();
    for _ in 0..many {
        let mut one = Http1::connect(gateway.address("public")).await;
        // On a slow machine its time may be over already.
        let _sent = one.send(said).await;
        all.push(one);
    }
    all
}

#[tokio::test]
async fn a_handshake_has_its_time_and_no_more() {
    let site = Site::new();
    let gateway = site.start(&site.conf(", handshake_timeout: 200ms")).await;
    let hello = client_hello();
    let stages = [0, 1, hello.len() - 1, hello.len()];
    for said in stages {
        for mut one in stuck(&gateway, &hello[..said], 1).await {
            let heard = one.closed().await;
            assert!(heard.is_empty() || said == hello.len(), "{said} of {}", hello.len());
        }
    }
    failed(&gateway, "timeout", stages.len() as f64).await;
    // A reload changes it from the next connection on.
    assert_eq!(gateway.reload(&site.conf(", handshake_timeout: 60s").yaml()).await.status, 200);
    let _slow = stuck(&gateway, &hello, 1).await;
    let short = site.conf(", handshake_timeout: 300ms");
    assert_eq!(gateway.reload(&short.yaml()).await.status, 200);
    for mut one in stuck(&gateway, &hello[..1], 1).await {
        one.closed().await;
    }
    failed(&gateway, "timeout", stages.len() as f64 + 1.0).await;
}

#[tokio::test]
async fn a_handshake_may_come_with_the_header_of_the_proxy_protocol() {
    let site = Site::new();
    let more = ", trusted_addresses: [127.0.0.1], proxy_protocol: required";
    let gateway = site.start(&site.conf_with(", handshake_timeout: 500ms", more)).await;
    let said = [&b"PROXY UNKNOWN\r\n"[..], &client_hello()].concat();
    for mut one in stuck(&gateway, &said, 1).await {
        assert!(one.closed().await.starts_with(&[22, 3, 3]), "a ServerHello");
    }
}

#[tokio::test]
async fn what_is_no_handshake_is_closed_at_once_and_counted_for_what_it_is() {
    let site = Site::new();
    for (said, reason) in [
        (&b"GET / HTTP/1.1\r\nhost: a.example\r\n\r\n"[..], "not_tls"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "not_tls"),
        (b"\x16\x03\x01\x40\x00\x01\xff\xff\xff", "malformed"),
        (b"\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03", "malformed"),
    ] {
        let gateway = site.start(&site.conf(", handshake_timeout: 60s")).await;
        for mut one in stuck(&gateway, said, 1).await {
            one.closed().await;
        }
        failed(&gateway, reason, 1.0).await;
    }
    let gateway = site.start(&site.conf(", handshake_timeout: 60s")).await;
    drop(stuck(&gateway, &client_hello(), 1).await);
    failed(&gateway, "closed", 1.0).await;
}

#[tokio::test]
async fn a_newcomer_takes_the_place_of_the_oldest() {
    let site = Site::new();
    let gateway = site.start(&site.conf(", handshake_timeout: 60s, handshakes: 3")).await;
    let _others = stuck(&gateway, &client_hello(), 10).await;
    gateway.metric_becomes("tls_handshake_failures_total{reason=\"crowded\"}", |n| n == 7.0).await;
    for version in Version::ALL {
        assert_eq!(ask(version, &site.client(), &gateway, &get("/x")).await.status, 200);
    }
    // Who has not said all that he has to say first takes no place.
    let silent = site.start(&site.conf(", handshake_timeout: 60s, handshakes: 1")).await;
    let _silent = stuck(&silent, &client_hello()[..40], 10).await;
    assert_eq!(ask(Version::Http1, &site.client(), &silent, &get("/x")).await.status, 200);
    assert_eq!(silent.metric("tls_handshake_failures_total").await, 0.0);
    // More places hold from the next handshake on.
    assert_eq!(
        gateway.reload(&site.conf(", handshake_timeout: 60s, handshakes: 100").yaml()).await.status,
        200
    );
    let before = gateway.metric("tls_handshake_failures_total").await;
    let _more = stuck(&gateway, &client_hello(), 20).await;
    assert_eq!(ask(Version::Http1, &site.client(), &gateway, &get("/x")).await.status, 200);
    assert_eq!(gateway.metric("tls_handshake_failures_total").await, before);
}

#[tokio::test]
async fn a_thousand_half_open_handshakes_hurt_nobody() {
    let site = Site::new();
    let hello = client_hello();
    for said in [0, 100, hello.len()] {
        let conf = site
            .conf(", handshake_timeout: 60s")
            .set("limits.per_address", "{ connections: none, rate: none }")
            .set("limits.rate", "2000/s");
        let gateway = site.start(&conf).await;
        // Somebody who is there already, and somebody who comes while they do.
        let session = site.client().speaking(&[HTTP1]).connect(gateway.address("public")).await;
        let mut there = Http1::over(session.socket);
        let before = gateway.process().resident();
        let half_open = stuck(&gateway, &hello[..said], 1000).await;
        for _ in 0..20 {
            for version in Version::ALL {
                assert_eq!(ask(version, &site.client(), &gateway, &get("/x")).await.status, 200, "{said}");
            }
            assert_eq!(there.request(&get("/x")).await.status, 200, "{said}");
        }
        let grown = gateway.process().resident().saturating_sub(before);
        assert!(grown < 64 << 20, "{said}: {grown} bytes for 1,000 half-open handshakes");
        let failed = gateway.metric("tls_handshake_failures_total").await;
        let crowded = gateway.metric("tls_handshake_failures_total{reason=\"crowded\"}").await;
        assert_eq!(failed, crowded, "{said}");
        assert!(if said == hello.len() { crowded >= 744.0 } else { crowded == 0.0 }, "{said}: {crowded}");
        drop(half_open);
    }
}

#[tokio::test]
async fn a_stop_waits_for_no_client_that_does_not_go_on() {
    let site = Site::new();
    let gateway = site.start(&site.conf(", handshake_timeout: 60s").set("server.drain", "60s")).await;
    let _half_open = stuck(&gateway, &client_hello(), 3).await;
    let _silent = Socket::connect(&gateway.address("public")).await;
    let _idle = site.client().connect(gateway.address("public")).await;
    let session = site.client().speaking(&[HTTP1]).connect(gateway.address("public")).await;
    let mut used = Http1::over(session.socket);
    assert_eq!(used.request(&get("/x")).await.status, 200);
    gateway.signal(Signal::TERM);
    let status = gateway.wait_exit(PATIENCE).await;
    assert_eq!(status.code(), Some(0));
    tokio::time::timeout(Duration::from_secs(5), used.closed()).await.unwrap();
}
