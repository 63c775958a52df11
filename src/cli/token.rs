//! `svc-gateway token …`: make, narrow and look at capabilities. Works on files and talks to no gateway.
//!
//! A token is a secret: where none is named on the command line, which every process on the machine can read, it is
//! read from standard input.

mod look;
mod make;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{Answer, Exit};
use crate::config::{Config, parse_duration, parse_size};
use crate::tenant::capability::{Budget, Caveat, MAX_TOKEN, Presented, Token, is_name};

const CAVEATS: &str = "\
Caveats (all must hold; --caveat writes one as it stands in the token):
  time < 1767225600           before this second since 1970: --expires 1h
  tenant = acme               for requests of this tenant: --tenant acme
  method in GET,HEAD          with one of these methods: --methods GET,HEAD
  path under /api             at /api and below it: --path /api
  address under b3:0a         for objects whose address begins so: --address b3:0a
  rate <= 50/s                so many requests a s, min or h: --rate 50/s
  bytes <= 1048576/s          so many bytes of bodies: --bytes 1MiB/s

Anyone who holds a token can narrow it, without a key; nobody can widen it. A token minted with --tenant is that
tenant's: its requests count as the tenant's. A tenant caveat on a token that was minted without only narrows.";

const EXAMPLES: &str = "\
From nothing to a token:
  svc-gateway token keygen keys/k1
  # gateway.yaml:  capability: { keys: [ { id: k1, file: keys/k1 } ], mutations: required }
  svc-gateway token mint -c gateway.yaml --tenant acme --expires 24h > acme.token
  svc-gateway token attenuate --methods PUT --path /o/ --expires 10min < acme.token
  curl -H \"authorization: Bearer $(cat acme.token)\" …

Rotation: put a new key first in `capability.keys`, and take the old one off when its tokens are over.
Revocation: write the identifier that `token inspect` shows into the file of `capability.revoked`; everything that
was attenuated from the token ends with it.

Exit status: 0 done (verify: allowed), 1 failed, no token, or denied, 2 wrong usage or configuration.";

/// `token`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TokenArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: TokenCommand,
}

/// What to do with tokens.
#[derive(Clone, Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a root key: 32 random bytes as hex digits, in a new file that only you can read.
    Keygen(KeygenArgs),
    /// Make a token with the first key of a configuration, or with a key's file.
    #[command(after_help = CAVEATS)]
    Mint(MintArgs),
    /// Show what a token says; whether it is genuine is verify's to say.
    Inspect(InspectArgs),
    /// Narrow a token by more caveats. Takes no key.
    #[command(after_help = CAVEATS)]
    Attenuate(AttenuateArgs),
    /// Say whether the gateway would take a token for a request, and why not.
    Verify(VerifyArgs),
}

