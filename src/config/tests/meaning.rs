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
         \x20   decode: decode\n\
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
    assert_eq!((route.encoded_slash, route.decode), (EncodedSlash::Allow, Decode::Decode));
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
fn tenants_and_their_bounds_arrive_typed() {
    let config = config(
        "listeners: [ { name: a, address: unix:/a }, { name: b, address: \"127.0.0.1:1\", proxy_protocol: required, \
         trusted_addresses: [10.0.0.1] } ]\n\
         clusters: { objects: { in_flight: 16 } }\n\
         routes: [ { name: r, kind: object, cluster: objects, tenants: [acme], weight: 3, shed: never } ]\n\
         tenants:\n\
         \x20 acme:\n\
         \x20   id: 0190d93d-0637-47cc-0a82-c0d059ba7060\n\
         \x20   weight: 4\n\
         \x20   quota: { rate: 90/min, bytes: 50MiB/s, shadow: true }\n\
         \x20   principal: { rate: 50/s, burst: 100, in_flight: 25% }\n\
         \x20   in_flight: 8\n\
         \x20   queue: 7\n\
         \x20   identify:\n\
         \x20     - { listener: a, peer_uid: [0, 1000] }\n\
         \x20     - { address: [10.0.0.0/8, \"::1\"], header: { name: X-Tenant, value: acme inc } }\n\
         limits:\n\
         \x20 per_address: { rate: none, connections: none }\n\
         \x20 penalty: { after: 0 }\n\
         \x20 cost: { DELETE: 2, GET: 2 }\n\
         degrade: { memory: 1GiB, in_flight: 50% }\n\
         admission: { queue: 9, gather: 0B }\n",
    );
    assert_eq!(config.listeners[1].proxy_protocol, ProxyProtocol::Required);
    assert_eq!(config.clusters["objects"].in_flight, InFlight::Requests(16.try_into().unwrap()));
    let route = &config.routes[0];
    assert_eq!((route.tenants[0].as_str(), route.weight.get(), route.shed), ("acme", 3, Shed::Never));
    assert_eq!(config.tenants.keys().map(Name::as_str).collect::<Vec<_>>(), ["acme", "anonymous"]);
    assert_eq!(config.tenants["anonymous"], Tenant::default());
    let acme = &config.tenants["acme"];
    assert_eq!(acme.id.unwrap().number(), 0x0190_d93d_0637_47cc_0a82_c0d0_59ba_7060);
    assert_eq!((acme.weight.get(), acme.queue.unwrap().get()), (4, 7));
    let (rate, burst) = acme.quota.bucket().unwrap();
    assert_eq!((rate.tokens().get(), rate.period(), burst.get()), (90, Duration::from_secs(60), 2));
    assert_eq!((acme.quota.bytes.unwrap().bytes().get(), acme.quota.shadow), (50 << 20, true));
    assert_eq!(acme.principal.bucket().unwrap().1.get(), 100);
    assert_eq!(acme.principal.in_flight, InFlight::Share(Share::percent(25)));
    assert_eq!(acme.in_flight, InFlight::Requests(8.try_into().unwrap()));
    let criteria: Vec<_> = acme.identify.iter().map(Identify::criteria).collect();
    assert_eq!(
        (criteria[0].listeners.as_slice(), criteria[0].peer_uids.as_slice()),
        (&["a".to_owned()][..], &[0, 1000][..])
    );
    let header = criteria[1].header.as_ref().unwrap();
    assert_eq!((header.name.as_str(), header.value.as_str()), ("x-tenant", "acme inc"));
    assert_eq!(criteria[1].networks.len(), 2);
    let limits = &config.limits;
    assert_eq!(
        (limits.per_address.bucket(), limits.per_address.connections, limits.penalty.after),
        (None, None, 0)
    );
    assert_eq!(["GET", "DELETE", "POST", "BREW"].map(|method| limits.cost.of(method).get()), [2, 2, 1, 1]);
    assert_eq!((config.degrade.memory, config.degrade.in_flight), (Some(1 << 30), Share::percent(50)));
    assert_eq!((config.admission.queue.get(), config.admission.gather), (9, 0));
    assert_eq!(effective_again(&config), config);
}

#[test]
fn tenants_that_ask_for_different_things_are_told_apart() {
    for (a, b) in [
        ("{ address: [10.0.0.0/8] }", "{ address: [10.0.0.0/9] }"),
        ("{ address: [10.0.0.0/8] }", "{ address: [10.0.0.0/8], listener: public }"),
        ("{ header: { name: x-a, value: a } }", "{ header: { name: x-a, value: b } }"),
        ("{ header: { name: x-a, value: a } }", "{ header: { name: x-b, value: a } }"),
        ("{ peer_uid: [1, 2] }", "{ peer_uid: [3] }"),
    ] {
        let text = format!("tenants: {{ a: {{ identify: [ {a} ] }}, b: {{ identify: [ {b} ] }} }}");
        assert_eq!(config(&text).tenants.len(), 3, "{text}");
    }
}

