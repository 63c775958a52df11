//! Every way to say no, in one place: the reason, its status, and what the answer carries besides.
//!
//! A stage says no with its own small error; the `From` implementations here give it its word. That word
//! stands in the answer's JSON, the access log and `rejected_total{reason}` alike (http.md §1).
//!
//! Nothing here writes to a client: `proxy::respond` does.

use std::time::Duration;

use crate::admission::{Busy, Why};
use crate::caps::{Breach, Encoding};
use crate::quota::{Exhausted, Level, Which};
use crate::tenant::{Denied, capability};

/// How far a wait is spread, in thousandths of it.
const SPREAD: u32 = 125;

/// The machine-readable reason of a rejection. Append-only: clients, dashboards and alerts hold on to the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The request is not well-formed HTTP, or asks for something that is never forwarded.
    Malformed,
    /// The client sent or read too slowly.
    Slow,
    /// The request target is longer than `limits.request.uri`.
    Uri,
    /// The head has more bytes or fields than `limits.request.head` and `limits.request.fields` allow.
    Headers,
    /// The path exists, the method does not.
    Method,
    /// No route matches host and path.
    NoRoute,
    /// The connection's TLS handshake was for another host.
    Host,
    /// As many connections are open as may be, in all or from one address.
    Connections,
    /// No evidence, or wrong evidence, for who is asking.
    Unauth,
    /// Who is asking may not.
    Forbidden,
    /// No token is left.
    Quota,
    /// Writes are being shed.
    Degraded,
    /// No place in flight.
    Busy,
    /// The body is longer than its cap.
    BodyCap,
    /// A content coding that is not known or not wanted, or more than one.
    Unsupported,
    /// The body becomes too many times what it is when it is decoded.
    DecodedRatio,
    /// The body becomes too large when it is decoded, or needs a decoder that is.
    DecodedCap,
    /// The body's digest is not the address in the path.
    DigestMismatch,
    /// The backend broke its connection or its protocol.
    Upstream,
    /// No backend of the cluster can take the request.
    NoBackend,
    /// The request's time is over.
    Timeout,
    /// A bug of the gateway's.
    Internal,
    /// The client left first; logged, never sent.
    ClientLeft,
}

impl Reason {
    /// Every reason, so that each metric series exists from the start.
    pub const ALL: [Self; 23] = [
        Self::Malformed,
        Self::Slow,
        Self::Uri,
        Self::Headers,
        Self::Method,
        Self::NoRoute,
        Self::Host,
        Self::Connections,
        Self::Unauth,
        Self::Forbidden,
        Self::Quota,
        Self::Degraded,
        Self::Busy,
        Self::BodyCap,
        Self::Unsupported,
        Self::DecodedRatio,
        Self::DecodedCap,
        Self::DigestMismatch,
        Self::Upstream,
        Self::NoBackend,
        Self::Timeout,
        Self::Internal,
        Self::ClientLeft,
    ];

    /// The word that answer, log and metric share.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Slow => "slow",
            Self::Uri => "uri",
            Self::Headers => "headers",
            Self::Method => "method",
            Self::NoRoute => "no_route",
            Self::Host => "host",
            Self::Connections => "connections",
            Self::Unauth => "unauth",
            Self::Forbidden => "forbidden",
            Self::Quota => "quota",
            Self::Degraded => "degraded",
            Self::Busy => "busy",
            Self::BodyCap => "body_cap",
            Self::Unsupported => "unsupported",
            Self::DecodedRatio => "decoded_ratio",
            Self::DecodedCap => "decoded_cap",
            Self::DigestMismatch => "digest_mismatch",
            Self::Upstream => "upstream",
            Self::NoBackend => "no_backend",
            Self::Timeout => "timeout",
            Self::Internal => "internal",
            Self::ClientLeft => "client_left",
        }
    }

    /// The status that goes with the reason (http.md §1).
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Slow => 408,
            Self::Uri => 414,
            Self::Headers => 431,
            Self::Method => 405,
            Self::NoRoute => 404,
            Self::Host => 421,
            Self::Unauth => 401,
            Self::Forbidden => 403,
            Self::Quota | Self::Busy => 429,
            Self::Degraded | Self::Connections => 503,
            Self::BodyCap | Self::DecodedRatio | Self::DecodedCap => 413,
            Self::Unsupported => 415,
            Self::DigestMismatch => 422,
            Self::Upstream => 502,
            Self::NoBackend => 503,
            Self::Timeout => 504,
            Self::Internal => 500,
            Self::ClientLeft => 499,
        }
    }
}

/// A no, with everything its answer needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Why.
    pub reason: Reason,
    /// When to come again; every 429 and 503 has one.
    pub retry_after: Option<Duration>,
    /// The methods that exist, for 405.
    pub allow: Option<String>,
    /// The content codings that are taken, for 415.
    pub accept_encoding: Option<&'static str>,
    /// An encoded body was refused for what it is or becomes.
    pub of_encoded: bool,
    /// A quota of the client's own, for 429 `quota`.
    pub quota: Option<Box<(Which, Level)>>,
    /// For 401 and 403: the word of `auth_failures_total{reason}`.
    pub auth: Option<&'static str>,
    /// More for the operator's log; never sent to the client.
    pub detail: Option<String>,
}

