//! A second attempt while the first is still out: who wins, what becomes of the loser, and how many there may be.

use std::time::Duration;

use gateway_testing::backend::{Backend, Gate, Received, Script};
use gateway_testing::client::{Http2, Request};
use gateway_testing::conf::{self, Conf};
use gateway_testing::net::Address;
use gateway_testing::relay::Relay;
use gateway_testing::{Gateway, pattern};

use crate::BINARY;
use crate::both::Version;

/// Hedges after its p95, which is known from a hundred answers on.
async fn hedging(backends: [&Address; 2], mode: &str) -> Gateway {
    let config = conf::minimal()
        .cluster("app", "oap", backends)
        .set("clusters.app.balance", "round_robin")
        .set("clusters.app.connections", format!("{{ mode: {mode} }}"))
        .set("clusters.app.hedge", "{ after: p95, budget: 5% }")
        .set("clusters.app.ejection", "{ share: 0% }")
        .set("clusters.app.health", "{ interval: 1h }")
        .proxy_route_with("app", "/", "app", ", timeout: 2s");
    warm(&config).await
}

async fn warm(config: &Conf) -> Gateway {
    let config = config
        .clone()
        .set("danger_ok", "[limits.rate]")
        .set("limits.rate", "1000000/s")
        .set("limits.burst", "1000000")
        .set("limits.per_address", "{ rate: none }");
    let gateway = Gateway::start(BINARY, &config.yaml()).await;
    let client = Http2::connect(gateway.address("public")).await;
    // What it knows is reckoned anew every 100 ms.
    let began = tokio::time::Instant::now();
    let mut answers = 0;
    while answers < 120 || began.elapsed() < Duration::from_millis(300) {
        client.request(&Request::get("/warm")).await.expect(200, b"ok");
        answers += 1;
    }
    gateway
}

#[tokio::test]
async fn a_backend_that_says_nothing_costs_a_get_no_more_than_the_usual_time_and_its_stream_is_given_up() {
    for mode in ["auto", "exclusive"] {
        let (silent, well) = (Backend::oap().start(), Backend::oap().start());
        let gateway = hedging([&silent.address(), &well.address()], mode).await;
        let (asked, warm) = (silent.requests().len(), well.requests().len());
        silent.set_script(|_| Script::new().stall());
        let large = Request::get("/bytes/300000");
        for _ in 0..6 {
            for version in Version::ALL {
                version.ask(&gateway, &large).await.expect(200, &pattern(300_000));
                let answer = version.ask(&gateway, &Request::head("/bytes/2")).await;
                assert_eq!((answer.status, answer.field("content-length")), (200, Some("2")), "{version:?}");
            }
        }
        let lost = silent.requests().len() - asked;
        assert!(lost > 0, "the silent one was never asked");
        silent.wait_for_give_ups(lost).await;
        assert_eq!(well.requests().len() - warm, 24, "each was answered by the other");
        gateway.metric_becomes("inflight_requests", |n| n == 0.0).await;
        assert_eq!([silent.violations(), well.violations()], [Vec::<String>::new(), Vec::new()]);
        // What may have been carried out is not sent twice.
        let mut failed = 0;
        for _ in 0..2 {
            let answer = Version::Http1.ask(&gateway, &Request::post("/x", "once")).await;
            failed += u32::from(answer.status == 504);
        }
        assert_eq!(failed, 1, "{mode}");
    }
}

