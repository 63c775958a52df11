//! Files → [`Config`]: read, parse, check against the schema, include, deserialize, check across keys.
//!
//! Every step goes on as far as what came before allows, so that one run finds all that is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_yaml::{Mapping, Value};

use super::conform::Walk;
use super::expand::Environment;
use super::files::reason;
use super::finding::{Errors, Finding};
use super::include::Pattern;
use super::listener::Listener;
use super::name::Name;
use super::report::{Report, Spot};
use super::schema::Schema;
use super::tree::{self, Position};
use super::{Config, ambiguity, capability, include, references, safety, tenant, tenants, warnings};

/// A configuration that was found right, and what it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration, defaults filled in.
    pub config: Config,
    /// What is legal and risky.
    pub warnings: Vec<Finding>,
    /// The files that were read, the main one first; empty for the defaults.
    pub files: Vec<PathBuf>,
}

/// Larger than any configuration written by people or their tools.
const MAX_FILE: u64 = 1 << 20;

/// Where the lists and maps of a merged configuration were written.
#[derive(Default)]
pub(super) struct Origins {
    pub(super) listeners: Vec<Spot>,
    pub(super) clusters: BTreeMap<Name, Spot>,
    pub(super) tenants: BTreeMap<Name, Spot>,
    pub(super) routes: Vec<Spot>,
    /// A listener was left out because it was wrong: its name may be the one that is missed.
    pub(super) has_broken_listeners: bool,
    /// A file could not be read: what seems to be missing may stand there.
    is_incomplete: bool,
    files: usize,
}

impl Origins {
    /// Whether some file has a thing of this name in the map `section`, right or wrong, or might have it.
    pub(super) fn may_have(&self, section: &str, name: &Name, report: &Report) -> bool {
        self.is_incomplete
            || report.is_spoiled(&Spot::root(0).key(section))
            || (0..self.files)
                .any(|file| report.is_written(&Spot::root(file).key(section).key(name.as_str())))
    }
}

/// Reads the file and what it includes.
pub(super) fn load(path: &Path, environment: Environment<'_>) -> Result<Loaded, Errors> {
    let mut report = Report::default();
    let file = report.add_file(path.to_owned());
    let text = match read(path) {
        Ok(text) => Some(text),
        Err(message) => {
            report.refuse(&Spot::root(file), Position::START, message);
            None
        }
    };
    finish(text, path, environment, report)
}

/// The same for text that was read from `path`, or would be.
pub(super) fn load_text(path: &Path, text: &str, environment: Environment<'_>) -> Result<Loaded, Errors> {
    let mut report = Report::default();
    report.add_file(path.to_owned());
    finish(Some(text.to_owned()), path, environment, report)
}

fn finish(
    text: Option<String>,
    path: &Path,
    environment: Environment<'_>,
    mut report: Report,
) -> Result<Loaded, Errors> {
    let main = Spot::root(0);
    let written =
        text.and_then(|text| conform(&text, path, &super::schema(), environment, &mut report, &main));
    let Some(mut written) = written else { return Err(Errors::sorted(report.errors)) };
    let mut origins = Origins::default();
    note_origins(&written, &main, &mut origins, &mut report);
    include_files(&mut written, path, environment, &mut origins, &mut report);
    origins.files = report.files().len();
    match deserialize(written) {
        Ok(mut config) => {
            config.tenants = tenant::with_anonymous(config.tenants);
            config.listeners.iter_mut().for_each(Listener::fill_in);
            judge(config, origins, report)
        }
        Err(message) => {
            report.refuse(&main, Position::START, message);
            Err(Errors::sorted(report.errors))
        }
    }
}

fn judge(config: Config, mut origins: Origins, mut report: Report) -> Result<Loaded, Errors> {
    // What the file leaves to the defaults stands nowhere; findings about it point at the key, or at the file.
    let main = Spot::root(0);
    if origins.listeners.is_empty() {
        origins.listeners = (0..config.listeners.len()).map(|n| main.key("listeners").item(n)).collect();
    }
    if origins.routes.is_empty() {
        origins.routes = (0..config.routes.len()).map(|n| main.key("routes").item(n)).collect();
    }
    references::check(&config, &origins, &mut report);
    ambiguity::check(&config, &origins, &mut report);
    tenants::check(&config, &origins, &mut report);
    safety::check(&config, &origins, &mut report);
    capability::check(&config, &origins, &mut report);
    if !report.errors.is_empty() {
        return Err(Errors::sorted(report.errors));
    }
    warnings::check(&config, &origins, &mut report);
    report.warnings.sort();
    Ok(Loaded { config, files: report.files().to_vec(), warnings: report.warnings })
}

fn deserialize(written: Mapping) -> Result<Config, String> {
    // Enums with a value are maps with one key here (`hash: { header: x }`), not YAML tags.
    serde_yaml::with::singleton_map_recursive::deserialize(Value::Mapping(written))
        .map_err(|e| format!("cannot be understood ({e}), which the schema should have caught"))
}

