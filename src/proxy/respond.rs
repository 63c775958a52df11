//! What a client is sent: the heads of answers, for both ways up, and the one form in which the gateway says no.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, Version, header};
use pingora_core::protocols::http::ServerSession;
use pingora_http::ResponseHeader;

use super::correlation::CorrelationId;
use super::ctx::Facts;
use super::unread;
use crate::bhttp::ResponseHead;
use crate::object::Address;
use crate::quota::{Level, Which, fields as quota};
use crate::rejection::{Reason, Rejection};

/// How much of a body that nobody wants is read, so that closing does not eat the answer (http.md §1).
const DISCARD: u64 = 64 * 1024;
/// How long that may take.
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// What every answer's head gets, whichever way up it came from.
pub(super) struct Dress<'a> {
    pub method: &'a Method,
    pub version: Version,
    pub correlation: &'a CorrelationId,
    /// The object that the answer is about.
    pub object: Option<&'a Address>,
    pub extras: Extras,
}

/// What an answer tells beside itself.
#[derive(Default)]
pub(super) struct Extras {
    quota: Option<(Which, Level)>,
    timing: Option<HeaderValue>,
}

impl Extras {
    /// `timing`: how long it took is told too.
    pub(super) fn of(facts: &Facts, timing: bool) -> Self {
        let millis = |time: Option<Duration>| time.unwrap_or_default().as_micros() as f64 / 1000.0;
        let timing = timing.then(|| {
            format!("queue;dur={:.3}, upstream;dur={:.3}", millis(facts.queued), millis(facts.upstream))
        });
        Self { quota: facts.quota, timing: timing.and_then(|text| HeaderValue::from_str(&text).ok()) }
    }

    fn put_on(&self, head: &mut ResponseHeader) {
        if let Some((which, level)) = &self.quota {
            let named = [
                ("ratelimit-policy", quota::policy(*which, level)),
                ("ratelimit", quota::limit(*which, level)),
            ];
            for (name, text) in named {
                if let Ok(value) = HeaderValue::from_str(&text) {
                    insert(head, HeaderName::from_static(name), value);
                }
            }
        }
        if let Some(timing) = &self.timing {
            insert(head, HeaderName::from_static("server-timing"), timing.clone());
        }
    }
}

impl Dress<'_> {
    /// Takes hop-by-hop fields off a head, puts `x-corr-id` on, and an object's `etag`.
    ///
    /// # Errors
    /// `upstream` for a status that no backend may send: 101, since `upgrade` is never forwarded.
    pub(super) fn put_on(&self, head: &mut ResponseHeader) -> Result<(), Rejection> {
        if head.status.is_informational() {
            return Err(Rejection::new(Reason::Upstream).because("the backend switched protocols"));
        }
        strip_hop_by_hop(head);
        insert(head, HeaderName::from_static("x-corr-id"), self.correlation.value().clone());
        self.extras.put_on(head);
        // http.md §3: the gateway sets the ETag.
        if let Some(address) = self.object
            && matches!(head.status, StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED)
            && matches!(*self.method, Method::GET | Method::HEAD)
            && let Ok(etag) = HeaderValue::from_str(&address.etag())
        {
            insert(head, header::ETAG, etag);
        }
        Ok(())
    }

    /// The head of an OAP/1 answer as the client gets it.
    ///
    /// # Errors
    /// `upstream` for a head that HTTP cannot carry.
    pub(super) fn head(&self, from: &ResponseHead) -> Result<Box<ResponseHeader>, Rejection> {
        let mut head = ResponseHeader::build_no_case(from.status, Some(from.fields.len().saturating_add(4)))
            .map_err(|e| Rejection::new(Reason::Upstream).because(e.to_string()))?;
        for (name, value) in from.fields.iter_shared() {
            let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_maybe_shared(value))
            else {
                return Err(Rejection::new(Reason::Upstream).because("a field that HTTP cannot carry"));
            };
            drop(head.append_header(name, value));
        }
        self.put_on(&mut head)?;
        // An HTTP/1.1 answer of unknown length is chunked, so that its end can be told from a broken connection.
        if self.version == Version::HTTP_11
            && !head.headers.contains_key(header::CONTENT_LENGTH)
            && carries_content(self.method, from.status)
        {
            insert(&mut head, header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        Ok(Box::new(head))
    }
}

