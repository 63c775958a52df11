//! The compiled policy of one configuration generation: immutable, swapped whole, kept by every request that began
//! with it.
//!
//! What outlives a configuration (connections, health, buckets) is not here but in what `Cluster` refers to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::cluster::{Cluster, Surroundings};
use crate::config::{AccessLog, Backends, Config, EncodedSlash, Listener, Network, RouteKind};
use crate::metrics::RouteMetrics;
use crate::route::{Table, target};

/// What a route does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Content-addressed objects, verified both ways.
    Object,
    /// Anything.
    Proxy,
}

/// A compiled route.
pub struct Route {
    /// Its name in the configuration.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// Where its requests go.
    pub cluster: Arc<Cluster>,
    /// Request head received to answer's head sent.
    pub timeout: Duration,
    /// Bytes of a request's body.
    pub body_max: u64,
    /// Whether `%2F` may stand in a path.
    pub encoded_slash: target::EncodedSlash,
    /// The host that the backend sees instead of the client's.
    pub host: Option<String>,
    strip_prefix: Option<String>,
    /// Its series.
    pub metrics: Arc<RouteMetrics>,
}

impl Route {
    /// The path and query as they cross, where they differ from what came.
    pub fn rewritten(&self, path_and_query: &str) -> Option<String> {
        let prefix = self.strip_prefix.as_deref()?;
        target::strip_prefix(path_and_query, prefix).map(std::borrow::Cow::into_owned)
    }
}

/// Bounds that hold for every request.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Between two requests on a connection.
    pub idle: Duration,
    /// Bytes of a target.
    pub uri: u64,
    /// Fields of a head.
    pub fields: u64,
    /// Bytes of a head.
    pub head: u64,
}

/// Bounds that hold for every connection that begins.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// HTTP/2: requests at once.
    pub streams: u32,
    /// HTTP/2: bytes of a body that a client may send ahead.
    pub stream_window: u64,
    /// HTTP/2: of all bodies of a connection together.
    pub connection_window: u64,
    /// HTTP/2: bytes of a header list.
    pub head: u64,
}

/// What a listener is to its clients, beside its address.
#[derive(Clone, Debug)]
pub struct ListenerPolicy {
    /// Whose account of the way here counts.
    pub trusted: Vec<Network>,
    /// Whether it answers probes.
    pub probes: bool,
}

impl ListenerPolicy {
    /// Whether `peer` is one of the trusted.
    pub fn trusts(&self, peer: Option<SocketAddr>) -> bool {
        peer.is_some_and(|peer| self.trusted.iter().any(|network| network.contains(peer.ip())))
    }
}

/// What is logged of requests.
pub struct LogPolicy {
    /// The form of a line.
    pub access: AccessLog,
    /// Share of the answers below 400 that get one, in 1/1000.
    sample_ok: u32,
    /// Series of requests that matched no route.
    pub no_route: Arc<RouteMetrics>,
}

impl LogPolicy {
    /// Whether a request that was answered with `status` gets a line.
    pub fn wants(&self, status: u16) -> bool {
        self.access != AccessLog::Off
            && (status >= 400 || self.sample_ok >= 1000 || fastrand::u32(0..1000) < self.sample_ok)
    }
}

/// One generation's policy.
pub struct Snapshot {
    /// Counts configurations, from 1.
    pub generation: u64,
    /// Host, path, method and listener to route.
    pub routes: Table<Arc<Route>>,
    /// Every cluster, by name.
    pub clusters: BTreeMap<String, Arc<Cluster>>,
    /// A cluster's backend is the store in this process.
    pub wants_embedded: bool,
    /// Every listener, by name.
    pub listeners: BTreeMap<String, ListenerPolicy>,
    /// Bounds of requests.
    pub limits: Limits,
    /// Bounds of connections.
    pub connections: ConnectionLimits,
    /// How long open requests may go on at the end.
    pub drain: Duration,
    /// What is logged.
    pub log: LogPolicy,
}

impl Snapshot {
    /// Compiles a configuration that has been checked. What `before`, the generation in force, has learned goes on where
    /// it still applies; nothing of it changes before [`Snapshot::take_effect`].
    ///
    /// # Errors
    /// A sentence, when a file that the configuration names has changed since it was checked.
    pub fn compile(config: &Config, around: &Surroundings, before: Option<&Self>) -> Result<Self, String> {
        let metrics = &around.metrics;
        let mut clusters = BTreeMap::new();
        for (name, cluster) in &config.clusters {
            let known = before.and_then(|before| before.clusters.get(name.as_str()));
            let compiled = Cluster::new(name.as_str(), cluster, around, known)
                .map_err(|e| format!("clusters.{name}: {e}"))?;
            drop(clusters.insert(name.to_string(), compiled));
        }
        let mut rules = Vec::new();
        for route in &config.routes {
            let cluster = clusters
                .get(route.cluster.as_str())
                .ok_or_else(|| format!("no cluster {}", route.cluster))?;
            let compiled = Arc::new(Route {
                name: route.name.to_string(),
                kind: match route.kind {
                    RouteKind::Object => Kind::Object,
                    RouteKind::Proxy => Kind::Proxy,
                },
                cluster: Arc::clone(cluster),
                timeout: route.timeout.unwrap_or(config.limits.request.timeout),
                body_max: route.body.max.unwrap_or(config.limits.body.max),
                encoded_slash: match route.encoded_slash {
                    EncodedSlash::Reject => target::EncodedSlash::Reject,
                    EncodedSlash::Allow => target::EncodedSlash::Allow,
                },
                host: route.host.as_ref().map(ToString::to_string),
                strip_prefix: route.strip_prefix.as_ref().map(ToString::to_string),
                metrics: metrics.route(route.name.as_str()),
            });
            rules.push(route.matches.rule(compiled));
        }
        let limits = &config.limits.request;
        Ok(Self {
            generation: before.map_or(1, |before| before.generation.saturating_add(1)),
            routes: Table::new(rules),
            clusters,
            wants_embedded: config.clusters.values().any(|cluster| cluster.backends == Backends::Embedded),
            listeners: config.listeners.iter().map(listener_policy).collect(),
            connections: ConnectionLimits {
                streams: config.limits.http2.streams,
                stream_window: config.limits.http2.stream_window,
                connection_window: config.limits.http2.connection_window,
                head: limits.head,
            },
            drain: config.server.drain,
            limits: Limits {
                idle: limits.idle,
                uri: limits.uri,
                fields: u64::from(limits.fields),
                head: limits.head,
            },
            log: LogPolicy {
                access: config.log.access,
                sample_ok: config.log.sample_ok.per_mille(),
                no_route: metrics.route("-"),
            },
        })
    }

    /// It is in force now.
    pub fn take_effect(&self) {
        self.clusters.values().for_each(|cluster| cluster.take_effect());
    }
}

fn listener_policy(listener: &Listener) -> (String, ListenerPolicy) {
    let policy = ListenerPolicy { trusted: listener.trusted_addresses.clone(), probes: listener.probes };
    (listener.name.to_string(), policy)
}
