//! Capabilities: files of keys and revocations, what routes ask for, and what is said about open writes.

use super::*;
use crate::tenant::capability::{NONCE, Token};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
const OTHER: &str = "a00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("keys/k1", 0o600, KEY);
    folder.write("keys/k2", 0o400, OTHER);
    folder
}

#[test]
fn keys_and_revocations_are_read_from_their_files() {
    let folder = folder();
    folder.write("revoked", 0o644, "v1:k1:07070707070707070707070707070707:acme # gone\n");
    let text =
        "capability:\n  keys: [ { id: k2, file: keys/k2 }, { id: k1, file: keys/k1 } ]\n  revoked: revoked\n";
    let capability = folder.load(text).unwrap().config.capability;
    assert_eq!(capability.keys[0].file, folder.0.path().join("keys/k2"));
    let keys = capability.load_keys().unwrap();
    assert_eq!(keys.first().unwrap().id(), "k2");
    let token = Token::mint(keys.find("k1").unwrap(), [7; NONCE], Some("acme"));
    assert!(capability.load_revoked().unwrap().contains(&token.identifier().unwrap().hash()));
    // What they hold may have changed since.
    folder.write("keys/k1", 0o600, "00");
    folder.write("revoked", 0o644, "everybody");
    let path = |name: &str| folder.0.path().join(name).display().to_string();
    assert_eq!(
        capability.load_keys().unwrap_err(),
        format!(
            "`{}` holds less than 32 bytes, write at least 64 hex digits or 32 raw bytes, \
             or make one with `svc-gateway token keygen`",
            path("keys/k1")
        )
    );
    assert!(
        capability.load_revoked().unwrap_err().starts_with(&format!("`{}`: line 1 is no", path("revoked")))
    );
    let none = Config::default().capability;
    assert!(none.load_keys().unwrap().is_empty() && none.load_revoked().unwrap().is_empty());
}

#[test]
fn wrong_files_are_named_with_what_is_wrong() {
    let folder = folder();
    folder.write("open", 0o644, KEY);
    folder.write("odd", 0o600, &KEY[1..]);
    folder.write("zero", 0o600, [0; 32]);
    folder.write("large", 0o600, vec![b'x'; 4096]);
    folder.write("revoked", 0o644, "# a\nv1:k1:07070707070707070707070707070707\nk1\n");
    let text = "capability:
  keys:
    - { id: a, file: open }
    - { id: b, file: odd }
    - { id: c, file: zero }
    - { id: d, file: large }
    - { id: e, file: keys }
  revoked: revoked
";
    let make = "or make one with `svc-gateway token keygen`";
    assert_eq!(
        folder.load(text).unwrap_err(),
        [
            "gw.yaml:3:22: capability.keys[0].file: `open` has mode 0644, a secret has 0600 or 0400: chmod 600 open".to_owned(),
            format!("gw.yaml:4:22: capability.keys[1].file: `odd` holds an odd number of hex digits, one is missing, {make}"),
            format!("gw.yaml:5:22: capability.keys[2].file: `zero` holds one byte over and over, which is no key, {make}"),
            format!("gw.yaml:6:22: capability.keys[3].file: `large` holds more than 1024 bytes, which is no key, {make}"),
            "gw.yaml:7:22: capability.keys[4].file: `keys` has mode 0755, a secret has 0600 or 0400: chmod 600 keys".to_owned(),
            "gw.yaml:8:12: capability.revoked: `revoked`: line 3 is no identifier, write one such as \
             v1:k1:0123456789abcdef0123456789abcdef (`token inspect` shows it), or none"
                .to_owned(),
        ]
    );
}

