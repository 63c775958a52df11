//! `capability`: which root keys there are, what is revoked, and which routes ask for a token.
//!
//! What the files hold is read here: when the configuration is checked, and when a generation is compiled
//! ([`Capability::load_keys`], [`Capability::load_revoked`]).

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::load::Origins;
use super::name::{Method, NAME, Name};
use super::report::{Report, Spot};
use super::route::Route;
use super::schema::{Schema, absent_or, file, items, key, section, text, words};
use super::{Config, files, text as written};
use crate::tenant::capability::{Key, Keys, MAX_KEYS, Revoked, Secret};

/// Root keys, revocations, and what mutating routes ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Capability {
    /// The first mints, all verify; none: a bearer token is no evidence.
    pub keys: Vec<CapabilityKey>,
    /// A list of macaroon identifiers that hold no more.
    #[serde(serialize_with = "written::or_none")]
    pub revoked: Option<PathBuf>,
    /// What a route without a `capability` of its own asks of requests that may change something.
    pub mutations: Demand,
}

/// A root key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapabilityKey {
    /// Unique; what identifiers call it.
    pub id: Name,
    /// Where its secret is.
    pub file: PathBuf,
}

/// What a route asks of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Demand {
    /// A bearer token is the service's business: it is not looked at, and crosses.
    Off,
    /// None is fine, a wrong one is 401.
    #[default]
    Optional,
    /// None is 401 too.
    Required,
}

impl Capability {
    /// What this route asks of a request with a method that mutates, or does not.
    pub fn demand(&self, route: &Route, mutates: bool) -> Demand {
        route.capability.unwrap_or(if mutates { self.mutations } else { Demand::Off })
    }

    /// Reads the keys' files.
    ///
    /// # Errors
    /// What is wrong with which file: they may have changed since they were checked.
    pub fn load_keys(&self) -> Result<Keys, String> {
        let keys = self.keys.iter().map(|key| load_key(key.id.as_str(), &key.file));
        Keys::new(keys.collect::<Result<_, _>>()?).map_err(|e| e.to_string())
    }

    /// Reads the list of revoked identifiers; without one, nothing is revoked.
    ///
    /// # Errors
    /// The file cannot be read, or a line of it is no identifier.
    pub fn load_revoked(&self) -> Result<Revoked, String> {
        self.revoked.as_deref().map_or(Ok(Revoked::default()), load_revoked)
    }
}

/// Reads a root key from its file.
///
/// # Errors
/// Others may read the file, it cannot be read, it holds no secret, or `id` is no name.
pub fn load_key(id: &str, path: &Path) -> Result<Key, String> {
    Key::new(id, load_secret(path)?).map_err(|e| e.to_string())
}

fn load_secret(path: &Path) -> Result<Secret, String> {
    let file = files::open_secret(path)?;
    // Room for all of it at once: what a growing buffer leaves behind would not be wiped.
    let mut content = Zeroizing::new(Vec::with_capacity(Secret::MOST.saturating_mul(2)));
    let most = u64::try_from(Secret::MOST).unwrap_or(u64::MAX);
    file.take(most).read_to_end(&mut content).map_err(|e| files::unreadable(path, &e))?;
    Secret::parse(&content)
        .map_err(|e| format!("`{}` {e}, or make one with `svc-gateway token keygen`", path.display()))
}

/// Reads a list of revoked identifiers.
///
/// # Errors
/// The file cannot be read, or is no list.
pub fn load_revoked(path: &Path) -> Result<Revoked, String> {
    let file = File::open(path).map_err(|e| files::unreadable(path, &e))?;
    let mut content = Vec::new();
    file.take(Revoked::MOST + 1).read_to_end(&mut content).map_err(|e| files::unreadable(path, &e))?;
    if content.len() as u64 > Revoked::MOST {
        return Err(format!("`{}` is larger than 32MiB, take off what has expired", path.display()));
    }
    Revoked::parse(&content).map_err(|e| format!("`{}`: {e}", path.display()))
}

pub(super) fn schema() -> Schema {
    let each = section([
        key("id", "unique; what tokens call it", text::<Name>(NAME)).required(),
        key(
            "file",
            "its secret: 64 or more hex digits, or raw bytes; mode 0600 or 0400",
            file("a file of at least 32 secret bytes", |path| load_secret(path).map(drop)),
        )
        .required(),
    ]);
    let list = file("a file of macaroon identifiers", |path| load_revoked(path).map(drop));
    section([
        key("keys", "root keys; the first mints, all verify", items(each, false)),
        key("revoked", "identifiers that hold no more, one a line", absent_or("none", list)),
        key("mutations", "what mutating routes ask for", demand_schema()),
    ])
}

/// What a route, or all that mutate, may ask for.
pub(super) fn demand_schema() -> Schema {
    words(&["off", "optional", "required"])
}

/// What concerns several keys.
pub(super) fn check(config: &Config, origins: &Origins, report: &mut Report) {
    let Capability { keys, mutations, .. } = &config.capability;
    let at = Spot::root(0).key("capability");
    let keys_at = at.key("keys");
    // Where each stands: what was refused is not in the list any more.
    let kept = report.kept(&keys_at).to_vec();
    for (n, (one, index)) in keys.iter().zip(&kept).enumerate() {
        let earlier = |same: fn(&CapabilityKey, &CapabilityKey) -> bool| {
            let found = keys.iter().zip(&kept).take(n).find(|(other, _)| same(other, one));
            found.map(|(_, index)| keys_at.item(*index))
        };
        let spot = keys_at.item(*index);
        if let Some(other) = earlier(|a, b| a.id == b.id) {
            let place = report.place(&other.key("id"), &spot);
            let message = format!("the key at {place} has the id `{}` already, give one another", one.id);
            report.error(&spot.key("id"), message);
        }
        if let Some(other) = earlier(|a, b| a.file == b.file) {
            let place = report.place(&other.key("file"), &spot);
            report.error(&spot.key("file"), format!("is the file of the key at {place} already, remove one"));
        }
    }
    if keys.len() > MAX_KEYS {
        report
            .error(&keys_at, format!("has more than {MAX_KEYS} keys, take off those whose tokens are over"));
    }
    if !keys.is_empty() || report.is_spoiled(&keys_at) || !kept_all(&keys_at, &kept, report) {
        return;
    }
    let lacking =
        "asks for a capability, and there is no key to verify one with: add one to `capability.keys`";
    if *mutations == Demand::Required {
        report.error(&at.key("mutations"), lacking);
    }
    for (route, spot) in config.routes.iter().zip(&origins.routes) {
        if route.capability == Some(Demand::Required) {
            report.error(&spot.key("capability"), lacking);
        }
    }
}

/// Whether no key of the list was refused.
fn kept_all(keys_at: &Spot, kept: &[usize], report: &Report) -> bool {
    !report.is_written(&keys_at.item(kept.len()))
}

/// A token that is asked for, and that nobody would look at.
pub(super) fn warn(config: &Config, origins: &Origins, report: &mut Report) {
    if !config.capability.keys.is_empty() {
        return;
    }
    for (route, spot) in config.routes.iter().zip(&origins.routes) {
        if route.capability == Some(Demand::Optional) {
            let message = "there are no `capability.keys`, so that bearer tokens cross unseen";
            report.warn(&spot.key("capability"), message);
        }
    }
}

/// A route on which somebody without a capability may change something.
pub(super) fn takes_open_writes(config: &Config, route: &Route) -> bool {
    let writes = route.matches.methods.is_empty() || route.matches.methods.iter().any(Method::mutates);
    writes && config.capability.demand(route, true) != Demand::Required
}
