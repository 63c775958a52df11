//! `tenants` and `admission`: who is who, how much each may, and who is served first.

use gateway_testing::Gateway;
use gateway_testing::backend::{Backend, Gate, Script};
use gateway_testing::client::{Http1, Http2, Request};
use gateway_testing::conf::{self, Conf};
use gateway_testing::net::Address;

use crate::BINARY;
use crate::both::Version;

fn app(backend: &Backend) -> Conf {
    conf::minimal()
        .oap_cluster("app", &backend.address())
        .set("clusters.app.health.interval", "1h")
        .proxy_route("/", "app")
}

#[tokio::test]
async fn a_tenant_is_known_by_its_header_where_that_is_trusted_and_by_its_uid() {
    let backend = Backend::oap().script(|_| Script::whole(200, &[], "ok")).start();
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap());
    let other = uid.wrapping_add(1);
    let conf = app(&backend)
        .push("listeners", "{ name: local, address: \"unix:public.sock\" }")
        .push("listeners", "{ name: trusting, address: \"127.0.0.1:0\", trusted_addresses: [127.0.0.1] }")
        .set("tenants.headed", "{ identify: [ { header: { name: x-tenant, value: mine } } ] }")
        .set("tenants.own", format!("{{ identify: [ {{ peer_uid: [{uid}] }} ] }}"))
        .set("tenants.foreign", format!("{{ identify: [ {{ peer_uid: [{other}] }} ] }}"));
    let gateway = Gateway::start(BINARY, &conf.yaml()).await;
    let local = Address::Unix(gateway.folder().join("public.sock"));
    let with = |name: &str, value: &str| Request::get("/x").field(name, value);
    for (at, request, tenant) in [
        (gateway.address("trusting"), with("x-tenant", "mine"), "headed"),
        (gateway.address("trusting"), with("x-tenant", "other"), "-"),
        (gateway.address("trusting"), with("x-other", "mine"), "anonymous"),
        (gateway.address("public"), with("x-tenant", "mine"), "anonymous"),
        (local, Request::get("/x"), "own"),
    ] {
        for version in Version::ALL {
            let answer = match version {
                Version::Http1 => Http1::connect(&at).await.request(&request).await,
                Version::Http2 => Http2::connect(&at).await.request(&request).await,
            };
            // Evidence that is presented and wrong is 401 (http.md §2).
            assert_eq!(answer.status == 401, tenant == "-", "{request:?}: {answer:?}");
            let line = gateway.access_line(answer.field("x-corr-id").unwrap()).await;
            assert_eq!(line["tenant"].as_str().unwrap_or("-"), tenant, "{request:?} {version:?}");
        }
    }
}

/// Two tenants, each known by the listener that it comes through, one place in flight, and what is in its way: the
/// order in which a backend sees what they ask.
struct Contest {
    gateway: Gateway,
    backend: Backend,
    gate: Gate,
    /// Its connection is open for as long as this is there.
    _client: Http2,
    first: gateway_testing::client::Upload,
    waiting: tokio::task::JoinSet<()>,
    queued: f64,
}

impl Contest {
    async fn begin(conf: impl Fn(Conf) -> Conf) -> Self {
        let gate = Gate::default();
        let opens = gate.clone();
        let backend = Backend::oap()
            .script(move |request| match request.path() {
                "/first" => Script::new().mark("here").wait(&opens).answer(200, &[], "first"),
                _ => Script::new().read_body().answer(200, &[], "ok"),
            })
            .start();
        let two = app(&backend)
            .listener("one", "127.0.0.1:0", "")
            .listener("two", "127.0.0.1:0", "")
            .set("tenants.one.identify", "[ { listener: one } ]")
            .set("tenants.two.identify", "[ { listener: two } ]")
            .set("limits.in_flight", "1")
            .set("limits.request.timeout", "60s")
            .set("degrade", "{ in_flight: 100%, wait: 1h, lag: 1h }")
            .set("admission.wait", "60s");
        let gateway = Gateway::start(BINARY, &conf(two).yaml()).await;
        let client = Http2::connect(gateway.address("public")).await;
        let mut first = client.open(&Request::get("/first")).await;
        first.finish();
        backend.wait_for_mark("here").await;
        Self {
            gateway,
            backend,
            gate,
            _client: client,
            first,
            waiting: tokio::task::JoinSet::new(),
            queued: 0.0,
        }
    }

    /// Another request waits, behind all others.
    async fn wait(&mut self, tenant: &str, request: Request) {
        let address = self.gateway.address(tenant);
        self.waiting.spawn(async move {
            let answer = Http1::connect(address).await.request(&request).await;
            answer.expect(200, b"ok");
        });
        self.queued += 1.0;
        self.gateway.metric_becomes("gateway_drr_queue_depth", |queued| queued == self.queued).await;
    }

    /// Whose turn it was, by the first letter of the path.
    async fn order(mut self) -> String {
        self.gate.open();
        self.first.answer().await.expect(200, b"first");
        while let Some(done) = self.waiting.join_next().await {
            done.unwrap();
        }
        let requests = self.backend.requests();
        requests[1..].iter().map(|request| request.path()[1..2].to_owned()).collect()
    }
}

