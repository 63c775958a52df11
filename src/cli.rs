//! The command line: what may be asked, and the commands that need no running gateway (`check`,
//! `config`, `token`).
//!
//! Errors go to standard error, data to standard output. `run` and `backend` are parsed here and executed elsewhere.

mod token;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::json;

pub use self::token::{TokenArgs, token};
use crate::config::{self, Address, Config, ConnectionMode, Errors, Finding, Format, parse_size};

/// What a command ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: failed at run time.
    Failed,
    /// 2: wrong usage or configuration.
    Usage,
    /// 3: the running gateway could not be reached.
    Unreachable,
}

impl Exit {
    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
        }
    }
}

/// What a command prints, and how it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// For standard output, line breaks included.
    pub stdout: String,
    /// For standard error, line breaks included.
    pub stderr: String,
    /// How the process ends.
    pub exit: Exit,
}

const FILES: &str = "The configuration is one YAML file in which every key has a default, so none is needed to start. \
`svc-gateway config --defaults` prints all keys with comments.\n\n\
Exit status: 0 done, 1 failed at run time, 2 wrong usage or configuration, 3 the running gateway could not be reached.";

/// A reverse proxy: HTTP in, OAP/1 (or HTTP) out.
#[derive(Clone, Debug, Parser)]
#[command(name = "svc-gateway", version, about, after_help = FILES, subcommand_required = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Serve until SIGTERM (finish what runs, then stop) or SIGINT.
    Run(RunArgs),
    /// Say what is wrong or risky in a configuration, and where; everything short of binding.
    Check(CheckArgs),
    /// Print the defaults, the effective configuration, or its JSON schema.
    Config(ConfigArgs),
    /// Have a running gateway read its configuration anew; what is wrong with it is said, and the old one stays in force.
    Reload(ReloadArgs),
    /// Serve content-addressed objects over OAP/1: a service to put behind the gateway.
    Backend(BackendArgs),
    /// Make, narrow and look at capabilities: the bearer tokens that routes may ask for.
    Token(TokenArgs),
}

/// `run`.
#[derive(Clone, Debug, Default, Args)]
pub struct RunArgs {
    /// The configuration; without it the defaults: 127.0.0.1:8080, with an object store inside.
    #[arg(short, long, value_name = "FILE", env = "SVC_GATEWAY_CONFIG")]
    pub config: Option<PathBuf>,
}

/// `check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// The configuration.
    #[arg(short, long, value_name = "FILE", env = "SVC_GATEWAY_CONFIG")]
    pub config: PathBuf,
    /// Findings as one JSON object on standard output.
    #[arg(long)]
    pub json: bool,
}

/// `config`.
#[derive(Clone, Debug, Default, Args)]
pub struct ConfigArgs {
    /// Every key with its default and a comment; a file to start from.
    #[arg(long, conflicts_with_all = ["config", "schema"])]
    pub defaults: bool,
    /// What FILE means with the defaults filled in; without it, what `run` would serve.
    // No `env` here: it would conflict with the other flags without having been written.
    #[arg(short, long, value_name = "FILE", conflicts_with = "schema")]
    pub config: Option<PathBuf>,
    /// How to write it; comments are YAML's only.
    #[arg(long, value_enum, default_value_t)]
    pub format: OutputFormat,
    /// The JSON schema of configuration files, for editors; always JSON.
    #[arg(long)]
    pub schema: bool,
}

/// `reload`.
#[derive(Clone, Debug, Args)]
pub struct ReloadArgs {
    /// The gateway's admin listener.
    #[arg(long, value_name = "ADDR", help = "The gateway's admin listener: HOST:PORT, [IPV6]:PORT or unix:/path", default_value = "127.0.0.1:9090", env = "SVC_GATEWAY_ADMIN", value_parser = |text: &str| text.parse::<Address>())]
    pub admin: Address,
    /// What it came to as one JSON object on standard output.
    #[arg(long)]
    pub json: bool,
}

/// How data is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the words say it")]
pub enum OutputFormat {
    #[default]
    Yaml,
    Json,
}

/// `backend`.
#[derive(Clone, Debug, Args)]
pub struct BackendArgs {
    /// Where to listen.
    #[arg(long, value_name = "ADDR", help = "Where to listen: HOST:PORT, [IPV6]:PORT or unix:/path; port 0 is any free one", value_parser = |text: &str| text.parse::<Address>())]
    pub listen: Address,
    /// Keep objects in this folder, durably; it is made when needed.
    #[arg(long, value_name = "DIR", conflicts_with = "memory")]
    pub dir: Option<PathBuf>,
    /// Keep objects in memory, at most so much; the least recently used go first.
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = memory_size)]
    pub memory: u64,
    /// Let clients share connections (auto), or one request at a time on each (exclusive).
    #[arg(long, value_enum, default_value_t)]
    pub mode: BackendMode,
    /// Bytes of one upload on the way at once, 128KiB to 4MiB.
    #[arg(long, value_name = "SIZE", default_value = "256KiB", value_parser = window_size)]
    pub window: u32,
}

