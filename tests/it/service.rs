//! `svc-gateway backend` as a process: its events, its signals, its exit codes, and its OAP/1 as somebody else reads it.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gateway_testing::PATIENCE;
use gateway_testing::net::{Address, Socket};
use gateway_testing::process::{Process, Signal};
use gateway_testing::wire::{Frame, Head, Line, flag, request_head};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::BINARY;

/// A connection that says what the test says.
struct Client {
    io: Socket,
    input: BytesMut,
}

impl Client {
    /// Connects and says HELLO; what the service answered.
    async fn greeted(address: &Address, hello: &'static str) -> (Self, serde_json::Value) {
        let mut client = Self { io: Socket::connect(address).await, input: BytesMut::new() };
        client.send(&Frame::control(1, flag::REQ, hello)).await;
        let answer = client.next().await.unwrap();
        assert_eq!((answer.flags, answer.code, answer.app_proto_id, answer.stream), (flag::RESP, 200, 0, 1));
        let hello = serde_json::from_slice(&answer.payload).unwrap();
        (client, hello)
    }

    async fn send(&mut self, frame: &Frame) {
        self.io.write_all(&frame.encode()).await.unwrap();
    }

    /// The next frame, `None` when the service has closed.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = Frame::decode(&mut self.input, 1 << 20).unwrap() {
                return Some(frame);
            }
            if self.io.read_buf(&mut self.input).await.unwrap_or(0) == 0 {
                assert!(self.input.is_empty(), "cut inside a frame");
                return None;
            }
        }
    }
}

fn head(method: &str, path: &str) -> BytesMut {
    request_head::<&str, &str>(method, "objects", path, &[])
}

async fn backend(arguments: &[&str]) -> (Process, Address) {
    let arguments: Vec<_> = ["backend", "--listen", "127.0.0.1:0"].iter().chain(arguments).copied().collect();
    let process = Process::spawn(BINARY, &arguments, &[]);
    let address = process.listening("backend").await;
    event(&process, "ready").await;
    (process, address)
}

async fn event(process: &Process, name: &str) {
    let found = process.wait_for_line(PATIENCE, |line| (line.json["event"] == name).then_some(())).await;
    assert!(found.is_some(), "no {name}; the log:\n{}", process.log_text());
}

async fn exit(process: &Process) -> Option<i32> {
    // Below the drain's bound of 30 s: nothing was waited for in vain.
    process.wait_exit(PATIENCE.min(Duration::from_secs(15))).await.expect("an exit").code()
}

const SHARED: &str = r#"{"ua":"t","flags_supported":256,"window":131072}"#;

