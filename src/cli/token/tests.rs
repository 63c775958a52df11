//! The commands one after the other, as somebody would type them.

use std::os::unix::fs::PermissionsExt;

use clap::Parser;
use serde_json::Value;

use super::*;
use crate::cli::{Cli, Command};

const NOW: u64 = 1_700_000_000;
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";

struct Bench(tempfile::TempDir);

impl Bench {
    /// A folder with a key and a configuration.
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        bench.write("k1", 0o600, KEY);
        bench.write("revoked", 0o644, "");
        bench.write(
            "gw.yaml",
            0o644,
            "capability: { keys: [ { id: k1, file: k1 } ], revoked: revoked, mutations: required }",
        );
        bench
    }

    fn write(&self, name: &str, mode: u32, content: &str) {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Runs `token` with words, in which @ is the folder, with this standard input.
    fn at(&self, now: u64, words: &[&str], input: &str) -> Answer {
        let folder = format!("{}/", self.0.path().display());
        let words = words.iter().map(|word| word.replace('@', &folder));
        let line = ["svc-gateway", "token"].map(str::to_owned).into_iter().chain(words);
        let Command::Token(args) = Cli::try_parse_from(line).unwrap().command else { panic!() };
        token(&args, &mut input.as_bytes(), Duration::from_secs(now))
    }

    fn run(&self, words: &[&str], input: &str) -> Answer {
        self.at(NOW, words, input)
    }

    /// What a command that must succeed prints.
    fn out(&self, words: &[&str], input: &str) -> String {
        let answer = self.run(words, input);
        assert_eq!((answer.exit, answer.stderr.as_str()), (Exit::Done, ""), "{words:?}");
        answer.stdout
    }

    fn json(&self, words: &[&str], input: &str) -> Value {
        serde_json::from_str(&self.run(words, input).stdout).unwrap()
    }
}

#[test]
fn a_key_is_made_once_and_for_its_owner_alone() {
    let bench = Bench::new();
    assert!(bench.out(&["keygen", "@new"], "").ends_with("/new: a new key of 32 bytes, mode 0600\n"));
    let path = bench.0.path().join("new");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let first = std::fs::read_to_string(&path).unwrap();
    assert!(first.len() == 65 && first.trim().bytes().all(|b| b.is_ascii_hexdigit()));
    let again = bench.run(&["keygen", "@new"], "");
    assert_eq!(again.exit, Exit::Failed);
    assert!(again.stderr.contains("is there already and stays as it is"), "{}", again.stderr);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), first);
    assert_eq!(bench.json(&["keygen", "--json", "@other"], "")["mode"], "0600");
    assert_ne!(std::fs::read_to_string(bench.0.path().join("other")).unwrap(), first);
    let token = bench.out(&["mint", "--key", "@new", "--id", "k7", "--expires", "1h"], "");
    assert_eq!(bench.run(&["verify", "--key", "@new", "--id", "k7"], &token).exit, Exit::Done);
}

#[test]
fn a_token_is_minted_narrowed_looked_at_and_verified() {
    let bench = Bench::new();
    let minted = bench.json(
        &["mint", "-c", "@gw.yaml", "--tenant", "acme", "--expires", "1h", "--bytes", "1MiB/s", "--json"],
        "",
    );
    let (token, identifier) = (minted["token"].as_str().unwrap(), minted["identifier"].as_str().unwrap());
    assert!(identifier.starts_with("v1:k1:") && identifier.ends_with(":acme"));
    assert_eq!(minted["caveats"], serde_json::json!(["time < 1700003600", "bytes <= 1048576/s"]));

    let narrowed = bench.out(
        &[
            "attenuate",
            "--methods",
            "PUT,POST",
            "--path",
            "/o/",
            "--rate",
            "5/s",
            "--caveat",
            "tenant = acme",
        ],
        &format!("Bearer {token}\n"),
    );
    let seen = bench.json(&["inspect", "--json", narrowed.trim()], "");
    assert_eq!(seen["identifier"], identifier);
    assert_eq!((&seen["key"], &seen["tenant"]), (&Value::from("k1"), &Value::from("acme")));
    assert_eq!(seen["caveats"].as_array().unwrap().len(), 6);

    let verify = |words: &[&str]| bench.run(&[&["verify", "-c", "@gw.yaml"], words].concat(), &narrowed);
    let hash = seen["hash"].as_str().unwrap();
    assert_eq!(
        verify(&["--request", "PUT /o/x?y"]).stdout,
        format!("allowed: principal {hash}, tenant acme, over in 1h, rate <= 5/s, bytes <= 1048576/s\n")
    );
    for (words, said) in [
        (&["--request", "GET /o/x"][..], "denied: 403 method_caveat\n"),
        (&["--request", "PUT /p"], "denied: 403 path_caveat\n"),
        (&["--request", "PUT /o/x", "--tenant", "other", "--certificate"], "denied: 403 tenant_caveat\n"),
        (&["--request", "PUT /o/x", "--at", "1700003600"], "denied: 401 expired\n"),
    ] {
        let answer = verify(words);
        assert_eq!((answer.stdout.as_str(), answer.exit), (said, Exit::Failed), "{words:?}");
    }
    let json: Value = serde_json::from_str(&verify(&["--json"]).stdout).unwrap();
    assert_eq!(json, serde_json::json!({ "allowed": false, "status": 403, "reason": "method_caveat" }));

    bench.write("revoked", 0o644, &format!("{identifier}\n"));
    assert_eq!(verify(&["--request", "PUT /o/x"]).stdout, "denied: 401 revoked\n");
}

