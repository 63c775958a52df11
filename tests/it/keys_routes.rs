//! `routes`: which requests a route takes, and what it makes of them.

use gateway_testing::Gateway;
use gateway_testing::backend::{Backend, Script};
use gateway_testing::client::{Http1, Request};
use gateway_testing::conf::{self, Conf};

use crate::BINARY;
use crate::both::Version;

/// Says which path and host it was asked for.
fn telling() -> Backend {
    Backend::oap()
        .script(|request| Script::whole(200, &[], format!("{} {}", request.authority(), request.path())))
        .start()
}

fn app(backend: &Backend, route: &str) -> Conf {
    conf::minimal()
        .oap_cluster("app", &backend.address())
        .route(format!("{{ name: it, cluster: app, {route} }}"))
}

/// Method, host and path of a request, and its status.
type Asked = (&'static str, &'static str, &'static str, u16);

#[tokio::test]
async fn a_route_takes_what_all_that_it_names_hold_for() {
    let backend = telling();
    let cases: [(&str, &[Asked]); 8] = [
        (
            "path: { exact: /a }",
            &[("GET", "h", "/a", 200), ("GET", "h", "/a/b", 404), ("GET", "h", "/b", 404)],
        ),
        (
            "path: { prefix: /a }",
            &[("GET", "h", "/a", 200), ("GET", "h", "/a/b", 200), ("GET", "h", "/ab", 404)],
        ),
        (
            "path: { template: \"/u/{id}/x\" }",
            &[("GET", "h", "/u/7/x", 200), ("GET", "h", "/u/7/y", 404), ("GET", "h", "/u/x", 404)],
        ),
        (
            "methods: [GET, PUT]",
            &[("GET", "h", "/a", 200), ("PUT", "h", "/a", 200), ("POST", "h", "/a", 405)],
        ),
        (
            "host: a.example",
            &[
                ("GET", "a.example", "/a", 200),
                ("GET", "b.example", "/a", 404),
                ("GET", "x.a.example", "/a", 404),
            ],
        ),
        (
            "host: [\"*.b.example\", c.example]",
            &[
                ("GET", "x.b.example", "/a", 200),
                ("GET", "c.example", "/a", 200),
                ("GET", "b.example", "/a", 404),
            ],
        ),
        ("listener: public", &[("GET", "h", "/a", 200)]),
        ("listener: [second]", &[("GET", "h", "/a", 404)]),
    ];
    for (matches, requests) in cases {
        let conf = app(&backend, &format!("kind: proxy, match: {{ {matches} }}")).listener(
            "second",
            "127.0.0.1:0",
            "",
        );
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        for (method, host, path, status) in requests {
            for version in Version::ALL {
                let answer = version.ask(&gateway, &Request::new(method, path).authority(host)).await;
                assert_eq!(
                    answer.status, *status,
                    "{matches}: {method} {host} {path} {version:?}: {answer:?}"
                );
            }
        }
        if matches.contains("listener") {
            let answer = Http1::connect(gateway.address("second")).await.request(&Request::get("/a")).await;
            assert_eq!(answer.status == 200, matches.contains("second"), "{matches}");
        }
    }
}

#[tokio::test]
async fn a_route_sends_its_requests_to_its_cluster_under_its_name() {
    let (one, other) = (telling(), telling());
    for (cluster, name, asked) in [("one", "first", &one), ("other", "second", &other)] {
        let conf = conf::minimal()
            .oap_cluster("one", &one.address())
            .oap_cluster("other", &other.address())
            .route(format!(
                "{{ name: {name}, match: {{ path: {{ prefix: / }} }}, kind: proxy, cluster: {cluster} }}"
            ));
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        let before = asked.requests().len();
        let answer = Version::Http1.ask(&gateway, &Request::get("/x")).await;
        assert_eq!((answer.status, asked.requests().len()), (200, before + 1), "{cluster}");
        let line = gateway.access_line(answer.field("x-corr-id").unwrap()).await;
        assert_eq!(line["route"], name);
        gateway.metric_becomes(&format!("http_requests_total{{route=\"{name}\"}}"), |n| n == 1.0).await;
    }
}

#[tokio::test]
async fn an_encoded_slash_passes_where_it_is_allowed() {
    let backend = telling();
    for (slash, status) in [("allow", 200), ("reject", 400)] {
        let conf = app(&backend, &format!("kind: proxy, encoded_slash: {slash}"));
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        for version in Version::ALL {
            let answer = version.ask(&gateway, &Request::get("/a%2Fb")).await;
            assert_eq!(answer.status, status, "{slash} {version:?}");
            assert!(status != 200 || answer.text().ends_with(" /a%2Fb"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_backend_sees_the_host_and_the_path_that_the_route_says() {
    let backend = telling();
    for (keys, path, told) in [
        ("host: pass", "/a/b", "asked.example /a/b"),
        ("host: inner.example", "/a/b", "inner.example /a/b"),
        ("match: { path: { prefix: /a } }, strip_prefix: /a", "/a/b?c", "asked.example /b?c"),
    ] {
        let gateway = Gateway::start(BINARY, &app(&backend, &format!("kind: proxy, {keys}")).yaml()).await;
        for version in Version::ALL {
            let answer = version.ask(&gateway, &Request::get(path).authority("asked.example")).await;
            answer.expect(200, told.as_bytes());
        }
    }
}

#[tokio::test]
async fn a_route_of_objects_takes_nothing_but_objects() {
    let backend = telling();
    for (kind, status) in [("proxy", 200), ("object", 400)] {
        let conf = app(&backend, &format!("match: {{ path: {{ prefix: /o/ }} }}, kind: {kind}"));
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        let answer = Version::Http2.ask(&gateway, &Request::get("/o/anything")).await;
        assert_eq!(answer.status, status, "{kind}");
    }
}

#[tokio::test]
async fn a_route_has_a_largest_body_of_its_own() {
    let backend = telling();
    for (body, length, status) in [
        ("body: { max: 1KiB }", 2000, 413),
        ("body: { max: 1KiB }", 1000, 200),
        ("body: {}", 2000, 413),
        ("body: { max: 4KiB }", 2000, 200),
    ] {
        let conf = app(&backend, &format!("kind: proxy, {body}")).set("limits.body.max", "1KiB");
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        for version in Version::ALL {
            for request in
                [Request::post("/x", vec![0; length]), Request::post("/x", vec![0; length]).open_length()]
            {
                let answer = version.ask(&gateway, &request).await;
                assert_eq!(answer.status, status, "{body} {length} {version:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_route_serves_whom_it_names() {
    let backend = telling();
    for (tenants, status) in [("[local]", 200), ("[other]", 403), ("[other, local]", 200)] {
        let conf = app(&backend, &format!("kind: proxy, tenants: {tenants}"))
            .set("tenants.local", "{ identify: [ { address: [127.0.0.0/8] } ] }")
            .set("tenants.other", "{ identify: [ { address: [192.0.2.0/24] } ] }");
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        for version in Version::ALL {
            assert_eq!(version.ask(&gateway, &Request::get("/x")).await.status, status, "{tenants}");
        }
    }
}
