//! What a whole exchange costs in the cores: request encoded by the client, decoded and answered by the server, answer
//! decoded by the client. The bytes between them are copied once each way, as a socket would.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark fails by panicking, and has no reader of its docs"
)]

use std::hint::black_box;
use std::io::IoSlice;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use svc_gateway::bhttp::{encode_request_head, encode_response_head};
use svc_gateway::oap::{
    Arriving, Client, ClientConfig, Incoming, MAX_FRAME, Output, Sent, Server, ServerConfig, StartRequest,
    StreamId,
};

/// What a gateway's request has, roughly.
const REQUEST_FIELDS: [(&str, &str); 7] = [
    ("accept", "*/*"),
    ("user-agent", "curl/8.5.0"),
    ("x-forwarded-for", "192.0.2.1"),
    ("x-forwarded-proto", "https"),
    ("forwarded", "for=192.0.2.1;proto=https"),
    ("x-corr-id", "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
    ("x-deadline-ms", "29998"),
];
const BODY: usize = 64 * 1024;

struct Pair {
    client: Client,
    server: Server,
    to_server: BytesMut,
    to_client: BytesMut,
    head: Vec<u8>,
}

/// Moves what waits into a read buffer.
fn carry(output: &mut Output, input: &mut BytesMut) {
    while !output.is_empty() {
        let mut slices = [IoSlice::new(&[]); 16];
        let filled = output.io_slices(&mut slices);
        let mut moved = 0;
        for slice in slices.iter().take(filled) {
            input.extend_from_slice(slice);
            moved += slice.len();
        }
        output.advance(moved);
    }
}

fn fields<'a>(fields: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone {
    fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()))
}

impl Pair {
    fn new(window: Option<u32>) -> Self {
        let mut pair = Self {
            client: Client::new(&ClientConfig { user_agent: "bench".into(), window }),
            server: Server::new(&ServerConfig {
                user_agent: "bench".into(),
                max_frame: MAX_FRAME,
                max_inflight: 64,
                window,
            }),
            to_server: BytesMut::with_capacity(256 * 1024),
            to_client: BytesMut::with_capacity(256 * 1024),
            head: Vec::new(),
        };
        pair.carry();
        pair
    }

    fn carry(&mut self) {
        self.to_server.reserve(128 * 1024);
        carry(self.client.output(), &mut self.to_server);
        self.server.handle_input(&mut self.to_server).unwrap();
        self.to_client.reserve(128 * 1024);
        carry(self.server.output(), &mut self.to_client);
        self.client.handle_input(&mut self.to_client).unwrap();
    }

    fn open(&mut self, length: &str, content: &mut Bytes) -> StreamId {
        self.head.clear();
        let head = &mut self.head;
        let lines = fields(&REQUEST_FIELDS);
        if content.is_empty() {
            encode_request_head(head, b"GET", b"https", b"example.org", b"/o/abc?x=1", lines).unwrap();
        } else {
            let lines = lines.chain(std::iter::once((&b"content-length"[..], length.as_bytes())));
            encode_request_head(head, b"POST", b"https", b"example.org", b"/api/put", lines).unwrap();
        }
        let start = StartRequest { head: &self.head, capability: b"", tenant_id: 1, is_head: false };
        self.client.open(start, content, true).unwrap()
    }

    /// One exchange; says how many bytes came back.
    fn exchange(&mut self, length: &str, request: &Bytes, answer_length: &str, answer: &Bytes) -> usize {
        let mut content = request.clone();
        let id = self.open(length, &mut content);
        let mut asked = content.is_empty();
        let mut answering: Option<(StreamId, Bytes)> = None;
        let mut received = 0;
        loop {
            if !asked {
                asked = self.client.send(id, &mut content, true) == Sent::All;
            }
            self.carry();
            while let Some(id) = self.server.accept() {
                answering = Some((id, answer.clone()));
            }
            if let Some((id, rest)) = &mut answering {
                while let Some(event) = self.server.poll(*id) {
                    self.server.passed_on(*id, event.credit());
                    if let Arriving::End = event {
                        self.head.clear();
                        let lines =
                            [("content-length", answer_length), ("etag", "\"abc\""), ("x-backend", "one")];
                        encode_response_head(&mut self.head, 200, fields(&lines)).unwrap();
                        let _sent = self.server.respond(*id, 200, &self.head, rest, true);
                    }
                    drop(black_box(event));
                }
                let _sent = self.server.send(*id, rest, true);
            }
            while let Some(event) = self.client.poll(id) {
                self.client.passed_on(id, event.credit());
                match event {
                    Incoming::Data { bytes, .. } => received += black_box(bytes).len(),
                    Incoming::End => return received,
                    other => drop(black_box(other)),
                }
            }
            while self.client.next_woken().is_some() {}
            while self.server.next_woken().is_some() {}
        }
    }
}

fn exchanges(criterion: &mut Criterion) {
    let small = Bytes::from_static(b"hello, world!");
    let large = Bytes::from(vec![7; BODY]);
    for (mode, window) in [("multiplexed", Some(256 * 1024)), ("exclusive", None)] {
        let mut group = criterion.benchmark_group(format!("oap/{mode}"));
        for (name, request, answer) in [
            ("get_13B", Bytes::new(), small.clone()),
            ("get_64KiB", Bytes::new(), large.clone()),
            ("post_64KiB", large.clone(), small.clone()),
        ] {
            let mut pair = Pair::new(window);
            let (length, answer_length) = (request.len().to_string(), answer.len().to_string());
            group.throughput(Throughput::Bytes((request.len() + answer.len()) as u64));
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    let received = pair.exchange(&length, &request, &answer_length, &answer);
                    assert_eq!(received, answer.len());
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, exchanges);
criterion_main!(benches);
