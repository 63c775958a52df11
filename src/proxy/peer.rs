//! Which backend an attempt goes to, and what becomes of it: the same for the relay and for Pingora's pipeline.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, header};
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::RequestHeader;

use super::fields::{self, Scheme};
use crate::cluster::{Backend, Cluster, InFlight, OapStream};
use crate::config::HashOn;
use crate::oap::StartRequest;
use crate::object::Address;
use crate::rejection::{Reason, Rejection};
use crate::snapshot::Route;
use crate::tenant::capability::Presented;
use crate::upstream::BackendId;
use crate::upstream::client::{OpenError, Wish};
use crate::upstream::retry::{self, Body, Failure, RetryPermit, Retryable};

/// One attempt of a request at one backend; under way until it is dropped.
pub(super) struct Attempt {
    cluster: Arc<Cluster>,
    at: InFlight,
    began: Instant,
}

/// What consistent hashing hashes of a request.
pub(super) enum HashKey {
    Object(Address),
    Field(HeaderValue),
}

impl HashKey {
    /// The key of a request, when the cluster's balance wants one and the request has it.
    pub(super) fn of(cluster: &Cluster, object: Option<&Address>, head: &RequestHeader) -> Option<Self> {
        match cluster.hash_on.as_ref()? {
            HashOn::Object => object.copied().map(Self::Object),
            HashOn::Header(name) => head.headers.get(name.as_str()).cloned().map(Self::Field),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Object(address) => address.as_bytes(),
            Self::Field(value) => value.as_bytes(),
        }
    }
}

/// Takes a backend for the next attempt: one that was not tried yet, or, when there is no other, one that was.
///
/// # Errors
/// `no_backend` when none is available.
pub(super) fn pick(
    cluster: &Arc<Cluster>,
    key: Option<&HashKey>,
    tried: &[BackendId],
    now: Instant,
) -> Result<Attempt, Rejection> {
    let key = key.map(HashKey::bytes);
    let again = || if tried.is_empty() { None } else { cluster.pick(key, &[], now) };
    match cluster.pick(key, tried, now).or_else(again) {
        Some(backend) => Ok(Attempt::new(cluster, &backend, now)),
        None => Err(Reason::NoBackend.into()),
    }
}

/// Takes a backend for a second attempt beside a first one; `None` when there is no other.
pub(super) fn pick_other(
    cluster: &Arc<Cluster>,
    key: Option<&HashKey>,
    tried: &[BackendId],
    now: Instant,
) -> Option<Attempt> {
    let backend = cluster.pick(key.map(HashKey::bytes), tried, now)?;
    Some(Attempt::new(cluster, &backend, now))
}

impl Attempt {
    fn new(cluster: &Arc<Cluster>, backend: &Arc<Backend>, now: Instant) -> Self {
        Self { cluster: Arc::clone(cluster), at: backend.begin(), began: now }
    }

    pub(super) fn backend(&self) -> BackendId {
        self.at.backend().id()
    }

    /// The backend's name in the log.
    pub(super) fn backend_name(&self) -> Arc<str> {
        Arc::clone(self.at.backend().name())
    }

    /// Opens an OAP/1 stream. `declared`: the length of the request's body, where it is known. `fresh`: the attempt before
    /// was lost together with its connection. Waits for a connection: bounding that is the caller's.
    pub(super) async fn open(
        &self,
        start: &StartRequest<'_>,
        content: &mut Bytes,
        end: bool,
        declared: Option<u64>,
        fresh: bool,
    ) -> Result<OapStream, OpenError> {
        // An upload that does not fit the window waits for credit on a shared connection, and not on its own.
        let exclusive = declared.is_some_and(|length| length > self.cluster.window);
        match self.at.backend().link.pool() {
            Some(pool) => pool.open(start, content, end, Wish { exclusive, fresh }).await,
            None => Err(OpenError::Closed),
        }
    }

    /// How Pingora's pipeline gets there, with `left` of the request's time.
    pub(super) fn http_peer(&self, left: Duration) -> Option<HttpPeer> {
        let mut peer = self.at.backend().link.peer()?.clone();
        let timeouts = &self.cluster.timeouts;
        peer.options.connection_timeout = Some(timeouts.connect.min(left));
        peer.options.total_connection_timeout = Some(timeouts.connect.min(left));
        peer.options.read_timeout = Some(timeouts.read.min(left));
        Some(peer)
    }

    /// The head of an answer has come.
    pub(super) fn answered(&self, status: u16, now: Instant) {
        let took = now.saturating_duration_since(self.began);
        self.cluster.on_head(self.at.backend(), status, took, now);
    }

    /// It has failed.
    pub(super) fn failed(&self, now: Instant) {
        self.cluster.on_failure(self.at.backend(), now);
    }
}

