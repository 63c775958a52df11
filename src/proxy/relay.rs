//! `oap` clusters: a request crosses to OAP/1 from inside Pingora's `proxy_upstream_filter` (design: the relay).
//!
//! Here is what an exchange cannot decide: which backend, whether to try another one, and when the answer's head
//! may be written. `Ok(false)` tells Pingora that the answer is complete, so it is returned for a whole answer
//! only; after a failure mid-body an error closes the connection short, and nothing looks complete that is not.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use http::{Method, Version, header};
use pingora_core::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use super::body::DownloadGate;
use super::correlation::CorrelationId;
use super::ctx::{Admitted, Facts, RequestCtx, Stage};
use super::downstream::Downstream;
use super::exchange::{Bounds, Exchange, Fail, Step};
use super::hedge::{Hedge, Running, until_head};
use super::peer::{self, Attempt, Crossing, HashKey, Message};
use super::respond::{self, Dress, Extras};
use crate::bhttp::ResponseHead;
use crate::clock;
use crate::cluster::OapStream;
use crate::config::ClusterProtocol;
use crate::rejection::{Reason, Rejection};
use crate::upstream::retry::Failure;

/// Pingora's `proxy_upstream_filter`: relays a request of an `oap` cluster to its end; lets the others go on.
pub(super) async fn on_admitted(session: &mut Session, ctx: &mut RequestCtx) -> Result<bool> {
    let Stage::Admitted(admitted) = &mut ctx.stage else { return Ok(true) };
    if admitted.route.cluster.protocol != ClusterProtocol::Oap {
        return Ok(true);
    }
    let outcome = relay(session, admitted, &ctx.correlation, &mut ctx.facts).await;
    match outcome {
        Ok(()) => Ok(false),
        Err(fail) => finish(session, ctx, fail).await,
    }
}

/// Ends a request that has failed: with an answer if none has begun, else short.
async fn finish(session: &mut Session, ctx: &mut RequestCtx, fail: Fail) -> Result<bool> {
    let begun = session.response_written().is_some_and(|head| !head.status.is_informational());
    if begun {
        ctx.cut(session.req_header().version);
    }
    ctx.facts.integrity = matches!(fail, Fail::Integrity);
    let Some(no) = fail.rejection() else {
        ctx.client_left();
        return Error::e_explain(ErrorType::ConnectionClosed, "the client left");
    };
    if begun {
        ctx.reject(no);
        return Error::e_explain(ErrorType::WriteError, "the answer was cut");
    }
    let keeps = respond::reject(session.as_downstream_mut(), &no, &ctx.correlation).await;
    ctx.reject(no);
    if keeps {
        return Ok(false);
    }
    Error::e_explain(ErrorType::ConnectionClosed, "the rest of the body was not wanted")
}

/// What of a request's head is needed after the session has been lent out.
struct Asked {
    method: Method,
    version: Version,
    declared: Option<u64>,
    /// The length of what crosses, where it is known.
    crossing: Option<u64>,
    key: Option<HashKey>,
}

