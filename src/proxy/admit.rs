//! The way of a request, cheapest question first (http.md §1). Nothing is sent upstream before the last line, and not one
//! byte of a body is read before the quota has said yes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderValue, Method, Version, header};
use pingora_core::protocols::http::ServerSession;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::RequestHeader;
use pingora_proxy::Session;

use super::correlation::CorrelationId;
use super::ctx::{Admitted, InFlight, RequestCtx, Stage};
use super::fields::{self, Origin, Scheme};
use super::gather::{self, Failed};
use super::meter::Meter;
use super::peer::Repeats;
use super::upload::UploadGate;
use super::{Gateway, prove, queue, respond};
use crate::caps::{self, Breach, Mode};
use crate::edge::Connection;
use crate::edge::guard::unread::Body;
use crate::object::{self, Address};
use crate::quota::{Ask, Budgets, Exhausted, Taken};
use crate::rejection::{Reason, Rejection};
use crate::route::{NoMatch, target};
use crate::snapshot::{Kind, ListenerPolicy, Route, Snapshot, Tenant};
use crate::tenant::client::{Client, Speaker};
use crate::tenant::proxy_protocol::Source;
use crate::tenant::{Evidence, Identity, Principal};
use crate::tls::Secured;
use crate::{admin, clock, metrics};

/// `allow` of a route that takes any method, but for those that are never forwarded.
const FORWARDED: &str = "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS";

/// Pingora's `request_filter`: admits the request, or answers it. `true`: answered.
pub(super) async fn on_request(gw: &Gateway, session: &mut Session, ctx: &mut RequestCtx) -> Result<bool> {
    ctx.correlation = CorrelationId::of(session.req_header(), millis(ctx));
    ctx.peer = session.client_addr().and_then(|addr| addr.as_inet()).copied();
    ctx.connection = Connection::of(session.digest()).cloned();
    ctx.unread = body_over_http2(session, ctx);
    let policy = gw.state.snapshot.load_full(); // one generation for the whole request
    let stays = !gw.state.drain.has_begun() && is_persistent(session.req_header());
    session.set_keepalive(stays.then(|| policy.limits.idle.as_secs().max(1)));
    session.set_pipelining_enabled(true);
    session.set_read_timeout(None);
    let Some(listener) = policy.listeners.get(&gw.listener) else {
        return refuse(session, ctx, Reason::Internal.into()).await;
    };
    if listener.probes && probe(gw, session).await? {
        return Ok(true);
    }
    if let Err(no) = to_origin_form(session.req_header_mut()) {
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
        take_tokens_of_address(gw, policy, client, &head.method, ctx).await?;
        None
    } else {
        let identity = policy.identifier.identify(&evidence).map_err(Rejection::from)?; // 1 who
        let who = Who::new(policy, route, identity, client, ctx)?;
        take_tokens(gw, policy, &who, &head.method, ctx).await?; // 2 how often
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
            take_tokens(gw, policy, &who, &head.method, ctx).await?; //   its own quota
            who
        }
    };
    let host = host_of(head)?.to_owned();
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
        upload: None,
        download: None,
    }))
}

/// Whether the client expects the connection to go on (RFC 9112 §9.3): in HTTP/1.0 it has to say so.
fn is_persistent(head: &RequestHeader) -> bool {
    let says = |option: &str| {
        let lines = head.headers.get_all(header::CONNECTION).iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(',')).any(|said| said.trim().eq_ignore_ascii_case(option))
    };
    !says("close") && (head.version != Version::HTTP_10 || says("keep-alive"))
}

