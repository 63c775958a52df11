//! A request's fields as they cross to a backend, for both ways up: what belongs to the client's connection is
//! taken off, what the gateway knows is put on (oap1 §5, http.md §5).
//!
//! The head is edited in place, once, so that the relay and Pingora's pipeline forward the same fields.
//! `content-length` and `transfer-encoding` stay: Pingora still frames the body by them.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use http::{HeaderName, HeaderValue, header};
use pingora_http::RequestHeader;

use super::correlation::CorrelationId;
use crate::edge::Connection;
use crate::rejection::{Reason, Rejection};

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In clear text.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// Of a request that came on `connection`.
    pub fn of(connection: Option<&Connection>) -> Self {
        if connection.is_some_and(|connection| connection.tls.is_some()) { Self::Https } else { Self::Http }
    }

    /// As URIs have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// What is known of the connection that a request came on.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The peer; none on a Unix socket.
    pub peer: Option<SocketAddr>,
    /// What the connection speaks.
    pub scheme: Scheme,
    /// Whether the listener trusts the peer's own account of who it speaks for.
    pub trusted: bool,
}

/// Takes hop-by-hop fields and the client's own `x-corr-id` and `x-deadline-ms` off, joins `cookie` fields, and
/// writes `x-corr-id`, `forwarded` and `x-forwarded-*`.
///
/// # Errors
/// `malformed` when `connection` names a field that must cross.
pub fn prepare(
    head: &mut RequestHeader,
    host: &str,
    origin: Origin,
    correlation: &CorrelationId,
) -> Result<(), Rejection> {
    remove_nominated(head)?;
    for name in HOP_BY_HOP {
        if head.headers.contains_key(name) {
            drop(head.remove_header(name));
        }
    }
    drop(head.remove_header("x-deadline-ms"));
    join_cookies(head)?;
    insert(head, HeaderName::from_static("x-corr-id"), correlation.value().clone())?;
    forwarded(head, host, origin)
}

/// Takes off what told of a body that is forwarded plain instead: its coding, and the digests of what it was.
/// `content-length` stays: the body still comes framed by it.
pub fn on_rewritten(head: &mut RequestHeader) {
    for name in OF_ENCODED {
        if head.headers.contains_key(name) {
            drop(head.remove_header(name));
        }
    }
}

// RFC 9110 §8.4; RFC 9530 §2, §3; and what came before that: RFC 3230 §4.3.2, RFC 2616 §14.15.
const OF_ENCODED: [&str; 5] = ["content-encoding", "content-digest", "repr-digest", "digest", "content-md5"];

