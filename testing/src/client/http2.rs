//! An HTTP/2 connection by prior knowledge, on the `h2` crate.

use bytes::{Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use tokio::task::JoinHandle;

use super::{Answer, Body, Pace, Request};
use crate::net::{Address, Socket};

/// A connection; any number of requests at once, through clones.
#[derive(Clone, Debug)]
pub struct Http2 {
    requests: SendRequest<Bytes>,
    _connection: std::sync::Arc<Driver>,
}

#[derive(Debug)]
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A request whose content the test sends piece by piece.
#[derive(Debug)]
pub struct Upload {
    stream: SendStream<Bytes>,
    response: ResponseFuture,
}

impl Http2 {
    /// Connects, or panics.
    pub async fn connect(address: impl Into<Address>) -> Self {
        Self::connect_with_window(address, 1 << 20).await
    }

    /// Connects; a stream may send so many bytes before they are read.
    pub async fn connect_with_window(address: impl Into<Address>, window: u32) -> Self {
        Self::over_with_window(Socket::connect(&address.into()).await, window).await
    }

    /// Speaks over a socket that is connected already.
    pub async fn over(socket: Socket) -> Self {
        Self::over_with_window(socket, 1 << 20).await
    }

    async fn over_with_window(socket: Socket, window: u32) -> Self {
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(window).initial_connection_window_size(16 << 20);
        let (requests, connection) = builder.handshake(socket).await.expect("an HTTP/2 handshake");
        let driver = tokio::spawn(async move { drop(connection.await) });
        Self { requests, _connection: std::sync::Arc::new(Driver(driver)) }
    }

    /// Sends a request and reads the answer, both at once.
    pub async fn request(&self, request: &Request) -> Answer {
        self.exchange(request, None).await
    }

    /// A request without content on a connection that may be over: `None` when the gateway has not taken it, which it
    /// says by GOAWAY (RFC 9113 §6.8) or by having closed before anything was sent.
    pub async fn try_request(&self, request: &Request) -> Option<Answer> {
        let upload = self.start(request, true).await.ok()?;
        match upload.response.await {
            Ok(response) => Some(body(response, None).await),
            Err(error) if error.is_go_away() => None,
            Err(error) => Some(Answer::none(error.to_string())),
        }
    }

    /// Like [`Http2::request`], reading at a rate.
    pub async fn request_at(&self, request: &Request, pace: Pace) -> Answer {
        self.exchange(request, Some(pace)).await
    }

    async fn exchange(&self, request: &Request, pace: Option<Pace>) -> Answer {
        let Some(body) = request.body.clone() else {
            return match self.start(request, true).await {
                Ok(upload) => answer(upload.response, pace).await,
                Err(error) => Answer::none(error.to_string()),
            };
        };
        let Upload { mut stream, response } = match self.start(request, false).await {
            Ok(upload) => upload,
            Err(error) => return Answer::none(error.to_string()),
        };
        let writing = async move {
            // What cannot be sent any more shows in the answer.
            drop(send(&mut stream, body, true, None).await);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            answer = answer(response, pace) => answer,
            () = writing => unreachable!("it does not end"),
        }
    }

    /// Sends a head; the content is the test's to send, the answer its to read.
    pub async fn open(&self, request: &Request) -> Upload {
        self.start(request, false).await.expect("an open connection")
    }

    async fn start(&self, request: &Request, end: bool) -> Result<Upload, h2::Error> {
        let uri = format!("http://{}{}", request.authority, request.path);
        let mut head = http::Request::builder().method(request.method.as_str()).uri(uri);
        for (name, value) in &request.fields {
            head = head.header(name, value);
        }
        if let (Some(body), false) = (&request.body, request.open_length) {
            head = head.header("content-length", body.len());
        }
        let mut requests = self.requests.clone().ready().await?;
        let (response, stream) = requests.send_request(head.body(()).expect("a legal request"), end)?;
        Ok(Upload { stream, response })
    }
}

impl Upload {
    /// Sends content; false when the other side takes no more.
    pub async fn send(&mut self, bytes: impl Into<Bytes>) -> bool {
        send(&mut self.stream, bytes.into(), false, None).await.is_ok()
    }

    /// Sends content at a rate.
    pub async fn send_at(&mut self, bytes: impl Into<Bytes>, pace: Pace) -> bool {
        send(&mut self.stream, bytes.into(), false, Some(pace)).await.is_ok()
    }

    /// Ends the content.
    pub fn finish(&mut self) {
        drop(self.stream.send_data(Bytes::new(), true));
    }

    /// Ends the content with a trailer section of one field.
    pub fn finish_with_trailer(&mut self, name: &'static str, value: &'static str) {
        let mut fields = http::HeaderMap::new();
        fields.insert(name, http::HeaderValue::from_static(value));
        drop(self.stream.send_trailers(fields));
    }

    /// Leaves: RST_STREAM CANCEL.
    pub fn leave(mut self) {
        self.stream.send_reset(Reason::CANCEL);
    }

    /// Reads the answer.
    pub async fn answer(self) -> Answer {
        let _kept_open = self.stream;
        answer(self.response, None).await
    }

    /// Waits for the answer's head, and leaves its content unread.
    pub async fn answer_head(&mut self) -> Result<(u16, RecvStream), h2::Error> {
        let (head, body) = (&mut self.response).await?.into_parts();
        Ok((head.status.as_u16(), body))
    }

    /// Waits for the answer's head and the first bytes of its content, and leaves the rest unread.
    pub async fn answer_start(&mut self) -> Result<(u16, RecvStream, Bytes), h2::Error> {
        let (status, mut body) = self.answer_head().await?;
        let first = body.data().await.transpose()?.unwrap_or_default();
        Ok((status, body, first))
    }
}

async fn send(
    stream: &mut SendStream<Bytes>,
    mut bytes: Bytes,
    end: bool,
    mut pace: Option<Pace>,
) -> Result<(), h2::Error> {
    let limit = pace.as_ref().map_or(64 * 1024, Pace::piece);
    if bytes.is_empty() && end {
        return stream.send_data(bytes, true);
    }
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len().min(limit));
        let room = match std::future::poll_fn(|cx| stream.poll_capacity(cx)).await {
            Some(room) => room?,
            None => return Err(Reason::STREAM_CLOSED.into()),
        };
        let piece = bytes.split_to(room.min(bytes.len()).min(limit));
        let sent = piece.len();
        stream.send_data(piece, end && bytes.is_empty())?;
        if let Some(pace) = &mut pace {
            pace.moved(sent).await;
        }
    }
    Ok(())
}

