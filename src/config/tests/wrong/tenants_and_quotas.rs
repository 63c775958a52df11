//! Tenants, their evidence, quotas and admission.

use super::Wrong;

pub(super) const ALL: &[Wrong] = &[
    Wrong {
        what: "a rate without a period, one without a number, and a share that is none",
        text: "limits: { rate: 500, per_address: { rate: nnoe } }
degrade: { release: 0.8 }
",
        says: &[
            "gw.yaml:1:17: limits.rate: the number 500 has no period, write one of /s, /min or /h, such as 500/s or 30/min",
            "gw.yaml:1:43: limits.per_address.rate: `nnoe` is not known here, did you mean `none`?",
            "gw.yaml:2:21: degrade.release: `0.8` is not a share, write per cent, such as 20%",
        ],
    },
    Wrong {
        what: "a rate in another unit",
        text: "tenants: { acme: { quota: { rate: 5/sec, bytes: 50MB/s } } }
",
        says: &[
            "gw.yaml:1:35: tenants.acme.quota.rate: `sec` in `5/sec` is no period, write /s, /min or /h, such as 500/s or 30/min",
            "gw.yaml:1:49: tenants.acme.quota.bytes: `MB` in `50MB` is no unit of a size, write B, KiB, MiB or GiB, such as 64KiB or 1MiB",
        ],
    },
    Wrong {
        what: "a burst without its rate",
        text: "tenants:
  acme: { quota: { burst: 5 }, principal: { burst: 5 } }
",
        says: &[
            "gw.yaml:2:27: tenants.acme.quota.burst: stands without its rate, add `rate`",
            "gw.yaml:2:52: tenants.acme.principal.burst: stands without its rate, add `rate`",
        ],
    },
    Wrong {
        what: "requests at once that are neither number nor share",
        text: "tenants: { acme: { in_flight: many } }
clusters: { objects: { in_flight: 120% } }
",
        says: &[
            "gw.yaml:1:31: tenants.acme.in_flight: `many` is not known here, write auto, or a whole number from 1 to 65536, or a share such as 20%",
            "gw.yaml:2:35: clusters.objects.in_flight: `120%` is not known here, write auto, or a whole number from 1 to 65536, or a share such as 20%",
        ],
    },
    Wrong {
        what: "a weight out of range",
        text: "tenants: { acme: { weight: 0 } }
routes: [ { name: a, kind: object, cluster: objects, weight: 1001 } ]
",
        says: &[
            "gw.yaml:1:28: tenants.acme.weight: `0` is out of range, write 1 to 1000",
            "gw.yaml:2:62: routes[0].weight: `1001` is out of range, write 1 to 1000",
        ],
    },
    Wrong {
        what: "an id that is none, and one that two tenants have",
        text: "tenants:
  a: { id: 12 }
  b: { id: 01JCXK5T1Q8Z6M0N4R2S7V9W3B }
  c: { id: 01JCXK5T1Q8Z6M0N4R2S7V9W3B }
",
        says: &[
            "gw.yaml:2:12: tenants.a.id: `12` is no tenant's id, write a ULID, a UUID or 32 hex digits, not all 0",
            "gw.yaml:4:12: tenants.c.id: the tenant at 3:12 has this id already, give one another",
        ],
    },
    Wrong {
        what: "a tenant's name that is no label",
        text: "tenants: { Acme: {} }
",
        says: &[
            "gw.yaml:1:12: tenants.Acme: `Acme` is no name, write 1 to 64 of a-z, 0-9, _ and -",
        ],
    },
    Wrong {
        what: "a route for a tenant that is missing, and for one twice",
        text: "tenants: { acme: {} }
routes: [ { name: a, kind: object, cluster: objects, tenants: [acne, acme, acme] } ]
",
        says: &[
            "gw.yaml:2:64: routes[0].tenants[0]: there is no tenant `acne`, did you mean `acme`?",
            "gw.yaml:2:76: routes[0].tenants[2]: stands in this list already, remove it",
        ],
    },
    Wrong {
        what: "a route for nobody",
        text: "routes: [ { name: a, kind: object, cluster: objects, tenants: [] } ]
",
        says: &[
            "gw.yaml:1:54: routes[0].tenants: is empty, write at least one, a name: 1 to 64 of a-z, 0-9, _ and -",
        ],
    },
    Wrong {
        what: "a word for shed that is not known",
        text: "routes: [ { name: a, kind: object, cluster: objects, shed: allways } ]
",
        says: &[
            "gw.yaml:1:60: routes[0].shed: `allways` is not known here, write with_writes, last or never",
        ],
    },
    Wrong {
        what: "evidence for nobody, and for who has none",
        text: "tenants:
  acme: { identify: [ {} ] }
  anonymous: { identify: [ { address: [10.0.0.0/8] } ] }
",
        says: &[
            "gw.yaml:2:23: tenants.acme.identify[0]: recognises nobody, write at least one of listener, client_certificate, api_key, peer_uid, address, header or sni",
            "gw.yaml:3:16: tenants.anonymous.identify: `anonymous` is who has no other identity, remove it or name another tenant",
        ],
    },
    Wrong {
        what: "evidence through a listener that is missing",
        text: "tenants: { acme: { identify: [ { listener: pubilc } ] } }
",
        says: &[
            "gw.yaml:1:44: tenants.acme.identify[0].listener[0]: there is no listener `pubilc`, did you mean `public`?",
        ],
    },
    Wrong {
        what: "digests that are none",
        text: "tenants:
  acme:
    identify:
      - api_key: { header: x-api-key, blake3: [5e0a] }
      - client_certificate: { spki_sha256: [] }
      - api_key: { header: x api, blake3: [] }
",
        says: &[
            "gw.yaml:4:48: tenants.acme.identify[0].api_key.blake3[0]: `5e0a` is no digest of 256 bits, write 64 hex digits",
            "gw.yaml:5:31: tenants.acme.identify[1].client_certificate.spki_sha256: is empty, write at least one, 64 hex digits",
            "gw.yaml:6:28: tenants.acme.identify[2].api_key.header: `x api` is no header field name, write one such as x-user",
            "gw.yaml:6:35: tenants.acme.identify[2].api_key.blake3: is empty, write at least one, 64 hex digits",
        ],
    },
    Wrong {
        what: "certificates where nobody is asked for one",
        text: "tenants:
  acme:
    identify:
      - client_certificate: { spki_sha256: [af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262] }
      - sni: [acme.example]
",
        says: &[
            "gw.yaml:4:9: tenants.acme.identify[0].client_certificate: no listener that it may come through asks for client certificates, write `tls.client_ca` there or take other evidence",
            "gw.yaml:5:9: tenants.acme.identify[1].sni: no listener that it may come through asks for client certificates, write `tls.client_ca` there or take other evidence",
        ],
    },
    Wrong {
        what: "an API key where the capability is",
        text: "tenants: { acme: { identify: [ { api_key: { header: Authorization, blake3: [af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262] } } ] } }
",
        says: &[
            "gw.yaml:1:53: tenants.acme.identify[0].api_key.header: carries capabilities, write another such as x-api-key",
        ],
    },
    Wrong {
        what: "a header without a value, and one with a line break",
        text: r#"tenants:
  a: { identify: [ { header: { name: x-tenant } } ] }
  b: { identify: [ { header: { name: x-tenant, value: "a\nb" } } ] }
"#,
        says: &[
            "gw.yaml:2:22: tenants.a.identify[0].header.value: is missing, write 1 to 256 visible ASCII characters",
            "gw.yaml:3:55: tenants.b.identify[0].header.value: `a\\nb` is no field value, write 1 to 256 visible ASCII characters",
        ],
    },
    Wrong {
        what: "a network with bits behind its prefix",
        text: "tenants: { acme: { identify: [ { address: [198.51.100.7/24], peer_uid: [root] } ] } }
",
        says: &[
            "gw.yaml:1:44: tenants.acme.identify[0].address[0]: `198.51.100.7/24` has bits behind the prefix, did you mean `198.51.100.0/24`?",
            "gw.yaml:1:73: tenants.acme.identify[0].peer_uid[0]: `root` is no such number, write a whole number from 0 to 4294967295",
        ],
    },
    Wrong {
        what: "equal evidence of two tenants",
        text: "tenants:
  b: { identify: [ { address: [10.0.0.0/8] }, { listener: public, address: [10.0.0.0/9, 192.0.2.1] } ] }
  a: { identify: [ { listener: [public], address: [192.0.2.1] }, { address: [10.0.0.0/9, 10.0.0.0/8] } ] }
",
        says: &[
            "gw.yaml:3:20: tenants.a.identify[0]: `b` is recognised by the same listener and address at 2:47, take it from one or ask for more there",
            "gw.yaml:3:66: tenants.a.identify[1]: `b` is recognised by the same address at 2:20, take it from one or ask for more there",
        ],
    },
    Wrong {
        what: "equal API keys of two tenants, be they written large or small",
        text: "tenants:
  a: { identify: [ { api_key: { header: x-api-key, blake3: [af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262] } } ] }
  b: { identify: [ { api_key: { header: X-API-Key, blake3: [AF1349B9F5F9A1A6A0404DEA36DCC9499BCB25C9ADC112B7CC9A93CAE41F3262] } } ] }
",
        says: &[
            "gw.yaml:3:20: tenants.b.identify[0]: `a` is recognised by the same API key at 2:20, take it from one or ask for more there",
        ],
    },
    Wrong {
        what: "what is left of evidence after a mistake is not compared",
        text: "tenants:
  a: { identify: [ { listener: public } ] }
  b: { identify: [ { listener: public, address: [x] } ] }
",
        says: &[
            "gw.yaml:3:50: tenants.b.identify[0].address[0]: `x` is no IP address or network, write 10.0.0.1, 10.0.0.0/8 or fd00::/8",
        ],
    },
    Wrong {
        what: "a wait without end, a queue larger than all of them, and a body too large to gather",
        text: "admission: { wait: 10min, queue: 2000, gather: 1MiB }
",
        says: &[
            "gw.yaml:1:1: admission.queue_total: is less than `admission.queue`, write at least 2000",
            "gw.yaml:1:20: admission.wait: `10min` is out of range, write 1ms to 1min",
            "gw.yaml:1:48: admission.gather: `1MiB` is out of range, write 0B to 64KiB",
        ],
    },
    Wrong {
        what: "costs that no bucket holds",
        text: "tenants: { acme: { quota: { rate: 10/s } }, b: { principal: { rate: 1/s, burst: 30 } }, c: { quota: { rate: 1/h, burst: 50 } } }
limits: { burst: 40, per_address: { burst: 49 }, cost: { POST: 50, GET: 2 } }
",
        says: &[
            "gw.yaml:1:20: tenants.acme.quota.burst: holds fewer tokens than the 50 that a POST costs (`limits.cost`), write a burst of at least 50",
            "gw.yaml:1:81: tenants.b.principal.burst: holds fewer tokens than the 50 that a POST costs (`limits.cost`), write a burst of at least 50",
            "gw.yaml:2:18: limits.burst: holds fewer tokens than the 50 that a POST costs (`limits.cost`), write a burst of at least 50",
            "gw.yaml:2:44: limits.per_address.burst: holds fewer tokens than the 50 that a POST costs (`limits.cost`), write a burst of at least 50",
        ],
    },
    Wrong {
        what: "a burst that nobody lives to see whole",
        text: "tenants: { acme: { quota: { rate: 1/h, burst: 8785 } }, b: { principal: { rate: 1/h, burst: 8784 } } }
",
        says: &[
            "gw.yaml:1:47: tenants.acme.quota.burst: takes more than a year to fill at `rate`, write at most 8784, or a higher rate",
        ],
    },
    Wrong {
        what: "a cost for a method that is none, and a free one",
        text: "limits: { cost: { GTE: 1, PUT: 0 } }
",
        says: &[
            "gw.yaml:1:19: limits.cost.GTE: unknown key, did you mean `GET`?",
            "gw.yaml:1:32: limits.cost.PUT: `0` is out of range, write 1 to 1000000",
        ],
    },
    Wrong {
        what: "rates and slots past the safe bounds",
        text: "limits: { rate: 2001/s, in_flight: 4097 }
",
        says: &[
            "gw.yaml:1:17: limits.rate: 2001/s is past the safe bound, write at most 2000/s or put `limits.rate` into `danger_ok`",
            "gw.yaml:1:36: limits.in_flight: 4097 is past the safe bound, write at most 4096 or put `limits.in_flight` into `danger_ok`",
        ],
    },
    Wrong {
        what: "a strict profile, under which they cannot be lifted",
        text: "profile: strict
limits: { rate: 120001/min, in_flight: 5000 }
",
        says: &[
            "gw.yaml:2:17: limits.rate: 120001/min is past the safe bound, under `profile: strict` write at most 2000/s",
            "gw.yaml:2:40: limits.in_flight: 5000 is past the safe bound, under `profile: strict` write at most 4096",
        ],
    },
    Wrong {
        what: "a PROXY protocol that nobody may speak, and one on a Unix socket",
        text: r#"listeners:
  - { name: a, address: "127.0.0.1:1", proxy_protocol: required }
  - { name: b, address: unix:/b, proxy_protocol: required }
  - { name: c, address: "127.0.0.1:2", proxy_protocol: on }
"#,
        says: &[
            "gw.yaml:2:56: listeners[0].proxy_protocol: is taken from `trusted_addresses` only and there are none, name the proxies there or write off",
            "gw.yaml:3:50: listeners[1].proxy_protocol: on a Unix socket nobody has a trusted address, write off",
            "gw.yaml:4:56: listeners[2].proxy_protocol: `on` is not known here, write off or required",
        ],
    },
    Wrong {
        what: "keys of later days",
        text: "tenants: { acme: { filters: [] } }
metrics: { tenants: many }
log: { server_timing: yes }
",
        says: &[
            "gw.yaml:1:20: tenants.acme.filters: unknown key, known here: id, weight, quota, principal, in_flight, queue, identify",
            "gw.yaml:2:21: metrics.tenants: `many` is no such number, write a whole number from 0 to 10000",
            "gw.yaml:3:23: log.server_timing: `yes` is no flag, write true or false",
        ],
    },
];
