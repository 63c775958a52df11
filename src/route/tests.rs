//! The table against tables of expectations, and against a slow reading of the sentences in `mod.rs`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use proptest::prelude::*;

use super::paths::{is_variable, segments};
use super::*;

fn rule(host: &[&str], path: Option<Path>, methods: &[&str], payload: &'static str) -> Rule<&'static str> {
    let owned = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    Rule { hosts: owned(host), path, methods: owned(methods), listeners: Vec::new(), payload }
}

fn exact(path: &str) -> Option<Path> {
    Some(Path::Exact(path.to_owned()))
}

fn prefix(path: &str) -> Option<Path> {
    Some(Path::Prefix(path.to_owned()))
}

fn template(path: &str) -> Option<Path> {
    Some(Path::Template(path.to_owned()))
}

fn paths(rules: &[(Option<Path>, &'static str)]) -> Table<&'static str> {
    Table::new(rules.iter().map(|(path, name)| rule(&[], path.clone(), &[], name)))
}

fn name<'t>(table: &'t Table<&'static str>, host: &str, path: &str) -> &'t str {
    table.find(host, path, "GET", "public").copied().unwrap_or("-")
}

#[test]
fn an_exact_path_comes_before_a_template_before_the_longest_prefix_before_any() {
    let table = paths(&[
        (None, "any"),
        (prefix("/"), "root"),
        (prefix("/a"), "a"),
        (prefix("/a/b/c"), "abc"),
        (template("/a/{x}/c"), "axc"),
        (template("/a/b/{y}"), "aby"),
        (exact("/a/b/c"), "exact"),
    ]);
    for (path, want) in [
        ("/a/b/c", "exact"),
        ("/a/b/d", "aby"),
        ("/a/x/c", "axc"),
        ("/a/b/c/d", "abc"),
        ("/a/b", "a"),
        ("/a/x/y", "a"),
        ("/ab", "root"),
        ("/", "root"),
        ("*", "any"),
    ] {
        assert_eq!(name(&table, "h", path), want, "{path}");
    }
}

#[test]
fn a_prefix_takes_whole_segments() {
    let table = paths(&[(prefix("/o/"), "below"), (prefix("/p"), "at"), (prefix("/p/"), "under")]);
    for (path, want) in [
        ("/o/x", "below"),
        ("/o/", "below"),
        ("/o//", "below"),
        ("/o", "-"),
        ("/ox", "-"),
        ("/p", "at"),
        ("/p/", "under"),
        ("/p/x/y", "under"),
        ("/px", "-"),
        ("/", "-"),
    ] {
        assert_eq!(name(&table, "h", path), want, "{path}");
    }
}

#[test]
fn a_variable_takes_one_segment_that_is_not_empty() {
    let table = paths(&[(template("/users/{id}/x"), "x"), (template("/t/{id}/"), "slash")]);
    for (path, want) in [
        ("/users/7/x", "x"),
        ("/users/%2e/x", "x"),
        ("/users//x", "-"),
        ("/users/7/8/x", "-"),
        ("/users/7/x/", "-"),
        ("/users/x", "-"),
        ("/t/7/", "slash"),
        ("/t/7", "-"),
        ("/t//", "-"),
    ] {
        assert_eq!(name(&table, "h", path), want, "{path}");
    }
}

#[test]
fn a_host_comes_before_the_longest_wildcard_before_any() {
    let table = Table::new([
        rule(&[], prefix("/"), &[], "any"),
        rule(&["*.example"], prefix("/"), &[], "wide"),
        rule(&["*.b.example", "c.example"], prefix("/"), &[], "narrow"),
        rule(&["a.b.example", "[::1]"], prefix("/"), &[], "exact"),
        rule(&["a.b.example"], exact("/only"), &[], "only"),
    ]);
    let long = format!("{}.b.example", "x".repeat(250));
    for (host, want) in [
        ("a.b.example", "exact"),
        ("A.B.Example.", "exact"),
        ("[::1]", "exact"),
        ("x.b.example", "narrow"),
        ("x.y.B.example", "narrow"),
        ("C.EXAMPLE", "narrow"),
        ("b.example", "wide"),
        (".b.example", "wide"),
        ("example", "any"),
        ("", "any"),
        (long.as_str(), "any"),
    ] {
        assert_eq!(name(&table, host, "/x"), want, "{host}");
    }
    assert_eq!(name(&table, "a.b.example", "/only"), "only");
}

#[test]
fn a_host_without_a_fitting_path_leaves_the_request_to_less_special_ones() {
    let table = Table::new([
        rule(&["a.example"], exact("/x"), &[], "host"),
        rule(&["*.example"], exact("/y"), &[], "wildcard"),
        rule(&[], prefix("/"), &[], "any"),
    ]);
    assert_eq!(name(&table, "a.example", "/x"), "host");
    assert_eq!(name(&table, "a.example", "/y"), "wildcard");
    assert_eq!(name(&table, "a.example", "/z"), "any");
}

#[test]
fn the_method_is_to_blame_only_when_no_rule_takes_the_request() {
    let table = Table::new([
        rule(&[], exact("/api/put"), &["POST"], "put"),
        rule(&[], exact("/api/x"), &[], "x"),
        rule(&[], exact("/api/x"), &["GET"], "get x"),
        rule(&[], prefix("/api"), &["DELETE", "POST"], "api"),
    ]);
    let find = |path, method| table.find("h", path, method, "public").copied();
    assert_eq!(find("/api/put", "POST"), Ok("put"));
    assert_eq!(find("/api/put", "DELETE"), Ok("api"));
    assert_eq!(find("/api/x", "GET"), Ok("get x"));
    assert_eq!(find("/api/x", "PUT"), Ok("x"));
    let allow =
        |methods: &[&str]| NoMatch::Method { allow: methods.iter().map(ToString::to_string).collect() };
    assert_eq!(find("/api/put", "GET"), Err(allow(&["DELETE", "POST"])));
    assert_eq!(find("/api/put", "post"), Err(allow(&["DELETE", "POST"])));
    assert_eq!(find("/nothing", "GET"), Err(NoMatch::NoRoute));
}

#[test]
fn a_rule_of_another_listener_is_no_rule() {
    let heard = |listener: &str, payload| Rule {
        listeners: vec![listener.to_owned()],
        ..rule(&[], exact("/x"), &["GET"], payload)
    };
    let table = Table::new([heard("inner", "inner"), heard("public", "public")]);
    assert_eq!(table.find("h", "/x", "GET", "inner"), Ok(&"inner"));
    assert_eq!(table.find("h", "/x", "GET", "public"), Ok(&"public"));
    assert_eq!(table.find("h", "/x", "GET", "admin"), Err(NoMatch::NoRoute));
    assert!(matches!(table.find("h", "/x", "PUT", "inner"), Err(NoMatch::Method { .. })));
}

#[test]
fn ten_thousand_routes_are_told_apart() {
    let name = |n: usize| ["/svc", &n.to_string(), "/v1"].concat();
    let table = Table::new((0..10_000).map(|n| Rule {
        hosts: if n % 2 == 0 { Vec::new() } else { vec![format!("h{n}.example")] },
        path: prefix(&name(n)),
        methods: Vec::new(),
        listeners: Vec::new(),
        payload: n,
    }));
    for n in 0..10_000 {
        assert_eq!(table.find(&format!("h{n}.example"), &format!("{}/x", name(n)), "GET", "l"), Ok(&n));
    }
    assert_eq!(table.payloads().count(), 10_000);
    assert_eq!(table.find("h.example", "/svc1/v1", "GET", "l"), Err(NoMatch::NoRoute));
}

// ---- The slow reading ----

/// How special a rule is for a request that it fits; smaller is more special. `None`: it does not fit.
fn rank(rule: &Rule<usize>, host: &str, path: &str) -> Option<(usize, usize, Vec<usize>)> {
    let host = if rule.hosts.is_empty() {
        usize::MAX
    } else {
        let fits = |pattern: &String| match pattern.strip_prefix('*') {
            None => (pattern == host).then_some(0),
            Some(suffix) => {
                (host.len() > suffix.len() && host.ends_with(suffix)).then(|| 1000 - suffix.len())
            }
        };
        rule.hosts.iter().filter_map(fits).min()?
    };
    let (kind, detail) = match &rule.path {
        None => (3, vec![]),
        Some(Path::Exact(exact)) => (0, (exact == path).then(Vec::new)?),
        Some(Path::Template(template)) => {
            let fits = segments(template).count() == segments(path).count()
                && segments(template)
                    .zip(segments(path))
                    .all(|(t, p)| if is_variable(t) { !p.is_empty() } else { t == p });
            (1, fits.then(|| segments(template).map(|t| usize::from(is_variable(t))).collect())?)
        }
        Some(Path::Prefix(prefix)) => {
            let bare = prefix.strip_suffix('/').unwrap_or(prefix);
            let rest = path.strip_prefix(bare)?;
            let fits = rest.starts_with('/') || (rest.is_empty() && !prefix.ends_with('/'));
            (2, fits.then(|| vec![1000 - prefix.len()])?)
        }
    };
    Some((host, kind, detail))
}

fn slowly(rules: &[Rule<usize>], host: &str, path: &str, method: &str, listener: &str) -> Option<usize> {
    let any = |words: &[String], word: &str| words.is_empty() || words.iter().any(|w| w == word);
    let fit =
        rules.iter().enumerate().filter(|(_, r)| any(&r.methods, method) && any(&r.listeners, listener));
    let ranked = fit.filter_map(|(n, r)| Some((rank(r, host, path)?, r.methods.is_empty(), n, r.payload)));
    ranked.min().map(|(.., payload)| payload)
}

fn a_path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", ""]), 1..5)
        .prop_map(|s| format!("/{}", s.join("/")))
}

fn a_pattern() -> impl Strategy<Value = Option<Path>> {
    let template = prop::collection::vec(prop::sample::select(vec!["a", "b", "", "{x}", "{y}"]), 1..5);
    prop_oneof![
        Just(None),
        a_path().prop_map(|p| Some(Path::Exact(p))),
        a_path().prop_map(|p| Some(Path::Prefix(p))),
        template.prop_map(|s| Some(Path::Template(format!("/{}", s.join("/"))))),
    ]
}

fn some_of(words: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop::sample::subsequence(words.to_vec(), 0..=words.len())
        .prop_map(|w| w.into_iter().map(str::to_owned).collect())
}

fn some_rules() -> impl Strategy<Value = Vec<Rule<usize>>> {
    let rule = (
        some_of(&["a.x", "b.a.x", "*.x", "*.a.x"]),
        a_pattern(),
        some_of(&["GET", "PUT"]),
        some_of(&["in", "out"]),
    );
    prop::collection::vec(rule, 1..24).prop_map(|rules| {
        let numbered = rules.into_iter().enumerate();
        numbered
            .map(|(payload, (hosts, path, methods, listeners))| Rule {
                hosts,
                path,
                methods,
                listeners,
                payload,
            })
            .collect()
    })
}

fn a_host() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a.x", "b.a.x", "c.b.a.x", "c.x", "x", ".x", "y"])
}

proptest! {
    #[test]
    fn the_table_finds_what_a_slow_reading_finds(
        rules in some_rules(),
        host in a_host(),
        path in a_path(),
        method in prop::sample::select(vec!["GET", "PUT", "POST"]),
        listener in prop::sample::select(vec!["in", "out", "other"]),
    ) {
        let table = Table::new(rules.clone());
        let found = table.find(host, &path, method, listener);
        prop_assert_eq!(found.as_ref().ok().copied().copied(), slowly(&rules, host, &path, method, listener));
        if let Err(no) = found {
            let does = |m: &&str| slowly(&rules, host, &path, m, listener).is_some();
            let allow: Vec<_> = ["GET", "PUT"].into_iter().filter(does).map(str::to_owned).collect();
            prop_assert_eq!(no, if allow.is_empty() { NoMatch::NoRoute } else { NoMatch::Method { allow } });
        }
    }

    #[test]
    fn the_order_of_rules_that_are_not_ambiguous_means_nothing(
        rules in some_rules(),
        host in a_host(),
        path in a_path(),
        method in prop::sample::select(vec!["GET", "PUT", "POST"]),
    ) {
        let mut clear: Vec<Rule<usize>> = Vec::new();
        for rule in rules {
            if clear.iter().all(|other| !ambiguous(other, &rule) && !ambiguous(&rule, other)) {
                clear.push(rule);
            }
        }
        let forward = Table::new(clear.clone());
        let backward = Table::new(clear.into_iter().rev());
        prop_assert_eq!(forward.find(host, &path, method, "in"), backward.find(host, &path, method, "in"));
    }

    #[test]
    fn whatever_a_client_sends_is_looked_up_without_a_panic(rules in some_rules(), host: String, path: String) {
        let table = Table::new(rules);
        let found = table.find(&host, &path, "GET", "in");
        prop_assert!(found.is_ok() || found.is_err());
    }
}
