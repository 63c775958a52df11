//! `http1` and `http2` clusters: Pingora's own pipeline, held to the same functions as the relay.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, Version, header};
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, Session};

use super::body::DownloadGate;
use super::ctx::{Admitted, RequestCtx};
use super::peer::{self, HashKey};
use super::respond::{self, Dress, Extras};
use super::stand_in::Uploading;
use super::trouble;
use super::unread;
use crate::caps::Turn;
use crate::clock;
use crate::rejection::{Reason, Rejection};
use crate::upstream::dial::is_local;
use crate::upstream::retry::{Body, Failure};

/// `upstream_peer`: which backend, on the first attempt and on every further one.
pub(super) async fn choose(session: &mut Session, ctx: &mut RequestCtx) -> Result<Box<HttpPeer>> {
    on_end(session, ctx);
    let now = clock::now();
    let Some(admitted) = ctx.admitted() else { return refuse(ctx, Reason::Internal.into()) };
    if now >= admitted.deadline {
        return refuse(ctx, Reason::Timeout.into());
    }
    if !admitted.tried.is_empty() {
        // Pingora passes what it holds of the body on once more.
        admitted.gate.restart();
    }
    if admitted.tried.is_empty() && admitted.attempt.is_none() {
        // A request whose body is held may be repeated (http.md §7).
        session.enable_retry_buffering();
        let min_rate = admitted.policy.bounds.min_rate;
        if session.as_downstream().is_http2() {
            // Each piece within the window over which the rate is measured; HTTP/1's connection measures it itself.
            session.as_downstream_mut().set_write_timeout(min_rate.map(|rate| rate.over));
        }
        if session.req_header().headers.contains_key(header::EXPECT) && admitted.gathered.is_none() {
            session.write_continue_response().await?;
        }
    }
    let key = HashKey::of(&admitted.route.cluster, admitted.object.as_ref(), session.req_header());
    match peer::pick(&admitted.route.cluster, key.as_ref(), &admitted.tried, now) {
        Ok(attempt) => {
            let left = admitted.deadline.saturating_duration_since(now);
            let Some(peer) = attempt.http_peer(left) else { return refuse(ctx, Reason::Internal.into()) };
            ctx.facts.backend = Some(attempt.backend_name());
            ctx.facts.upstream_since.get_or_insert(now);
            if let Some(admitted) = ctx.admitted() {
                admitted.attempt = Some(attempt);
            }
            Ok(Box::new(peer))
        }
        Err(no) => refuse(ctx, no),
    }
}

