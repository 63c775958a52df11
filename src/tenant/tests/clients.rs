//! The client's address behind proxies.

use std::net::IpAddr;

use super::*;
use crate::tenant::client::Speaker;
use crate::tenant::proxy_protocol::Source;

/// The client and whether the fields count, for `lines` of x-forwarded-for from `peer`; 10/8 and fd00::/8 are trusted.
fn client(peer: &str, proxied: Option<Source>, lines: &[&str]) -> (String, bool) {
    let trusted = [network("10.0.0.0/8"), network("fd00::/8")];
    let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
    let peer: Option<IpAddr> = (!peer.is_empty()).then(|| peer.parse().unwrap());
    let client = Speaker::new(peer, proxied, &trusted).client(&headers(&lines), &trusted);
    (client.address.map(|ip| ip.to_string()).unwrap_or_default(), client.trusted)
}

#[test]
fn the_right_most_entry_that_is_not_trusted_is_the_client() {
    const PROXY: &str = "10.0.0.1";
    for (peer, lines, want, trusted) in [
        // Without a trusted peer nothing that is said counts.
        ("192.0.2.1", &["198.51.100.1"][..], "192.0.2.1", false),
        ("::ffff:192.0.2.1", &["198.51.100.1"], "192.0.2.1", false),
        ("", &["198.51.100.1"], "", false),
        (PROXY, &[], PROXY, true),
        (PROXY, &["198.51.100.1"], "198.51.100.1", true),
        ("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1", true),
        ("fd00::1", &["2001:db8::1"], "2001:db8::1", true),
        // What a client claims stands to the left of what a proxy saw.
        (PROXY, &["10.9.9.9, 198.51.100.1"], "198.51.100.1", true),
        (PROXY, &["203.0.113.9, 198.51.100.1, 10.0.0.2,fd00::3"], "198.51.100.1", true),
        (PROXY, &["203.0.113.9", "198.51.100.1, 10.0.0.2", "10.0.0.3"], "198.51.100.1", true),
        // A client within the trusted networks is the left-most.
        (PROXY, &["10.0.0.7, 10.0.0.2"], "10.0.0.7", true),
        // Ports, brackets, quotes, clothes.
        (PROXY, &["198.51.100.1:4711"], "198.51.100.1", true),
        (PROXY, &["[2001:db8::1]:4711"], "2001:db8::1", true),
        (PROXY, &["[2001:db8::1]"], "2001:db8::1", true),
        (PROXY, &["\"[2001:db8::1]:4711\""], "2001:db8::1", true),
        (PROXY, &["::ffff:198.51.100.1"], "198.51.100.1", true),
        (PROXY, &["198.51.100.1, ::ffff:10.0.0.2"], "198.51.100.1", true),
        // Empty elements are none.
        (PROXY, &["198.51.100.1,, ,"], "198.51.100.1", true),
        (PROXY, &["198.51.100.1", ""], "198.51.100.1", true),
        // Whom a trusted proxy could not name, it stands for.
        (PROXY, &["unknown"], PROXY, true),
        (PROXY, &["198.51.100.1, unknown, 10.0.0.2"], "10.0.0.2", true),
        (PROXY, &["198.51.100.1, _hidden"], PROXY, true),
        (PROXY, &["198.51.100.1, 198.51.100.001"], PROXY, true),
        (PROXY, &["198.51.100.1, fe80::1%eth0"], PROXY, true),
        (PROXY, &["198.51.100.1, [10.0.0.2]"], PROXY, true),
        (PROXY, &["198.51.100.1, 300.0.0.1"], PROXY, true),
        (PROXY, &["198.51.100.1, ä"], PROXY, true),
    ] {
        assert_eq!(client(peer, None, lines), (want.to_owned(), trusted), "{peer} {lines:?}");
    }
}

#[test]
fn the_proxy_protocol_counts_from_a_trusted_address_only() {
    let of = |text: &str| Some(Source::Client(text.parse().unwrap()));
    for (peer, proxied, lines, want, trusted) in [
        ("192.0.2.1", of("198.51.100.1:1"), &[][..], "192.0.2.1", false),
        ("10.0.0.1", of("198.51.100.1:1"), &[], "198.51.100.1", false),
        ("10.0.0.1", of("[::ffff:198.51.100.1]:1"), &[], "198.51.100.1", false),
        // The fields are the client's, not the proxy's.
        ("10.0.0.1", of("198.51.100.1:1"), &["203.0.113.9"], "198.51.100.1", false),
        // A trusted proxy behind a trusted one.
        ("10.0.0.1", of("10.0.0.2:1"), &["203.0.113.9"], "203.0.113.9", true),
        ("10.0.0.1", Some(Source::Local), &[], "10.0.0.1", true),
        ("10.0.0.1", Some(Source::Unknown), &["203.0.113.9"], "10.0.0.1", false),
    ] {
        assert_eq!(client(peer, proxied, lines), (want.to_owned(), trusted), "{peer} {proxied:?} {lines:?}");
    }
}

#[test]
fn a_chain_without_end_is_not_walked_to_its_end() {
    let chain = vec!["10.0.0.2"; 10_000].join(",");
    assert_eq!(client("10.0.0.1", None, &[&format!("198.51.100.1,{chain}")]).0, "10.0.0.2");
}