#[tokio::test]
async fn what_a_request_costs_is_its_bytes_by_the_unit_divided_by_its_routes_weight() {
    for (unit, weight, early) in [("1GiB", 1, true), ("1KiB", 1, false), ("1KiB", 1000, true)] {
        let mut contest = Contest::begin(|conf| {
            conf.proxy_route_with("large", "/large/", "app", &format!(", weight: {weight}"))
                .set("admission.cost_unit", unit)
        })
        .await;
        for _ in 0..4 {
            contest.wait("one", Request::post("/large/x", vec![0; 300_000])).await;
        }
        for _ in 0..8 {
            contest.wait("two", Request::get("/small")).await;
        }
        let order = contest.order().await;
        // In turns while they cost the same; else the large ones wait until the small ones are through, but for the first,
        // which nobody was before.
        let before_last = order.trim_end_matches('l').matches('l').count();
        assert_eq!(before_last >= 3, early, "{unit} {weight}: {order}");
    }
}

#[tokio::test]
async fn tenants_are_served_in_proportion_to_their_weights() {
    for (weights, least, most) in [([1, 1], 4, 6), ([4, 1], 7, 9), ([1, 4], 1, 3)] {
        let mut contest = Contest::begin(|conf| {
            conf.set("tenants.one.weight", weights[0].to_string())
                .set("tenants.two.weight", weights[1].to_string())
        })
        .await;
        for _ in 0..10 {
            contest.wait("one", Request::get("/one")).await;
            contest.wait("two", Request::get("/two")).await;
        }
        let order = contest.order().await;
        let ones = order[..10].matches('o').count();
        assert!((least..=most).contains(&ones), "{weights:?}: {order}");
    }
}

#[tokio::test]
async fn each_queue_is_as_long_as_it_may_be() {
    for (keys, places) in [
        (&[("admission.queue", "1")][..], 1),
        (&[("admission.queue", "3")], 3),
        (&[("tenants.one.queue", "2")], 2),
        (&[("admission.queue", "1"), ("tenants.one.queue", "3")], 3),
        (&[("admission.queue", "2"), ("admission.queue_total", "2"), ("tenants.one.queue", "4")], 2),
        (&[("admission.queue", "2"), ("admission.queue_total", "3"), ("tenants.one.queue", "4")], 3),
    ] {
        let mut contest =
            Contest::begin(|conf| keys.iter().fold(conf, |conf, (key, value)| conf.set(key, *value))).await;
        for _ in 0..places {
            contest.wait("one", Request::get("/one")).await;
        }
        let no = Http1::connect(contest.gateway.address("one")).await.request(&Request::get("/over")).await;
        assert_eq!((no.status, no.reason().as_str()), (429, "busy"), "{keys:?}");
        assert_eq!(contest.order().await, "o".repeat(places), "{keys:?}");
    }
}

#[tokio::test]
async fn nobody_waits_longer_than_wait() {
    for (wait, status) in [("50ms", 429), ("60s", 200)] {
        let contest = Contest::begin(|conf| conf.set("admission.wait", wait)).await;
        let client = Http2::connect(contest.gateway.address("one")).await;
        let mut waits = client.open(&Request::get("/one")).await;
        waits.finish();
        if status == 200 {
            contest.gateway.metric_becomes("gateway_drr_queue_depth", |queued| queued == 1.0).await;
            contest.gate.open();
        }
        assert_eq!(waits.answer().await.status, status, "{wait}");
    }
}

#[tokio::test]
async fn who_turns_over_within_lend_may_have_all_places_and_who_does_not_may_not() {
    for (lend, places) in [("1h", 8), ("1ms", 2)] {
        let gate = Gate::default();
        let opens = gate.clone();
        let backend = Backend::oap()
            .script(move |request| match request.path() {
                "/warm" => Script::new().pause(std::time::Duration::from_millis(20)).answer(200, &[], "warm"),
                _ => Script::new().wait(&opens).answer(200, &[], "ok"),
            })
            .start();
        let conf = app(&backend)
            .set("tenants.other", "{ identify: [ { address: [192.0.2.0/24] } ] }")
            .set("limits.in_flight", "8")
            .set("limits.request.timeout", "60s")
            .set("degrade", "{ in_flight: 100%, wait: 1h, lag: 1h }")
            .set("admission", format!("{{ lend: {lend}, wait: 60s }}"));
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        // It has a history, of 20 ms.
        Version::Http1.ask(&gateway, &Request::get("/warm")).await.expect(200, b"warm");
        let client = Http2::connect(gateway.address("public")).await;
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let client = client.clone();
            all.spawn(async move { client.request(&Request::get("/held")).await.expect(200, b"ok") });
        }
        let waiting = f64::from(8 - places);
        gateway.metric_becomes("gateway_drr_queue_depth", |queued| queued == waiting).await;
        for _ in 0..=places {
            backend.next_request().await;
        }
        assert_eq!(backend.requests().len(), places as usize + 1, "{lend}");
        gate.open();
        while let Some(done) = all.join_next().await {
            done.unwrap();
        }
    }
}
