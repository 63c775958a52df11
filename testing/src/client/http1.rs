//! An HTTP/1.1 connection, byte by byte.

use bytes::{Buf, Bytes, BytesMut};

use super::{Answer, Body, Pace, Request};
use crate::net::{Address, Socket};

/// A connection. Requests are sent as the bytes that the test gives; answers are read one at a time.
#[derive(Debug)]
pub struct Http1 {
    socket: Socket,
    buffer: BytesMut,
    /// Informational heads (1xx) seen so far.
    informational: Vec<u16>,
}

/// An answer whose head has arrived.
#[derive(Debug)]
pub struct Incoming {
    /// The status.
    pub status: u16,
    /// Names in lower case.
    pub fields: Vec<(String, String)>,
    framing: Framing,
    ended: Option<(bool, String)>,
}

#[derive(Debug)]
enum Framing {
    Length(u64),
    /// Bytes left of the chunk, its line end counted apart.
    Chunk(u64),
    /// The CRLF behind a chunk's bytes.
    ChunkEnd,
    ChunkHead,
    Close,
}

impl Http1 {
    /// Connects, or panics.
    pub async fn connect(address: impl Into<Address>) -> Self {
        Self::over(Socket::connect(&address.into()).await)
    }

    /// Speaks over a socket that is connected already.
    pub fn over(socket: Socket) -> Self {
        Self { socket, buffer: BytesMut::new(), informational: Vec::new() }
    }

    /// The socket.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Informational heads so far, such as 100.
    pub fn informational(&self) -> &[u16] {
        &self.informational
    }

    /// Sends bytes exactly as they are; false when the other side is gone.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        self.socket.write_whole(bytes).await.is_ok()
    }

    /// Sends bytes in pieces that end at the offsets of `cuts`, each a write of its own.
    pub async fn send_cut(&mut self, bytes: &[u8], cuts: &[usize]) -> bool {
        let mut from = 0;
        for cut in cuts.iter().copied().chain([bytes.len()]) {
            if !self.send(&bytes[from..cut]).await {
                return false;
            }
            tokio::task::yield_now().await;
            from = cut;
        }
        true
    }

    /// Sends bytes at a rate.
    pub async fn send_at(&mut self, bytes: &[u8], mut pace: Pace) -> bool {
        for piece in bytes.chunks(pace.piece()) {
            if !self.send(piece).await {
                return false;
            }
            pace.moved(piece.len()).await;
        }
        true
    }

    /// Sends a request and reads the answer, both at once: an answer that comes before the request is sent ends
    /// the sending.
    pub async fn request(&mut self, request: &Request) -> Answer {
        self.exchange(request, None).await
    }

    /// Like [`Http1::request`], reading at a rate.
    pub async fn request_at(&mut self, request: &Request, pace: Pace) -> Answer {
        self.exchange(request, Some(pace)).await
    }

    async fn exchange(&mut self, request: &Request, pace: Option<Pace>) -> Answer {
        let bytes = request.http1_bytes();
        let Self { socket, buffer, informational } = self;
        let socket = &*socket;
        let mut reader = Reader { socket, buffer, informational };
        let reading = reader.answer(&request.method, pace);
        let writing = async {
            // What cannot be sent any more shows in the answer, or in that there is none.
            drop(socket.write_whole(&bytes).await);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            answer = reading => answer,
            () = writing => unreachable!("it does not end"),
        }
    }

    /// Reads the answer to a request that was sent with this method.
    pub async fn answer(&mut self, method: &str) -> Answer {
        self.reader().answer(method, None).await
    }

    /// Reads the answer at a rate.
    pub async fn answer_at(&mut self, method: &str, pace: Pace) -> Answer {
        self.reader().answer(method, Some(pace)).await
    }

    /// Reads the head of an answer; its content waits for [`Http1::piece`].
    pub async fn answer_head(&mut self, method: &str) -> Result<Incoming, String> {
        self.reader().head(method).await
    }

    /// The next bytes of an answer, at most `limit`; `None` when it has ended, well or not.
    pub async fn piece(&mut self, answer: &mut Incoming, limit: usize) -> Option<Bytes> {
        self.reader().piece(answer, limit).await
    }

    /// Reads the rest of an answer.
    pub async fn rest(&mut self, answer: Incoming) -> Answer {
        self.reader().rest(answer, None).await
    }

    /// Waits until the other side has closed; what still arrives is returned.
    pub async fn closed(&mut self) -> Bytes {
        let mut reader = self.reader();
        let until_end = async { while matches!(reader.more().await, Ok(true)) {} };
        tokio::time::timeout(crate::PATIENCE, until_end).await.expect("the connection stays open");
        self.buffer.split().freeze()
    }

    /// Closes with RST.
    pub fn reset(self) {
        self.socket.reset();
    }

    fn reader(&mut self) -> Reader<'_> {
        Reader { socket: &self.socket, buffer: &mut self.buffer, informational: &mut self.informational }
    }
}

