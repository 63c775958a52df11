//! What a client got.

use bytes::Bytes;
use serde_json::Value;

/// An answer, as far as it arrived.
#[derive(Clone, Debug)]
pub struct Answer {
    /// 0 when no head arrived.
    pub status: u16,
    /// Names in lower case, in their order.
    pub fields: Vec<(String, String)>,
    /// What followed.
    pub body: Body,
}

/// The content of an answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Body {
    /// What arrived.
    pub bytes: Bytes,
    /// Whether it ended as its framing says that a whole body ends: all announced bytes, the last chunk,
    /// END_STREAM. Where HTTP/1.1 has neither length nor chunks the end of the connection is such an end, unless it
    /// was a reset.
    pub complete: bool,
    /// How it ended, in words.
    pub ending: String,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let start = String::from_utf8_lossy(&self.bytes[..self.bytes.len().min(200)]).into_owned();
        write!(f, "{} bytes, complete: {} ({}), from {start:?}", self.bytes.len(), self.complete, self.ending)
    }
}

impl Answer {
    pub(super) fn none(why: impl Into<String>) -> Self {
        let body = Body { bytes: Bytes::new(), complete: false, ending: why.into() };
        Self { status: 0, fields: Vec::new(), body }
    }

    /// The first value of a field, by its lower-case name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body.bytes).into_owned()
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body.bytes).unwrap_or(Value::Null)
    }

    /// The `reason` of a rejection's JSON, checked for what every rejection has (http.md §1).
    pub fn reason(&self) -> String {
        let json = self.json();
        assert!(self.body.complete, "a rejection that is cut: {self:?}");
        assert_eq!(json["code"], self.status, "{self:?}");
        assert_eq!(self.field("cache-control"), Some("no-store"), "{self:?}");
        assert_eq!(self.field("x-corr-id"), json["corr_id"].as_str(), "{self:?}");
        assert_eq!(self.field("retry-after").is_some(), matches!(self.status, 429 | 503), "{self:?}");
        json["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// A whole answer with this status and this content, or a panic that shows it.
    pub fn expect(&self, status: u16, content: &[u8]) {
        assert!(self.body.complete && self.status == status, "not a whole {status}: {self:?}");
        assert!(self.body.bytes == content, "other content than expected: {self:?}");
    }

    /// Whether a client could take this for a good answer: a whole 2xx.
    pub fn looks_whole(&self) -> bool {
        self.body.complete && (200..300).contains(&self.status)
    }
}
