//! Unix-socket listeners: who may open the file, and whose processes may connect.

use std::os::unix::fs::MetadataExt;

use gateway_testing::Gateway;
use gateway_testing::backend::Backend;
use gateway_testing::client::{Http1, Http2, Request};
use gateway_testing::conf::Conf;
use gateway_testing::tls::{Authority, Client};

use crate::BINARY;
use crate::both::Version;

/// A listener on `g.sock` in the gateway's folder; `more` is further keys.
fn conf(backend: &Backend, more: &str) -> Conf {
    Conf::default()
        .listener("public", "unix:g.sock", more)
        .set("admin.address", "127.0.0.1:0")
        .oap_cluster("app", &backend.address())
        .set("routes", "[]")
        .proxy_route("/", "app")
}

/// The user and the groups of this process.
fn me() -> (u32, Vec<u32>) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let numbers = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().map(|number| number.parse().unwrap()).collect::<Vec<u32>>()
    };
    (numbers("Uid:")[1], [numbers("Gid:"), numbers("Groups:")].concat())
}

async fn ask(version: Version, gateway: &Gateway) -> u16 {
    version.ask(gateway, &Request::get("/x")).await.status
}

/// Whether a connection is closed without an answer.
async fn is_refused(gateway: &Gateway) -> bool {
    let mut client = Http1::connect(gateway.address("public")).await;
    let _sent = client.send(&Request::get("/x").http1_bytes()).await;
    client.answer_head("GET").await.is_err()
}

#[tokio::test]
async fn the_file_has_the_mode_and_the_group_that_are_written() {
    let backend = Backend::oap().start();
    let (uid, groups) = me();
    // Root may give it to any group, others to theirs.
    let group = if uid == 0 { 1 } else { *groups.last().unwrap() };
    for (more, mode, wanted) in [
        (String::new(), 0o600, None),
        (", mode: 0660".to_owned(), 0o660, None),
        (format!(", mode: 0660, group: {group}"), 0o660, Some(group)),
        (", group: none".to_owned(), 0o600, None),
        (format!(", peer_uids: [{uid}]"), 0o666, None),
        (format!(", peer_uids: [{uid}], mode: 0600"), 0o600, None),
    ] {
        let gateway = Gateway::start(BINARY, &conf(&backend, &more).yaml()).await;
        let found = std::fs::metadata(gateway.folder().join("g.sock")).unwrap();
        assert_eq!(found.mode() & 0o7777, mode, "{more}");
        assert!(wanted.is_none_or(|wanted| wanted == found.gid()), "{more}: {}", found.gid());
        for version in Version::ALL {
            assert_eq!(ask(version, &gateway).await, 200, "{more}");
        }
        let changed = gateway.reload(&conf(&backend, ", mode: 0640").yaml()).await;
        assert!(changed.status == 422 && changed.text().contains("listeners.public.mode"), "{changed:?}");
    }
    if let Some(name) = std::fs::read_to_string("/etc/group").ok().and_then(|groups| {
        let line = groups.lines().find(|line| line.split(':').nth(2) == Some(&group.to_string()))?;
        Some(line.split(':').next()?.to_owned())
    }) {
        let named = conf(&backend, &format!(", group: {name}"));
        let gateway = Gateway::start(BINARY, &named.yaml()).await;
        assert_eq!(std::fs::metadata(gateway.folder().join("g.sock")).unwrap().gid(), group);
        let changed = gateway.reload(&conf(&backend, "").yaml()).await;
        assert!(changed.status == 422 && changed.text().contains("listeners.public.group"), "{changed:?}");
    }
}

#[tokio::test]
async fn only_processes_of_the_users_that_are_written_connect_and_a_reload_writes_others() {
    let backend = Backend::oap().start();
    let (me, stranger) = (me().0, me().0 + 1);
    let only = |uid: u32| conf(&backend, &format!(", mode: 0666, peer_uids: [{uid}]")).yaml();
    let gateway = Gateway::start(BINARY, &only(stranger)).await;
    assert!(is_refused(&gateway).await);
    gateway.metric_becomes("rejected_total{reason=\"forbidden\"}", |n| n == 1.0).await;
    assert!(backend.requests().is_empty());
    assert_eq!(gateway.reload(&only(me)).await.status, 200);
    for version in Version::ALL {
        assert_eq!(ask(version, &gateway).await, 200);
    }
    assert_eq!(gateway.reload(&only(stranger)).await.status, 200);
    assert!(is_refused(&gateway).await);
}

#[tokio::test]
async fn the_user_is_evidence_for_a_tenant_over_tls_too() {
    let backend = Backend::oap().start();
    let (me, stranger) = (me().0, me().0 + 1);
    let authority = Authority::new();
    let identity = authority.issue("a.example");
    let conf = |uid: u32, tls: &str| {
        conf(&backend, tls)
            .set("tenants.acme", format!("{{ identify: [ {{ peer_uid: [{uid}] }} ] }}"))
            .set("tenants.anonymous", "{}")
            .yaml()
    };
    for tls in ["", ", tls: { certificates: [ { cert: a.pem, key: a.key } ] }"] {
        let gateway = Gateway::builder(BINARY)
            .config(conf(me, tls))
            .file("a.pem", &identity.certificate)
            .secret("a.key", &identity.key)
            .start()
            .await;
        for (uid, tenant) in [(me, "acme"), (stranger, "anonymous")] {
            assert_eq!(gateway.reload(&conf(uid, tls)).await.status, 200);
            for version in Version::ALL {
                let request = Request::get("/x").authority("a.example");
                let answer = if tls.is_empty() {
                    version.ask(&gateway, &request).await
                } else {
                    let alpn: &[&str] = if version == Version::Http2 { &["h2"] } else { &["http/1.1"] };
                    let client = Client::new(&authority, "a.example").speaking(alpn);
                    let socket = client.connect(gateway.address("public")).await.socket;
                    match version {
                        Version::Http1 => Http1::over(socket).request(&request).await,
                        Version::Http2 => Http2::over(socket).await.request(&request).await,
                    }
                };
                assert_eq!(answer.status, 200, "{answer:?}");
                let line = gateway.access_line(answer.field("x-corr-id").unwrap()).await;
                assert_eq!(line["tenant"], tenant, "{tls} {version:?}");
            }
        }
    }
}
