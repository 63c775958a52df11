//! The way of a request, cheapest question first (http.md §1). Nothing is sent upstream before the last line, and not one
//! byte of a body is read before the quota has said yes.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{Method, header};
use pingora_core::protocols::http::ServerSession;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::RequestHeader;
use pingora_proxy::Session;

use super::charge::{self, Who};
use super::correlation::CorrelationId;
use super::ctx::{Admitted, InFlight, RequestCtx, Stage};
use super::fields::{self, Origin, Scheme};
use super::gather::{self, Failed};
use super::meter::Meter;
use super::peer::Repeats;
use super::upload::UploadGate;
use super::{Gateway, head, prove, queue, respond};
use crate::admin;
use crate::caps::{self, Breach, Mode};
use crate::edge::Connection;
use crate::edge::guard::unread::Body;
use crate::object::{self, Address};
use crate::rejection::{Reason, Rejection};
use crate::route::{NoMatch, target};
use crate::snapshot::{Kind, ListenerPolicy, Route, Snapshot};
use crate::tenant::Evidence;
use crate::tenant::client::{Client, Speaker};
use crate::tenant::proxy_protocol::Source;
use crate::tls::Secured;

/// `allow` of a route that takes any method, but for those that are never forwarded.
const FORWARDED: &str = "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS";

/// Pingora's `request_filter`: admits the request, or answers it. `true`: answered.
pub(super) async fn on_request(gw: &Gateway, session: &mut Session, ctx: &mut RequestCtx) -> Result<bool> {
    ctx.correlation = CorrelationId::of(session.req_header(), millis(ctx));
    ctx.peer = session.client_addr().and_then(|addr| addr.as_inet()).copied();
    ctx.connection = Connection::of(session.digest()).cloned();
    ctx.unread = body_over_http2(session, ctx);
    let policy = gw.state.snapshot.load_full(); // one generation for the whole request
    let stays = !gw.state.drain.has_begun() && head::is_persistent(session.req_header());
    session.set_keepalive(stays.then(|| policy.limits.idle.as_secs().max(1)));
    session.set_pipelining_enabled(true);
    session.set_read_timeout(None);
    let Some(listener) = policy.listeners.get(&gw.listener) else {
        return refuse(session, ctx, Reason::Internal.into()).await;
    };
    if listener.probes && probe(gw, session).await? {
        return Ok(true);
    }
    if let Err(no) = head::to_origin_form(session.req_header_mut()) {
        return refuse(session, ctx, no).await;
    }
    let admitted = match admit(gw, &policy, listener, session, ctx).await {
        // http.md §1: a client that leaves first is sent nothing.
        Err(Failed::Rejected(_)) if ctx.held && queue::has_left(session).await => Err(Failed::Left),
        told => told,
    };
    match admitted {
        Ok(admitted) => {
            ctx.stage = Stage::Admitted(admitted);
            Ok(false)
        }
        Err(Failed::Rejected(no)) => refuse(session, ctx, no).await,
        Err(Failed::Refused(no)) => Ok(refuse_stream(session, ctx, no)),
        Err(Failed::Left) => {
            ctx.client_left();
            Error::e_explain(ErrorType::ConnectionClosed, "the client left")
        }
    }
}

impl From<Rejection> for Failed {
    fn from(no: Rejection) -> Self {
        Self::Rejected(no)
    }
}

