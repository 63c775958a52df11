//! Tenants, quotas and pressure, over both versions of HTTP and both ways up.

use std::collections::BTreeMap;

use gateway_testing::backend::{Backend, Script};
use gateway_testing::client::{Answer, Http1, Http2, Request};
use gateway_testing::conf::{self, Conf};
use gateway_testing::origin::Origin;
use gateway_testing::{Gateway, pattern};

use crate::BINARY;
use crate::both::Version;

/// An OAP/1 service and an HTTP/1.1 origin: the two ways up.
pub struct Behind {
    pub oap: Backend,
    pub plain: Origin,
}

/// Where each way begins.
pub const WAYS: [&str; 2] = ["/oap", "/plain"];

impl Behind {
    pub fn new() -> Self {
        Self { oap: Backend::oap().start(), plain: Origin::http1(1) }
    }

    /// `route`: further keys of both routes.
    pub fn conf(&self, route: &str) -> Conf {
        let way = |name: &str| {
            format!(
                "{{ name: {name}, match: {{ path: {{ prefix: /{name}/ }} }}, kind: proxy, cluster: {name}, strip_prefix: /{name}{route} }}"
            )
        };
        conf::minimal()
            .oap_cluster("oap", &self.oap.address())
            .http1_cluster("plain", &self.plain.address().into())
            .route(way("oap"))
            .route(way("plain"))
    }
}

pub fn get(way: &str) -> Request {
    Request::get(&format!("{way}/bytes/2"))
}

/// A metric's value in a scrape, by its exact series.
pub async fn counted(gateway: &Gateway, series: &str) -> f64 {
    gateway.metric(series).await
}

/// What every refusal must be: one word in answer, log and metric, with Retry-After where it is due.
pub async fn refused(gateway: &Gateway, answer: &Answer, status: u16, reason: &str) {
    assert_eq!((answer.status, answer.reason().as_str()), (status, reason), "{answer:?}");
    assert_eq!(answer.json()["code"], status, "{answer:?}");
    let retry = answer.field("retry-after").map(|secs| secs.parse::<u64>().unwrap());
    assert_eq!(retry.is_some(), matches!(status, 429 | 503), "{answer:?}");
    assert_eq!(answer.json()["retry_after"].as_u64(), retry, "{answer:?}");
    let line = gateway.access_line(answer.field("x-corr-id").unwrap()).await;
    assert_eq!(
        (line["status"].as_u64(), line["reason"].as_str()),
        (Some(status.into()), Some(reason)),
        "{line}"
    );
}

