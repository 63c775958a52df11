//! `clusters.*.ejection`, `.retry` and `.hedge`: how many failures, attempts and second attempts there are.

use std::time::Duration;

use gateway_testing::backend::{Backend, Received, Script};
use gateway_testing::client::{Http2, Request};
use gateway_testing::conf::{self, Conf};
use gateway_testing::{Gateway, PATIENCE};

use crate::BINARY;
use crate::both::Version;

fn app(backends: &[&Backend]) -> Conf {
    let addresses: Vec<_> = backends.iter().map(|backend| backend.address()).collect();
    conf::minimal()
        .cluster("app", "oap", &addresses)
        .set("clusters.app.balance", "round_robin")
        .set("clusters.app.health.interval", "1h")
        .set("clusters.app.ejection.share", "0%")
        .set("clusters.app.retry.attempts", "1")
        .proxy_route("/", "app")
}

fn failing(_: &Received) -> Script {
    Script::new().read_body().reset()
}

async fn ask(gateway: &Gateway) -> u16 {
    Version::Http1.ask(gateway, &Request::get("/x")).await.status
}

#[tokio::test]
async fn so_many_failures_in_a_row_eject_a_backend() {
    let backend = Backend::oap().script(failing).start();
    for failures in [1, 4] {
        let conf = app(&[&backend])
            .set("clusters.app.ejection.share", "100%")
            .set("clusters.app.ejection.consecutive_failures", failures.to_string());
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        for n in 1..=failures {
            assert_eq!(ask(&gateway).await, 502, "{n} of {failures}");
        }
        assert_eq!(ask(&gateway).await, 503, "{failures}");
    }
}

#[tokio::test]
async fn an_ejection_begins_with_its_base_grows_by_it_and_ends_at_its_longest() {
    let backend = Backend::oap().script(failing).start();
    for (base, max, lengths) in
        [("40ms", "1h", [40, 80, 120]), ("40ms", "60ms", [40, 60, 60]), ("70ms", "70ms", [70, 70, 70])]
    {
        let conf =
            app(&[&backend]).set("clusters.app.ejection", "{ consecutive_failures: 1, share: 100% }").set(
                "clusters.app.ejection",
                format!("{{ consecutive_failures: 1, share: 100%, base: {base}, max: {max} }}"),
            );
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        let mut said = Vec::new();
        // Asked again at once when it is over: nothing is forgiven.
        while said.len() < 3 {
            ask(&gateway).await;
            let lines = gateway.log();
            let messages = lines.iter().filter_map(|line| line.json["message"].as_str());
            said =
                messages.filter_map(|line| Some(line.split_once("is ejected for ")?.1.to_owned())).collect();
        }
        assert_eq!(said[..3], lengths.map(|ms| format!("{ms}ms")), "{base} {max}");
    }
}

#[tokio::test]
async fn no_larger_share_of_the_backends_is_ejected_at_once() {
    let backends = [(); 4].map(|()| Backend::oap().script(failing).start());
    for (share, available) in [("0%", 4.0), ("50%", 2.0), ("100%", 0.0)] {
        let conf = app(&backends.each_ref()).set(
            "clusters.app.ejection",
            format!("{{ consecutive_failures: 1, base: 1h, max: 1h, share: {share} }}"),
        );
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        for _ in 0..8 {
            ask(&gateway).await;
        }
        assert_eq!(gateway.metric("upstream_health").await, available, "{share}");
    }
}

#[tokio::test]
async fn a_request_is_tried_as_often_as_attempts_says_the_first_included() {
    let backends = [(); 4].map(|()| Backend::oap().script(failing).start());
    let asked = || backends.iter().map(|backend| backend.requests().len()).sum::<usize>();
    for attempts in [1, 2, 4] {
        let conf = app(&backends.each_ref()).set("clusters.app.retry.attempts", attempts.to_string());
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        let before = asked();
        assert_eq!(ask(&gateway).await, 502);
        assert_eq!(asked() - before, attempts);
    }
}

#[tokio::test]
async fn retries_are_no_larger_a_share_of_the_live_requests_than_their_budget() {
    const LIVE: usize = 40;
    for (budget, most) in [("0%", 0), ("10%", 4), ("50%", 20)] {
        // The first attempts fail together; a second one is never answered, so that all retries are live at once.
        let backend = Backend::oap()
            .script(|request| match request.number < LIVE {
                true => Script::new().pause(Duration::from_millis(300)).not_processed(),
                false => Script::new().stall(),
            })
            .start();
        let conf = app(&[&backend])
            .set("clusters.app.retry", format!("{{ attempts: 2, budget: {budget} }}"))
            .set("limits.request.timeout", "2s");
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        let client = Http2::connect(gateway.address("public")).await;
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..LIVE {
            let client = client.clone();
            all.spawn(async move { client.request(&Request::get("/x")).await.status });
        }
        while let Some(status) = all.join_next().await {
            assert!(matches!(status.unwrap(), 502..=504));
        }
        let retries = backend.requests().len() - LIVE;
        // Those that failed before are no longer live when the last do; three may go on in any case, at any budget but 0.
        let least = most.min(3);
        assert!(retries >= least && retries <= most.max(3), "{budget}: {retries}");
        if budget == "50%" {
            assert!(retries > 4, "{retries} of {LIVE}");
        }
    }
}

#[tokio::test]
async fn a_second_attempt_comes_after_its_percentile_within_its_budget_or_not_at_all() {
    let backends = [(); 2].map(|()| Backend::oap().start());
    let asked = || backends.iter().map(|backend| backend.requests().len()).sum::<usize>();
    let conf = |hedge: &str| {
        app(&backends.each_ref())
            .set("clusters.app.hedge", hedge)
            .set("limits", "{ burst: 100000, per_address: { rate: none } }")
            .yaml()
    };
    let gateway = Gateway::start(BINARY, &conf("{ after: p99, budget: 100% }")).await;
    // A fifth of the usual answers takes 600 ms.
    for backend in &backends {
        backend.set_script(|request| match request.path() {
            "/slow" => Script::new().pause(Duration::from_millis(600)).answer(200, &[], "slow"),
            _ => Script::whole(200, &[], "ok"),
        });
    }
    let client = Http2::connect(gateway.address("public")).await;
    for _ in 0..3 {
        let mut all = tokio::task::JoinSet::new();
        for n in 0..50 {
            let client = client.clone();
            let path = if n % 5 == 0 { "/slow" } else { "/quick" };
            all.spawn(async move { client.request(&Request::get(path)).await.status });
        }
        while let Some(status) = all.join_next().await {
            assert_eq!(status.unwrap(), 200);
        }
    }
    let pause = Duration::from_millis(300);
    for backend in &backends {
        backend.set_script(move |_| Script::new().pause(pause).answer(200, &[], "between"));
    }
    for (hedge, attempts) in [
        ("{ after: p99, budget: 100% }", 1),
        ("{ after: p50, budget: 100% }", 2),
        ("{ after: p50, budget: 0% }", 1),
        ("off", 1),
    ] {
        assert_eq!(gateway.reload(&conf(hedge)).await.status, 200);
        let mut looks = tokio::time::interval(Duration::from_millis(50));
        let began = looks.tick().await;
        loop {
            let before = asked();
            assert_eq!(ask(&gateway).await, 200, "{hedge}");
            let made = asked() - before;
            if made == attempts {
                break;
            }
            // What it knows is reckoned anew every 100 ms: until then, by what it knew.
            assert!(
                made < attempts && looks.tick().await - began < PATIENCE,
                "{hedge}: {made} of {attempts}"
            );
        }
    }
}