/// Whether clients may share connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the words say it")]
pub enum BackendMode {
    #[default]
    Auto,
    Exclusive,
}

impl From<BackendMode> for ConnectionMode {
    fn from(mode: BackendMode) -> Self {
        match mode {
            BackendMode::Auto => Self::Auto,
            BackendMode::Exclusive => Self::Exclusive,
        }
    }
}

fn memory_size(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        // Below one object of the largest size nothing could be stored.
        size if size < 1 << 20 => Err("write at least 1MiB".to_owned()),
        size => Ok(size),
    }
}

fn window_size(text: &str) -> Result<u32, String> {
    // oap1 §3: `window` 128 KiB–4 MiB.
    const RANGE: std::ops::RangeInclusive<u32> = 128 << 10..=4 << 20;
    u32::try_from(parse_size(text)?)
        .ok()
        .filter(|window| RANGE.contains(window))
        .ok_or_else(|| "write 128KiB to 4MiB".to_owned())
}

/// `svc-gateway check`.
pub fn check(args: &CheckArgs) -> Answer {
    let (errors, warnings) = match Config::load(Some(&args.config)) {
        Ok(loaded) => (Vec::new(), loaded.warnings),
        Err(errors) => (errors.findings().to_vec(), Vec::new()),
    };
    let exit = if errors.is_empty() { Exit::Done } else { Exit::Usage };
    if args.json {
        let stdout = json!({ "ok": errors.is_empty(), "errors": errors, "warnings": warnings });
        return Answer { stdout: format!("{stdout}\n"), stderr: String::new(), exit };
    }
    let mut stderr = String::new();
    for error in &errors {
        stderr.push_str(&format!("{error}\n"));
    }
    stderr.push_str(&warning_lines(&warnings));
    let stdout = if errors.is_empty() { format!("{}: ok\n", args.config.display()) } else { String::new() };
    Answer { stdout, stderr, exit }
}

/// Warnings as `check` and the start of `run` print them.
pub fn warning_lines(warnings: &[Finding]) -> String {
    warnings.iter().map(|w| format!("{w} (warning)\n")).collect()
}

/// `svc-gateway config`.
pub fn config(args: &ConfigArgs) -> Answer {
    if args.schema {
        return data(format!("{:#}\n", config::json_schema()));
    }
    let format = match args.format {
        OutputFormat::Yaml => Format::Yaml,
        OutputFormat::Json => Format::Json,
    };
    if args.defaults {
        return data(match format {
            Format::Yaml => config::defaults_yaml().to_owned(),
            Format::Json => config::effective(&Config::default(), format),
        });
    }
    let file = args.config.clone().or_else(|| config_file(std::env::var_os("SVC_GATEWAY_CONFIG")));
    match load(file.as_deref()) {
        Ok(config) => data(config::effective(&config, format)),
        Err(errors) => Answer { stdout: String::new(), stderr: format!("{errors}\n"), exit: Exit::Usage },
    }
}

fn load(file: Option<&Path>) -> Result<Config, Errors> {
    Config::load(file).map(|loaded| loaded.config)
}

/// A variable that is set to nothing names no file.
fn config_file(variable: Option<OsString>) -> Option<PathBuf> {
    variable.filter(|v| !v.is_empty()).map(PathBuf::from)
}

