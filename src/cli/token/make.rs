//! `token keygen`, `mint` and `attenuate`.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use serde_json::json;
use zeroize::Zeroizing;

use super::{
    Answer, AttenuateArgs, Caveat, CaveatArgs, Expiry, KeyArgs, KeygenArgs, MintArgs, No, Token, identifier,
    load, parse_token, token_text,
};
use crate::cli::data;
use crate::config::load_key;
use crate::tenant::capability::{Key, NONCE, hex};

pub(super) fn keygen(args: &KeygenArgs) -> Result<Answer, No> {
    let file = args.file.display();
    let mut secret = Zeroizing::new([0; 32]);
    fill(&mut *secret)?;
    let text = Zeroizing::new(hex(&*secret) + "\n");
    // Never over a file that is there: a key that is lost takes every token with it.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&args.file);
    let written = made.and_then(|mut made| made.write_all(text.as_bytes()).and_then(|()| made.sync_all()));
    match written {
        Ok(()) if args.json => Ok(data(format!("{}\n", json!({ "file": args.file, "mode": "0600" })))),
        Ok(()) => Ok(data(format!("{file}: a new key of 32 bytes, mode 0600\n"))),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            Err(No::failed(format!("`{file}` is there already and stays as it is, name a new file")))
        }
        Err(e) => Err(No::failed(format!("`{file}` cannot be written: {e}"))),
    }
}

pub(super) fn mint(args: &MintArgs, now: Duration) -> Result<Answer, No> {
    let key = minting_key(&args.keys)?;
    let mut nonce = [0; NONCE];
    fill(&mut nonce)?;
    let mut token = Token::mint(&key, nonce, args.tenant.as_deref());
    let expires = match args.expires {
        Expiry::After(after) => Some(after),
        Expiry::Never => None,
    };
    narrow(&mut token, None, expires, &args.caveats, now)?;
    Ok(made(&token, args.json))
}

pub(super) fn attenuate(args: &AttenuateArgs, input: &mut dyn Read, now: Duration) -> Result<Answer, No> {
    let mut token = parse_token(&token_text(args.token.as_deref(), input)?)?;
    if narrow(&mut token, args.tenant.as_deref(), args.expires, &args.caveats, now)? == 0 {
        return Err(No::usage(
            "nothing to narrow by, name a caveat such as --methods GET or --expires 10min",
        ));
    }
    Ok(made(&token, args.json))
}

/// The key that mints: the first of the configuration, or the one that is named.
fn minting_key(args: &KeyArgs) -> Result<Key, No> {
    let id = args.id.as_deref();
    if let (Some(path), Some(id)) = (&args.key, id) {
        return load_key(id, path).map_err(No::usage);
    }
    let Some(config) = &args.config else { return Err(No::usage("name a configuration with -c FILE")) };
    let keys = load(config)?.capability.keys;
    let chosen = keys.iter().find(|key| id.is_none_or(|id| key.id.as_str() == id));
    match (chosen, id) {
        (Some(key), _) => load_key(key.id.as_str(), &key.file).map_err(No::usage),
        (None, Some(id)) => Err(No::usage(format!("{} has no key `{id}`", config.display()))),
        (None, None) => {
            let config = config.display();
            Err(No::usage(format!(
                "{config} has no `capability.keys`, make one with `token keygen` and list it"
            )))
        }
    }
}

/// Appends what was asked for; says how many caveats that were.
fn narrow(
    token: &mut Token,
    tenant: Option<&str>,
    expires: Option<Duration>,
    more: &CaveatArgs,
    now: Duration,
) -> Result<usize, No> {
    let texts = [
        expires.map(|after| Caveat::Before(now.saturating_add(after).as_secs()).to_string()),
        tenant.map(|tenant| Caveat::Tenant(tenant).to_string()),
        more.methods.as_ref().map(|methods| format!("method in {methods}")),
        more.path.as_ref().map(|prefix| format!("path under {prefix}")),
        more.address.as_ref().map(|prefix| format!("address under {prefix}")),
        more.rate.map(|budget| Caveat::Rate(budget).to_string()),
        more.bytes.map(|budget| Caveat::Bytes(budget).to_string()),
    ];
    let texts: Vec<_> = texts.iter().flatten().chain(&more.caveat).collect();
    for text in &texts {
        // One that no gateway knows would make the token worthless without a word.
        let caveat = Caveat::parse(text).map_err(|e| No::usage(format!("`{text}` is no caveat, {e}")))?;
        token.attenuate(&caveat).map_err(|e| No::usage(e.to_string()))?;
    }
    Ok(texts.len())
}

fn made(token: &Token, as_json: bool) -> Answer {
    if !as_json {
        return data(format!("{token}\n"));
    }
    let caveats: Vec<_> = token.caveats().collect();
    let json = json!({ "token": token.to_string(), "identifier": identifier(token), "caveats": caveats });
    data(format!("{json}\n"))
}

fn fill(bytes: &mut [u8]) -> Result<(), No> {
    getrandom::fill(bytes).map_err(|e| No::failed(format!("the system has no randomness: {e}")))
}