/// `token keygen`.
#[derive(Clone, Debug, Args)]
pub struct KeygenArgs {
    /// The file to make (mode 0600); one that is there is never overwritten.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What was made, as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which keys.
#[derive(Clone, Debug, Default, Args)]
pub struct KeyArgs {
    /// The configuration that names them.
    #[arg(short, long, value_name = "FILE", env = "SVC_GATEWAY_CONFIG", required_unless_present = "key")]
    pub config: Option<PathBuf>,
    /// One key's file instead, with its id.
    #[arg(long, value_name = "FILE", requires = "id")]
    pub key: Option<PathBuf>,
    /// The id that tokens call that key by; with -c, of the key to mint with instead of the first.
    #[arg(long, value_name = "ID", value_parser = name)]
    pub id: Option<String>,
}

/// `token mint`.
#[derive(Clone, Debug, Args)]
pub struct MintArgs {
    #[command(flatten)]
    pub keys: KeyArgs,
    /// Whose token it is; without it, it is for whoever the request is by other evidence.
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub tenant: Option<String>,
    /// How long it holds; never has to be said.
    #[arg(long, value_name = "DURATION|never", value_parser = expiry)]
    pub expires: Expiry,
    #[command(flatten)]
    pub caveats: CaveatArgs,
    /// Token, identifier and caveats, as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `token attenuate`.
#[derive(Clone, Debug, Args)]
pub struct AttenuateArgs {
    /// The token; without it, or with -, standard input.
    #[arg(value_name = "TOKEN")]
    pub token: Option<String>,
    /// Only for requests of this tenant.
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub tenant: Option<String>,
    /// How long it holds from now on.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub expires: Option<Duration>,
    #[command(flatten)]
    pub caveats: CaveatArgs,
    /// Token, identifier and caveats, as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Caveats that mint and attenuate share.
#[derive(Clone, Debug, Default, Args)]
pub struct CaveatArgs {
    /// Only with one of these methods.
    #[arg(long, value_name = "A,B")]
    pub methods: Option<String>,
    /// Only at this path and below it, in whole segments, as it crosses; not decoded.
    #[arg(long, value_name = "/PREFIX")]
    pub path: Option<String>,
    /// Only for objects whose address begins so.
    #[arg(long, value_name = "b3:HEX")]
    pub address: Option<String>,
    /// At most so many requests.
    #[arg(long, value_name = "N/s|min|h")]
    pub rate: Option<Budget>,
    /// At most so many bytes of bodies.
    #[arg(long, value_name = "SIZE/s|min|h", value_parser = bytes)]
    pub bytes: Option<Budget>,
    /// A caveat as it stands in the token; any number of times.
    #[arg(long, value_name = "TEXT")]
    pub caveat: Vec<String>,
}

/// `token inspect`.
#[derive(Clone, Debug, Args)]
pub struct InspectArgs {
    /// The token; without it, or with -, standard input.
    #[arg(value_name = "TOKEN")]
    pub token: Option<String>,
    /// All of it as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `token verify`.
#[derive(Clone, Debug, Args)]
pub struct VerifyArgs {
    /// The token; without it, or with -, standard input.
    #[arg(value_name = "TOKEN")]
    pub token: Option<String>,
    #[command(flatten)]
    pub keys: KeyArgs,
    /// The request: method and path.
    #[arg(long, value_name = "'METHOD /PATH'", default_value = "GET /", value_parser = request)]
    pub request: (String, String),
    /// The tenant that the request would be without the token.
    #[arg(long, value_name = "NAME", default_value = "anonymous", value_parser = name)]
    pub tenant: String,
    /// That tenant is said by a client certificate, which goes before the token.
    #[arg(long)]
    pub certificate: bool,
    /// The wall clock in seconds since 1970, instead of now.
    #[arg(long, value_name = "SECONDS")]
    pub at: Option<u64>,
    /// The verdict as JSON.
    #[arg(long)]
    pub json: bool,
}

/// How long a token holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    After(Duration),
    Never,
}

/// `svc-gateway token`; `now` is the wall clock since 1970.
pub fn token(args: &TokenArgs, input: &mut dyn Read, now: Duration) -> Answer {
    let result = match &args.command {
        TokenCommand::Keygen(args) => make::keygen(args),
        TokenCommand::Mint(args) => make::mint(args, now),
        TokenCommand::Attenuate(args) => make::attenuate(args, input, now),
        TokenCommand::Inspect(args) => look::inspect(args, input, now),
        TokenCommand::Verify(args) => look::verify(args, input, now),
    };
    result.unwrap_or_else(|no| Answer {
        stdout: String::new(),
        stderr: format!("svc-gateway token: {}\n", no.message),
        exit: no.exit,
    })
}

/// Why a command cannot be carried out.
struct No {
    exit: Exit,
    message: String,
}

impl No {
    fn failed(message: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, message: message.into() }
    }

    fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into() }
    }
}

/// The token's text: the argument, or what standard input has.
fn token_text(argument: Option<&str>, input: &mut dyn Read) -> Result<String, No> {
    let mut text = String::new();
    match argument.filter(|text| *text != "-") {
        Some(argument) => text.push_str(argument),
        None => {
            // More than a token has is read, so that one that is too long is not taken for a shorter one.
            let most = u64::try_from(MAX_TOKEN).unwrap_or(u64::MAX).saturating_mul(2);
            input
                .take(most)
                .read_to_string(&mut text)
                .map_err(|e| No::failed(format!("standard input: {e}")))?;
        }
    }
    let text = text.trim();
    Ok(text.strip_prefix("Bearer ").unwrap_or(text).to_owned())
}

fn parse_token(text: &str) -> Result<Token, No> {
    Token::parse(text).map_err(|_| {
        No::failed("this is no token of a gateway: base64url of a macaroon (V2), at most 4096 characters and 32 caveats")
    })
}

/// Of a token whose identifier was read when it was parsed.
fn identifier(token: &Token) -> String {
    token.identifier().map(|identifier| identifier.to_string()).unwrap_or_default()
}

fn load(config: &std::path::Path) -> Result<Config, No> {
    Config::load(Some(config)).map(|loaded| loaded.config).map_err(|errors| No::usage(format!("\n{errors}")))
}

fn name(text: &str) -> Result<String, String> {
    is_name(text).then(|| text.to_owned()).ok_or_else(|| "write 1 to 64 of a-z, 0-9, _ and -".to_owned())
}

fn expiry(text: &str) -> Result<Expiry, String> {
    match text {
        "never" => Ok(Expiry::Never),
        _ => parse_duration(text).map(Expiry::After).map_err(|e| format!("{e}, or never")),
    }
}

/// `50MiB/s`: a size where the caveat has a number.
fn bytes(text: &str) -> Result<Budget, String> {
    const RIGHT: &str = "write a size a s, min or h, such as 1MiB/s";
    let (size, period) = text.split_once('/').ok_or_else(|| RIGHT.to_owned())?;
    format!("{}/{period}", parse_size(size)?).parse().map_err(|_| RIGHT.to_owned())
}

fn request(text: &str) -> Result<(String, String), String> {
    match text.split_once(' ') {
        Some((method, path)) if path.starts_with('/') => Ok((method.to_owned(), path.to_owned())),
        _ => Err("write a method and a path, such as 'PUT /o/x'".to_owned()),
    }
}
