//! Whether a request may be sent once more, to another backend.
//!
//! The rule of http.md §7 as a pure function, and the budget of retries. Attempts, the deadline and which backend is
//! next are the caller's.

use std::sync::Arc;

use super::budget::{self, Budget, Live, Permit};

/// How an attempt failed before any byte of its answer arrived. After the first byte, and after an answer of any
/// status, there is no such thing, and nothing is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Something of the request may have been written to the backend.
    pub written: bool,
    /// The backend said that it has not processed the request (oap1 §3).
    pub not_processed: bool,
}

/// What has become of the request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing of it was read yet, or there is none.
    Untouched,
    /// All that was read is held (≤ 64 KiB), so that it can be sent again.
    Held,
    /// Some of it has passed and is gone.
    Gone,
}

/// Whether the request may be repeated. `object`: its route is one of content-addressed objects.
pub fn may_repeat(method: &str, object: bool, failure: Failure, body: Body) -> bool {
    // http.md §7: before any byte of the answer, and only when no body was consumed or all of it is held;
    body != Body::Gone
        // any method when nothing of it was written or the backend said "not processed",
        && (!failure.written
            || failure.not_processed
            // else GET, HEAD, OPTIONS and PUT of an object.
            || matches!(method, "GET" | "HEAD" | "OPTIONS")
            || (object && method == "PUT"))
}

/// Retries that go on at once however few requests are live: Envoy's number.
const FLOOR: u32 = 3;

/// The retries of a cluster, as a share of its live requests, but 3 always.
#[derive(Clone, Debug, Default)]
pub struct Retries(Arc<Budget>);

impl Retries {
    /// Counts a request as live until what is returned is dropped. Every request of the cluster enters, once.
    pub fn enter(&self) -> Retryable {
        Retryable(self.0.enter())
    }

    /// Retries under way.
    pub fn under_way(&self) -> u32 {
        self.0.used()
    }
}

/// A live request.
#[derive(Debug)]
pub struct Retryable(Live);

impl Retryable {
    /// Room for one retry; held until the retry is over.
    pub fn retry(&self, budget_per_mille: u16) -> Option<RetryPermit> {
        self.0.take(&budget::Policy { share_per_mille: budget_per_mille, floor: FLOOR }).map(RetryPermit)
    }
}

/// Room for one retry; dropped, it is free again.
#[derive(Debug)]
pub struct RetryPermit(#[expect(dead_code, reason = "held for its drop")] Permit);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_repeated_exactly_as_the_contract_allows() {
        const UNWRITTEN: Failure = Failure { written: false, not_processed: false };
        const WRITTEN: Failure = Failure { written: true, not_processed: false };
        const NOT_PROCESSED: Failure = Failure { written: true, not_processed: true };
        // Method, object route, then: not written, not processed, written and unknown.
        for (method, object, want) in [
            ("GET", false, [true, true, true]),
            ("GET", true, [true, true, true]),
            ("HEAD", false, [true, true, true]),
            ("OPTIONS", false, [true, true, true]),
            ("PUT", true, [true, true, true]),
            ("PUT", false, [true, true, false]),
            ("POST", true, [true, true, false]),
            ("POST", false, [true, true, false]),
            ("PATCH", false, [true, true, false]),
            ("DELETE", true, [true, true, false]),
            ("DELETE", false, [true, true, false]),
            ("get", false, [true, true, false]),
        ] {
            for (failure, want) in [UNWRITTEN, NOT_PROCESSED, WRITTEN].into_iter().zip(want) {
                for body in [Body::Untouched, Body::Held] {
                    assert_eq!(
                        may_repeat(method, object, failure, body),
                        want,
                        "{method} {object} {failure:?}"
                    );
                }
                assert!(!may_repeat(method, object, failure, Body::Gone), "{method} {object} {failure:?}");
            }
        }
    }

    #[test]
    fn retries_are_a_share_of_the_live_requests() {
        let retries = Retries::default();
        let live: Vec<_> = (0..50).map(|_| retries.enter()).collect();
        let permits: Vec<_> = live.iter().filter_map(|live| live.retry(200)).collect();
        assert_eq!((permits.len(), retries.under_way()), (10, 10));
        drop(permits);
        assert_eq!(retries.under_way(), 0);
        let one = live.into_iter().next();
        let alone: Vec<_> = (0..9).filter_map(|_| one.as_ref()?.retry(200)).collect();
        assert_eq!(alone.len(), 3);
        assert!(one.is_some_and(|one| one.retry(0).is_none()));
    }
}
