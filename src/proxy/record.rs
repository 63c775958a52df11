//! What is said of a request when it is over: the access-log line and every counter, from its context alone.

use std::io::Write as _;
use std::time::{Duration, Instant};

use http::header;
use pingora_proxy::Session;

use super::correlation::CorrelationId;
use super::ctx::{RequestCtx, Stage};
use crate::access_log::{Log, push_timestamp};
use crate::clock;
use crate::config::AccessLog;
use crate::metrics::{Method, Metrics};
use crate::rejection::{Reason, Rejection};
use crate::snapshot::LogPolicy;
use crate::state::State;
use crate::tenant::capability::IdentifierHash;

/// The longest user agent in a log line.
const USER_AGENT: usize = 256;

/// The facts of one line.
struct Line<'a> {
    wall: Duration,
    route: &'a str,
    method: &'a str,
    status: u16,
    reason: Option<&'static str>,
    detail: Option<&'a str>,
    corr_id: &'a str,
    peer: Option<std::net::SocketAddr>,
    user_agent: &'a [u8],
    received: u64,
    sent: u64,
    latency: Duration,
    tenant: Option<&'a str>,
    capability: Option<IdentifierHash>,
    queued: Option<Duration>,
    upstream: Option<Duration>,
    backend: Option<&'a str>,
    unverified: bool,
    cut: bool,
}

/// Pingora's `logging`: the last that happens to a request.
pub(super) fn on_end(state: &State, session: &Session, ctx: &mut RequestCtx) {
    let now = clock::now();
    let latency = now.saturating_duration_since(ctx.started);
    settle(state, session, ctx, now);
    match &ctx.stage {
        Stage::Admitted(admitted) => {
            record(&state.metrics, &state.log, &admitted.policy.log, session, ctx, latency)
        }
        Stage::Arrived => {
            record(&state.metrics, &state.log, &state.snapshot.load().log, session, ctx, latency)
        }
    }
}

/// Counts and logs a head that was refused before it was a request.
pub(super) fn on_unread(
    state: &State,
    no: &Rejection,
    correlation: &CorrelationId,
    peer: Option<std::net::SocketAddr>,
    wall: Duration,
    latency: Duration,
) {
    let policy = state.snapshot.load();
    let policy = &policy.log;
    let status = no.reason.status();
    state.metrics.on_rejection(no.reason);
    policy.no_route.on_request(Method::Other, status, latency);
    if !policy.wants(status) {
        return;
    }
    let line = Line {
        wall,
        route: "-",
        method: "-",
        status,
        reason: Some(no.reason.as_str()),
        detail: no.detail.as_deref(),
        corr_id: correlation.as_str(),
        peer,
        user_agent: b"",
        received: 0,
        sent: 0,
        latency,
        tenant: None,
        capability: None,
        queued: None,
        upstream: None,
        backend: None,
        unverified: false,
        cut: false,
    };
    line.append(&state.log, policy.access);
}

/// Tells admission what the request came to, and the pressure whether its backend failed.
fn settle(state: &State, session: &Session, ctx: &mut RequestCtx, now: Instant) {
    let sent = ctx.facts.sent.unwrap_or(session.body_bytes_sent() as u64);
    let received = ctx.facts.received.unwrap_or(session.body_bytes_read() as u64);
    let failed = ctx.facts.rejected.as_ref().map(|no| no.reason);
    let answered = session.response_written().map(|head| head.status.as_u16());
    if let Stage::Admitted(admitted) = &mut ctx.stage {
        admitted.permit.settle(sent.saturating_add(received));
        let failed = match failed {
            Some(Reason::Upstream | Reason::NoBackend | Reason::Timeout) => true,
            // The client's doing, or ours: it says nothing of the backend.
            Some(_) => return,
            None => answered.is_some_and(|status| matches!(status, 502..=504)),
        };
        state.pressure.on_result(admitted.route.cluster_number, failed, now);
    }
}

