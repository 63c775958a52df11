//! Configurations for tests, as the YAML that an operator would write.
//!
//! Values are YAML text and are not checked: a test of a wrong configuration writes it here too.

use std::fmt::Write as _;

use crate::net::Address;

/// A configuration in the making.
#[derive(Clone, Debug, Default)]
pub struct Conf {
    root: Vec<(String, Node)>,
}

#[derive(Clone, Debug)]
enum Node {
    /// YAML text of one line.
    Text(String),
    Map(Vec<(String, Node)>),
    List(Vec<String>),
}

/// One public listener (HTTP/1.1 and h2c) and the admin listener, on ports that the system chooses. No cluster,
/// no route.
pub fn minimal() -> Conf {
    Conf::default()
        .listener("public", "127.0.0.1:0", "")
        .set("admin.address", "127.0.0.1:0")
        // A busy machine is no reason to shed a test's writes.
        .set("degrade.lag", "1h")
        .set("clusters", "{}")
        .set("routes", "[]")
}

/// [`minimal`] with little in a load's way, for tests that need many requests; the load runs have `testing/open.yaml`.
pub fn open() -> Conf {
    minimal().set("log.access", "off").set("limits.request.timeout", "60s")
}

impl Conf {
    /// Sets one key by its path with dots, to YAML text: `set("limits.body.max", "1MiB")`. A later value replaces
    /// an earlier one, a deeper key grows a map out of text.
    #[must_use]
    pub fn set(mut self, path: &str, yaml: impl Into<String>) -> Self {
        let mut map = &mut self.root;
        let mut keys = path.split('.').peekable();
        while let Some(key) = keys.next() {
            let at = position(map, key);
            let node = &mut map[at].1;
            if keys.peek().is_none() {
                *node = Node::Text(yaml.into());
                break;
            }
            if !matches!(node, Node::Map(_)) {
                *node = Node::Map(Vec::new());
            }
            let Node::Map(next) = node else { unreachable!() };
            map = next;
        }
        self
    }

    /// Adds an item, as YAML text of one line, to the list at a top-level key.
    #[must_use]
    pub fn push(mut self, key: &str, yaml: impl Into<String>) -> Self {
        let at = position(&mut self.root, key);
        let node = &mut self.root[at].1;
        match node {
            Node::List(items) => items.push(yaml.into()),
            _ => *node = Node::List(vec![yaml.into()]),
        }
        self
    }

    /// Adds a listener; `more` is further keys such as `, probes: true`.
    #[must_use]
    pub fn listener(self, name: &str, address: &str, more: &str) -> Self {
        self.push("listeners", format!("{{ name: {name}, address: \"{address}\"{more} }}"))
    }

