//! The client's side of an exchange, polled: read the request's body and write the answer's at the same time.
//!
//! Pingora's session is one `&mut`, and its write future loses bytes when it is dropped half done on HTTP/2. Here
//! a piece that is being written is kept, so that either direction may be polled while the other one waits; with
//! `await`ed writes a client that reads only after it has sent everything would deadlock (design/pingora.md §2).
//!
//! It moves bytes and nothing else: what may pass is decided in `exchange`.

use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::SendStream;
use http::{Version, header};
use pingora_core::ErrorType;
use pingora_core::protocols::http::{HttpTask, ServerSession};
use pingora_http::ResponseHeader;

use super::unread;
use crate::edge::Paced;
use crate::edge::guard::progress::{MinRate, Slow};
use crate::rejection::{Reason, Rejection};

/// The client is gone: nobody is left to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left;

/// Why a request's body does not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Broken {
    /// The client is gone.
    Left,
    /// It is refused: its framing is broken, or it comes too slowly.
    Refused(Rejection),
}

/// What the client's side has to say about the request's body.
#[derive(Debug)]
pub(super) enum FromClient {
    /// Some of the body; the flag says that nothing follows.
    Piece(Bytes, bool),
    /// The body is over.
    End,
}

/// The client's side of one exchange.
pub(super) struct Downstream<'a> {
    session: &'a mut ServerSession,
    read: Reading,
    /// HTTP/2: the stream of the answer's body, taken from Pingora so that it can be polled.
    stream: Option<SendStream<Bytes>>,
    writing: Option<(Bytes, bool)>,
    ended: bool,
    /// HTTP/2: the least at which the client must send and read. HTTP/1's connection sees to that itself.
    upload: Paced,
    download: Paced,
    /// Body bytes of the answer that were handed to the transport.
    pub(super) sent: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Body,
    Over,
}

impl<'a> Downstream<'a> {
    /// Bodies must move at `min_rate`, if there is one.
    pub(super) fn new(session: &'a mut ServerSession, min_rate: Option<MinRate>) -> Self {
        let read = if session.is_body_done() { Reading::Over } else { Reading::Body };
        let min_rate = min_rate.filter(|_| session.is_http2());
        let (upload, download) = (Paced::new(min_rate), Paced::new(min_rate));
        Self { session, read, stream: None, writing: None, ended: false, upload, download, sent: 0 }
    }

