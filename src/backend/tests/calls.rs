//! A call from its request to its end, good or bad.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};

use super::Running;
use crate::backend::{Content, Gone, Policy, Reply, Request, Service};
use crate::oap::StreamFailure;

/// Does what the path says, and tells how calls end.
pub(super) struct Paths {
    pub(super) go: Notify,
    told: mpsc::UnboundedSender<String>,
}

/// Says so when a call is dropped.
struct Told(mpsc::UnboundedSender<String>, String);

impl Drop for Told {
    fn drop(&mut self) {
        drop(self.0.send(std::mem::take(&mut self.1)));
    }
}

impl Paths {
    pub(super) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<String>) {
        let (told, ends) = mpsc::unbounded_channel();
        (Arc::new(Self { go: Notify::new(), told }), ends)
    }
}

impl Service for Paths {
    async fn call(&self, request: Request, mut content: Content, reply: Reply) -> Result<(), Gone> {
        let path = String::from_utf8(request.head.path.to_vec()).unwrap();
        let _told = Told(self.told.clone(), path.clone());
        match path.as_str() {
            "/hello" => reply.whole(200, &[], Bytes::from_static(b"hello")).await,
            "/hang" => std::future::pending().await,
            "/wait" => {
                self.go.notified().await;
                reply.whole(200, &[], Bytes::from_static(b"waited")).await
            }
            "/panic" => panic!("as asked"),
            "/late-panic" => {
                let mut sending = reply.begin(200, &[])?;
                sending.send(Bytes::from_static(b"half")).await?;
                panic!("as asked, later");
            }
            "/forget" => Ok(()),
            "/half" => {
                reply.begin_with(200, &[("content-length", "8")], Bytes::from_static(b"half")).await.map(drop)
            }
            "/echo" => {
                let mut sending = reply.begin(200, &[])?;
                while let Some(piece) = content.next().await? {
                    sending.send(piece).await?;
                }
                sending.finish(Bytes::new()).await
            }
            "/wait-then-count" => {
                self.go.notified().await;
                let mut count = 0;
                while let Some(piece) = content.next().await? {
                    count += piece.len();
                }
                reply.whole(200, &[], Bytes::from(count.to_string())).await
            }
            "/endless" => {
                let mut sending = reply.begin(200, &[])?;
                loop {
                    sending.send(Bytes::from_static(&[7; 10_000])).await?;
                    drop(self.told.send("10000".to_owned()));
                }
            }
            "/early" => reply.whole(403, &[], Bytes::from_static(b"no")).await,
            "/elsewhere" => {
                // Content and reply live on in a task of its own.
                tokio::spawn(async move {
                    let mut whole = Vec::new();
                    while let Some(piece) = content.next().await? {
                        whole.extend_from_slice(&piece);
                    }
                    reply.whole(200, &[], Bytes::from(whole)).await
                });
                Ok(())
            }
            "/bad-fields" => reply.whole(200, &[("Upper", "case")], Bytes::new()).await,
            _ => reply.empty(404, &[]),
        }
    }
}

#[tokio::test]
async fn an_answer_comes_whole_over_either_transport_and_in_either_mode() {
    let (service, _ends) = Paths::new();
    for running in [
        Running::tcp(Arc::clone(&service), Policy::default()),
        Running::unix(Arc::clone(&service), Policy::default()),
        Running::unix(Arc::clone(&service), Policy { window: None, ..Policy::default() }),
    ] {
        let mut peer = running.connect().await;
        for _ in 0..3 {
            let answer = peer.ask("GET", "/hello", &[], "").await;
            assert_eq!(
                (answer.status(), answer.body.as_slice(), answer.is_whole()),
                (200, &b"hello"[..], true)
            );
            assert_eq!(answer.field("content-length"), Some("5"));
        }
    }
}

#[tokio::test]
async fn content_streams_through_a_service_in_both_modes() {
    let (service, _ends) = Paths::new();
    let body = Bytes::from((0..3_000_000u32).map(|n| n.to_le_bytes()[1]).collect::<Vec<_>>());
    for window in [Some(128 * 1024), None] {
        for path in ["/echo", "/elsewhere"] {
            let running = Running::tcp(Arc::clone(&service), Policy { window, ..Policy::default() });
            let mut peer = running.connect().await;
            assert_eq!(peer.core.settings().unwrap().multiplexed, window.is_some());
            // An exclusive peer cannot write all of it before it reads; this one sends what fits in turns.
            let (id, mut rest) = peer.open("POST", path, &[], body.clone(), true);
            while !rest.is_empty() {
                let piece = rest.len().min(100_000);
                let mut now = rest.split_to(piece);
                let last = rest.is_empty();
                while peer.core.send(id, &mut now, last) == crate::oap::Sent::Blocked {
                    peer.flush().await;
                    if peer.core.credit(id) == 0 {
                        peer.turn().await;
                    }
                }
                peer.flush().await;
                if path == "/echo" && !last {
                    peer.turn().await;
                }
            }
            let answer = peer.answer(id).await;
            assert!(answer.is_whole() && answer.body == body, "{path} {window:?}");
        }
    }
}

