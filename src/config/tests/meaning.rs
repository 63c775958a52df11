//! What right configurations mean, and what is said about the risky ones.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::*;

#[test]
fn an_empty_file_is_the_default_configuration() {
    for text in ["", "# nothing\n", "server:\n", "clusters: { objects: }\n", "{}"] {
        assert_eq!(config(text), Config::default(), "{text:?}");
    }
    let loaded = Config::load(None).unwrap();
    assert_eq!((loaded.config, loaded.files), (Config::default(), Vec::new()));
}

#[test]
fn sections_merge_with_their_defaults_and_lists_of_things_replace_them() {
    let config = config(
        "server: { drain: 1min }\n\
         listeners: [ { name: a, address: \"[::1]:80\" } ]\n\
         clusters: { api: { timeouts: { read: 9s } } }\n\
         routes: [ { name: api, kind: proxy, cluster: api } ]\n",
    );
    assert_eq!(config.server.drain, Duration::from_secs(60));
    assert_eq!(config.server.workers, None);
    assert_eq!(config.listeners.len(), 1);
    assert_eq!(config.listeners[0].protocols, [Protocol::H1, Protocol::H2c]);
    assert_eq!(config.clusters.len(), 1);
    assert_eq!(config.clusters["api"].timeouts.read, Duration::from_secs(9));
    assert_eq!(config.clusters["api"].timeouts.connect, Duration::from_secs(1));
    assert_eq!(config.routes.len(), 1);
}

#[test]
fn values_arrive_typed() {
    let config = config(
        "server: { workers: \"${WORKERS}\", runtime_dir: run }\n\
         listeners:\n\
         \x20 - name: a\n\
         \x20   address: unix:a.sock\n\
         \x20   mode: 0660\n\
         \x20   probes: true\n\
         \x20   protocols: [h1]\n\
         \x20   trusted_addresses: [10.0.0.0/8]\n\
         admin: { address: \"${HOST}:0\", socket: unix:/run/admin.sock }\n\
         clusters:\n\
         \x20 s: { backends: [ { address: localhost:9401, weight: 3 }, { address: unix:/x } ], balance: round_robin }\n\
         \x20 d: { backends: { dns: a.b:9401 }, balance: { hash: { header: X-User } }, hedge: { budget: 2.5% } }\n\
         \x20 o: { balance: { hash: object }, hedge: off, connections: { mode: exclusive, window: 1MiB } }\n\
         routes:\n\
         \x20 - name: r\n\
         \x20   match: { host: a.b, path: { template: \"/u/{id}\" }, methods: [GET, PUT], listener: a }\n\
         \x20   kind: proxy\n\
         \x20   cluster: d\n\
         \x20   timeout: 250ms\n\
         \x20   body: { max: 100B }\n\
         \x20   encoded_slash: allow\n\
         \x20   host: api.internal:8443\n\
         \x20   strip_prefix: /u\n",
    );
    assert_eq!(config.server.workers.unwrap().get(), 4);
    assert!(config.server.runtime_dir.as_ref().unwrap().is_absolute());
    let listener = &config.listeners[0];
    assert!(listener.address.unix_path().unwrap().is_absolute());
    assert_eq!(listener.socket_mode(), 0o660);
    assert!(listener.probes && listener.speaks(Protocol::H1) && !listener.speaks(Protocol::H2c));
    assert!(listener.trusted_addresses[0].contains(Ipv4Addr::new(10, 9, 8, 7).into()));
    assert_eq!(config.admin.address.to_string(), "10.0.0.1:0");
    assert_eq!(config.admin.socket_path().unwrap(), Path::new("/run/admin.sock"));
    let (s, d, o) = (&config.clusters["s"], &config.clusters["d"], &config.clusters["o"]);
    let Backends::Static(backends) = &s.backends else { panic!("{s:?}") };
    assert_eq!((backends[0].address.to_string(), backends[0].weight.get()), ("127.0.0.1:9401".to_owned(), 3));
    assert_eq!(backends[1].weight.get(), 1);
    assert_eq!(s.balance, Balance::RoundRobin);
    let Backends::Dns(Discovery { dns, refresh }) = &d.backends else { panic!("{d:?}") };
    assert_eq!((dns.host.as_str(), dns.port, *refresh), ("a.b", 9401, Duration::from_secs(10)));
    assert_eq!(d.balance, Balance::Hash(HashOn::Header("x-user".parse().unwrap())));
    let hedge = d.hedge.as_ref().unwrap();
    assert_eq!((hedge.after.percent(), hedge.budget.per_mille()), (95, 25));
    assert_eq!((&o.balance, &o.hedge), (&Balance::Hash(HashOn::Object), &None));
    assert_eq!((o.connections.mode, o.connections.window), (ConnectionMode::Exclusive, 1 << 20));
    let route = &config.routes[0];
    assert_eq!(route.matches.host, [HostPattern::Exact("a.b".into())]);
    assert_eq!(route.matches.path, Some(PathMatch::Template("/u/{id}".parse().unwrap())));
    assert_eq!(route.matches.listener[0].as_str(), "a");
    assert_eq!((route.timeout, route.body.max), (Some(Duration::from_millis(250)), Some(100)));
    assert_eq!(route.encoded_slash, EncodedSlash::Allow);
    assert_eq!(route.host.as_ref().unwrap().as_str(), "api.internal:8443");
    assert_eq!(effective_again(&config), config);
}

