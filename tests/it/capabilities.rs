//! Capabilities over the real binary: made with its own command line, asked for on both ways up and over both versions of
//! HTTP, and held against every configuration key of theirs.

use std::process::Command;

use gateway_testing::backend::{Backend, Script};
use gateway_testing::client::{Answer, Http1, Request};
use gateway_testing::conf::{self, Conf};
use gateway_testing::origin::Origin;
use gateway_testing::process::Line;
use gateway_testing::{Gateway, PATIENCE, pattern};

use crate::BINARY;
use crate::both::Version;

const K1: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
const K2: &str = "a00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
const RING: &str = "[ { id: k1, file: k1 } ]";
const WAYS: [&str; 2] = ["/oap", "/plain"];

/// An OAP/1 service and an HTTP/1.1 origin behind a gateway with a ring of keys.
struct Behind {
    oap: Backend,
    plain: Origin,
}

impl Behind {
    fn new() -> Self {
        let oap = Backend::oap().script(|_| Script::new().read_body().answer(200, &[], "ok")).start();
        Self { oap, plain: Origin::http1(1) }
    }

    /// `route`: further keys of both routes.
    fn conf(&self, route: &str) -> Conf {
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
            .set("capability.keys", RING)
            .set("capability.revoked", "revoked")
    }
}

async fn start(conf: &Conf) -> Gateway {
    let builder = Gateway::builder(BINARY).config(conf.yaml());
    builder.secret("k1", K1).secret("k2", K2).file("revoked", "# nobody\n").start().await
}

