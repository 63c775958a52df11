//! The compiled policy of one configuration generation: immutable, swapped whole, kept by every request that began
//! with it.
//!
//! What outlives a configuration (connections, health, buckets) is not here but in what `Cluster` refers to.

mod capability;
mod stages;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::capability::{Capabilities, Demands, Revocations, Seen};
pub use self::stages::{Costs, Tenant};
use crate::admission::overload::Shed;
use crate::admission::{self, Bound, overload};
use crate::caps;
use crate::cluster::{Cluster, Surroundings};
use crate::config::{self, AccessLog, Backends, Config, EncodedSlash, Listener, Network, RouteKind};
use crate::edge::guard::connections;
use crate::edge::{Bounds, Handshake};
use crate::metrics::RouteMetrics;
use crate::quota::{self, PenaltyPolicy, Quotas};
use crate::route::{Table, target};
use crate::tenant::{self, Allowed, Identifier, TenantIndex};
use crate::tls;

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
    /// The cluster, to those who know it by a number.
    pub cluster_number: u64,
    /// What the cluster carries at once.
    pub cluster_in_flight: Bound,
    /// Whom it serves.
    pub tenants: Allowed,
    /// Whether its requests bring a capability.
    pub capability: Demands,
    /// Divides what its requests cost.
    pub weight: NonZeroU32,
    /// When its writes are shed.
    pub shed: Shed,
    /// Request head received to answer's head sent.
    pub timeout: Duration,
    /// How much its requests may bring.
    pub caps: caps::Policy,
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
    /// Unread bytes of bodies over HTTP/2, on all connections.
    pub unread_total: u64,
}

/// Bounds that hold for every connection that begins.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// How many may be open.
    pub open: connections::Policy,
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
    /// Connections begin with a header of the PROXY protocol.
    pub proxied: bool,
    /// Connections go on with a TLS handshake.
    pub tls: Option<Handshake>,
    /// Whose processes may connect to a Unix socket; empty: whoever its file lets in.
    pub peer_uids: Vec<u32>,
}

impl ListenerPolicy {
    /// Whether `peer` is one of the trusted.
    pub fn trusts(&self, peer: Option<SocketAddr>) -> bool {
        peer.is_some_and(|peer| self.trusted.iter().any(|network| network.contains(peer.ip())))
    }
}

