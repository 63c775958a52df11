//! http.md §3, over a socket, against both stores.

use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::backend::tests::Running;
use crate::backend::tests::peer::{Answer, Peer};
use crate::backend::{Keep, Policy};

type Fields<'a> = &'a [(&'a str, &'a str)];

/// The largest object here.
const MOST: u64 = 1 << 20;

struct Served {
    running: Running,
    folder: tempfile::TempDir,
}

impl Served {
    fn new(in_memory: bool, window: Option<u32>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keep = if in_memory { Keep::Memory(8 << 20) } else { Keep::Directory(folder.path().to_owned()) };
        let objects = Objects::new(Store::open(&keep).unwrap(), MOST);
        let running = Running::unix(Arc::new(objects), Policy { window, ..Policy::default() });
        Self { running, folder }
    }

    /// Every combination of stores and modes.
    fn each() -> impl Iterator<Item = Self> {
        [(true, Some(256 * 1024)), (true, None), (false, Some(256 * 1024)), (false, None)]
            .into_iter()
            .map(|(in_memory, window)| Self::new(in_memory, window))
    }
}

fn content(len: usize) -> Bytes {
    (0..len).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect()
}

/// Stores something and says where it is.
async fn stored(peer: &mut Peer, content: &Bytes) -> String {
    let answer = peer.ask("POST", "/api/put", &[], content.clone()).await;
    assert!(matches!(answer.status(), 200 | 201) && answer.is_whole(), "{answer:?}");
    format!("/o/{}", Address::of(content))
}