/// `upstream_request_filter`: the head as it crosses; everything but the deadline and the path was edited in
/// `fields::prepare`.
pub(super) fn on_upstream_request(
    session: &mut Session,
    request: &mut RequestHeader,
    ctx: &mut RequestCtx,
) -> Result<()> {
    let Some(admitted) = ctx.admitted() else { return Ok(()) };
    let left = admitted.deadline.saturating_duration_since(clock::now());
    drop(request.remove_header(&header::EXPECT));
    let left = HeaderValue::from(u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
    request.insert_header(HeaderName::from_static("x-deadline-ms"), left)?;
    // What came is empty in either form; else Pingora frames what it is not told the length of.
    let length = respond::declared_length(&request.headers);
    if admitted.gate.rewrites() && length.is_some_and(|length| length > 0) {
        drop(request.remove_header(&header::CONTENT_LENGTH));
    }
    let grows = admitted.gate.rewrites();
    // Behind trailers an HTTP/2 session never says that its body is over.
    let comes = admitted.gathered.is_none() || !session.is_body_done();
    if !session.as_downstream_mut().is_body_empty() && (grows || comes) {
        let min_rate = admitted.policy.bounds.min_rate.filter(|_| admitted.gathered.is_none());
        admitted.uploading.insert(Uploading::new(grows, min_rate)).put_in(session);
    }
    if let Some(host) = &admitted.route.host {
        request.insert_header(header::HOST, host.as_str())?;
    }
    if let Some(path) = admitted.route.rewritten(request.uri.path_and_query().map_or("/", |p| p.as_str())) {
        let uri = http::Uri::builder().path_and_query(path.as_str()).build();
        if !request.headers.contains_key(header::HOST) {
            // HTTP/2 told it in the target that is replaced.
            request.insert_header(header::HOST, admitted.authority.as_str())?;
        }
        request.set_uri(uri.map_err(|e| Error::because(ErrorType::InternalError, "strip_prefix", e))?);
    }
    Ok(())
}

/// `request_body_filter`: the same gate that the relay feeds.
pub(super) async fn on_request_body(body: &mut Option<Bytes>, end: bool, ctx: &mut RequestCtx) -> Result<()> {
    let Some(admitted) = ctx.admitted() else { return Ok(()) };
    let end = end || body.is_none();
    let piece = body.take().unwrap_or_default();
    let passed = pass(admitted, piece, end).await;
    if let Some(meter) = &admitted.meter {
        meter.count(admitted.gate.due());
    }
    match passed {
        // Pingora takes none for the end, and writes an empty last piece as the last chunk before it writes that.
        Ok(piece) => *body = Some(piece).filter(|piece| !end || !piece.is_empty()),
        // The client's doing: to an HTTP/2 backend Pingora goes on after any other error, and waits for an answer.
        Err(no) => return refuse(ctx, no).map_err(|e: Box<Error>| e.into_down()),
    }
    Ok(())
}

/// What may pass for a piece. Pingora takes one for one: what grows comes in several ([`Uploading`]).
async fn pass(admitted: &mut Admitted, piece: Bytes, end: bool) -> Result<Bytes, Rejection> {
    let gate = &mut admitted.gate;
    if !piece.is_empty() {
        gate.take(piece)?;
    }
    let passed = loop {
        let turn = gate.turn()?;
        if let Some(uploading) = &admitted.uploading {
            uploading.set_more(turn != Turn::Dry && !gate.is_dry());
        }
        match turn {
            Turn::Piece(piece) => {
                break match &admitted.uploading {
                    Some(uploading) => uploading.under_way(piece),
                    None => piece,
                };
            }
            Turn::Again => tokio::task::yield_now().await,
            Turn::Dry => break Bytes::new(),
        }
    };
    // With a length that was declared, its last byte ends the request for a backend.
    if end || gate.has_come() {
        gate.finish()?;
    }
    Ok(passed)
}

/// `response_filter`: the answer's head, dressed as the relay dresses its own.
pub(super) fn on_response(
    session: &mut Session,
    response: &mut ResponseHeader,
    ctx: &mut RequestCtx,
) -> Result<()> {
    // The stand-in knows nothing of connections.
    let uploading = ctx.admitted().and_then(|admitted| admitted.uploading.clone());
    if let Some(uploading) = &uploading {
        uploading.take_out(session);
    }
    let dressed = dress(session, response, ctx);
    if let Some(uploading) = uploading {
        uploading.put_in(session);
    }
    dressed
}

fn dress(session: &mut Session, response: &mut ResponseHeader, ctx: &mut RequestCtx) -> Result<()> {
    if response.status.is_informational() && response.status != StatusCode::SWITCHING_PROTOCOLS {
        return on_informational(session, response);
    }
    let now = clock::now();
    ctx.facts.upstream = ctx.facts.upstream_since.map(|since| now.saturating_duration_since(since));
    if ctx.admitted().is_some_and(|admitted| admitted.drain.has_begun()) {
        session.set_keepalive(None);
    }
    if session.req_header().version < Version::HTTP_11 {
        to_http10(session, response);
    }
    let request = session.req_header();
    let (method, version) = (request.method.clone(), request.version);
    let correlation = ctx.correlation.clone();
    let timing = ctx.admitted().is_some_and(|admitted| admitted.policy.server_timing);
    let extras = Extras::of(&ctx.facts, timing);
    let Some(admitted) = ctx.admitted() else { return Ok(()) };
    if let Some(attempt) = &admitted.attempt {
        attempt.answered(response.status.as_u16(), now);
    }
    let dress = Dress {
        method: &method,
        version,
        correlation: &correlation,
        object: admitted.object.as_ref(),
        extras,
    };
    admitted.download = Some(DownloadGate::new(None));
    match dress.put_on(response) {
        Ok(()) => Ok(()),
        Err(no) => refuse(ctx, no),
    }
}

/// RFC 9112 §6.1: chunks are not for a client of HTTP/1.0, which knows the end of such an answer by the connection's.
fn to_http10(session: &mut Session, response: &mut ResponseHeader) {
    drop(response.remove_header(&header::TRANSFER_ENCODING));
    if !response.headers.contains_key(header::CONTENT_LENGTH) {
        session.set_keepalive(None);
    }
}

/// RFC 9110 §15.2: a proxy forwards what a backend says ahead of its answer, but never to a client of HTTP/1.0.
fn on_informational(session: &mut Session, response: &mut ResponseHeader) -> Result<()> {
    if session.req_header().version < Version::HTTP_11 {
        session.as_downstream_mut().set_ignore_info_resp(true);
    }
    respond::strip_hop_by_hop(response);
    Ok(())
}

/// `response_body_filter`: counts what passes.
pub(super) fn on_response_body(
    body: &mut Option<Bytes>,
    _end: bool,
    ctx: &mut RequestCtx,
) -> Result<Option<Duration>> {
    if let Some(admitted) = ctx.admitted()
        && let (Some(gate), Some(piece)) = (&mut admitted.download, body.take())
    {
        if let Some(meter) = &admitted.meter {
            meter.count(piece.len() as u64);
        }
        *body = gate.take(piece).unwrap_or_default();
    }
    Ok(None)
}

/// `fail_to_connect`: nothing was sent, so any request may go elsewhere.
pub(super) fn on_connect_failure(session: &Session, ctx: &mut RequestCtx, error: Box<Error>) -> Box<Error> {
    repeat_or_not(session, ctx, error, Failure { written: false, not_processed: false })
}

/// `error_while_proxy`: a connection or a backend failed after the request had begun to leave.
pub(super) fn on_upstream_failure(
    session: &Session,
    ctx: &mut RequestCtx,
    mut error: Box<Error>,
) -> Box<Error> {
    // Pingora would repeat whatever failed on a connection that was used before. Of such a request nobody knows what has
    // arrived, and http.md §7 asks for just that.
    error.retry.decide_reuse(false);
    if matches!(error.esource(), pingora_core::ErrorSource::Downstream) || ctx.facts.rejected.is_some() {
        return error;
    }
    let not_processed = is_not_processed(&error);
    repeat_or_not(session, ctx, error, Failure { written: true, not_processed })
}

// RFC 9113 §8.7: a stream that is refused, or above the last one of a GOAWAY without an error.
fn is_not_processed(error: &Error) -> bool {
    let cause = error.root_cause().downcast_ref::<h2::Error>();
    cause.filter(|cause| cause.is_remote()).is_some_and(|cause| match cause.reason() {
        Some(h2::Reason::REFUSED_STREAM) => cause.is_reset(),
        Some(h2::Reason::NO_ERROR) => cause.is_go_away(),
        _ => false,
    })
}

fn repeat_or_not(
    session: &Session,
    ctx: &mut RequestCtx,
    mut error: Box<Error>,
    failure: Failure,
) -> Box<Error> {
    let now = clock::now();
    let begun = session.response_written().is_some();
    let body = match session.as_ref().body_bytes_read() {
        0 => Body::Untouched,
        _ if session.as_ref().retry_buffer_truncated() => Body::Gone,
        _ => Body::Held,
    };
    let method = session.req_header().method.clone();
    error.set_retry(false);
    let Some(admitted) = ctx.admitted() else { return error };
    if let Some(attempt) = admitted.attempt.take() {
        if is_local(&error) {
            return error;
        }
        attempt.failed(now);
        admitted.tried.push(attempt.backend());
        let object = admitted.object.is_some();
        let again = !begun
            && now < admitted.deadline
            && admitted.repeats.take(&admitted.route, object, &method, failure, body);
        error.set_retry(again);
    }
    error
}

/// `fail_to_proxy`: the one place where the pipeline says no.
pub(super) async fn on_failure(session: &mut Session, error: &Error, ctx: &mut RequestCtx) -> FailToProxy {
    let uploading = on_end(session, ctx);
    if ctx.facts.rejected.is_none() {
        // Nothing answers a request that does not come to its end.
        let is_slow = uploading.is_some_and(|uploading| uploading.is_slow());
        match reason_of(error) {
            Reason::Timeout if is_slow => ctx.reject(Reason::Slow.into()),
            _ if let Some(no) = unread::cause(session.as_downstream()) => ctx.reject(no),
            Reason::ClientLeft => ctx.client_left(),
            _ if is_local(error) => ctx.reject(trouble::exhausted(error.to_string())),
            reason => ctx.reject(Rejection::new(reason).because(error.to_string())),
        }
    }
    let sent = session.response_written().is_some_and(|head| !head.status.is_informational());
    let Some(no) = ctx.facts.rejected.clone().filter(|no| !sent && no.reason != Reason::ClientLeft) else {
        if sent {
            ctx.cut(session.req_header().version);
        }
        return FailToProxy { error_code: 0, can_reuse_downstream: false };
    };
    // Pingora closes behind what it has failed to proxy, whatever it is told.
    session.set_keepalive(None);
    let keeps = respond::reject(session.as_downstream_mut(), &no, &ctx.correlation).await;
    FailToProxy { error_code: no.reason.status(), can_reuse_downstream: keeps }
}

/// An attempt is over: its session has no stand-in any more.
pub(super) fn on_end(session: &mut Session, ctx: &mut RequestCtx) -> Option<Uploading> {
    let uploading = ctx.admitted()?.uploading.take()?;
    uploading.take_out(session);
    Some(uploading)
}

/// What an error of Pingora's means in the words of http.md §1.
fn reason_of(error: &Error) -> Reason {
    use pingora_core::ErrorSource;
    match (error.esource(), error.etype()) {
        (ErrorSource::Downstream, ErrorType::InvalidHTTPHeader | ErrorType::HTTPStatus(400)) => {
            Reason::Malformed
        }
        (ErrorSource::Downstream, ErrorType::ReadTimedout | ErrorType::WriteTimedout) => Reason::Slow,
        (ErrorSource::Downstream, _) => Reason::ClientLeft,
        (_, ErrorType::ReadTimedout | ErrorType::WriteTimedout | ErrorType::ConnectTimedout) => {
            Reason::Timeout
        }
        (ErrorSource::Upstream, _) => Reason::Upstream,
        _ => Reason::Internal,
    }
}

/// Notes the rejection and makes Pingora end the request with it.
fn refuse<T>(ctx: &mut RequestCtx, no: Rejection) -> Result<T> {
    let status = no.reason.status();
    ctx.reject(no);
    Error::e_explain(ErrorType::HTTPStatus(status), "refused")
}
