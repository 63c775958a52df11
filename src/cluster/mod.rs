//! A cluster at work: its backends with their connections, and what is remembered of them.
//!
//! The pieces are stages (`upstream`); here they are put together from the configuration. Choosing for a request, and
//! telling what became of it, is all that the request path sees. Discovery and checks run in [`Keeper`].

mod keeper;
mod observe;
mod probe;
mod tls;

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use pingora_core::connectors::TransportConnector;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_load_balancing::health_check::HttpHealthCheck;

pub use self::keeper::Keeper;
use self::observe::Counting;
use self::probe::Probe;
use crate::clock;
use crate::config::{self, Backends, Balance, ClusterProtocol, HashOn};
use crate::metrics::Metrics;
use crate::upstream::client::{Mode, Pool, PoolPolicy};
use crate::upstream::dial::{Dialer, Io, Spoken, Target, Tls, peer};
use crate::upstream::discovery::{Discovery, System};
use crate::upstream::hedge::{Hedges, Latency};
use crate::upstream::membership::Members;
use crate::upstream::retry::Retries;
use crate::upstream::{BackendId, backend, balance, ejection, health};

/// A request's stream to an OAP/1 backend.
pub type OapStream = crate::upstream::client::Stream<Io>;
/// A backend with its connections.
pub type Backend = backend::Backend<Link>;
/// A request under way at a backend.
pub type InFlight = backend::InFlight<Link>;

/// HTTP/2: streams that share one connection to a backend.
const H2_STREAMS: usize = 100;
/// HTTP/2: how often a connection is asked for a sign of life, if not as often as its backend is checked. Many streams would
/// go on failing on one that has died without a word; Pingora gives it up 5 s after the question.
const H2_PING: Duration = Duration::from_secs(5);

/// What every cluster of a gateway shares.
pub struct Surroundings {
    /// Where it counts.
    pub metrics: Arc<Metrics>,
    /// What dials OAP/1 connections and probes.
    pub connector: Arc<TransportConnector>,
    /// Where the embedded store listens.
    pub embedded: std::path::PathBuf,
}

impl Surroundings {
    /// With a connector of their own.
    pub fn new(metrics: &Arc<Metrics>, embedded: &Path) -> Self {
        let connector = Arc::new(TransportConnector::new(None));
        Self { metrics: Arc::clone(metrics), connector, embedded: embedded.to_owned() }
    }
}

/// What a cluster keeps for each backend.
pub struct Link {
    to: To,
    probe: Probe,
}

/// How requests reach a backend.
enum To {
    Oap(Arc<Pool<Dialer>>),
    Http(Box<HttpPeer>),
}

impl Link {
    /// The connections of an `oap` backend.
    pub fn pool(&self) -> Option<&Arc<Pool<Dialer>>> {
        match &self.to {
            To::Oap(pool) => Some(pool),
            To::Http(_) => None,
        }
    }

    /// How Pingora's pipeline reaches an `http1` or `http2` backend.
    pub fn peer(&self) -> Option<&HttpPeer> {
        match &self.to {
            To::Oap(_) => None,
            To::Http(peer) => Some(peer),
        }
    }

    fn close(&self) {
        if let To::Oap(pool) = &self.to {
            pool.close();
        }
    }
}

/// Makes the links of one cluster's backends.
struct Linking {
    timeouts: config::Timeouts,
    policy: PoolPolicy,
    tls: Option<Tls>,
    check: config::Health,
    connector: Arc<TransportConnector>,
    counting: Arc<Counting>,
    /// `http1` and `http2`: what all checks share.
    http: Option<(Spoken, Arc<HttpHealthCheck>)>,
    group: u64,
}