/// Its name, the keys that make it small, and its `ratelimit-policy`.
type Quota = (&'static str, &'static [(&'static str, &'static str)], Option<&'static str>);

#[tokio::test]
async fn each_quota_says_no_when_it_is_used_up_and_reads_no_body_before() {
    let behind = Behind::new();
    // One bucket at a time: three tokens, and none that comes back while the test runs.
    let quotas: [Quota; 4] = [
        ("instance", &[("limits.rate", "1/h"), ("limits.burst", "3")], None),
        ("address", &[("limits.per_address", "{ rate: 1/h, burst: 3 }")], Some("\"address\";q=3;w=10800")),
        (
            "tenant",
            &[("tenants.anonymous", "{ quota: { rate: 1/h, burst: 3 } }")],
            Some("\"tenant\";q=3;w=10800"),
        ),
        (
            "principal",
            &[("tenants.anonymous", "{ principal: { rate: 1/h, burst: 3 } }")],
            Some("\"principal\";q=3;w=10800"),
        ),
    ];
    for (which, keys, policy) in quotas {
        for way in WAYS {
            for version in Version::ALL {
                let what = format!("{which} {way} {version:?}");
                let conf = keys.iter().fold(behind.conf(""), |conf, (key, value)| conf.set(key, *value));
                let gateway = Gateway::start(BINARY, &conf.yaml()).await;
                for _ in 0..3 {
                    let answer = version.ask(&gateway, &get(way)).await;
                    assert_eq!(answer.status, 200, "{what}: {answer:?}");
                    if policy.is_some() && which != "address" {
                        assert!(answer.field("ratelimit").is_some(), "{what}: {answer:?}");
                    }
                }
                let uploads = [
                    Request::post(&format!("{way}/x"), pattern(1000)),
                    Request::post(&format!("{way}/x"), pattern(100_000)).open_length(),
                ];
                for upload in uploads {
                    let no = version.ask(&gateway, &upload).await;
                    refused(&gateway, &no, 429, "quota").await;
                    assert_eq!(no.field("ratelimit-policy"), policy, "{what}");
                    assert_eq!(no.field("ratelimit").is_some(), policy.is_some(), "{what}");
                    // http.md §1: then HTTP/1 sends FIN, a body being pending.
                    let closes = (version == Version::Http1).then_some("close");
                    assert_eq!(no.field("connection"), closes, "{what}");
                }
                assert_eq!(counted(&gateway, "rejected_total{reason=\"quota\"}").await, 2.0, "{what}");
                let read = "rejected_body_bytes_read_total{reason=\"quota\"}";
                assert_eq!(counted(&gateway, read).await, 0.0, "{what}");
                let exhausted = "gateway_quota_exhaustions_total{tenant=\"anonymous\"}";
                assert_eq!(counted(&gateway, exhausted).await, 2.0, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn a_quota_that_is_lifted_or_in_shadow_refuses_nobody() {
    let behind = Behind::new();
    let conf = behind
        .conf("")
        .set("limits.per_address", "{ rate: none }")
        .set("tenants.anonymous", "{ quota: { rate: 1/h, burst: 3, shadow: true } }");
    let gateway = Gateway::start(BINARY, &conf.yaml()).await;
    for _ in 0..5 {
        for way in WAYS {
            assert_eq!(Version::Http1.ask(&gateway, &get(way)).await.status, 200);
        }
    }
    let exhausted = "gateway_quota_exhaustions_total{tenant=\"anonymous\"}";
    assert_eq!(counted(&gateway, exhausted).await, 7.0);
}

#[tokio::test]
async fn methods_cost_what_they_cost_and_bytes_are_paid_for() {
    let behind = Behind::new();
    for way in WAYS {
        let conf = behind
            .conf("")
            .set("limits.cost", "{ GET: 4 }")
            .set("tenants.anonymous", "{ quota: { rate: 1/h, burst: 5 } }");
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        assert_eq!(Version::Http1.ask(&gateway, &get(way)).await.status, 200);
        assert_eq!(Version::Http1.ask(&gateway, &get(way)).await.status, 429);
        // A POST takes one: there is one.
        let post = Request::post(&format!("{way}/x"), "a");
        assert!(Version::Http1.ask(&gateway, &post).await.status < 300);

        let conf = behind.conf("").set("tenants.anonymous", "{ quota: { bytes: 10KiB/h } }");
        for upload in [true, false] {
            for version in Version::ALL {
                let gateway = Gateway::start(BINARY, &conf.yaml()).await;
                let request = if upload {
                    Request::post(&format!("{way}/x"), pattern(20_000)).open_length()
                } else {
                    Request::get(&format!("{way}/bytes/20000"))
                };
                if !upload && way == "/oap" {
                    // What the scripted service answers is small: the upload shows it there.
                    continue;
                }
                assert!(version.ask(&gateway, &request).await.status < 300);
                let no = version.ask(&gateway, &get(way)).await;
                refused(&gateway, &no, 429, "quota").await;
                assert_eq!(no.field("ratelimit-policy"), Some("\"bytes\";q=2;w=1"), "{no:?}");
            }
        }
    }
}

#[tokio::test]
async fn each_tenant_is_known_by_its_evidence_and_routes_serve_whom_they_name() {
    let behind = Behind::new();
    let key = |text: &str| blake3::hash(text.as_bytes()).to_hex().to_string();
    let conf = behind
        .conf("")
        .route("{ name: own, match: { path: { prefix: /own/ } }, kind: proxy, cluster: oap, tenants: [keyed] }")
        .listener("second", "127.0.0.1:0", "")
        .set("tenants.anonymous", "{}")
        .set(
            "tenants.keyed",
            format!(
                "{{ id: 0000000000000000000000000000002a, identify: [ {{ api_key: {{ header: x-api-key, blake3: [{}] }} }} ] }}",
                key("secret")
            ),
        )
        .set("tenants.listened", "{ identify: [ { listener: second } ] }")
        .set("tenants.addressed", "{ identify: [ { address: [127.0.0.9/32] } ] }");
    let conf = conf.yaml().replacen(
        "{ name: public, address: \"127.0.0.1:0\" }",
        "{ name: public, address: \"127.0.0.1:0\", trusted_addresses: [127.0.0.1] }",
        1,
    );
    let gateway = Gateway::start(BINARY, &conf).await;
    let tenant_of = async |answer: &Answer| {
        let line = gateway.access_line(answer.field("x-corr-id").unwrap()).await;
        line["tenant"].as_str().unwrap_or("-").to_owned()
    };
    for version in Version::ALL {
        let with = |name: &str, value: &str| get("/oap").field(name, value);
        for (request, tenant) in [
            (get("/oap"), "anonymous"),
            (with("x-api-key", "secret"), "keyed"),
            (with("x-forwarded-for", "127.0.0.9"), "addressed"),
            (with("x-forwarded-for", "127.0.0.9, 127.0.0.8"), "anonymous"),
        ] {
            let answer = version.ask(&gateway, &request).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(tenant_of(&answer).await, tenant, "{request:?}");
        }
        let no = version.ask(&gateway, &with("x-api-key", "wrong")).await;
        refused(&gateway, &no, 401, "unauth").await;
        assert!(no.field("www-authenticate").is_some());
        let no = version.ask(&gateway, &Request::get("/own/x")).await;
        refused(&gateway, &no, 403, "forbidden").await;
        let own = version.ask(&gateway, &Request::get("/own/x").field("x-api-key", "secret")).await;
        assert_eq!(own.status, 200);
    }
    let second = Http1::connect(gateway.address("second")).await.request(&get("/oap")).await;
    assert_eq!(tenant_of(&second).await, "listened");
    // The service is told who it is: only keyed has an id.
    let told: BTreeMap<u128, usize> =
        behind.oap.requests().iter().fold(BTreeMap::new(), |mut told, request| {
            *told.entry(request.tenant_id).or_default() += 1;
            told
        });
    assert_eq!(told.keys().copied().collect::<Vec<_>>(), [0, 42]);
}

#[tokio::test]
async fn a_connection_that_hammers_is_held_and_let_go_by_the_first_that_passes() {
    let behind = Behind::new();
    let conf = behind
        .conf("")
        .set("limits.penalty", "{ after: 2, delay: 1s }")
        .set("tenants.anonymous", "{ quota: { rate: 1/h, burst: 1 } }");
    let gateway = Gateway::start(BINARY, &conf.yaml()).await;
    let mut client = Http1::connect(gateway.address("public")).await;
    assert_eq!(client.request(&get("/oap")).await.status, 200);
    let mut took = Vec::new();
    for _ in 0..4 {
        let began = tokio::time::Instant::now();
        assert_eq!(client.request(&get("/oap")).await.status, 429);
        took.push(began.elapsed().as_millis() >= 1000);
    }
    assert_eq!(took, [false, false, true, true]);
    // One that leaves meanwhile is sent nothing.
    for version in Version::ALL {
        let left = "rejected_total{reason=\"client_left\"}";
        let refused = "gateway_quota_exhaustions_total{tenant=\"anonymous\"}";
        let before = counted(&gateway, left).await;
        match version {
            Version::Http1 => {
                let so_far = counted(&gateway, refused).await;
                assert!(client.send(&get("/oap").http1_bytes()).await);
                gateway.metric_becomes(refused, |n| n > so_far).await;
                drop(client);
                client = Http1::connect(gateway.address("public")).await;
            }
            Version::Http2 => {
                let http2 = Http2::connect(gateway.address("public")).await;
                for _ in 0..2 {
                    assert_eq!(http2.request(&get("/oap")).await.status, 429);
                }
                let so_far = counted(&gateway, refused).await;
                let mut held = http2.open(&get("/oap")).await;
                held.finish();
                gateway.metric_becomes(refused, |n| n > so_far).await;
                held.leave();
            }
        }
        gateway.metric_becomes(left, |n| n == before + 1.0).await;
    }
    // Another connection is not.
    let began = tokio::time::Instant::now();
    assert_eq!(Version::Http1.ask(&gateway, &get("/oap")).await.status, 429);
    assert!(began.elapsed().as_millis() < 1000);
}

#[tokio::test]
async fn a_failing_cluster_sheds_its_own_writes_and_nothing_else() {
    let behind = Behind::new();
    behind.oap.set_script(|_| Script::new().read_body().reset());
    let conf = behind
        .conf("")
        .route("{ name: last, match: { path: { prefix: /last/ } }, kind: proxy, cluster: oap, shed: last }")
        .route(
            "{ name: never, match: { path: { prefix: /never/ } }, kind: proxy, cluster: oap, shed: never }",
        )
        .set("clusters.oap.ejection", "{ share: 0% }")
        .set("clusters.oap.retry", "{ attempts: 1 }")
        .set("degrade", "{ hold: 300ms }");
    let gateway = Gateway::start(BINARY, &conf.yaml()).await;
    for _ in 0..20 {
        assert_eq!(Version::Http1.ask(&gateway, &get("/oap")).await.status, 502);
    }
    gateway.metric_becomes("gateway_degraded", |degraded| degraded == 1.0).await;
    for version in Version::ALL {
        let no = version.ask(&gateway, &Request::post("/oap/x", "a")).await;
        refused(&gateway, &no, 503, "degraded").await;
        // Reads go on, and so does the other cluster.
        assert_eq!(version.ask(&gateway, &get("/oap")).await.status, 502);
        assert_eq!(version.ask(&gateway, &Request::post("/plain/x", "a")).await.status, 201);
        let never = version.ask(&gateway, &Request::post("/never/x", "a")).await;
        assert_eq!((never.status, never.reason().as_str()), (502, "upstream"));
    }
    // The instance is ready: one cluster's trouble is not everybody's.
    assert_eq!(gateway.admin("/readyz").await.status, 200);
    behind.oap.set_script(Script::standard);
    gateway.metric_becomes("gateway_degraded", |degraded| degraded == 0.0).await;
    assert!(Version::Http1.ask(&gateway, &Request::post("/oap/x", "a")).await.status < 300);
}

#[tokio::test]
async fn under_pressure_writes_are_shed_reads_go_on_and_readiness_says_so() {
    for (key, value) in [("memory", "1MiB"), ("descriptors", "0%")] {
        let behind = Behind::new();
        let conf = behind.conf("").set(&format!("degrade.{key}"), value);
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        gateway.readiness_becomes(503).await;
        let answer = gateway.admin("/readyz").await;
        assert_eq!(answer.json()["missing"], serde_json::json!(["writes"]), "{key}");
        assert_eq!(gateway.admin("/readyz?for=read").await.json()["degraded"], false);
        for way in WAYS {
            for version in Version::ALL {
                let no = version.ask(&gateway, &Request::post(&format!("{way}/x"), "a")).await;
                refused(&gateway, &no, 503, "degraded").await;
                assert_eq!(version.ask(&gateway, &get(way)).await.status, 200, "{key} {way}");
            }
        }
        // A reload lifts it: it is released after `hold`.
        let lifted = behind.conf("").set("degrade", "{ hold: 100ms }");
        assert_eq!(gateway.reload(&lifted.yaml()).await.status, 200);
        gateway.readiness_becomes(200).await;
    }
}

#[tokio::test]
async fn a_reload_refills_no_bucket_and_its_limits_hold_at_once() {
    let behind = Behind::new();
    let conf = |tokens: u32| {
        behind.conf("").set("tenants.anonymous", format!("{{ quota: {{ rate: 1/h, burst: {tokens} }} }}"))
    };
    let gateway = Gateway::start(BINARY, &conf(4).yaml()).await;
    for _ in 0..4 {
        assert_eq!(Version::Http1.ask(&gateway, &get("/oap")).await.status, 200);
    }
    for tokens in [4, 400, 8] {
        assert_eq!(gateway.reload(&conf(tokens).yaml()).await.status, 200);
        for version in Version::ALL {
            let no = version.ask(&gateway, &get("/oap")).await;
            assert_eq!((no.status, no.reason().as_str()), (429, "quota"), "{tokens}");
        }
    }
    // Lifted, it is lifted; back again, it is as it was.
    assert_eq!(gateway.reload(&behind.conf("").yaml()).await.status, 200);
    assert_eq!(Version::Http1.ask(&gateway, &get("/oap")).await.status, 200);
    assert_eq!(gateway.reload(&conf(4).yaml()).await.status, 200);
    assert_eq!(Version::Http1.ask(&gateway, &get("/oap")).await.status, 429);
}
