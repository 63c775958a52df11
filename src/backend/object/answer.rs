//! What the object service says.

use std::ops::Range;

use bytes::Bytes;

use crate::backend::store::{Refused, Stored};
use crate::backend::{Gone, Reply, Sending};
use crate::bhttp::RequestHead;

/// An object never changes, so it may be kept for ever.
const IMMUTABLE: (&str, &str) = ("cache-control", "public, max-age=31536000, immutable");
const NOT_KEPT: (&str, &str) = ("cache-control", "no-store");
const RANGES: (&str, &str) = ("accept-ranges", "bytes");
const OCTETS: (&str, &str) = ("content-type", "application/octet-stream");
const JSON: (&str, &str) = ("content-type", "application/json");

/// The head of an answer that carries an object or a part of it.
pub(super) struct Head<'a> {
    status: u16,
    etag: &'a str,
    length: String,
    range: Option<String>,
}

impl<'a> Head<'a> {
    pub(super) fn new(status: u16, etag: &'a str, part: &Range<u64>, size: u64) -> Self {
        let range =
            (status == 206).then(|| format!("bytes {}-{}/{size}", part.start, part.end.saturating_sub(1)));
        Self { status, etag, length: (part.end - part.start).to_string(), range }
    }

    /// Hands status and fields to `use_them`, `content-length` among them.
    pub(super) fn with<T>(&self, use_them: impl FnOnce(u16, &[(&str, &str)]) -> T) -> T {
        let length = ("content-length", self.length.as_str());
        let etag = ("etag", self.etag);
        match &self.range {
            None => use_them(self.status, &[etag, RANGES, IMMUTABLE, OCTETS, length]),
            Some(range) => {
                let range = ("content-range", range.as_str());
                use_them(self.status, &[etag, RANGES, IMMUTABLE, OCTETS, range, length])
            }
        }
    }

    /// Answers with content that is all there.
    pub(super) async fn whole(&self, reply: Reply, content: Bytes) -> Result<(), Gone> {
        let etag = ("etag", self.etag);
        match &self.range {
            None => reply.whole(self.status, &[etag, RANGES, IMMUTABLE, OCTETS], content).await,
            Some(range) => {
                let range = ("content-range", range.as_str());
                reply.whole(self.status, &[etag, RANGES, IMMUTABLE, OCTETS, range], content).await
            }
        }
    }

    /// Begins to answer with the first piece of the content.
    pub(super) async fn begin(&self, reply: Reply, first: Bytes) -> Result<Sending, Gone> {
        let length = ("content-length", self.length.as_str());
        let etag = ("etag", self.etag);
        match &self.range {
            None => reply.begin_with(self.status, &[etag, RANGES, IMMUTABLE, OCTETS, length], first).await,
            Some(range) => {
                let range = ("content-range", range.as_str());
                reply.begin_with(self.status, &[etag, RANGES, IMMUTABLE, OCTETS, range, length], first).await
            }
        }
    }
}

/// 304: what a cache needs to go on.
pub(super) fn not_modified(reply: Reply, etag: &str) -> Result<(), Gone> {
    reply.empty(304, &[("etag", etag), IMMUTABLE])
}

/// 416: how much there is.
pub(super) async fn unsatisfiable(reply: Reply, size: u64) -> Result<(), Gone> {
    let range = format!("bytes */{size}");
    let fields = [NOT_KEPT, JSON, RANGES, ("content-range", range.as_str())];
    reply.whole(416, &fields, body(416, "range")).await
}

/// 201, or 200 when it was there.
pub(super) async fn stored(reply: Reply, stored: &Stored) -> Result<(), Gone> {
    let Stored { address, size, new } = stored;
    let body = Bytes::from(format!(r#"{{"addr":"{address}","size":{size}}}"#));
    if *new {
        let location = format!("/o/{address}");
        return reply.whole(201, &[NOT_KEPT, JSON, ("location", &location)], body).await;
    }
    reply.whole(200, &[NOT_KEPT, JSON], body).await
}

/// A no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The address is none.
    Malformed,
    /// No such object or path.
    NotFound,
    /// The path knows only these methods.
    Method(&'static str),
    /// A condition does not hold.
    Precondition,
    /// Larger than an object may be.
    TooLarge,
    /// Not what the address says.
    Digest,
    /// Uploads take all the room.
    Full,
    /// The store failed.
    Internal,
}

impl Failure {
    fn words(self) -> (u16, &'static str) {
        match self {
            Self::Malformed => (400, "malformed"),
            Self::NotFound => (404, "not_found"),
            Self::Method(_) => (405, "method"),
            Self::Precondition => (412, "precondition"),
            Self::TooLarge => (413, "body_cap"),
            Self::Digest => (422, "digest_mismatch"),
            Self::Full => (503, "busy"),
            Self::Internal => (500, "internal"),
        }
    }

    /// Says it, without content to HEAD.
    pub(super) async fn answer(self, request: &RequestHead, reply: Reply) -> Result<(), Gone> {
        let (status, reason) = self.words();
        let mut fields = vec![NOT_KEPT, JSON];
        match self {
            Self::Method(allow) => fields.push(("allow", allow)),
            Self::Full => fields.push(("retry-after", "1")),
            _ => {}
        }
        let body = body(status, reason);
        if &*request.method == b"HEAD" {
            let length = body.len().to_string();
            fields.push(("content-length", &length));
            return reply.empty(status, &fields);
        }
        reply.whole(status, &fields, body).await
    }
}

impl From<&Refused> for Failure {
    fn from(refused: &Refused) -> Self {
        match refused {
            Refused::TooLarge => Self::TooLarge,
            Refused::Full => Self::Full,
            Refused::Mismatch => Self::Digest,
            Refused::Io(_) => Self::Internal,
        }
    }
}

fn body(status: u16, reason: &str) -> Bytes {
    Bytes::from(format!(r#"{{"code":{status},"reason":"{reason}"}}"#))
}
