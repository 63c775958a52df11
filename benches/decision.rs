//! What the gateway's own questions cost a GET: identification, quota, admission and metrics together, in the calls and the
//! order of the request path, on a compiled configuration with one tenant and with 100,000. `off` is the same loop
//! without them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a benchmark fails by panicking, reads the clock, and has no reader of its docs"
)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, HeaderValue};
use svc_gateway::access_log::Log;
use svc_gateway::admission::{Claim, Entry};
use svc_gateway::cluster::Surroundings;
use svc_gateway::config::Config;
use svc_gateway::metrics::{Method, Metrics};
use svc_gateway::quota::{Ask, Penalty, Quotas};
use svc_gateway::snapshot::{self, Route, Snapshot};
use svc_gateway::state::State;
use svc_gateway::tenant::Evidence;
use svc_gateway::tenant::client::Speaker;

/// Tenants of one file, which may hold 50,000 values.
const A_FILE: usize = 2_500;
/// Requests that come by turns, each of another tenant where there are so many.
const TURNS: usize = 1_024;

fn key(n: usize) -> String {
    format!("key-{n}")
}

fn config(tenants: usize) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("gateway.yaml");
    let text = "include: [ \"tenants-*.yaml\" ]
clusters: { app: { backends: [ { address: \"127.0.0.1:1\" } ] } }
routes: [ { name: app, match: { path: { prefix: / } }, kind: proxy, cluster: app } ]
danger_ok: [limits.rate, limits.in_flight]
limits: { rate: 100000000/s, burst: 100000000, in_flight: 65536, per_address: { rate: 100000000/s, burst: 100000000 } }
";
    std::fs::write(&main, text).unwrap();
    for first in (0..tenants).step_by(A_FILE) {
        let mut yaml = "tenants:\n".to_owned();
        for n in first..tenants.min(first + A_FILE) {
            let hash = blake3::hash(key(n).as_bytes());
            let quota = "quota: { rate: 100000000/s, burst: 100000000 }";
            let principal = "principal: { rate: 100000000/s, burst: 100000000 }";
            writeln!(yaml, "  t{n}: {{ identify: [ {{ api_key: {{ header: x-key, blake3: [{hash}] }} }} ], {quota}, {principal} }}").unwrap();
        }
        std::fs::write(folder.path().join(format!("tenants-{first}.yaml")), yaml).unwrap();
    }
    match Config::load(Some(&main)) {
        Ok(loaded) => loaded.config,
        Err(errors) => panic!("{errors}"),
    }
}

fn state(tenants: usize) -> Arc<State> {
    let config = config(tenants);
    let around = Surroundings::new(&Metrics::new().unwrap(), "/nonexistent".as_ref());
    let quotas = Arc::new(Quotas::new(snapshot::quotas(&config), Instant::now()));
    let compiled = Snapshot::compile(&config, &around, &quotas, None).unwrap();
    let (log, _writer) = Log::new(std::io::sink()).unwrap();
    State::new(compiled, around, quotas, log)
}

/// A request, as far as it matters here.
struct Request {
    headers: HeaderMap,
    peer: SocketAddr,
}

fn request(n: usize) -> Request {
    let mut headers = HeaderMap::new();
    for (name, value) in [("host", "a.example"), ("accept", "*/*"), ("user-agent", "curl/8.5.0")] {
        drop(headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value)));
    }
    drop(headers.insert(HeaderName::from_static("x-key"), HeaderValue::from_str(&key(n)).unwrap()));
    let address = Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() + u32::try_from(n).unwrap());
    Request { headers, peer: SocketAddr::new(IpAddr::V4(address), 4000) }
}

/// What the request path asks and counts, from the head to the log line.
fn decide(state: &State, route: &Route, penalty: &Penalty, request: &Request, started: Instant) {
    let policy = state.snapshot.load();
    let listener = policy.listeners.get("public").unwrap();
    let speaker = Speaker::new(Some(request.peer.ip()), None, &listener.trusted);
    let client = speaker.client(&request.headers, &listener.trusted);
    let evidence = Evidence {
        trusted: client.trusted,
        address: client.address,
        ..Evidence::new("public", &request.headers)
    };
    let Ok(identity) = policy.identifier.identify(&evidence) else { panic!("a tenant that nobody knows") };
    let tenant = policy.tenant(identity.tenant).unwrap();
    tenant.metrics.on_request();
    let ask = Ask {
        tenant: &tenant.buckets,
        policy: &tenant.quota,
        principal: &identity.principal,
        cost: policy.costs.of(Method::Get),
    };
    if state.quotas.take(client.address, &ask, started).is_err() {
        panic!("refused");
    }
    penalty.on_passed();
    let claim = Claim {
        generation: policy.generation,
        tenant: tenant.buckets.number(),
        policy: tenant.admission,
        principal: state.number_of(&identity.principal),
        cluster: route.cluster_number,
        cluster_in_flight: route.cluster_in_flight,
        declared: 0,
        route_weight: route.weight,
        streams: false,
    };
    let Entry::Admitted(mut permit) = state.admission.enter(&claim, Instant::now()) else { panic!("busy") };
    tenant.metrics.on_admitted(permit.waited());
    route.metrics.inflight.inc();
    permit.settle(13);
    drop(permit);
    route.metrics.inflight.dec();
    route.metrics.bytes_out.inc_by(13);
    route.metrics.on_request(Method::Get, 200, Duration::from_micros(80));
}

fn decision(c: &mut Criterion) {
    let mut group = c.benchmark_group("decision");
    for tenants in [1, 100_000] {
        let state = state(tenants);
        let policy = state.snapshot.load_full();
        let route = match policy.routes.find("a.example", "/x", "GET", "public") {
            Ok(route) => Arc::clone(route),
            Err(_) => panic!("no route"),
        };
        let requests: Vec<Request> = (0..TURNS).map(|n| request(n * 7_919 % tenants)).collect();
        let penalty = Penalty::default();
        for on in [false, true] {
            let mut turn = 0;
            let name = BenchmarkId::new(if on { "on" } else { "off" }, tenants);
            group.bench_function(name, |b| {
                b.iter(|| {
                    turn = (turn + 1) % TURNS;
                    let started = Instant::now();
                    let request = black_box(requests.get(turn).unwrap());
                    if on {
                        decide(&state, &route, &penalty, request, started);
                    }
                    started
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, decision);
criterion_main!(benches);