impl ListenerPolicy {
    /// Whether a process of this user may connect to its Unix socket, whose file has let it in.
    pub fn lets_in(&self, uid: Option<u32>) -> bool {
        self.peer_uids.is_empty() || uid.is_some_and(|uid| self.peer_uids.contains(&uid))
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
    /// `clusters.*.in_flight`.
    cluster_in_flight: BTreeMap<String, Bound>,
    /// Who is asking.
    pub identifier: Identifier,
    /// Which tokens hold.
    pub capability: Capabilities,
    /// Every tenant, by its index.
    pub tenants: Vec<Arc<Tenant>>,
    /// How often all may ask.
    pub quotas: quota::Policy,
    /// Tokens that a request takes.
    pub costs: Costs,
    /// What becomes of connections that go on asking.
    pub penalty: PenaltyPolicy,
    /// Who is served first.
    pub admission: admission::Policy,
    /// Bodies up to this are gathered before their request is admitted.
    pub gather: u64,
    /// All of these together.
    pub gather_total: u64,
    /// When writes are shed.
    pub overload: overload::Policy,
    /// Tenants with series of their own.
    pub tenant_series: u32,
    /// Whether answers tell how long they took.
    pub server_timing: bool,
    /// A cluster's backend is the store in this process.
    pub wants_embedded: bool,
    /// Every listener, by name.
    pub listeners: BTreeMap<String, ListenerPolicy>,
    /// Bounds of requests.
    pub limits: Limits,
    /// Bounds of connections.
    pub connections: ConnectionLimits,
    /// What the bytes of a connection are held to.
    pub bounds: Bounds,
    /// Bytes of all unfinished heads.
    pub heads_total: u64,
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
    pub fn compile(
        config: &Config,
        around: &Surroundings,
        quotas: &Quotas,
        before: Option<&Self>,
    ) -> Result<Self, String> {
        let metrics = &around.metrics;
        let mut clusters = BTreeMap::new();
        let in_flight = config.clusters.iter().map(|(name, cluster)| (name.to_string(), cluster.in_flight));
        let cluster_in_flight: BTreeMap<_, _> =
            in_flight.map(|(name, in_flight)| (name, stages::bound(in_flight))).collect();
        for (name, cluster) in &config.clusters {
            let known = before.and_then(|before| before.clusters.get(name.as_str()));
            let compiled = Cluster::new(name.as_str(), cluster, around, known)
                .map_err(|e| format!("clusters.{name}: {e}"))?;
            drop(clusters.insert(name.to_string(), compiled));
        }
        let tenants = config.tenants.iter().map(|(name, tenant)| {
            Arc::new(Tenant {
                name: name.to_string(),
                id: tenant.id.map_or(0, |id| id.number()),
                quota: stages::tenant_quota(tenant),
                buckets: quotas.tenant(name.as_str()),
                admission: stages::tenant_admission(tenant, config),
                metrics: before
                    .and_then(|before| before.tenant_named(name.as_str()))
                    .map_or_else(|| metrics.tenant(name.as_str()), |old| Arc::clone(&old.metrics)),
            })
        });
        let tenants: Vec<_> = tenants.collect();
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
                cluster_number: stages::number(route.cluster.as_str()),
                cluster_in_flight: cluster_in_flight.get(route.cluster.as_str()).copied().unwrap_or_default(),
                tenants: allowed(route, &tenants),
                capability: Demands::of(route, config),
                weight: route.weight,
                shed: stages::shed(route.shed),
                timeout: route.timeout.unwrap_or(config.limits.request.timeout),
                caps: stages::caps(route, config),
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
        let mut listeners = BTreeMap::new();
        for listener in &config.listeners {
            let known = before.and_then(|before| before.listeners.get(listener.name.as_str()));
            drop(listeners.insert(listener.name.to_string(), listener_policy(listener, known)?));
        }
        let limits = &config.limits.request;
        Ok(Self {
            generation: before.map_or(1, |before| before.generation.saturating_add(1)),
            routes: Table::new(rules),
            clusters,
            cluster_in_flight,
            identifier: identifier(config)?,
            capability: Capabilities::load(config, before.map(|before| &before.capability))?,
            tenants,
            quotas: stages::quotas(config),
            costs: Costs::new(&config.limits.cost),
            penalty: PenaltyPolicy { after: config.limits.penalty.after, delay: config.limits.penalty.delay },
            admission: stages::admission(config),
            gather: config.admission.gather,
            gather_total: config.admission.gather_total,
            overload: stages::overload(config),
            tenant_series: config.metrics.tenants,
            server_timing: config.log.server_timing,
            wants_embedded: config.clusters.values().any(|cluster| cluster.backends == Backends::Embedded),
            listeners,
            connections: ConnectionLimits {
                open: connections::Policy {
                    total: config.limits.connections.get(),
                    per_address: config.limits.per_address.connections,
                },
                streams: config.limits.http2.streams,
                stream_window: config.limits.http2.stream_window,
                connection_window: config.limits.http2.connection_window,
                head: limits.head,
            },
            bounds: stages::bounds(&config.limits),
            heads_total: limits.heads_total,
            drain: config.server.drain,
            limits: Limits {
                idle: limits.idle,
                uri: limits.uri,
                fields: u64::from(limits.fields),
                head: limits.head,
                unread_total: config.limits.http2.unread_total,
            },
            log: LogPolicy {
                access: config.log.access,
                sample_ok: config.log.sample_ok.per_mille(),
                no_route: metrics.route("-"),
            },
        })
    }

    /// It is in force now; `before` was.
    pub fn take_effect(&self, before: &Self, quotas: &Quotas, now: Instant) {
        self.clusters.values().for_each(|cluster| cluster.take_effect());
        let old = |tenant: &Arc<Tenant>| before.tenant_named(&tenant.name).map(|old| &old.quota);
        let changes = self.tenants.iter().map(|tenant| (&tenant.buckets, old(tenant), &tenant.quota));
        quotas.configure(self.quotas, changes, now);
    }

    /// What it says of places in flight.
    pub fn in_flight(&self) -> admission::Generation {
        let tenants = self.tenants.iter().map(|tenant| (tenant.buckets.number(), tenant.admission));
        let clusters = self.clusters.iter().map(|(name, cluster)| {
            let explicit = self.cluster_in_flight.get(name).copied().unwrap_or_default();
            (stages::number(name), explicit.at_most(cluster.carries()))
        });
        admission::Generation {
            number: self.generation,
            policy: self.admission,
            tenants: tenants.collect(),
            clusters: clusters.collect(),
        }
    }

    /// Its clusters, to those who know them by numbers.
    pub fn cluster_numbers(&self) -> impl Iterator<Item = u64> {
        self.clusters.keys().map(|name| stages::number(name))
    }

    /// Whether it has the cluster with that number.
    pub fn has_cluster(&self, number: u64) -> bool {
        self.cluster_numbers().any(|known| known == number)
    }

    /// The tenant of that name.
    pub fn tenant_named(&self, name: &str) -> Option<&Arc<Tenant>> {
        let at = self.tenants.binary_search_by(|tenant| tenant.name.as_str().cmp(name)).ok()?;
        self.tenants.get(at)
    }

    /// The tenant at an index that the generation's own identifier gave.
    pub fn tenant(&self, index: TenantIndex) -> Option<&Arc<Tenant>> {
        self.tenants.get(usize::try_from(index.0).unwrap_or(usize::MAX))
    }
}

fn listener_policy(listener: &Listener, before: Option<&ListenerPolicy>) -> Result<ListenerPolicy, String> {
    Ok(ListenerPolicy {
        trusted: listener.trusted_addresses.clone(),
        probes: listener.probes,
        proxied: listener.proxy_protocol == config::ProxyProtocol::Required,
        tls: handshake(listener, before)?,
        peer_uids: listener.peer_uids.clone(),
    })
}

/// Certificates and keys are read anew for every generation.
fn handshake(listener: &Listener, before: Option<&ListenerPolicy>) -> Result<Option<Handshake>, String> {
    let (Some(tls), Some(policy)) = (&listener.tls, listener.tls_policy()) else { return Ok(None) };
    let before = before.and_then(|before| before.tls.as_ref()).map(|before| &before.server);
    let server = tls::Server::renewed(&policy, before).map_err(|all| {
        let all: Vec<_> = all.into_iter().map(|wrong| wrong.why).collect();
        format!("listeners.{}.tls: {}", listener.name, all.join("; "))
    })?;
    let most = usize::try_from(tls.handshakes.get()).unwrap_or(usize::MAX);
    Ok(Some(Handshake { server, timeout: tls.handshake_timeout, most }))
}

/// How often all may ask, as `config` has it.
pub fn quotas(config: &Config) -> quota::Policy {
    stages::quotas(config)
}

/// The index of a tenant is its place in the configuration, which is in the order of names.
fn identifier(config: &Config) -> Result<Identifier, String> {
    let policies: Vec<_> = config
        .tenants
        .iter()
        .map(|(name, tenant)| tenant::Policy {
            name: name.to_string(),
            identify: tenant.identify.iter().map(config::Identify::criteria).collect(),
        })
        .collect();
    // Checked with its places when the configuration was read.
    Identifier::new(&policies).map_err(|clashes| format!("tenants: {clashes:?}"))
}

fn allowed(route: &config::Route, tenants: &[Arc<Tenant>]) -> Allowed {
    if route.tenants.is_empty() {
        return Allowed::EVERYBODY;
    }
    let index = |name: &config::Name| {
        let at = tenants.binary_search_by(|tenant| tenant.name.as_str().cmp(name.as_str())).ok()?;
        u32::try_from(at).ok().map(TenantIndex)
    };
    Allowed::only(route.tenants.iter().filter_map(index))
}
