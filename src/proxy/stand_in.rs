//! The stand-in of a client's session while its body goes up over Pingora's pipeline, for two things that this has no
//! place for.
//!
//! Pingora passes one piece of a body on for each that came. A body that is decoded has more to pass on than that: here
//! its session says, until all of it has been, that one more piece has come, which is empty. It says so only when no more
//! than one piece is still under way to the backend, so that there is never more of a body at a time than that and what
//! a step makes. And Pingora waits for an HTTP/2 client's body for as long as it takes; here it has its minimum rate.
//!
//! It is put in the place of the real session when the request's head crosses, and taken out again before anybody else
//! asks. What Pingora does with HTTP/2 sessions alone it does not do with it: while a write to an HTTP/2 backend waits,
//! which `timeouts.write` bounds, nobody sees that the client leaves.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use http::HeaderMap;
use parking_lot::Mutex;
use pingora_core::protocols::Digest;
use pingora_core::protocols::http::custom::CustomMessageWrite;
use pingora_core::protocols::http::custom::server::Session as CustomSession;
use pingora_core::protocols::http::{HttpTask, ServerSession};
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;
use tokio::sync::Notify;

use crate::clock;
use crate::edge::Paced;
use crate::edge::guard::progress::MinRate;

/// What a request knows of its session's stand-in.
#[derive(Clone)]
pub(super) struct Uploading(Arc<Shared>);

struct Shared {
    /// More goes on than comes.
    grows: bool,
    /// More can be passed on of what has come.
    more: AtomicBool,
    /// The end has been said.
    over: AtomicBool,
    pace: Mutex<Paced>,
    /// Pieces that nobody has let go of.
    under_way: AtomicUsize,
    let_go: Notify,
    /// The real session, when its stand-in is gone.
    back: Mutex<Option<Box<ServerSession>>>,
}

impl Uploading {
    /// A body that begins to go up, and must come at `min_rate` from now on if there is one. `grows`: it is decoded.
    pub(super) fn new(grows: bool, min_rate: Option<MinRate>) -> Self {
        let mut pace = Paced::new(min_rate);
        pace.begin(clock::now());
        Self(Arc::new(Shared {
            grows,
            more: AtomicBool::new(false),
            over: AtomicBool::new(false),
            pace: Mutex::new(pace),
            under_way: AtomicUsize::new(0),
            let_go: Notify::new(),
            back: Mutex::new(None),
        }))
    }

    /// Puts a stand-in in the place of a session.
    pub(super) fn put_in(&self, session: &mut Session) {
        let inner = std::mem::replace(&mut session.downstream_session, nobody());
        let stand_in = StandIn { inner, uploading: self.clone() };
        *session.downstream_session = ServerSession::new_custom(Box::new(stand_in));
    }

    /// Puts the real session back, if its stand-in is there.
    pub(super) fn take_out(&self, session: &mut Session) {
        if session.downstream_session.is_custom() {
            drop(std::mem::replace(&mut session.downstream_session, nobody()));
            if let Some(inner) = self.0.back.lock().take() {
                session.downstream_session = inner;
            }
        }
    }

    /// Whether the gate has more to pass on of what it was given.
    pub(super) fn set_more(&self, more: bool) {
        self.0.more.store(more, Relaxed);
    }

    /// A piece that goes on: of a body that grows the next is not made while there are two.
    pub(super) fn under_way(&self, piece: Bytes) -> Bytes {
        if !self.0.grows || piece.is_empty() {
            return piece;
        }
        self.0.under_way.fetch_add(1, Relaxed);
        Bytes::from_owner(UnderWay { piece, shared: Arc::clone(&self.0) })
    }

    /// Whether the client was waited for, and was slower than it may be.
    pub(super) fn is_slow(&self) -> bool {
        self.0.pace.lock().check(clock::now()).is_err()
    }
}

struct UnderWay {
    piece: Bytes,
    shared: Arc<Shared>,
}

impl AsRef<[u8]> for UnderWay {
    fn as_ref(&self) -> &[u8] {
        &self.piece
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        // Its bytes go first: who is told makes the next.
        self.piece = Bytes::new();
        self.shared.under_way.fetch_sub(1, Relaxed);
        self.shared.let_go.notify_one();
    }
}

fn nobody() -> Box<ServerSession> {
    Box::new(ServerSession::new_custom(Box::new(())))
}

