//! How backends are reached: over TLS, by a name, over HTTP/2; and what they are told of the time that is left.

use std::time::Duration;

use gateway_testing::backend::{Backend, Script};
use gateway_testing::client::{Http1, Http2, Request};
use gateway_testing::conf::{self, Conf};
use gateway_testing::net::Address;
use gateway_testing::origin::Origin;
use gateway_testing::relay::Relay;
use gateway_testing::tls::{Authority, Server};
use gateway_testing::{Gateway, PATIENCE, pattern};

use crate::BINARY;
use crate::both::Version;

/// The name that backends bear.
const NAME: &str = "backend.test";
/// The cluster's `tls` where nothing else is said.
const TRUSTING: &str = "{ ca: ca.pem, server_name: backend.test }";

/// A service of each kind, with what a cluster needs to reach it: protocol, mode, ALPN.
struct Services {
    shared: Backend,
    exclusive: Backend,
    http1: Origin,
    http2: Origin,
}

type Kind = (&'static str, &'static str, &'static str, Address);

impl Services {
    fn start() -> Self {
        Self {
            shared: Backend::oap().start(),
            exclusive: Backend::oap().exclusive().start(),
            http1: Origin::http1(1),
            http2: Origin::http2(),
        }
    }

    fn kinds(&self) -> [Kind; 4] {
        [
            ("oap", "auto", "ron/1", self.shared.address()),
            ("oap", "exclusive", "ron/1", self.exclusive.address()),
            ("http1", "auto", "http/1.1", self.http1.address().into()),
            ("http2", "auto", "h2", self.http2.address().into()),
        ]
    }
}

/// One cluster over TLS.
fn over_tls(relay: &Relay, protocol: &str, mode: &str, tls: &str) -> Conf {
    conf::minimal()
        .cluster("app", protocol, [&relay.address()])
        .set("clusters.app.tls", tls)
        .set("clusters.app.connections", format!("{{ mode: {mode} }}"))
        .set("clusters.app.health", "{ interval: 100ms, unhealthy: 1, healthy: 1 }")
        .set("clusters.app.ejection", "{ share: 0% }")
        .proxy_route("/", "app")
}

async fn start(config: &Conf, authority: &Authority) -> Gateway {
    Gateway::builder(BINARY).config(config.yaml()).file("ca.pem", authority.pem()).start().await
}

#[tokio::test]
async fn tls_is_spoken_to_every_kind_of_backend_under_its_own_protocol() {
    let services = Services::start();
    let authority = Authority::new();
    let identity = authority.issue(NAME);
    for (protocol, mode, alpn, address) in services.kinds() {
        // What it would agree to is more than what it is asked for.
        let relay = Relay::tls(&Server::new(&identity, &["spdy/1", alpn, "h2", "http/1.1"]), address);
        let gateway = start(&over_tls(&relay, protocol, mode, TRUSTING), &authority).await;
        for version in Version::ALL {
            for size in [0, 2, 300_000] {
                let answer = version.ask(&gateway, &Request::get(&format!("/bytes/{size}"))).await;
                answer.expect(200, &pattern(size));
            }
            let answer = version.ask(&gateway, &Request::post("/up", pattern(300_000))).await;
            assert_eq!(answer.status, 201, "{protocol} {version:?}: {answer:?}");
        }
        for seen in relay.handshakes() {
            let seen = seen.unwrap();
            assert_eq!(seen.alpn.as_deref(), Some(alpn), "{protocol}");
            assert_eq!(seen.server_name.as_deref(), Some(NAME), "{protocol}");
        }
        assert_eq!(gateway.admin("/readyz").await.status, 200, "{protocol}");
    }
}

#[tokio::test]
async fn a_backend_that_cannot_prove_its_name_is_sent_nothing() {
    let services = Services::start();
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (good, foreign) = (ours.issue(NAME), theirs.issue(NAME));
    let other_name = ours.issue("other.test");
    for (protocol, mode, alpn, address) in services.kinds() {
        for (what, identity) in [("another authority", &foreign), ("another name", &other_name)] {
            let relay = Relay::tls(&Server::new(identity, &[alpn]), address.clone());
            let gateway = start(&over_tls(&relay, protocol, mode, TRUSTING), &ours).await;
            refuses(&gateway, &format!("{protocol} {what}")).await;
        }
        if protocol == "oap" {
            // oap1 §6: TLS 1.3 with ALPN `ron/1`.
            let right = [alpn];
            let servers = [
                ("no ALPN", Server::new(&good, &[])),
                ("another ALPN", Server::new(&good, &["h2"])),
                ("TLS 1.2", Server { old: true, ..Server::new(&good, &right) }),
            ];
            for (what, server) in servers {
                let relay = Relay::tls(&server, address.clone());
                let gateway = start(&over_tls(&relay, protocol, mode, TRUSTING), &ours).await;
                refuses(&gateway, what).await;
            }
        }
    }
    for backend in [&services.shared, &services.exclusive] {
        assert!(backend.requests().is_empty(), "a request crossed");
    }
}

/// Neither requests nor checks get through.
async fn refuses(gateway: &Gateway, what: &str) {
    gateway.readiness_becomes(503).await;
    for version in Version::ALL {
        let answer = version.ask(gateway, &Request::get("/bytes/2")).await;
        assert_eq!((answer.status, answer.reason().as_str()), (503, "no_backend"), "{what} {version:?}");
    }
}

#[tokio::test]
async fn a_request_to_a_backend_that_cannot_prove_its_name_is_a_502() {
    let services = Services::start();
    let (ours, theirs) = (Authority::new(), Authority::new());
    let foreign = theirs.issue(NAME);
    for (protocol, mode, alpn, address) in services.kinds() {
        let relay = Relay::tls(&Server::new(&foreign, &[alpn]), address);
        // The checks do not find it out first.
        let config = over_tls(&relay, protocol, mode, TRUSTING)
            .set("clusters.app.health", "{ interval: 1h, unhealthy: 100 }");
        let gateway = start(&config, &ours).await;
        for version in Version::ALL {
            let answer = version.ask(&gateway, &Request::post("/up", "secret")).await;
            assert_eq!(
                (answer.status, answer.reason().as_str()),
                (502, "upstream"),
                "{protocol} {version:?}"
            );
        }
        assert!(relay.handshakes().iter().all(Result::is_err), "{protocol}: {:?}", relay.handshakes());
    }
}

#[tokio::test]
async fn a_backend_that_asks_for_a_certificate_is_shown_the_clusters() {
    let services = Services::start();
    let authority = Authority::new();
    let (identity, own) = (authority.issue(NAME), authority.issue("gateway.test"));
    for (protocol, mode, alpn, address) in services.kinds() {
        let right = [alpn];
        let server = Server { clients: Some(&authority), ..Server::new(&identity, &right) };
        let relay = Relay::tls(&server, address);
        let tls = "{ ca: ca.pem, server_name: backend.test, client_cert: own.pem, client_key: own.key }";
        let gateway = Gateway::builder(BINARY)
            .config(over_tls(&relay, protocol, mode, tls).yaml())
            .file("ca.pem", authority.pem())
            .file("own.pem", own.certificate.as_str())
            .secret("own.key", own.key.as_str())
            .start()
            .await;
        for version in Version::ALL {
            version.ask(&gateway, &Request::get("/bytes/2")).await.expect(200, &pattern(2));
        }
        assert!(relay.handshakes().iter().flatten().all(|seen| seen.client_certificate), "{protocol}");
        // Without one nothing gets through.
        let bare = start(&over_tls(&relay, protocol, mode, TRUSTING), &authority).await;
        refuses(&bare, protocol).await;
    }
}

#[tokio::test]
async fn backends_are_found_by_name() {
    let services = Services::start();
    for (protocol, mode, _, address) in services.kinds() {
        let Address::Tcp(at) = &address else { panic!("{address}") };
        let config = conf::minimal()
            .set("clusters.app.protocol", protocol)
            .set("clusters.app.connections", format!("{{ mode: {mode} }}"))
            .set("clusters.app.backends", format!("{{ dns: \"localhost:{}\", refresh: 100ms }}", at.port()))
            .proxy_route("/", "app");
        let gateway = Gateway::start(BINARY, &config.yaml()).await;
        for version in Version::ALL {
            version.ask(&gateway, &Request::get("/bytes/2")).await.expect(200, &pattern(2));
        }
        let series = format!("upstream_health{{backend=\"{address}\"}}");
        gateway.metric_becomes(&series, |up| up == 1.0).await;
    }
}

#[tokio::test]
async fn a_name_that_nobody_bears_is_no_backend_until_the_configuration_names_another() {
    let backend = Backend::oap().start();
    let Address::Tcp(at) = backend.address() else { panic!("no port") };
    let named = |name: &str| {
        conf::minimal()
            .set("clusters.app.backends", format!("{{ dns: \"{name}:{}\", refresh: 100ms }}", at.port()))
            .proxy_route("/", "app")
            .yaml()
    };
    // RFC 6761: it resolves nowhere.
    let gateway = Gateway::start(BINARY, &named("backend.invalid")).await;
    let answer = Version::Http1.ask(&gateway, &Request::get("/x")).await;
    assert_eq!((answer.status, answer.reason().as_str()), (503, "no_backend"));
    assert_eq!(gateway.reload(&named("localhost")).await.status, 200);
    gateway.readiness_becomes(200).await;
    Version::Http2.ask(&gateway, &Request::get("/x")).await.expect(200, b"ok");
}

#[tokio::test]
async fn backends_and_clusters_that_leave_take_their_series_along() {
    let (stays, leaves) = (Backend::oap().start(), Backend::oap().start());
    let with = |backends: &[&Address]| {
        conf::minimal().cluster("app", "oap", backends.iter().copied()).proxy_route("/", "app")
    };
    let (one, two) = (stays.address(), leaves.address());
    let gateway = Gateway::start(BINARY, &with(&[&one, &two]).yaml()).await;
    let series = |text: &str| {
        text.lines()
            .filter(|line| line.starts_with("upstream_"))
            .map(|line| line.rsplit_once(' ').unwrap_or_default().0.to_owned())
            .collect::<Vec<_>>()
    };
    let health = |address: &Address| format!("upstream_health{{backend=\"{address}\"}}");
    let connections =
        |cluster: &str| format!("upstream_connections{{cluster=\"{cluster}\",state=\"shared\"}}");
    let before = series(&gateway.metrics().await);
    for name in [health(&one), health(&two), connections("app")] {
        assert!(before.contains(&name), "{name}: {before:?}");
    }
    assert_eq!(gateway.reload(&with(&[&one]).yaml()).await.status, 200);
    let after = series(&gateway.metrics().await);
    assert!(after.contains(&health(&one)) && !after.contains(&health(&two)), "{after:?}");
    // Another cluster with another backend in place of the first.
    let other = conf::minimal().cluster("other", "oap", [&two]).proxy_route("/", "other");
    assert_eq!(gateway.reload(&other.yaml()).await.status, 200);
    let after = series(&gateway.metrics().await);
    assert!(after.contains(&health(&two)) && !after.contains(&health(&one)), "{after:?}");
    assert!(after.contains(&connections("other")) && !after.contains(&connections("app")), "{after:?}");
}

/// Whether one of a few more gateways opens few connections for many requests at once.
async fn shares(origin: &Origin) -> bool {
    for _ in 0..4 {
        let relay = Relay::to(origin.address());
        let config = conf::minimal()
            .http2_cluster("app", &relay.address())
            .set("clusters.app.health", "{ interval: 1h }")
            .proxy_route("/", "app");
        let gateway = Gateway::start(BINARY, &config.yaml()).await;
        let client = Http2::connect(gateway.address("public")).await;
        client.request(&Request::get("/bytes/13")).await.expect(200, &pattern(13));
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..64 {
            let client = client.clone();
            all.spawn(async move { client.request(&Request::get("/slow/50/1000")).await });
        }
        while let Some(answer) = all.join_next().await {
            answer.unwrap().expect(200, &pattern(1000));
        }
        if relay.accepted() < 16 {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn an_http2_cluster_carries_every_kind_of_request_over_few_connections() {
    let origin = Origin::http2();
    let relay = Relay::to(origin.address());
    let config = conf::minimal()
        .http2_cluster("app", &relay.address())
        .set("clusters.app.health", "{ interval: 1h }")
        .proxy_route("/", "app");
    let gateway = Gateway::start(BINARY, &config.yaml()).await;
    let requests = [
        (Request::get("/bytes/0"), 200, pattern(0)),
        (Request::get("/bytes/13"), 200, pattern(13)),
        (Request::get("/bytes/1000000"), 200, pattern(1_000_000)),
        (Request::head("/bytes/13"), 200, pattern(0)),
        (Request::get("/other"), 404, pattern(0)),
        (Request::post("/up", ""), 201, "stored".into()),
        (Request::post("/up", pattern(13)), 201, "stored".into()),
        (Request::put("/up", pattern(900_000)), 201, "stored".into()),
        (Request::post("/up", pattern(300_000)).open_length(), 201, "stored".into()),
    ];
    for version in Version::ALL {
        for (request, status, content) in &requests {
            version.ask(&gateway, request).await.expect(*status, content);
        }
    }
    // Many at once share what there is.
    let client = Http2::connect(gateway.address("public")).await;
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let client = client.clone();
        all.spawn(async move { client.request(&Request::get("/slow/50/1000")).await });
    }
    while let Some(answer) = all.join_next().await {
        answer.unwrap().expect(200, &pattern(1000));
    }
    // Pingora takes a connection out of its pool for as long as a stream of it is opened: how many find none there is the
    // machine's to say. What there is suffices for those that come one by one.
    let opened = relay.accepted();
    assert!(opened < 64, "none is shared: {opened} connections");
    assert!(opened < 16 || shares(&origin).await, "{opened} connections");
    for _ in 0..32 {
        client.request(&Request::get("/bytes/13")).await.expect(200, &pattern(13));
    }
    assert_eq!(relay.accepted(), opened);
    // An answer that is cut does not look whole, and the next request finds another connection.
    let mut one = Http1::connect(gateway.address("public")).await;
    assert!(one.send(&Request::get("/stall/1000").http1_bytes()).await);
    let begun = one.answer_head("GET").await;
    let begun = begun.unwrap_or_else(|why| panic!("{why}\n{}", gateway.log_text()));
    let mut two = client.open(&Request::get("/stall/1000")).await;
    two.finish();
    let (status, mut rest, _) = two.answer_start().await.unwrap();
    relay.reset_connections().await;
    let answer = one.rest(begun).await;
    assert!(answer.status == 200 && !answer.body.complete, "{answer:?}");
    let cut = async {
        while let Some(piece) = rest.data().await {
            if piece.is_err() {
                return true;
            }
        }
        false
    };
    assert!(status == 200 && cut.await, "END_STREAM");
    for version in Version::ALL {
        version.ask(&gateway, &Request::get("/bytes/13")).await.expect(200, &pattern(13));
    }
}

#[tokio::test]
async fn what_has_come_of_an_answer_goes_on_though_its_rest_does_not_come() {
    let services = Services::start();
    for backend in [&services.shared, &services.exclusive] {
        backend.set_script(|request| {
            let announced = Script::new().announce(200, 1_001_000);
            match request.path() {
                "/stall/0" => announced.stall(),
                _ => announced.data(pattern(1000)).stall(),
            }
        });
    }
    for (protocol, mode, _, address) in services.kinds() {
        let config = conf::minimal()
            .cluster("app", protocol, [&address])
            .set("clusters.app.connections", format!("{{ mode: {mode} }}"))
            .set("clusters.app.timeouts", "{ read: 60s }")
            .proxy_route("/", "app");
        let gateway = Gateway::start(BINARY, &config.yaml()).await;
        for (path, length) in [("/stall/0", 0), ("/stall/1000", 1000)] {
            let mut one = Http1::connect(gateway.address("public")).await;
            assert!(one.send(&Request::get(path).http1_bytes()).await);
            let began = async {
                let mut begun = one.answer_head("GET").await.unwrap();
                let mut seen = 0;
                while seen < length {
                    seen += one.piece(&mut begun, 1000).await.unwrap().len();
                }
                begun.status
            };
            let status = tokio::time::timeout(PATIENCE, began).await;
            assert_eq!(status, Ok(200), "{protocol} {mode} {path}");
            let client = Http2::connect(gateway.address("public")).await;
            let mut two = client.open(&Request::get(path)).await;
            two.finish();
            let began = async {
                let (head, _) = two.answer_head().await.unwrap();
                head
            };
            let status = tokio::time::timeout(PATIENCE, began).await;
            assert_eq!(status, Ok(200), "{protocol} {mode} {path} HTTP/2");
        }
    }
}

#[tokio::test]
async fn backends_are_told_the_time_that_is_left_and_less_of_it_at_the_second_attempt() {
    for exclusive in [false, true] {
        let builder = if exclusive { Backend::oap().exclusive() } else { Backend::oap() };
        let pause = Duration::from_millis(120);
        let backend = builder
            .script(move |request| match request.number % 2 {
                0 => Script::new().read_body().pause(pause).reset(),
                _ => Script::whole(200, &[], "ok"),
            })
            .start();
        let config = conf::minimal()
            .oap_cluster("app", &backend.address())
            .set("clusters.app.health", "{ interval: 1h }")
            .proxy_route_with("app", "/", "app", ", timeout: 1s");
        let gateway = Gateway::start(BINARY, &config.yaml()).await;
        for version in Version::ALL {
            // What a client says of it counts for nothing.
            let request = Request::get("/x").field("x-deadline-ms", "999999");
            version.ask(&gateway, &request).await.expect(200, b"ok");
            let mut told = Vec::new();
            for _ in 0..2 {
                let received = backend.next_request().await;
                let all: Vec<_> =
                    received.head.fields.iter().filter(|(name, _)| name == "x-deadline-ms").collect();
                assert_eq!(all.len(), 1, "{all:?}");
                told.push(received.field("x-deadline-ms").unwrap().parse::<u64>().unwrap());
            }
            assert!(told[0] <= 1000 && told[0] > 0, "{told:?}");
            assert!(told[1] + 120 <= told[0] && told[1] > 0, "{told:?}");
        }
    }
}

#[tokio::test]
async fn http_backends_are_told_the_time_that_is_left() {
    let services = Services::start();
    for (protocol, _, _, address) in services.kinds() {
        if protocol == "oap" {
            continue;
        }
        let config = conf::minimal().cluster("app", protocol, [&address]).proxy_route_with(
            "app",
            "/",
            "app",
            ", timeout: 1s",
        );
        let gateway = Gateway::start(BINARY, &config.yaml()).await;
        for version in Version::ALL {
            let request = Request::get("/deadline").field("x-deadline-ms", "999999");
            let answer = version.ask(&gateway, &request).await;
            let told: u64 = answer.text().parse().unwrap();
            assert!(answer.status == 200 && told > 0 && told <= 1000, "{protocol} {version:?}: {answer:?}");
        }
    }
}
