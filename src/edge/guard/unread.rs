//! What HTTP/2 clients have sent of bodies, and no request has read: all connections together, held to one bound
//! (config.md, `limits.http2.unread_total`).
//!
//! Windows bound a stream and a connection. Ten thousand connections with a window of 8 MiB each are bounded by nothing
//! that fits a machine, so beyond the bound a request with a body is refused on those connections that hold more than
//! their share of it. Streams that are open already may still fill their windows.
//!
//! An estimate: what is thrown away with a request is known by the bodies that are left, each of which has at most its
//! stream's window unread. Heads that never become requests, and bodies that are over before anybody looks, are counted
//! among them until no request of the connection has a body any more. Atomic counters, no lock; it refuses nothing, the request path does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// All connections.
#[derive(Debug, Default)]
pub struct Unread {
    bytes: AtomicU64,
    /// Connections that hold some of them.
    holders: AtomicU64,
}

/// The windows that one connection was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Unread bytes of one stream.
    pub stream: u64,
    /// Unread bytes of all of a connection's streams.
    pub connection: u64,
}

/// One connection; what it holds is given back when it is dropped.
#[derive(Debug)]
pub struct Held {
    all: Arc<Unread>,
    windows: Windows,
    bytes: AtomicU64,
    /// That have begun.
    bodies: AtomicU64,
    /// Of these, requests'.
    requests: AtomicU64,
}

/// A body that comes on a connection; what was not read of it is thrown away when this is dropped.
#[derive(Debug)]
pub struct Body(Arc<Held>);

impl Unread {
    /// Bytes that are held, over all connections.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// A connection that has sent nothing yet.
    pub fn open(self: &Arc<Self>, windows: Windows) -> Arc<Held> {
        let none = AtomicU64::default;
        Arc::new(Held { all: Arc::clone(self), windows, bytes: none(), bodies: none(), requests: none() })
    }

    /// A connection holds `now` bytes where it held `before`.
    fn moved(&self, before: u64, now: u64) {
        if now >= before {
            let _ = self.bytes.fetch_add(now.saturating_sub(before), Relaxed);
        } else {
            let _ = self.bytes.fetch_sub(before.saturating_sub(now), Relaxed);
        }
        match (before, now) {
            (0, 1..) => drop(self.holders.fetch_add(1, Relaxed)),
            (1.., 0) => drop(self.holders.fetch_sub(1, Relaxed)),
            _ => {}
        }
    }
}

impl Held {
    /// So many bodies have begun, and so many bytes of content have come.
    pub fn came(&self, begun: u64, bytes: u64) {
        let bodies = self.bodies.fetch_add(begun, Relaxed).saturating_add(begun);
        let most = self.most(bodies);
        self.becomes(|held| held.saturating_add(bytes).min(most));
    }

    /// A body that has begun is a request's now.
    pub fn body(self: &Arc<Self>) -> Body {
        let requests = self.requests.fetch_add(1, Relaxed).saturating_add(1);
        // It may have been forgotten with the last one before it.
        let _ = self.bodies.fetch_max(requests, Relaxed);
        Body(Arc::clone(self))
    }

    /// Whether a request with a body must be refused here, `most` bytes being allowed over all connections: there are
    /// more, and more than an equal share of them is this connection's.
    pub fn is_over(&self, most: u64) -> bool {
        let holders = self.all.holders.load(Relaxed).max(1);
        self.all.bytes() > most && self.bytes.load(Relaxed) > most.checked_div(holders).unwrap_or(most)
    }

    // RFC 9113 §5.2: a client that sends more than its windows allow loses its streams, or the connection.
    fn most(&self, bodies: u64) -> u64 {
        bodies.saturating_mul(self.windows.stream).min(self.windows.connection)
    }