/// What `svc-gateway token` prints, with these words.
fn token(gateway: &Gateway, words: &str) -> String {
    let done = Command::new(BINARY)
        .arg("token")
        .args(words.split(' '))
        .current_dir(gateway.folder())
        .output()
        .expect("the program runs");
    assert!(done.status.success(), "{words}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

fn mint(gateway: &Gateway, more: &str) -> String {
    token(gateway, &format!("mint --key k1 --id k1 --expires 1h{more}"))
}

fn identifier(gateway: &Gateway, of: &str) -> String {
    let said: serde_json::Value =
        serde_json::from_str(&token(gateway, &format!("inspect --json {of}"))).unwrap();
    said["identifier"].as_str().unwrap().to_owned()
}

/// A token with a character of its signature changed.
fn forged(token: &str) -> String {
    let (rest, last) = token.split_at(token.len() - 3);
    format!("{rest}{}{}", if last.starts_with('A') { 'B' } else { 'A' }, &last[1..])
}

fn with(request: Request, token: &str) -> Request {
    request.field("authorization", &format!("Bearer {token}"))
}

async fn failures(gateway: &Gateway, word: &str) -> f64 {
    gateway.metric(&series(word)).await
}

/// A request is counted behind its answer.
async fn failures_become(gateway: &Gateway, word: &str, wanted: f64) {
    gateway.metric_becomes(&series(word), |failures| failures >= wanted).await;
    assert_eq!(failures(gateway, word).await, wanted, "{word}");
}

fn series(word: &str) -> String {
    format!("auth_failures_total{{reason=\"{word}\"}}")
}

/// What every refusal must be: one word in answer and log, and what was wrong in the metric alone.
async fn refused(gateway: &Gateway, answer: &Answer, status: u16, word: &str) {
    let reason = if status == 401 { "unauth" } else { "forbidden" };
    assert_eq!((answer.status, answer.reason().as_str()), (status, reason), "{word}: {answer:?}");
    assert_eq!(answer.field("www-authenticate").is_some(), status == 401, "{answer:?}");
    assert!(!answer.text().contains(word), "{answer:?}");
    let line = gateway.access_line(answer.field("x-corr-id").unwrap()).await;
    assert_eq!(
        (line["status"].as_u64(), line["reason"].as_str()),
        (Some(status.into()), Some(reason)),
        "{line}"
    );
    assert!(line["detail"].as_str().unwrap().contains(word), "{line}");
    // What is genuine shows as 8 hex digits; what is not, not at all.
    let shown = line["capability"].as_str();
    assert_eq!(shown.map(str::len), (status == 403 || word == "expired").then_some(8), "{word}: {line}");
}

#[tokio::test]
async fn a_verified_token_travels_on_and_says_whose_the_request_is() {
    let behind = Behind::new();
    let key = blake3::hash(b"key").to_hex();
    let conf = behind
        .conf(", capability: optional")
        .set("tenants.acme", "{ id: 00000000000000000000000000000007 }")
        .set(
            "tenants.keyed",
            format!("{{ id: 00000000000000000000000000000042, identify: [ {{ api_key: {{ header: x-api-key, blake3: [{key}] }} }} ] }}"),
        );
    let gateway = start(&conf).await;
    let (own, any) = (mint(&gateway, " --tenant acme"), mint(&gateway, ""));
    for version in Version::ALL {
        // A capability that was minted for a tenant goes before an API key; one that was not says nothing of tenants.
        for (token, has_key, tenant, id) in [
            (&own, false, "acme", 7),
            (&own, true, "acme", 7),
            (&any, false, "anonymous", 0),
            (&any, true, "keyed", 0x42),
        ] {
            let request = Request::get("/oap/x");
            let request = if has_key { request.field("x-api-key", "key") } else { request };
            let answer = version.ask(&gateway, &with(request, token)).await;
            answer.expect(200, b"ok");
            let seen = behind.oap.requests().last().unwrap().clone();
            assert_eq!(seen.capability, token.as_bytes());
            assert_eq!((seen.field("authorization"), seen.tenant_id), (None, id));
            let line = gateway.access_line(answer.field("x-corr-id").unwrap()).await;
            assert_eq!(line["tenant"], tenant, "{line}");
            assert_eq!(line["capability"].as_str().map(str::len), Some(8), "{line}");
        }
        // http clusters: forwarded unchanged.
        let answer = version.ask(&gateway, &with(Request::get("/plain/authorization"), &own)).await;
        answer.expect(200, format!("Bearer {own}").as_bytes());
        // Another scheme is the service's business.
        let basic = Request::get("/oap/x").field("authorization", "Basic eDp5");
        let answer = version.ask(&gateway, &basic).await;
        answer.expect(200, b"ok");
        let seen = behind.oap.requests().last().unwrap().clone();
        assert_eq!((seen.field("authorization"), seen.capability.len()), (Some("Basic eDp5"), 0));
    }
    let log = gateway.log_text();
    assert!(!log.contains(&own[..40]) && !log.contains(&any[..40]) && !log.contains("eDp5"), "{log}");
}

#[tokio::test]
async fn every_caveat_allows_and_denies_on_both_ways_up_and_both_versions() {
    let behind = Behind::new();
    let gateway = start(&behind.conf(", capability: required").set("tenants.acme", "{}")).await;
    let raw = |caveat: &str| {
        // A caveat that this program would not write: with the key's own secret, by another hand.
        let mut token = svc_gateway::tenant::capability::Token::mint(&raw_key(), [3; 16], None);
        if !caveat.is_empty() {
            token.attenuate(&svc_gateway::tenant::capability::Caveat::parse(caveat).unwrap()).unwrap();
        }
        token.to_string()
    };
    for way in WAYS {
        let cases = [
            (mint(&gateway, ""), "GET", 0, ""),
            (mint(&gateway, " --methods GET,PUT"), "GET", 0, ""),
            (mint(&gateway, " --methods PUT"), "GET", 403, "method_caveat"),
            (mint(&gateway, &format!(" --path {way}/bytes")), "GET", 0, ""),
            (mint(&gateway, " --path /bytes"), "GET", 403, "path_caveat"),
            (mint(&gateway, " --path /"), "PUT", 0, ""),
            (mint(&gateway, " --address b3:"), "GET", 403, "address_caveat"),
            (mint(&gateway, " --tenant acme"), "GET", 0, ""),
            (raw("tenant = anonymous"), "GET", 0, ""),
            (raw("tenant = acme"), "GET", 403, "tenant_caveat"),
            (mint(&gateway, " --tenant gone"), "GET", 401, "tenant_unknown"),
            (raw("time < 1000"), "GET", 401, "expired"),
            (raw("time < 99999999999"), "GET", 0, ""),
            (mint(&gateway, " --rate 1000/s --bytes 1MiB/s"), "PUT", 0, ""),
            (with_raw(b"weather = fine"), "GET", 403, "unknown_caveat"),
            (THIRD_PARTY.to_owned(), "GET", 403, "third_party_caveat"),
            (forged(&mint(&gateway, "")), "GET", 401, "signature"),
            ("nonsense".to_owned(), "GET", 401, "malformed"),
            (token(&gateway, "mint --key k2 --id k2 --expires 1h"), "GET", 401, "unknown_key"),
            (token(&gateway, "mint --key k2 --id k1 --expires 1h"), "GET", 401, "signature"),
        ];
        for (token, method, status, word) in &cases {
            for version in Version::ALL {
                let body = if *method == "PUT" { pattern(1000) } else { Default::default() };
                let before = if word.is_empty() { 0.0 } else { failures(&gateway, word).await };
                let request = with(Request::new(method, &format!("{way}/bytes/2")).body(body), token);
                let answer = version.ask(&gateway, &request).await;
                if *status == 0 {
                    assert!(answer.status < 300, "{way} {version:?} {method}: {answer:?}");
                } else if *word == "tenant_unknown" {
                    assert_eq!((answer.status, answer.reason().as_str()), (401, "unauth"), "{answer:?}");
                } else {
                    refused(&gateway, &answer, *status, word).await;
                }
                if !word.is_empty() {
                    failures_become(&gateway, word, before + 1.0).await;
                }
            }
        }
    }
    let oap = behind.oap.requests().len();
    assert!(oap > 0 && behind.oap.violations().is_empty(), "{:?}", behind.oap.violations());
}

/// `k1` as a key of the library's, for tokens that the command line does not make.
fn raw_key() -> svc_gateway::tenant::capability::Key {
    use svc_gateway::tenant::capability::{Key, Secret};
    Key::new("k1", Secret::parse(K1.as_bytes()).unwrap()).unwrap()
}

/// A genuine token of `k1` with a caveat that no gateway knows. Made by hand: the chain is two HMACs (macaroons, §2).
fn with_raw(caveat: &[u8]) -> String {
    use base64::Engine;
    use hmac::{Hmac, KeyInit, Mac};
    let mac = |key: &[u8], text: &[u8]| -> Vec<u8> {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
        mac.update(text);
        mac.finalize().into_bytes().to_vec()
    };
    let identifier = b"v1:k1:000102030405060708090a0b0c0d0e0f";
    let mut generator = b"macaroons-key-generator".to_vec();
    generator.resize(32, 0);
    let root = mac(&generator, &(0..32).collect::<Vec<u8>>());
    let signature = mac(&mac(&root, identifier), caveat);
    let field = |kind: u8, content: &[u8]| [&[kind, u8::try_from(content.len()).unwrap()], content].concat();
    let bytes =
        [vec![2], field(2, identifier), vec![0], field(2, caveat), vec![0, 0], field(6, &signature)].concat();
    base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Of pymacaroons: `method in GET`, then a caveat of https://x.example. See `src/tenant/capability/tests/vectors.rs`.
const THIRD_PARTY: &str = "AgEAAiZ2MTprMTowMDAxMDIwMzA0MDUwNjA3MDgwOTBhMGIwYzBkMGUwZgACDW1ldGhvZCBpbiBHRVQAARFodHRwczovL3guZXhhbXBsZQIDd2hvBEivo7RIIXTSB8_YTXP7ahfV2CNSDNvhy7lVEBWJE8_Dlcr9Y4R6m5CUTpl2l2GBcFcvfxwC5A8yNdPPbaYb0V9DTY80DKg7xbIAAAYg4XXC9TyDC0Q-acd4zy3zLfudD149oKouojzK5Tt-ji4";

#[tokio::test]
async fn an_object_is_allowed_by_its_address() {
    let content = pattern(1000);
    let address = format!("b3:{}", blake3::hash(&content).to_hex());
    let conf = conf::minimal()
        .embedded_cluster("objects")
        .object_routes("objects")
        .set("capability.keys", RING)
        .set("capability.mutations", "required");
    let gateway = start(&conf).await;
    let at = format!("/o/{address}");
    let (this, other) = (format!(" --address {}", &address[..7]), " --address b3:ffff");
    for version in Version::ALL {
        let put = |words: &str| with(Request::put(&at, content.clone()), &mint(&gateway, words));
        refused(&gateway, &version.ask(&gateway, &put(other)).await, 403, "address_caveat").await;
        assert!(version.ask(&gateway, &put(&this)).await.status < 300);
        // An upload that names no object is for none that a prefix could cover.
        let post = with(Request::post("/api/put", content.clone()), &mint(&gateway, &this));
        refused(&gateway, &version.ask(&gateway, &post).await, 403, "address_caveat").await;
        // Reading asks for nothing.
        version.ask(&gateway, &Request::get(&at)).await.expect(200, &content);
    }
}

#[tokio::test]
async fn routes_and_mutations_say_where_a_token_is_asked_for() {
    let behind = Behind::new();
    // (capability.mutations, routes.*.capability), then what a GET and a PUT get without a token and with a wrong one.
    for (mutations, route, get, put) in [
        ("optional", "", [200, 200], [200, 401]),
        ("off", "", [200, 200], [200, 200]),
        ("required", "", [200, 200], [401, 401]),
        ("required", ", capability: off", [200, 200], [200, 200]),
        ("off", ", capability: optional", [200, 401], [200, 401]),
        ("off", ", capability: required", [401, 401], [401, 401]),
    ] {
        let gateway = start(&behind.conf(route).set("capability.mutations", mutations)).await;
        for way in WAYS {
            for version in Version::ALL {
                let target = format!("{way}/bytes/2");
                for (request, want) in
                    [(Request::get(&target), get), (Request::put(&target, pattern(10)), put)]
                {
                    let wrong = with(request.clone(), "wrong");
                    for (n, request) in [request, wrong].into_iter().enumerate() {
                        let answer = version.ask(&gateway, &request).await;
                        // The origin answers 201 to a PUT.
                        let status = if answer.status == 201 { 200 } else { answer.status };
                        assert_eq!(status, want[n], "{mutations}{route} {way} {version:?} {n}: {answer:?}");
                        if status == 401 {
                            refused(&gateway, &answer, 401, ["missing", "malformed"][n]).await;
                        }
                    }
                }
            }
        }
        let read = "rejected_body_bytes_read_total{reason=\"unauth\"}";
        assert_eq!(gateway.metric(read).await, 0.0, "{mutations}{route}");
    }
    // Without keys nobody could verify one: it crosses.
    let gateway = start(&behind.conf("").set("capability.keys", "[]")).await;
    let answer = Version::Http1.ask(&gateway, &with(Request::put("/oap/x", pattern(10)), "wrong")).await;
    answer.expect(200, b"ok");
    assert_eq!(behind.oap.requests().last().unwrap().field("authorization"), Some("Bearer wrong"));
}

#[tokio::test]
async fn a_forged_token_spends_its_addresss_quota_and_nobody_elses_and_a_flood_stops_before_the_cryptography()
{
    let behind = Behind::new();
    let conf = behind
        .conf(", capability: required")
        .set("listeners", "[ { name: public, address: \"127.0.0.1:0\", trusted_addresses: [127.0.0.1] } ]")
        .set("limits.per_address", "{ rate: 1/h, burst: 3 }")
        .set("tenants.acme", "{ quota: { rate: 1/h, burst: 1 }, principal: { rate: 1/h, burst: 1 } }");
    for way in WAYS {
        for version in Version::ALL {
            let gateway = start(&conf).await;
            let genuine = mint(&gateway, " --tenant acme");
            let from = |address: &str, token: &str| {
                let request =
                    Request::post(&format!("{way}/x"), pattern(100_000)).field("x-forwarded-for", address);
                with(request, token)
            };
            for _ in 0..3 {
                let answer = version.ask(&gateway, &from("192.0.2.1", &forged(&genuine))).await;
                refused(&gateway, &answer, 401, "signature").await;
            }
            for token in [&forged(&genuine), &genuine] {
                let no = version.ask(&gateway, &from("192.0.2.1", token)).await;
                assert_eq!((no.status, no.reason().as_str()), (429, "quota"), "{no:?}");
                assert_eq!(no.field("ratelimit-policy"), Some("\"address\";q=3;w=10800"), "{no:?}");
            }
            // Three were looked at, and what they cost was 192.0.2.1's.
            failures_become(&gateway, "signature", 3.0).await;
            let answer = version.ask(&gateway, &from("192.0.2.2", &genuine)).await;
            assert!(answer.status < 300, "{way} {version:?}: {answer:?}");
            // The tenant had one token. A rejected request costs nothing, its address neither.
            for _ in 0..5 {
                let no = version.ask(&gateway, &from("192.0.2.3", &genuine)).await;
                assert_eq!((no.status, no.reason().as_str()), (429, "quota"), "{no:?}");
                assert_ne!(no.field("ratelimit-policy"), Some("\"address\";q=3;w=10800"), "{no:?}");
            }
            let exhausted = "gateway_quota_exhaustions_total{tenant=\"acme\"}";
            assert_eq!(gateway.metric(exhausted).await, 5.0);
            for reason in ["unauth", "quota"] {
                let read = format!("rejected_body_bytes_read_total{{reason=\"{reason}\"}}");
                assert_eq!(gateway.metric(&read).await, 0.0, "{way} {version:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_declared_length_is_asked_before_the_token_and_the_token_before_the_body() {
    let behind = Behind::new();
    let gateway = start(&behind.conf(", capability: required")).await;
    for way in WAYS {
        for version in Version::ALL {
            let long = with(Request::post(&format!("{way}/x"), pattern(1_572_864)), "wrong");
            let answer = version.ask(&gateway, &long).await;
            assert_eq!((answer.status, answer.reason().as_str()), (413, "body_cap"), "{answer:?}");
        }
        // Who waits for 100 is told no instead.
        let waits =
            with(Request::post(&format!("{way}/x"), pattern(1000)), "wrong").field("expect", "100-continue");
        let mut client = Http1::connect(gateway.address("public")).await;
        assert!(client.send(&waits.http1_head()).await);
        let answer = client.answer("POST").await;
        assert_eq!((answer.status, answer.reason().as_str()), (401, "unauth"), "{answer:?}");
    }
    let read = "rejected_body_bytes_read_total{reason=\"unauth\"}";
    assert_eq!(gateway.metric(read).await, 0.0);
}

#[tokio::test]
async fn a_principal_is_the_identifier_whatever_was_appended() {
    let behind = Behind::new();
    let conf = behind
        .conf(", capability: optional")
        .set("tenants.anonymous", "{ principal: { rate: 1/h, burst: 2 } }");
    for way in WAYS {
        for version in Version::ALL {
            let gateway = start(&conf).await;
            let parent = mint(&gateway, "");
            let child = token(&gateway, &format!("attenuate --methods GET {parent}"));
            let ask = async |token: &str| {
                version.ask(&gateway, &with(Request::get(&format!("{way}/bytes/2")), token)).await
            };
            assert_eq!((ask(&parent).await.status, ask(&child).await.status), (200, 200));
            let grandchild = token(&gateway, &format!("attenuate --path / {child}"));
            for token in [&parent, &child, &grandchild] {
                let no = ask(token).await;
                assert_eq!((no.status, no.reason().as_str()), (429, "quota"), "{no:?}");
                assert_eq!(no.field("ratelimit-policy"), Some("\"principal\";q=2;w=7200"));
            }
            assert_eq!(ask(&mint(&gateway, "")).await.status, 200);
        }
    }
}

#[tokio::test]
async fn budgets_of_a_token_tighten_the_quota_and_appending_gives_no_more() {
    let behind = Behind::new();
    for way in WAYS {
        for version in Version::ALL {
            let gateway = start(&behind.conf(", capability: optional")).await;
            let ask = async |token: &str, body: usize| {
                version.ask(&gateway, &with(Request::put(&format!("{way}/x"), pattern(body)), token)).await
            };
            let no = |answer: Answer, policy: &str| {
                assert_eq!(
                    (answer.status, answer.reason().as_str()),
                    (429, "quota"),
                    "{way} {version:?}: {answer:?}"
                );
                assert_eq!(answer.field("ratelimit-policy"), Some(policy), "{answer:?}");
                assert!(answer.field("retry-after").is_some(), "{answer:?}");
            };
            let parent = mint(&gateway, " --rate 3/h");
            let narrow = token(&gateway, &format!("attenuate --rate 1/h {parent}"));
            let wide = token(&gateway, &format!("attenuate --rate 1000/s {parent}"));
            let first = ask(&narrow, 10).await;
            assert!(first.status < 300, "{first:?}");
            no(ask(&narrow, 10).await, "\"capability\";q=1;w=3600");
            // Its no cost the parent nothing; what it took did.
            assert!(ask(&wide, 10).await.status < 300);
            assert!(ask(&parent, 10).await.status < 300);
            no(ask(&parent, 10).await, "\"capability\";q=3;w=3600");
            no(ask(&wide, 10).await, "\"capability\";q=3;w=3600");
            // Bytes are paid for as they pass: the next request waits for the debt.
            let bytes = mint(&gateway, " --bytes 1KiB/h");
            assert!(ask(&bytes, 40_000).await.status < 300);
            no(ask(&bytes, 0).await, "\"capability\";q=1024;w=3600");
            assert!(ask(&mint(&gateway, " --bytes 1KiB/h"), 10).await.status < 300);
        }
    }
}

#[tokio::test]
async fn keys_are_rotated_with_grace_and_taken_away_by_reload() {
    let behind = Behind::new();
    let conf = behind.conf(", capability: required");
    let gateway = start(&conf).await;
    let old = mint(&gateway, "");
    let ask = async |version: Version, way: &str, token: &str| {
        version.ask(&gateway, &with(Request::get(&format!("{way}/bytes/2")), token)).await
    };
    let both = conf.clone().set("capability.keys", "[ { id: k2, file: k2 }, { id: k1, file: k1 } ]");
    assert_eq!(gateway.reload(&both.yaml()).await.status, 200);
    let new = token(&gateway, "mint -c gateway.yaml --expires 1h");
    assert!(identifier(&gateway, &new).starts_with("v1:k2:"));
    let after = conf.clone().set("capability.keys", "[ { id: k2, file: k2 } ]");
    for way in WAYS {
        for version in Version::ALL {
            assert_eq!(ask(version, way, &old).await.status, 200);
            assert_eq!(ask(version, way, &new).await.status, 200);
        }
    }
    assert_eq!(gateway.reload(&after.yaml()).await.status, 200);
    for way in WAYS {
        for version in Version::ALL {
            refused(&gateway, &ask(version, way, &old).await, 401, "unknown_key").await;
            assert_eq!(ask(version, way, &new).await.status, 200);
        }
    }
    // A ring whose file others may read is refused, and the one in force stays.
    let k1 = gateway.folder().join("k1");
    std::fs::set_permissions(&k1, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let no = gateway.reload(&conf.yaml()).await;
    assert!(no.status == 422 && no.text().contains("a secret has 0600 or 0400"), "{no:?}");
    assert_eq!(ask(Version::Http1, "/oap", &new).await.status, 200);
}

#[tokio::test]
async fn a_revocation_ends_everything_attenuated_by_reload_at_once_and_by_watching_within_a_second() {
    let behind = Behind::new();
    let conf = behind.conf(", capability: required");
    let gateway = start(&conf).await;
    let revoked = |text: &str| {
        let folder = gateway.folder();
        std::fs::write(folder.join("revoked.new"), text).unwrap();
        std::fs::rename(folder.join("revoked.new"), folder.join("revoked")).unwrap();
    };
    let ask = async |token: &str| {
        let mut answers = Vec::new();
        for way in WAYS {
            for version in Version::ALL {
                answers
                    .push(version.ask(&gateway, &with(Request::get(&format!("{way}/bytes/2")), token)).await);
            }
        }
        answers
    };
    let all = |answers: &[Answer], status: u16| answers.iter().all(|answer| answer.status == status);
    let parent = mint(&gateway, "");
    let child = token(&gateway, &format!("attenuate --methods GET {parent}"));
    let other = mint(&gateway, "");
    assert!(all(&ask(&child).await, 200));
    revoked(&format!("{} # left\n", identifier(&gateway, &parent)));
    assert_eq!(gateway.reload(&conf.yaml()).await.status, 200);
    for token in [&parent, &child] {
        let answers = ask(token).await;
        assert!(all(&answers, 401), "{answers:?}");
        refused(&gateway, &answers[0], 401, "revoked").await;
    }
    assert!(all(&ask(&other).await, 200));

    // Without a reload: the file is watched.
    revoked(&format!("{}\n{}\n", identifier(&gateway, &parent), identifier(&gateway, &other)));
    gateway.log_line(|line| line["event"] == "revocations_read" && line["revoked"] == 2).await;
    assert!(all(&ask(&other).await, 401));
    // A list that is none ends no revocation, and says so.
    revoked("everybody\n");
    let line = gateway.log_line(|line| line["event"] == "revocations_refused").await;
    assert!(line["error"].as_str().unwrap().contains("line 1 is no identifier"), "{line}");
    assert!(all(&ask(&other).await, 401));
    assert_eq!(gateway.reload(&conf.yaml()).await.status, 422);
    assert!(all(&ask(&other).await, 401));
    // What is missing may not be written yet, also when a reload comes in between.
    revoked("");
    assert_eq!(gateway.reload(&conf.yaml()).await.status, 200);
    assert!(all(&ask(&other).await, 401));
    gateway.log_line(|line| line["event"] == "revocations_read" && line["revoked"] == 0).await;
    assert!(all(&ask(&other).await, 200));
}

#[tokio::test]
async fn a_list_that_is_rewritten_in_place_revokes_throughout() {
    let behind = Behind::new();
    let gateway = start(&behind.conf(", capability: required")).await;
    let path = gateway.folder().join("revoked");
    let [lasting, passing] = [mint(&gateway, ""), mint(&gateway, "")];
    let lines = [&lasting, &passing].map(|token| format!("{}\n", identifier(&gateway, token)));
    std::fs::write(&path, &lines[0]).unwrap();
    gateway.log_line(|line| line["event"] == "revocations_read" && line["revoked"] == 1).await;
    let status = async |token: &str| {
        let request = with(Request::get("/oap/bytes/2"), token);
        Version::Http1.ask(&gateway, &request).await.status
    };
    // Emptied, and then filled with another line first, as programs do it that take their time.
    std::fs::write(&path, "").unwrap();
    let from = gateway.log().len();
    std::fs::write(&path, &lines[1]).unwrap();
    let read = |count: u64| {
        move |line: &Line| {
            (line.json["event"] == "revocations_read" && line.json["revoked"] == count).then_some(())
        }
    };
    assert!(gateway.process().wait_for_line_from(from, PATIENCE, read(2)).await.is_some());
    std::fs::write(&path, lines.concat()).unwrap();
    assert_eq!((status(&lasting).await, status(&passing).await), (401, 401));
    let from = gateway.log().len();
    // What is taken off for good holds again.
    std::fs::write(&path, &lines[0]).unwrap();
    assert!(gateway.process().wait_for_line_from(from, PATIENCE, read(1)).await.is_some());
    assert_eq!((status(&lasting).await, status(&passing).await), (401, 200));
}

#[tokio::test]
async fn a_key_that_others_can_read_starts_no_gateway() {
    let behind = Behind::new();
    let builder = Gateway::builder(BINARY).config(behind.conf("").yaml());
    let (code, said) = builder.file("k1", K1).file("revoked", "").start_refused().await;
    assert!(
        code == Some(2) && said.contains("k1` has mode 0644, a secret has 0600 or 0400"),
        "{code:?} {said}"
    );
}
