//! Every caveat: what it allows and what it denies.

use super::*;

/// What the request with the caveat gets.
fn asked(caveat: &str, facts: &Facts<'_>) -> Result<(), Denied> {
    verify(&mint(&[caveat]).to_string(), facts).map(drop)
}

#[test]
fn a_token_without_caveats_allows_everything() {
    for path in ["/", "/o/x", "/api/put?x"] {
        assert!(verify(&mint(&[]).to_string(), &Facts { method: "DELETE", ..get(path) }).is_ok());
    }
}

#[test]
fn a_time_is_over_from_its_second_on() {
    let token = mint(&["time < 1000", "time < 2000"]).to_string();
    let at = |now| {
        let presented = Presented::parse_token(token.as_bytes())?;
        presented.verify(&ring(), &Revoked::default(), &get("/"), now).map(|verified| verified.expires)
    };
    let expired = Err(Denied::Unauthorized(Unauthorized::Expired));
    for (now, want) in [
        (Duration::ZERO, Ok(Some(1000))),
        (Duration::from_secs(999), Ok(Some(1000))),
        (Duration::new(999, 999_999_999), Ok(Some(1000))),
        (Duration::from_secs(1000), expired),
        (Duration::from_secs(1500), expired),
        (Duration::from_secs(u64::MAX), expired),
    ] {
        assert_eq!(at(now), want, "{now:?}");
    }
}

#[test]
fn methods() {
    for (caveat, method, want) in [
        ("method in GET", "GET", Ok(())),
        ("method in GET,HEAD", "HEAD", Ok(())),
        ("method in GET", "HEAD", Err(Forbidden::Method.into())),
        ("method in GET,HEAD", "POST", Err(Forbidden::Method.into())),
        ("method in PUT", "PU", Err(Forbidden::Method.into())),
        ("method in PUT", "PUTT", Err(Forbidden::Method.into())),
        ("method in GET", "get", Err(Forbidden::Method.into())),
        ("method in GET,HEAD", "GET,HEAD", Err(Forbidden::Method.into())),
    ] {
        assert_eq!(asked(caveat, &Facts { method, ..get("/") }), want, "{caveat} for {method}");
    }
}

#[test]
fn paths_are_covered_in_whole_segments_as_they_cross() {
    for (prefix, path, want) in [
        ("/", "/", true),
        ("/", "/a", true),
        ("/api", "/api", true),
        ("/api", "/api/", true),
        ("/api", "/api/x/y", true),
        ("/api/", "/api/x", true),
        ("/api/x%20y", "/api/x%20y/z", true),
        ("/api", "/apix", false),
        ("/api", "/ap", false),
        ("/api", "/API", false),
        ("/api", "/%61pi", false),
        ("/api", "/api%2Fx", false),
        ("/api", "//api", false),
        ("/api", "/x/api", false),
        ("/api/", "/api", false),
        ("/api/x", "/api/", false),
        ("/api", "*", false),
    ] {
        let want = if want { Ok(()) } else { Err(Forbidden::Path.into()) };
        assert_eq!(asked(&format!("path under {prefix}"), &get(path)), want, "{path} under {prefix}");
    }
}

#[test]
fn addresses_begin_with_the_prefix() {
    for (prefix, address, want) in [
        ("b3:", Some(ADDRESS), true),
        ("b3:0a", Some(ADDRESS), true),
        (ADDRESS, Some(ADDRESS), true),
        ("b3:0b", Some(ADDRESS), false),
        ("b3:0a1b3", Some(ADDRESS), false),
        // A request that is for no object, or does not say for which, is not for one of these.
        ("b3:", None, false),
        ("b3:0a", None, false),
    ] {
        let want = if want { Ok(()) } else { Err(Forbidden::Address.into()) };
        assert_eq!(
            asked(&format!("address under {prefix}"), &Facts { address, ..get("/") }),
            want,
            "{prefix}"
        );
    }
}

#[test]
fn a_tenant_is_the_identifiers_and_a_caveat_only_narrows() {
    use TenantEvidence::{Stronger, Weaker};
    let denied = Err(Forbidden::Tenant.into());
    for (minted_for, caveat, evidence, want) in [
        // Minted for a tenant: that goes before what is weaker, and must agree with what is stronger.
        (Some("acme"), None, Weaker("anonymous"), Ok(Some("acme"))),
        (Some("acme"), None, Weaker("other"), Ok(Some("acme"))),
        (Some("acme"), None, Stronger("acme"), Ok(Some("acme"))),
        (Some("acme"), None, Stronger("other"), denied),
        (Some("acme"), Some("tenant = acme"), Weaker("anonymous"), Ok(Some("acme"))),
        (Some("acme"), Some("tenant = other"), Weaker("other"), denied),
        // Minted for none: it says nothing of the tenant, whatever was appended.
        (None, None, Weaker("anonymous"), Ok(None)),
        (None, Some("tenant = acme"), Weaker("anonymous"), denied),
        (None, Some("tenant = acme"), Weaker("acme"), Ok(None)),
        (None, Some("tenant = acme"), Stronger("acme"), Ok(None)),
        (None, Some("tenant = acme"), Stronger("other"), denied),
    ] {
        let token = Token::mint(&key("k1", 0), [7; NONCE], minted_for);
        let token = narrowed(token, caveat.as_slice()).to_string();
        let verified = verify(&token, &Facts { tenant: evidence, ..get("/") });
        let tenant = verified.as_ref().map(|v| v.tenant.as_deref()).map_err(|e| *e);
        assert_eq!(tenant, want, "{minted_for:?} {caveat:?} {evidence:?}");
    }
    let two = mint(&["tenant = acme", "tenant = other"]).to_string();
    assert_eq!(verify(&two, &Facts { tenant: Weaker("acme"), ..get("/") }), forbidden(Forbidden::Tenant));
}