/// See the module's documentation.
struct StandIn {
    inner: Box<ServerSession>,
    uploading: Uploading,
}

impl Drop for StandIn {
    fn drop(&mut self) {
        *self.uploading.0.back.lock() = Some(std::mem::replace(&mut self.inner, nobody()));
    }
}

impl StandIn {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        self.wait().await?;
        let shared = &self.uploading.0;
        if shared.more.load(Relaxed) {
            // Decoding has its turns, and so have the others on this thread.
            tokio::task::yield_now().await;
            return Ok(Some(Bytes::new()));
        }
        let piece = if self.inner.is_body_done() { None } else { self.read().await? };
        if piece.is_none() {
            self.uploading.0.over.store(true, Relaxed);
        }
        Ok(piece)
    }

    /// Waits until no more than one piece is under way, or the client has left, where that can be told without reading.
    async fn wait(&mut self) -> Result<()> {
        let shared = Arc::clone(&self.uploading.0);
        while shared.under_way.load(Relaxed) > 1 {
            let let_go = shared.let_go.notified();
            let has_all = self.inner.is_body_done();
            if let Some(closes) = self.inner.watch_h2_stream_close() {
                tokio::select! {
                    () = let_go => {}
                    reason = closes => {
                        return Error::e_explain(ErrorType::ConnectionClosed, format!("{reason:?}"))
                            .map_err(|e: Box<Error>| e.into_down());
                    }
                }
            } else if has_all {
                tokio::select! {
                    () = let_go => {}
                    left = self.inner.read_body_or_idle(true) => return left.map(drop),
                }
            } else {
                let_go.await;
            }
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<Option<Bytes>> {
        std::future::poll_fn(|cx| {
            // Dropped when pending: Pingora keeps what it has parsed of the framing in the session.
            let read = pin!(self.inner.read_request_body()).poll(cx);
            let mut pace = self.uploading.0.pace.lock();
            match &read {
                Poll::Ready(Ok(piece)) => pace.on_moved(piece.as_ref().map_or(0, Bytes::len)),
                Poll::Ready(Err(_)) => {}
                Poll::Pending if let Err(slow) = pace.on_pending(cx) => {
                    let error = Error::because(ErrorType::ReadTimedout, "request body", slow);
                    return Poll::Ready(Err(error.into_down()));
                }
                Poll::Pending => {}
            }
            read
        })
        .await
    }
}

// Pingora asks no more of it than is here while a request is passed on. What is not about the body goes to the real one.
#[async_trait]
impl CustomSession for StandIn {
    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        self.next().await
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        if no_body_expected || self.is_body_done() {
            return self.inner.read_body_or_idle(true).await;
        }
        self.next().await
    }

    fn is_body_done(&mut self) -> bool {
        self.uploading.0.over.load(Relaxed) || !self.uploading.0.grows && self.inner.is_body_done()
    }

    fn is_body_empty(&mut self) -> bool {
        self.inner.is_body_empty()
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        self.inner.drain_request_body().await
    }

    fn enable_retry_buffering(&mut self) {
        self.inner.enable_retry_buffering();
    }

    fn retry_buffer_truncated(&self) -> bool {
        self.inner.retry_buffer_truncated()
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        self.inner.get_retry_buffer()
    }

    fn body_bytes_read(&self) -> usize {
        self.inner.body_bytes_read()
    }

    fn req_header(&self) -> &RequestHeader {
        self.inner.req_header()
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        self.inner.req_header_mut()
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        self.inner.to_h1_raw()
    }

    fn request_summary(&self) -> String {
        self.inner.request_summary()
    }

    fn is_upgrade_req(&self) -> bool {
        self.inner.is_upgrade_req()
    }

    fn was_upgraded(&self) -> bool {
        self.inner.was_upgraded()
    }

    async fn write_response_header(&mut self, head: Box<ResponseHeader>, _end: bool) -> Result<()> {
        self.inner.write_response_header(head).await
    }

    async fn write_response_header_ref(&mut self, head: &ResponseHeader, _end: bool) -> Result<()> {
        self.inner.write_response_header_ref(head).await
    }

    async fn write_body(&mut self, piece: Bytes, end: bool) -> Result<()> {
        self.inner.write_response_body(piece, end).await
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.inner.write_response_trailers(trailers).await
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        self.inner.response_duplex_vec(tasks).await
    }

    fn proxy_tasks_enabled(&self) -> bool {
        self.inner.supports_proxy_task_api()
    }

    fn set_proxy_tasks_enabled(&mut self, enabled: bool) {
        self.inner.set_proxy_tasks_enabled(enabled);
    }

    fn send_proxy_task(&mut self, task: HttpTask) {
        self.inner.send_downstream_proxy_task(task);
    }

    fn has_pending_proxy_tasks(&self) -> bool {
        self.inner.has_pending_downstream_proxy_tasks()
    }

    async fn write_proxy_tasks(&mut self) -> Result<bool> {
        self.inner.write_downstream_proxy_tasks().await
    }

    async fn finish(&mut self) -> Result<()> {
        self.inner.finish_body().await
    }

    async fn shutdown(&mut self, _code: u32, _ctx: &str) {
        self.inner.shutdown().await;
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.inner.response_written()
    }

    fn body_bytes_sent(&self) -> usize {
        self.inner.body_bytes_sent()
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.inner.set_read_timeout(timeout);
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        self.inner.get_read_timeout()
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.inner.set_write_timeout(timeout);
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.inner.get_write_timeout()
    }

    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        self.inner.set_total_drain_timeout(timeout);
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.inner.get_total_drain_timeout()
    }

    fn digest(&self) -> Option<&Digest> {
        self.inner.digest()
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        self.inner.digest_mut()
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.inner.client_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.inner.server_addr()
    }

    // HTTP has none of Pingora's custom messages.

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(
        &mut self,
    ) -> Option<Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>> {
        None
    }

    fn restore_custom_message_reader(
        &mut self,
        _reader: Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>,
    ) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(&mut self, _writer: Box<dyn CustomMessageWrite>) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// A session whose head has been read, with a body of three bytes.
    async fn session() -> (Session, tokio::io::DuplexStream) {
        let (gateway, mut client) = tokio::io::duplex(1000);
        client.write_all(b"PUT /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc").await.unwrap();
        let mut session = Session::new_h1(Box::new(gateway));
        assert!(session.read_request().await.unwrap());
        (session, client)
    }

    #[tokio::test]
    async fn a_piece_that_came_is_asked_for_once_and_more_of_it_until_there_is_none() {
        let (mut session, _client) = session().await;
        let uploading = Uploading::new(true, None);
        uploading.put_in(&mut session);
        let piece = session.downstream_session.read_body_or_idle(false).await.unwrap();
        assert_eq!(piece.as_deref(), Some(&b"abc"[..]));
        assert!(!session.is_body_done());
        uploading.set_more(true);
        for _ in 0..3 {
            let more = session.downstream_session.read_body_or_idle(false).await.unwrap();
            assert_eq!((more.as_deref(), session.is_body_done()), (Some(&b""[..]), false));
        }
        uploading.set_more(false);
        assert_eq!(session.downstream_session.read_body_or_idle(false).await.unwrap(), None);
        assert!(session.is_body_done());
        // What comes now is that the client leaves, and it does not.
        assert!(session.downstream_session.read_body_or_idle(false).now_or_never().is_none());
    }

    #[tokio::test]
    async fn no_third_piece_is_made_while_two_are_under_way() {
        let (mut session, _client) = session().await;
        let uploading = Uploading::new(true, None);
        uploading.put_in(&mut session);
        for more in [false, true] {
            uploading.set_more(more);
            let [first, second] =
                [&b"1"[..], b"2"].map(|piece| uploading.under_way(Bytes::from_static(piece)));
            let part = second.slice(..1);
            let mut next = Box::pin(session.downstream_session.read_body_or_idle(false));
            assert!(next.as_mut().now_or_never().is_none());
            drop(second);
            assert!(next.as_mut().now_or_never().is_none());
            drop(part);
            assert_eq!(next.await.unwrap().map(|piece| piece.is_empty()), Some(more));
            drop(first);
        }
    }

    #[tokio::test]
    async fn the_session_is_itself_again_when_its_stand_in_is_gone() {
        let (mut session, _client) = session().await;
        let uploading = Uploading::new(true, None);
        for _ in 0..2 {
            uploading.put_in(&mut session);
            assert!(session.downstream_session.is_custom());
            assert_eq!(session.req_header().uri.path(), "/x");
            for _ in 0..2 {
                uploading.take_out(&mut session);
                assert!(session.downstream_session.as_http1().is_some());
            }
        }
        assert_eq!(session.read_request_body().await.unwrap().as_deref(), Some(&b"abc"[..]));
    }
}