#[test]
fn keys_stand_once_and_are_not_too_many() {
    let folder = folder();
    let text = "capability:
  keys:
    - { id: K, file: keys/k1 }
    - { id: k1, file: keys/k1 }
    - { id: k1, file: keys/k2 }
    - { id: k3, file: keys/../keys/k2 }
    - { id: k4, file: keys/k1 }
";
    assert_eq!(
        folder.load(text).unwrap_err(),
        [
            "gw.yaml:3:13: capability.keys[0].id: `K` is no name, write 1 to 64 of a-z, 0-9, _ and -",
            "gw.yaml:5:13: capability.keys[2].id: the key at 4:13 has the id `k1` already, give one another",
            "gw.yaml:7:23: capability.keys[4].file: is the file of the key at 4:23 already, remove one",
        ]
    );
    let all: String = (0..17)
        .map(|n| {
            folder.write(&format!("keys/many{n}"), 0o600, KEY);
            format!("{{ id: k{n}, file: keys/many{n} }}, ")
        })
        .collect();
    assert_eq!(
        folder.load(&format!("capability: {{ keys: [ {all} ] }}")).unwrap_err(),
        ["gw.yaml:1:15: capability.keys: has more than 16 keys, take off those whose tokens are over"]
    );
}

#[test]
fn routes_ask_for_what_they_say_else_mutations_for_what_mutates() {
    let folder = folder();
    let demands = |mutations: &str, route: &str| {
        let text = format!(
            "capability: {{ keys: [ {{ id: k1, file: keys/k1 }} ]{mutations} }}\n\
             routes: [ {{ name: a, kind: object, cluster: objects{route} }} ]\n"
        );
        let config = folder.load(&text).unwrap().config;
        let demand = |mutates| config.capability.demand(&config.routes[0], mutates);
        (demand(true), demand(false))
    };
    use Demand::{Off, Optional, Required};
    assert_eq!(demands("", ""), (Optional, Off));
    assert_eq!(demands(", mutations: off", ""), (Off, Off));
    assert_eq!(demands(", mutations: required", ""), (Required, Off));
    assert_eq!(demands(", mutations: required", ", capability: off"), (Off, Off));
    assert_eq!(demands("", ", capability: optional"), (Optional, Optional));
    assert_eq!(demands("", ", capability: required"), (Required, Required));
}

#[test]
fn open_writes_beyond_loopback_are_warned_of_until_they_need_a_capability() {
    let folder = folder();
    let warned = |text: &str| {
        let text = format!("listeners: [ {{ name: a, address: 0.0.0.0:80 }} ]\n{text}");
        let warnings = folder.load(&text).unwrap().warnings;
        warnings.iter().map(|w| (w.key.clone(), w.message.contains("need no capability"))).collect::<Vec<_>>()
    };
    let keys = "keys: [ { id: k1, file: keys/k1 } ]";
    let open = [("listeners[0].address".to_owned(), true)];
    assert_eq!(warned(""), open);
    assert_eq!(warned(&format!("capability: {{ {keys} }}")), open);
    assert_eq!(warned(&format!("capability: {{ {keys}, mutations: required }}")), []);
    let route = |more: &str| {
        format!("capability: {{ {keys} }}\nroutes: [ {{ name: a, kind: object, cluster: objects{more} }} ]")
    };
    assert_eq!(warned(&route(", capability: required")), []);
    assert_eq!(warned(&route(", capability: optional")), open);
    assert_eq!(warned(&route(", match: { methods: [GET] }")), []);
}

#[test]
fn an_optional_token_that_nobody_can_verify_is_warned_of() {
    let loaded =
        parse("routes: [ { name: a, kind: object, cluster: objects, capability: optional } ]").unwrap();
    assert_eq!(
        lines(&loaded.warnings),
        [
            "gw.yaml:1:66: routes[0].capability: there are no `capability.keys`, so that bearer tokens cross unseen"
        ]
    );
}

#[test]
fn what_was_loaded_is_written_back_the_same() {
    let folder = folder();
    folder.write("revoked", 0o644, "");
    let text = "capability: { keys: [ { id: k1, file: keys/k1 } ], revoked: revoked, mutations: required }\n\
                routes: [ { name: a, kind: object, cluster: objects, capability: off } ]\n";
    let config = folder.load(text).unwrap().config;
    assert_eq!(folder.load(&effective(&config, Format::Yaml)).unwrap().config, config);
}
