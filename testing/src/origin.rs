//! Plain HTTP services to measure and migrate against: HTTP/1.1 and h2c.
//!
//! `GET /bytes/N` answers N bytes of [`pattern`], `GET /slow/MS/N` the same after so many milliseconds, `GET /stall/N`
//! announces a megabyte more than the N bytes that it sends, `GET /deadline` answers the request's `x-deadline-ms`,
//! `GET /authorization` its `authorization`. `PUT /echo` answers the content that it was sent, and in `x-came` the fields that
//! told of it. `POST` and `PUT` on anything else read the content and answer 201, all else is 404. It parses as little as it
//! can and keeps connections alive; it does not check what it is sent.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::pattern;

/// A running service; gone when dropped.
#[derive(Debug)]
pub struct Origin {
    address: SocketAddr,
    uploads: Arc<AtomicU64>,
    runtime: Option<Runtime>,
}

impl Origin {
    /// HTTP/1.1 at a port that the system chooses, on so many threads.
    pub fn http1(threads: usize) -> Self {
        Self::http1_at("127.0.0.1:0".parse().expect("an address"), threads).expect("a free port")
    }

    /// HTTP/1.1 at an address.
    pub fn http1_at(address: SocketAddr, threads: usize) -> io::Result<Self> {
        Self::start(address, threads, false)
    }

    /// HTTP/2 by prior knowledge at a port that the system chooses.
    pub fn http2() -> Self {
        Self::start("127.0.0.1:0".parse().expect("an address"), 1, true).expect("a free port")
    }

    fn start(address: SocketAddr, threads: usize, http2: bool) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("origin")
            .enable_all()
            .build()?;
        // Bound outside the runtime, so that a test's own runtime may start one.
        let bound = std::net::TcpListener::bind(address)?;
        bound.set_nonblocking(true)?;
        let address = bound.local_addr()?;
        let uploads = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&uploads);
        runtime.spawn(async move {
            let listener = TcpListener::from_std(bound).expect("a registered socket");
            while let Ok((stream, _)) = listener.accept().await {
                drop(stream.set_nodelay(true));
                // A connection's error is its client's to notice.
                let uploads = Arc::clone(&counted);
                tokio::spawn(async move {
                    if http2 {
                        drop(serve_http2(stream, uploads).await);
                    } else {
                        drop(serve_http1(stream, &uploads).await);
                    }
                });
            }
        });
        Ok(Self { address, uploads, runtime: Some(runtime) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many POST and PUT requests came whole.
    pub fn uploads(&self) -> u64 {
        self.uploads.load(Relaxed)
    }
}

/// The fields that tell of a request's content.
const TELLING: [&str; 6] = [
    "content-encoding",
    "content-length",
    "transfer-encoding",
    "content-digest",
    "repr-digest",
    "content-md5",
];

/// `name=value` of those that came.
fn telling(field: impl Fn(&str) -> Option<String>) -> String {
    let came = TELLING.iter().filter_map(|name| field(name).map(|value| format!("{name}={value}")));
    came.collect::<Vec<_>>().join(", ")
}

impl Drop for Origin {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The status and the content of an answer, and how long it takes; more may be announced than there is.
struct Answer {
    status: u16,
    content: Bytes,
    announced: usize,
    after: Duration,
}

/// A field that an answer repeats, for paths that begin so.
const REPEATED: [(&str, &str); 2] = [("/deadline", "x-deadline-ms"), ("/authorization", "authorization")];

/// The field that an answer to this path repeats.
fn repeated(path: &str) -> Option<&'static str> {
    REPEATED.iter().find(|(start, _)| path.starts_with(start)).map(|(_, field)| *field)
}

/// `told`: the value of the field that is [`repeated`].
fn answer(method: &str, path: &str, told: &str) -> Answer {
    let mut words = path.split('/').skip(1);
    let kind = words.next().unwrap_or_default();
    let mut number = || words.next()?.parse::<usize>().ok();
    let (mut after, mut missing) = (Duration::ZERO, 0);
    let (status, content) = match (method, kind) {
        ("POST" | "PUT", _) => (201, Some(Bytes::from_static(b"stored"))),
        (_, "bytes") => (200, number().map(pattern)),
        (_, "slow") => {
            after = Duration::from_millis(number().unwrap_or_default() as u64);
            (200, number().map(pattern))
        }
        (_, "stall") => {
            missing = 1_000_000;
            (200, number().map(pattern))
        }
        (_, "deadline" | "authorization") => (200, Some(Bytes::copy_from_slice(told.as_bytes()))),
        _ => (404, None),
    };
    let status = if content.is_some() { status } else { 404 };
    let content = content.unwrap_or_default();
    Answer { status, announced: content.len() + missing, content, after }
}

async fn serve_http1(mut stream: TcpStream, uploads: &AtomicU64) -> io::Result<()> {
    let mut input = BytesMut::with_capacity(128 * 1024);
    // The last answer: a client that asks the same again gets the same bytes.
    let (mut asked, mut written, mut after) = (Vec::new(), Vec::new(), Duration::ZERO);
    loop {
        let head = loop {
            if let Some(at) = input.windows(4).position(|window| window == b"\r\n\r\n") {
                break input.split_to(at + 4);
            }
            if stream.read_buf(&mut input).await? == 0 {
                return Ok(());
            }
        };
        let text = String::from_utf8_lossy(&head);
        let line = text.lines().next().unwrap_or_default();
        let field = |wanted: &str| {
            let lines = text.lines().filter_map(|line| line.split_once(':'));
            lines
                .into_iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.trim().to_owned())
        };
        let length = field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0_usize);
        let echoes = line.starts_with("PUT /echo ");
        let mut content = Vec::new();
        if field("transfer-encoding").is_some() {
            take_chunks(&mut stream, &mut input, echoes.then_some(&mut content)).await?;
        }
        let mut left = length;
        loop {
            let here = left.min(input.len());
            if echoes {
                content.extend_from_slice(&input[..here]);
            }
            input.advance(here);
            left -= here;
            if left == 0 {
                break;
            }
            if stream.read_buf(&mut input).await? == 0 {
                return Ok(());
            }
        }
        if line.starts_with("POST ") || line.starts_with("PUT ") {
            uploads.fetch_add(1, Relaxed);
        }
        if echoes {
            let (came, length) = (telling(field), content.len());
            let head = format!("HTTP/1.1 200 -\r\nx-came: {came}\r\ncontent-length: {length}\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&content).await?;
            continue;
        }
        let mut words = line.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let repeated = repeated(path);
        if asked != line.as_bytes() || repeated.is_some() {
            let told = repeated.and_then(field).unwrap_or_default();
            let answer = answer(method, path, &told);
            let (status, announced) = (answer.status, answer.announced);
            written = format!("HTTP/1.1 {status} -\r\ncontent-length: {announced}\r\n\r\n").into_bytes();
            if method != "HEAD" {
                written.extend_from_slice(&answer.content);
            }
            after = answer.after;
            asked = line.as_bytes().to_vec();
        }
        if !after.is_zero() {
            tokio::time::sleep(after).await;
        }
        stream.write_all(&written).await?;
    }
}

