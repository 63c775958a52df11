//! The byte stream of one HTTP/1 connection, client to gateway: what may go on to the parser.
//!
//! ```text
//!             ┌────────────── no body ──────────────┐
//!             v                                     │
//!   head (held until whole and checked) ── Head ────┼─> content-length: so many bytes ──┐
//!             ^                                     └─> chunked: checked as they pass ──┤
//!             └────────────── the body's last byte has passed ──────────────────────────┘
//!   anything wrong ──> refused: nothing passes any more
//! ```
//!
//! A head passes only when it is whole, within the bounds of http.md §7, and can be read in one way (RFC 9112, without
//! the leniencies that it permits a recipient). The bytes are not changed, and none is looked at twice, however they
//! are cut. Verdicts depend on the bytes alone, not on the cuts.
//!
//! It does not judge paths (`route::target` does, knowing the route), nor bodies' sizes or rates, nor does it know when
//! a connection closes after an answer.

mod breach;
mod chunked;
mod field;
mod head;
mod lines;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

pub use self::breach::{Breach, Fault};
use self::chunked::Chunked;

/// The bounds of a head (http.md §7). A trailer section is held to `head` and `fields` too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Bytes, from the request line to the empty line.
    pub head: usize,
    /// Field lines.
    pub fields: u32,
    /// Bytes of the request target.
    pub uri: usize,
    /// From the first byte of a head to its last.
    pub head_timeout: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { head: 64 << 10, fields: 100, uri: 8 << 10, head_timeout: Duration::from_secs(5) }
    }
}

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The next head.
    None,
    /// So many bytes, at least one.
    Length(u64),
    /// Chunks and a trailer section.
    Chunked,
}

/// A head that may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its bytes, the empty line included, and one before it where the client sent one.
    pub len: usize,
    /// What follows.
    pub body: Framing,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// When its first byte was seen.
    pub began: Instant,
}

/// What to do with the bytes that are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The first `len` of them are a head, and go on. Feed the rest next.
    Head(Head),
    /// The first `len` of them are of the body, and go on. Feed the rest next.
    Body {
        /// At least one.
        len: usize,
        /// Whether the body ends with them.
        ends: bool,
    },
    /// None goes on yet. Feed them again with what comes behind them.
    NeedMore,
    /// None goes on, nor will any that follow.
    Refuse(Breach),
}

impl Progress {
    /// How many of the bytes go on.
    pub fn passes(&self) -> usize {
        match self {
            Self::Head(head) => head.len,
            Self::Body { len, .. } => *len,
            Self::NeedMore | Self::Refuse(_) => 0,
        }
    }
}

/// Where a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Between requests, or before the first.
    Idle,
    /// A head has begun and is not whole.
    Head,
    /// A body has not ended.
    Body,
    /// Refused: nothing passes.
    Refused,
}

/// The guard of one connection. See the module's documentation.
#[derive(Debug)]
pub struct Guard {
    policy: Policy,
    at: At,
}

#[derive(Debug)]
enum At {
    Head(head::Reader),
    Length(u64),
    Chunked(Chunked),
    Refused(Breach),
}

impl Guard {
    /// A guard before the first byte.
    pub fn new(policy: Policy) -> Self {
        Self { policy, at: At::Head(head::Reader::default()) }
    }

    /// Judges what is held: all bytes that came and have not gone on, in order, at `now`.
    pub fn feed(&mut self, held: &[u8], now: Instant) -> Progress {
        let read = match &mut self.at {
            At::Refused(breach) => Err(*breach),
            _ if held.is_empty() => Ok(Progress::NeedMore),
            At::Head(reader) => {
                let whole = reader.read(held, &self.policy, now);
                whole.map(|whole| whole.map_or(Progress::NeedMore, Progress::Head))
            }
            At::Length(left) => Ok(take(left, held)),
            At::Chunked(chunked) => chunked.read(held, &self.policy),
        };
        let progress = read.unwrap_or_else(Progress::Refuse);
        self.move_on(&progress);
        progress
    }

    fn move_on(&mut self, progress: &Progress) {
        self.at = match progress {
            Progress::NeedMore | Progress::Body { ends: false, .. } => return,
            Progress::Refuse(breach) => At::Refused(*breach),
            Progress::Body { ends: true, .. } => At::Head(head::Reader::default()),
            Progress::Head(head) => match head.body {
                Framing::None => At::Head(head::Reader::default()),
                Framing::Length(bytes) => At::Length(bytes),
                Framing::Chunked => At::Chunked(Chunked::default()),
            },
        };
    }

    /// Takes other bounds, which hold from the next head on.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// Where the connection is, after the bytes that were fed.
    pub fn state(&self) -> State {
        match &self.at {
            At::Head(reader) if reader.since().is_none() => State::Idle,
            At::Head(_) => State::Head,
            At::Length(_) | At::Chunked(_) => State::Body,
            At::Refused(_) => State::Refused,
        }
    }

    /// Why nothing passes any more.
    pub fn breach(&self) -> Option<Breach> {
        if let At::Refused(breach) = self.at { Some(breach) } else { None }
    }

    // http.md §7: `head_timeout` 5 s: first byte of a head to its last.
    /// When the head that has begun must be whole: else 408 `slow`. An empty line before a head begins none.
    pub fn head_deadline(&self) -> Option<Instant> {
        if let At::Head(reader) = &self.at {
            reader.since()?.checked_add(self.policy.head_timeout)
        } else {
            None
        }
    }

    /// Bytes of a head, or of a trailer section, that are held since it is not whole.
    pub fn unfinished(&self) -> usize {
        match &self.at {
            At::Head(reader) => reader.seen(),
            At::Chunked(chunked) => chunked.seen(),
            At::Length(_) | At::Refused(_) => 0,
        }
    }

    /// Bytes of the body that are known to be missing; `None` when the body does not say, or there is none.
    pub fn body_left(&self) -> Option<u64> {
        if let At::Length(left) = self.at { Some(left) } else { None }
    }
}

fn take(left: &mut u64, held: &[u8]) -> Progress {
    let len = usize::try_from(*left).unwrap_or(usize::MAX).min(held.len());
    *left = left.saturating_sub(len as u64);
    Progress::Body { len, ends: *left == 0 }
}
