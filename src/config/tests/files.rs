//! Files that cannot be read, included files, and files that a configuration names.

use super::*;

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n";

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let folder = Folder::new();
    let said = |path: PathBuf| folder.said(Config::load(Some(&path))).unwrap_err();
    assert_eq!(
        said(folder.0.path().join("none.yaml")),
        ["none.yaml:1:1: cannot be read (No such file or directory), name a file that is there and readable"]
    );
    std::fs::create_dir(folder.0.path().join("folder.yaml")).unwrap();
    assert_eq!(
        said(folder.0.path().join("folder.yaml")),
        ["folder.yaml:1:1: cannot be read (Is a directory), name a file that is there and readable"]
    );
    assert_eq!(
        said(folder.write("latin.yaml", 0o644, b"profile: \xe4")),
        ["latin.yaml:1:1: is not UTF-8 (at byte 9), save it as UTF-8"]
    );
    assert_eq!(
        said(folder.write("large.yaml", 0o644, vec![b'#'; (1 << 20) + 1])),
        ["large.yaml:1:1: is larger than 1MiB, split it with `include`"]
    );
    // What a device or a pipe would give without end is bounded too.
    assert_eq!(
        said(PathBuf::from("/dev/zero")),
        ["/dev/zero:1:1: is larger than 1MiB, split it with `include`"]
    );
}

#[test]
fn a_secret_that_others_may_read_is_refused() {
    let folder = Folder::new();
    folder.write("gateway.pem", 0o644, CERTIFICATE);
    let text = "clusters:\n  objects:\n    backends: { dns: objects.internal:9401 }\n    tls:\n      \
                client_cert: gateway.pem\n      client_key: gateway.key\n";
    for mode in [0o600, 0o400] {
        folder.write("gateway.key", mode, KEY);
        let loaded = folder.load(text).unwrap();
        let tls = loaded.config.clusters["objects"].tls.clone().unwrap();
        assert_eq!(tls.client_key.unwrap(), folder.0.path().join("gateway.key"));
        std::fs::remove_file(folder.0.path().join("gateway.key")).unwrap();
    }
    for mode in [0o644, 0o640, 0o700, 0o4600] {
        folder.write("gateway.key", mode, KEY);
        let said = format!(
            "gw.yaml:6:19: clusters.objects.tls.client_key: `gateway.key` has mode {mode:04o}, \
             a secret has 0600 or 0400: chmod 600 gateway.key"
        );
        assert_eq!(folder.load(text).unwrap_err(), [said]);
    }
    folder.write("gateway.key", 0o600, CERTIFICATE);
    folder.write("gateway.pem", 0o644, KEY);
    assert_eq!(
        folder.load(text).unwrap_err(),
        [
            "gw.yaml:5:20: clusters.objects.tls.client_cert: `gateway.pem` holds no PEM certificate, it begins with \
             -----BEGIN CERTIFICATE-----",
            "gw.yaml:6:19: clusters.objects.tls.client_key: `gateway.key` holds no PEM private key, it begins with \
             -----BEGIN … PRIVATE KEY-----",
        ]
    );
}

#[test]
fn a_certificate_without_its_key_is_refused_and_a_key_without_its_certificate() {
    let folder = Folder::new();
    folder.write("gateway.pem", 0o644, CERTIFICATE);
    folder.write("gateway.key", 0o600, KEY);
    let with = |tls: &str| {
        let text = format!("clusters: {{ objects: {{ backends: {{ dns: a.b:1 }}, tls: {{ {tls} }} }} }}");
        folder.load(&text).unwrap_err()
    };
    assert_eq!(
        with("client_cert: gateway.pem"),
        ["gw.yaml:1:70: clusters.objects.tls.client_cert: stands without its key, add `client_key`"]
    );
    assert_eq!(
        with("client_key: gateway.key"),
        ["gw.yaml:1:69: clusters.objects.tls.client_key: stands without its certificate, add `client_cert`"]
    );
}