/// Whether a request may be tried once more, and the budget that it takes from.
pub(super) struct Repeats {
    live: Retryable,
    held: Vec<RetryPermit>,
    attempts: u32,
}

impl Repeats {
    /// Counts a request as live.
    pub(super) fn new(cluster: &Cluster) -> Self {
        Self { live: cluster.retries().enter(), held: Vec::new(), attempts: 1 }
    }

    /// Whether it may be tried again after `failure` (http.md §7); if so, that counts as begun.
    pub(super) fn take(
        &mut self,
        route: &Route,
        object: bool,
        method: &Method,
        failure: Failure,
        body: Body,
    ) -> bool {
        if self.attempts >= route.cluster.attempts
            || !retry::may_repeat(method.as_str(), object, failure, body)
        {
            return false;
        }
        let Some(permit) = self.live.retry(route.cluster.retry_budget_per_mille) else { return false };
        self.held.push(permit);
        self.attempts = self.attempts.saturating_add(1);
        true
    }
}

/// What the gateway knows of a request and tells the backend.
pub(super) struct Crossing<'a> {
    /// The client's.
    pub scheme: Scheme,
    /// The effective host.
    pub authority: &'a str,
    /// What the backend knows the tenant by.
    pub tenant_id: u128,
    /// The `authorization` with a capability that was verified.
    pub token: Option<&'a HeaderValue>,
}

/// A request's head as it crosses, to be sent as often as there are attempts.
pub(super) struct Message {
    head: Vec<u8>,
    /// The last so many bytes are the digits of `x-deadline-ms`.
    digits: usize,
    is_head: bool,
    tenant_id: u128,
    capability: Vec<u8>,
}

impl Message {
    /// Encodes `head`, of which nothing but what stays on this side is left out. `rewrites`: the body that crosses is
    /// another than the one that came.
    ///
    /// # Errors
    /// `headers` or `malformed`: what OAP/1 cannot carry.
    pub(super) fn new(
        route: &Route,
        head: &RequestHeader,
        crossing: &Crossing<'_>,
        left: Duration,
        rewrites: bool,
    ) -> Result<Self, Rejection> {
        let path = std::str::from_utf8(head.raw_path())
            .map_err(|_| Rejection::new(Reason::Malformed).because("the target is no text"))?;
        let rewritten = route.rewritten(path);
        let millis = left.as_millis().to_string();
        // oap1 §5: a bearer token that the gateway has verified moves from `authorization` into `cap`.
        let capability = crossing.token.and_then(Presented::token_of).unwrap_or_default();
        let moves = |name: &HeaderName| crossing.token.is_some() && name == header::AUTHORIZATION;
        let mut fields = Vec::with_capacity(head.headers.len().saturating_add(1));
        for (name, value) in &head.headers {
            // An empty body is as long in either form.
            let unknown = rewrites && name == header::CONTENT_LENGTH && value != "0";
            if !fields::stays(name) && !moves(name) && !unknown {
                fields.push((name.as_str().as_bytes(), value.as_bytes()));
            }
        }
        fields.push((b"x-deadline-ms", millis.as_bytes()));
        let mut encoded = Vec::with_capacity(1024);
        crate::bhttp::encode_request_head(
            &mut encoded,
            head.method.as_str().as_bytes(),
            crossing.scheme.as_str().as_bytes(),
            route.host.as_deref().unwrap_or(crossing.authority).as_bytes(),
            rewritten.as_deref().unwrap_or(path).as_bytes(),
            fields.iter().copied(),
        )
        .map_err(refused)?;
        Ok(Self {
            head: encoded,
            digits: millis.len(),
            is_head: head.method == Method::HEAD,
            tenant_id: crossing.tenant_id,
            capability: capability.to_vec(),
        })
    }

    /// What opens a stream, with `left` of the request's time.
    pub(super) fn start(&mut self, left: Duration) -> StartRequest<'_> {
        // What is left only shrinks, so it fits where the first one stood.
        let millis = format!("{:0width$}", left.as_millis(), width = self.digits);
        let at = self.head.len().saturating_sub(self.digits);
        if let Some(digits) = self.head.get_mut(at..)
            && digits.len() == millis.len()
        {
            digits.copy_from_slice(millis.as_bytes());
        }
        StartRequest {
            head: &self.head,
            capability: &self.capability,
            tenant_id: self.tenant_id,
            is_head: self.is_head,
        }
    }
}

fn refused(error: crate::bhttp::BadMessage) -> Rejection {
    use crate::bhttp::BadMessage;
    let reason = match error {
        BadMessage::TooManyFields | BadMessage::TooLarge => Reason::Headers,
        _ => Reason::Malformed,
    };
    Rejection::new(reason).because(error.to_string())
}