#[test]
fn an_address_is_taken_from_the_path() {
    let bench = Bench::new();
    let token = bench.out(&["mint", "-c", "@gw.yaml", "--expires", "never", "--address", "b3:0a"], "");
    let object = |first: &str| format!("GET /o/b3:{first}{}", "0".repeat(62));
    let verify = |request: &str| bench.run(&["verify", "-c", "@gw.yaml", "--request", request], &token).exit;
    assert_eq!(verify(&object("0a")), Exit::Done);
    assert_eq!(verify(&object("0b")), Exit::Failed);
    assert_eq!(verify("GET /x"), Exit::Failed);
}

#[test]
fn what_a_token_says_is_shown_for_people() {
    let bench = Bench::new();
    let token = bench.out(&["mint", "-c", "@gw.yaml", "--expires", "1h", "--methods", "GET"], "");
    let seen = bench.at(NOW + 3600, &["inspect"], &token).stdout;
    for line in [
        "tenant      none, it is for whoever the request is\n",
        "caveats     time < 1700003600   (over)\n            method in GET\n",
    ] {
        assert!(seen.contains(line), "{seen}");
    }
    let bare = bench.out(&["mint", "-c", "@gw.yaml", "--expires", "never"], "");
    assert!(bench.out(&["inspect", "-"], &bare).contains("none, it allows everything for ever"));
    // `weather = fine`, appended by another library.
    const FOREIGN: &str = "AgImdjE6azE6MDAwMTAyMDMwNDA1MDYwNzA4MDkwYTBiMGMwZDBlMGYAAg53ZWF0aGVyID0gZmluZQAABiAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let seen = bench.out(&["inspect", FOREIGN], "");
    assert!(seen.contains("weather = fine   (not known to this gateway: denied)\n"), "{seen}");
}

#[test]
fn what_cannot_be_done_says_why_and_how_it_ends() {
    let bench = Bench::new();
    bench.write("open", 0o644, KEY);
    bench.write("none.yaml", 0o644, "");
    bench.write("wrong.yaml", 0o644, "capability: { keys: [ { id: k1, file: open } ] }");
    let token = bench.out(&["mint", "-c", "@gw.yaml", "--expires", "1h"], "");
    for (words, input, exit, said) in [
        (&["mint", "-c", "@none.yaml", "--expires", "1h"][..], "", Exit::Usage, "has no `capability.keys`"),
        (&["mint", "-c", "@wrong.yaml", "--expires", "1h"], "", Exit::Usage, "has mode 0644, a secret has"),
        (&["mint", "-c", "@gw.yaml", "--id", "k2", "--expires", "1h"], "", Exit::Usage, "has no key `k2`"),
        (&["mint", "--key", "@open", "--id", "k1", "--expires", "1h"], "", Exit::Usage, "has mode 0644"),
        (
            &["mint", "-c", "@gw.yaml", "--expires", "1h", "--methods", "get"],
            "",
            Exit::Usage,
            "`method in get` is no caveat, write `time < SECONDS`",
        ),
        (&["attenuate"], &token, Exit::Usage, "nothing to narrow by"),
        (&["attenuate", "--methods", "GET"], "x", Exit::Failed, "this is no token of a gateway"),
        (&["inspect", "x"], "", Exit::Failed, "this is no token of a gateway"),
        (&["verify", "-c", "@wrong.yaml"], &token, Exit::Usage, "has mode 0644"),
    ] {
        let answer = bench.run(words, input);
        assert_eq!((answer.stdout.as_str(), answer.exit), ("", exit), "{words:?}: {}", answer.stderr);
        assert!(answer.stderr.contains(said), "{words:?}: {}", answer.stderr);
    }
    let too_many: Vec<&str> =
        ["attenuate"].into_iter().chain(["--caveat", "path under /"].repeat(32)).collect();
    assert!(bench.run(&too_many, &token).stderr.contains("a token has at most 32 caveats"));
    // A token that is none is a verdict of verify's, not a failure to give one.
    let answer = bench.run(&["verify", "-c", "@gw.yaml"], "x");
    assert_eq!((answer.stdout.as_str(), answer.exit), ("denied: 401 malformed\n", Exit::Failed));
}

#[test]
fn a_rotated_key_mints_and_the_old_one_still_verifies() {
    let bench = Bench::new();
    let old = bench.out(&["mint", "-c", "@gw.yaml", "--expires", "1h"], "");
    bench.out(&["keygen", "@k2"], "");
    let ring = |keys: &str| bench.write("gw.yaml", 0o644, &format!("capability: {{ keys: [ {keys} ] }}"));
    ring("{ id: k2, file: k2 }, { id: k1, file: k1 }");
    let new = bench.json(&["mint", "-c", "@gw.yaml", "--expires", "1h", "--json"], "");
    assert!(new["identifier"].as_str().unwrap().starts_with("v1:k2:"));
    assert_eq!(bench.run(&["verify", "-c", "@gw.yaml"], &old).exit, Exit::Done);
    ring("{ id: k2, file: k2 }");
    assert_eq!(bench.run(&["verify", "-c", "@gw.yaml"], &old).stdout, "denied: 401 unknown_key\n");
}
