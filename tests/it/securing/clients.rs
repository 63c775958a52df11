//! Clients' certificates: who has to show one, and what it is evidence for.

use gateway_testing::client::Request;
use gateway_testing::net::Socket;
use gateway_testing::tls::{Authority, Client, Identity, date_time_ymd};
use gateway_testing::{Gateway, conf::Conf};

use super::{Site, ask, failed, get, is_served};
use crate::both::Version;

/// SHA-256 of a certificate's public key, as openssl has it.
fn spki_sha256(identity: &Identity) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(file("c.pem"), &identity.certificate).unwrap();
    let openssl = |arguments: &[&str]| {
        let done = std::process::Command::new("openssl").args(arguments).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        done.stdout
    };
    let key = openssl(&["x509", "-in", &file("c.pem"), "-noout", "-pubkey"]);
    std::fs::write(file("k.pem"), key).unwrap();
    openssl(&["pkey", "-pubin", "-in", &file("k.pem"), "-outform", "DER", "-out", &file("k.der")]);
    let digest = String::from_utf8(openssl(&["dgst", "-sha256", "-r", &file("k.der")])).unwrap();
    digest.split_whitespace().next().unwrap().to_owned()
}

#[tokio::test]
async fn a_certificate_is_asked_for_as_client_auth_says() {
    let site = Site::new();
    let stranger = Authority::new().issue("client");
    let good = site.authority.issue("client");
    let expired = site.authority.issue_with(&["client"], |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    for (auth, without, reason) in [
        (", client_ca: ca.pem, client_auth: required", false, "no_certificate"),
        (", client_ca: ca.pem, client_auth: optional", true, ""),
        (", client_ca: ca.pem", true, ""),
    ] {
        let gateway = site.start(&site.conf(auth)).await;
        assert_eq!(is_served(&site.client(), &gateway).await, without, "{auth}");
        if !without {
            failed(&gateway, reason, 1.0).await;
        }
        assert!(is_served(&site.client().showing(&good), &gateway).await, "{auth}");
        // One that is presented and wrong is refused also where none is needed.
        for wrong in [&stranger, &expired] {
            assert!(!is_served(&site.client().showing(wrong), &gateway).await, "{auth}");
        }
        let series = "tls_handshake_failures_total{reason=\"certificate\"}";
        gateway.metric_becomes(series, |n| n == 2.0).await;
    }
    // Nobody is asked: nothing is shown, and nothing is believed.
    let gateway = site.start(&site.conf("")).await;
    assert!(is_served(&site.client().showing(&stranger), &gateway).await);
}

/// Tenants by certificate, by certificate and name, and by name beside any certificate.
fn tenants(site: &Site, acme: &Identity, both: &Identity) -> Conf {
    let (acme, both) = (spki_sha256(acme), spki_sha256(both));
    site.conf(", client_ca: ca.pem")
        .set(
            "tenants.acme",
            format!("{{ identify: [ {{ client_certificate: {{ spki_sha256: [{acme}] }} }} ] }}"),
        )
        .set(
            "tenants.both",
            format!(
                "{{ identify: [ {{ client_certificate: {{ spki_sha256: [{both}] }}, sni: [b.example] }} ] }}"
            ),
        )
        .set("tenants.named", "{ identify: [ { sni: [c.example] } ] }")
        .set("tenants.anonymous", "{}")
        .proxy_route_with("closed", "/closed/", "app", ", tenants: [acme]")
}

async fn tenant(version: Version, client: &Client<'_>, gateway: &Gateway) -> String {
    let answer = ask(version, client, gateway, &Request::get("/x").authority(client.name)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let line = gateway.access_line(answer.field("x-corr-id").unwrap()).await;
    line["tenant"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_certificate_is_evidence_for_a_tenant_and_a_name_only_beside_one() {
    let authority = Authority::new();
    let identity = authority.issue_with(&["a.example", "b.example", "c.example"], |_| {});
    let site = Site { authority, identity, backend: gateway_testing::backend::Backend::oap().start() };
    let [acme, both, other] = ["acme", "both", "other"].map(|name| site.authority.issue(name));
    let conf = tenants(&site, &acme, &both);
    let gateway = site.start(&conf).await;
    for version in Version::ALL {
        for (shows, name, wanted) in [
            (Some(&acme), "a.example", "acme"),
            (Some(&acme), "c.example", "acme"),
            (Some(&both), "b.example", "both"),
            (Some(&both), "a.example", "anonymous"),
            (Some(&other), "a.example", "anonymous"),
            (Some(&other), "c.example", "named"),
            (None, "a.example", "anonymous"),
            (None, "b.example", "anonymous"),
            (None, "c.example", "anonymous"),
        ] {
            let client = Client { shows, ..Client::new(&site.authority, name) };
            assert_eq!(tenant(version, &client, &gateway).await, wanted, "{version:?} {name}");
        }
        let closed = get("/closed/x");
        let theirs = ask(version, &site.client().showing(&acme), &gateway, &closed).await;
        assert_eq!(theirs.status, 200);
        for client in [site.client(), site.client().showing(&other)] {
            let no = ask(version, &client, &gateway, &closed).await;
            assert_eq!((no.status, no.reason().as_str()), (403, "forbidden"));
        }
    }
    // What is reloaded holds for connections that are open too: it is the request that is asked who it is from.
    let session =
        site.client().showing(&other).speaking(&[super::HTTP1]).connect(gateway.address("public")).await;
    let mut open = gateway_testing::client::Http1::over(session.socket);
    assert_eq!(open.request(&get("/closed/x")).await.status, 403);
    assert_eq!(gateway.reload(&tenants(&site, &other, &both).yaml()).await.status, 200);
    assert_eq!(open.request(&get("/closed/x")).await.status, 200);
}

#[tokio::test]
async fn each_certificate_is_a_principal_with_a_quota_of_its_own() {
    let site = Site::new();
    let [one, two] = ["one", "two"].map(|name| site.authority.issue(name));
    let conf = site
        .conf(", client_ca: ca.pem, client_auth: required")
        .set("tenants.anonymous", "{ principal: { rate: 1/h, burst: 2 } }");
    let gateway = site.start(&conf).await;
    for identity in [&one, &two] {
        let client = site.client().showing(identity);
        for (version, status) in
            [(Version::Http1, 200), (Version::Http2, 200), (Version::Http1, 429), (Version::Http2, 429)]
        {
            let answer = ask(version, &client, &gateway, &get("/x")).await;
            assert_eq!(answer.status, status, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn another_authority_holds_from_the_next_handshake_on_also_for_who_would_resume() {
    let site = Site::new();
    let (good, others) = (site.authority.issue("client"), Authority::new());
    let conf = site.conf(", client_ca: ca.pem, client_auth: required");
    let gateway = site.start(&conf).await;
    let client = site.client().showing(&good).build();
    for resumed in [false, true] {
        let session = client.connect(gateway.address("public")).await;
        assert_eq!(session.resumed, resumed);
        assert_eq!(super::over(Version::Http1, session, &get("/x")).await.status, 200);
    }
    // The same files: sessions go on.
    assert_eq!(gateway.reload(&conf.yaml()).await.status, 200);
    let session = client.connect(gateway.address("public")).await;
    assert!(session.resumed);
    assert_eq!(super::over(Version::Http1, session, &get("/x")).await.status, 200);
    std::fs::write(gateway.folder().join("ca.pem"), others.pem()).unwrap();
    assert_eq!(gateway.reload(&conf.yaml()).await.status, 200);
    let session = client.connect(gateway.address("public")).await;
    assert!(!session.resumed);
    assert_eq!(super::over(Version::Http1, session, &get("/x")).await.status, 0);
    failed(&gateway, "certificate", 1.0).await;
}

#[tokio::test]
async fn behind_the_proxy_protocol_the_handshake_comes_after_its_header() {
    let site = Site::new();
    let acme = site.authority.issue("acme");
    let conf = site
        .conf_with(", client_ca: ca.pem", ", trusted_addresses: [127.0.0.1], proxy_protocol: required")
        .set(
            "tenants.acme",
            format!(
                "{{ identify: [ {{ client_certificate: {{ spki_sha256: [{}] }}, address: [192.0.2.7] }} ] }}",
                spki_sha256(&acme)
            ),
        )
        .set("tenants.anonymous", "{}");
    let gateway = site.start(&conf).await;
    let connector = site.client().showing(&acme).build();
    let socket = Socket::connect(&gateway.address("public")).await;
    socket.write_whole(b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n").await.unwrap();
    let session = connector.over(socket).await.unwrap();
    let answer = super::over(Version::Http1, session, &get("/x")).await;
    answer.expect(200, b"ok");
    let line = gateway.access_line(answer.field("x-corr-id").unwrap()).await;
    assert_eq!(line["tenant"], "acme", "{line}");
    let told = site.backend.next_request().await;
    assert_eq!(told.head.field("forwarded"), Some("for=192.0.2.7;proto=https;host=\"a.example\""));
    // Without the header it is closed, as in clear text.
    assert!(site.client().try_connect(gateway.address("public")).await.is_err());
}