async fn take_chunks(
    stream: &mut TcpStream,
    input: &mut BytesMut,
    mut content: Option<&mut Vec<u8>>,
) -> io::Result<()> {
    loop {
        let end = loop {
            if let Some(at) = input.windows(2).position(|window| window == b"\r\n") {
                break at;
            }
            if stream.read_buf(input).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let line = input.split_to(end + 2);
        let size = String::from_utf8_lossy(&line[..end]);
        let size = usize::from_str_radix(size.trim(), 16).map_err(|_| io::ErrorKind::InvalidData)?;
        while input.len() < size + 2 {
            if stream.read_buf(input).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        if let Some(content) = &mut content {
            content.extend_from_slice(&input[..size]);
        }
        input.advance(size + 2);
        if size == 0 {
            return Ok(());
        }
    }
}

async fn serve_http2(stream: TcpStream, uploads: Arc<AtomicU64>) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(accepted) = connection.accept().await {
        let (request, mut respond) = accepted?;
        let uploads = Arc::clone(&uploads);
        tokio::spawn(async move {
            let (head, mut content) = request.into_parts();
            let echoes = head.method == "PUT" && head.uri.path() == "/echo";
            let mut came = Vec::new();
            while let Some(piece) = content.data().await {
                let Ok(piece) = piece else { return };
                drop(content.flow_control().release_capacity(piece.len()));
                if echoes {
                    came.extend_from_slice(&piece);
                }
            }
            if head.method == "POST" || head.method == "PUT" {
                uploads.fetch_add(1, Relaxed);
            }
            if echoes {
                let field = |name: &str| Some(head.headers.get(name)?.to_str().ok()?.to_owned());
                let response = http::Response::builder().header("x-came", telling(field)).body(());
                if let Ok(mut stream) = respond.send_response(response.expect("a legal head"), false) {
                    drop(stream.send_data(came.into(), true));
                }
                return;
            }
            let told = repeated(head.uri.path()).and_then(|field| head.headers.get(field));
            let told = told.and_then(|value| value.to_str().ok()).unwrap_or_default();
            let Answer { status, content, announced, after } =
                answer(head.method.as_str(), head.uri.path(), told);
            tokio::time::sleep(after).await;
            let response = http::Response::builder().status(status).header("content-length", announced);
            let end = head.method == "HEAD" || announced == 0;
            let Ok(response) = response.body(()) else { return };
            // A client that has left takes no answer.
            if let Ok(mut stream) = respond.send_response(response, end)
                && !end
            {
                let whole = content.len() == announced;
                drop(stream.send_data(content, whole));
                if !whole {
                    drop(std::future::poll_fn(|cx| stream.poll_reset(cx)).await);
                }
            }
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Http1, Http2, Request};

    #[tokio::test]
    async fn both_protocols_answer_the_same() {
        let (one, two) = (Origin::http1(1), Origin::http2());
        let mut http1 = Http1::connect(one.address()).await;
        let http2 = Http2::connect(two.address()).await;
        let requests = [
            (Request::get("/bytes/13"), 200, pattern(13)),
            (Request::get("/bytes/65536"), 200, pattern(65_536)),
            (Request::head("/bytes/13"), 200, Bytes::new()),
            (Request::post("/sink", pattern(300_000)), 201, Bytes::from_static(b"stored")),
            (Request::post("/sink", pattern(70_000)).open_length(), 201, Bytes::from_static(b"stored")),
            (Request::get("/slow/20/7"), 200, pattern(7)),
            (Request::get("/slow/20/8"), 200, pattern(8)),
            (Request::put("/echo", pattern(5)), 200, pattern(5)),
            (Request::put("/echo", pattern(70_000)).open_length(), 200, pattern(70_000)),
            (Request::get("/other"), 404, Bytes::new()),
        ];
        for (request, status, content) in requests {
            http1.request(&request).await.expect(status, &content);
            http2.request(&request).await.expect(status, &content);
        }
    }
}