#[test]
fn an_item_with_too_many_combinations_is_to_be_split() {
    let uids = |n: usize| (0..n).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let addresses = |n: usize| (0..n).map(|n| format!("10.0.0.{n}")).collect::<Vec<_>>().join(", ");
    let item = |n: usize| format!("{{ peer_uid: [{}], address: [{}] }}", uids(n), addresses(64));
    let text = |n: usize| format!("tenants: {{ a: {{ identify: [ {} ] }} }}", item(n));
    assert_eq!(config(&text(64)).tenants["a"].identify.len(), 1);
    assert_eq!(
        lines(parse(&text(65)).unwrap_err().findings()),
        [
            "gw.yaml:1:29: tenants.a.identify[0]: has 4160 combinations of values, at most 4096 are known at once: split it"
        ]
    );
}

#[test]
fn rates_and_headers_that_do_not_hold_what_they_promise_are_warned_of() {
    let warnings = |text: &str| lines(&parse(text).unwrap().warnings);
    let rates = "limits: { rate: 10/s, burst: 10 }\ntenants: { a: { quota: { rate: 5/s } }, b: { quota: { rate: 301/min } } }";
    assert_eq!(
        warnings(rates),
        [
            "gw.yaml:1:17: limits.rate: the tenants' rates add up to 11/s, more than the 10/s of the instance: when all of \
          them are busy each gets its share by weight, not its rate"
        ]
    );
    assert!(warnings(&rates.replace("301/min", "300/min")).is_empty());
    assert_eq!(
        warnings("tenants: { a: { quota: { rate: 501/s } } }"),
        [
            "gw.yaml:1:1: tenants: the tenants' rates add up to 501/s, more than the 500/s of the instance: when all of \
          them are busy each gets its share by weight, not its rate"
        ]
    );
    let header = |listeners: &str, more: &str| {
        warnings(&format!(
            "listeners: [ {listeners} ]\ntenants: {{ a: {{ identify: [ {{ header: {{ name: x-a, value: a }}{more} }} ] }} }}"
        ))
    };
    let (plain, proxied) = (
        "{ name: p, address: \"127.0.0.1:1\" }",
        "{ name: q, address: unix:/q, trusted_addresses: [\"::1\"] }",
    );
    let warning = "gw.yaml:2:31: tenants.a.identify[0].header: no listener that it may come through has \
                   `trusted_addresses`, so this header is never believed, name the proxies there";
    assert_eq!(header(plain, ""), [warning]);
    assert_eq!(header(&format!("{plain}, {proxied}"), ""), [""; 0]);
    assert_eq!(header(&format!("{plain}, {proxied}"), ", listener: q"), [""; 0]);
    assert_eq!(header(&format!("{plain}, {proxied}"), ", listener: p"), [warning]);
}

#[test]
fn a_safe_bound_is_lifted_by_name() {
    let text = "danger_ok: [limits.body.max, routes.body.max, limits.rate, limits.in_flight, limits.decode.ratio,\n\
                \x20 limits.decode.floor, limits.decode.max]\n\
                limits: { body: { max: 2MiB }, rate: 9000/s, in_flight: 8192,\n\
                \x20 decode: { ratio: 11, floor: 65KiB, max: 9MiB, memory_total: 1MiB } }\n\
                routes: [ { name: a, kind: object, cluster: objects, body: { max: 1GiB } } ]\n";
    let loaded = parse(text).unwrap();
    assert_eq!(loaded.config.limits.body.max, 2 << 20);
    assert_eq!(
        (loaded.config.limits.rate.tokens().get(), loaded.config.limits.in_flight.get()),
        (9000, 8192)
    );
    assert_eq!(loaded.config.routes[0].body.max, Some(1 << 30));
    let DecodeLimits { ratio, floor, max, memory_total } = loaded.config.limits.decode;
    assert_eq!((ratio.get(), floor, max, memory_total), (11, 65 << 10, 9 << 20, 1 << 20));
    assert!(loaded.warnings.is_empty());
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
                \x20 - { name: write, kind: object, cluster: objects, match: { methods: [PUT], listener: a } }\n\
                \x20 - { name: blind, kind: object, cluster: objects, match: { host: b, methods: [GET] }, decode: off }\n";
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
            "gw.yaml:10:96: routes[2].decode: encoded bodies are forwarded unseen, whatever they become when the service \
             decodes them",
        ]
    );
    assert!(parse("").unwrap().warnings.is_empty());
}
