//! Each key of the configuration has a test over the real binary that shows it bite: `testing/keys.yaml` says which, and this
//! holds it to that. It reads sources and runs no gateway; whether a test can fail is for who writes it to see.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod schema;
mod source;

use std::collections::BTreeMap;
use std::process::Command;

use source::Sources;

const LIST: &str = "testing/keys.yaml";

/// What is wrong with the list, a line each; what must be done stands in the line.
fn complaints(keys: &[String], list: &BTreeMap<String, String>, sources: &Sources) -> Vec<String> {
    let missing = keys.iter().filter(|key| !list.contains_key(*key)).map(|key| {
        format!(
            "{key}: no test. Write one in tests/it that sets it and sees over a socket (or in the log, the metrics, the files) that \
             its value counts, then add `{key}: MODULE::TEST` to {LIST}"
        )
    });
    let wrong = list.iter().filter_map(|(key, test)| {
        if !keys.contains(key) {
            return Some(format!(
                "{key}: `svc-gateway config --schema` has no such key; take the line out of {LIST}"
            ));
        }
        sources.sets(test, &segments(key)).err().map(|why| format!("{key}: {why}"))
    });
    missing.chain(wrong).collect()
}

/// The names in a key: `clusters.*.backends[].weight` has three.
fn segments(key: &str) -> Vec<&str> {
    key.split('.').map(|name| name.trim_end_matches("[]")).filter(|name| *name != "*").collect()
}

#[test]
fn each_key_of_the_configuration_has_a_test_that_shows_it_bite() {
    let schema =
        Command::new(env!("CARGO_BIN_EXE_svc-gateway")).args(["config", "--schema"]).output().unwrap();
    let keys = schema::keys(&serde_json::from_slice(&schema.stdout).unwrap());
    assert!(keys.len() > 100, "{keys:?}");
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let list = std::fs::read_to_string(format!("{root}{LIST}")).unwrap();
    let list: BTreeMap<String, String> = serde_yaml::from_str(&list).unwrap();
    let wrong = complaints(&keys, &list, &Sources::read(root));
    assert!(wrong.is_empty(), "{} of {} keys:\n{}", wrong.len(), keys.len(), wrong.join("\n"));
}

/// Two modules of tests and one that nobody runs.
fn example() -> Sources {
    let limits = r#"
use crate::behind::Behind;

const SMALL: &str = "{ max: 1KiB }";

#[tokio::test]
async fn a_large_body_is_refused() {
    let conf = app().set("limits.body", SMALL);
}

#[test]
fn nothing_is_set() {
    assert_eq!(line["max"], 1);
}

#[tokio::test]
async fn a_helper_sets_it() {
    Behind::slow();
}

async fn no_test() {
    app().set("limits.body.max", "1KiB");
}
"#;
    let behind = "
impl Behind {
    pub fn slow() -> Conf {
        app().set(\"limits.request\", \"{ timeout: 1s }\")
    }
}
";
    Sources::new([
        ("main", "mod behind;\nmod limits;\n"),
        ("limits", limits),
        ("behind", behind),
        ("unused", "\n#[test]\nfn it_is_never_run() {\n    set(\"limits.body.max\");\n}\n"),
    ])
}

#[test]
fn a_key_without_its_test_is_told_with_what_to_do() {
    let cases = [
        ("limits.body.max", "limits.body.max", "limits::a_large_body_is_refused", None),
        ("limits.request.timeout", "limits.request.timeout", "limits::a_helper_sets_it", None),
        ("limits.rate", "", "", Some("limits.rate: no test. Write one")),
        ("limits.body.max", "limits.body.min", "limits::a_large_body_is_refused", Some("has no such key")),
        ("limits.body.max", "limits.body.max", "limits", Some("`limits` is not MODULE::TEST")),
        (
            "limits.body.max",
            "limits.body.max",
            "caps::a_large_body_is_refused",
            Some("there is no tests/it/caps.rs"),
        ),
        (
            "limits.body.max",
            "limits.body.max",
            "unused::it_is_never_run",
            Some("tests/it/main.rs does not name it"),
        ),
        ("limits.body.max", "limits.body.max", "limits::gone", Some("has no function `gone`")),
        ("limits.body.max", "limits.body.max", "limits::no_test", Some("`no_test` is no test")),
        ("limits.body.max", "limits.body.max", "limits::nothing_is_set", Some("does not set `max`")),
        ("limits.body.max", "limits.body.max", "limits::a_helper_sets_it", Some("does not set `max`")),
        (
            "limits.queue.max",
            "limits.queue.max",
            "limits::a_large_body_is_refused",
            Some("does not name `queue`"),
        ),
    ];
    for (key, listed, test, expected) in cases {
        let list = BTreeMap::from([(listed.to_owned(), test.to_owned())]);
        let list = if listed.is_empty() { BTreeMap::new() } else { list };
        let said = complaints(&[key.to_owned()], &list, &example()).join("\n");
        match expected {
            None => assert_eq!(said, "", "{listed}: {test}"),
            Some(words) => assert!(said.contains(words), "{listed}: {test}: {said:?}"),
        }
    }
}