/// The questions, in their order.
async fn admit(
    gw: &Gateway,
    policy: &Arc<Snapshot>,
    listener: &ListenerPolicy,
    session: &mut Session,
    ctx: &mut RequestCtx,
) -> Result<Box<Admitted>, Failed> {
    let head = session.req_header();
    let (route, object) = find(gw, policy, head, ctx)?; // where to
    ctx.route = Some(Arc::clone(route));
    let claims = prove::claims(route, head)?;
    let connection = ctx.connection.clone();
    let (client, evidence) = evidence(gw, listener, head, ctx.peer, connection.as_deref());
    // http.md §2: a request with a token that its route will verify is charged to its address alone until then.
    let known = if claims {
        charge::take_tokens_of_address(gw, policy, client, &head.method, ctx).await?;
        None
    } else {
        let identity = policy.identifier.identify(&evidence).map_err(Rejection::from)?; // 1 who
        let who = Who::new(policy, route, identity, client, ctx)?;
        charge::take_tokens(gw, policy, &who, &head.method, ctx).await?; // 2 how often
        Some(who)
    };
    check_pressure(gw, route, &head.method)?; //   writes are shed first
    check_unread(policy, ctx).map_err(Failed::Refused)?;
    let mut gate = check_caps(gw, route, object, head)?.reading(ctx.unread.take()); // 3 how much
    let mut who = match known {
        Some(who) => who,
        None => {
            let proven = prove::verify(policy, &evidence, object, head, ctx)?; // 1 who, proven
            let who = Who::new(policy, route, proven.identity, client, ctx)?;
            let who = Who { within: Some(proven.budgets), token: proven.token, ..who };
            charge::take_tokens(gw, policy, &who, &head.method, ctx).await?; //   its own quota
            who
        }
    };
    let host = head::host_of(head)?.to_owned();
    let spoken_for = ctx.connection.as_ref().and_then(|connection| connection.proxied);
    let peer = match spoken_for {
        Some(Source::Client(client)) => Some(client),
        _ => ctx.peer,
    };
    let scheme = Scheme::of(ctx.connection.as_deref());
    let origin = Origin { peer, scheme, trusted: who.client.trusted };
    fields::prepare(session.req_header_mut(), &host, origin, &ctx.correlation)?;
    if gate.rewrites() {
        fields::on_rewritten(session.req_header_mut());
    }
    let meter = Meter::of(&gw.state.quotas, &who.tenant, who.within.take().unwrap_or_default());
    // A small body takes no place while it arrives.
    let gathered = gather::gather(session, policy, &gw.state.gathering, route, &mut gate).await;
    if let Some(meter) = &meter {
        // What a body became has been worked for, whatever comes of it.
        meter.count(gate.due());
    }
    let gathered = gathered?;
    let permit = queue::enter(gw, policy, session, route, &who, ctx).await?; // 4 who first
    let uploading = gathered.as_ref().map(|gathered| gathered.took).unwrap_or_default();
    Ok(Box::new(Admitted {
        // http.md §7: the time that the client itself needs to upload is excepted.
        deadline: ctx.started + uploading + route.timeout,
        authority: host,
        scheme,
        repeats: Repeats::new(&route.cluster),
        _inflight: InFlight::new(&route.metrics.inflight),
        drain: Arc::clone(&gw.state.drain),
        tenant_id: who.tenant.id,
        meter,
        token: who.token,
        policy: Arc::clone(policy),
        route: ctx.route.take().unwrap_or_else(|| Arc::clone(route)),
        gate,
        object,
        gathered,
        permit,
        attempt: None,
        tried: Vec::new(),
        uploading: None,
        download: None,
    }))
}

fn find<'a>(
    gw: &Gateway,
    policy: &'a Snapshot,
    head: &RequestHeader,
    ctx: &RequestCtx,
) -> Result<(&'a Arc<Route>, Option<Address>), Rejection> {
    head::check_size(policy, head)?;
    head::check_framing(head)?;
    let host = head::host_of(head)?;
    // http.md §2: on TLS an authority that the SNI's certificate does not cover is 421 `host`.
    let tls = ctx.connection.as_ref().and_then(|connection| connection.tls.as_ref());
    if tls.is_some_and(|tls| !tls.covers(target::name_of(host))) {
        return Err(Rejection::new(Reason::Host).because("the handshake was for another host"));
    }
    let path = head::path_of(head)?;
    if head.method == Method::CONNECT {
        return Err(Rejection::method(FORWARDED.to_owned()));
    }
    let found = policy.routes.find(target::name_of(host), path, head.method.as_str(), &gw.listener);
    let route = found.map_err(|no| match no {
        NoMatch::NoRoute => Rejection::new(Reason::NoRoute),
        NoMatch::Method { allow } => Rejection::method(allow.join(", ")),
    })?;
    // http.md §1: never forwarded, whatever the route says.
    if head.method == Method::TRACE {
        return Err(Rejection::method(FORWARDED.to_owned()));
    }
    target::check_path(path, route.encoded_slash)
        .map_err(|e| Rejection::new(Reason::Malformed).because(e.to_string()))?;
    let object = match route.kind {
        Kind::Object => object_of(&head.method, path)?,
        Kind::Proxy => None,
    };
    Ok((route, object))
}