/// Writes a configuration and reads what was written.
fn effective_again(of: &Config) -> Config {
    let yaml = config(&effective(of, Format::Yaml));
    assert_eq!(config(&effective(of, Format::Json)), yaml);
    yaml
}

#[test]
fn what_is_written_is_read_back() {
    assert_eq!(effective_again(&Config::default()), Config::default());
    let dollars = config("clusters: { objects: { health: { path: \"/$$x\" } } }");
    assert_eq!(effective_again(&dollars), dollars);
    assert!(effective(&dollars, Format::Yaml).contains("/$$x"));
}

#[test]
fn anchors_may_save_writing() {
    let config = config(
        "clusters:\n  a: { backends: [ { address: 10.0.0.1:1 } ], timeouts: &t { read: 7s } }\n  \
         b: { backends: [ { address: 10.0.0.2:1 } ], timeouts: *t }\n\
         routes:\n  - { name: a, kind: proxy, cluster: a }\n  - { name: b, kind: proxy, cluster: b, match: { host: b } }\n",
    );
    assert_eq!(config.clusters["a"].timeouts, config.clusters["b"].timeouts);
}

#[test]
fn routes_that_one_rule_tells_apart_are_not_ambiguous() {
    let pairs = [
        ("{ host: a.b }", "{ host: \"*.b\" }"),
        ("{ host: \"*.b\" }", "{ host: \"*.a.b\" }"),
        ("{ host: a.b }", "{}"),
        ("{ path: { prefix: /a } }", "{ path: { prefix: /a/b } }"),
        ("{ path: { prefix: /a } }", "{ path: { exact: /a } }"),
        ("{ path: { template: \"/a/{x}\" } }", "{ path: { exact: /a/b } }"),
        ("{ path: { template: \"/a/{x}/c\" } }", "{ path: { template: \"/a/{x}/{y}\" } }"),
        ("{ path: { prefix: / } }", "{}"),
        ("{ methods: [GET] }", "{ methods: [PUT] }"),
        ("{ methods: [GET] }", "{}"),
        ("{ listener: x }", "{ listener: y }"),
    ];
    for (a, b) in pairs {
        let text = format!(
            "listeners: [ {{ name: x, address: unix:/x }}, {{ name: y, address: unix:/y }} ]\nroutes:\n  \
             - {{ name: a, kind: proxy, cluster: objects, match: {a} }}\n  - {{ name: b, kind: proxy, cluster: objects, match: {b} }}\n"
        );
        assert!(parse(&text).is_ok(), "{a} and {b}: {}", parse(&text).unwrap_err());
    }
}

#[test]
fn addresses_that_can_be_bound_at_once_do_not_collide() {
    for (a, b) in [
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("127.0.0.1:1", "127.0.0.2:1"),
        ("0.0.0.0:1", "\"[::1]:1\""),
        ("0.0.0.0:1", "0.0.0.0:2"),
        ("unix:/a", "unix:/b"),
    ] {
        let text = format!("listeners: [ {{ name: a, address: {a} }}, {{ name: b, address: {b} }} ]");
        assert_eq!(config(&text).listeners.len(), 2, "{text}");
    }
}

#[test]
fn a_safe_bound_is_lifted_by_name() {
    let text = "danger_ok: [limits.body.max, routes.body.max]\nlimits: { body: { max: 2MiB } }\n\
                routes: [ { name: a, kind: object, cluster: objects, body: { max: 1GiB } } ]\n";
    let loaded = parse(text).unwrap();
    assert_eq!(loaded.config.limits.body.max, 2 << 20);
    assert_eq!(loaded.config.routes[0].body.max, Some(1 << 30));
}

#[test]
fn the_risky_is_legal_and_warned_of() {
    let text = "danger_ok: [limits.body.max]\n\
                listeners:\n\
                \x20 - { name: a, address: 0.0.0.0:8080, trusted_addresses: [0.0.0.0/0] }\n\
                \x20 - { name: b, address: \"[::]:8081\" }\n\
                admin: { address: 0.0.0.0:9090 }\n\
                clusters: { objects: {}, spare: {} }\n\
                routes:\n\
                \x20 - { name: read, kind: object, cluster: objects, match: { methods: [GET, HEAD] } }\n\
                \x20 - { name: write, kind: object, cluster: objects, match: { methods: [PUT], listener: a } }\n";
    assert_eq!(
        lines(&parse(text).unwrap().warnings),
        [
            "gw.yaml:1:13: danger_ok[0]: `limits.body.max` is within its safe bound, this entry can go",
            "gw.yaml:3:25: listeners[0].address: reachable from other machines, and the writes of route `write` need \
             no capability; keep it on loopback or behind something that asks who is there",
            "gw.yaml:3:59: listeners[0].trusted_addresses[0]: everybody may claim to be anybody, \
             name the proxies in front of the gateway",
            "gw.yaml:5:19: admin.address: the control surface is reachable from other machines, keep it on loopback",
            "gw.yaml:6:26: clusters.spare: no route goes to `spare`, add one or remove the cluster",
        ]
    );
    assert!(parse("").unwrap().warnings.is_empty());
}