/// Counts the request and writes its line.
fn record(
    metrics: &Metrics,
    log: &Log,
    policy: &LogPolicy,
    session: &Session,
    ctx: &RequestCtx,
    latency: Duration,
) {
    let facts = &ctx.facts;
    let written = session.response_written().map(|head| head.status.as_u16());
    // Nothing written and no reason noted: the client was gone before an answer could begin.
    let status = facts.status.or(written).unwrap_or(499);
    let sent = facts.sent.unwrap_or(session.body_bytes_sent() as u64);
    let received = facts.received.unwrap_or(session.body_bytes_read() as u64);
    let method = session.req_header().method.clone();
    if facts.integrity {
        metrics.integrity_fail.inc();
    }
    if let Some(no) = &facts.rejected {
        metrics.on_rejection(no.reason);
        metrics.on_read_before(no.reason, facts.read_before);
        if let Some(word) = no.auth {
            metrics.on_auth_failure(word);
        }
        if no.of_encoded {
            metrics.on_encoded_rejection(no.reason);
        }
    }
    let route = match &ctx.stage {
        Stage::Admitted(admitted) => Some(&admitted.route),
        Stage::Arrived => ctx.route.as_ref(),
    };
    let series = route.map_or(&policy.no_route, |route| &route.metrics);
    series.on_request(Method::of(&method), status, latency);
    series.bytes_in.inc_by(received);
    series.bytes_out.inc_by(sent);
    if !policy.wants(status) {
        return;
    }
    let line = Line {
        wall: ctx.wall,
        route: route.map_or("-", |route| route.name.as_str()),
        method: method.as_str(),
        status,
        reason: facts.rejected.as_ref().map(|no| no.reason.as_str()),
        detail: facts.rejected.as_ref().and_then(|no| no.detail.as_deref()),
        corr_id: ctx.correlation.as_str(),
        peer: ctx.peer,
        user_agent: session.req_header().headers.get(header::USER_AGENT).map_or(b"", |v| v.as_bytes()),
        received,
        sent,
        latency,
        tenant: ctx.tenant.as_ref().map(|tenant| tenant.name.as_str()),
        capability: facts.capability,
        queued: facts.queued,
        upstream: facts.upstream,
        backend: facts.backend.as_deref(),
        unverified: facts.unverified,
        cut: facts.cut,
    };
    line.append(log, policy.access);
}

