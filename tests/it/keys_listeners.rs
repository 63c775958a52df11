//! `listeners` and `admin`: where clients connect, and what is spoken there.

use std::os::unix::fs::PermissionsExt;

use gateway_testing::Gateway;
use gateway_testing::backend::{Backend, Script};
use gateway_testing::client::{Http1, Http2, Request};
use gateway_testing::conf::{self, Conf};
use gateway_testing::net::Address;

use crate::BINARY;
use crate::both::Version;

/// Only the listener that is given.
fn at(backend: &Backend, listener: &str) -> String {
    let conf = Conf::default()
        .push("listeners", listener)
        .set("admin.address", "127.0.0.1:0")
        .oap_cluster("app", &backend.address())
        .proxy_route("/", "app");
    conf.yaml()
}

fn well() -> Backend {
    Backend::oap().script(|_| Script::whole(200, &[], "ok")).start()
}

fn socket(gateway: &Gateway, name: &str) -> Address {
    Address::Unix(gateway.folder().join(name))
}

#[tokio::test]
async fn a_listener_is_where_its_address_says_under_its_name() {
    let backend = well();
    for (name, address) in [("one", "127.0.0.3:0"), ("two", "[::1]:0"), ("three", "unix:public.sock")] {
        let yaml = at(&backend, &format!("{{ name: {name}, address: \"{address}\" }}"));
        let gateway = Gateway::start(BINARY, &yaml).await;
        let bound = gateway.address(name);
        match &bound {
            Address::Tcp(bound) => assert_eq!(
                bound.ip(),
                address.trim_end_matches(":0").trim_matches(['[', ']']).parse::<std::net::IpAddr>().unwrap()
            ),
            Address::Unix(_) => assert_eq!(bound, socket(&gateway, "public.sock")),
        }
        Http1::connect(&bound).await.request(&Request::get("/x")).await.expect(200, b"ok");
        Http2::connect(&bound).await.request(&Request::get("/x")).await.expect(200, b"ok");
    }
}

#[tokio::test]
async fn a_unix_socket_has_its_mode() {
    let backend = well();
    for (mode, bits) in [(", mode: 0660", 0o660), (", mode: 0777", 0o777), ("", 0o600)] {
        let yaml = at(&backend, &format!("{{ name: public, address: \"unix:public.sock\"{mode} }}"));
        let gateway = Gateway::start(BINARY, &yaml).await;
        let found = std::fs::metadata(gateway.folder().join("public.sock")).unwrap().permissions().mode();
        assert_eq!(found & 0o777, bits, "{mode}");
    }
}

#[tokio::test]
async fn a_listener_speaks_its_protocols_and_no_other() {
    let backend = well();
    for (protocols, http1, http2) in
        [("[h1]", true, false), ("[h2c]", false, true), ("[h1, h2c]", true, true)]
    {
        let yaml =
            at(&backend, &format!("{{ name: public, address: \"127.0.0.1:0\", protocols: {protocols} }}"));
        let gateway = Gateway::start(BINARY, &yaml).await;
        let answer = Http1::connect(gateway.address("public")).await.request(&Request::get("/x")).await;
        assert_eq!(answer.status == 200, http1, "{protocols}: {answer:?}");
        let answer = Http2::connect(gateway.address("public")).await.request(&Request::get("/x")).await;
        assert_eq!(answer.status == 200, http2, "{protocols}: {answer:?}");
    }
}

#[tokio::test]
async fn a_listener_answers_probes_when_it_is_told_to() {
    let backend = Backend::oap().script(|_| Script::whole(404, &[], "the service")).start();
    for (probes, status) in [("true", 200), ("false", 404)] {
        let yaml = at(&backend, &format!("{{ name: public, address: \"127.0.0.1:0\", probes: {probes} }}"));
        let gateway = Gateway::start(BINARY, &yaml).await;
        for path in ["/healthz", "/readyz"] {
            let one = Http1::connect(gateway.address("public")).await.request(&Request::get(path)).await;
            let two = Http2::connect(gateway.address("public")).await.request(&Request::get(path)).await;
            assert_eq!((one.status, two.status), (status, status), "{probes} {path}");
        }
    }
}

#[tokio::test]
async fn what_a_proxy_says_counts_where_it_is_trusted() {
    let backend = well();
    for (trusted, told) in
        [("[]", "127.0.0.1"), ("[192.0.2.0/24]", "127.0.0.1"), ("[127.0.0.0/8]", "198.51.100.7, 127.0.0.1")]
    {
        let yaml = at(
            &backend,
            &format!("{{ name: public, address: \"127.0.0.1:0\", trusted_addresses: {trusted} }}"),
        );
        let gateway = Gateway::start(BINARY, &yaml).await;
        let request = Request::get("/x").field("x-forwarded-for", "198.51.100.7");
        for version in Version::ALL {
            version.ask(&gateway, &request).await.expect(200, b"ok");
            assert_eq!(backend.next_request().await.field("x-forwarded-for"), Some(told), "{trusted}");
        }
    }
}

#[tokio::test]
async fn the_admin_surface_is_where_it_is_told_to_be() {
    for address in ["127.0.0.4:0", "[::1]:0"] {
        let conf = conf::minimal()
            .set("admin", format!("{{ address: \"{address}\", socket: \"unix:admin.sock\" }}"));
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        let Address::Tcp(bound) = gateway.address("admin") else { panic!("no port") };
        assert_eq!(
            bound.ip(),
            address.trim_end_matches(":0").trim_matches(['[', ']']).parse::<std::net::IpAddr>().unwrap()
        );
        assert_eq!(gateway.admin("/healthz").await.status, 200);
        let socket = socket(&gateway, "admin.sock");
        let answer = Http1::connect(&socket).await.request(&Request::get("/healthz")).await;
        assert_eq!(answer.status, 200);
        let mode = std::fs::metadata(gateway.folder().join("admin.sock")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "its owner's alone");
    }
    let gateway = Gateway::start(BINARY, &conf::minimal().set("admin.socket", "none").yaml()).await;
    assert!(!gateway.folder().join("admin.sock").exists());
}
