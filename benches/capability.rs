//! What a capability costs a request: reading it (before any quota), and proving it.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use svc_gateway::tenant::capability::{
    Caveat, Facts, Key, Keys, NONCE, Presented, Revoked, Secret, TenantEvidence, Token,
};

const NOW: Duration = Duration::from_secs(1_700_000_000);

fn key(first: u8) -> Key {
    let secret: Vec<u8> = (first..first + 32).collect();
    Key::new("k1", Secret::parse(&secret).unwrap()).unwrap()
}

fn token(key: &Key, caveats: usize) -> String {
    let all = ["time < 1999999999", "method in GET,HEAD,PUT", "path under /o/", "rate <= 50/s"];
    let mut token = Token::mint(key, [7; NONCE], Some("acme"));
    for text in all.iter().cycle().take(caveats) {
        token.attenuate(&Caveat::parse(text).unwrap()).unwrap();
    }
    token.to_string()
}

fn capability(criterion: &mut Criterion) {
    let keys = Keys::new(vec![key(0)]).unwrap();
    let list: String = (0..10_000).map(|n| format!("v1:k1:{n:032x}\n")).collect();
    let revoked = Revoked::parse(list.as_bytes()).unwrap();
    let path = "/o/b3:0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9";
    let tenant = TenantEvidence::Weaker("anonymous");
    let facts = Facts { method: "GET", path, address: path.strip_prefix("/o/"), tenant };
    let mut group = criterion.benchmark_group("capability");
    for caveats in [0, 4, 32] {
        let text = token(&key(0), caveats);
        group.bench_function(format!("parse/{caveats}_caveats"), |bencher| {
            bencher.iter(|| drop(black_box(Presented::parse_token(black_box(text.as_bytes())))));
        });
        let presented = Presented::parse_token(text.as_bytes()).unwrap();
        group.bench_function(format!("verify/{caveats}_caveats"), |bencher| {
            bencher.iter(|| presented.verify(&keys, &revoked, black_box(&facts), NOW).unwrap());
        });
        let forged = Presented::parse_token(token(&key(50), caveats).as_bytes()).unwrap();
        group.bench_function(format!("forged/{caveats}_caveats"), |bencher| {
            bencher.iter(|| forged.verify(&keys, &revoked, black_box(&facts), NOW).unwrap_err());
        });
    }
    group.finish();
}

criterion_group!(benches, capability);
criterion_main!(benches);
