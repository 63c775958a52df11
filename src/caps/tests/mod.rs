//! The guard over streams that encoders wrote, that somebody bent, and that nobody would write.

mod bombs;
mod cost;
mod encoded;
mod fuzzing;
mod head;
mod memory;
mod streams;

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::{Breach, Encoding, Guard, Memory, Mode, Turn, guard};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The defaults of `limits.decode`.
const POLICY: guard::Policy =
    guard::Policy { ratio: 10, floor: 64 << 10, max: 8 << 20, memory_total: 256 << 20 };

/// The formats, with the raw form of `deflate` as one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Gzip,
    Zlib,
    Raw,
    Brotli,
}

use Format::{Brotli, Gzip, Raw, Zlib};

const FORMATS: [Format; 4] = [Gzip, Zlib, Raw, Brotli];

impl Format {
    fn encoding(self) -> Encoding {
        match self {
            Gzip => Encoding::Gzip,
            Zlib | Raw => Encoding::Deflate,
            Brotli => Encoding::Brotli,
        }
    }

    /// Encodes at a level of 0 to 9.
    fn encode(self, plain: &[u8], level: u32) -> Vec<u8> {
        let compression = Compression::new(level);
        match self {
            Gzip => written(GzEncoder::new(Vec::new(), compression), plain).finish().unwrap(),
            Zlib => written(ZlibEncoder::new(Vec::new(), compression), plain).finish().unwrap(),
            Raw => written(DeflateEncoder::new(Vec::new(), compression), plain).finish().unwrap(),
            Brotli => brotli(plain, level, 22),
        }
    }
}

fn written<W: std::io::Write>(mut encoder: W, plain: &[u8]) -> W {
    encoder.write_all(plain).unwrap();
    encoder
}

fn brotli(plain: &[u8], quality: u32, window: u32) -> Vec<u8> {
    let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, quality, window);
    encoder.write_all(plain).unwrap();
    encoder.into_inner()
}

/// What became of a body.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    verdict: Result<(), Breach>,
    forwarded: Vec<u8>,
    decoded: u64,
}

/// Feeds `raw` in pieces of `cut` bytes.
fn outcome(encoding: Encoding, mode: Mode, policy: guard::Policy, raw: &[u8], cut: usize) -> Outcome {
    outcome_of(encoding, mode, policy, raw.chunks(cut), &Arc::new(Memory::default()))
}

fn outcome_of<'a>(
    encoding: Encoding,
    mode: Mode,
    policy: guard::Policy,
    pieces: impl Iterator<Item = &'a [u8]>,
    memory: &Arc<Memory>,
) -> Outcome {
    let mut guard = Guard::new(encoding, mode, policy, memory).unwrap();
    let mut forwarded = Vec::new();
    let feed = || {
        for piece in pieces {
            guard.take(Bytes::copy_from_slice(piece), |piece| {
                assert!(!piece.is_empty() && (mode != Mode::Decode || piece.len() <= guard::STEP));
                forwarded.extend_from_slice(&piece);
            })?;
        }
        guard.finish()
    };
    let verdict = feed();
    assert!(verdict.is_ok() || guard.finish() == verdict, "a breach stays one");
    Outcome { verdict, forwarded, decoded: guard.decoded() }
}

/// The verdict of a body that comes whole, and the same if it comes byte by byte.
fn verdict(format: Format, raw: &[u8]) -> Result<(), Breach> {
    let whole = outcome(format.encoding(), Mode::Verify, POLICY, raw, raw.len().max(1));
    for cut in [1, 4097] {
        let cut = outcome(format.encoding(), Mode::Verify, POLICY, raw, cut);
        assert_eq!(cut.verdict, whole.verdict, "{format:?}");
    }
    if whole.verdict.is_ok() {
        assert_eq!(whole.forwarded, raw);
    }
    whole.verdict
}

/// Bytes that do not compress, the same ones every time.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

/// Records as services send them: compresses about five times.
fn records(len: usize) -> Vec<u8> {
    let noise = noise(len / 8 + 64);
    let mut text = Vec::with_capacity(len + 200);
    for (n, bytes) in noise.chunks_exact(8).enumerate() {
        if text.len() >= len {
            break;
        }
        let id = u64::from_be_bytes(bytes.try_into().unwrap());
        let (kind, name) = (["created", "updated", "deleted", "viewed"][n % 4], id % 977);
        writeln!(
            text,
            r#"{{"id":"{id:016x}","kind":"{kind}","user":{{"name":"user-{name}","admin":false}},"at":1700{n:06},"tags":["a","b"]}}"#
        )
        .unwrap();
    }
    text.truncate(len);
    text
}