#[test]
fn included_files_add_clusters_and_routes() {
    let folder = Folder::new();
    folder.write(
        "conf.d/b.yaml",
        0o644,
        "routes: [ { name: b, kind: proxy, cluster: b, match: { host: b.c } } ]",
    );
    folder.write("conf.d/a.yaml", 0o644, "clusters: { b: { backends: [ { address: unix:b.sock } ] } }");
    let loaded =
        folder.load("include: [ \"conf.d/*.yaml\", conf.d/a.yaml ]\nclusters: { objects: {} }\n").unwrap();
    assert_eq!(loaded.config.clusters.keys().map(Name::as_str).collect::<Vec<_>>(), ["b", "objects"]);
    assert_eq!(loaded.config.routes.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(loaded.files.len(), 3);
    // Relative paths start at the folder of the file that has them.
    let Backends::Static(backends) = &loaded.config.clusters["b"].backends else { panic!() };
    assert_eq!(backends[0].address.unix_path().unwrap(), folder.0.path().join("conf.d/b.sock"));
}

#[test]
fn included_files_add_tenants_each_of_them_once() {
    let folder = Folder::new();
    let tenant = |name: &str, network: &str| {
        format!("tenants: {{ {name}: {{ identify: [ {{ address: [{network}] }} ] }} }}")
    };
    folder.write("tenants.d/a.yaml", 0o644, tenant("a", "10.1.0.0/16"));
    folder.write("tenants.d/b.yaml", 0o644, tenant("b", "10.2.0.0/16"));
    let text = "include: [ \"tenants.d/*.yaml\" ]\ntenants: { anonymous: { weight: 2 } }\n\
                routes: [ { name: r, kind: object, cluster: objects, tenants: [b, a] } ]\n";
    let config = folder.load(text).unwrap().config;
    assert_eq!(config.tenants.keys().map(Name::as_str).collect::<Vec<_>>(), ["a", "anonymous", "b"]);
    assert_eq!(config.tenants["anonymous"].weight.get(), 2);
    folder.write("tenants.d/b.yaml", 0o644, tenant("b", "10.1.0.0/16"));
    folder.write("tenants.d/c.yaml", 0o644, tenant("a", "10.3.0.0/16"));
    assert_eq!(
        folder.load(text).unwrap_err(),
        [
            "tenants.d/b.yaml:1:29: tenants.b.identify[0]: `a` is recognised by the same address at \
             tenants.d/a.yaml:1:29, take it from one or ask for more there",
            "tenants.d/c.yaml:1:12: tenants.a: the tenant at tenants.d/a.yaml:1:12 has this name already, rename one",
        ]
    );
}

#[test]
fn findings_in_included_files_name_those_files() {
    let folder = Folder::new();
    folder.write(
        "conf.d/a.yaml",
        0o644,
        "server: { drain: 1s }\nclusters:\n  objects: {}\nroutes:\n  - { name: objects, kind: object, cluster: nix }\n",
    );
    folder.write(
        "conf.d/b.yaml",
        0o644,
        "route: []\nroutes: [ { name: b, kind: prox, cluster: objects } ]\n",
    );
    folder.write("conf.d/c.yaml", 0o644, "routes: [");
    let text = "include: [ \"conf.d/*\" ]\nclusters: { objects: {} }\n\
                routes: [ { name: objects, kind: object, cluster: objects } ]\n";
    assert_eq!(
        folder.load(text).unwrap_err(),
        [
            "conf.d/a.yaml:1:1: server: belongs into the main file, an included one holds clusters, routes and tenants only",
            "conf.d/a.yaml:3:3: clusters.objects: the cluster at gw.yaml:2:13 has this name already, rename one",
            "conf.d/a.yaml:5:5: routes[0].match: `objects` takes the same requests as `objects` at gw.yaml:3:11, \
             make one differ in host, path, methods or listener",
            "conf.d/a.yaml:5:13: routes[0].name: the route at gw.yaml:3:19 has the name `objects` already, \
             give one another",
            "conf.d/b.yaml:1:1: route: unknown key, did you mean `routes`?",
            "conf.d/b.yaml:2:28: routes[0].kind: `prox` is not known here, did you mean `proxy`?",
            "conf.d/c.yaml:2:1: routes[0]: not valid YAML (while parsing a node, did not find expected node content), \
             check the indentation of this line, the colons, brackets and quotes here and above",
        ]
    );
    // Once the broken file can be read, what was left open is said.
    folder.write("conf.d/c.yaml", 0o644, "");
    assert!(folder.load(text).unwrap_err().contains(
        &"conf.d/a.yaml:5:45: routes[0].cluster: there is no cluster `nix`, known here: objects".to_owned()
    ));
}
