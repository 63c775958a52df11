//! The files in `conf/`, the defaults and the schema say the same.

use super::schema::Schema;
use super::*;

#[test]
fn the_commented_defaults_are_the_defaults() {
    let loaded = parse(defaults_yaml()).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(loaded.config, Config::default());
    assert_eq!(lines(&loaded.warnings), [""; 0]);
}

#[test]
fn the_shipped_file_is_the_commented_defaults() {
    let file = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/conf/gateway.yaml")).unwrap();
    assert_eq!(file, defaults_yaml());
}

#[test]
fn every_key_stands_in_the_commented_defaults() {
    fn keys(schema: &Schema, all: &mut Vec<&'static str>) {
        match schema {
            Schema::Section { keys: below, .. } => {
                // What is refused wherever it stands is no key to show.
                for key in below.iter().filter(|key| !matches!(key.schema, Schema::Elsewhere(_))) {
                    all.push(key.name);
                    keys(&key.schema, all);
                }
            }
            Schema::Named(of) | Schema::OneOrList(of) | Schema::List { of, .. } => keys(of, all),
            Schema::Shapes(shapes) => shapes.iter().for_each(|shape| keys(shape, all)),
            Schema::Leaf(_) | Schema::Elsewhere(_) => {}
        }
    }
    let mut all = Vec::new();
    keys(&super::schema(), &mut all);
    assert!(all.len() > 120, "{all:?}");
    let missing: Vec<_> = all.iter().filter(|key| !defaults_yaml().contains(&format!("{key}:"))).collect();
    assert!(missing.is_empty(), "not in conf/gateway.yaml: {missing:?}");
}

/// What a commented key shows must be right too: one wrong word there is copied a thousand times.
#[test]
fn the_commented_alternatives_are_right() {
    let (listeners, rest) = defaults_yaml().split_once("\nadmin:").unwrap();
    let listeners = listeners
        .replace("[h1, h2c] ", "[h2, h1] ")
        .replace("\n    # tls:", "\n    tls:")
        .replace("\n    #   ", "\n      ");
    let text = format!("{listeners}\nadmin:{rest}");
    let (before, tenants) = text.split_once("\ntenants:").unwrap();
    let (tenants, after) = tenants.split_once("\nlimits:").unwrap();
    let tenants = tenants
        .replace("\n    # queue:", "\n    queue:")
        .replace("\n    # quota:", "\n    quota:")
        .replace("\n    # principal:", "\n    principal:")
        .replace("\n    #   ", "\n      ")
        .replace("\n  # acme:", "\n  acme:")
        .replace("\n  #  ", "\n   ");
    let text = format!("{before}\ntenants:{tenants}\nlimits:{after}")
        .replace("    # mode: 0600  ", "    ")
        .replace("      # host: [a", "      host: [a")
        .replace("      # methods:", "      methods:")
        .replace("      # listener:", "      listener:")
        .replace("    # timeout: 5s", "    timeout: 5s")
        .replace("    # tenants: [acme]", "    tenants: [acme]")
        .replace("    # body: {", "    body: {")
        .replace("    # capability: opt", "    capability: opt")
        .replace("hedge: off ", "hedge: { after: p95, budget: 5% } ");
    assert_ne!(text, defaults_yaml());
    let folder = tempfile::tempdir().unwrap();
    let authority = gateway_testing::tls::Authority::new();
    let site = authority.issue("site.example");
    let files = [("site.pem", &*site.certificate), ("site.key", &site.key), ("clients.pem", authority.pem())];
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    let loaded = Config::parse(&folder.path().join("gw.yaml"), &text, &|_| None)
        .unwrap_or_else(|errors| panic!("{errors}"));
    let tls = loaded.config.listeners[0].tls.clone().unwrap();
    let policy = loaded.config.listeners[0].tls_policy().unwrap();
    assert_eq!((tls.handshakes.get(), policy.certificates.len(), policy.clients.is_some()), (256, 1, true));
    // What is shown are the defaults.
    let written = ListenerTls { client_ca: None, client_auth: None, ..tls.clone() };
    let bare: ListenerTls =
        serde_json::from_value(serde_json::json!({ "certificates": tls.certificates })).unwrap();
    assert_eq!(written, bare);
    let route = &loaded.config.routes[0];
    assert_eq!(
        (route.matches.host.len(), route.matches.methods.len(), route.matches.listener.len()),
        (2, 2, 1)
    );
    assert!(route.timeout.is_some() && route.body.max.is_some() && route.capability.is_some());
    assert!(loaded.config.clusters["objects"].hedge.is_some());
    let (anonymous, acme) = (&loaded.config.tenants["anonymous"], &loaded.config.tenants["acme"]);
    assert!(
        anonymous.queue.is_some() && anonymous.quota.bytes.is_some() && anonymous.principal.burst.is_some()
    );
    assert_eq!((acme.identify.len(), acme.id.is_some()), (6, true));
}

#[test]
fn the_other_shipped_files_are_right() {
    let minimal = include_str!("../../../conf/minimal.yaml");
    assert_eq!(lines(&parse(minimal).unwrap_or_else(|errors| panic!("{errors}")).warnings), [""; 0]);
    let production = include_str!("../../../conf/production.yaml");
    let loaded = parse(production).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(loaded.config.tenants.len(), 4);
    assert_eq!(
        lines(&loaded.warnings),
        [
            "gw.yaml:11:14: listeners[0].address: reachable from other machines, and the writes of route `accounts` need \
          no capability; keep it on loopback or behind something that asks who is there"
        ]
    );
}

#[test]
fn the_json_schema_takes_the_default_configuration() {
    let schema = json_schema();
    let defaults: serde_json::Value =
        serde_json::from_str(&effective(&Config::default(), Format::Json)).unwrap();
    for (key, value) in defaults.as_object().unwrap() {
        let property = &schema["properties"][key];
        assert_eq!(&property["default"], value, "{key}");
        assert!(property["description"].is_string(), "{key}");
    }
    assert_eq!(schema["properties"]["server"]["properties"]["drain"]["default"], "30s");
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(
        schema["properties"]["routes"]["items"]["required"],
        serde_json::json!(["name", "kind", "cluster"])
    );
}
