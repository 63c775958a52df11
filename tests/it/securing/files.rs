//! Certificates and keys as files: what is refused, by `check`, at the start and at a reload, and what is read anew.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use gateway_testing::Gateway;
use gateway_testing::client::Http1;
use gateway_testing::tls::{Authority, Identity, date_time_ymd};

use super::{HTTP1, Site, get, is_served};
use crate::BINARY;

/// `svc-gateway check` of a folder's `gateway.yaml`: its exit code and its words.
fn check(folder: &Path) -> (Option<i32>, String) {
    let done =
        Command::new(BINARY).args(["check", "-c", "gateway.yaml"]).current_dir(folder).output().unwrap();
    (done.status.code(), String::from_utf8(done.stdout).unwrap() + &String::from_utf8(done.stderr).unwrap())
}

fn write(folder: &Path, name: &str, text: &str, mode: u32) {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// A configuration and its files, right as they are.
fn right(site: &Site, folder: &Path) {
    let yaml = site.conf(", client_ca: ca.pem").yaml();
    write(folder, "gateway.yaml", &yaml, 0o644);
    write(folder, "a.pem", &site.identity.certificate, 0o644);
    write(folder, "a.key", &site.identity.key, 0o600);
    write(folder, "ca.pem", site.authority.pem(), 0o644);
}

#[test]
fn check_says_what_is_wrong_with_a_file_where_it_is_named_and_what_would_be_right() {
    let site = runtime().block_on(async { Site::new() });
    let other = site.authority.issue("other.example");
    let nameless = site.authority.issue_with(&[], |_| {});
    let encrypted = site.identity.key.replace(" PRIVATE KEY", " ENCRYPTED PRIVATE KEY");
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let wrong: [(&str, &str, u32, &str); 9] = [
        ("a.key", &site.identity.key, 0o644, "certificates[0].key: `"),
        ("a.key", &site.identity.key, 0o640, "has mode 0640, a secret has 0600 or 0400: chmod 600 "),
        ("a.key", &other.key, 0o600, "is the key of another certificate than `"),
        ("a.key", &encrypted, 0o600, "is encrypted"),
        ("a.key", "nothing", 0o600, "holds no PEM private key"),
        ("a.pem", garbage, 0o644, "certificates[0].cert: `"),
        ("a.pem", &nameless.certificate, 0o644, "has no subjectAltName"),
        ("ca.pem", garbage, 0o644, "tls.client_ca: `"),
        ("ca.pem", "nothing", 0o644, "holds no PEM certificate"),
    ];
    for (file, text, mode, says) in wrong {
        let folder = tempfile::tempdir().unwrap();
        right(&site, folder.path());
        assert_eq!(check(folder.path()), (Some(0), "gateway.yaml: ok\n".to_owned()));
        write(folder.path(), file, text, mode);
        let (code, said) = check(folder.path());
        assert_eq!(code, Some(2), "{file} {says}: {said}");
        assert!(said.starts_with("gateway.yaml:2:") && said.contains("listeners[0].tls."), "{file}: {said}");
        assert!(said.contains(says) && said.lines().count() == 1, "{file}: no {says:?} in {said}");
    }
}

#[test]
fn check_warns_of_a_certificate_that_is_not_valid_now() {
    let site = runtime().block_on(async { Site::new() });
    for (from, until, says) in [(2001, 2002, "has expired"), (3001, 3002, "is not valid before")] {
        let old = site.authority.issue_with(&["a.example"], |params| {
            params.not_before = date_time_ymd(from, 1, 1);
            params.not_after = date_time_ymd(until, 1, 1);
        });
        let folder = tempfile::tempdir().unwrap();
        right(&site, folder.path());
        write(folder.path(), "a.pem", &old.certificate, 0o644);
        write(folder.path(), "a.key", &old.key, 0o600);
        let (code, said) = check(folder.path());
        assert!(code == Some(0) && said.contains(says) && said.contains("(warning)"), "{code:?} {said}");
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[tokio::test]
async fn a_gateway_whose_key_others_may_read_does_not_start() {
    let site = Site::new();
    let (code, said) = Gateway::builder(BINARY)
        .config(site.conf("").yaml())
        .file("a.pem", &site.identity.certificate)
        .file("a.key", &site.identity.key)
        .start_refused()
        .await;
    assert!(code == Some(2) && said.contains("a secret has 0600 or 0400"), "{code:?} {said}");
}

/// Puts another certificate where the gateway reads it.
fn replace(gateway: &Gateway, identity: &Identity) {
    write(gateway.folder(), "a.pem", &identity.certificate, 0o644);
    write(gateway.folder(), "a.key", &identity.key, 0o600);
}

#[tokio::test]
async fn a_reload_reads_them_anew_and_a_broken_one_leaves_the_old_one_in_force() {
    let site = Site::new();
    let yaml = site.conf("").yaml();
    let gateway = site.start(&site.conf("")).await;
    let session = site.client().speaking(&[HTTP1]).connect(gateway.address("public")).await;
    let mut open = Http1::over(session.socket);
    assert_eq!(open.request(&get("/x")).await.status, 200);
    let shows = async |identity: &Identity| {
        assert!(site.client().connect(gateway.address("public")).await.shows(identity));
    };

    let fresh = site.authority.issue("a.example");
    replace(&gateway, &fresh);
    shows(&site.identity).await; // until it is told
    assert_eq!(gateway.reload(&yaml).await.status, 200);
    shows(&fresh).await;
    assert_eq!(open.request(&get("/x")).await.status, 200, "who is there notices nothing");

    let other = site.authority.issue("a.example");
    let broken = [
        ("a.pem", other.certificate.as_str(), 0o644, "is the key of another certificate"),
        ("a.key", other.key.as_str(), 0o600, "is the key of another certificate"),
        ("a.key", fresh.key.as_str(), 0o644, "a secret has 0600 or 0400"),
        ("a.pem", "", 0o644, "holds no PEM certificate"),
    ];
    for (file, text, mode, says) in broken {
        write(gateway.folder(), file, text, mode);
        let answer = gateway.reload(&yaml).await;
        assert!(answer.status == 422 && answer.text().contains(says), "{file}: {answer:?}");
        assert!(answer.text().contains("listeners[0].tls.certificates[0]."), "{answer:?}");
        shows(&fresh).await;
        assert_eq!(open.request(&get("/x")).await.status, 200);
        replace(&gateway, &fresh);
    }
    replace(&gateway, &other);
    assert_eq!(gateway.reload(&yaml).await.status, 200);
    shows(&other).await;
}

#[tokio::test]
async fn everything_of_tls_changes_with_a_reload_and_so_does_whether_there_is_any() {
    let site = Site::new();
    let gateway = site.start(&site.conf("")).await;
    let address = gateway.address("public");
    let only_old =
        || gateway_testing::tls::Client { only: Some(gateway_testing::tls::Version::V12), ..site.client() };
    assert!(!is_served(&only_old(), &gateway).await);
    assert_eq!(gateway.reload(&site.conf(", min_version: \"1.2\"").yaml()).await.status, 200);
    assert!(is_served(&only_old(), &gateway).await);
    let strict = site.conf(", client_ca: ca.pem, client_auth: required").yaml();
    assert_eq!(gateway.reload(&strict).await.status, 200);
    assert!(!is_served(&site.client(), &gateway).await);
    let stranger = Authority::new().issue("x");
    assert!(!is_served(&site.client().showing(&stranger), &gateway).await);
    let known = site.authority.issue("x");
    assert!(is_served(&site.client().showing(&known), &gateway).await);

    let clear = site.conf("").yaml().replace(", tls: { certificates: [ { cert: a.pem, key: a.key } ] }", "");
    assert_eq!(gateway.reload(&clear).await.status, 200);
    assert_eq!(Http1::connect(&address).await.request(&get("/x")).await.status, 200);
    let client = gateway_testing::client::Http2::connect(&address).await;
    assert_eq!(client.request(&get("/x")).await.status, 200);
    assert_eq!(gateway.reload(&site.conf("").yaml()).await.status, 200);
    assert!(is_served(&site.client(), &gateway).await);
    // What it speaks is not TLS's to change.
    let refused = gateway.reload(&site.conf_with("", ", protocols: [h1]").yaml()).await;
    assert!(refused.status == 422 && refused.text().contains("listeners.public.protocols"), "{refused:?}");
}
