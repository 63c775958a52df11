//! Clients that share no line of code with the gateway: openssl s_client, and curl.

use std::process::{Command, Output, Stdio};

use gateway_testing::Gateway;
use gateway_testing::pattern;

use super::Site;

/// The gateway's folder has the authority's certificate, and what a client shows.
async fn start(site: &Site, tls: &str) -> (Gateway, String) {
    let gateway = site.start(&site.conf(tls)).await;
    let shown = site.authority.issue("client");
    std::fs::write(gateway.folder().join("c.pem"), shown.certificate).unwrap();
    std::fs::write(gateway.folder().join("c.key"), shown.key).unwrap();
    let address = gateway.address("public").to_string();
    (gateway, address)
}

async fn run(gateway: &Gateway, program: &'static str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(gateway.folder()).stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test]
async fn openssl_agrees_on_version_protocol_and_certificate() {
    let site = Site::new();
    let (gateway, address) = start(&site, "").await;
    let base = ["s_client", "-connect", &address, "-servername", "a.example", "-CAfile", "ca.pem"];
    for (more, says) in [
        (&["-verify_return_error"][..], &["Verify return code: 0 (ok)", "TLSv1.3", "No ALPN negotiated"][..]),
        (&["-alpn", "h2,http/1.1"], &["ALPN protocol: h2", "TLSv1.3"]),
        (&["-alpn", "http/1.1"], &["ALPN protocol: http/1.1"]),
        (&["-tls1_2"], &["alert protocol version"]),
        (&["-alpn", "spdy/3"], &["no application protocol"]),
        (&["-groups", "ffdhe2048"], &["handshake failure"]),
    ] {
        let said = text(&run(&gateway, "openssl", &[&base[..], more].concat()).await);
        for word in says {
            assert!(said.contains(word), "{more:?}: no {word:?} in {said}");
        }
    }
    let (gateway, address) = start(&site, ", min_version: \"1.2\"").await;
    let old = ["s_client", "-connect", &address, "-servername", "a.example", "-CAfile", "ca.pem", "-tls1_2"];
    let said = text(&run(&gateway, "openssl", &old).await);
    assert!(said.contains("TLSv1.2") && said.contains("Verify return code: 0 (ok)"), "{said}");
}

#[tokio::test]
async fn curl_is_served_over_either_protocol_with_and_without_a_certificate() {
    let site = Site::new();
    let (gateway, address) = start(&site, "").await;
    let (required, required_at) = start(&site, ", client_ca: ca.pem, client_auth: required").await;
    let port = |address: &str| address.rsplit_once(':').unwrap().1.to_owned();
    let curl = |address: &str, path: &str, more: &[&str]| {
        let port = port(address);
        let url = format!("https://a.example:{port}{path}");
        let resolve = format!("a.example:{port}:127.0.0.1");
        let fixed = [
            "-sS",
            "--cacert",
            "ca.pem",
            "--resolve",
            &resolve,
            "-w",
            "%{http_version} %{http_code}",
            "-o",
            "out",
        ];
        let all = fixed.iter().chain(more).map(|word| (*word).to_owned()).chain([url]);
        all.collect::<Vec<_>>()
    };
    for (option, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let arguments = curl(&address, "/bytes/300000", &[option]);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let output = run(&gateway, "curl", &arguments).await;
        assert_eq!(text(&output), format!("{version} 200"), "{option}");
        assert!(std::fs::read(gateway.folder().join("out")).unwrap() == pattern(300_000), "{option}");
        // Up, too.
        std::fs::write(gateway.folder().join("in"), pattern(700_000)).unwrap();
        let arguments = curl(&address, "/echo", &[option, "--data-binary", "@in"]);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        assert_eq!(text(&run(&gateway, "curl", &arguments).await), format!("{version} 200"), "{option}");
        assert!(std::fs::read(gateway.folder().join("out")).unwrap() == pattern(700_000), "{option}");
        for (more, says) in [
            (&[option, "--cert", "c.pem", "--key", "c.key"][..], format!("{version} 200")),
            (&[option], "alert certificate required".to_owned()),
        ] {
            let arguments = curl(&required_at, "/x", more);
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            let said = text(&run(&required, "curl", &arguments).await);
            assert!(said.contains(&says), "{more:?}: {said}");
        }
    }
    // Who trusts somebody else leaves, and is counted.
    let other = gateway_testing::tls::Authority::new();
    std::fs::write(gateway.folder().join("ca.pem"), other.pem()).unwrap();
    let arguments = curl(&address, "/x", &[]);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    assert!(!run(&gateway, "curl", &arguments).await.status.success());
    super::failed(&gateway, "alert", 1.0).await;
}

#[tokio::test]
async fn of_two_certificates_for_a_name_the_first_that_the_client_can_check_is_shown() {
    let site = Site::new();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=somebody"])
        .args(["-addext", "subjectAltName=DNS:a.example", "-keyout", &file("r.key"), "-out", &file("r.pem")])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let text_of = |name: &str| std::fs::read_to_string(file(name)).unwrap();
    let pairs = "{ certificates: [ { cert: a.pem, key: a.key }, { cert: r.pem, key: r.key } ] }";
    let gateway = Gateway::builder(crate::BINARY)
        .config(site.conf_of(pairs).yaml())
        .file("a.pem", &site.identity.certificate)
        .secret("a.key", &site.identity.key)
        .file("r.pem", text_of("r.pem"))
        .secret("r.key", text_of("r.key"))
        .start()
        .await;
    let address = gateway.address("public").to_string();
    for name in ["a.example", "z.example"] {
        for (more, says) in [
            (&[][..], "Peer signature type: ECDSA"),
            (&["-sigalgs", "rsa_pss_rsae_sha256"], "Peer signature type: RSA-PSS"),
            (&["-sigalgs", "ecdsa_secp256r1_sha256"], "Peer signature type: ECDSA"),
        ] {
            let base = ["s_client", "-connect", &address, "-servername", name];
            let said = text(&run(&gateway, "openssl", &[&base[..], more].concat()).await);
            assert!(said.contains(says), "{name} {more:?}: no {says:?} in {said}");
        }
    }
}

#[tokio::test]
async fn who_says_nothing_after_its_handshake_is_told_goodbye() {
    let site = Site::new();
    let gateway = site.start(&site.conf("").set("limits.request.idle", "200ms")).await;
    let address = gateway.address("public").to_string();
    let mut command = Command::new("openssl");
    command.args([
        "s_client",
        "-connect",
        &address,
        "-servername",
        "a.example",
        "-CAfile",
        "ca.pem",
        "-quiet",
    ]);
    // Its standard input stays open: it would go on for ever.
    let child =
        command.current_dir(gateway.folder()).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let output = tokio::task::spawn_blocking(move || {
        let mut child = child;
        let open = child.stdin.take();
        let output = child.wait_with_output().unwrap();
        drop(open);
        output
    });
    let said = text(&output.await.unwrap());
    assert!(said.contains("verify return:1") && !said.contains("eof"), "{said}");
}
