//! `token inspect` and `verify`.

use std::fmt::Write;
use std::io::Read;
use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Answer, Caveat, Exit, InspectArgs, KeyArgs, No, Presented, VerifyArgs, load, parse_token, token_text,
};
use crate::cli::data;
use crate::config::{format_duration, load_key};
use crate::object::address_of_path;
use crate::tenant::capability::{Allowance, Denied, Facts, Keys, Revoked, TenantEvidence, Verified};

pub(super) fn inspect(args: &InspectArgs, input: &mut dyn Read, now: Duration) -> Result<Answer, No> {
    let token = parse_token(&token_text(args.token.as_deref(), input)?)?;
    let Some(identifier) = token.identifier() else { return Err(No::failed("this token has no identifier")) };
    let hash = identifier.hash().to_string();
    let caveats: Vec<(String, &str)> = token.caveats().map(|text| note(text, now)).collect();
    if args.json {
        let caveats: Vec<Value> = caveats
            .iter()
            .map(|(text, note)| json!({ "text": text, "known": *note != UNKNOWN, "over": *note == OVER }))
            .collect();
        let all = json!({
            "identifier": identifier.as_str(), "hash": hash, "key": identifier.key(),
            "tenant": identifier.tenant(), "caveats": caveats,
        });
        return Ok(data(format!("{all}\n")));
    }
    let mut text =
        format!("identifier  {identifier}\nin logs     {hash}\nkey         {}\n", identifier.key());
    let mut line = |name: &str, value: &str, note: &str| {
        let note = if note.is_empty() { String::new() } else { format!("   ({note})") };
        // Writing to a string does not fail.
        writeln!(text, "{name:<12}{value}{note}").ok();
    };
    line("tenant", identifier.tenant().unwrap_or("none, it is for whoever the request is"), "");
    for (n, (caveat, note)) in caveats.iter().enumerate() {
        line(if n == 0 { "caveats" } else { "" }, caveat, note);
    }
    if caveats.is_empty() {
        line("caveats", "none, it allows everything for ever", "");
    }
    Ok(data(text))
}

const UNKNOWN: &str = "not known to this gateway: denied";
const OVER: &str = "over";

/// A caveat and what is to be said of it.
fn note(text: String, now: Duration) -> (String, &'static str) {
    let note = match Caveat::parse(&text) {
        Ok(Caveat::Before(end)) if now.as_secs() >= end => OVER,
        Ok(_) => "",
        Err(_) => UNKNOWN,
    };
    (text, note)
}

pub(super) fn verify(args: &VerifyArgs, input: &mut dyn Read, now: Duration) -> Result<Answer, No> {
    let text = token_text(args.token.as_deref(), input)?;
    let (keys, revoked) = ring(&args.keys)?;
    let now = args.at.map_or(now, Duration::from_secs);
    let (method, target) = &args.request;
    let path = target.split('?').next().unwrap_or_default();
    let address = match address_of_path(path) {
        Some(Ok(_)) => path.strip_prefix("/o/"),
        _ => None,
    };
    let tenant = match args.certificate {
        true => TenantEvidence::Stronger(&args.tenant),
        false => TenantEvidence::Weaker(&args.tenant),
    };
    let facts = Facts { method, path, address, tenant };
    let verdict = Presented::parse_token(text.as_bytes())
        .and_then(|presented| presented.verify(&keys, &revoked, &facts, now));
    Ok(match verdict {
        Ok(verified) => allowed(&verified, args, now),
        Err(why) => denied(why, args.json),
    })
}

/// The keys and revocations to verify with.
fn ring(args: &KeyArgs) -> Result<(Keys, Revoked), No> {
    if let (Some(path), Some(id)) = (&args.key, &args.id) {
        let key = load_key(id, path).map_err(No::usage)?;
        let keys = Keys::new(vec![key]).map_err(|e| No::usage(e.to_string()))?;
        return Ok((keys, Revoked::default()));
    }
    let Some(config) = &args.config else { return Err(No::usage("name a configuration with -c FILE")) };
    let capability = load(config)?.capability;
    let keys = capability.load_keys().map_err(No::usage)?;
    Ok((keys, capability.load_revoked().map_err(No::usage)?))
}

fn allowed(verified: &Verified, args: &VerifyArgs, now: Duration) -> Answer {
    let Verified { identifier, tenant, expires, rates, bytes } = verified;
    let tenant = tenant.as_deref().unwrap_or(&args.tenant);
    let texts = |all: &[Allowance]| all.iter().map(|one| one.budget.to_string()).collect::<Vec<_>>();
    let (rates, bytes) = (texts(rates), texts(bytes));
    if args.json {
        let all = json!({
            "allowed": true, "principal": identifier.to_string(), "tenant": tenant, "expires": expires,
            "rates": rates, "bytes": bytes,
        });
        return data(format!("{all}\n"));
    }
    let mut text = format!("allowed: principal {identifier}, tenant {tenant}");
    let left = expires.map(|end| format_duration(Duration::from_secs(end.saturating_sub(now.as_secs()))));
    let words = left.iter().map(|left| (", over in ", left));
    let words = words.chain(rates.iter().map(|rate| (", rate <= ", rate)));
    for (word, value) in words.chain(bytes.iter().map(|bytes| (", bytes <= ", bytes))) {
        text.push_str(word);
        text.push_str(value);
    }
    data(text + "\n")
}

fn denied(why: Denied, as_json: bool) -> Answer {
    let status = match why {
        Denied::Unauthorized(_) => 401,
        Denied::Forbidden(_) => 403,
    };
    let reason = why.as_str();
    let stdout = if as_json {
        json!({ "allowed": false, "status": status, "reason": reason }).to_string()
    } else {
        format!("denied: {status} {reason}")
    };
    Answer { stdout: stdout + "\n", stderr: String::new(), exit: Exit::Failed }
}