    fn becomes(&self, held: impl Fn(u64) -> u64) {
        let mut now = 0;
        let before = self.bytes.fetch_update(Relaxed, Relaxed, |before| {
            now = held(before);
            (now != before).then_some(now)
        });
        if let Ok(before) = before {
            self.all.moved(before, now);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.becomes(|_| 0);
    }
}

impl Body {
    /// So many bytes of it have been read.
    pub fn read(&self, bytes: u64) {
        self.0.becomes(|held| held.saturating_sub(bytes));
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let Held { bodies, requests, .. } = &*self.0;
        let is_last = requests.fetch_sub(1, Relaxed) == 1;
        let left = |bodies: u64| if is_last { 0 } else { bodies.saturating_sub(1) };
        // It is never refused.
        let before = bodies.fetch_update(Relaxed, Relaxed, |bodies| Some(left(bodies))).unwrap_or(0);
        let most = self.0.most(left(before));
        self.0.becomes(|held| held.min(most));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOWS: Windows = Windows { stream: 64, connection: 640 };

    #[test]
    fn what_comes_is_held_until_it_is_read_or_thrown_away() {
        let all: Arc<Unread> = Arc::default();
        let held = all.open(WINDOWS);
        held.came(1, 50);
        held.came(1, 40);
        let (first, second) = (held.body(), held.body());
        assert_eq!(all.bytes(), 90);
        first.read(30);
        assert_eq!(all.bytes(), 60);
        held.came(0, 40);
        // The one that is left has at most its window.
        drop(first);
        assert_eq!(all.bytes(), 64);
        second.read(100);
        assert_eq!(all.bytes(), 0, "no more is read than came");
        held.came(0, 1);
        drop(second);
        assert_eq!(all.bytes(), 0, "no body, nothing unread");
        held.came(0, 5);
        assert_eq!(all.bytes(), 0, "what comes behind a reset is thrown away");
        // Heads that nobody makes a request of are forgotten with the last body.
        held.came(9, 100);
        let body = held.body();
        assert_eq!(all.bytes(), 100);
        drop(body);
        held.came(0, 100);
        assert_eq!(all.bytes(), 0);
        // One of them is a request's after all.
        let late = held.body();
        held.came(0, 100);
        assert_eq!(all.bytes(), 64);
        drop(late);
        held.came(1, 5);
        drop(held);
        assert_eq!((all.bytes(), all.holders.load(Relaxed)), (0, 0));
    }

    #[test]
    fn only_who_holds_more_than_a_share_is_over_the_bound() {
        let all: Arc<Unread> = Arc::default();
        let (large, small, none) = (all.open(WINDOWS), all.open(WINDOWS), all.open(WINDOWS));
        large.came(2, 100);
        assert!(!large.is_over(100), "the bound is the last byte that may be held");
        assert!(large.is_over(99));
        small.came(1, 20);
        for (held, over) in [(&large, true), (&small, false), (&none, false)] {
            assert_eq!(held.is_over(110), over, "{held:?}");
        }
    }

    proptest! {
        #[test]
        fn the_sum_is_that_of_the_connections(steps in proptest::collection::vec((0usize..3, 0u8..4, 0u64..200), 0..200)) {
            let all: Arc<Unread> = Arc::default();
            let held = [all.open(WINDOWS), all.open(WINDOWS), all.open(WINDOWS)];
            let mut bodies = [vec![], vec![], vec![]];
            for (at, what, bytes) in steps {
                match what {
                    0 => held[at].came(0, bytes),
                    1 => {
                        held[at].came(1, bytes);
                        bodies[at].push(held[at].body());
                    }
                    2 => drop(bodies[at].pop()),
                    _ => if let Some(body) = bodies[at].last() { Body::read(body, bytes) },
                }
                let each: Vec<_> = held.iter().map(|held| held.bytes.load(Relaxed)).collect();
                prop_assert!(each.iter().all(|bytes| *bytes <= WINDOWS.connection));
                prop_assert_eq!(all.bytes(), each.iter().sum::<u64>());
                prop_assert_eq!(all.holders.load(Relaxed), each.iter().filter(|bytes| **bytes > 0).count() as u64);
                if all.bytes() > 100 {
                    prop_assert!(held.iter().any(|held| held.is_over(100)), "somebody is over");
                }
            }
            drop(bodies);
            prop_assert_eq!(all.bytes(), 0, "without a body there is nothing unread");
        }
    }
}