/// Takes off what belongs to the backend's connection (RFC 9110 §7.6.1).
pub(super) fn strip_hop_by_hop(head: &mut ResponseHeader) {
    for name in [
        &HeaderName::from_static("keep-alive"),
        &HeaderName::from_static("proxy-connection"),
        &header::UPGRADE,
        &header::TRAILER,
        &header::TE,
    ] {
        if head.headers.contains_key(name) {
            drop(head.remove_header(name));
        }
    }
}

/// Whether an answer has content at all (RFC 9110 §6.4.1).
pub(super) fn carries_content(method: &Method, status: u16) -> bool {
    *method != Method::HEAD && !matches!(status, 204 | 304)
}

/// Says no: the status, the JSON of http.md §1, and what the status asks for besides. Then makes sure that the
/// client can read it: a small rest of its body is discarded, a larger one costs it the connection.
///
/// Returns whether the connection may be used again.
pub(super) async fn reject(session: &mut ServerSession, no: &Rejection, correlation: &CorrelationId) -> bool {
    // http.md §1: behind a quota's no come FIN and a rest that is thrown away, unless no body is pending.
    let keeps = may_keep(session) && (no.reason != Reason::Quota || session.is_body_done());
    session.set_close_on_response_before_downstream_finish(!keeps);
    let body = body_of(no, correlation);
    let head = match head_of(no, correlation, body.len()) {
        Ok(head) => head,
        Err(e) => {
            log::error!("rejection head: {e}");
            return false;
        }
    };
    let has_body = session.req_header().method != Method::HEAD;
    let written = async {
        session.write_response_header(Box::new(head)).await?;
        session.write_response_body(if has_body { body } else { Bytes::new() }, true).await
    };
    if let Err(e) = written.await {
        log::debug!("rejection: {e}");
        return false;
    }
    // HTTP/2 resets the stream with NO_ERROR behind the whole answer (RFC 9113 §8.1): h2 does that on drop.
    if session.is_http2() || session.is_body_done() {
        return true;
    }
    if !keeps {
        // FIN first: the client sees the end of the answer while we still read what it sends.
        session.shutdown().await;
    }
    discard(session).await && keeps
}

/// The same as it stands on a connection of HTTP/1 that has no request yet, and closes.
pub(super) fn raw(no: &Rejection, correlation: &CorrelationId) -> Bytes {
    let body = body_of(no, correlation);
    let Ok(head) = head_of(no, correlation, body.len()) else { return Bytes::new() };
    let phrase = head.status.canonical_reason().unwrap_or_default();
    let mut raw = format!("HTTP/1.1 {} {phrase}\r\n", head.status.as_u16()).into_bytes();
    for (name, value) in &head.headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            raw.extend_from_slice(part);
        }
    }
    raw.extend_from_slice(b"connection: close\r\n\r\n");
    raw.extend_from_slice(&body);
    raw.into()
}