fn data(stdout: String) -> Answer {
    Answer { stdout, stderr: String::new(), exit: Exit::Done }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_commands_of_the_contract_are_understood() {
        for line in [
            "svc-gateway run",
            "svc-gateway run -c gateway.yaml",
            "svc-gateway check -c gateway.yaml --json",
            "svc-gateway config --defaults",
            "svc-gateway config -c gateway.yaml --format json",
            "svc-gateway config --schema",
            "svc-gateway reload",
            "svc-gateway reload --admin unix:/run/x.sock --json",
            "svc-gateway backend --listen 127.0.0.1:0",
            "svc-gateway backend --listen unix:x.sock --dir x --mode exclusive --window 1MiB",
            "svc-gateway backend --listen [::1]:9401 --memory 1GiB",
            "svc-gateway token keygen keys/k1",
            "svc-gateway token mint -c gateway.yaml --tenant acme --expires 1h --methods GET --bytes 1MiB/s",
            "svc-gateway token inspect",
            "svc-gateway token attenuate - --path /o/ --rate 30/min",
            "svc-gateway token verify --key k1 --id k1 --at 5 x",
        ] {
            assert!(parse(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn wrong_usage_ends_with_2_and_says_why() {
        for (line, words) in [
            ("svc-gateway", "Usage: svc-gateway <COMMAND>"),
            ("svc-gateway chekc -c x", "'check'"),
            ("svc-gateway check --config", "a value is required for '--config <FILE>'"),
            ("svc-gateway config --defaults -c x", "cannot be used with"),
            ("svc-gateway config --format toml", "[possible values: yaml, json]"),
            ("svc-gateway backend --listen 9401", "`9401` is no address, write HOST:PORT"),
            ("svc-gateway backend --listen 127.0.0.1:0 --memory 256", "the number 256 has no unit"),
            ("svc-gateway backend --listen 127.0.0.1:0 --window 1KiB", "write 128KiB to 4MiB"),
            ("svc-gateway backend --listen 127.0.0.1:0 --dir x --memory 1MiB", "cannot be used with"),
            ("svc-gateway token", "Usage: svc-gateway token <COMMAND>"),
            ("svc-gateway token mint -c x", "--expires <DURATION|never>"),
            ("svc-gateway token mint -c x --expires 1", "the number 1 has no unit"),
            ("svc-gateway token mint --expires 1h", "--config <FILE>"),
            ("svc-gateway token mint --key x --expires 1h", "--id <ID>"),
            ("svc-gateway token mint -c x --expires 1h --tenant A", "write 1 to 64 of a-z"),
            ("svc-gateway token attenuate --rate 50", "write a rate such as 50/s"),
            ("svc-gateway token attenuate --bytes 50/s", "the number 50 has no unit"),
            ("svc-gateway token verify -c x --request /o", "write a method and a path"),
        ] {
            let error = parse(line).unwrap_err();
            assert_eq!(error.exit_code(), i32::from(Exit::Usage.code()), "{line}");
            assert!(error.to_string().contains(words), "{line}: {error}");
        }
    }

    #[test]
    fn check_tells_errors_warnings_and_all_is_well_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.yaml");
        let check = |text: &str, json| {
            std::fs::write(&path, text).unwrap();
            check(&CheckArgs { config: path.clone(), json })
        };
        let name = path.display();
        let fine = check("", false);
        assert_eq!(
            (fine.stdout, fine.stderr, fine.exit),
            (format!("{name}: ok\n"), String::new(), Exit::Done)
        );
        let risky = check("admin: { address: 0.0.0.0:9090 }", false);
        assert_eq!(risky.exit, Exit::Done);
        assert_eq!(
            risky.stderr,
            format!(
                "{name}:1:19: admin.address: the control surface is reachable from other machines, \
                 keep it on loopback (warning)\n"
            )
        );
        let wrong = check("servre: {}", false);
        assert_eq!((wrong.stdout.as_str(), wrong.exit), ("", Exit::Usage));
        assert_eq!(wrong.stderr, format!("{name}:1:1: servre: unknown key, did you mean `server`?\n"));
        let json: serde_json::Value = serde_json::from_str(&check("servre: {}", true).stdout).unwrap();
        assert_eq!(
            json,
            json!({ "ok": false, "warnings": [], "errors": [{
                "file": path, "line": 1, "column": 1, "key": "servre",
                "message": "unknown key, did you mean `server`?",
            }] })
        );
    }

    #[test]
    fn config_prints_defaults_schema_and_what_a_file_means() {
        let print = |args: ConfigArgs| super::config(&args);
        let defaults = print(ConfigArgs { defaults: true, ..ConfigArgs::default() });
        assert_eq!(defaults.stdout, config::defaults_yaml());
        let schema = print(ConfigArgs { schema: true, ..ConfigArgs::default() });
        assert!(serde_json::from_str::<serde_json::Value>(&schema.stdout).is_ok());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.yaml");
        std::fs::write(&path, "server: { drain: 90s }").unwrap();
        let file = print(ConfigArgs { config: Some(path.clone()), ..ConfigArgs::default() });
        assert!(file.stdout.contains("drain: 90s"), "{}", file.stdout);
        std::fs::write(&path, "server: { drain: 90 }").unwrap();
        let wrong = print(ConfigArgs { config: Some(path), ..ConfigArgs::default() });
        assert_eq!((wrong.stdout.as_str(), wrong.exit), ("", Exit::Usage));
    }

    #[test]
    fn an_empty_variable_names_no_file() {
        assert_eq!(config_file(Some(OsString::new())), None);
        assert_eq!(config_file(Some("x".into())), Some(PathBuf::from("x")));
    }
}
