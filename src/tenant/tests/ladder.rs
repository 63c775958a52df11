//! The ladder of evidence, rung by rung.

use super::*;

const CERTIFICATE: [u8; 32] = [7; 32];
const OTHER_CERTIFICATE: [u8; 32] = [8; 32];

fn keys(header: &'static str, keys: &[&str]) -> Option<ApiKeys> {
    let blake3 = keys.iter().map(|key| digest(key)).collect();
    Some(ApiKeys { header: HeaderName::from_static(header), blake3 })
}

fn field(name: &'static str, value: &str) -> Option<Header> {
    Some(Header { name: HeaderName::from_static(name), value: value.to_owned() })
}

fn tenant(name: &str, identify: Vec<Criteria>) -> Policy {
    Policy { name: name.to_owned(), identify }
}

/// A tenant for each rung, named after it, and some whose items combine two.
fn tenants() -> Vec<Policy> {
    let any = Criteria::default;
    vec![
        tenant(ANONYMOUS, vec![]),
        tenant("certificate", vec![Criteria { certificates: vec![CERTIFICATE], ..any() }]),
        tenant("capability", vec![]),
        tenant("key", vec![Criteria { api_keys: keys("x-api-key", &["one", "two"]), ..any() }]),
        tenant("uid", vec![Criteria { peer_uids: vec![1000, 1001], ..any() }]),
        tenant("listener", vec![Criteria { listeners: vec!["mine".to_owned()], ..any() }]),
        tenant("header", vec![Criteria { header: field("x-tenant", "mine"), ..any() }]),
        tenant(
            "net",
            vec![Criteria { networks: vec![network("198.51.100.0/24"), network("fd00::/8")], ..any() }],
        ),
        tenant("subnet", vec![Criteria { networks: vec![network("198.51.100.128/25")], ..any() }]),
        tenant("sni", vec![Criteria { sni: vec!["mine.example".to_owned()], ..any() }]),
        tenant("other-key", vec![Criteria { api_keys: keys("x-other-key", &["three"]), ..any() }]),
        tenant("other-header", vec![Criteria { header: field("x-customer", "mine"), ..any() }]),
        tenant(
            "key-at-home",
            vec![Criteria {
                api_keys: keys("x-api-key", &["home"]),
                networks: vec![network("192.0.2.0/24")],
                ..any()
            }],
        ),
        tenant(
            "mine-at-home",
            vec![Criteria {
                listeners: vec!["mine".to_owned()],
                networks: vec![network("192.0.2.0/24")],
                ..any()
            }],
        ),
    ]
}

/// What a request brings; the listener is `public` unless said.
#[derive(Debug, Default)]
struct Request {
    certificate: Option<[u8; 32]>,
    capability: Option<Option<&'static str>>,
    headers: &'static [(&'static str, &'static str)],
    trusted: bool,
    uid: Option<u32>,
    listener: Option<&'static str>,
    address: Option<&'static str>,
    sni: Option<&'static str>,
}

fn ask(identifier: &Identifier, request: &Request) -> Result<Identity, Denied> {
    let headers = headers(request.headers);
    identifier.identify(&Evidence {
        certificate: request.certificate.as_ref(),
        capability: request.capability.map(|tenant| Capability { identifier: b"id", tenant }),
        headers: &headers,
        trusted: request.trusted,
        peer_uid: request.uid,
        listener: request.listener.unwrap_or("public"),
        address: request.address.map(|ip| ip.parse().unwrap()),
        sni: request.sni,
    })
}