fn reason(answer: &Answer) -> String {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["code"], answer.status());
    body["reason"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_object_is_put_and_read_back() {
    for served in Served::each() {
        let mut peer = served.running.connect().await;
        for len in [0, 1, 13, 64 * 1024, 300_000, 1 << 20] {
            let content = content(len);
            let address = Address::of(&content);
            let path = format!("/o/{address}");
            let missing = peer.ask("GET", &path, &[], "").await;
            assert_eq!((missing.status(), reason(&missing).as_str()), (404, "not_found"));
            assert_eq!(missing.field("cache-control"), Some("no-store"));
            for (method, to, status) in [("PUT", &*path, 201), ("PUT", &path, 200), ("POST", "/api/put", 200)]
            {
                let answer =
                    peer.ask(method, to, &[("content-length", &len.to_string())], content.clone()).await;
                assert_eq!((answer.status(), answer.is_whole()), (status, true), "{method} {len}");
                assert_eq!(answer.body, format!(r#"{{"addr":"{address}","size":{len}}}"#).as_bytes());
                assert_eq!(object::address_of_answer(&answer.body), Some(address));
            }
            for path in [path.clone(), format!("{path}?whatever=1")] {
                let whole = peer.ask("GET", &path, &[], "").await;
                assert_eq!((whole.status(), whole.is_whole()), (200, true));
                assert!(whole.body == content);
                let head = peer.ask("HEAD", &path, &[], "").await;
                assert_eq!((head.status(), head.is_whole(), head.body.len()), (200, true, 0));
                for answer in [whole, head] {
                    assert_eq!(answer.field("etag").unwrap(), format!("\"{address}\""));
                    assert_eq!(answer.field("content-length").unwrap(), len.to_string());
                    assert_eq!(answer.field("accept-ranges"), Some("bytes"));
                    assert_eq!(answer.field("cache-control"), Some("public, max-age=31536000, immutable"));
                    assert_eq!(answer.field("content-type"), Some("application/octet-stream"));
                }
            }
        }
        drop(served.folder);
    }
}

#[tokio::test]
async fn conditions_and_ranges_are_evaluated_as_the_rfc_says() {
    let content = content(1_000);
    let etag = Address::of(&content).etag();
    let weak = format!("W/{etag}");
    let list = format!("\"x\", {weak} , \"y\"");
    let strong_list = format!("\"x,\", {etag}");
    for served in Served::each() {
        let mut peer = served.running.connect().await;
        let path = stored(&mut peer, &content).await;
        let (etag, weak, list, strong_list) = (&*etag, &*weak, &*list, &*strong_list);
        let date = "Tue, 15 Nov 1994 12:45:26 GMT";
        let cases: &[(&str, Fields<'_>, u16, Option<std::ops::Range<usize>>)] = &[
            ("GET", &[("if-none-match", etag)], 304, None),
            ("GET", &[("if-none-match", weak)], 304, None),
            ("GET", &[("if-none-match", list)], 304, None),
            ("GET", &[("if-none-match", "*")], 304, None),
            ("HEAD", &[("if-none-match", etag)], 304, None),
            ("GET", &[("if-none-match", "\"x\""), ("if-none-match", etag)], 304, None),
            ("GET", &[("if-none-match", "\"x\"")], 200, Some(0..1_000)),
            ("GET", &[("if-none-match", etag.trim_matches('"'))], 200, Some(0..1_000)),
            ("GET", &[("if-match", etag)], 200, Some(0..1_000)),
            ("GET", &[("if-match", strong_list)], 200, Some(0..1_000)),
            ("GET", &[("if-match", "*")], 200, Some(0..1_000)),
            ("GET", &[("if-match", weak)], 412, None),
            ("GET", &[("if-match", "\"x\"")], 412, None),
            ("HEAD", &[("if-match", "\"x\"")], 412, None),
            // If-Match comes first, If-None-Match before Range.
            ("GET", &[("if-match", "\"x\""), ("if-none-match", etag)], 412, None),
            ("GET", &[("if-none-match", etag), ("range", "bytes=0-9")], 304, None),
            // There is no date to compare with.
            ("GET", &[("if-modified-since", date), ("if-unmodified-since", date)], 200, Some(0..1_000)),
            ("GET", &[("range", "bytes=0-9")], 206, Some(0..10)),
            ("GET", &[("range", "bytes=990-")], 206, Some(990..1_000)),
            ("GET", &[("range", "bytes=-10")], 206, Some(990..1_000)),
            ("GET", &[("range", "bytes=0-99999")], 206, Some(0..1_000)),
            ("GET", &[("range", "bytes=1000-")], 416, None),
            ("GET", &[("range", "bytes=-0")], 416, None),
            ("GET", &[("range", "bytes=0-1,5-6")], 200, Some(0..1_000)),
            ("GET", &[("range", "bytes=0-1"), ("range", "bytes=5-6")], 200, Some(0..1_000)),
            ("GET", &[("range", "apples=1-2")], 200, Some(0..1_000)),
            ("GET", &[("range", "bytes=0-9"), ("if-range", etag)], 206, Some(0..10)),
            ("GET", &[("range", "bytes=0-9"), ("if-range", weak)], 200, Some(0..1_000)),
            ("GET", &[("range", "bytes=0-9"), ("if-range", "\"x\"")], 200, Some(0..1_000)),
            ("GET", &[("range", "bytes=0-9"), ("if-range", date)], 200, Some(0..1_000)),
            ("GET", &[("range", "bytes=1000-"), ("if-range", "\"x\"")], 200, Some(0..1_000)),
            ("HEAD", &[("range", "bytes=0-9")], 200, None),
        ];
        for (method, fields, status, part) in cases {
            let answer = peer.ask(method, &path, fields, "").await;
            assert_eq!((answer.status(), answer.is_whole()), (*status, true), "{method} {fields:?}");
            if let Some(part) = part {
                assert!(answer.body == content[part.clone()], "{method} {fields:?}");
                assert_eq!(answer.field("content-length").unwrap(), part.len().to_string());
            }
            let range = match (status, part) {
                (206, Some(part)) => Some(format!("bytes {}-{}/1000", part.start, part.end - 1)),
                (416, _) => Some("bytes */1000".to_owned()),
                _ => None,
            };
            assert_eq!(answer.field("content-range"), range.as_deref(), "{method} {fields:?}");
            if matches!(status, 200 | 206 | 304) {
                assert_eq!(answer.field("etag"), Some(etag));
                assert!(answer.field("cache-control").unwrap().contains("immutable"));
            } else {
                assert_eq!(answer.field("cache-control"), Some("no-store"));
            }
            assert!(*status != 304 || answer.body.is_empty());
        }
    }
}

#[tokio::test]
async fn everything_else_is_refused_with_its_reason() {
    let good = format!("/o/{}", Address::of(b"x"));
    let upper = good.to_uppercase().replace("/O/B3", "/o/b3");
    let long = (MOST + 1).to_string();
    for served in Served::each() {
        let mut peer = served.running.connect().await;
        let cases: &[(&str, &str, Fields<'_>, u16, &str)] = &[
            ("GET", "/o/", &[], 400, "malformed"),
            ("GET", "/o/b3:00", &[], 400, "malformed"),
            ("GET", &upper, &[], 400, "malformed"),
            ("PUT", "/o/x", &[], 400, "malformed"),
            ("GET", "/", &[], 404, "not_found"),
            ("GET", "/api/put/x", &[], 404, "not_found"),
            ("PUT", "/elsewhere", &[], 404, "not_found"),
            ("DELETE", &good, &[], 405, "method"),
            ("POST", &good, &[], 405, "method"),
            ("GET", "/api/put", &[], 405, "method"),
            ("PUT", "/api/put", &[], 405, "method"),
            ("PUT", &good, &[("if-match", "*")], 412, "precondition"),
        ];
        for (method, path, fields, status, expected) in cases {
            let answer = peer.ask(method, path, fields, "").await;
            assert_eq!((answer.status(), &*reason(&answer)), (*status, *expected), "{method} {path}");
            assert_eq!(answer.field("content-type"), Some("application/json"));
            let allow = match (status, path.starts_with("/o/")) {
                (405, true) => Some("GET, HEAD, PUT"),
                (405, false) => Some("POST"),
                _ => None,
            };
            assert_eq!(answer.field("allow"), allow);
        }
        // Before a byte of it is read.
        let (id, _) = peer.open("PUT", &good, &[("content-length", &long)], "", false);
        let answer = peer.answer(id).await;
        assert_eq!((answer.status(), reason(&answer).as_str()), (413, "body_cap"));
        if peer.core.is_over() {
            peer = served.running.connect().await;
        } else {
            peer.give_up(id).await;
        }
        // Without announcing it: as soon as it is too much.
        let (id, mut rest) = peer.open("POST", "/api/put", &[], content(3 << 20), false);
        while peer.so_far(id).end.is_none() {
            let sent = peer.core.send(id, &mut rest, false);
            peer.flush().await;
            if sent == crate::oap::Sent::Closed || peer.core.credit(id) == 0 || rest.is_empty() {
                peer.turn().await;
            }
        }
        let answer = peer.answer(id).await;
        assert_eq!((answer.status(), reason(&answer).as_str()), (413, "body_cap"));
    }
}

#[tokio::test]
async fn bytes_that_are_not_what_the_address_says_are_never_stored() {
    for served in Served::each() {
        let mut peer = served.running.connect().await;
        for len in [10, 300_000] {
            let (right, wrong) = (content(len), content(len + 1).slice(1..));
            let path = format!("/o/{}", Address::of(&right));
            let answer = peer.ask("PUT", &path, &[], wrong.clone()).await;
            assert_eq!((answer.status(), reason(&answer).as_str()), (422, "digest_mismatch"));
            for content in [right, wrong] {
                let path = format!("/o/{}", Address::of(&content));
                assert_eq!(peer.ask("HEAD", &path, &[], "").await.status(), 404);
            }
        }
    }
}

#[tokio::test]
async fn an_upload_that_is_given_up_is_not_stored_whatever_of_it_has_come() {
    for in_memory in [true, false] {
        let served = Served::new(in_memory, Some(256 * 1024));
        let mut peer = served.running.connect().await;
        let content = content(100_000);
        let path = format!("/o/{}", Address::of(&content));
        // All of the bytes, but not the end.
        let (id, mut rest) = peer.open("PUT", &path, &[], content.clone(), false);
        while !rest.is_empty() {
            peer.flush().await;
            assert_ne!(peer.core.send(id, &mut rest, false), crate::oap::Sent::Closed);
        }
        peer.flush().await;
        assert_eq!(peer.ask("GET", &path, &[], "").await.status(), 404);
        peer.give_up(id).await;
        assert_eq!(peer.ask("GET", &path, &[], "").await.status(), 404);
        let answer = peer.ask("PUT", &path, &[("if-none-match", "*")], content.clone()).await;
        assert_eq!(answer.status(), 201);
        let answer = peer.ask("PUT", &path, &[("if-none-match", "*")], content.clone()).await;
        assert_eq!(answer.status(), 412);
    }
}

#[tokio::test]
async fn many_clients_put_and_read_at_once() {
    for in_memory in [true, false] {
        let served = Served::new(in_memory, Some(256 * 1024));
        let mut peers = Vec::new();
        for n in 0..4usize {
            let mut peer = served.running.connect().await;
            peers.push(tokio::spawn(async move {
                for round in 0..10 {
                    let content = content(n * 7 + round * 1_001 + 1).slice(1..);
                    let path = stored(&mut peer, &content).await;
                    let streams: Vec<_> = (0..16).map(|_| peer.get(&path)).collect();
                    for id in streams {
                        let answer = peer.answer(id).await;
                        assert!(answer.is_whole() && answer.body == content);
                    }
                }
            }));
        }
        for peer in peers {
            peer.await.unwrap();
        }
    }
}
