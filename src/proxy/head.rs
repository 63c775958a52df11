//! What is asked of a head before anything is looked up: its size, its framing, whom and what it names.

use http::{HeaderValue, Version, header};
use pingora_http::RequestHeader;

use crate::rejection::{Reason, Rejection};
use crate::route::target;
use crate::snapshot::Snapshot;

/// Whether the client expects the connection to go on (RFC 9112 §9.3): in HTTP/1.0 it has to say so.
pub(super) fn is_persistent(head: &RequestHeader) -> bool {
    let says = |option: &str| {
        let lines = head.headers.get_all(header::CONNECTION).iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(',')).any(|said| said.trim().eq_ignore_ascii_case(option))
    };
    !says("close") && (head.version != Version::HTTP_10 || says("keep-alive"))
}

/// RFC 9112 §3.2.2: the absolute form is accepted. Its authority is the host's, and its path is what crosses.
pub(super) fn to_origin_form(head: &mut RequestHeader) -> Result<(), Rejection> {
    let target = head.raw_path();
    let scheme = ["http://", "https://"].into_iter().find(|scheme| {
        target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
    });
    let Some(rest) = scheme.and_then(|scheme| target.get(scheme.len()..)) else { return Ok(()) };
    let malformed = |why: &str| Rejection::new(Reason::Malformed).because(why);
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if head.headers.get(header::HOST).is_some_and(|host| !host.as_bytes().eq_ignore_ascii_case(authority)) {
        return Err(malformed("host differs from the target's authority"));
    }
    let mut origin = Vec::with_capacity(path.len().saturating_add(1));
    if path.first() != Some(&b'/') {
        origin.push(b'/');
    }
    origin.extend_from_slice(path);
    head.set_raw_path(&origin).map_err(|_| malformed("the target is no path"))
}

// http.md §7: heads 64 KiB, 100 fields, 8 KiB of URI.
pub(super) fn check_size(policy: &Snapshot, head: &RequestHeader) -> Result<(), Rejection> {
    if head.raw_path().len() as u64 > policy.limits.uri {
        return Err(Reason::Uri.into());
    }
    let bytes: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if head.headers.len() as u64 > policy.limits.fields
        || (bytes + head.raw_path().len()) as u64 > policy.limits.head
    {
        return Err(Reason::Headers.into());
    }
    Ok(())
}

// http.md §1, step 1: one framing. Over HTTP/2 as many lengths may stand there as say the same.
pub(super) fn check_framing(head: &RequestHeader) -> Result<(), Rejection> {
    let mut lengths = head.headers.get_all(header::CONTENT_LENGTH).iter();
    if lengths.next().is_some() && lengths.next().is_some() {
        return Err(Rejection::new(Reason::Malformed).because("more than one content-length"));
    }
    // RFC 9113 §8.2.1: malformed, where HTTP/1 has taken them off.
    let padded = |value: &HeaderValue| matches!(value.as_bytes(), [b' ' | b'\t', ..] | [.., b' ' | b'\t']);
    if head.version == Version::HTTP_2 && head.headers.values().any(padded) {
        return Err(Rejection::new(Reason::Malformed).because("white space around a field's value"));
    }
    match head.uri.scheme_str() {
        None | Some("http" | "https") => Ok(()),
        Some(_) => Err(Rejection::new(Reason::Malformed).because("a scheme that is not served")),
    }
}

/// The effective host: `:authority`, the absolute form's, or `host`; exactly one, and an authority.
pub(super) fn host_of(head: &RequestHeader) -> Result<&str, Rejection> {
    let malformed = |why: &str| Rejection::new(Reason::Malformed).because(why);
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let field = hosts.next().map(http::HeaderValue::as_bytes);
    if hosts.next().is_some() {
        return Err(malformed("more than one host"));
    }
    let host = match (head.uri.authority(), field) {
        (Some(authority), Some(field)) if !authority.as_str().as_bytes().eq_ignore_ascii_case(field) => {
            return Err(malformed("host differs from the target's authority"));
        }
        (Some(authority), _) => authority.as_str(),
        (None, Some(field)) => std::str::from_utf8(field).map_err(|_| malformed("host is no authority"))?,
        (None, None) => return Err(malformed("no host")),
    };
    target::check_authority(host.as_bytes()).map_err(|e| malformed(&e.to_string()))?;
    Ok(host)
}

pub(super) fn path_of(head: &RequestHeader) -> Result<&str, Rejection> {
    // Pingora keeps a target that is no URI as raw bytes; what matching sees must be what crosses.
    let path = head.uri.path();
    if head.uri.authority().is_none() && !head.raw_path().starts_with(path.as_bytes()) {
        return Err(Rejection::new(Reason::Malformed).because("the target is no path"));
    }
    Ok(path)
}