    /// The next of the request's body. After the end, and for a request without one, `Pending` until the client
    /// leaves.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<FromClient, Broken>> {
        match self.read {
            Reading::Over => self.poll_left(cx).map(|Left| Err(Broken::Left)),
            Reading::Body => {
                // Dropped when pending: Pingora keeps what it has parsed of the framing in the session.
                let Poll::Ready(piece) = pin!(self.session.read_request_body()).poll(cx) else {
                    return match self.upload.on_pending(cx) {
                        Ok(()) => Poll::Pending,
                        Err(slow) => Poll::Ready(Err(too_slow(slow))),
                    };
                };
                Poll::Ready(match piece {
                    Ok(Some(piece)) => {
                        self.upload.on_moved(piece.len());
                        let last = self.session.is_body_done();
                        if last {
                            self.read = Reading::Over;
                        }
                        Ok(FromClient::Piece(piece, last))
                    }
                    Ok(None) => {
                        self.read = Reading::Over;
                        Ok(FromClient::End)
                    }
                    Err(e) => {
                        log::debug!("request body: {e}");
                        Err(match (unread::cause(self.session), e.etype()) {
                            (Some(no), _) => Broken::Refused(no),
                            (
                                None,
                                ErrorType::ReadError | ErrorType::ConnectionClosed | ErrorType::H2Error,
                            ) => Broken::Left,
                            _ => Broken::Refused(Reason::Malformed.into()),
                        })
                    }
                })
            }
        }
    }

    /// Whether the request's body has been read to its end.
    pub(super) fn body_is_over(&self) -> bool {
        self.read == Reading::Over
    }

    /// Whether the client has left, where that can be told without reading its body: over HTTP/2, and when there is none
    /// to come.
    pub(super) fn poll_left_unread(&mut self, cx: &mut Context<'_>) -> Poll<Left> {
        match (&*self.session, self.read) {
            (ServerSession::H2(_), _) | (_, Reading::Over) => self.poll_left(cx),
            _ => Poll::Pending,
        }
    }

    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<Left> {
        if let Some(stream) = &mut self.stream {
            return stream.poll_reset(cx).map(|_| Left);
        }
        match ready!(pin!(self.session.read_body_or_idle(true)).poll(cx)) {
            // A FIN counts as leaving, as in nginx; so does RST_STREAM.
            Err(_) => Poll::Ready(Left),
            Ok(_) => Poll::Pending,
        }
    }

    /// The client is told not to ask again here: HTTP/1 says so in the head.
    pub(super) fn say_goodbye(&mut self) {
        self.session.set_keepalive(None);
    }

    /// Writes the answer's head. A head whose body is empty (`end`) ends the answer.
    pub(super) async fn write_head(&mut self, head: Box<ResponseHeader>, end: bool) -> Result<(), Left> {
        // The end of the connection is the end of such an answer, and the head has to say so.
        if self.session.req_header().version < Version::HTTP_11
            && !head.headers.contains_key(header::CONTENT_LENGTH)
        {
            self.say_goodbye();
        }
        let written = match &mut *self.session {
            ServerSession::H2(h2) => h2.write_response_header(head, end),
            other => other.write_response_header(head).await,
        };
        written.map_err(|e| {
            log::debug!("response head: {e}");
            Left
        })?;
        if let ServerSession::H2(h2) = &mut *self.session
            && !end
        {
            self.stream = h2.take_response_body_writer();
        }
        Ok(())
    }

    /// Whether a piece is still on its way into the transport.
    pub(super) fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Begins to write a piece; `last` ends the answer with it. Call only when nothing is being written.
    pub(super) fn write(&mut self, piece: Bytes, last: bool) {
        if let ServerSession::H1(h1) = &mut *self.session {
            h1.send_proxy_task(HttpTask::Body(Some(piece.clone()), last));
        }
        self.writing = Some((piece, last));
    }

    /// Goes on with what [`Self::write`] began.
    pub(super) fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let Some((piece, last)) = &mut self.writing else { return Poll::Ready(Ok(())) };
        let total = piece.len();
        let written = match (&mut *self.session, &mut self.stream) {
            // Pingora resumes a task that was interrupted, so the future may be dropped.
            (ServerSession::H1(h1), _) => {
                ready!(pin!(h1.write_proxy_tasks()).poll(cx)).map(drop).map_err(|_| Broken::Left)
            }
            (_, Some(stream)) => {
                let before = self.sent;
                let Poll::Ready(done) = poll_send(stream, piece, *last, &mut self.sent, cx) else {
                    self.download
                        .on_moved(usize::try_from(self.sent.saturating_sub(before)).unwrap_or(usize::MAX));
                    return match self.download.on_pending(cx) {
                        Ok(()) => Poll::Pending,
                        Err(slow) => Poll::Ready(Err(too_slow(slow))),
                    };
                };
                self.download
                    .on_moved(usize::try_from(self.sent.saturating_sub(before)).unwrap_or(usize::MAX));
                self.ended = *last;
                self.writing = None;
                return Poll::Ready(done.map_err(|Left| Broken::Left));
            }
            _ => Err(Broken::Left),
        };
        self.sent = self.sent.saturating_add(total as u64);
        self.writing = None;
        Poll::Ready(written)
    }

    /// Ends an answer whose last piece was not marked as such. On HTTP/1 Pingora does, when the request ends.
    pub(super) fn finish(&mut self) -> Result<(), Left> {
        match &mut self.stream {
            Some(stream) if !self.ended => {
                self.ended = true;
                stream.send_data(Bytes::new(), true).map_err(|_| Left)
            }
            _ => Ok(()),
        }
    }

    /// Makes sure that what was sent can never be taken for a whole answer: RST_STREAM on HTTP/2; on HTTP/1.1 the
    /// connection closes short once the request ends in an error, and on HTTP/1.0 it is reset.
    pub(super) fn cut(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.send_reset(h2::Reason::INTERNAL_ERROR);
        }
    }
}

// http.md §7: `min_rate`, while the gateway is not itself the brake.
fn too_slow(slow: Slow) -> Broken {
    Broken::Refused(Rejection::new(Reason::Slow).because(slow.to_string()))
}

fn poll_send(
    stream: &mut SendStream<Bytes>,
    piece: &mut Bytes,
    last: bool,
    sent: &mut u64,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Left>> {
    loop {
        if piece.is_empty() {
            let end = if last { stream.send_data(Bytes::new(), true) } else { Ok(()) };
            return Poll::Ready(end.map_err(|_| Left));
        }
        stream.reserve_capacity(piece.len());
        let capacity = match ready!(stream.poll_capacity(cx)) {
            Some(Ok(capacity)) => capacity.min(piece.len()),
            Some(Err(_)) | None => return Poll::Ready(Err(Left)),
        };
        let part = piece.split_to(capacity);
        *sent = sent.saturating_add(capacity as u64);
        let ends = last && piece.is_empty();
        if stream.send_data(part, ends).is_err() {
            return Poll::Ready(Err(Left));
        }
        if ends {
            return Poll::Ready(Ok(()));
        }
    }
}