#[tokio::test]
async fn a_call_that_panics_fails_its_own_stream_and_nothing_else() {
    let (service, mut ends) = Paths::new();
    let running = Running::tcp(Arc::clone(&service), Policy::default());
    let mut peer = running.connect().await;
    let beside = peer.get("/wait");
    let early = peer.get("/panic");
    let late = peer.get("/late-panic");
    let answer = peer.answer(early).await;
    assert_eq!((answer.status(), answer.is_whole()), (500, true));
    let answer = peer.answer(late).await;
    assert_eq!((answer.status(), answer.body.as_slice()), (200, &b"half"[..]));
    assert_eq!(answer.end, Some(Err(StreamFailure::AfterStart { code: 500 })));
    assert_eq!(ends.recv().await.unwrap(), "/panic");
    assert_eq!(ends.recv().await.unwrap(), "/late-panic");
    service.go.notify_one();
    assert_eq!(peer.answer(beside).await.body, b"waited");
}

#[tokio::test]
async fn a_reply_that_is_not_finished_never_looks_whole() {
    let (service, _ends) = Paths::new();
    let running = Running::tcp(service, Policy::default());
    let mut peer = running.connect().await;
    let forgotten = peer.ask("GET", "/forget", &[], "").await;
    assert_eq!((forgotten.status(), forgotten.is_whole()), (500, true));
    let refused = peer.ask("GET", "/bad-fields", &[], "").await;
    assert_eq!((refused.status(), refused.is_whole()), (500, true));
    let half = peer.ask("GET", "/half", &[], "").await;
    assert_eq!((half.status(), half.body.as_slice()), (200, &b"half"[..]));
    assert_eq!(half.end, Some(Err(StreamFailure::AfterStart { code: 500 })));
    assert_eq!(peer.ask("GET", "/hello", &[], "").await.body, b"hello");
}

#[tokio::test]
async fn a_call_is_dropped_when_its_client_gives_up() {
    let (service, mut ends) = Paths::new();
    let running = Running::tcp(service, Policy::default());
    let mut peer = running.connect().await;
    let hangs = peer.get("/hang");
    let (uploads, _) = peer.open("POST", "/echo", &[], "some", false);
    while peer.so_far(uploads).body.is_empty() {
        peer.turn().await;
    }
    peer.give_up(hangs).await;
    assert_eq!(ends.recv().await.unwrap(), "/hang");
    peer.give_up(uploads).await;
    assert_eq!(ends.recv().await.unwrap(), "/echo");
    assert_eq!(peer.ask("GET", "/hello", &[], "").await.body, b"hello");
}

#[tokio::test]
async fn calls_are_dropped_with_their_connection() {
    let (service, mut ends) = Paths::new();
    let running = Running::tcp(service, Policy::default());
    let mut peer = running.connect().await;
    peer.get("/hang");
    // Answered behind the other: so that one is running.
    assert_eq!(peer.ask("GET", "/hello", &[], "").await.body, b"hello");
    assert_eq!(ends.recv().await.unwrap(), "/hello");
    drop(peer);
    assert_eq!(ends.recv().await.unwrap(), "/hang");
}

#[tokio::test]
async fn an_early_answer_ends_the_exchange_and_the_connection_goes_on() {
    let (service, _ends) = Paths::new();
    let running = Running::tcp(service, Policy::default());
    let mut peer = running.connect().await;
    for _ in 0..20 {
        let (id, _) = peer.open("POST", "/early", &[], vec![1; 60_000], false);
        let answer = peer.answer(id).await;
        assert_eq!((answer.status(), answer.is_whole()), (403, true));
    }
    assert_eq!(peer.ask("GET", "/hello", &[], "").await.body, b"hello");
}

#[test]
fn a_call_of_the_object_service_is_small() {
    fn size<F>(
        _: impl FnOnce(
            Arc<crate::backend::object::Objects>,
            Arc<crate::backend::link::Link>,
            crate::backend::link::Arrived,
        ) -> F,
    ) -> usize {
        size_of::<F>()
    }
    // It is moved as it begins: many kilobytes of it would cost more than a small answer.
    let size = size(crate::backend::call::run);
    assert!(size <= 2_500, "{size} bytes");
}
