//! The two kinds of head, and what a stream needs to know of either. Every part is a piece of the bytes that it arrived
//! in.

use bytes::Bytes;

use super::parse::{Progress, parse_request_head, parse_response_head};
use super::{BadMessage, Fields};

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// A token.
    pub method: Bytes,
    /// `http` or `https`, as the client used it.
    pub scheme: Bytes,
    /// The effective host, with its port if it had one.
    pub authority: Bytes,
    /// Path and query as they came.
    pub path: Bytes,
    /// The fields; there is no `host` among them.
    pub fields: Fields,
}

/// The head of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// 200–599.
    pub status: u16,
    /// The fields.
    pub fields: Fields,
}

impl RequestHead {
    /// The announced length of the body, in bytes.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.fields.content_length()
    }
}

impl ResponseHead {
    /// The announced length of the body, in bytes. An answer to HEAD, a 204 and a 304 carry none whatever this says.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.fields.content_length()
    }
}

/// A head as the opening of a stream sees it.
pub(crate) trait Head: Sized {
    /// Reads a head off the front of `bytes`, all that has arrived of a message of `total` bytes.
    fn parse(bytes: &Bytes, total: usize) -> Result<Progress<Self>, BadMessage>;

    /// Bytes of content that must follow; `None` if any number may.
    fn content(&self, answers_head: bool) -> Option<u64>;
}

impl Head for RequestHead {
    fn parse(bytes: &Bytes, total: usize) -> Result<Progress<Self>, BadMessage> {
        parse_request_head(bytes, total)
    }

    fn content(&self, _answers_head: bool) -> Option<u64> {
        self.content_length()
    }
}

impl Head for ResponseHead {
    fn parse(bytes: &Bytes, total: usize) -> Result<Progress<Self>, BadMessage> {
        parse_response_head(bytes, total)
    }

    // oap1 §5: what arrives is held against `content-length` (not for HEAD, 204, 304, which carry no content).
    fn content(&self, answers_head: bool) -> Option<u64> {
        if answers_head || matches!(self.status, 204 | 304) { Some(0) } else { self.content_length() }
    }
}