async fn relay(
    session: &mut Session,
    admitted: &mut Admitted,
    correlation: &CorrelationId,
    facts: &mut Facts,
) -> Result<(), Fail> {
    let started = clock::now();
    let head = session.req_header();
    let declared = respond::declared_length(&head.headers);
    let rewrites = admitted.gate.rewrites();
    let asked = Asked {
        method: head.method.clone(),
        version: head.version,
        declared,
        crossing: declared.filter(|_| !rewrites),
        key: HashKey::of(&admitted.route.cluster, admitted.object.as_ref(), head),
    };
    let left = admitted.deadline.saturating_duration_since(started);
    let crossing = Crossing {
        scheme: admitted.scheme,
        authority: &admitted.authority,
        tenant_id: admitted.tenant_id,
        token: admitted.token.as_ref(),
    };
    let mut message =
        Message::new(&admitted.route, head, &crossing, left, rewrites).map_err(Fail::Rejected)?;
    let gathered = admitted.gathered.as_mut().map(|gathered| std::mem::take(&mut gathered.pieces));
    if head.headers.contains_key(header::EXPECT) && gathered.is_none() && !session.is_body_done() {
        session.write_continue_response().await.map_err(|_| Fail::Left)?;
    }
    let timeouts = &admitted.route.cluster.timeouts;
    let bounds = Bounds { deadline: admitted.deadline, read: timeouts.read, write: timeouts.write };
    let sleep = pin!(tokio::time::sleep_until(bounds.deadline.min(started + bounds.read).into()));
    let down = Downstream::new(session.as_downstream_mut(), admitted.policy.bounds.min_rate);
    let mut exchange = Exchange::new(down, &mut admitted.gate, bounds, sleep, started);
    exchange.meter = admitted.meter.as_ref();
    if let Some(pieces) = gathered {
        exchange.begin_with(pieces);
    }
    let object = admitted.object.as_ref();
    let mut repeating =
        Repeating { route: &admitted.route, repeats: &mut admitted.repeats, is_object: object.is_some() };
    let outcome = async {
        first_piece(&mut exchange, asked.declared.is_some()).await?;
        let (running, head) = answer(&mut exchange, &mut repeating, &asked, &mut message, facts).await?;
        let Running { attempt, up } = running;
        if admitted.drain.has_begun() {
            exchange.down.say_goodbye();
        }
        let extras = Extras::of(facts, admitted.policy.server_timing);
        let dress = Dress { method: &asked.method, version: asked.version, correlation, object, extras };
        let outcome = pass_on(&mut exchange, up, &head, &dress, facts).await;
        if matches!(outcome, Err(Fail::Upstream(_) | Fail::Integrity)) {
            attempt.failed(clock::now());
        }
        outcome
    }
    .await;
    facts.received = Some(exchange.gate.seen());
    facts.sent = Some(exchange.down.sent);
    if outcome.is_err() {
        exchange.down.cut();
    }
    outcome
}

/// A body of declared length begins before a place upstream is taken, so that head and first piece leave
/// together; one that may be a conversation only if it is here already.
async fn first_piece(exchange: &mut Exchange<'_, '_>, declared: bool) -> Result<(), Fail> {
    poll_fn(|cx| match exchange.poll_first_piece(cx) {
        Poll::Pending if !declared => Poll::Ready(Ok(())),
        polled => polled,
    })
    .await
}

/// Whether a failed attempt is followed by another.
struct Repeating<'a> {
    route: &'a crate::snapshot::Route,
    repeats: &'a mut peer::Repeats,
    is_object: bool,
}

/// Attempts until there is an answer's head, or no further attempt is allowed.
async fn answer(
    exchange: &mut Exchange<'_, '_>,
    repeating: &mut Repeating<'_>,
    asked: &Asked,
    message: &mut Message,
    facts: &mut Facts,
) -> Result<(Running, ResponseHead), Fail> {
    let route = repeating.route;
    let live = Hedge::enter(&route.cluster, asked.method.as_str());
    let mut tried = Vec::new();
    let mut live = live;
    let mut lost = false;
    loop {
        let now = clock::now();
        let attempt = peer::pick(&route.cluster, asked.key.as_ref(), &tried, now).map_err(Fail::Rejected)?;
        facts.backend = Some(attempt.backend_name());
        let began = *facts.upstream_since.get_or_insert(now);
        let outcome = match open(exchange, attempt, message, asked.crossing, lost).await {
            Ok(running) => {
                let hedge = Hedge { route, key: asked.key.as_ref(), message, live: live.take() };
                until_head(exchange, running, hedge).await
            }
            Err((attempt, fail)) => Err((attempt, fail, false)),
        };
        let now = clock::now();
        facts.upstream = Some(now.saturating_duration_since(began));
        match outcome {
            Ok((running, head)) => {
                facts.backend = Some(running.attempt.backend_name());
                running.attempt.answered(head.status, now);
                return Ok((running, head));
            }
            Err((attempt, Fail::Upstream(trouble), written)) => {
                if !trouble.is_local() {
                    attempt.failed(now);
                }
                let failure = Failure { written, not_processed: trouble.is_not_processed() };
                let body = exchange.body();
                let again = !exchange.left(now).is_zero()
                    && trouble.is_elsewhere_different()
                    && repeating.repeats.take(route, repeating.is_object, &asked.method, failure, body);
                if !again {
                    return Err(Fail::Upstream(trouble));
                }
                tried.push(attempt.backend());
                lost = trouble.is_loss();
                exchange.restart(now);
            }
            Err((attempt, fail, _)) => {
                if matches!(&fail, Fail::Rejected(no) if no.reason == Reason::Timeout) {
                    attempt.failed(now);
                }
                return Err(fail);
            }
        }
    }
}

