//! A request, for either protocol.

use bytes::{BufMut, Bytes, BytesMut};

/// What a client asks.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, …
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The host; `test` unless set.
    pub authority: String,
    /// Further fields.
    pub fields: Vec<(String, String)>,
    /// Content, if it has any.
    pub body: Option<Bytes>,
    /// Whether the length is left open: chunked in HTTP/1.1, no content-length in HTTP/2.
    pub open_length: bool,
}

impl Request {
    /// A request without content.
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            authority: "test".to_owned(),
            fields: Vec::new(),
            body: None,
            open_length: false,
        }
    }

    /// `GET`
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// `HEAD`
    pub fn head(path: &str) -> Self {
        Self::new("HEAD", path)
    }

    /// `POST` with content.
    pub fn post(path: &str, body: impl Into<Bytes>) -> Self {
        Self::new("POST", path).body(body)
    }

    /// `PUT` with content.
    pub fn put(path: &str, body: impl Into<Bytes>) -> Self {
        Self::new("PUT", path).body(body)
    }

    /// Adds a field.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the host.
    #[must_use]
    pub fn authority(mut self, authority: &str) -> Self {
        self.authority = authority.to_owned();
        self
    }

    /// Sets the content.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Leaves the length of the content open.
    #[must_use]
    pub fn open_length(mut self) -> Self {
        self.open_length = true;
        self
    }

    /// The head as HTTP/1.1 writes it.
    pub fn http1_head(&self) -> Bytes {
        let mut out = format!("{} {} HTTP/1.1\r\nhost: {}\r\n", self.method, self.path, self.authority);
        for (name, value) in &self.fields {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        match &self.body {
            Some(_) if self.open_length => out.push_str("transfer-encoding: chunked\r\n"),
            Some(body) => out.push_str(&format!("content-length: {}\r\n", body.len())),
            None => {}
        }
        out.push_str("\r\n");
        out.into()
    }

    /// The whole request as HTTP/1.1 writes it; an open length becomes chunks of up to 16 KiB.
    pub fn http1_bytes(&self) -> Bytes {
        let mut out = BytesMut::from(&self.http1_head()[..]);
        match &self.body {
            Some(body) if self.open_length => {
                for chunk in body.chunks(16 * 1024) {
                    out.put_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    out.put_slice(chunk);
                    out.put_slice(b"\r\n");
                }
                out.put_slice(b"0\r\n\r\n");
            }
            Some(body) => out.put_slice(body),
            None => {}
        }
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_written_with_a_length_or_in_chunks() {
        let request = Request::post("/p?q", &b"abc"[..]).field("a", "b");
        let head = "POST /p?q HTTP/1.1\r\nhost: test\r\na: b\r\n";
        assert_eq!(request.http1_bytes(), format!("{head}content-length: 3\r\n\r\nabc"));
        let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        assert_eq!(request.open_length().http1_bytes(), chunked);
    }
}
