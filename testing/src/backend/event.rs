//! What a scripted service saw.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::wire::{ClientHello, Head, Line};

/// Something that happened on a connection.
#[derive(Clone, Debug)]
pub struct Event {
    /// When.
    pub at: Instant,
    /// The connection, counted from 0 over the life of the backend.
    pub connection: u64,
    /// The stream, where it is about one.
    pub stream: Option<u64>,
    /// What.
    pub what: What,
}

/// See [`Event`].
#[derive(Clone, Debug)]
pub enum What {
    /// A connection was accepted.
    Connected,
    /// The client said HELLO; the first one settles the mode, later ones are probes.
    Hello(ClientHello),
    /// A stream was opened.
    Request(Arc<Received>),
    /// The request is whole, with this content.
    Complete(Bytes),
    /// The client gave the stream up, with this code (499).
    GivenUp(u16),
    /// The client returned credit.
    Acknowledged(u64),
    /// A script reached its [`mark`](super::Script::mark).
    Mark(&'static str),
    /// A script was carried out to its end.
    Done,
    /// The client did what OAP/1 forbids it, in words.
    Violation(String),
    /// The connection is over: true when the client ended it, false when we did.
    Closed {
        /// Whose doing it was.
        by_client: bool,
    },
}

/// A request's head, and what came with it.
#[derive(Clone, Debug)]
pub struct Received {
    /// The connection that it came on.
    pub connection: u64,
    /// Its stream.
    pub stream: u64,
    /// How many requests the backend had seen before it.
    pub number: usize,
    /// `tenant_id` of its START.
    pub tenant_id: u128,
    /// The capability of its START.
    pub capability: Bytes,
    /// Method, path, fields.
    pub head: Head,
    /// Content that came in the START frame.
    pub first: Bytes,
    /// Whether START was END as well.
    pub ended: bool,
    /// Whether its connection is multiplexed.
    pub multiplexed: bool,
}

impl Received {
    /// The method.
    pub fn method(&self) -> &str {
        match &self.head.line {
            Line::Request { method, .. } => method,
            Line::Response { .. } => "",
        }
    }

    /// Path and query.
    pub fn path(&self) -> &str {
        match &self.head.line {
            Line::Request { path, .. } => path,
            Line::Response { .. } => "",
        }
    }

    /// The authority.
    pub fn authority(&self) -> &str {
        match &self.head.line {
            Line::Request { authority, .. } => authority,
            Line::Response { .. } => "",
        }
    }

    /// The first value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }

    /// A number that the path ends in, as in `/bytes/1000`; 0 without one.
    pub fn number_in_path(&self) -> usize {
        self.path().rsplit('/').next().and_then(|last| last.parse().ok()).unwrap_or(0)
    }
}
