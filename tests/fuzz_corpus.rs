//! The fuzz targets of `testing/fuzz` as an ordinary test: their bodies over every committed seed, and over a fixed
//! number of mutations of each, the same ones every time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

#[path = "../testing/fuzz/src/bodies.rs"]
mod bodies;
#[path = "../testing/fuzz/src/seeds.rs"]
mod seeds;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Mutations of each seed.
const MUTATIONS: u64 = 2_000;

fn directory(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testing/fuzz/seeds").join(target)
}

/// The committed seeds of a target by their names.
fn committed(target: &str) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(directory(target)).expect("a directory of seeds");
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap())
        })
        .collect()
}

/// xorshift64*.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % most.max(1)
    }

    /// A byte that is more often one at which something changes.
    fn byte(&mut self) -> u8 {
        let any = self.next().to_be_bytes()[0];
        if any & 1 == 0 { [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xfe, 0xff][usize::from(any >> 5)] } else { any }
    }
}

fn mutate(bytes: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    for _ in 0..=rng.below(4) {
        let (from, to) = (rng.below(bytes.len() + 1), rng.below(bytes.len() + 1));
        let (from, to) = (from.min(to), from.max(to));
        match rng.below(8) {
            0..3 if from < bytes.len() => bytes[from] = rng.byte(),
            3 if from < bytes.len() => bytes[from] ^= 1 << rng.below(8),
            4 => bytes.insert(from, rng.byte()),
            5 => drop(bytes.drain(from..to.min(from + 8))),
            6 if bytes.len() < 4096 => {
                let again = bytes[from..to].to_vec();
                drop(bytes.splice(from..from, again));
            }
            7 if bytes.len() < 4096 => bytes.extend_from_slice(&other[rng.below(other.len() + 1)..]),
            _ => bytes.truncate(to),
        }
    }
}

fn run(target: &str) {
    let (_, body) = bodies::TARGETS.iter().find(|(name, _)| *name == target).expect("a target");
    let seeds: Vec<Vec<u8>> = committed(target).into_values().collect();
    assert!(seeds.len() >= 10, "{target}: {} seeds", seeds.len());
    let mut rng = Rng(0x9e37_79b9_7f4a_7c15);
    for (index, seed) in seeds.iter().enumerate() {
        body(seed);
        for _ in 0..MUTATIONS {
            let mut bytes = seed.clone();
            mutate(&mut bytes, &seeds[(index + 1) % seeds.len()], &mut rng);
            body(&bytes);
        }
    }
}

#[test]
fn the_committed_seeds_are_those_that_the_generator_makes() {
    let write = std::env::var_os("WRITE_FUZZ_SEEDS").is_some();
    let all = seeds::seeds();
    assert_eq!(all.each_ref().map(|(target, _)| *target), bodies::TARGETS.map(|(target, _)| target));
    for (target, seeds) in all {
        if write {
            std::fs::create_dir_all(directory(target)).unwrap();
        }
        for (name, bytes) in seeds {
            let path = directory(target).join(name);
            if write {
                std::fs::write(&path, &bytes).unwrap();
            }
            assert!(
                std::fs::read(&path).is_ok_and(|found| found == bytes),
                "{target}/{name}: set WRITE_FUZZ_SEEDS once"
            );
        }
    }
}

#[test]
fn a_client_takes_any_input() {
    run("oap_client_input");
}

#[test]
fn a_server_takes_any_input() {
    run("oap_server_input");
}

#[test]
fn a_request_head_may_be_anything() {
    run("bhttp_request_head");
}

#[test]
fn a_response_head_may_be_anything() {
    run("bhttp_response_head");
}

#[test]
fn a_hello_may_be_anything() {
    run("hello");
}

#[test]
fn a_connection_may_begin_with_anything() {
    run("proxy_protocol");
}

#[test]
fn an_http1_client_may_say_anything() {
    run("http1_guard");
}

#[test]
fn an_http2_client_may_say_anything() {
    run("http2_guard");
}

#[test]
fn an_encoded_body_may_be_anything() {
    run("decode");
}

#[test]
fn a_tls_client_may_begin_with_anything() {
    run("client_hello");
}

#[test]
fn a_capability_may_be_anything() {
    run("capability");
}
