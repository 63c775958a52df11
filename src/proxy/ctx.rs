//! What is known of one request, from its head to its log line.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderValue, Version};
use prometheus::IntGauge;

use super::body::DownloadGate;
use super::correlation::CorrelationId;
use super::fields::Scheme;
use super::gather::Gathered;
use super::meter::Meter;
use super::peer::{Attempt, Repeats};
use super::stand_in::Uploading;
use super::unread;
use super::upload::UploadGate;
use crate::admission::Permit;
use crate::edge::guard::unread::Body;
use crate::edge::{Connection, Drain};
use crate::object::Address;
use crate::quota::{Level, Which};
use crate::rejection::{Reason, Rejection};
use crate::snapshot::{Route, Snapshot, Tenant};
use crate::tenant::capability::IdentifierHash;

/// Pingora's per-request context.
pub struct RequestCtx {
    /// When the whole head was here.
    pub(super) started: Instant,
    /// When that was, as the Unix epoch has it.
    pub(super) wall: Duration,
    pub(super) correlation: CorrelationId,
    pub(super) peer: Option<SocketAddr>,
    pub(super) connection: Option<Arc<Connection>>,
    /// Its body over HTTP/2, until a gate counts what is read of it.
    pub(super) unread: Option<Body>,
    /// Where to, once that is known, until it is admitted.
    pub(super) route: Option<Arc<Route>>,
    /// Who pays, once that is known.
    pub(super) tenant: Option<Arc<Tenant>>,
    /// Its refusal was held back for a time.
    pub(super) held: bool,
    pub(super) stage: Stage,
    pub(super) facts: Facts,
}

/// How far a request has come. What exists later lives in a later variant.
pub(super) enum Stage {
    /// Its head has been read.
    Arrived,
    /// It may go to a backend.
    Admitted(Box<Admitted>),
}

/// A request that may go to a backend.
pub(super) struct Admitted {
    /// The generation that the request began with and keeps.
    pub policy: Arc<Snapshot>,
    pub route: Arc<Route>,
    pub gate: UploadGate,
    /// The effective host, as it crosses.
    pub authority: String,
    /// What the client's connection speaks, as it crosses.
    pub scheme: Scheme,
    pub repeats: Repeats,
    /// The object that the path names.
    pub object: Option<Address>,
    /// The field of its capability, when that was verified.
    pub token: Option<HeaderValue>,
    /// What the backend knows the tenant by.
    pub tenant_id: u128,
    /// What was read of the body before there was a place: all of it.
    pub gathered: Option<Gathered>,
    /// Counts bytes against the tenant's quota of them.
    pub meter: Option<Meter>,
    /// Whether the gateway is about to stop.
    pub drain: Arc<Drain>,
    /// Its place in flight.
    pub permit: Permit,
    /// When the answer's head must be here.
    pub deadline: Instant,
    /// Pingora's pipeline: the backend that is being tried, and those that were.
    pub attempt: Option<Attempt>,
    pub tried: Vec<crate::upstream::BackendId>,
    /// Pingora's pipeline: the body that goes up, while its session has a stand-in.
    pub uploading: Option<Uploading>,
    /// Pingora's pipeline: the answer's gate.
    pub download: Option<DownloadGate>,
    /// Dropped with the request, however it ends.
    pub _inflight: InFlight,
}

/// What the log line and the counters tell.
#[derive(Default)]
pub(super) struct Facts {
    pub rejected: Option<Rejection>,
    /// The status that the client was sent, or 499.
    pub status: Option<u16>,
    /// Counted by the relay; Pingora's own count otherwise.
    pub sent: Option<u64>,
    pub received: Option<u64>,
    /// Body bytes that had been read when the request was refused.
    pub read_before: u64,
    /// How long it waited for its place.
    pub queued: Option<Duration>,
    /// What the identifier of its capability hashes to, once that is known to be genuine.
    pub capability: Option<IdentifierHash>,
    /// The tightest of the client's own quotas.
    pub quota: Option<(Which, Level)>,
    pub upstream_since: Option<Instant>,
    pub upstream: Option<Duration>,
    pub backend: Option<Arc<str>>,
    /// A range of an object: passed through unverified.
    pub unverified: bool,
    /// An object's bytes were not what its address says.
    pub integrity: bool,
    /// The answer was cut after its head had been sent.
    pub cut: bool,
}

impl RequestCtx {
    pub(super) fn new(now: Instant, wall: Duration) -> Self {
        Self {
            started: now,
            wall,
            correlation: CorrelationId::none(),
            peer: None,
            connection: None,
            unread: None,
            held: false,
            route: None,
            tenant: None,
            stage: Stage::Arrived,
            facts: Facts::default(),
        }
    }

    pub(super) fn admitted(&mut self) -> Option<&mut Admitted> {
        match &mut self.stage {
            Stage::Admitted(admitted) => Some(admitted),
            Stage::Arrived => None,
        }
    }

    /// Notes why the request ends, once: the first reason is the cause of the later ones.
    pub(super) fn reject(&mut self, no: Rejection) {
        if self.facts.rejected.is_none() {
            self.facts.rejected = Some(no);
        }
    }

    /// Notes that an answer was cut after its head had been sent.
    pub(super) fn cut(&mut self, version: Version) {
        self.facts.cut = true;
        // HTTP/1.0 may know an answer's end by the connection's alone.
        if version < Version::HTTP_11
            && let Some(connection) = &self.connection
        {
            connection.cut();
        }
    }

    /// Notes that the client left first, or was cut.
    pub(super) fn client_left(&mut self) {
        if let Some(no) = self.connection.as_ref().and_then(|connection| unread::cause_of(connection)) {
            self.facts.cut = true;
            return self.reject(no);
        }
        self.reject(Reason::ClientLeft.into());
        self.facts.status = Some(Reason::ClientLeft.status());
    }
}

/// Counts a request as under way until it is dropped.
pub(super) struct InFlight(IntGauge);

impl InFlight {
    pub(super) fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