#[tokio::test]
async fn the_first_head_below_500_wins_and_an_answer_of_500_is_better_than_none() {
    let slowly = |pause: u64, status: u16| {
        let pause = Duration::from_millis(pause);
        move |_: &Received| match status {
            0 => Script::new().pause(pause).reset(),
            _ => Script::new().pause(pause).answer(status, &[], "slow"),
        }
    };
    let (one, two) = (Backend::oap().start(), Backend::oap().start());
    let gateway = hedging([&one.address(), &two.address()], "auto").await;
    // What is never hedged has the turns change, so that each is the first at times.
    let turn = async || drop(Version::Http1.ask(&gateway, &Request::new("OPTIONS", "/x")).await);
    // The one that answers first does not do well.
    one.set_script(slowly(100, 500));
    two.set_script(slowly(200, 200));
    for version in Version::ALL {
        for _ in 0..2 {
            version.ask(&gateway, &Request::get("/x")).await.expect(200, b"slow");
            turn().await;
        }
    }
    // Neither does well, or one not at all.
    for worse in [slowly(200, 503), slowly(200, 0)] {
        two.set_script(worse);
        for version in Version::ALL {
            for _ in 0..2 {
                let answer = version.ask(&gateway, &Request::get("/x")).await;
                assert!(matches!(answer.status, 500 | 503) && answer.body.complete, "{answer:?}");
                assert_eq!(answer.body.bytes, "slow");
                turn().await;
            }
        }
    }
}

#[tokio::test]
async fn hedges_stay_within_their_share_of_the_live_requests() {
    let gate = Gate::default();
    let backend = Backend::oap().start();
    // Two addresses of the same service, so that all that it sees is in one order.
    let (one, two) = (Relay::to(backend.address()), Relay::to(backend.address()));
    let gateway = hedging([&one.address(), &two.address()], "auto").await;
    let opens = gate.clone();
    backend.set_script(move |request| match request.path() {
        "/held" => Script::new().wait(&opens).answer(200, &[], "held"),
        _ => Script::whole(200, &[], "ok"),
    });
    let held = || backend.requests().iter().filter(|request| request.path() == "/held").count();
    let client = Http2::connect(gateway.address("public")).await;
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let client = client.clone();
        requests.spawn(async move { client.request(&Request::get("/held")).await });
    }
    let mut seen = 0;
    backend
        .wait_for(|event| {
            seen += usize::from(matches!(&event.what, gateway_testing::backend::What::Request(request) if request.path() == "/held"));
            (seen > 40).then_some(())
        })
        .await;
    // Far more than the usual time passes for whoever else would hedge.
    for _ in 0..100 {
        client.request(&Request::new("OPTIONS", "/x")).await.expect(200, b"ok");
    }
    // 5 % of the 40 that are live, and 1 in any case.
    assert!((41..=42).contains(&held()), "{} requests of 40", held());
    gate.open();
    while let Some(answer) = requests.join_next().await {
        answer.unwrap().expect(200, b"held");
    }
}

#[tokio::test]
async fn a_backend_that_takes_no_hedges_is_ejected_for_it() {
    let (slow, gone) = (Backend::oap().start(), Backend::oap().start());
    let config = conf::minimal()
        .cluster("app", "oap", [&slow.address(), &gone.address()])
        .set("clusters.app.balance", "{ hash: { header: x-key } }")
        .set("clusters.app.hedge", "{ after: p95, budget: 5% }")
        .set("clusters.app.ejection", "{ consecutive_failures: 2, base: 1h, max: 1h, share: 50% }")
        .set("clusters.app.health", "{ interval: 1h }")
        .proxy_route("/", "app");
    let gateway = warm(&config).await;
    // A key whose requests go to the slow one, so that the other sees nothing but hedges.
    let mut keyed = None;
    for key in 0..64 {
        let (before, request) = (slow.requests().len(), Request::get("/x").field("x-key", &key.to_string()));
        Version::Http1.ask(&gateway, &request).await.expect(200, b"ok");
        if slow.requests().len() > before {
            keyed = Some(request);
            break;
        }
    }
    let request = keyed.expect("a key for it");
    slow.set_script(|_| Script::new().pause(Duration::from_millis(200)).answer(200, &[], "slow"));
    gone.kill().await;
    for version in Version::ALL {
        version.ask(&gateway, &request).await.expect(200, b"slow");
    }
    gateway
        .metric_becomes(&format!("upstream_health{{backend=\"{}\"}}", gone.address()), |up| up == 0.0)
        .await;
}