/// Answers a probe on a public listener.
pub(super) async fn probe(
    session: &mut ServerSession,
    answer: &crate::admin::Answer,
) -> pingora_core::Result<()> {
    let mut head = ResponseHeader::build_no_case(answer.status, Some(4))?;
    insert(&mut head, header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    insert(&mut head, header::CONTENT_LENGTH, HeaderValue::from(answer.body.len()));
    insert(&mut head, header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if answer.status == StatusCode::SERVICE_UNAVAILABLE {
        insert(&mut head, header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    let has_body = session.req_header().method != Method::HEAD;
    session.write_response_header(Box::new(head)).await?;
    let body = if has_body { Bytes::copy_from_slice(&answer.body) } else { Bytes::new() };
    session.write_response_body(body, true).await
}

/// Whether the connection is worth keeping: nothing of the body is still to come, or a declared rest that is
/// small and on its way.
fn may_keep(session: &mut ServerSession) -> bool {
    if unread::cause(session).is_some() {
        return false;
    }
    if session.is_body_done() {
        return true;
    }
    let expects = session.req_header().headers.contains_key(header::EXPECT);
    let declared = declared_length(&session.req_header().headers);
    !expects
        && declared.is_some_and(|length| length.saturating_sub(session.body_bytes_read() as u64) <= DISCARD)
}

/// A request's `content-length`, if it has one that can be read.
pub(super) fn declared_length(headers: &http::HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads what is left of a body, within bounds. Says whether it came to its end.
async fn discard(session: &mut ServerSession) -> bool {
    let all = async {
        let mut read = 0u64;
        while let Ok(Some(piece)) = session.read_request_body().await {
            read = read.saturating_add(piece.len() as u64);
            if read > DISCARD {
                return false;
            }
        }
        session.is_body_done()
    };
    tokio::time::timeout(DISCARD_TIME, all).await.unwrap_or(false)
}

/// `{"code":429,"reason":"quota","retry_after":2,"corr_id":"01J9…"}`
fn body_of(no: &Rejection, correlation: &CorrelationId) -> Bytes {
    let (code, reason, id) = (no.reason.status(), no.reason.as_str(), correlation.as_str());
    let retry_after =
        no.retry_after_secs().map_or_else(String::new, |secs| format!(r#","retry_after":{secs}"#));
    // A correlation identifier has no quote and no backslash in it.
    Bytes::from(format!(r#"{{"code":{code},"reason":"{reason}"{retry_after},"corr_id":"{id}"}}"#))
}

fn head_of(
    no: &Rejection,
    correlation: &CorrelationId,
    length: usize,
) -> pingora_core::Result<ResponseHeader> {
    let mut head = ResponseHeader::build_no_case(no.reason.status(), Some(6))?;
    insert(&mut head, header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    insert(&mut head, header::CONTENT_LENGTH, HeaderValue::from(length));
    insert(&mut head, header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    insert(&mut head, HeaderName::from_static("x-corr-id"), correlation.value().clone());
    if let Some(secs) = no.retry_after_secs() {
        insert(&mut head, header::RETRY_AFTER, HeaderValue::from(secs));
    }
    Extras { quota: no.quota.as_deref().copied(), timing: None }.put_on(&mut head);
    if no.reason == Reason::Unauth {
        insert(&mut head, header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    // RFC 9110 §15.5.16.
    if let Some(accepted) = no.accept_encoding {
        insert(&mut head, header::ACCEPT_ENCODING, HeaderValue::from_static(accepted));
    }
    if let Some(allow) = no.allow.as_deref().and_then(|allow| HeaderValue::from_str(allow).ok()) {
        insert(&mut head, header::ALLOW, allow);
    }
    Ok(head)
}

fn insert(head: &mut ResponseHeader, name: HeaderName, value: HeaderValue) {
    // A name and a value that are typed already cannot be refused.
    drop(head.insert_header(name, value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_reads_as_the_contract_says() {
        let id = CorrelationId::new(0);
        let no = Rejection::new(Reason::NoBackend);
        let said: serde_json::Value = serde_json::from_slice(&body_of(&no, &id)).unwrap();
        assert_eq!(
            said,
            serde_json::json!({"code": 503, "reason": "no_backend", "retry_after": 1, "corr_id": id.as_str()})
        );
        let head = head_of(&no, &id, 7).unwrap();
        for (name, value) in [("retry-after", "1"), ("cache-control", "no-store"), ("content-length", "7")] {
            assert_eq!(head.headers.get(name).unwrap(), value);
        }
    }

    #[test]
    fn a_405_names_the_methods_there_are() {
        let head = head_of(&Rejection::method("GET, HEAD".into()), &CorrelationId::new(0), 0).unwrap();
        assert_eq!(head.headers.get("allow").unwrap(), "GET, HEAD");
        assert!(!head.headers.contains_key("retry-after"));
    }
}
