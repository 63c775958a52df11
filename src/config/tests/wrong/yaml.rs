//! Keys, words, numbers and YAML itself.

use super::Wrong;

pub(super) const ALL: &[Wrong] = &[
    Wrong {
        what: "a typo in a key",
        text: "limits:
  request:
    timout: 5s
",
        says: &["gw.yaml:3:5: limits.request.timout: unknown key, did you mean `timeout`?"],
    },
    Wrong {
        what: "a key that nothing resembles",
        text: "limits:
  speed: 500/s
",
        says: &[
            "gw.yaml:2:3: limits.speed: unknown key, known here: rate, burst, in_flight, connections, per_address, penalty, request, body, decode, http2, cost, principals",
        ],
    },
    Wrong {
        what: "an unknown section",
        text: "modules: {}
",
        says: &[
            "gw.yaml:1:1: modules: unknown key, known here: profile, danger_ok, include, server, listeners, admin, clusters, routes, tenants, capability, limits, admission, degrade, metrics, log",
        ],
    },
    Wrong {
        what: "a bare number where a duration is due",
        text: "server:
  drain: 30
",
        says: &[
            "gw.yaml:2:10: server.drain: the number 30 has no unit, write one of us, ms, s, min or h, such as 250ms or 5s",
        ],
    },
    Wrong {
        what: "a wrong unit",
        text: "limits:
  body:
    max: 512KB
",
        says: &[
            "gw.yaml:3:10: limits.body.max: `KB` in `512KB` is no unit of a size, write B, KiB, MiB or GiB, such as 64KiB or 1MiB",
        ],
    },
    Wrong {
        what: "a unit of another kind",
        text: "limits: { body: { max: 5s } }
",
        says: &[
            "gw.yaml:1:24: limits.body.max: `s` in `5s` is no unit of a size, write B, KiB, MiB or GiB, such as 64KiB or 1MiB",
        ],
    },
    Wrong {
        what: "a duration that is out of range",
        text: "server: { drain: 2h }
",
        says: &["gw.yaml:1:18: server.drain: `2h` is out of range, write 0s to 1h"],
    },
    Wrong {
        what: "a number that is out of range",
        text: "server: { workers: 0 }
",
        says: &["gw.yaml:1:20: server.workers: `0` is out of range, write 1 to 1024, or auto"],
    },
    Wrong {
        what: "a word where a number is due",
        text: "server: { workers: many }
",
        says: &[
            "gw.yaml:1:20: server.workers: `many` is no such number, write a whole number from 1 to 1024, or auto",
        ],
    },
    Wrong {
        what: "a number in quotes",
        text: r#"clusters: { objects: { connections: { max: "64" } } }
"#,
        says: &[
            "gw.yaml:1:44: clusters.objects.connections.max: `64` in quotes is no such number, write a whole number from 1 to 65535",
        ],
    },
    Wrong {
        what: "a fraction where a whole number is due",
        text: "clusters: { objects: { health: { healthy: 1.5 } } }
",
        says: &[
            "gw.yaml:1:43: clusters.objects.health.healthy: `1.5` is no such number, write a whole number from 1 to 100",
        ],
    },
    Wrong {
        what: "a flag that is none",
        text: "clusters: { objects: { required: yes } }
",
        says: &["gw.yaml:1:34: clusters.objects.required: `yes` is no flag, write true or false"],
    },
    Wrong {
        what: "a share without its sign",
        text: "log: { sample_ok: 0.5 }
",
        says: &["gw.yaml:1:19: log.sample_ok: `0.5` is not a share, write per cent, such as 20%"],
    },
    Wrong {
        what: "more than the whole",
        text: "log: { sample_ok: 150% }
",
        says: &["gw.yaml:1:19: log.sample_ok: `150%` is more than the whole, write 0% to 100%"],
    },
    Wrong {
        what: "a word that is nearly right",
        text: "log: { access: jsno }
",
        says: &["gw.yaml:1:16: log.access: `jsno` is not known here, did you mean `json`?"],
    },
    Wrong {
        what: "a word that is not known",
        text: "log: { level: loud }
",
        says: &["gw.yaml:1:15: log.level: `loud` is not known here, write error, warn, info, debug or trace"],
    },
    Wrong {
        what: "a list where a map is due",
        text: "server: [1, 2]
",
        says: &["gw.yaml:1:1: server: is a list, write a map with the keys workers, drain, runtime_dir"],
    },
    Wrong {
        what: "a map where a value is due",
        text: "server: { drain: { seconds: 30 } }
",
        says: &["gw.yaml:1:11: server.drain: is a map, write a duration from 0s to 1h"],
    },
    Wrong {
        what: "a value where a list is due",
        text: "listeners: public
",
        says: &[
            "gw.yaml:1:12: listeners: `public` is a single value, write a list, each item a map with the keys name, address, protocols, probes, trusted_addresses, proxy_protocol, mode, group, peer_uids, tls",
        ],
    },
    Wrong {
        what: "nothing where a value is due",
        text: "server:
  drain:
",
        says: &["gw.yaml:2:3: server.drain: has no value, write a duration from 0s to 1h"],
    },
    Wrong {
        what: "a file that is a list",
        text: "- server
",
        says: &[
            "gw.yaml:1:1: is a list, write a map with the keys profile, danger_ok, include, server, listeners, admin, clusters, routes, tenants, capability, limits, admission, degrade, metrics, log",
        ],
    },
    Wrong {
        what: "no listener at all",
        text: "listeners: []
",
        says: &[
            "gw.yaml:1:1: listeners: is empty, write at least one, a map with the keys name, address, protocols, probes, trusted_addresses, proxy_protocol, mode, group, peer_uids, tls",
        ],
    },
    Wrong {
        what: "a listener without a name and an address",
        text: "listeners:
  - probes: true
",
        says: &[
            "gw.yaml:2:5: listeners[0].address: is missing, write HOST:PORT, [IPV6]:PORT or unix:/path",
            "gw.yaml:2:5: listeners[0].name: is missing, write a name: 1 to 64 of a-z, 0-9, _ and -",
        ],
    },
    Wrong {
        what: "a duplicate key",
        text: "server:
  drain: 1s
  workers: 2
  drain: 2s
",
        says: &["gw.yaml:4:3: server.drain: duplicate key, it stands at 2:3 already, remove one of them"],
    },
    Wrong {
        what: "two duplicate keys and a typo",
        text: "server: { drain: 1s, drain: 2s }
log: { to: stderr, to: stdout, leve: info }
",
        says: &[
            "gw.yaml:1:22: server.drain: duplicate key, it stands at 1:11 already, remove one of them",
            "gw.yaml:2:20: log.to: duplicate key, it stands at 2:8 already, remove one of them",
            "gw.yaml:2:32: log.leve: unknown key, did you mean `level`?",
        ],
    },
    Wrong {
        what: "a tab in the indentation",
        text: "server:
	drain: 30s
",
        says: &[
            "gw.yaml:2:2: server: not valid YAML (tabs disallowed within this context (block indentation)), indent with spaces instead of tabs",
        ],
    },
    Wrong {
        what: "a line indented too far",
        text: "server:
  drain: 30s
   workers: 2
",
        says: &[
            "gw.yaml:3:11: server: not valid YAML (mapping values are not allowed in this context), check the indentation of this line, the colons, brackets and quotes here and above",
        ],
    },
    Wrong {
        what: "an open bracket",
        text: "listeners: [ { name: a
",
        says: &[
            "gw.yaml:2:1: listeners[0]: not valid YAML (while parsing a flow mapping, did not find expected ',' or '}'), check the indentation of this line, the colons, brackets and quotes here and above",
        ],
    },
    Wrong {
        what: "open quotes",
        text: r#"server: { drain: "30s }
"#,
        says: &[
            "gw.yaml:1:18: server.drain: not valid YAML (while scanning a quoted scalar, found unexpected end of stream), close the quotes",
        ],
    },
    Wrong {
        what: "an anchor bomb",
        text: "a: &a [x, x, x, x, x, x, x, x, x, x]
b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]
c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]
d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]
e: [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]
",
        says: &[
            "gw.yaml:5:17: e[3]: more than 50000 values (aliases counted as often as used), write less or split the file",
        ],
    },
    Wrong {
        what: "an anchor that is not there",
        text: "server: *other
",
        says: &[
            "gw.yaml:1:9: server: not valid YAML (while parsing node, found unknown anchor), define the anchor with `&name` above its first use",
        ],
    },
    Wrong {
        what: "a YAML tag",
        text: "server: !secret { drain: 1s }
",
        says: &[
            "gw.yaml:1:9: server: YAML tags (`!…`) have no meaning here, remove the tag or put the value in quotes",
        ],
    },
    Wrong {
        what: "an unknown environment variable",
        text: r#"listeners: [ { name: a, address: "${ADDRESS}" } ]
"#,
        says: &[
            "gw.yaml:1:34: listeners[0].address: the environment has no `ADDRESS`, set it or write ${ADDRESS:-default}",
        ],
    },
    Wrong {
        what: "a variable that holds something wrong",
        text: r#"listeners: [ { name: a, address: "${HOST}" } ]
"#,
        says: &["gw.yaml:1:34: listeners[0].address: `10.0.0.1` has no port, write 10.0.0.1:8080"],
    },
    Wrong {
        what: "a lone dollar",
        text: "clusters: { objects: { health: { path: /$x } } }
",
        says: &[
            "gw.yaml:1:40: clusters.objects.health.path: a lone `$`, write $$ for a dollar or ${NAME} for a variable",
        ],
    },
];