async fn open(
    exchange: &mut Exchange<'_, '_>,
    attempt: Attempt,
    message: &mut Message,
    declared: Option<u64>,
    fresh: bool,
) -> Result<Running, (Attempt, Fail)> {
    let left = exchange.left(clock::now());
    let (mut content, end) = exchange.take_first();
    let start = message.start(left);
    let opened = tokio::time::timeout(left, attempt.open(&start, &mut content, end, declared, fresh)).await;
    match opened {
        Ok(Ok(up)) => {
            exchange.opened(content, end, clock::now());
            Ok(Running { attempt, up })
        }
        Ok(Err(e)) => {
            exchange.not_opened(content, end);
            Err((attempt, Fail::Upstream(e.into())))
        }
        Err(_) => Err((attempt, Fail::Rejected(Reason::Timeout.into()))),
    }
}

/// Passes the answer on: its head when it may be seen, its body piece by piece, its end when it is whole.
async fn pass_on(
    exchange: &mut Exchange<'_, '_>,
    mut up: OapStream,
    from: &ResponseHead,
    dress: &Dress<'_>,
    facts: &mut Facts,
) -> Result<(), Fail> {
    let head = dress.head(from).map_err(Fail::Rejected)?;
    let content = respond::carries_content(dress.method, from.status);
    let declared = if content { from.content_length() } else { Some(0) };
    let is_upload = exchange.gate.hashes() && (200..300).contains(&from.status);
    if is_upload && !exchange.is_sent() {
        // http.md §3: it cannot know yet what it says it has stored.
        return Err(Fail::Rejected(
            Rejection::new(Reason::Upstream).because("a 2xx before the upload's end"),
        ));
    }
    let whole_object = dress.object.is_some() && *dress.method == Method::GET && from.status == 200;
    facts.unverified = dress.object.is_some() && from.status == 206;
    exchange.answer = Some(match (dress.object, exchange.gate.address()) {
        (Some(address), _) if whole_object => DownloadGate::verified(declared, *address),
        (_, Some(address)) if is_upload => DownloadGate::naming(declared, address),
        _ => DownloadGate::new(declared),
    });
    // oap1 §3: a head that announces no content waits for END. An object's waits for its first piece, so that a
    // wrong short one can still be answered with 502, and an upload's for the address it names (http.md §3).
    let mut waiting = Some(head);
    if declared != Some(0) && !whole_object && !is_upload {
        match poll_fn(|cx| Poll::Ready(exchange.poll(cx, &mut up))).await {
            Poll::Ready(step) => {
                if let Some(done) = on_step(exchange, step, &mut waiting).await {
                    return done;
                }
            }
            Poll::Pending => write_head(exchange, &mut waiting, false).await?,
        }
    }
    loop {
        let step = poll_fn(|cx| exchange.poll(cx, &mut up)).await;
        if let Some(done) = on_step(exchange, step, &mut waiting).await {
            return done;
        }
    }
}

/// Carries a step out; `Some` when it was the last one.
async fn on_step(
    exchange: &mut Exchange<'_, '_>,
    step: Step,
    waiting: &mut Option<Box<ResponseHeader>>,
) -> Option<Result<(), Fail>> {
    match step {
        Step::Pass(piece, last) => {
            if let Err(fail) = write_head(exchange, waiting, false).await {
                return Some(Err(fail));
            }
            exchange.down.write(piece, last);
            None
        }
        Step::Whole => Some(write_head(exchange, waiting, true).await),
        Step::Failed(fail) => Some(Err(fail)),
        Step::Head(_) => Some(Err(Fail::Upstream(crate::oap::StreamFailure::Lost.into()))),
    }
}

async fn write_head(
    exchange: &mut Exchange<'_, '_>,
    waiting: &mut Option<Box<ResponseHeader>>,
    end: bool,
) -> Result<(), Fail> {
    match waiting.take() {
        Some(head) => exchange.down.write_head(head, end).await.map_err(|_| Fail::Left),
        None if end => exchange.down.finish().map_err(|_| Fail::Left),
        None => Ok(()),
    }
}