    /// Adds a cluster of any protocol with its backends.
    #[must_use]
    pub fn cluster<'a>(
        self,
        name: &str,
        protocol: &str,
        backends: impl IntoIterator<Item = &'a Address>,
    ) -> Self {
        let backends: Vec<_> =
            backends.into_iter().map(|address| format!("{{ address: \"{address}\" }}")).collect();
        self.set(&format!("clusters.{name}.protocol"), protocol)
            .set(&format!("clusters.{name}.backends"), format!("[{}]", backends.join(", ")))
    }

    /// Adds an OAP/1 cluster of one backend.
    #[must_use]
    pub fn oap_cluster(self, name: &str, backend: &Address) -> Self {
        self.cluster(name, "oap", [backend])
    }

    /// Adds a plain HTTP/1.1 cluster of one backend.
    #[must_use]
    pub fn http1_cluster(self, name: &str, backend: &Address) -> Self {
        self.cluster(name, "http1", [backend])
    }

    /// Adds a plain HTTP/2 cluster of one backend.
    #[must_use]
    pub fn http2_cluster(self, name: &str, backend: &Address) -> Self {
        self.cluster(name, "http2", [backend])
    }

    /// Adds the embedded object store as a cluster.
    #[must_use]
    pub fn embedded_cluster(self, name: &str) -> Self {
        self.set(&format!("clusters.{name}.protocol"), "oap")
            .set(&format!("clusters.{name}.backends"), "embedded")
    }

    /// Adds a route as YAML text of one line.
    #[must_use]
    pub fn route(self, yaml: impl Into<String>) -> Self {
        self.push("routes", yaml)
    }

    /// Adds a `proxy` route for everything below `prefix`; its name is made of cluster and prefix.
    #[must_use]
    pub fn proxy_route(self, prefix: &str, cluster: &str) -> Self {
        let name = format!("{cluster}{}", prefix.trim_end_matches('/').replace('/', "-"));
        self.proxy_route_with(&name, prefix, cluster, "")
    }

    /// Adds a named `proxy` route; `more` is further keys such as `, timeout: 1s`.
    #[must_use]
    pub fn proxy_route_with(self, name: &str, prefix: &str, cluster: &str, more: &str) -> Self {
        self.route(format!(
            "{{ name: {name}, match: {{ path: {{ prefix: {prefix} }} }}, kind: proxy, cluster: {cluster}{more} }}"
        ))
    }

    /// Adds the two object routes of the defaults, `objects` and `put`.
    #[must_use]
    pub fn object_routes(self, cluster: &str) -> Self {
        self.route(format!(
            "{{ name: objects, match: {{ path: {{ prefix: /o/ }} }}, kind: object, cluster: {cluster} }}"
        ))
        .route(format!(
            "{{ name: put, match: {{ path: {{ exact: /api/put }}, methods: [POST] }}, kind: object, cluster: {cluster} }}"
        ))
    }

    /// The file's text.
    pub fn yaml(&self) -> String {
        let mut out = String::new();
        write_map(&mut out, &self.root, 0);
        out
    }
}

fn position(map: &mut Vec<(String, Node)>, key: &str) -> usize {
    match map.iter().position(|(name, _)| name == key) {
        Some(at) => at,
        None => {
            map.push((key.to_owned(), Node::Map(Vec::new())));
            map.len() - 1
        }
    }
}

fn write_map(out: &mut String, map: &[(String, Node)], depth: usize) {
    let indent = "  ".repeat(depth);
    for (key, node) in map {
        match node {
            Node::Text(text) => writeln!(out, "{indent}{key}: {text}").expect("a string takes it"),
            Node::Map(inner) => {
                writeln!(out, "{indent}{key}:").expect("a string takes it");
                write_map(out, inner, depth + 1);
            }
            Node::List(items) => {
                writeln!(out, "{indent}{key}:").expect("a string takes it");
                for item in items {
                    writeln!(out, "{indent}  - {item}").expect("a string takes it");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_reads_as_one_would_write_it() {
        let conf = minimal()
            .oap_cluster("app", &Address::parse("127.0.0.1:9401"))
            .set("clusters.app.health", "{ interval: 1s }")
            .proxy_route("/api/", "app")
            .set("clusters.app.timeouts.read", "1s")
            .set("limits.body.max", "1MiB");
        let expected = r#"listeners:
  - { name: public, address: "127.0.0.1:0" }
admin:
  address: 127.0.0.1:0
degrade:
  lag: 1h
clusters:
  app:
    protocol: oap
    backends: [{ address: "127.0.0.1:9401" }]
    health: { interval: 1s }
    timeouts:
      read: 1s
routes:
  - { name: app-api, match: { path: { prefix: /api/ } }, kind: proxy, cluster: app }
limits:
  body:
    max: 1MiB
"#;
        assert_eq!(conf.yaml(), expected);
    }

    #[test]
    fn a_later_value_replaces_an_earlier_one() {
        let conf = Conf::default()
            .set("a.b", "1")
            .set("a.b", "2")
            .set("a.c", "3")
            .set("routes", "[]")
            .push("routes", "x");
        assert_eq!(conf.yaml(), "a:\n  b: 2\n  c: 3\nroutes:\n  - x\n");
    }
}
