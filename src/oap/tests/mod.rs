//! Tests of the cores, and the frames that they are made of: encoded here a second time, not with the code under test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests fail by panicking"
)]

mod answers;
mod credit;
mod exchange;
mod exclusive;
mod frames;
mod fuzzing;
mod greeting;
mod pair;
mod reasons;
mod served;

use bytes::{Bytes, BytesMut};

use super::*;

const REQ: u16 = 1;
const RESP: u16 = 2;
const EVENT: u16 = 4;
const START: u16 = 8;
const END: u16 = 16;
const ACK_REQ: u16 = 32;
const COMP: u16 = 64;
const ACK: u16 = 256;

const WINDOW: u32 = 128 * 1024;
const HELLO: &str =
    r#"{"max_frame":1048576,"max_inflight":64,"flags_supported":447,"window":131072,"versions":[1]}"#;

/// A frame of the HTTP binding.
fn frame(flags: u16, code: u16, id: u64, payload: &[u8]) -> Vec<u8> {
    raw(1, flags, code, 0x0401, id, &[], payload)
}

/// A frame of HELLO or an event.
fn control(flags: u16, code: u16, id: u64, payload: &[u8]) -> Vec<u8> {
    raw(1, flags, code, 0, id, &[], payload)
}

fn raw(version: u16, flags: u16, code: u16, proto: u16, id: u64, cap: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend((38 + cap.len() as u32 + payload.len() as u32).to_be_bytes());
    out.extend(version.to_be_bytes());
    out.extend(flags.to_be_bytes());
    out.extend(code.to_be_bytes());
    out.extend(proto.to_be_bytes());
    out.extend([0; 16]);
    out.extend((cap.len() as u16).to_be_bytes());
    out.extend(id.to_be_bytes());
    out.extend(cap);
    out.extend(payload);
    out
}

/// A frame as it was sent.
#[derive(Debug, PartialEq, Eq)]
struct Frame {
    flags: u16,
    code: u16,
    id: u64,
    payload: Vec<u8>,
}

/// Takes everything out of an output and cuts it into frames.
fn frames(output: &mut Output) -> Vec<Frame> {
    let bytes = written(output);
    let mut rest = &bytes[..];
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let len = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let cap = usize::from(u16::from_be_bytes(rest[28..30].try_into().unwrap()));
        frames.push(Frame {
            flags: u16::from_be_bytes(rest[6..8].try_into().unwrap()),
            code: u16::from_be_bytes(rest[8..10].try_into().unwrap()),
            id: u64::from_be_bytes(rest[30..38].try_into().unwrap()),
            payload: rest[38 + cap..len].to_vec(),
        });
        rest = &rest[len..];
    }
    frames
}

/// Takes at most `most` bytes out of an output.
fn take(output: &mut Output, most: usize) -> Vec<u8> {
    let mut slices = [std::io::IoSlice::new(&[]); 8];
    let filled = output.io_slices(&mut slices);
    let mut bytes: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.iter().copied()).collect();
    bytes.truncate(most);
    output.advance(bytes.len());
    bytes
}

fn written(output: &mut Output) -> Vec<u8> {
    let mut bytes = Vec::new();
    while !output.is_empty() {
        bytes.extend(take(output, usize::MAX));
    }
    bytes
}

fn feed_client(client: &mut Client, bytes: &[u8]) -> Result<(), ProtocolError> {
    let mut input = BytesMut::from(bytes);
    let result = client.handle_input(&mut input);
    assert!(input.is_empty(), "all of the input is taken");
    result
}

fn feed_server(server: &mut Server, bytes: &[u8]) -> Result<(), ProtocolError> {
    let mut input = BytesMut::from(bytes);
    let result = server.handle_input(&mut input);
    assert!(input.is_empty(), "all of the input is taken");
    result
}

/// A client that is past its HELLO.
fn client(window: Option<u32>) -> Client {
    let mut client = Client::new(&ClientConfig { user_agent: "t".into(), window });
    written(client.output());
    feed_client(&mut client, &control(RESP, 200, 1, HELLO.as_bytes())).unwrap();
    let _ = client.counters();
    client
}

/// A server that is past its HELLO.
fn server(multiplexed: bool) -> Server {
    let mut server = Server::new(&ServerConfig {
        user_agent: "s".into(),
        max_frame: MAX_FRAME,
        max_inflight: 64,
        window: multiplexed.then_some(WINDOW),
    });
    let hello = br#"{"ua":"t","flags_supported":447,"window":131072}"#;
    feed_server(&mut server, &control(REQ, 0, 1, hello)).unwrap();
    written(server.output());
    let _ = server.counters();
    server
}

/// An encoded request head.
fn request() -> Vec<u8> {
    let mut head = Vec::new();
    crate::bhttp::encode_request_head(&mut head, b"GET", b"http", b"x", b"/", std::iter::empty()).unwrap();
    head
}

/// An encoded response head.
fn response(status: u16, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut head = Vec::new();
    let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    crate::bhttp::encode_response_head(&mut head, status, fields).unwrap();
    head
}

/// A head and, behind its length, content.
fn message(mut head: Vec<u8>, content: &[u8]) -> Vec<u8> {
    head.extend((content.len() as u32 | 0x8000_0000).to_be_bytes());
    head.extend(content);
    head
}

/// Opens a stream without content; its first frame is written.
fn open(client: &mut Client, end: bool) -> StreamId {
    let head = request();
    let start = StartRequest { head: &head, capability: b"", tenant_id: 0, is_head: false };
    let id = client.open(start, &mut Bytes::new(), end).unwrap();
    written(client.output());
    id
}

/// Everything that a stream has to say, credit given back.
fn drain_client(client: &mut Client, id: StreamId) -> Vec<Incoming> {
    let mut events = Vec::new();
    while let Some(event) = client.poll(id) {
        client.passed_on(id, event.credit());
        events.push(event);
    }
    events
}

fn content(events: &[Incoming]) -> Vec<u8> {
    events
        .iter()
        .flat_map(|event| if let Incoming::Data { bytes, .. } = event { bytes.to_vec() } else { Vec::new() })
        .collect()
}