#[test]
fn budgets_are_handed_on_each_with_a_bucket_of_its_own() {
    let verified = |token: &Token| verify(&token.to_string(), &get("/")).unwrap();
    let shown = |all: &[Allowance]| all.iter().map(|one| one.budget.to_string()).collect::<Vec<_>>();
    let keys = |all: &[Allowance]| all.iter().map(|one| one.key).collect::<Vec<_>>();
    assert_eq!(verified(&mint(&[])).rates, []);
    let parent = mint(&["path under /", "rate <= 50/s", "bytes <= 18446744073709551615/h"]);
    let of_parent = verified(&parent);
    assert_eq!(shown(&of_parent.rates), ["50/s"]);
    assert_eq!(shown(&of_parent.bytes), ["18446744073709551615/h"]);
    // What is attenuated draws on the parent's bucket, and on its own.
    let one = verified(&narrowed(parent.clone(), &["rate <= 20/min", "time < 1999999999"]));
    let other = verified(&narrowed(parent.clone(), &["method in GET", "rate <= 20/min", "rate <= 20/min"]));
    assert_eq!((shown(&one.rates), shown(&other.rates).len()), (vec!["50/s".into(), "20/min".into()], 3));
    assert_eq!(keys(&one.rates)[0], keys(&of_parent.rates)[0]);
    assert_eq!(keys(&other.rates)[0], keys(&of_parent.rates)[0]);
    assert_eq!(one.bytes, of_parent.bytes);
    // Two that were attenuated apart have nothing in common beyond that, and a caveat said twice counts twice.
    let own: std::collections::HashSet<_> =
        keys(&one.rates)[1..].iter().chain(&keys(&other.rates)[1..]).copied().collect();
    assert_eq!(own.len(), 3);
    // The same budget of another mint is another bucket.
    let sibling = narrowed(Token::mint(&key("k1", 0), [8; NONCE], None), &["path under /", "rate <= 50/s"]);
    assert_ne!(keys(&verified(&sibling).rates), keys(&of_parent.rates));
    // Nothing of a link is in what is handed on.
    assert!(!parent.to_string().contains(&hex(&keys(&of_parent.rates)[0].to_be_bytes())));
}

#[test]
fn what_is_not_in_the_grammar_is_denied() {
    for unknown in [
        "",
        "time",
        "time <",
        "time < ",
        "time < 0x10",
        "time < +5",
        "time < 05",
        "time < 99999999999999999999999",
        "time  < 1767225600",
        "time<1767225600",
        "time < 1767225600 ",
        "time > 1767225600",
        "time <= 1767225600",
        "Time < 1767225600",
        "tenant = ",
        "tenant = Acme",
        "tenant = a b",
        "tenant == acme",
        "method in get",
        "method in GET, HEAD",
        "method in GET,",
        "method in ",
        "method = GET",
        "path under api",
        "path under /a b",
        "path under /a?b",
        "path under /ä",
        "address under b3",
        "address under b3:0A",
        "address under b3:0g",
        "address under sha256:00",
        "rate <= 0/s",
        "rate <= 50",
        "rate <= 50/d",
        "rate <= 5.5/s",
        "rate < 50/s",
        "bytes <= 1MiB/s",
        "ip = 127.0.0.1",
    ] {
        assert_eq!(Caveat::parse(unknown), Err(BadCaveat), "{unknown}");
        assert_eq!(
            verify(&with_raw(&[unknown.as_bytes()]), &get("/")),
            forbidden(Forbidden::UnknownCaveat),
            "{unknown}"
        );
    }
    assert_eq!(verify(&with_raw(&[b"tenant = \xff"]), &get("/")), forbidden(Forbidden::UnknownCaveat));
}

#[test]
fn a_caveat_is_written_as_it_is_read() {
    for text in [
        "time < 0",
        "tenant = a_b-1",
        "method in GET,M-SEARCH",
        "method in GET,HEAD,PUT",
        "path under /",
        "address under b3:",
        "rate <= 30/min",
        "bytes <= 1/h",
    ] {
        match Caveat::parse(text) {
            Ok(caveat) => assert_eq!(caveat.to_string(), text),
            Err(BadCaveat) => assert!(text.contains("M-SEARCH"), "{text}"),
        }
    }
}

#[test]
fn every_caveat_must_hold_and_401_goes_before_403() {
    let facts = get("/o/x");
    assert!(verify(&mint(&["method in GET", "path under /o"]).to_string(), &facts).is_ok());
    let token = mint(&["method in GET", "path under /o", "method in PUT"]).to_string();
    assert_eq!(verify(&token, &facts), forbidden(Forbidden::Method));
    for over in [["method in PUT", "time < 1"], ["time < 1", "method in PUT"]] {
        assert_eq!(verify(&mint(&over).to_string(), &facts), unauthorized(Unauthorized::Expired));
    }
    let unknown: [&[u8]; 2] = [b"weather = fine", b"time < 1"];
    assert_eq!(verify(&with_raw(&unknown), &facts), unauthorized(Unauthorized::Expired));
}