impl Line<'_> {
    fn append(&self, log: &Log, form: AccessLog) {
        log.append(|out| match form {
            AccessLog::Json => self.json(out),
            AccessLog::Text => self.text(out),
            AccessLog::Off => {}
        });
    }

    fn json(&self, out: &mut Vec<u8>) {
        let mut stamp = String::with_capacity(24);
        push_timestamp(&mut stamp, self.wall);
        // Writing to memory cannot fail.
        drop(write!(out, r#"{{"ts":"{stamp}","level":"{}","event":"request","route":"#, self.level()));
        string(out, self.route);
        out.extend_from_slice(br#","method":"#);
        string(out, self.method);
        drop(write!(out, r#","status":{}"#, self.status));
        if let Some(reason) = self.reason {
            drop(write!(out, r#","reason":"{reason}""#));
        }
        if let Some(detail) = self.detail {
            out.extend_from_slice(br#","detail":"#);
            string(out, detail);
        }
        if let Some(tenant) = self.tenant {
            out.extend_from_slice(br#","tenant":"#);
            string(out, tenant);
        }
        // http.md §6: never a token; 8 hex digits of its identifier's hash.
        if let Some(capability) = self.capability {
            drop(write!(out, r#","capability":"{capability}""#));
        }
        out.extend_from_slice(br#","corr_id":"#);
        string(out, self.corr_id);
        if let Some(peer) = self.peer {
            drop(write!(out, r#","peer_addr":"{peer}""#));
        }
        out.extend_from_slice(br#","user_agent":"#);
        string(out, &self.agent());
        drop(write!(out, r#","req_bytes":{},"resp_bytes":{},"latency_ms":"#, self.received, self.sent));
        millis(out, self.latency);
        if let Some(queued) = self.queued {
            out.extend_from_slice(br#","queue_ms":"#);
            millis(out, queued);
        }
        if let Some(upstream) = self.upstream {
            out.extend_from_slice(br#","upstream_ms":"#);
            millis(out, upstream);
        }
        if let Some(backend) = self.backend {
            out.extend_from_slice(br#","backend":"#);
            string(out, backend);
        }
        if self.unverified {
            out.extend_from_slice(br#","unverified":true"#);
        }
        if self.cut {
            out.extend_from_slice(br#","cut":true"#);
        }
        out.extend_from_slice(b"}\n");
    }

    fn text(&self, out: &mut Vec<u8>) {
        let mut stamp = String::with_capacity(24);
        push_timestamp(&mut stamp, self.wall);
        let peer = self.peer.map_or_else(|| "-".to_owned(), |peer| peer.to_string());
        drop(write!(
            out,
            "{stamp} {peer} {} {} {} {} in={} out={} ms=",
            self.method.escape_default(),
            self.route,
            self.status,
            self.reason.unwrap_or("-"),
            self.received,
            self.sent
        ));
        millis(out, self.latency);
        let tenant = self.tenant.unwrap_or("-");
        drop(write!(
            out,
            " tenant={tenant} backend={} corr_id={}",
            self.backend.unwrap_or("-"),
            self.corr_id
        ));
        drop(writeln!(out, " agent={}", self.agent().escape_default()));
    }

    fn level(&self) -> &'static str {
        match self.status {
            500.. if self.status != 503 => "error",
            _ if self.cut => "error",
            _ => "info",
        }
    }

    fn agent(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.user_agent.get(..USER_AGENT).unwrap_or(self.user_agent))
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    // Writing to memory cannot fail.
    drop(serde_json::to_writer(out, text));
}

/// Milliseconds to the microsecond.
fn millis(out: &mut Vec<u8>, time: Duration) {
    let micros = time.as_micros();
    drop(write!(out, "{}.{:03}", micros / 1000, micros % 1000));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<'a>() -> Line<'a> {
        Line {
            wall: Duration::from_millis(1_767_225_599_999),
            route: "objects",
            method: "GET",
            status: 200,
            reason: None,
            detail: None,
            corr_id: "01J9",
            peer: "192.0.2.1:5".parse().ok(),
            user_agent: b"cu\"rl\n\xff",
            received: 0,
            sent: 13,
            latency: Duration::from_micros(1_234),
            tenant: Some("acme"),
            capability: None,
            queued: Some(Duration::from_micros(12)),
            upstream: Some(Duration::from_micros(999)),
            backend: Some("127.0.0.1:9401"),
            unverified: false,
            cut: false,
        }
    }

    #[test]
    fn a_json_line_is_json_whatever_the_client_sent() {
        let mut out = Vec::new();
        line().json(&mut out);
        assert_eq!(out.iter().filter(|b| **b == b'\n').count(), 1);
        let said: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(said["user_agent"], "cu\"rl\n\u{fffd}");
        assert_eq!(said["latency_ms"], 1.234);
        assert_eq!(said["upstream_ms"], 0.999);
        assert_eq!((said["tenant"].as_str(), said["queue_ms"].as_f64()), (Some("acme"), Some(0.012)));
        assert_eq!(said["ts"], "2025-12-31T23:59:59.999Z");
        assert_eq!(said["peer_addr"], "192.0.2.1:5");
    }

    #[test]
    fn a_text_line_is_one_line_whatever_the_client_sent() {
        let mut out = Vec::new();
        line().text(&mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        assert!(text.contains(" GET objects 200 - in=0 out=13 ms=1.234 "), "{text}");
    }

    #[test]
    fn a_long_user_agent_is_shortened() {
        let long = vec![b'a'; 1000];
        let line = Line { user_agent: &long, ..line() };
        assert_eq!(line.agent().len(), USER_AGENT);
    }
}
