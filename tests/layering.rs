//! Who may know whom (ARCHITECTURE.md): imports point down only. Held by reading the `use` lines, tests excepted.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module of the crate, and the modules that it may name.
const ALLOWED: &[(&str, &[&str])] = &[
    // Cores and stages: nothing above them, and not one another.
    ("bhttp", &[]),
    ("oap", &["bhttp"]),
    ("object", &[]),
    ("route", &[]),
    ("tenant", &[]),
    ("tls", &[]),
    ("quota", &[]),
    ("caps", &[]),
    ("upstream", &["oap", "bhttp"]),
    ("admission", &[]),
    ("clock", &[]),
    ("descriptors", &[]),
    ("rejection", &["admission", "caps", "quota", "tenant"]),
    ("pressure", &["admission"]),
    ("access_log", &[]),
    ("edge", &["clock", "quota", "route", "tenant", "tls"]),
    ("metrics", &["rejection", "tls"]),
    // The configuration knows the stages' types, nobody below knows the configuration.
    ("config", &["clock", "route", "tenant", "tls"]),
    ("cli", &["config", "object", "tenant"]),
    ("logger", &["access_log", "clock", "config"]),
    ("backend", &["bhttp", "clock", "oap", "object"]),
    ("cluster", &["bhttp", "clock", "config", "metrics", "oap", "upstream", "state", "backend"]),
    (
        "snapshot",
        &["admission", "caps", "cluster", "config", "edge", "metrics", "quota", "route", "tenant", "tls"],
    ),
    (
        "state",
        &[
            "access_log",
            "admission",
            "caps",
            "clock",
            "cluster",
            "descriptors",
            "edge",
            "metrics",
            "pressure",
            "quota",
            "snapshot",
            "tenant",
        ],
    ),
    ("reload", &["clock", "config", "descriptors", "logger", "metrics", "snapshot", "state"]),
    ("admin", &["reload", "state"]),
    ("control", &["cli", "config"]),
    (
        "proxy",
        &[
            "access_log",
            "admin",
            "admission",
            "bhttp",
            "caps",
            "clock",
            "cluster",
            "config",
            "edge",
            "metrics",
            "oap",
            "object",
            "quota",
            "rejection",
            "route",
            "snapshot",
            "state",
            "tenant",
            "tls",
            "upstream",
        ],
    ),
    ("embedded", &["backend", "config", "server"]),
    ("serving", &["access_log", "backend", "cli", "clock", "config", "logger"]),
    (
        "server",
        &[
            "access_log",
            "admin",
            "clock",
            "cluster",
            "config",
            "descriptors",
            "edge",
            "embedded",
            "logger",
            "metrics",
            "pressure",
            "proxy",
            "quota",
            "rejection",
            "reload",
            "snapshot",
            "state",
            "tls",
        ],
    ),
];

/// Modules that may name Pingora's proxy: request code has one home.
const NAMES_THE_PROXY: &[&str] = &["proxy", "server"];
/// The one folder that names a decoder.
const NAMES_A_DECODER: &str = "src/caps/decode/";
/// Modules without a runtime, a socket or Pingora in them: a test can cut their bytes and bend their time.
const SANS_IO: &[&str] = &[
    "bhttp",
    "oap",
    "object",
    "route",
    "caps",
    "admission/drr",
    "admission/overload",
    "tenant",
    "edge/guard",
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Lines of code of each module, without comments and tests.
fn modules() -> BTreeMap<String, Vec<(PathBuf, String)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut modules = BTreeMap::<_, Vec<_>>::new();
    for file in files {
        let inside = file.strip_prefix(&root).unwrap();
        let name = inside.components().next().unwrap().as_os_str().to_string_lossy().replace(".rs", "");
        let is_test = inside.components().any(|c| c.as_os_str().to_string_lossy().contains("test"));
        if is_test || name == "lib" || name == "main" {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines().map(str::trim).filter(|line| !line.starts_with("//"));
        modules.entry(name).or_default().extend(lines.map(|line| (file.clone(), line.to_owned())));
    }
    modules
}

fn named(line: &str) -> Vec<String> {
    let word =
        |rest: &str| rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>();
    line.split("crate::")
        .skip(1)
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(list) => {
                let inside = list.split('}').next().unwrap_or_default().to_owned();
                inside.split(',').map(|item| word(item.trim())).collect::<Vec<_>>()
            }
            None => vec![word(rest)],
        })
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn imports_point_down_only() {
    let allowed: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    for (module, lines) in modules() {
        let may = allowed.get(module.as_str()).unwrap_or_else(|| panic!("{module} is not in the table"));
        for (file, line) in lines {
            for name in named(&line) {
                let fits = name == module || may.contains(&name.as_str());
                assert!(fits, "{}: {module} may not name {name}: {line}", file.display());
            }
        }
    }
}

#[test]
fn the_table_names_no_module_that_is_not_there() {
    let there = modules();
    for (module, may) in ALLOWED {
        for name in may.iter().chain([module]) {
            assert!(there.contains_key(*name), "{name} is in the table and nowhere else");
        }
    }
}

#[test]
fn only_the_shell_names_the_proxy() {
    for (module, lines) in modules() {
        for (file, line) in lines {
            let names = line.contains("pingora_proxy::") || line.contains("pingora::proxy");
            assert!(!names || NAMES_THE_PROXY.contains(&module.as_str()), "{}: {line}", file.display());
        }
    }
}

/// A whole module, or a part of one: a file or a folder in it.
fn is_sans_io(module: &str, file: &Path) -> bool {
    let file = file.with_extension("");
    let file = file.to_string_lossy();
    SANS_IO.iter().any(|core| match core.split_once('/') {
        None => *core == module,
        Some(_) => file.ends_with(&format!("src/{core}")) || file.contains(&format!("src/{core}/")),
    })
}

#[test]
fn only_one_folder_names_a_decoder() {
    for (file, line) in modules().into_values().flatten() {
        let names = line.contains("flate2") || line.contains("brotli_decompressor");
        assert!(!names || file.to_string_lossy().contains(NAMES_A_DECODER), "{}: {line}", file.display());
    }
}

#[test]
fn cores_name_no_runtime() {
    for (module, lines) in modules() {
        for (file, line) in lines {
            if !is_sans_io(&module, &file) {
                continue;
            }
            for outside in ["tokio", "pingora", "std::net::Tcp", "Instant::now", "parking_lot", "log::"] {
                assert!(!line.contains(outside), "{}: a core names {outside}: {line}", file.display());
            }
        }
    }
}
