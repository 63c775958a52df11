//! Addresses, listeners, admin and clusters.

use super::Wrong;

pub(super) const ALL: &[Wrong] = &[
    Wrong {
        what: "an address without a port",
        text: "admin: { address: 127.0.0.1 }
",
        says: &[
            "gw.yaml:1:19: admin.address: `127.0.0.1` has no port, write 127.0.0.1:8080",
        ],
    },
    Wrong {
        what: "an address without a host",
        text: r#"listeners: [ { name: a, address: ":8080" } ]
"#,
        says: &[
            "gw.yaml:1:34: listeners[0].address: `:8080` has no host, write 0.0.0.0:8080 or [::]:8080 for all interfaces",
        ],
    },
    Wrong {
        what: "a port that is none",
        text: "listeners: [ { name: a, address: 127.0.0.1:99999 } ]
",
        says: &[
            "gw.yaml:1:34: listeners[0].address: `99999` in `127.0.0.1:99999` is no port, write 0 to 65535",
        ],
    },
    Wrong {
        what: "an IPv6 address without brackets",
        text: r#"admin: { address: "1:2:3:4:5:6:7:8:9090" }
"#,
        says: &[
            "gw.yaml:1:19: admin.address: an IPv6 address stands in brackets, write [1:2:3:4:5:6:7:8]:9090",
        ],
    },
    Wrong {
        what: "an admin socket that is none",
        text: "admin: { socket: 127.0.0.1:9091 }
",
        says: &[
            "gw.yaml:1:18: admin.socket: is no Unix socket, write unix:/path or none",
        ],
    },
    Wrong {
        what: "a Unix socket as the admin address",
        text: "admin: { address: unix:/run/a.sock }
",
        says: &[
            "gw.yaml:1:19: admin.address: is a Unix socket, write HOST:PORT here and unix:/path at `admin.socket`",
        ],
    },
    Wrong {
        what: "a socket's path that is too long",
        text: r#"admin: { socket: "unix:/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" }
"#,
        says: &[
            "gw.yaml:1:18: admin.socket: the path has 111 bytes and a Unix socket's at most 107, write a shorter one, or none",
        ],
    },
    Wrong {
        what: "two listeners with one address",
        text: "listeners:
  - { name: a, address: 127.0.0.1:8080 }
  - { name: b, address: 0.0.0.0:8080 }
",
        says: &[
            "gw.yaml:3:25: listeners[1].address: `0.0.0.0:8080` collides with `listeners[0].address` at 2:25, give one another port or path",
        ],
    },
    Wrong {
        what: "a listener on the admin address",
        text: "listeners: [ { name: a, address: 127.0.0.1:9090 } ]
",
        says: &[
            "gw.yaml:1:34: listeners[0].address: `127.0.0.1:9090` collides with `admin.address` at 1:1, give one another port or path",
        ],
    },
    Wrong {
        what: "two listeners with one name",
        text: "listeners:
  - { name: a, address: 127.0.0.1:1 }
  - { name: a, address: 127.0.0.1:2 }
",
        says: &[
            "gw.yaml:3:13: listeners[1].name: the listener at 2:13 has the name `a` already, give one another",
        ],
    },
    Wrong {
        what: "a listener named admin",
        text: "listeners: [ { name: admin, address: 127.0.0.1:1 } ]
",
        says: &[
            "gw.yaml:1:22: listeners[0].name: `admin` is the admin listener's name, write another",
        ],
    },
    Wrong {
        what: "a mode on a TCP listener",
        text: "listeners: [ { name: a, address: 127.0.0.1:1, mode: 0600 } ]
",
        says: &[
            "gw.yaml:1:53: listeners[0].mode: only a Unix socket has a mode, remove it or write address: unix:/path",
        ],
    },
    Wrong {
        what: "peers and a group on a TCP listener, and a group that is not there",
        text: "listeners:
  - { name: a, address: 127.0.0.1:1, group: 0, peer_uids: [0] }
  - { name: b, address: unix:/b, group: no-such-group, peer_uids: [-1] }
",
        says: &[
            "gw.yaml:2:45: listeners[0].group: only a Unix socket has a group, remove it or write address: unix:/path",
            "gw.yaml:2:48: listeners[0].peer_uids: only a Unix socket has peers with uids, remove it or write address: unix:/path",
            "gw.yaml:3:41: listeners[1].group: there is no group `no-such-group`, write one of /etc/group or a number, or none",
            "gw.yaml:3:68: listeners[1].peer_uids[0]: `-1` is no such number, write a whole number from 0 to 4294967295",
        ],
    },
    Wrong {
        what: "TLS without certificates, and with words that are none",
        text: "listeners:
  - { name: a, address: 127.0.0.1:1, tls: {} }
  - { name: b, address: 127.0.0.1:2, tls: { certificates: [] } }
  - { name: c, address: 127.0.0.1:3, tls: { certificates: [ { cert: /nowhere } ], min_version: \"1.1\", pq: on } }
  - { name: d, address: 127.0.0.1:4, tls: { handshake_timeout: 0s, handshakes: 0, client_auth: require } }
",
        says: &[
            "gw.yaml:2:38: listeners[0].tls.certificates: is missing, write a list, each item a map with the keys cert, key",
            "gw.yaml:3:45: listeners[1].tls.certificates: is empty, write at least one, a map with the keys cert, key",
            "gw.yaml:4:61: listeners[2].tls.certificates[0].key: is missing, write a PEM file of mode 0600 or 0400",
            "gw.yaml:4:69: listeners[2].tls.certificates[0].cert: `/nowhere` cannot be read (No such file or directory), name a file that is there and readable",
            "gw.yaml:4:96: listeners[2].tls.min_version: `1.1` is not known here, did you mean `1.2`?",
            "gw.yaml:4:107: listeners[2].tls.pq: `on` is not known here, write require, prefer or off",
            "gw.yaml:5:38: listeners[3].tls.certificates: is missing, write a list, each item a map with the keys cert, key",
            "gw.yaml:5:64: listeners[3].tls.handshake_timeout: `0s` is out of range, write 10ms to 1min",
            "gw.yaml:5:80: listeners[3].tls.handshakes: `0` is out of range, write 1 to 65536",
            "gw.yaml:5:96: listeners[3].tls.client_auth: `require` is not known here, did you mean `required`?",
        ],
    },
    Wrong {
        what: "a mode that is none",
        text: "listeners: [ { name: a, address: unix:/a, mode: 0888 } ]
",
        says: &[
            "gw.yaml:1:49: listeners[0].mode: `0888` is no mode, write three octal digits such as 0600 or 0660",
        ],
    },
    Wrong {
        what: "a protocol that needs TLS, and one twice",
        text: "listeners: [ { name: a, address: unix:/a, protocols: [h2] }, { name: b, address: unix:/b, protocols: [h1, h1] } ]
",
        says: &[
            "gw.yaml:1:55: listeners[0].protocols[0]: `h2` is HTTP/2 over TLS, add `tls` or write h2c",
            "gw.yaml:1:107: listeners[1].protocols[1]: stands in this list already, remove it",
        ],
    },
    Wrong {
        what: "a network with host bits",
        text: "listeners: [ { name: a, address: unix:/a, trusted_addresses: [10.0.0.1/8] } ]
",
        says: &[
            "gw.yaml:1:63: listeners[0].trusted_addresses[0]: `10.0.0.1/8` has bits behind the prefix, did you mean `10.0.0.0/8`?",
        ],
    },
    Wrong {
        what: "a name with capitals",
        text: "clusters: { Objects: {} }
",
        says: &[
            "gw.yaml:1:1: clusters: the default routes go to the cluster `objects`, write `routes` too or a cluster of that name",
            "gw.yaml:1:13: clusters.Objects: `Objects` is no name, write 1 to 64 of a-z, 0-9, _ and -",
        ],
    },
    Wrong {
        what: "clusters without the one that the default routes need",
        text: "clusters:
  api: { backends: [ { address: 127.0.0.1:1 } ] }
",
        says: &[
            "gw.yaml:1:1: clusters: the default routes go to the cluster `objects`, write `routes` too or a cluster of that name",
        ],
    },
    Wrong {
        what: "retries without a first attempt",
        text: "clusters: { objects: { retry: { attempts: 0 } } }
",
        says: &[
            "gw.yaml:1:43: clusters.objects.retry.attempts: `0` is out of range, write 1 to 10",
        ],
    },
    Wrong {
        what: "hedging over HTTP",
        text: "clusters: { objects: { protocol: http1, backends: [ { address: 127.0.0.1:1 } ], hedge: { after: p95 } } }
routes: []
",
        says: &[
            "gw.yaml:1:81: clusters.objects.hedge: only `oap` clusters hedge, write hedge: off or protocol: oap",
        ],
    },
    Wrong {
        what: "a hedge that is neither off nor a map",
        text: "clusters: { objects: { hedge: on } }
",
        says: &[
            "gw.yaml:1:31: clusters.objects.hedge: `on` is not known here, write off, or a map with the keys after, budget",
        ],
    },
    Wrong {
        what: "a percentile that is none",
        text: "clusters: { objects: { hedge: { after: 95% } } }
",
        says: &[
            "gw.yaml:1:40: clusters.objects.hedge.after: `95%` is no percentile, write p50 to p99 such as p95",
        ],
    },
    Wrong {
        what: "an embedded store over HTTP",
        text: "clusters: { objects: { protocol: http2 } }
routes: []
",
        says: &[
            "gw.yaml:1:13: clusters.objects.backends: the embedded store speaks OAP/1 only, write protocol: oap or list the backends",
        ],
    },
    Wrong {
        what: "backends that are a word",
        text: "clusters: { objects: { backends: 10.0.0.1:9401 } }
",
        says: &[
            "gw.yaml:1:34: clusters.objects.backends: `10.0.0.1:9401` is not known here, write embedded, or a list, each item a map with the keys address, weight, or a map with the keys dns, refresh",
        ],
    },
    Wrong {
        what: "no backends",
        text: "clusters: { objects: { backends: [] } }
",
        says: &[
            "gw.yaml:1:24: clusters.objects.backends: is empty, write at least one, a map with the keys address, weight",
        ],
    },
    Wrong {
        what: "a backend without an address, and one with port 0",
        text: "clusters: { objects: { backends: [ { weight: 1 }, { address: 10.0.0.1:0 } ] } }
",
        says: &[
            "gw.yaml:1:36: clusters.objects.backends[0].address: is missing, write HOST:PORT, [IPV6]:PORT or unix:/path",
            "gw.yaml:1:62: clusters.objects.backends[1].address: `10.0.0.1:0` has port 0, write the port on which the service listens",
        ],
    },
    Wrong {
        what: "a backend that is a name",
        text: "clusters: { objects: { backends: [ { address: objects.internal:9401 } ] } }
",
        says: &[
            "gw.yaml:1:47: clusters.objects.backends[0].address: `objects.internal:9401` is a name, write its IP address (for a cluster's names, `backends: { dns: objects.internal:9401 }`)",
        ],
    },
    Wrong {
        what: "a backend twice",
        text: "clusters: { objects: { backends: [ { address: 10.0.0.1:1 }, { address: 10.0.0.1:1 } ] } }
",
        says: &[
            "gw.yaml:1:72: clusters.objects.backends[1].address: stands in this list already, give one a larger weight",
        ],
    },
    Wrong {
        what: "discovery without a port",
        text: "clusters: { objects: { backends: { dns: objects.internal } } }
",
        says: &[
            "gw.yaml:1:41: clusters.objects.backends.dns: `objects.internal` has no port, write NAME:PORT such as objects.internal:9401",
        ],
    },
    Wrong {
        what: "objects hashed where there are none",
        text: "clusters: { objects: { balance: { hash: object } } }
routes: [ { name: a, kind: proxy, cluster: objects } ]
",
        says: &[
            "gw.yaml:1:41: clusters.objects.balance.hash: the route `a` brings requests without an object, write hash: { header: NAME }",
        ],
    },
    Wrong {
        what: "hashing written in one word",
        text: "clusters: { objects: { balance: hash } }
",
        says: &[
            "gw.yaml:1:33: clusters.objects.balance: `hash` is not known here, write round_robin or least_requests, or a map with the key hash",
        ],
    },
    Wrong {
        what: "hashing without a header's name",
        text: r#"clusters: { objects: { balance: { hash: { header: "x y" } } } }
"#,
        says: &[
            "gw.yaml:1:51: clusters.objects.balance.hash.header: `x y` is no header field name, write one such as x-user",
        ],
    },
    Wrong {
        what: "TLS to a Unix socket",
        text: "clusters: { objects: { backends: [ { address: unix:/a } ], tls: { server_name: a.b } } }
",
        says: &[
            "gw.yaml:1:60: clusters.objects.tls: there is no TLS on Unix sockets, remove `tls` or write HOST:PORT addresses",
        ],
    },
    Wrong {
        what: "TLS to the embedded store",
        text: "clusters: { objects: { tls: {} } }
",
        says: &[
            "gw.yaml:1:24: clusters.objects.tls: the embedded store has no TLS, remove `tls` or list the backends",
        ],
    },
    Wrong {
        what: "TLS without a name to expect",
        text: "clusters: { objects: { backends: [ { address: 10.0.0.1:1 } ], tls: {} } }
",
        says: &[
            "gw.yaml:1:63: clusters.objects.tls.server_name: is missing, write the name in the backends' certificate",
        ],
    },
    Wrong {
        what: "a certificate file that is not there",
        text: "clusters: { objects: { backends: { dns: a.b:1 }, tls: { ca: /nowhere/ca.pem } } }
",
        says: &[
            "gw.yaml:1:61: clusters.objects.tls.ca: `/nowhere/ca.pem` cannot be read (No such file or directory), name a file that is there and readable",
        ],
    },
    Wrong {
        what: "a window smaller than the protocol's",
        text: "clusters: { objects: { connections: { window: 64KiB } } }
",
        says: &[
            "gw.yaml:1:47: clusters.objects.connections.window: `64KiB` is out of range, write 128KiB to 4MiB",
        ],
    },
    Wrong {
        what: "an ejection longer than the longest",
        text: "clusters: { objects: { ejection: { base: 10min } } }
",
        says: &[
            "gw.yaml:1:42: clusters.objects.ejection.base: is longer than `ejection.max`, write less or raise that",
        ],
    },
    Wrong {
        what: "wrong backends, which are not taken for embedded ones",
        text: "clusters: { objects: { protocol: http1, backends: { dns: x }, hedge: off } }
routes: []
",
        says: &[
            "gw.yaml:1:58: clusters.objects.backends.dns: `x` has no port, write NAME:PORT such as objects.internal:9401",
        ],
    },
    Wrong {
        what: "a wrong protocol, which is not taken for oap or another",
        text: "clusters: { objects: { protocol: htp1, backends: [ { address: 10.0.0.1:1 } ], hedge: {} } }
",
        says: &[
            "gw.yaml:1:34: clusters.objects.protocol: `htp1` is not known here, did you mean `http1`?",
        ],
    },
    Wrong {
        what: "a wrong cluster, which is there all the same",
        text: "clusters: { objects: [ 1 ] }
",
        says: &[
            "gw.yaml:1:13: clusters.objects: is a list, write a map with the keys protocol, backends, required, in_flight, balance, tls, timeouts, connections, health, ejection, retry, hedge",
        ],
    },
    Wrong {
        what: "a wrong listener, which is there all the same",
        text: "listeners: [ { name: a, address: 1 }, { name: b, address: unix:/b } ]
routes: [ { name: r, kind: object, cluster: objects, match: { listener: [a, b] } } ]
",
        says: &[
            "gw.yaml:1:34: listeners[0].address: `1` is no address, write HOST:PORT such as 127.0.0.1:8080, [IPV6]:PORT, or unix:/path",
        ],
    },
];