async fn answer(response: ResponseFuture, pace: Option<Pace>) -> Answer {
    match response.await {
        Ok(response) => body(response, pace).await,
        Err(error) => Answer::none(error.to_string()),
    }
}

async fn body(response: http::Response<RecvStream>, mut pace: Option<Pace>) -> Answer {
    let (head, mut stream) = response.into_parts();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let fields = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let mut bytes = BytesMut::new();
    let (complete, ending) = loop {
        match stream.data().await {
            Some(Ok(piece)) => {
                bytes.extend_from_slice(&piece);
                if let Some(pace) = &mut pace {
                    pace.moved(piece.len()).await;
                }
                drop(stream.flow_control().release_capacity(piece.len()));
            }
            Some(Err(error)) => break (false, error.to_string()),
            None => break (true, "END_STREAM".to_owned()),
        }
    };
    Answer { status: head.status.as_u16(), fields, body: Body { bytes: bytes.freeze(), complete, ending } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Listener;

    /// What a client makes of a 200 with `hello` that its peer then ends as `ending` says.
    async fn got(ending: fn(SendStream<Bytes>)) -> Answer {
        let (bound, address) = Listener::bind(&Address::parse("127.0.0.1:0")).unwrap();
        let listener = Listener::adopt(bound).unwrap();
        let peer = async {
            let mut connection = h2::server::handshake(listener.accept().await.unwrap()).await.unwrap();
            let (_, mut respond) = connection.accept().await.unwrap().unwrap();
            let mut stream = respond.send_response(http::Response::new(()), false).unwrap();
            stream.send_data(Bytes::from_static(b"hello"), false).unwrap();
            ending(stream);
            while connection.accept().await.is_some() {}
        };
        let client = async { Http2::connect(address).await.request(&Request::get("/")).await };
        tokio::select! { answer = client => answer, () = peer => panic!("the peer ended first") }
    }

    #[tokio::test]
    async fn end_stream_is_whole_and_a_reset_is_not() {
        let whole = got(|mut stream| stream.send_data(Bytes::new(), true).unwrap()).await;
        assert!(whole.body.complete && whole.body.bytes == "hello", "{whole:?}");
        for cut in [
            got(|mut stream| stream.send_reset(Reason::INTERNAL_ERROR)).await,
            got(|mut stream| stream.send_reset(Reason::CANCEL)).await,
            got(|mut stream| stream.send_reset(Reason::NO_ERROR)).await,
        ] {
            assert!(!cut.body.complete, "{cut:?}");
        }
    }
}