impl Rejection {
    /// A rejection for `reason`, with the shortest honest `retry-after` where the status asks for one.
    pub fn new(reason: Reason) -> Self {
        let retry_after = matches!(reason.status(), 429 | 503).then_some(Duration::from_secs(1));
        Self {
            reason,
            retry_after,
            allow: None,
            accept_encoding: None,
            of_encoded: false,
            quota: None,
            auth: None,
            detail: None,
        }
    }

    /// A rejection for `reason` until `wait` is over; spread upward, so that those who were refused together do not come
    /// back together (http.md §1: jitter only upward).
    pub fn later(reason: Reason, wait: Duration) -> Self {
        let spread = wait.saturating_mul(fastrand::u32(0..=SPREAD)) / 1000;
        Self { retry_after: Some(wait.saturating_add(spread)), ..Self::new(reason) }
    }

    /// Adds a sentence for the log.
    #[must_use]
    pub fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The methods that the path does have (RFC 9110 §15.5.6).
    pub fn method(allow: String) -> Self {
        Self { allow: Some(allow), ..Self::new(Reason::Method) }
    }

    /// `retry-after` in whole seconds: rounded up, at least 1 (http.md §1).
    pub fn retry_after_secs(&self) -> Option<u64> {
        let wait = self.retry_after?;
        Some(wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1))
    }
}

impl From<Reason> for Rejection {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}

impl From<Exhausted> for Rejection {
    fn from(no: Exhausted) -> Self {
        let quota = no.level.map(|level| Box::new((no.which, level)));
        Self { quota, ..Self::later(Reason::Quota, no.retry_after) }.because(no.which.as_str())
    }
}

impl From<Breach> for Rejection {
    fn from(no: Breach) -> Self {
        let reason = match no {
            Breach::BodyCap => return Reason::BodyCap.into(),
            Breach::Unsupported => Reason::Unsupported,
            Breach::DecodedRatio => Reason::DecodedRatio,
            Breach::DecodedCap => Reason::DecodedCap,
            Breach::Malformed => Reason::Malformed,
            Breach::Degraded => Reason::Degraded,
        };
        let accept_encoding = (no == Breach::Unsupported).then_some(Encoding::ACCEPTED);
        Self { accept_encoding, of_encoded: true, ..Self::new(reason) }.because(no.to_string())
    }
}

impl From<Busy> for Rejection {
    fn from(no: Busy) -> Self {
        let why = match no.why {
            Why::QueueFull => "its queue is full",
            Why::WouldWait => "it would wait too long",
            Why::WaitedTooLong => "it waited too long",
            Why::Outbid => "its tenant queues most",
        };
        Self::later(Reason::Busy, no.retry_after).because(why)
    }
}

impl From<Denied> for Rejection {
    fn from(no: Denied) -> Self {
        let reason = match no {
            Denied::Wrong(_) => Reason::Unauth,
            Denied::Ambiguous(_) | Denied::NotAllowed => Reason::Forbidden,
        };
        Self { auth: Some(no.as_str()), ..Self::new(reason) }.because(no.to_string())
    }
}

impl From<capability::Denied> for Rejection {
    fn from(no: capability::Denied) -> Self {
        let reason = match no {
            capability::Denied::Unauthorized(_) => Reason::Unauth,
            capability::Denied::Forbidden(_) => Reason::Forbidden,
        };
        Self { auth: Some(no.as_str()), ..Self::new(reason) }.because(no.to_string())
    }
}

/// Every word of `auth_failures_total{reason}`, so that each metric series exists from the start.
pub fn auth_failures() -> impl Iterator<Item = &'static str> {
    let unauthorized = capability::Unauthorized::ALL.into_iter().map(capability::Unauthorized::as_str);
    let forbidden = capability::Forbidden::ALL.into_iter().map(capability::Forbidden::as_str);
    Denied::WORDS.into_iter().chain(unauthorized).chain(forbidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_rounded_up_and_at_least_one_second() {
        let mut no = Rejection::new(Reason::NoBackend);
        for (wait, secs) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (2_500, 3)] {
            no.retry_after = Some(Duration::from_millis(wait));
            assert_eq!(no.retry_after_secs(), Some(secs), "{wait} ms");
        }
    }

    #[test]
    fn every_reason_has_a_word_of_its_own() {
        let words: std::collections::HashSet<_> = Reason::ALL.iter().map(|r| r.as_str()).collect();
        assert_eq!(words.len(), Reason::ALL.len());
    }

    #[test]
    fn every_failure_to_say_who_one_is_has_a_word_of_its_own() {
        let words: Vec<_> = auth_failures().collect();
        assert_eq!(words.iter().collect::<std::collections::HashSet<_>>().len(), words.len(), "{words:?}");
        for no in [
            Rejection::from(Denied::NotAllowed),
            capability::Denied::from(capability::Forbidden::Path).into(),
            capability::Denied::from(capability::Unauthorized::Missing).into(),
        ] {
            assert!(words.contains(&no.auth.unwrap()), "{no:?}");
        }
    }

    #[test]
    fn every_503_says_when_to_come_again() {
        for reason in Reason::ALL {
            let says = Rejection::new(reason).retry_after_secs().is_some();
            assert_eq!(says, matches!(reason.status(), 429 | 503), "{}", reason.as_str());
        }
    }
}
