//! What the decode guard costs beside the decoder that is in it: the same body, in the same pieces, through both. And
//! what floods of streams that carry nothing cost, for a whole body of them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a benchmark fails by panicking, and has no reader of its docs"
)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use flate2::{Compression, Decompress, FlushDecompress, Status};
use svc_gateway::caps::{Breach, Encoding, Guard, Memory, Mode, guard};

const POLICY: guard::Policy =
    guard::Policy { ratio: 10, floor: 64 << 10, max: 8 << 20, memory_total: 256 << 20 };
const BODY: usize = 1 << 20;
/// What a read brings at most.
const PIECE: usize = 64 << 10;

/// Records as services send them.
fn json(len: usize) -> String {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut text = String::with_capacity(len + 300);
    while text.len() < len {
        let (id, user, at) = (rng.u64(..), rng.u32(..5000), rng.u32(..));
        let kind = ["created", "updated", "deleted", "viewed"][rng.usize(..4)];
        let price = rng.u32(..100_000);
        writeln!(
            text,
            r#"{{"id":"{id:016x}","kind":"{kind}","user":"user-{user}","at":"2026-01-{:02}T{:02}:{:02}Z","price":{{"amount":{price},"currency":"EUR"}},"tags":["a","b"]}}"#,
            at % 28 + 1,
            at % 24,
            at / 64 % 60,
        )
        .unwrap();
    }
    text.truncate(len);
    text
}

fn encoded(plain: &[u8]) -> [(&'static str, Encoding, Vec<u8>); 4] {
    let level = Compression::new(6);
    let mut gzip = GzEncoder::new(Vec::new(), level);
    let mut zlib = ZlibEncoder::new(Vec::new(), level);
    let mut raw = DeflateEncoder::new(Vec::new(), level);
    let mut brotli = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22);
    gzip.write_all(plain).unwrap();
    zlib.write_all(plain).unwrap();
    raw.write_all(plain).unwrap();
    brotli.write_all(plain).unwrap();
    [
        ("gzip", Encoding::Gzip, gzip.finish().unwrap()),
        ("zlib", Encoding::Deflate, zlib.finish().unwrap()),
        ("raw", Encoding::Deflate, raw.finish().unwrap()),
        ("brotli", Encoding::Brotli, brotli.into_inner()),
    ]
}

/// The decoder alone.
fn decode(name: &str, raw: &Bytes, out: &mut [u8]) -> usize {
    match name {
        "gzip" => inflate(Decompress::new_gzip(15), raw, out),
        "zlib" => inflate(Decompress::new(true), raw, out),
        "raw" => inflate(Decompress::new(false), raw, out),
        _ => unbrotli(raw, out),
    }
}

fn inflate(mut zlib: Decompress, raw: &Bytes, out: &mut [u8]) -> usize {
    for piece in raw.chunks(PIECE) {
        let start = zlib.total_in();
        loop {
            let had = usize::try_from(zlib.total_in() - start).unwrap();
            let before = zlib.total_out();
            let status = zlib.decompress(&piece[had..], out, FlushDecompress::None).unwrap();
            let full = zlib.total_out() - before == out.len() as u64;
            black_box(&*out);
            if status == Status::StreamEnd || !full {
                break;
            }
        }
    }
    usize::try_from(zlib.total_out()).unwrap()
}

fn unbrotli(raw: &Bytes, out: &mut [u8]) -> usize {
    let new = StandardAlloc::default;
    let mut state = BrotliState::new_strict(new(), new(), new());
    let mut total = 0;
    for piece in raw.chunks(PIECE) {
        let (mut left, mut at) = (piece.len(), 0);
        loop {
            let (mut room, mut to) = (out.len(), 0);
            let result = BrotliDecompressStream(
                &mut left, &mut at, piece, &mut room, &mut to, out, &mut total, &mut state,
            );
            black_box(&*out);
            match result {
                BrotliResult::NeedsMoreOutput => {}
                BrotliResult::ResultFailure => panic!("no brotli"),
                _ => break,
            }
        }
    }
    total
}

/// The guard of a body, as a relay feeds it.
fn guarded(encoding: Encoding, mode: Mode, raw: &Bytes, memory: &Arc<Memory>) -> (Result<(), Breach>, usize) {
    let mut guard = Guard::new(encoding, mode, POLICY, memory).unwrap();
    let mut rest = raw.clone();
    let mut verdict = Ok(());
    while !rest.is_empty() && verdict.is_ok() {
        let piece = rest.split_to(rest.len().min(PIECE));
        verdict = guard.take(piece, |piece| drop(black_box(piece)));
    }
    (verdict.and_then(|()| guard.finish()), usize::try_from(guard.decoded()).unwrap())
}

fn throughput(criterion: &mut Criterion) {
    let plain = json(BODY);
    let memory = Arc::new(Memory::default());
    let mut out = vec![0; guard::STEP];
    for (name, encoding, raw) in encoded(plain.as_bytes()) {
        println!("{name}: {} bytes are {} encoded", plain.len(), raw.len());
        let raw = Bytes::from(raw);
        let mut group = criterion.benchmark_group(format!("caps/{name}"));
        group.throughput(Throughput::Bytes(plain.len() as u64));
        group.bench_function("decoder", |bencher| {
            bencher.iter(|| assert_eq!(decode(name, &raw, &mut out), BODY));
        });
        for (mode, label) in [(Mode::Verify, "verify"), (Mode::Decode, "decode")] {
            group.bench_function(label, |bencher| {
                bencher.iter(|| assert_eq!(guarded(encoding, mode, &raw, &memory), (Ok(()), BODY)));
            });
        }
        group.finish();
    }
}

/// Blocks of three bytes, each with a header of its own.
fn small_blocks() -> Vec<u8> {
    let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 16);
    while encoder.get_ref().len() < BODY {
        encoder.write_all(b"aaa").unwrap();
        encoder.flush().unwrap();
    }
    encoder.into_inner()
}

/// 1 MiB of raw bytes that decode to nothing, or to next to nothing.
fn floods(criterion: &mut Criterion) {
    let memory = Arc::new(Memory::default());
    let member = GzEncoder::new(Vec::new(), Compression::new(6)).finish().unwrap();
    let stored = [0, 0, 0, 0xff, 0xff];
    let mut group = criterion.benchmark_group("caps/flood");
    for (name, encoding, raw) in [
        ("gzip_members", Encoding::Gzip, member.repeat(BODY / member.len())),
        ("stored_blocks", Encoding::Deflate, [&stored.repeat(BODY / 5)[..], &[3, 0]].concat()),
        ("brotli_metadata", Encoding::Brotli, [&[0b1100][..], &[0b0110].repeat(BODY), &[0b11]].concat()),
        ("brotli_blocks", Encoding::Brotli, small_blocks()),
    ] {
        let raw = Bytes::from(raw);
        group.throughput(Throughput::Bytes(raw.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| assert_eq!(guarded(encoding, Mode::Verify, &raw, &memory).0, Ok(())));
        });
    }
    group.finish();
}

criterion_group!(benches, throughput, floods);
criterion_main!(benches);
