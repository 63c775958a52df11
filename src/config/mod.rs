//! What the operator writes: one YAML file, every key with a default, every mistake with its place.
//!
//! ```text
//! text → tree (positions) → conform (schema: keys, types, units, ranges) → serde → Config
//!                                                                            → references, ambiguity, safety, warnings
//! ```
//!
//! A section is a file here: its struct with `Default`, and its table of keys. A new key is one line in each, and one
//! in `conf/gateway.yaml`; tests hold the three together. Values cannot be wrong once they are in a [`Config`].
//!
//! `listeners`, `clusters`, `routes` and `tenants` are replaced whole by a file (or what it includes) that has them (but
//! the tenant `anonymous` is always there); in all other sections what is not written keeps its default. Nothing here serves, binds or resolves anything.

mod address;
mod admission;
mod ambiguity;
mod backends;
mod balance;
mod capability;
mod cluster;
mod conform;
mod decode;
mod expand;
mod files;
mod finding;
mod identify;
mod in_flight;
mod include;
mod json_schema;
mod leaf;
mod limits;
mod listener;
mod listener_tls;
mod listeners;
mod load;
mod log;
mod matching;
mod name;
mod output;
mod quota;
mod rates;
mod references;
mod report;
mod resilience;
mod route;
mod safety;
mod schema;
mod server;
mod suggest;
mod tenant;
mod tenants;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod units;
mod warnings;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use self::address::{Address, DnsAddress, Network};
pub use self::admission::{Admission, Degrade};
pub use self::backends::{Backend, Backends, Discovery};
pub use self::balance::{Balance, HashOn};
pub use self::capability::{Capability, CapabilityKey, Demand, load_key, load_revoked};
pub use self::cluster::{Cluster, ClusterProtocol, ClusterTls, ConnectionMode, Connections, Timeouts};
pub use self::decode::{Decode, DecodeLimits};
pub use self::finding::{Errors, Finding};
pub use self::identify::{ApiKey, ClientCertificate, Digest, FieldValue, HeaderEvidence, Identify};
pub use self::in_flight::InFlight;
pub use self::include::Pattern;
pub use self::limits::{BodyLimits, Http2Limits, Limits, RequestLimits};
pub use self::listener::{Admin, Group, Listener, Protocol, ProxyProtocol, SocketMode};
pub use self::listener_tls::{CertificatePair, ClientAuth, ListenerTls, MinVersion, Pq};
pub use self::load::Loaded;
pub use self::log::{AccessLog, Log, LogLevel, LogTarget, MetricsPolicy};
pub use self::matching::{Authority, ExactPath, HostPattern, PathMatch, PathPrefix, PathTemplate};
pub use self::name::{HeaderName, HostName, Method, Name};
pub use self::output::{Format, effective};
pub use self::quota::{Cost, Penalty, PerAddress};
pub use self::rates::{ByteRate, Rate};
pub use self::resilience::{Ejection, Health, Hedge, Percentile, Retry};
pub use self::route::{EncodedSlash, Match, Route, RouteBody, RouteKind, Shed};
pub use self::safety::{Danger, Profile};
pub use self::server::Server;
pub use self::tenant::{PrincipalLimits, Quota, Tenant, TenantId};
pub use self::units::{Share, format_duration, format_size, parse_duration, parse_size};

use self::schema::{Key, Schema, key, section};