impl Incoming {
    /// Whether the content has ended, and whether it was whole.
    pub fn ended(&self) -> Option<bool> {
        self.ended.as_ref().map(|(complete, _)| *complete)
    }

    fn end(&mut self, complete: bool, why: impl Into<String>) -> Option<Bytes> {
        self.ended = Some((complete, why.into()));
        None
    }
}

/// The reading half, apart from writing so that both can go on at once.
struct Reader<'a> {
    socket: &'a Socket,
    buffer: &'a mut BytesMut,
    informational: &'a mut Vec<u16>,
}

impl Reader<'_> {
    /// Reads more; `Ok(false)` at the end of the connection.
    async fn more(&mut self) -> Result<bool, String> {
        let mut piece = [0; 16 * 1024];
        let read = self.socket.read_some(&mut piece).await.map_err(|error| error.to_string())?;
        self.buffer.extend_from_slice(&piece[..read]);
        Ok(read > 0)
    }

    async fn answer(&mut self, method: &str, pace: Option<Pace>) -> Answer {
        match self.head(method).await {
            Ok(incoming) => self.rest(incoming, pace).await,
            Err(why) => Answer::none(why),
        }
    }

    async fn rest(&mut self, mut incoming: Incoming, mut pace: Option<Pace>) -> Answer {
        let limit = pace.as_ref().map_or(usize::MAX, Pace::piece);
        let mut bytes = BytesMut::new();
        while let Some(piece) = self.piece(&mut incoming, limit).await {
            bytes.extend_from_slice(&piece);
            if let Some(pace) = &mut pace {
                pace.moved(piece.len()).await;
            }
        }
        let (complete, ending) = incoming.ended.unwrap_or_default();
        let body = Body { bytes: bytes.freeze(), complete, ending };
        Answer { status: incoming.status, fields: incoming.fields, body }
    }

    async fn head(&mut self, method: &str) -> Result<Incoming, String> {
        loop {
            let end = self.until(b"\r\n\r\n").await?;
            let head = String::from_utf8_lossy(&self.buffer.split_to(end + 4)).into_owned();
            let mut lines = head.trim_end().split("\r\n");
            let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
            let status = status.ok_or_else(|| format!("no status line: {head:?}"))?;
            let fields: Vec<(String, String)> = lines
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect();
            if (100..200).contains(&status) {
                self.informational.push(status);
                continue;
            }
            let framing = framing(method, status, &fields)?;
            return Ok(Incoming { status, fields, framing, ended: None });
        }
    }

    async fn piece(&mut self, incoming: &mut Incoming, limit: usize) -> Option<Bytes> {
        if incoming.ended.is_some() {
            return None;
        }
        loop {
            match incoming.framing {
                Framing::Length(0) => return incoming.end(true, "all announced bytes"),
                Framing::ChunkHead => match self.until(b"\r\n").await {
                    Ok(end) => {
                        let line = String::from_utf8_lossy(&self.buffer.split_to(end + 2)).into_owned();
                        let Ok(size) = u64::from_str_radix(line.trim(), 16) else {
                            return incoming.end(false, format!("no chunk size: {line:?}"));
                        };
                        if size > 0 {
                            incoming.framing = Framing::Chunk(size);
                            continue;
                        }
                        return match self.until(b"\r\n").await {
                            Ok(0) => {
                                self.buffer.advance(2);
                                incoming.end(true, "the last chunk")
                            }
                            Ok(_) => incoming.end(false, "trailers"),
                            Err(why) => incoming.end(false, why),
                        };
                    }
                    Err(why) => return incoming.end(false, why),
                },
                Framing::Chunk(0) => incoming.framing = Framing::ChunkEnd,
                Framing::ChunkEnd => match self.until(b"\r\n").await {
                    Ok(0) => {
                        self.buffer.advance(2);
                        incoming.framing = Framing::ChunkHead;
                    }
                    Ok(_) => return incoming.end(false, "no line end behind a chunk"),
                    Err(why) => return incoming.end(false, why),
                },
                Framing::Length(left) | Framing::Chunk(left) => {
                    if self.buffer.is_empty() {
                        match self.more().await {
                            Ok(true) => {}
                            Ok(false) => return incoming.end(false, format!("closed, {left} bytes short")),
                            Err(why) => return incoming.end(false, format!("{why}, {left} bytes short")),
                        }
                    }
                    let piece = self.take(limit, left);
                    let left = left - piece.len() as u64;
                    incoming.framing = match incoming.framing {
                        Framing::Length(_) => Framing::Length(left),
                        _ => Framing::Chunk(left),
                    };
                    return Some(piece);
                }
                Framing::Close => {
                    if self.buffer.is_empty() {
                        match self.more().await {
                            Ok(true) => {}
                            Ok(false) => return incoming.end(true, "the connection's end"),
                            Err(why) => return incoming.end(false, why),
                        }
                    }
                    return Some(self.take(limit, u64::MAX));
                }
            }
        }
    }

    fn take(&mut self, limit: usize, left: u64) -> Bytes {
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let take = self.buffer.len().min(limit).min(left);
        self.buffer.split_to(take).freeze()
    }

    /// Where `needle` begins, reading on until it is there.
    async fn until(&mut self, needle: &[u8]) -> Result<usize, String> {
        let mut searched = 0;
        loop {
            if let Some(at) =
                self.buffer[searched..].windows(needle.len()).position(|window| window == needle)
            {
                return Ok(searched + at);
            }
            searched = self.buffer.len().saturating_sub(needle.len());
            if !self.more().await? {
                return Err(format!("closed after {} bytes of it", self.buffer.len()));
            }
        }
    }
}