fn read(path: &Path) -> Result<String, String> {
    let unreadable =
        |e: &io::Error| format!("cannot be read ({}), name a file that is there and readable", reason(e));
    let file = File::open(path).map_err(|e| unreadable(&e))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|e| unreadable(&e))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err("is larger than 1MiB, split it with `include`".to_owned());
    }
    String::from_utf8(bytes).map_err(|e| {
        let valid = e.utf8_error().valid_up_to();
        format!("is not UTF-8 (at byte {valid}), save it as UTF-8")
    })
}

/// One file's text as a mapping that serde can read; `None` when there is no sense to be made of it.
fn conform(
    text: &str,
    path: &Path,
    schema: &Schema,
    environment: Environment<'_>,
    report: &mut Report,
    root: &Spot,
) -> Option<Mapping> {
    let tree = match tree::parse(text) {
        Ok(tree) => tree,
        Err(e) => {
            report.refuse(&Spot { path: e.path, ..root.clone() }, e.at, e.message);
            return None;
        }
    };
    for e in tree.duplicates {
        report.refuse(&Spot { path: e.path, ..root.clone() }, e.at, e.message);
    }
    let Some(node) = tree.root else { return Some(Mapping::new()) };
    let folder = path.parent().unwrap_or(Path::new(""));
    match (Walk { folder, environment, report }).value(schema, &node, node.at, root) {
        Some(Value::Mapping(mapping)) => Some(mapping),
        _ => None,
    }
}

/// Remembers where each listener, cluster, route and tenant of a file stands.
fn note_origins(written: &Mapping, root: &Spot, origins: &mut Origins, report: &mut Report) {
    let spots = |key: &str, report: &Report| -> Vec<Spot> {
        let list = root.key(key);
        report.kept(&list).iter().map(|n| list.item(*n)).collect()
    };
    let listeners = spots("listeners", report);
    if let Some(Value::Sequence(all)) = written.get("listeners") {
        // One more than were kept is there.
        origins.has_broken_listeners |= report.is_written(&root.key("listeners").item(all.len()));
    }
    origins.listeners.extend(listeners);
    origins.routes.extend(spots("routes", report));
    note_names(written, &root.key("clusters"), "cluster", &mut origins.clusters, report);
    note_names(written, &root.key("tenants"), "tenant", &mut origins.tenants, report);
}

/// The same for a map by name at `section`, whose entries are each a `what`.
fn note_names(
    written: &Mapping,
    section: &Spot,
    what: &str,
    known: &mut BTreeMap<Name, Spot>,
    report: &mut Report,
) {
    let Some(Value::Mapping(entries)) = written.get(section.path.as_str()) else { return };
    let names = entries.keys().filter_map(Value::as_str).filter_map(|name| name.parse::<Name>().ok());
    for name in names {
        let spot = section.key(name.as_str());
        match known.get(&name) {
            Some(first) => {
                let place = report.place(first, &spot);
                report.error(&spot, format!("the {what} at {place} has this name already, rename one"));
            }
            None => drop(known.insert(name, spot)),
        }
    }
}

fn include_files(
    written: &mut Mapping,
    main: &Path,
    environment: Environment<'_>,
    origins: &mut Origins,
    report: &mut Report,
) {
    let Some(Value::Sequence(patterns)) = written.get("include").cloned() else { return };
    let at = Spot::root(0).key("include");
    let mut seen: BTreeSet<PathBuf> = main.canonicalize().into_iter().collect();
    for (n, pattern) in patterns.iter().enumerate() {
        let Some(Ok(pattern)) = pattern.as_str().map(str::parse::<Pattern>) else { continue };
        let found = match include::find(main.parent().unwrap_or(Path::new("")), &pattern) {
            Ok(found) => found,
            Err(message) => {
                report.error(&at.item(n), message);
                origins.is_incomplete = true;
                continue;
            }
        };
        for path in found {
            if path.canonicalize().is_ok_and(|whole| !seen.insert(whole)) {
                continue;
            }
            let file = report.add_file(path.clone());
            let root = Spot::root(file);
            let text = match read(&path) {
                Ok(text) => text,
                Err(message) => {
                    report.refuse(&root, Position::START, message);
                    origins.is_incomplete = true;
                    continue;
                }
            };
            match conform(&text, &path, &super::included_schema(), environment, report, &root) {
                Some(more) => {
                    note_origins(&more, &root, origins, report);
                    merge(written, more);
                }
                None => origins.is_incomplete = true,
            }
        }
    }
}

/// Adds what an included file holds; of two things with one name the first stays.
fn merge(written: &mut Mapping, more: Mapping) {
    for (key, value) in more {
        match (written.get_mut(&key), value) {
            (Some(Value::Sequence(all)), Value::Sequence(more)) => all.extend(more),
            (Some(Value::Mapping(all)), Value::Mapping(more)) => {
                for (name, thing) in more {
                    all.entry(name).or_insert(thing);
                }
            }
            (_, value) => drop(written.insert(key, value)),
        }
    }
}