/// RFC 9112 §3.2.2: the absolute form is accepted. Its authority is the host's, and its path is what crosses.
fn to_origin_form(head: &mut RequestHeader) -> Result<(), Rejection> {
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

/// Who asks.
pub(super) struct Who {
    pub tenant: Arc<Tenant>,
    pub principal: Principal,
    client: Client,
    /// By a capability: its budgets. The address has paid already.
    within: Option<Budgets>,
    /// The field that the capability came in.
    token: Option<HeaderValue>,
}

impl Who {
    fn new(
        policy: &Snapshot,
        route: &Route,
        identity: Identity,
        client: Client,
        ctx: &mut RequestCtx,
    ) -> Result<Self, Rejection> {
        let tenant = policy.tenant(identity.tenant).ok_or(Rejection::new(Reason::Internal))?;
        tenant.metrics.on_request();
        ctx.tenant = Some(Arc::clone(tenant));
        route.tenants.check(identity.tenant)?;
        let principal = identity.principal;
        Ok(Self { tenant: Arc::clone(tenant), principal, client, within: None, token: None })
    }
}

fn find<'a>(
    gw: &Gateway,
    policy: &'a Snapshot,
    head: &RequestHeader,
    ctx: &RequestCtx,
) -> Result<(&'a Arc<Route>, Option<Address>), Rejection> {
    check_size(policy, head)?;
    check_framing(head)?;
    let host = host_of(head)?;
    // http.md §2: on TLS an authority that the SNI's certificate does not cover is 421 `host`.
    let tls = ctx.connection.as_ref().and_then(|connection| connection.tls.as_ref());
    if tls.is_some_and(|tls| !tls.covers(target::name_of(host))) {
        return Err(Rejection::new(Reason::Host).because("the handshake was for another host"));
    }
    let path = path_of(head)?;
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

// http.md §2: all buckets are asked, then all are debited or none.
async fn take_tokens(
    gw: &Gateway,
    policy: &Snapshot,
    who: &Who,
    method: &Method,
    ctx: &mut RequestCtx,
) -> Result<(), Rejection> {
    let ask = Ask {
        tenant: &who.tenant.buckets,
        policy: &who.tenant.quota,
        principal: &who.principal,
        cost: policy.costs.of(metrics::Method::of(method)),
    };
    let (quotas, address) = (&gw.state.quotas, who.client.address);
    let taken = match &who.within {
        None => quotas.take(address, &ask, ctx.started),
        Some(budgets) => quotas.take_within(budgets, &ask, ctx.started),
    };
    let no = match taken {
        Ok(taken) => {
            if taken.shadowed.is_some() {
                who.tenant.metrics.on_exhausted();
            }
            if let Some(connection) = &ctx.connection {
                connection.penalty.on_passed();
            }
            ctx.facts.quota = taken.own.or(ctx.facts.quota);
            return Ok(());
        }
        Err(no) => no,
    };
    who.tenant.metrics.on_exhausted();
    if let (Some(_), Some(address)) = (&who.within, address) {
        // Its address has paid before anybody knew whose it is.
        quotas.give_back_of_address(address, ask.cost, ctx.started);
    }
    let look = |now| match &who.within {
        None => quotas.look(address, &ask, now),
        Some(budgets) => quotas.look_within(budgets, &ask, now),
    };
    Err(hold(policy, who.client, ctx, no, look).await)
}

// http.md §2: so a forged token spends nobody else's quota, and a flood of them stops before the cryptography.
async fn take_tokens_of_address(
    gw: &Gateway,
    policy: &Snapshot,
    client: Client,
    method: &Method,
    ctx: &mut RequestCtx,
) -> Result<(), Rejection> {
    let Some(address) = client.address else { return Ok(()) };
    let (quotas, cost) = (&gw.state.quotas, policy.costs.of(metrics::Method::of(method)));
    match quotas.take_of_address(address, cost, ctx.started) {
        Ok(taken) => {
            ctx.facts.quota = taken.own;
            Ok(())
        }
        Err(no) => Err(hold(policy, client, ctx, no, |now| quotas.look_of_address(address, cost, now)).await),
    }
}

/// A connection that goes on asking is held.
async fn hold(
    policy: &Snapshot,
    client: Client,
    ctx: &mut RequestCtx,
    mut no: Exhausted,
    look: impl Fn(Instant) -> Result<Taken, Exhausted>,
) -> Rejection {
    // http.md §2: trusted peers are exempt from the penalty box.
    let boxed = ctx.connection.as_ref().filter(|_| !client.trusted);
    if let Some(delay) = boxed.and_then(|connection| connection.penalty.on_refused(&policy.penalty)) {
        tokio::time::sleep(delay).await;
        ctx.held = true;
        // Retry-After of a held 429 is computed when it is sent.
        no = look(clock::now()).err().unwrap_or(Exhausted { retry_after: Duration::ZERO, ..no });
    }
    no.into()
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
    let gate = UploadGate::new(&route.caps, encoding, &gw.state.decoders)?;
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

// http.md §1, step 1: one framing. Over HTTP/2 as many lengths may stand there as say the same.
fn check_framing(head: &RequestHeader) -> Result<(), Rejection> {
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