impl Linking {
    fn new(config: &config::Cluster, around: &Surroundings) -> Result<Self, String> {
        let mut linking = Self {
            timeouts: config.timeouts.clone(),
            policy: pool_policy(config),
            tls: config.tls.as_ref().map(|tls| tls::load(tls, &config.backends)).transpose()?,
            check: config.health.clone(),
            connector: Arc::clone(&around.connector),
            counting: Counting::new(&around.metrics),
            http: None,
            group: fastrand::u64(1..),
        };
        let spoken = match config.protocol {
            ClusterProtocol::Oap => return Ok(linking),
            ClusterProtocol::Http1 => Spoken::Http1,
            ClusterProtocol::Http2 => Spoken::Http2,
        };
        let nowhere = Target::Tcp(std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
        let host = linking.tls.as_ref().map_or("localhost", |tls| tls.server_name.as_str());
        let check = probe::http_check(&linking.peer(&nowhere, spoken), host, &config.health)?;
        linking.http = Some((spoken, check));
        Ok(linking)
    }

    fn peer(&self, target: &Target, spoken: Spoken) -> HttpPeer {
        let mut peer = peer(target, self.tls.as_ref(), spoken, self.timeouts.connect, self.group);
        peer.options.idle_timeout = Some(self.timeouts.idle);
        peer.options.write_timeout = Some(self.timeouts.write);
        peer.options.max_h2_streams = H2_STREAMS;
        peer.options.h2_ping_interval = Some(self.check.interval.min(H2_PING));
        peer
    }

    fn link(&self, target: &Target) -> Link {
        if let Some((spoken, check)) = &self.http {
            let peer = self.peer(target, *spoken);
            let probe = Probe::http(check, &peer, self.check.timeout);
            return Link { to: To::Http(Box::new(peer)), probe };
        }
        let dialer =
            || Dialer::new(Arc::clone(&self.connector), target, self.tls.as_ref(), self.timeouts.connect);
        let counting = Arc::clone(&self.counting);
        let pool = Pool::observed(self.policy.clone(), dialer(), counting);
        Link { to: To::Oap(pool), probe: Probe::oap(dialer(), &self.policy, &self.check) }
    }
}

impl Lasting {
    fn new(config: &config::Cluster, policy: balance::Policy, around: &Surroundings) -> Result<Self, String> {
        let now = clock::now();
        Ok(Self {
            members: Members::new(policy, now),
            linking: Linking::new(config, around)?,
            retries: Retries::default(),
            latency: Latency::new(now),
            hedges: Hedges::default(),
        })
    }
}

/// Second attempts before the first has failed.
pub struct Hedging {
    /// Which percentile a request must have outlasted.
    pub percent: u8,
    /// Of the live requests, in thousandths.
    pub budget_per_mille: u16,
}

/// What a cluster remembers: it outlives the configuration that it was learned under.
struct Lasting {
    members: Members<Link>,
    linking: Linking,
    retries: Retries,
    latency: Latency,
    hedges: Hedges,
}

/// One cluster, as one configuration has it.
pub struct Cluster {
    /// Its name in the configuration.
    pub name: String,
    /// Whether the gateway is unready without it.
    pub required: bool,
    /// How its backends are spoken to.
    pub protocol: ClusterProtocol,
    /// How long each step may take.
    pub timeouts: config::Timeouts,
    /// Payload bytes of a stream that a backend may send unacknowledged.
    pub window: u64,
    /// Attempts of one request, the first included.
    pub attempts: u32,
    /// Of the live requests, how many may be retries, in thousandths.
    pub retry_budget_per_mille: u16,
    /// What consistent hashing hashes.
    pub hash_on: Option<HashOn>,
    /// Second attempts, when switched on.
    pub hedging: Option<Hedging>,
    policy: balance::Policy,
    ejection: ejection::Policy,
    health: health::Policy,
    discovery: Discovery,
    refresh: Option<Duration>,
    lasting: Arc<Lasting>,
    config: config::Cluster,
    /// Of the files that the configuration names.
    secrets: Option<blake3::Hash>,
}

impl Cluster {
    /// A cluster with its known backends; those that are found by name come with the first look-up. What `before`, the
    /// cluster of this name in the configuration before, remembers and still applies goes on: the same cluster if nothing
    /// has changed, its connections if only what is done with them has, health and ejections in any case.
    ///
    /// # Errors
    /// A sentence: a file or an address cannot be used.
    pub fn new(
        name: &str,
        config: &config::Cluster,
        around: &Surroundings,
        before: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, String> {
        // What a file of TLS holds may have changed where its name has not.
        let secrets = tls::fingerprint(config.tls.as_ref());
        if let Some(same) = before.filter(|before| before.config == *config && before.secrets == secrets) {
            return Ok(Arc::clone(same));
        }
        let (policy, hash_on) = match &config.balance {
            Balance::RoundRobin => (balance::Policy::RoundRobin, None),
            Balance::LeastRequests => (balance::Policy::LeastRequests, None),
            Balance::Hash(on) => (balance::Policy::Hash, Some(on.clone())),
        };
        let (discovery, refresh) =
            discovery(&config.backends, &around.embedded).map_err(|e| format!("backends: {e}"))?;
        let lasting = match before.filter(|before| before.connects_as(config, &secrets)) {
            Some(before) => Arc::clone(&before.lasting),
            None => Arc::new(Lasting::new(config, policy, around)?),
        };
        let cluster = Arc::new(Self {
            name: name.to_owned(),
            required: config.required,
            protocol: config.protocol,
            timeouts: config.timeouts.clone(),
            window: config.connections.window,
            attempts: config.retry.attempts.get(),
            retry_budget_per_mille: per_mille(config.retry.budget),
            hash_on,
            hedging: config.hedge.as_ref().map(|hedge| Hedging {
                percent: hedge.after.percent(),
                budget_per_mille: per_mille(hedge.budget),
            }),
            policy,
            ejection: ejection::Policy {
                consecutive_failures: config.ejection.consecutive_failures,
                base: config.ejection.base,
                max: config.ejection.max,
                share_per_mille: per_mille(config.ejection.share),
            },
            health: health::Policy {
                interval: config.health.interval,
                unhealthy: config.health.unhealthy,
                healthy: config.health.healthy,
            },
            discovery,
            refresh,
            lasting,
            config: config.clone(),
            secrets,
        });
        match before {
            None => cluster.take_effect(),
            Some(before) if !Arc::ptr_eq(&before.lasting, &cluster.lasting) => cluster.inherit(before),
            // The members are in use: what this configuration makes of them comes when it takes effect.
            Some(_) => {}
        }
        Ok(cluster)
    }

    /// Begins with what `before` knows, over connections of its own.
    fn inherit(&self, before: &Self) {
        let known = before.lasting.members.current();
        if self.refresh.is_some() && self.config.backends == before.config.backends {
            // Found by name before: they are there until the next look-up.
            let found =
                known.backends().filter_map(|(backend, weight)| Some((named(backend.name())?, weight)));
            self.apply(found.collect());
        }
        self.list();
        self.lasting.members.inherit(&before.lasting.members, clock::now());
    }

    /// Whether connections to a backend, and checks of it, are made as `config` asks for.
    fn connects_as(&self, config: &config::Cluster, secrets: &Option<blake3::Hash>) -> bool {
        let ours = &self.config;
        ours.protocol == config.protocol
            && ours.tls == config.tls
            // Their name may be the one that the certificate must bear.
            && (ours.tls.is_none() || ours.backends == config.backends)
            && self.secrets == *secrets
            && ours.timeouts == config.timeouts
            && ours.connections == config.connections
            && ours.health == config.health
    }

    /// The configuration that this cluster is of is in force: from now on its list is the one that requests go by.
    pub fn take_effect(&self) {
        self.lasting.members.set_policy(self.policy);
        self.list();
    }

    /// A fixed list is there at once.
    fn list(&self) {
        if self.refresh.is_none() {
            drop(self.discovery.refresh(|found| self.apply(found)).now_or_never());
        }
    }

    /// Replaces the backends; those that stay keep their connections and their health.
    fn apply(&self, found: Vec<(Target, NonZeroU32)>) {
        let changed = self.lasting.members.update(found, |target| self.lasting.linking.link(target));
        for gone in changed.removed {
            log::info!("cluster {}: {} left", self.name, gone.name());
            gone.link.close();
        }
    }

    /// A backend for a request with the hash key `key`, other than `tried`; `None` when none is available.
    pub fn pick(&self, key: Option<&[u8]>, tried: &[BackendId], now: Instant) -> Option<Arc<Backend>> {
        self.lasting.members.pick(key, tried, now, &mut fastrand::Rng::new())
    }

    /// Requests at once that its connections carry, all backends together, where that is known beforehand: who shares
    /// OAP/1 connections is told by their HELLO. `None` too while there are no backends.
    // http.md §2: a cluster at its bound (what its connections carry) is skipped.
    pub fn carries(&self) -> Option<NonZeroU32> {
        let each = match (self.protocol, self.config.connections.mode) {
            (ClusterProtocol::Http1, _) | (ClusterProtocol::Oap, config::ConnectionMode::Exclusive) => 1,
            (ClusterProtocol::Http2, _) => u32::try_from(H2_STREAMS).unwrap_or(u32::MAX),
            (ClusterProtocol::Oap, config::ConnectionMode::Auto) => return None,
        };
        let backends = u32::try_from(self.lasting.members.current().backends().count()).unwrap_or(u32::MAX);
        let connections = self.config.connections.max.get().saturating_mul(backends);
        NonZeroU32::new(connections.saturating_mul(each))
    }

    /// The live requests that might be retried.
    pub fn retries(&self) -> &Retries {
        &self.lasting.retries
    }

    /// The latency that the cluster usually keeps.
    pub fn latency(&self) -> &Latency {
        &self.lasting.latency
    }

    /// The live requests that might have a second attempt beside the first.
    pub fn hedges(&self) -> &Hedges {
        &self.lasting.hedges
    }

    /// Whether any backend takes requests.
    pub fn has_backend(&self) -> bool {
        self.lasting.members.any_available(clock::now())
    }

    /// The head of an answer has come, `took` after its attempt began.
    pub fn on_head(&self, backend: &Backend, status: u16, took: Duration, now: Instant) {
        if self.hedging.is_some() {
            self.lasting.latency.on_head(took);
        }
        // What stands before the service, or its own overload, has failed; an application's 500 is one request's
        // trouble, which must not take the backend from all others.
        if matches!(status, 502..=504) {
            self.on_failure(backend, now)
        } else {
            self.lasting.members.on_success(backend)
        }
    }

    /// An attempt has failed: no connection, no answer in time, a broken protocol or body.
    pub fn on_failure(&self, backend: &Backend, now: Instant) {
        if let Some(length) = self.lasting.members.on_failure(backend, &self.ejection, now) {
            log::warn!("cluster {}: {} is ejected for {length:?}", self.name, backend.name());
        }
    }

    /// What its backends are called now.
    pub fn backend_names(&self) -> Vec<Arc<str>> {
        let current = self.lasting.members.current();
        current.backends().map(|(backend, _)| Arc::clone(backend.name())).collect()
    }

    /// Whether it counts connections of its own: Pingora keeps those of HTTP clusters.
    pub fn has_pools(&self) -> bool {
        self.protocol == ClusterProtocol::Oap
    }

    /// Brings the gauges that are read rather than counted up to date.
    pub fn refresh_gauges(&self, metrics: &Metrics) {
        let now = clock::now();
        let mut states = [("shared", 0_usize), ("exclusive_idle", 0), ("exclusive_used", 0), ("dialing", 0)];
        for (backend, _) in self.lasting.members.current().backends() {
            let up = i64::from(backend.is_available(now));
            metrics.upstream_health.with_label_values(&[backend.name().as_ref()]).set(up);
            if let Some(pool) = backend.link.pool() {
                let counts = pool.counts();
                let now = [counts.shared, counts.exclusive_idle, counts.exclusive_used, counts.dialing];
                states.iter_mut().zip(now).for_each(|((_, sum), count)| *sum = sum.saturating_add(count));
            }
        }
        if self.has_pools() {
            for (state, count) in states {
                let gauge = metrics.upstream_connections.with_label_values(&[self.name.as_str(), state]);
                gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
    }
}

fn per_mille(share: config::Share) -> u16 {
    u16::try_from(share.per_mille()).unwrap_or(1000)
}

fn pool_policy(config: &config::Cluster) -> PoolPolicy {
    let count = |n: NonZeroU32| usize::try_from(n.get()).unwrap_or(usize::MAX);
    PoolPolicy {
        mode: match config.connections.mode {
            config::ConnectionMode::Auto => Mode::Auto,
            config::ConnectionMode::Exclusive => Mode::Exclusive,
        },
        shared_per_worker: count(config.connections.shared_per_worker),
        max: count(config.connections.max),
        window: u32::try_from(config.connections.window).unwrap_or(u32::MAX),
        connect: config.timeouts.connect,
        hello: config.timeouts.hello,
        idle: config.timeouts.idle,
        write: config.timeouts.write,
        user_agent: concat!("svc-gateway/", env!("CARGO_PKG_VERSION")).into(),
    }
}

/// Where a cluster's backends come from, and how often to ask again.
fn discovery(backends: &Backends, embedded: &Path) -> std::io::Result<(Discovery, Option<Duration>)> {
    Ok(match backends {
        Backends::Embedded => {
            (Discovery::fixed([(Target::Unix(embedded.to_owned()), NonZeroU32::MIN)])?, None)
        }
        Backends::Static(list) => {
            let listed = list.iter().map(|backend| (target(&backend.address), backend.weight));
            (Discovery::fixed(listed)?, None)
        }
        Backends::Dns(found) => {
            let by_name = Discovery::dns(found.dns.host.to_string(), found.dns.port, System);
            (by_name, Some(found.refresh))
        }
    })
}

/// The address that a backend is named after.
fn named(name: &str) -> Option<Target> {
    match name.strip_prefix("unix:") {
        Some(path) => Some(Target::Unix(path.into())),
        None => name.parse().ok().map(Target::Tcp),
    }
}

fn target(address: &config::Address) -> Target {
    match address {
        config::Address::Tcp(at) => Target::Tcp(*at),
        config::Address::Unix(path) => Target::Unix(path.clone()),
    }
}
