//! Keys, revocations and routes that ask for tokens; what needs files stands in `tests/capability.rs`.

use super::Wrong;

pub(super) const ALL: &[Wrong] = &[
    Wrong {
        what: "a demand that is none",
        text: "capability: { mutations: require }
routes: [ { name: a, kind: object, cluster: objects, capability: yes } ]
",
        says: &[
            "gw.yaml:1:26: capability.mutations: `require` is not known here, did you mean `required`?",
            "gw.yaml:2:66: routes[0].capability: `yes` is not known here, write off, optional or required",
        ],
    },
    Wrong {
        what: "a capability that nobody could verify",
        text: "capability: { mutations: required }
routes: [ { name: a, kind: object, cluster: objects, capability: required } ]
",
        says: &[
            "gw.yaml:1:26: capability.mutations: asks for a capability, and there is no key to verify one with: add one to `capability.keys`",
            "gw.yaml:2:66: routes[0].capability: asks for a capability, and there is no key to verify one with: add one to `capability.keys`",
        ],
    },
    Wrong {
        what: "keys that are none, and no word more about who asks for them",
        text: "capability:
  mutations: required
  keys: [ { id: K1, file: /nowhere/k1 }, { id: k2 }, k3 ]
  revoked: /nowhere/revoked
  key: []
",
        says: &[
            "gw.yaml:3:17: capability.keys[0].id: `K1` is no name, write 1 to 64 of a-z, 0-9, _ and -",
            "gw.yaml:3:27: capability.keys[0].file: `/nowhere/k1` cannot be read (No such file or directory), name a file that is there and readable",
            "gw.yaml:3:42: capability.keys[1].file: is missing, write a file of at least 32 secret bytes",
            "gw.yaml:3:54: capability.keys[2]: `k3` is a single value, write a map with the keys id, file",
            "gw.yaml:4:12: capability.revoked: `/nowhere/revoked` cannot be read (No such file or directory), name a file that is there and readable, or none",
            "gw.yaml:5:3: capability.key: unknown key, did you mean `keys`?",
        ],
    },
];
