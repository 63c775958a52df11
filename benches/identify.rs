//! What it costs to say who a request is from, beside one tenant and beside a hundred thousand: by API key, address,
//! header field, and without any evidence. Every tenant has one item of each kind.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark fails by panicking, and has no reader of its docs"
)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, HeaderValue};
use svc_gateway::tenant::client::Speaker;
use svc_gateway::tenant::{ANONYMOUS, ApiKeys, Criteria, Evidence, Header, Identifier, Network, Policy};

const KEY: HeaderName = HeaderName::from_static("x-api-key");
const TENANT: HeaderName = HeaderName::from_static("x-tenant");

/// Scattered, as customers' addresses are: /32, /24 and /64 in turn.
fn network(n: u32) -> Network {
    let scattered = n.wrapping_mul(0x9e37_79b1);
    match n % 3 {
        0 => Network::new(Ipv4Addr::from_bits(scattered).into(), 32),
        1 => Network::new(Ipv4Addr::from_bits(scattered).into(), 24),
        _ => Network::new(Ipv6Addr::from_bits(u128::from(scattered) << 64 | 0x2001 << 112).into(), 64),
    }
}

fn key(n: u32) -> String {
    format!("key-{n:08}-0123456789abcdef0123456789abcdef")
}

fn tenants(count: u32) -> Identifier {
    let mut all = vec![Policy { name: ANONYMOUS.to_owned(), identify: Vec::new() }];
    all.extend((0..count).map(|n| {
        let blake3 = vec![*blake3::hash(key(n).as_bytes()).as_bytes()];
        Policy {
            name: format!("tenant-{n}"),
            identify: vec![
                Criteria { api_keys: Some(ApiKeys { header: KEY, blake3 }), ..Criteria::default() },
                Criteria { networks: vec![network(n)], ..Criteria::default() },
                Criteria {
                    header: Some(Header { name: TENANT, value: n.to_string() }),
                    ..Criteria::default()
                },
            ],
        }
    }));
    // Two customers may share a /24 by chance here; then the later one does without.
    while let Err(clashes) = Identifier::new(&all) {
        for clash in clashes {
            let item = all.get_mut(clash.later.0).and_then(|tenant| tenant.identify.get_mut(clash.later.1));
            item.unwrap().networks.clear();
        }
    }
    Identifier::new(&all).unwrap()
}

fn fields(own: &[(HeaderName, String)]) -> HeaderMap {
    let usual =
        [("host", "a.example"), ("accept", "*/*"), ("user-agent", "curl/8.5.0"), ("accept-encoding", "gzip")];
    let mut fields: HeaderMap = usual
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    for (name, value) in own {
        fields.insert(name, HeaderValue::from_str(value).unwrap());
    }
    fields
}

fn identify(criterion: &mut Criterion) {
    for count in [1, 100_000] {
        let identifier = tenants(count);
        // Different tenants in turn, so that the large table does not answer from the cache alone.
        let asked: Vec<u32> = (0..1024).map(|n: u32| n.wrapping_mul(97) % count / 3 * 3).collect();
        let stranger: IpAddr = Ipv4Addr::new(203, 0, 113, 9).into();
        let mut group = criterion.benchmark_group(format!("identify/{count}"));
        let mut bench = |name: &str, own: &dyn Fn(u32) -> Vec<(HeaderName, String)>, own_address: bool| {
            let requests: Vec<_> = asked
                .iter()
                .map(|n| (fields(&own(*n)), if own_address { network(*n).first() } else { stranger }))
                .collect();
            let mut turn = requests.iter().cycle();
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    let (headers, address) = turn.next().unwrap();
                    let evidence = Evidence {
                        address: Some(*address),
                        trusted: true,
                        ..Evidence::new("public", headers)
                    };
                    black_box(identifier.identify(black_box(&evidence)).unwrap())
                });
            });
        };
        bench("nothing", &|_| Vec::new(), false);
        bench("address", &|_| Vec::new(), true);
        bench("header", &|n| vec![(TENANT, n.to_string())], false);
        bench("api_key", &|n| vec![(KEY, key(n))], false);
        group.finish();
    }
}

fn client(criterion: &mut Criterion) {
    let trusted = [network(0), Network::new(Ipv4Addr::new(10, 0, 0, 0).into(), 8)];
    let chain = HeaderName::from_static("x-forwarded-for");
    let headers = fields(&[(chain, "198.51.100.7, 10.1.2.3, 10.1.2.4".to_owned())]);
    criterion.bench_function("client/behind_two_proxies", |bencher| {
        bencher.iter(|| {
            let speaker = Speaker::new(Some(Ipv4Addr::new(10, 0, 0, 1).into()), None, &trusted);
            black_box(speaker.client(black_box(&headers), &trusted))
        });
    });
}

criterion_group!(benches, identify, client);
criterion_main!(benches);