// http.md §2: the ladder of evidence.
fn evidence<'a>(
    gw: &'a Gateway,
    listener: &ListenerPolicy,
    head: &'a RequestHeader,
    peer: Option<SocketAddr>,
    connection: Option<&'a Connection>,
) -> (Client, Evidence<'a>) {
    let proxied = connection.and_then(|connection| connection.proxied);
    let speaker = Speaker::new(peer.map(|peer| peer.ip()), proxied, &listener.trusted);
    let client = speaker.client(&head.headers, &listener.trusted);
    let tls = connection.and_then(|connection| connection.tls.as_ref());
    let evidence = Evidence {
        certificate: tls.and_then(Secured::certificate),
        sni: tls.and_then(Secured::sni),
        trusted: client.trusted,
        peer_uid: connection.and_then(|connection| connection.uid),
        address: client.address,
        ..Evidence::new(&gw.listener, &head.headers)
    };
    (client, evidence)
}

// http.md §4: writes go first; reads go on.
fn check_pressure(gw: &Gateway, route: &Route, method: &Method) -> Result<(), Rejection> {
    if !prove::mutates(method) {
        return Ok(());
    }
    match gw.state.pressure.sheds(route.cluster_number, route.shed) {
        Some(retry_after) => Err(Rejection::later(Reason::Degraded, retry_after)),
        None => Ok(()),
    }
}

// config.md, `limits.http2.unread_total`: refused before anything is read.
fn check_unread(policy: &Snapshot, ctx: &RequestCtx) -> Result<(), Rejection> {
    let connection = ctx.connection.as_ref().filter(|_| ctx.unread.is_some());
    let held = connection.and_then(|connection| connection.unread());
    if held.is_some_and(|held| held.is_over(policy.limits.unread_total)) {
        return Err(Rejection::new(Reason::Busy).because("too much of bodies over HTTP/2 is unread"));
    }
    Ok(())
}

// http.md §1 step 5: a declared length over the cap; an encoding that is not known, or more than one.
fn check_caps(
    gw: &Gateway,
    route: &Route,
    object: Option<Address>,
    head: &RequestHeader,
) -> Result<UploadGate, Rejection> {
    let fields = head.headers.get_all(header::CONTENT_ENCODING);
    let declared = respond::declared_length(&head.headers);
    let encoding = caps::check_head(&route.caps, declared, fields.iter().map(http::HeaderValue::as_bytes))
        .map_err(|breach| refused(breach, route))?;
    let gate = UploadGate::new(&route.caps, encoding, &gw.state.decoders)?.of_length(declared);
    Ok(match route.kind {
        Kind::Object if matches!(head.method, Method::PUT | Method::POST) => gate.hashing(object),
        _ => gate,
    })
}

fn refused(breach: Breach, route: &Route) -> Rejection {
    let mut no = Rejection::from(breach);
    if breach == Breach::Unsupported && route.caps.mode == Mode::Reject {
        no.accept_encoding = Some("identity");
    }
    no
}

// http.md §3: 400 on a malformed address.
fn object_of(method: &Method, path: &str) -> Result<Option<Address>, Rejection> {
    match object::address_of_path(path) {
        Some(_) if !matches!(*method, Method::GET | Method::HEAD | Method::PUT) => {
            Err(Rejection::method("GET, HEAD, PUT".to_owned()))
        }
        Some(Ok(address)) => Ok(Some(address)),
        Some(Err(e)) => Err(Rejection::new(Reason::Malformed).because(e.to_string())),
        None if *method == Method::POST => Ok(None),
        None => Err(Rejection::new(Reason::Malformed).because("the path names no object")),
    }
}

async fn refuse(session: &mut Session, ctx: &mut RequestCtx, no: Rejection) -> Result<bool> {
    ctx.facts.read_before = session.body_bytes_read() as u64;
    let keeps = respond::reject(session.as_downstream_mut(), &no, &ctx.correlation).await;
    if !keeps {
        session.set_keepalive(None);
    }
    ctx.reject(no);
    ctx.facts.upstream = None;
    Ok(true)
}

/// Its body over HTTP/2, if it has one.
fn body_over_http2(session: &mut Session, ctx: &RequestCtx) -> Option<Body> {
    let held = ctx.connection.as_ref()?.unread()?;
    (!session.is_body_done()).then(|| held.body())
}

/// Says no by resetting the stream, which tells the client that it may ask again (RFC 9113 §8.7).
fn refuse_stream(session: &mut Session, ctx: &mut RequestCtx, no: Rejection) -> bool {
    if let ServerSession::H2(stream) = session.as_downstream_mut() {
        stream.shutdown_with_reason(h2::Reason::REFUSED_STREAM);
    }
    ctx.facts.status = Some(no.reason.status());
    ctx.reject(no);
    true
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
