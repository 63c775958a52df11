//! What the edge's guards cost: a small head, a browser's head, and 64 KiB of body in each framing and version.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    missing_docs,
    reason = "a benchmark fails by panicking, reads the clock, and has no reader of its docs"
)]

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use svc_gateway::edge::guard::{http1, http2};

const SMALL: &[u8] = b"GET /o/x HTTP/1.1\r\nHost: a.example\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n";
const BROWSER: &[u8] = b"GET /static/app.js?v=20260101 HTTP/1.1\r\nHost: www.example.org\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nConnection: keep-alive\r\n\
    Referer: https://www.example.org/index.html\r\nCookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\
    Upgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Site: same-origin\r\nPriority: u=0, i\r\n\r\n";
const BODY: usize = 64 << 10;
const FRAME: usize = 16 << 10;

/// Everything passes.
fn pass(guard: &mut http1::Guard, mut held: &[u8], now: Instant) {
    while !held.is_empty() {
        match guard.feed(held, now).passes() {
            0 => panic!("the rest is held"),
            n => held = held.get(n..).unwrap(),
        }
    }
}

fn heads(c: &mut Criterion) {
    let now = Instant::now();
    let mut group = c.benchmark_group("guard/http1/head");
    for (name, head) in [("small", SMALL), ("browser", BROWSER)] {
        group.throughput(Throughput::Bytes(head.len() as u64));
        let mut guard = http1::Guard::new(http1::Policy::default());
        group.bench_function(name, |b| b.iter(|| pass(&mut guard, black_box(head), now)));
    }
    group.finish();
}

fn bodies(c: &mut Criterion) {
    let now = Instant::now();
    let mut group = c.benchmark_group("guard/http1/64KiB");
    group.throughput(Throughput::Bytes(BODY as u64));
    let begin = "PUT /x HTTP/1.1\r\nHost: a\r\n";
    let length = [format!("{begin}Content-Length: {BODY}\r\n\r\n").as_bytes(), &[7; BODY]].concat();
    let chunk = |size: usize| [format!("{size:x}\r\n").as_bytes(), &vec![7; size], b"\r\n"].concat();
    let chunked = |size| {
        let head = format!("{begin}Transfer-Encoding: chunked\r\n\r\n");
        [head.as_bytes(), &chunk(size).repeat(BODY / size), b"0\r\n\r\n"].concat()
    };
    for (name, bytes) in
        [("length", length), ("chunks of 8 KiB", chunked(8192)), ("chunks of 64", chunked(64))]
    {
        let mut guard = http1::Guard::new(http1::Policy::default());
        group.bench_function(name, |b| b.iter(|| pass(&mut guard, black_box(&bytes), now)));
    }
    group.finish();
}

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
}

fn frames(c: &mut Criterion) {
    let now = Instant::now();
    let mut group = c.benchmark_group("guard/http2");
    let start = [http2::PREFACE, &frame(4, 0, &[])].concat();
    let head = frame(1, 5, &[0x82; 40]);
    let data = frame(0, 0, &[7; FRAME]).repeat(BODY / FRAME);
    for (name, bytes) in [("head", head), ("64KiB", data)] {
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        let mut guard = http2::Guard::new(http2::Policy::default());
        guard.feed(&start, now).unwrap();
        group.bench_function(name, |b| b.iter(|| guard.feed(black_box(&bytes), now).unwrap()));
    }
    group.finish();
}

criterion_group!(benches, heads, bodies, frames);
criterion_main!(benches);