fn framing(method: &str, status: u16, fields: &[(String, String)]) -> Result<Framing, String> {
    let field =
        |name: &str| fields.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect::<Vec<_>>();
    let (lengths, codings) = (field("content-length"), field("transfer-encoding"));
    if method == "HEAD" || matches!(status, 204 | 304) {
        return Ok(Framing::Length(0));
    }
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Ok(Framing::Close),
        ([], ["chunked"]) => Ok(Framing::ChunkHead),
        ([length], []) => {
            Ok(Framing::Length(length.parse().map_err(|_| format!("content-length {length}"))?))
        }
        other => Err(format!("two framings: {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Listener;

    /// What a client makes of an answer that a peer writes, in pieces of `piece` bytes, and then closes or resets.
    async fn got(method: &str, wire: &[u8], piece: usize, reset: bool) -> Answer {
        let (bound, address) = Listener::bind(&Address::parse("127.0.0.1:0")).unwrap();
        let listener = Listener::adopt(bound).unwrap();
        let mut client = Http1::connect(address).await;
        let peer = listener.accept().await.unwrap();
        let serve = async {
            for piece in wire.chunks(piece) {
                peer.write_whole(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            if reset { peer.reset() } else { drop(peer) }
        };
        tokio::join!(client.answer(method), serve).0
    }

    #[tokio::test]
    async fn an_answer_is_whole_exactly_when_its_framing_says_so() {
        let length = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        let chunked =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
        for piece in [1, 7, 4096] {
            for whole in [&length[..], chunked] {
                let answer = got("GET", whole, piece, false).await;
                assert!(answer.body.complete && answer.body.bytes == "hello", "{answer:?}");
                let body = whole.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
                for cut in body..whole.len() {
                    let answer = got("GET", &whole[..cut], piece, false).await;
                    assert!(!answer.body.complete && answer.status == 200, "cut at {cut}: {answer:?}");
                }
            }
        }
    }

    #[tokio::test]
    async fn without_a_length_only_a_clean_end_is_whole() {
        let wire = b"HTTP/1.1 200 OK\r\n\r\nhello";
        let clean = got("GET", wire, 4096, false).await;
        assert!(clean.body.complete && clean.body.bytes == "hello");
        assert!(!got("GET", wire, 4096, true).await.body.complete);
    }

    #[tokio::test]
    async fn heads_without_content_and_informational_heads_are_understood() {
        let wire = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n";
        assert!(got("HEAD", wire, 4096, false).await.body.complete);
        assert!(!got("GET", wire, 4096, false).await.body.complete);
        let none = got("GET", b"HTTP/1.1 200 OK\r\ncontent-le", 4096, false).await;
        assert!(none.status == 0 && !none.body.complete, "{none:?}");
    }
}
