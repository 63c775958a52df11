//! The way of a request, cheapest question first (http.md §1). Nothing is sent upstream before the last line.

use std::sync::Arc;
use std::time::Instant;

use http::{Method, header};
use pingora_core::Result;
use pingora_http::RequestHeader;
use pingora_proxy::Session;

use super::body::UploadGate;
use super::correlation::CorrelationId;
use super::ctx::{Admitted, InFlight, RequestCtx, Stage};
use super::fields::{self, Origin};
use super::peer::Repeats;
use super::{Gateway, respond};
use crate::admin;
use crate::object::{self, Address};
use crate::rejection::{Reason, Rejection};
use crate::route::{NoMatch, target};
use crate::snapshot::{Kind, Route, Snapshot};

/// Pingora's `request_filter`: admits the request, or answers it. `true`: answered.
pub(super) async fn on_request(gw: &Gateway, session: &mut Session, ctx: &mut RequestCtx) -> Result<bool> {
    ctx.correlation = CorrelationId::of(session.req_header(), millis(ctx));
    ctx.peer = session.client_addr().and_then(|addr| addr.as_inet()).copied();
    let policy = gw.state.snapshot.load_full(); // one generation for the whole request
    let stays = !gw.state.drain.has_begun();
    session.set_keepalive(stays.then(|| policy.limits.idle.as_secs().max(1)));
    session.set_pipelining_enabled(true);
    session.set_read_timeout(None);
    let listener = policy.listeners.get(&gw.listener);
    if listener.is_some_and(|listener| listener.probes) && probe(gw, session).await? {
        return Ok(true);
    }
    match admit(gw, &policy, session.req_header(), ctx.started) {
        Ok((route, object, gate)) => {
            let host = host_of(session.req_header()).unwrap_or_default().to_owned();
            let origin = Origin {
                peer: ctx.peer,
                trusted: listener.is_some_and(|listener| listener.trusts(ctx.peer)),
            };
            if let Err(no) = fields::prepare(session.req_header_mut(), &host, origin, &ctx.correlation) {
                return refuse(session, ctx, no).await;
            }
            ctx.stage = Stage::Admitted(Box::new(Admitted {
                deadline: ctx.started + route.timeout,
                authority: host,
                repeats: Repeats::new(&route.cluster),
                _inflight: InFlight::new(&route.metrics.inflight),
                policy,
                route,
                gate,
                object,
                attempt: None,
                tried: Vec::new(),
                download: None,
            }));
            Ok(false)
        }
        Err(no) => refuse(session, ctx, no).await,
    }
}

fn admit(
    gw: &Gateway,
    policy: &Snapshot,
    head: &RequestHeader,
    _now: Instant,
) -> Result<(Arc<Route>, Option<Address>, UploadGate), Rejection> {
    check_size(policy, head)?;
    let host = host_of(head)?;
    let path = path_of(head)?;
    if matches!(head.method, Method::CONNECT | Method::TRACE) {
        return Err(Rejection::method(String::new()));
    }
    let route = policy.routes.find(target::name_of(host), path, head.method.as_str(), &gw.listener).map_err(
        |no| match no {
            NoMatch::NoRoute => Rejection::new(Reason::NoRoute),
            NoMatch::Method { allow } => Rejection::method(allow.join(", ")),
        },
    )?;
    target::check_path(path, route.encoded_slash)
        .map_err(|e| Rejection::new(Reason::Malformed).because(e.to_string()))?;
    let object = match route.kind {
        Kind::Object => object_of(&head.method, path)?,
        Kind::Proxy => None,
    };
    let gate = match route.kind {
        Kind::Object if matches!(head.method, Method::PUT | Method::POST) => {
            UploadGate::object(route.body_max, object)
        }
        _ => UploadGate::new(route.body_max),
    };
    gate.check_declared(respond::declared_length(&head.headers))?;
    Ok((Arc::clone(route), object, gate))
}

// http.md §7: heads 64 KiB, 100 fields, 8 KiB of URI.
fn check_size(policy: &Snapshot, head: &RequestHeader) -> Result<(), Rejection> {
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

/// The effective host: `:authority`, the absolute form's, or `host`; exactly one, and an authority.
fn host_of(head: &RequestHeader) -> Result<&str, Rejection> {
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

fn path_of(head: &RequestHeader) -> Result<&str, Rejection> {
    // Pingora keeps a target that is no URI as raw bytes; what matching sees must be what crosses.
    let path = head.uri.path();
    if head.uri.authority().is_none() && !head.raw_path().starts_with(path.as_bytes()) {
        return Err(Rejection::new(Reason::Malformed).because("the target is no path"));
    }
    Ok(path)
}

// http.md §3: 400 on a malformed address.
fn object_of(method: &Method, path: &str) -> Result<Option<Address>, Rejection> {
    match object::address_of_path(path) {
        Some(Ok(address)) => Ok(Some(address)),
        Some(Err(e)) => Err(Rejection::new(Reason::Malformed).because(e.to_string())),
        None if *method == Method::POST => Ok(None),
        None => Err(Rejection::new(Reason::Malformed).because("the path names no object")),
    }
}

async fn refuse(session: &mut Session, ctx: &mut RequestCtx, no: Rejection) -> Result<bool> {
    let keeps = respond::reject(session.as_downstream_mut(), &no, &ctx.correlation).await;
    if !keeps {
        session.set_keepalive(None);
    }
    ctx.reject(no);
    ctx.facts.upstream = None;
    Ok(true)
}

async fn probe(gw: &Gateway, session: &mut Session) -> Result<bool> {
    let head = session.req_header();
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return Ok(false);
    }
    let Some(answer) = admin::probe(&gw.state, head.uri.path(), head.uri.query()) else { return Ok(false) };
    respond::probe(session.as_downstream_mut(), &answer).await?;
    Ok(true)
}

fn millis(ctx: &RequestCtx) -> u64 {
    u64::try_from(ctx.wall.as_millis()).unwrap_or(u64::MAX)
}