#[test]
fn the_strongest_evidence_wins_and_what_is_wrong_is_no_anonymous() {
    use Denied::{Ambiguous, Wrong};
    let tenants = tenants();
    let identifier = Identifier::new(&tenants).unwrap();
    // Each row adds the next stronger rung to the one before.
    let none = Request::default;
    let all = [("x-tenant", "mine"), ("x-api-key", "one")];
    let all: &'static [_] = Box::leak(Box::new(all));
    let net = Some("198.51.100.1");
    for (request, want) in [
        (none(), Ok(ANONYMOUS)),
        (Request { address: Some("203.0.113.1"), ..none() }, Ok(ANONYMOUS)),
        (Request { certificate: Some(OTHER_CERTIFICATE), sni: Some("MINE.example"), ..none() }, Ok("sni")),
        (Request { sni: Some("mine.example"), ..none() }, Ok(ANONYMOUS)),
        (
            Request {
                certificate: Some(OTHER_CERTIFICATE),
                sni: Some("mine.example"),
                address: net,
                ..none()
            },
            Ok("net"),
        ),
        (Request { address: net, ..none() }, Ok("net")),
        (Request { address: Some("::ffff:198.51.100.1"), ..none() }, Ok("net")),
        (Request { address: Some("fd00::1"), ..none() }, Ok("net")),
        (Request { address: Some("198.51.100.129"), ..none() }, Ok("subnet")),
        (Request { address: net, headers: &all[..1], trusted: true, ..none() }, Ok("header")),
        (Request { address: net, headers: &all[..1], ..none() }, Ok("net")),
        (
            Request { address: net, headers: &all[..1], trusted: true, listener: Some("mine"), ..none() },
            Ok("listener"),
        ),
        (Request { listener: Some("mine"), uid: Some(1001), ..none() }, Ok("uid")),
        (Request { listener: Some("mine"), uid: Some(1), ..none() }, Ok("listener")),
        (Request { uid: Some(1000), headers: all, trusted: true, ..none() }, Ok("key")),
        (Request { headers: &[("x-api-key", "two")], ..none() }, Ok("key")),
        (Request { headers: all, capability: Some(Some("capability")), ..none() }, Ok("capability")),
        (Request { headers: all, capability: Some(None), ..none() }, Ok("key")),
        (
            Request { certificate: Some(CERTIFICATE), headers: all, capability: Some(Some("key")), ..none() },
            Ok("certificate"),
        ),
        // More kinds are stronger, as long as the strongest is the same.
        (Request { listener: Some("mine"), address: Some("192.0.2.1"), ..none() }, Ok("mine-at-home")),
        (
            Request { headers: &[("x-api-key", "home")], address: Some("192.0.2.1"), ..none() },
            Ok("key-at-home"),
        ),
        // Presented and wrong.
        (Request { headers: &[("x-api-key", "none")], ..none() }, Err(Wrong(Kind::ApiKey))),
        (Request { headers: &[("x-api-key", "")], ..none() }, Err(Wrong(Kind::ApiKey))),
        (Request { headers: &[("x-api-key", "three")], ..none() }, Err(Wrong(Kind::ApiKey))),
        (
            Request { headers: &[("x-api-key", "one"), ("x-api-key", "none")], ..none() },
            Err(Wrong(Kind::ApiKey)),
        ),
        (
            Request { headers: &[("x-api-key", "none")], certificate: Some(CERTIFICATE), ..none() },
            Err(Wrong(Kind::ApiKey)),
        ),
        (Request { headers: &[("x-api-key", "home")], address: net, ..none() }, Err(Wrong(Kind::ApiKey))),
        (
            Request { headers: &[("x-api-key", "home")], certificate: Some(CERTIFICATE), ..none() },
            Err(Wrong(Kind::ApiKey)),
        ),
        (Request { capability: Some(Some("nobody")), ..none() }, Err(Wrong(Kind::Capability))),
        (Request { headers: &[("x-tenant", "none")], trusted: true, ..none() }, Err(Wrong(Kind::Header))),
        (
            Request { headers: &[("x-tenant", "none")], trusted: true, address: net, ..none() },
            Err(Wrong(Kind::Header)),
        ),
        (Request { headers: &[("x-tenant", "none")], ..none() }, Ok(ANONYMOUS)),
        (Request { headers: &[("x-tenant", "none")], trusted: true, uid: Some(1000), ..none() }, Ok("uid")),
        // Equal evidence that no configuration can see.
        (
            Request { headers: &[("x-api-key", "one"), ("x-other-key", "three")], ..none() },
            Err(Ambiguous(Kind::ApiKey)),
        ),
        (
            Request { headers: &[("x-tenant", "mine"), ("x-customer", "mine")], trusted: true, ..none() },
            Err(Ambiguous(Kind::Header)),
        ),
        (
            Request {
                headers: &[("x-tenant", "mine"), ("x-customer", "mine")],
                trusted: true,
                uid: Some(1000),
                ..none()
            },
            Ok("uid"),
        ),
        (Request { headers: &[("x-api-key", "one"), ("x-api-key", "two")], ..none() }, Ok("key")),
    ] {
        let got = ask(&identifier, &request).map(|identity| name_of(&tenants, identity));
        assert_eq!(got, want, "{request:?}");
    }
}

fn name_of(tenants: &[Policy], identity: Identity) -> &str {
    &tenants[identity.tenant.0 as usize].name
}

#[test]
fn an_overlong_or_repeated_key_is_wrong() {
    let identifier = Identifier::new(&tenants()).unwrap();
    let long = "x".repeat(2000);
    let policy =
        tenant("long", vec![Criteria { api_keys: keys("x-api-key", &[&long]), ..Criteria::default() }]);
    let with_long = Identifier::new(&[tenant(ANONYMOUS, vec![]), policy]).unwrap();
    for identifier in [&identifier, &with_long] {
        let headers = headers(&[("x-api-key", &long)]);
        assert_eq!(identifier.identify(&Evidence::new("a", &headers)), Err(Denied::Wrong(Kind::ApiKey)));
    }
}

#[test]
fn more_values_than_one_tenant_can_have_meant_are_ambiguous() {
    let all = ["a", "b", "c", "d", "e"];
    let policy = tenant("many", vec![Criteria { api_keys: keys("x-api-key", &all), ..Criteria::default() }]);
    let identifier = Identifier::new(&[tenant(ANONYMOUS, vec![]), policy]).unwrap();
    let ask = |n: usize| {
        let lines: Vec<_> = all.iter().take(n).map(|key| ("x-api-key", *key)).collect();
        identifier.identify(&Evidence::new("a", &headers(&lines))).map(|identity| identity.tenant.0)
    };
    assert_eq!((ask(4), ask(5)), (Ok(1), Err(Denied::Ambiguous(Kind::ApiKey))));
}