// oap1 §5: hop-by-hop fields never cross. `transfer-encoding` and `expect` are still needed on this side.
const HOP_BY_HOP: [&str; 7] =
    ["connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "http2-settings"];

/// Whether a field stays on this side of the gateway although it is still in the head.
pub fn stays(name: &HeaderName) -> bool {
    name == header::TRANSFER_ENCODING || name == header::EXPECT || name == header::HOST
}

fn remove_nominated(head: &mut RequestHeader) -> Result<(), Rejection> {
    if !head.headers.contains_key(header::CONNECTION) {
        return Ok(());
    }
    let mut named: Vec<HeaderName> = Vec::new();
    for value in head.headers.get_all(header::CONNECTION) {
        for token in value.as_bytes().split(|b| *b == b',') {
            let Ok(name) = HeaderName::from_bytes(token.trim_ascii()) else { continue };
            // oap1 §5: a request whose `connection` names host, content-length, authorization or cookie is malformed.
            if [header::HOST, header::CONTENT_LENGTH, header::AUTHORIZATION, header::COOKIE].contains(&name) {
                return Err(
                    Rejection::new(Reason::Malformed).because("connection names a field that must cross")
                );
            }
            if name != header::TRANSFER_ENCODING {
                named.push(name);
            }
        }
    }
    for name in named {
        drop(head.remove_header(&name));
    }
    Ok(())
}

// oap1 §5: several `cookie` fields (HTTP/2) become one, joined by `; `.
fn join_cookies(head: &mut RequestHeader) -> Result<(), Rejection> {
    if head.headers.get_all(header::COOKIE).iter().nth(1).is_none() {
        return Ok(());
    }
    let joined = head
        .headers
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect::<Vec<_>>()
        .join(&b"; "[..]);
    let joined = HeaderValue::from_bytes(&joined).map_err(|_| Rejection::new(Reason::Malformed))?;
    insert(head, header::COOKIE, joined)
}

fn forwarded(head: &mut RequestHeader, host: &str, origin: Origin) -> Result<(), Rejection> {
    let client =
        origin.peer.map_or_else(|| "unknown".to_owned(), |peer| peer.ip().to_canonical().to_string());
    let node = match origin.peer.map(|peer| peer.ip().to_canonical()) {
        Some(IpAddr::V6(ip)) => format!("\"[{ip}]\""),
        Some(IpAddr::V4(ip)) => ip.to_string(),
        None => "unknown".to_owned(),
    };
    let scheme = origin.scheme.as_str();
    let mut element = format!("for={node};proto={scheme}");
    if !host.is_empty() {
        // Writing to a string cannot fail. A host with a port is no token (RFC 7239 §4).
        let _ = write!(element, ";host=\"{host}\"");
    }
    // From trusted addresses the chain is continued, from anybody else it begins here (http.md §5).
    if !origin.trusted {
        let theirs = head.headers.keys().filter(|name| name.as_str().starts_with("x-forwarded-"));
        for name in theirs.cloned().collect::<Vec<_>>() {
            drop(head.remove_header(&name));
        }
    }
    append_or_replace(head, "x-forwarded-for", &client, origin.trusted)?;
    append_or_replace(head, "forwarded", &element, origin.trusted)?;
    for (name, value) in [("x-forwarded-proto", scheme), ("x-forwarded-host", host)] {
        if !(origin.trusted && head.headers.contains_key(name)) {
            insert(head, HeaderName::from_static(name), text(value)?)?;
        }
    }
    Ok(())
}

fn append_or_replace(
    head: &mut RequestHeader,
    name: &'static str,
    element: &str,
    append: bool,
) -> Result<(), Rejection> {
    let mut chain = Vec::new();
    if append {
        for value in head.headers.get_all(name) {
            chain.extend_from_slice(value.as_bytes());
            chain.extend_from_slice(b", ");
        }
    }
    chain.extend_from_slice(element.as_bytes());
    let chain = HeaderValue::from_bytes(&chain).map_err(|_| Rejection::new(Reason::Malformed))?;
    insert(head, HeaderName::from_static(name), chain)
}

fn insert(head: &mut RequestHeader, name: HeaderName, value: HeaderValue) -> Result<(), Rejection> {
    head.insert_header(name, value).map_err(|e| Rejection::new(Reason::Internal).because(e.to_string()))
}

fn text(value: &str) -> Result<HeaderValue, Rejection> {
    HeaderValue::from_str(value).map_err(|_| Rejection::new(Reason::Malformed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(fields: &[(&'static str, &'static str)], trusted: bool) -> Result<RequestHeader, Rejection> {
        let mut head = RequestHeader::build("GET", b"/", None).unwrap();
        for (name, value) in fields {
            head.append_header(*name, *value).unwrap();
        }
        let peer = "192.0.2.7:4711".parse().ok();
        let origin = Origin { peer, scheme: Scheme::Http, trusted };
        prepare(&mut head, "a.example:8080", origin, &CorrelationId::new(0)).map(|()| head)
    }

    fn value<'a>(head: &'a RequestHeader, name: &str) -> Option<&'a str> {
        head.headers.get(name).map(|v| v.to_str().unwrap())
    }

    #[test]
    fn hop_by_hop_fields_and_what_connection_names_do_not_cross() {
        let head = prepared(
            &[
                ("connection", "x-private, keep-alive"),
                ("x-private", "1"),
                ("keep-alive", "timeout=5"),
                ("te", "trailers"),
                ("trailer", "x-sum"),
                ("upgrade", "websocket"),
                ("proxy-connection", "close"),
                ("http2-settings", "AAMAAABk"),
                ("x-deadline-ms", "99999999"),
                ("x-public", "2"),
            ],
            false,
        )
        .unwrap();
        for gone in [
            "connection",
            "x-private",
            "keep-alive",
            "te",
            "trailer",
            "upgrade",
            "proxy-connection",
            "http2-settings",
            "x-deadline-ms",
        ] {
            assert_eq!(value(&head, gone), None, "{gone}");
        }
        assert_eq!(value(&head, "x-public"), Some("2"));
    }

    #[test]
    fn connection_cannot_take_off_what_must_cross() {
        for named in ["host", "Content-Length", "authorization", "x, cookie"] {
            assert_eq!(
                prepared(&[("connection", named)], false).unwrap_err().reason,
                Reason::Malformed,
                "{named}"
            );
        }
    }

    #[test]
    fn what_told_of_an_encoded_body_goes_with_it() {
        let mut head = RequestHeader::build("PUT", b"/", None).unwrap();
        for name in OF_ENCODED.iter().chain(&["content-length", "content-type", "want-repr-digest"]) {
            head.append_header(*name, "1").unwrap();
        }
        on_rewritten(&mut head);
        let mut left: Vec<_> = head.headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-length", "content-type", "want-repr-digest"]);
    }

    #[test]
    fn cookies_become_one() {
        let head = prepared(&[("cookie", "a=1"), ("cookie", "b=2")], false).unwrap();
        assert_eq!(head.headers.get_all("cookie").iter().count(), 1);
        assert_eq!(value(&head, "cookie"), Some("a=1; b=2"));
    }

    #[test]
    fn a_strangers_account_of_the_way_is_replaced() {
        let head = prepared(
            &[
                ("x-forwarded-for", "10.0.0.1"),
                ("forwarded", "for=10.0.0.1"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-port", "1"),
                ("x-forwarded-foo", "1"),
            ],
            false,
        )
        .unwrap();
        assert_eq!(value(&head, "x-forwarded-for"), Some("192.0.2.7"));
        assert_eq!(value(&head, "forwarded"), Some("for=192.0.2.7;proto=http;host=\"a.example:8080\""));
        assert_eq!(value(&head, "x-forwarded-proto"), Some("http"));
        assert_eq!(value(&head, "x-forwarded-host"), Some("a.example:8080"));
        assert_eq!((value(&head, "x-forwarded-port"), value(&head, "x-forwarded-foo")), (None, None));
    }

    #[test]
    fn a_trusted_peers_account_is_continued() {
        let head = prepared(
            &[("x-forwarded-for", "10.0.0.1"), ("forwarded", "for=10.0.0.1"), ("x-forwarded-proto", "https")],
            true,
        )
        .unwrap();
        assert_eq!(value(&head, "x-forwarded-for"), Some("10.0.0.1, 192.0.2.7"));
        assert_eq!(
            value(&head, "forwarded"),
            Some("for=10.0.0.1, for=192.0.2.7;proto=http;host=\"a.example:8080\"")
        );
        assert_eq!(value(&head, "x-forwarded-proto"), Some("https"));
    }
}
