//! Routes, safe bounds, includes, and much at once.

use super::Wrong;

pub(super) const ALL: &[Wrong] = &[
    Wrong {
        what: "objects of an HTTP service",
        text: r#"clusters: { x: { protocol: http1, backends: [ { address: "127.0.0.1:1" } ] } }
routes: [ { name: a, match: { path: { prefix: / } }, kind: object, cluster: x } ]
"#,
        says: &[
            "gw.yaml:2:77: routes[0].cluster: objects are verified on their way to OAP/1 services, and `x` speaks HTTP: write kind: proxy or another cluster",
        ],
    },
    Wrong {
        what: "a cluster that is missing",
        text: "routes: [ { name: a, kind: object, cluster: objcts } ]
",
        says: &[
            "gw.yaml:1:45: routes[0].cluster: there is no cluster `objcts`, did you mean `objects`?",
        ],
    },
    Wrong {
        what: "a route without a cluster, and one without a kind",
        text: "routes:
  - { name: a, kind: proxy }
  - { name: b, cluster: objects }
",
        says: &[
            "gw.yaml:2:5: routes[0].cluster: is missing, write a name: 1 to 64 of a-z, 0-9, _ and -",
            "gw.yaml:3:5: routes[1].kind: is missing, write object or proxy",
        ],
    },
    Wrong {
        what: "a listener that is missing",
        text: "routes: [ { name: a, kind: object, cluster: objects, match: { listener: pubic } } ]
",
        says: &[
            "gw.yaml:1:73: routes[0].match.listener[0]: there is no listener `pubic`, did you mean `public`?",
        ],
    },
    Wrong {
        what: "routes for the same path",
        text: "routes:
  - { name: a, kind: proxy, cluster: objects, match: { path: { prefix: /x } } }
  - { name: b, kind: proxy, cluster: objects, match: { path: { prefix: /x } } }
",
        says: &[
            "gw.yaml:3:47: routes[1].match: `b` takes the same requests as `a` at 2:47, make one differ in host, path, methods or listener",
        ],
    },
    Wrong {
        what: "routes for the same path and method of a host",
        text: "routes:
  - { name: a, kind: proxy, cluster: objects, match: { host: [a.b, c.d], methods: [GET] } }
  - { name: b, kind: proxy, cluster: objects, match: { host: c.d, methods: [POST, GET] } }
",
        says: &[
            "gw.yaml:3:47: routes[1].match: `b` takes the same requests as `a` at 2:47, make one differ in host, path, methods or listener",
        ],
    },
    Wrong {
        what: "templates for the same path",
        text: r#"routes:
  - { name: a, kind: proxy, cluster: objects, match: { path: { template: "/u/{id}/x" } } }
  - { name: b, kind: proxy, cluster: objects, match: { path: { template: "/u/{name}/x" } } }
"#,
        says: &[
            "gw.yaml:3:47: routes[1].match: `b` takes the same requests as `a` at 2:47, make one differ in host, path, methods or listener",
        ],
    },
    Wrong {
        what: "two routes with one name",
        text: "routes:
  - { name: a, kind: proxy, cluster: objects }
  - { name: a, kind: proxy, cluster: objects, match: { methods: [GET] } }
",
        says: &[
            "gw.yaml:3:13: routes[1].name: the route at 2:13 has the name `a` already, give one another",
        ],
    },
    Wrong {
        what: "a template with an open brace",
        text: r#"routes: [ { name: a, kind: proxy, cluster: objects, match: { path: { template: "/u/{id" } } } ]
"#,
        says: &[
            "gw.yaml:1:80: routes[0].match.path.template: `{id` is neither text nor a variable, write a whole segment such as {id}",
        ],
    },
    Wrong {
        what: "a template with a variable twice",
        text: r#"routes: [ { name: a, kind: proxy, cluster: objects, match: { path: { template: "/{a}/{a}" } } } ]
"#,
        says: &[
            "gw.yaml:1:80: routes[0].match.path.template: the variable {a} stands twice, give each a name of its own",
        ],
    },
    Wrong {
        what: "two ways to match a path",
        text: "routes: [ { name: a, kind: proxy, cluster: objects, match: { path: { exact: /a, prefix: /b } } } ]
",
        says: &[
            "gw.yaml:1:62: routes[0].match.path: has more than one key, write exactly one: exact, prefix or template",
        ],
    },
    Wrong {
        what: "a path without its slash",
        text: "routes: [ { name: a, kind: proxy, cluster: objects, match: { path: { prefix: api/ } } } ]
",
        says: &[
            "gw.yaml:1:78: routes[0].match.path.prefix: `api/` is no path, it begins with /: write /api/",
        ],
    },
    Wrong {
        what: "a path as a single value",
        text: "routes: [ { name: a, kind: proxy, cluster: objects, match: { path: /api } } ]
",
        says: &[
            "gw.yaml:1:68: routes[0].match.path: `/api` is a single value, write a map with the key exact, prefix or template",
        ],
    },
    Wrong {
        what: "a method in lower case, and one that is never forwarded",
        text: "routes: [ { name: a, kind: proxy, cluster: objects, match: { methods: [get, TRACE] } } ]
",
        says: &[
            "gw.yaml:1:72: routes[0].match.methods[0]: `get` is no method known here, did you mean `GET`?",
            "gw.yaml:1:77: routes[0].match.methods[1]: `TRACE` is never forwarded, write GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS",
        ],
    },
    Wrong {
        what: "a host with its wildcard in the wrong place",
        text: r#"routes: [ { name: a, kind: proxy, cluster: objects, match: { host: "a.*" } } ]
"#,
        says: &[
            r#"gw.yaml:1:68: routes[0].match.host: `a.*` has its `*` in the wrong place, write it first and alone: "*.b.example""#,
        ],
    },
    Wrong {
        what: "a prefix that not every path has",
        text: "routes: [ { name: a, kind: proxy, cluster: objects, strip_prefix: /api, match: { path: { prefix: /apis } } } ]
",
        says: &[
            "gw.yaml:1:67: routes[0].strip_prefix: not every path of this route begins with `/api`, write match: { path: { prefix: /api } }",
        ],
    },
    Wrong {
        what: "a prefix stripped from objects",
        text: "routes: [ { name: a, kind: object, cluster: objects, strip_prefix: /o, match: { path: { prefix: /o/ } } } ]
",
        says: &[
            "gw.yaml:1:68: routes[0].strip_prefix: an object's path crosses as it is, remove it or write kind: proxy",
        ],
    },
    Wrong {
        what: "a body past the safe bound",
        text: "limits: { body: { max: 2MiB } }
routes: [ { name: a, kind: object, cluster: objects, body: { max: 2MiB } } ]
",
        says: &[
            "gw.yaml:1:24: limits.body.max: 2MiB is past the safe bound, write at most 1MiB or put `limits.body.max` into `danger_ok`",
            "gw.yaml:2:67: routes[0].body.max: 2MiB is past the safe bound, write at most 1MiB or put `routes.body.max` into `danger_ok`",
        ],
    },
    Wrong {
        what: "decoding past its safe bounds",
        text: "limits: { decode: { ratio: 11, floor: 65KiB, max: 9MiB } }
",
        says: &[
            "gw.yaml:1:28: limits.decode.ratio: 11 is past the safe bound, write at most 10 or put `limits.decode.ratio` into `danger_ok`",
            "gw.yaml:1:39: limits.decode.floor: 65KiB is past the safe bound, write at most 64KiB or put `limits.decode.floor` into `danger_ok`",
            "gw.yaml:1:51: limits.decode.max: 9MiB is past the safe bound, write at most 8MiB or put `limits.decode.max` into `danger_ok`",
        ],
    },
    Wrong {
        what: "bounds of decoding that are none",
        text: "limits: { decode: { ratio: 10x, floor: 64, max: 8MB, memory_total: 100KiB } }
routes: [ { name: a, kind: object, cluster: objects, decode: verfy } ]
",
        says: &[
            "gw.yaml:1:28: limits.decode.ratio: `10x` is no such number, write a whole number from 1 to 1000000",
            "gw.yaml:1:40: limits.decode.floor: the number 64 has no unit, write one of B, KiB, MiB or GiB, such as 64KiB or 1MiB",
            "gw.yaml:1:49: limits.decode.max: `MB` in `8MB` is no unit of a size, write B, KiB, MiB or GiB, such as 64KiB or 1MiB",
            "gw.yaml:1:68: limits.decode.memory_total: `100KiB` is out of range, write 112KiB to 1024GiB",
            "gw.yaml:2:62: routes[0].decode: `verfy` is not known here, did you mean `verify`?",
        ],
    },
    Wrong {
        what: "a floor past the cap of decoded bytes",
        text: "limits: { decode: { max: 32KiB } }
",
        says: &[
            "gw.yaml:1:26: limits.decode.max: the floor of 64KiB is past the cap of 32KiB on all decoded bytes, lower `floor` or raise `max`",
        ],
    },
    Wrong {
        what: "a bound lifted for another key",
        text: "danger_ok: [limits.body.max]
routes: [ { name: a, kind: object, cluster: objects, body: { max: 2MiB } } ]
",
        says: &[
            "gw.yaml:2:67: routes[0].body.max: 2MiB is past the safe bound, write at most 1MiB or put `routes.body.max` into `danger_ok`",
        ],
    },
    Wrong {
        what: "a bound that cannot be lifted",
        text: "danger_ok: [limits.body]
",
        says: &[
            "gw.yaml:1:13: danger_ok[0]: `limits.body` is not known here, did you mean `limits.body.max`?",
        ],
    },
    Wrong {
        what: "a strict profile that lifts bounds",
        text: "profile: strict
danger_ok: [limits.body.max]
limits: { body: { max: 2MiB } }
",
        says: &[
            "gw.yaml:2:1: danger_ok: `profile: strict` lifts no safe bound, empty this list or drop the profile",
            "gw.yaml:3:24: limits.body.max: 2MiB is past the safe bound, under `profile: strict` write at most 1MiB",
        ],
    },
    Wrong {
        what: "a profile that is not known",
        text: "profile: paranoid
",
        says: &[
            "gw.yaml:1:10: profile: `paranoid` is not known here, write default or strict",
        ],
    },
    Wrong {
        what: "a connection window smaller than its streams need",
        text: "limits: { http2: { streams: 200 } }
",
        says: &[
            "gw.yaml:1:11: limits.http2.connection_window: is less than streams × stream_window, write at least 12800KiB",
        ],
    },
    Wrong {
        what: "a pattern that is none",
        text: r#"include: [ "conf.d/[ab].yaml" ]
"#,
        says: &[
            "gw.yaml:1:12: include[0]: `conf.d/[ab].yaml` has `[`, patterns have `*` and `?` only: conf.d/*.yaml",
        ],
    },
    Wrong {
        what: "an included file that is not there",
        text: "include: [ /nowhere/a.yaml ]
",
        says: &[
            "gw.yaml:1:12: include[0]: there is no file `/nowhere/a.yaml`, name one or write a pattern such as conf.d/*.yaml",
        ],
    },
    Wrong {
        what: "a folder that is not there",
        text: r#"include: [ "/nowhere/*.yaml" ]
"#,
        says: &[
            "gw.yaml:1:12: include[0]: `/nowhere/*.yaml`: `/nowhere` cannot be listed (No such file or directory), name a folder that is there",
        ],
    },
    Wrong {
        what: "a wrong path, which is not taken for any path",
        text: "routes:
  - { name: a, kind: proxy, cluster: objects }
  - { name: b, kind: proxy, cluster: objects, match: { path: { template: /b } } }
",
        says: &[
            "gw.yaml:3:74: routes[1].match.path.template: `/b` has no variable, write exact: /b",
        ],
    },
    Wrong {
        what: "one mistake in each of many sections",
        text: "profile: strikt
server: { drain: soon }
listeners: [ { name: a, address: 1 } ]
clusters: { x: { balance: rr } }
routes: [ { name: b, kind: prox, cluster: x }, { name: c, kind: object, cluster: y } ]
logs: {}
",
        says: &[
            "gw.yaml:1:10: profile: `strikt` is not known here, did you mean `strict`?",
            "gw.yaml:2:18: server.drain: `soon` is not a duration, write a whole number with us, ms, s, min or h, such as 250ms or 5s",
            "gw.yaml:3:34: listeners[0].address: `1` is no address, write HOST:PORT such as 127.0.0.1:8080, [IPV6]:PORT, or unix:/path",
            "gw.yaml:4:27: clusters.x.balance: `rr` is not known here, write round_robin or least_requests, or a map with the key hash",
            "gw.yaml:5:28: routes[0].kind: `prox` is not known here, did you mean `proxy`?",
            "gw.yaml:5:82: routes[1].cluster: there is no cluster `y`, known here: x",
            "gw.yaml:6:1: logs: unknown key, did you mean `log`?",
        ],
    },
];
