//! Backends that break each rule of oap1 §2, at each moment at which they can: the client is told, or its answer is cut,
//! and never takes what came for a whole answer.

use gateway_testing::backend::{Backend, Malformed, Moment, Script};
use gateway_testing::client::{Http1, Request};
use gateway_testing::{Gateway, conf, pattern};

use crate::BINARY;
use crate::both::Version;

fn one_attempt(backend: &Backend) -> String {
    // One attempt and no ejection, so that each breach is seen by itself.
    conf::minimal()
        .oap_cluster("app", &backend.address())
        .set("clusters.app.retry", "{ attempts: 1 }")
        .set("clusters.app.ejection", "{ share: 0% }")
        .set("clusters.app.health", "{ interval: 1h }")
        .proxy_route("/", "app")
        .yaml()
}

async fn breaks(multiplexed: bool) {
    let builder = if multiplexed { Backend::oap() } else { Backend::oap().exclusive() };
    let backend = builder.start();
    let gateway = Gateway::start(BINARY, &one_attempt(&backend)).await;
    let mut counted = std::collections::BTreeMap::<&str, f64>::new();
    for malformed in Malformed::ALL.iter().copied().filter(|malformed| malformed.fits(multiplexed)) {
        for moment in malformed.moments().iter().copied() {
            for version in Version::ALL {
                let what = format!("{malformed:?} {moment:?} {version:?} multiplexed={multiplexed}");
                backend.set_script(move |_| Script::malformed_at(moment, malformed));
                let request = match moment {
                    Moment::OpenUpload => Request::post("/x", pattern(600_000)),
                    _ => Request::get("/x"),
                };
                let answer = version.ask(&gateway, &request).await;
                match moment {
                    // More than the window can only be sent in a good answer.
                    Moment::InsteadOfAnswer if answer.status == 200 => {
                        assert!(
                            malformed.reason() == "credit_violation" && !answer.body.complete,
                            "{what}: {answer:?}"
                        );
                    }
                    // What came before the breach was a whole answer.
                    Moment::OpenUpload if answer.status == 200 => {
                        assert!(
                            malformed == Malformed::DataAfterEnd && answer.body.complete,
                            "{what}: {answer:?}"
                        );
                    }
                    Moment::InsteadOfAnswer | Moment::OpenUpload => {
                        assert_eq!((answer.status, answer.reason().as_str()), (502, "upstream"), "{what}");
                    }
                    Moment::MidAnswer => {
                        assert!(answer.status == 502 || !answer.body.complete, "{what}: {answer:?}");
                    }
                    Moment::BetweenRequests => answer.expect(200, b"ok"),
                }
                backend.set_script(Script::standard);
                let mut after = version.ask(&gateway, &Request::get("/after")).await;
                if moment == Moment::BetweenRequests && after.status == 502 {
                    // The breach may arrive together with the next request, which has one attempt only here.
                    after = version.ask(&gateway, &Request::get("/after")).await;
                }
                after.expect(200, b"ok");
                let behind_the_answer =
                    moment == Moment::BetweenRequests || malformed == Malformed::DataAfterEnd;
                if !multiplexed && behind_the_answer {
                    // Whatever comes on an idle exclusive connection closes it, unread.
                    continue;
                }
                let reason = match (malformed, moment) {
                    // Payload before START is seen first, and costs an exclusive connection.
                    (Malformed::EndInsidePayload, Moment::InsteadOfAnswer) if !multiplexed => "bad_sequence",
                    _ => malformed.reason(),
                };
                *counted.entry(reason).or_default() += 1.0;
                let series = format!("oap_rejects_total{{reason=\"{reason}\"}}");
                let wanted = counted[reason];
                gateway.metric_becomes(&series, |count| count >= wanted).await;
            }
        }
    }
    assert_eq!(backend.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn each_breach_on_a_shared_connection_costs_what_it_must_and_no_more() {
    breaks(true).await;
}

#[tokio::test]
async fn each_breach_on_an_exclusive_connection_costs_what_it_must_and_no_more() {
    breaks(false).await;
}

#[tokio::test]
async fn a_breach_between_requests_is_never_seen_where_a_request_may_be_repeated() {
    for multiplexed in [true, false] {
        let builder = if multiplexed { Backend::oap() } else { Backend::oap().exclusive() };
        let backend = builder.start();
        let config = conf::minimal().oap_cluster("app", &backend.address()).proxy_route("/", "app");
        let gateway = Gateway::start(BINARY, &config.yaml()).await;
        let breaches = Malformed::ALL.iter().copied().filter(|malformed| {
            malformed.fits(multiplexed) && malformed.moments().contains(&Moment::BetweenRequests)
        });
        for malformed in breaches {
            backend.set_script(move |_| Script::malformed_at(Moment::BetweenRequests, malformed));
            for n in 0..8 {
                // Several at once leave several connections behind, each of them broken; on a shared one they would be
                // in the middle when another's answer is followed by the breach.
                let requests = (0..if multiplexed { 1 } else { 4 }).map(|_| {
                    let address = gateway.address("public");
                    tokio::spawn(
                        async move { Http1::connect(address).await.request(&Request::get("/x")).await },
                    )
                });
                let mut answers = Vec::new();
                for request in requests.collect::<Vec<_>>() {
                    answers.push(request.await.unwrap());
                }
                answers.push(Version::Http2.ask(&gateway, &Request::get("/x")).await);
                for answer in answers {
                    let whole = answer.body.complete && answer.status == 200 && answer.body.bytes == "ok";
                    assert!(whole, "{malformed:?} {n} multiplexed={multiplexed}: {answer:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_backend_that_resets_closes_or_fails_after_its_head_cuts_the_answer() {
    let backend = Backend::oap().start();
    let gateway = Gateway::start(BINARY, &one_attempt(&backend)).await;
    let begun = || Script::new().read_body().announce(200, 100_000).data(pattern(50_000));
    let all = || Script::new().read_body().announce(200, 100_000).data(pattern(100_000));
    let endings = [
        begun().reset(),
        begun().close(),
        begun().close_inside_frame(),
        begun().end_with(500),
        all().end_with(503),
    ];
    for (n, script) in endings.into_iter().enumerate() {
        for version in Version::ALL {
            let script = script.clone();
            backend.set_script(move |_| script.clone());
            let answer = version.ask(&gateway, &Request::get("/x")).await;
            // A reset may overtake the head: then there is no answer to cut.
            assert!(answer.status == 502 || !answer.body.complete, "{n} {version:?}: {answer:?}");
            backend.set_script(Script::standard);
            version.ask(&gateway, &Request::get("/after")).await.expect(200, b"ok");
        }
    }
}

#[tokio::test]
async fn a_backend_that_stalls_is_a_504_and_its_stream_is_given_up() {
    let backend = Backend::oap().script(|_| Script::new().stall()).start();
    let config = conf::minimal()
        .oap_cluster("app", &backend.address())
        .proxy_route_with("app", "/", "app", ", timeout: 300ms")
        .yaml();
    let gateway = Gateway::start(BINARY, &config).await;
    for version in Version::ALL {
        let answer = version.ask(&gateway, &Request::get("/x")).await;
        assert_eq!((answer.status, answer.reason().as_str()), (504, "timeout"), "{version:?}");
    }
    backend.wait_for_give_ups(2).await;
}
