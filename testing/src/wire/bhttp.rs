//! Heads of Binary HTTP (RFC 9292, known length), as oap1 §5 uses them.
//!
//! The encoder writes whatever it is given, legal or not. The decoder wants the whole head at hand and is as lax
//! as it can be: what the gateway must not send is asserted by tests, not here.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The control data of a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Framing indicator 0.
    Request {
        /// `GET`, …
        method: String,
        /// `http` or `https`.
        scheme: String,
        /// The effective Host.
        authority: String,
        /// Path and query.
        path: String,
    },
    /// Framing indicator 1.
    Response {
        /// Of the answer.
        status: u16,
    },
}

/// A decoded head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Request or status line.
    pub line: Line,
    /// Names and values in their order.
    pub fields: Vec<(String, String)>,
}

/// Why a head did not parse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadHead(pub &'static str);

impl Head {
    /// The first value of a field, by its exact (lower-case) name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Reads the payload of a START frame: the head, and the content that came along.
    pub fn decode(payload: &Bytes) -> Result<(Self, Bytes), BadHead> {
        let mut rest = payload.clone();
        let line = match take_varint(&mut rest)? {
            0 => Line::Request {
                method: take_text(&mut rest)?,
                scheme: take_text(&mut rest)?,
                authority: take_text(&mut rest)?,
                path: take_text(&mut rest)?,
            },
            1 => {
                let status = take_varint(&mut rest)?;
                Line::Response { status: u16::try_from(status).map_err(|_| BadHead("status"))? }
            }
            _ => return Err(BadHead("framing indicator")),
        };
        let mut section = take_bytes(&mut rest)?;
        let mut fields = Vec::new();
        while section.has_remaining() {
            fields.push((take_text(&mut section)?, take_text(&mut section)?));
        }
        // oap1 §5: either the content section, or nothing; only zero bytes may follow.
        let content = if rest.has_remaining() { take_bytes(&mut rest)? } else { Bytes::new() };
        if rest.iter().any(|byte| *byte != 0) {
            return Err(BadHead("bytes after the content"));
        }
        Ok((Self { line, fields }, content))
    }
}

/// An integer of RFC 9000 §16 in its shortest form.
pub fn varint(out: &mut BytesMut, value: u64) {
    match value {
        0..0x40 => out.put_uint(value, 1),
        0x40..0x4000 => out.put_uint(value | 0x4000, 2),
        0x4000..0x4000_0000 => out.put_uint(value | 0x8000_0000, 4),
        _ => out.put_u64(value | 0xc000_0000_0000_0000),
    }
}

fn put(out: &mut BytesMut, bytes: &[u8]) {
    varint(out, bytes.len() as u64);
    out.put_slice(bytes);
}

/// A field section with its length.
pub fn field_section<N: AsRef<[u8]>, V: AsRef<[u8]>>(out: &mut BytesMut, fields: &[(N, V)]) {
    let mut section = BytesMut::new();
    for (name, value) in fields {
        put(&mut section, name.as_ref());
        put(&mut section, value.as_ref());
    }
    put(out, &section);
}

/// A request head without a content section.
pub fn request_head<N: AsRef<[u8]>, V: AsRef<[u8]>>(
    method: &str,
    authority: &str,
    path: &str,
    fields: &[(N, V)],
) -> BytesMut {
    let mut out = BytesMut::new();
    varint(&mut out, 0);
    for text in [method, "http", authority, path] {
        put(&mut out, text.as_bytes());
    }
    field_section(&mut out, fields);
    out
}

/// A response head; `content` adds the content section, `None` leaves it to later frames.
pub fn response_head<N: AsRef<[u8]>, V: AsRef<[u8]>>(
    status: u16,
    fields: &[(N, V)],
    content: Option<&[u8]>,
) -> BytesMut {
    let mut out = BytesMut::new();
    varint(&mut out, 1);
    varint(&mut out, u64::from(status));
    field_section(&mut out, fields);
    if let Some(content) = content {
        put(&mut out, content);
    }
    out
}

fn take_varint(input: &mut Bytes) -> Result<u64, BadHead> {
    let first = *input.first().ok_or(BadHead("cut"))?;
    let width = 1 << (first >> 6);
    if input.remaining() < width {
        return Err(BadHead("cut"));
    }
    let mask = u64::MAX >> (64 - (8 * width - 2));
    Ok(input.get_uint(width) & mask)
}

fn take_bytes(input: &mut Bytes) -> Result<Bytes, BadHead> {
    let length = usize::try_from(take_varint(input)?).map_err(|_| BadHead("length"))?;
    if input.remaining() < length {
        return Err(BadHead("cut"));
    }
    Ok(input.split_to(length))
}

fn take_text(input: &mut Bytes) -> Result<String, BadHead> {
    Ok(String::from_utf8_lossy(&take_bytes(input)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 9292 §5.1's known-length request, typed from the RFC; only its zero padding is left out.
    #[test]
    fn the_example_of_the_rfc_reads_as_the_rfc_says() {
        let bytes = b"\x00\x03GET\x05https\x00\x0a/hello.txt\x40\x6c\x0auser-agent\x34curl/7.16.3 \
            libcurl/7.16.3 OpenSSL/0.9.7l zlib/1.2.3\x04host\x0fwww.example.com\x0faccept-language\x06en, mi\x00\x00";
        let (head, content) = Head::decode(&Bytes::from_static(bytes)).unwrap();
        let Line::Request { method, scheme, path, .. } = &head.line else { panic!("a request") };
        assert_eq!((method.as_str(), scheme.as_str(), path.as_str()), ("GET", "https", "/hello.txt"));
        assert_eq!(head.field("accept-language"), Some("en, mi"));
        assert!(content.is_empty());
    }

    #[test]
    fn content_may_come_along_be_announced_empty_or_follow_later() {
        let fields = [("content-length", "5")];
        for (content, expected) in [(Some(&b"hello"[..]), &b"hello"[..]), (Some(b""), b""), (None, b"")] {
            let head = response_head(200, &fields, content).freeze();
            let (head, content) = Head::decode(&head).unwrap();
            assert_eq!(head.line, Line::Response { status: 200 });
            assert_eq!(content, expected);
        }
    }

    #[test]
    fn a_head_that_is_cut_does_not_parse() {
        let whole = response_head(404, &[("a", "b")], Some(b"xy")).freeze();
        for cut in 0..whole.len() {
            let parsed = Head::decode(&whole.slice(..cut));
            // Cut exactly behind the field section it is a head whose content follows.
            assert_eq!(parsed.is_ok(), cut == whole.len() - 3, "{cut}");
        }
    }

    proptest! {
        #[test]
        fn every_request_head_comes_back(
            path in "/[a-z/]{0,90}",
            fields in proptest::collection::vec(("[a-z-]{1,20}", "[ -~]{0,200}"), 0..20),
        ) {
            let encoded = request_head("PUT", "h.example", &path, &fields).freeze();
            let (head, _) = Head::decode(&encoded).unwrap();
            let line = Line::Request {
                method: "PUT".into(), scheme: "http".into(), authority: "h.example".into(), path,
            };
            prop_assert_eq!(head, Head { line, fields });
        }
    }
}