/// A whole configuration, defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How careful the gateway is with its own operator.
    pub profile: Profile,
    /// Keys whose safe bound is lifted.
    pub danger_ok: Vec<Danger>,
    /// Patterns of further files, as they were written; what those hold is in here already, so none are written out.
    #[serde(serialize_with = "include::write_none")]
    pub include: Vec<Pattern>,
    /// The process.
    pub server: Server,
    /// Where clients connect; at least one.
    pub listeners: Vec<Listener>,
    /// The control surface.
    pub admin: Admin,
    /// Named sets of services.
    pub clusters: BTreeMap<Name, Cluster>,
    /// Which requests go where; unambiguous, so their order means nothing.
    pub routes: Vec<Route>,
    /// Who pays; `anonymous` is always there.
    pub tenants: BTreeMap<Name, Tenant>,
    /// Which tokens count, and where they are asked for.
    pub capability: Capability,
    /// How much all requests together, one request and one connection may take.
    pub limits: Limits,
    /// Who is served first.
    pub admission: Admission,
    /// When writes are shed.
    pub degrade: Degrade,
    /// What is counted.
    pub metrics: MetricsPolicy,
    /// What is written about it all.
    pub log: Log,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            danger_ok: Vec::new(),
            include: Vec::new(),
            server: Server::default(),
            listeners: listener::default_listeners(),
            admin: Admin::default(),
            clusters: BTreeMap::from([(Name::fixed("objects"), Cluster::default())]),
            routes: route::default_routes(),
            tenants: tenant::with_anonymous(BTreeMap::new()),
            capability: Capability::default(),
            limits: Limits::default(),
            admission: Admission::default(),
            degrade: Degrade::default(),
            metrics: MetricsPolicy::default(),
            log: Log::default(),
        }
    }
}

impl Config {
    /// Reads a file and what it includes, or takes the defaults; `${NAME}` reads the process's environment.
    ///
    /// # Errors
    /// Everything that is wrong, with its place.
    pub fn load(path: Option<&Path>) -> Result<Loaded, Errors> {
        match path {
            Some(path) => load::load(path, &|name| std::env::var(name).ok()),
            None => Ok(Loaded { config: Self::default(), warnings: Vec::new(), files: Vec::new() }),
        }
    }

    /// Reads a text as [`Config::load`] would read it from the file `path`, which need not be there.
    ///
    /// # Errors
    /// Everything that is wrong, with its place.
    pub fn parse(
        path: &Path,
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Loaded, Errors> {
        load::load_text(path, text, environment)
    }
}

/// Every key, its default and a comment: what `config --defaults` prints and `conf/gateway.yaml` holds.
pub fn defaults_yaml() -> &'static str {
    include_str!("../../conf/gateway.yaml")
}

/// The JSON schema (draft 2020-12) of a configuration file.
pub fn json_schema() -> serde_json::Value {
    json_schema::document(&schema(), &output::json(&Config::default()))
}

fn schema() -> Schema {
    section([
        key("profile", "strict: danger_ok must be empty", safety::profile_schema()),
        key("danger_ok", "keys whose safe bound is lifted", safety::danger_schema()),
        key(
            "include",
            "patterns of files that hold clusters, routes and tenants",
            schema::list(schema::text::<Pattern>("a pattern such as conf.d/*.yaml")),
        ),
        key("server", "the process", server::schema()),
        key("listeners", "where clients connect", listener::schema()),
        key("admin", "the control surface", listener::admin_schema()),
        key("clusters", "named sets of services", cluster::schema()),
        key("routes", "which requests go where", route::schema()),
        key("tenants", "who pays", tenant::schema()),
        key("capability", "which tokens count, and where they are asked for", capability::schema()),
        key("limits", "how much all requests, one request and one connection may take", limits::schema()),
        key("admission", "who is served first", admission::schema()),
        key("degrade", "when writes are shed", admission::degrade_schema()),
        key("metrics", "what is counted", log::metrics_schema()),
        key("log", "what is written about it all", log::schema()),
    ])
}

/// The keys of an included file: clusters, routes and tenants; the others are known, and refused.
fn included_schema() -> Schema {
    const WHY: &str = "belongs into the main file, an included one holds clusters, routes and tenants only";
    match schema() {
        Schema::Section { keys, one_of } => {
            let here = |k: Key| match k.name {
                "clusters" | "routes" | "tenants" => k,
                _ => Key { schema: Schema::Elsewhere(WHY), ..k },
            };
            Schema::Section { keys: keys.into_iter().map(here).collect(), one_of }
        }
        other => other,
    }
}
