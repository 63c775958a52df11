//! The identifier by which a request is found again in logs, answers and backends: `x-corr-id` (http.md §5).

use http::HeaderValue;
use pingora_http::RequestHeader;
use ulid::Ulid;

/// The longest identifier that is taken from a client.
const LONGEST: usize = 64;

/// A correlation identifier: the client's own, or a ULID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrelationId(HeaderValue);

impl CorrelationId {
    /// The client's `x-corr-id` or `x-request-id` when it is plain ASCII of at most 64 characters, else a ULID of
    /// `unix_ms`.
    pub fn of(head: &RequestHeader, unix_ms: u64) -> Self {
        let given = ["x-corr-id", "x-request-id"]
            .iter()
            .find_map(|name| head.headers.get(*name).filter(|v| is_plain(v)));
        given.map_or_else(|| Self::new(unix_ms), |id| Self(id.clone()))
    }

    /// A new ULID of `unix_ms`.
    pub fn new(unix_ms: u64) -> Self {
        let mut text = [0; ulid::ULID_LEN];
        let text = Ulid::from_parts(unix_ms, fastrand::u128(..)).array_to_str(&mut text);
        // Crockford base 32 is always a field value.
        Self(HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("-")))
    }

    /// Of a request whose head has not been looked at.
    pub fn none() -> Self {
        Self(HeaderValue::from_static("-"))
    }

    /// As a field value.
    pub fn value(&self) -> &HeaderValue {
        &self.0
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or("-")
    }
}

// http.md §5: a ULID is made when absent or not plain ASCII ≤ 64.
fn is_plain(value: &HeaderValue) -> bool {
    let value = value.as_bytes();
    (1..=LONGEST).contains(&value.len())
        && value.iter().all(|b| b.is_ascii_graphic() && *b != b'"' && *b != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(fields: &[(&'static str, &'static [u8])]) -> String {
        let mut head = RequestHeader::build("GET", b"/", None).unwrap();
        for (name, value) in fields {
            head.append_header(*name, HeaderValue::from_bytes(value).unwrap()).unwrap();
        }
        CorrelationId::of(&head, 1_469_918_176_385).as_str().to_owned()
    }

    #[test]
    fn a_plain_identifier_of_the_clients_is_kept() {
        assert_eq!(id_of(&[("x-corr-id", b"abc-1")]), "abc-1");
        assert_eq!(id_of(&[("x-request-id", b"r:2")]), "r:2");
        assert_eq!(id_of(&[("x-request-id", b"r"), ("x-corr-id", b"c")]), "c");
    }

    #[test]
    fn anything_else_becomes_a_ulid_of_the_time() {
        let long = [b'a'; 65];
        for odd in [&b""[..], b"a b", b"\xff", b"say \"hi\"", Box::leak(Box::new(long))] {
            let made = id_of(&[("x-corr-id", odd)]);
            assert!(made.starts_with("01ARYZ6S41") && made.len() == 26, "{made}");
        }
    }
}