#[tokio::test]
async fn it_drains_on_sigterm_and_ends_with_its_last_request() {
    let (process, address) = backend(&["--window", "1MiB"]).await;
    let (mut client, hello) = Client::greeted(&address, SHARED).await;
    assert_eq!(hello["window"], 1 << 20);
    assert_eq!(hello["versions"], serde_json::json!([1]));
    assert!(hello["flags_supported"].as_u64().unwrap() & 256 != 0);
    client.send(&Frame::new(7, flag::REQ | flag::START, head("POST", "/api/put").freeze())).await;
    client.send(&Frame::new(7, flag::REQ, Bytes::from_static(b"he"))).await;
    // Answered behind it, so that it has begun.
    client.send(&Frame::new(8, flag::REQ | flag::START | flag::END, head("GET", "/o/x").freeze())).await;
    let refused = client.next().await.unwrap();
    assert_eq!((refused.stream, refused.code), (8, 400));
    process.signal(Signal::TERM);
    event(&process, "draining").await;
    let told = client.next().await.unwrap();
    assert_eq!((told.flags, told.code, told.app_proto_id), (flag::EVENT, 503, 0));
    client.send(&Frame::new(7, flag::REQ | flag::END, Bytes::from_static(b"llo"))).await;
    let stored = client.next().await.unwrap();
    assert_eq!((stored.stream, stored.flags, stored.code), (7, flag::RESP | flag::START | flag::END, 201));
    let (head, content) = Head::decode(&stored.payload).unwrap();
    assert_eq!(head.line, Line::Response { status: 201 });
    assert_eq!(head.field("content-length"), Some(content.len().to_string().as_str()));
    let hello = "b3:ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f";
    assert_eq!(content, format!(r#"{{"addr":"{hello}","size":5}}"#));
    drop(client);
    assert_eq!(exit(&process).await, Some(0));
    event(&process, "stopped").await;
}

#[tokio::test]
async fn a_second_signal_stops_at_once() {
    for (first, second) in
        [(Some(Signal::TERM), Signal::TERM), (Some(Signal::TERM), Signal::INT), (None, Signal::INT)]
    {
        let (process, address) = backend(&[]).await;
        let (mut client, _) = Client::greeted(&address, SHARED).await;
        client.send(&Frame::new(7, flag::REQ | flag::START, head("POST", "/api/put").freeze())).await;
        if let Some(first) = first {
            process.signal(first);
            // An upload that never ends.
            assert_eq!(client.next().await.unwrap().flags, flag::EVENT);
            assert!(process.is_running());
        }
        process.signal(second);
        assert_eq!(exit(&process).await, Some(0));
        assert!(client.next().await.is_none());
    }
}

#[tokio::test]
async fn an_exclusive_service_agrees_on_nothing_else() {
    let (process, address) = backend(&["--mode", "exclusive", "--memory", "1MiB"]).await;
    let (mut client, hello) = Client::greeted(&address, SHARED).await;
    assert!(hello.get("window").is_none());
    assert_eq!(hello["flags_supported"].as_u64().unwrap() & 256, 0);
    for stream in 2..5 {
        client
            .send(&Frame::new(stream, flag::REQ | flag::START | flag::END, head("GET", "/").freeze()))
            .await;
        let answer = client.next().await.unwrap();
        assert_eq!((answer.stream, answer.code), (stream, 404));
    }
    process.signal(Signal::TERM);
    assert_eq!(client.next().await.unwrap().flags, flag::EVENT);
    drop(client);
    assert_eq!(exit(&process).await, Some(0));
}

#[tokio::test]
async fn what_was_stored_in_a_folder_is_there_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let (process, address) = backend(&["--dir", dir]).await;
    let (mut client, _) = Client::greeted(&address, r#"{"ua":"t"}"#).await;
    let mut put = head("POST", "/api/put");
    put.extend_from_slice(b"\x05hello");
    client.send(&Frame::new(2, flag::REQ | flag::START | flag::END, put.freeze())).await;
    assert_eq!(client.next().await.unwrap().code, 201);
    // One process a folder.
    let second = Process::spawn(BINARY, &["backend", "--listen", "127.0.0.1:0", "--dir", dir], &[]);
    assert_eq!(exit(&second).await, Some(1));
    assert!(second.log_text().contains("in use by another process"), "{}", second.log_text());
    process.signal(Signal::KILL);
    assert_eq!(exit(&process).await, None);
    let (_process, address) = backend(&["--dir", dir]).await;
    let (mut client, _) = Client::greeted(&address, r#"{"ua":"t"}"#).await;
    let path = "/o/b3:ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f";
    client.send(&Frame::new(2, flag::REQ | flag::START | flag::END, head("GET", path).freeze())).await;
    let answer = client.next().await.unwrap();
    assert_eq!((answer.code, Head::decode(&answer.payload).unwrap().1), (200, Bytes::from_static(b"hello")));
}

#[tokio::test]
async fn a_service_that_cannot_start_says_why() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (arguments, code, words) in [
        (["backend", "--listen", &address], 1, "in use"),
        (["backend", "--listen", "unix:/proc/none/socket"], 1, "/proc/none/socket"),
        (["backend", "--listen", "nowhere"], 2, "nowhere"),
    ] {
        let process = Process::spawn(BINARY, &arguments, &[]);
        assert_eq!(exit(&process).await, Some(code), "{arguments:?}");
        assert!(process.log_text().contains(words), "{}", process.log_text());
    }
}