#[test]
fn the_fields_of_a_request_are_asked_for_when_they_are_fewer_than_the_configured_ones() {
    let names: [&'static str; 6] = ["x-a", "x-b", "x-c", "x-d", "x-e", "x-f"];
    let mut all = vec![tenant(ANONYMOUS, vec![])];
    all.extend(
        names
            .map(|name| tenant(name, vec![Criteria { api_keys: keys(name, &["k"]), ..Criteria::default() }])),
    );
    let identifier = Identifier::new(&all).unwrap();
    for name in names {
        for more in
            [&[][..], &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5"), ("f", "6"), ("g", "7")]]
        {
            let lines = [&[(name, "k")], more].concat();
            let identity = identifier.identify(&Evidence::new("l", &headers(&lines))).unwrap();
            assert_eq!(name_of(&all, identity), name);
        }
    }
}

#[test]
fn a_principal_is_the_strongest_that_is_known_of_who_acts() {
    let identifier = Identifier::new(&tenants()).unwrap();
    let half = |digest: [u8; 32]| u128::from_be_bytes(*digest.first_chunk().unwrap());
    let key: &'static [_] = &[("x-api-key", "one")];
    let base = || Request { uid: Some(1000), address: Some("192.0.2.1"), ..Request::default() };
    let principal = |kind, key| Principal { kind, key };
    for (request, want) in [
        (
            Request { certificate: Some(OTHER_CERTIFICATE), capability: Some(None), headers: key, ..base() },
            principal(PrincipalKind::Certificate, half(OTHER_CERTIFICATE)),
        ),
        (
            Request { capability: Some(None), headers: key, ..base() },
            principal(PrincipalKind::Capability, half(digest("id"))),
        ),
        (Request { headers: key, ..base() }, principal(PrincipalKind::ApiKey, half(digest("one")))),
        (base(), principal(PrincipalKind::Uid, 1000)),
        (Request { uid: None, ..base() }, principal(PrincipalKind::Ipv4, 0xc000_0201)),
        (
            Request { address: Some("::ffff:192.0.2.1"), ..Request::default() },
            principal(PrincipalKind::Ipv4, 0xc000_0201),
        ),
        (
            Request { address: Some("2001:db8:1:2:3::4"), ..Request::default() },
            principal(PrincipalKind::Ipv6, 0x2001_0db8_0001_0002),
        ),
        (Request::default(), principal(PrincipalKind::Unknown, 0)),
    ] {
        assert_eq!(ask(&identifier, &request).unwrap().principal, want, "{request:?}");
    }
}

#[test]
fn equal_evidence_of_two_tenants_is_found_before_any_request() {
    let any = Criteria::default;
    let clash = |a: Vec<Criteria>, b: Vec<Criteria>| {
        Identifier::new(&[tenant("a", a), tenant("b", b)]).err().map(|clashes| {
            clashes.into_iter().map(|clash| (clash.earlier.1, clash.later.1, clash.kinds)).collect::<Vec<_>>()
        })
    };
    let at = |listener: &str, net: &str| Criteria {
        listeners: vec![listener.to_owned(), "both".to_owned()],
        networks: vec![network(net), network("::1")],
        ..any()
    };
    let key = |header, key| Criteria { api_keys: keys(header, &[key]), ..any() };
    let net = |text| Criteria { networks: vec![network(text)], ..any() };
    for (a, b, want) in [
        (vec![net("10.0.0.0/8")], vec![net("10.0.0.0/8")], Some(vec![(0, 0, vec![Kind::Address])])),
        (vec![net("10.0.0.0/8")], vec![net("10.0.0.0/9")], None),
        (vec![net("10.0.0.0/8"), net("10.0.0.0/8")], vec![], None),
        (vec![key("x-a", "k")], vec![key("x-a", "k")], Some(vec![(0, 0, vec![Kind::ApiKey])])),
        (vec![key("x-a", "k")], vec![key("x-b", "k")], None),
        (vec![at("l", "::2")], vec![at("m", "::3")], Some(vec![(0, 0, vec![Kind::Listener, Kind::Address])])),
        (vec![at("l", "::2")], vec![Criteria { networks: vec![], ..at("l", "::3") }], None),
        (
            vec![net("::1"), key("x-a", "k")],
            vec![key("x-a", "k"), net("::1"), net("::1")],
            Some(vec![(0, 1, vec![Kind::Address]), (0, 2, vec![Kind::Address]), (1, 0, vec![Kind::ApiKey])]),
        ),
        (vec![any()], vec![any()], None),
    ] {
        assert_eq!(clash(a.clone(), b.clone()), want, "{a:?} {b:?}");
    }
}
