//! An HTTP/1 connection from head to head: waits for one, hands it with its body to who reads requests, and waits again.
//!
//! Between two requests there is no session of Pingora's, only the [`Guarded`] socket and this task with one timer, which
//! is set anew only when it fires early.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pingora_core::apps::{HttpPersistentSettings, HttpServerApp};
use pingora_core::protocols::http::ServerSession;
use pingora_core::server::ShutdownWatch;
use tokio::time::Sleep;

use super::bounds::{Bounds, Cut};
use super::guard::heads::{Heads, Room};
use super::guarded::{Guarded, Next};
use super::socket::Socket;
use super::{LAST_WORD, Serves};
use crate::clock;

/// Serves a connection until it ends. `began`: when the client's first byte came.
pub(super) async fn serve<S: Serves>(
    socket: Socket,
    serves: &Arc<S>,
    app: &Arc<S::App>,
    draining: &ShutdownWatch,
) {
    let mut bounds = serves.bounds();
    let mut connection = Box::new(Guarded::new(socket, &bounds));
    let mut waiting = Waiting::new(bounds.idle, draining);
    let mut settings: Option<HttpPersistentSettings> = None;
    loop {
        match waiting.head(&mut connection, &bounds, serves.heads()).await {
            Next::Head => {}
            Next::Closed => return connection.close().await,
            Next::Refused(why) => return refuse(*connection, serves.as_ref(), why, waiting.waited()).await,
        }
        let head = connection.take_head();
        let mut session = ServerSession::new_http1(connection);
        if let Some(settings) = settings.take() {
            settings.apply_to_session(&mut session);
        }
        // Its parser takes the bytes as they are.
        session.set_pipelined_prefix(head);
        if *draining.borrow() {
            session.set_keepalive(None);
        }
        let Some(reused) = app.process_new_http(session, draining).await else { return };
        let (stream, kept) = reused.consume();
        let Ok(back) = stream.into_any().downcast::<Guarded>() else { return };
        if !back.is_between_requests() {
            return;
        }
        (connection, settings) = (back, kept);
        // http.md §7: on reload, request limits hold from the next request on.
        bounds = serves.bounds();
        connection.begin(&bounds);
    }
}

/// Says no to what is no request, and closes.
pub(super) async fn refuse<S: Serves>(connection: Guarded, serves: &S, why: Cut, waited: Duration) {
    let answer = serves.on_refused(why, connection.client(), waited);
    connection.refuse(&answer).await;
}

/// What a connection is woken by between requests.
struct Waiting {
    timer: Pin<Box<Sleep>>,
    /// Ready when the drain begins.
    draining: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Since when the next head is waited for; `None` while nobody had to wait.
    since: Option<Instant>,
    /// When an unused connection ends.
    until: Option<Instant>,
}

impl Waiting {
    fn new(idle: Duration, draining: &ShutdownWatch) -> Self {
        let mut draining = draining.clone();
        Self {
            timer: Box::pin(tokio::time::sleep(idle)),
            draining: Some(Box::pin(async move { drop(draining.wait_for(|on| *on).await) })),
            since: None,
            until: None,
        }
    }

    /// How long the last head was waited for.
    fn waited(&self) -> Duration {
        self.since.map(|since| clock::now().saturating_duration_since(since)).unwrap_or_default()
    }

    /// The next head, or the end.
    async fn head(&mut self, connection: &mut Guarded, bounds: &Bounds, heads: &Arc<Heads>) -> Next {
        (self.since, self.until) = (None, None);
        let mut room = None;
        std::future::poll_fn(|cx| match connection.poll_head(cx) {
            Poll::Ready(next) => Poll::Ready(next),
            Poll::Pending => {
                if let Err(why) = hold(connection.unfinished(), heads, &mut room, cx) {
                    return Poll::Ready(Next::Refused(why));
                }
                self.poll_end(connection.head_deadline(), bounds.idle, cx)
            }
        })
        .await
    }

    /// Ready when waiting is over.
    fn poll_end(
        &mut self,
        head_deadline: Option<Instant>,
        idle: Duration,
        cx: &mut Context<'_>,
    ) -> Poll<Next> {
        let since = *self.since.get_or_insert_with(clock::now);
        let mut until = self.until.or(since.checked_add(idle));
        if self.draining.as_mut().is_none_or(|draining| draining.as_mut().poll(cx).is_ready()) {
            let first_told = self.draining.take().is_some();
            // A client that is about to ask is told to close by its answer; one that is closed meanwhile would lose its
            // request. Who was promised to stay by an answer before the drain has as long.
            if first_told || self.until.is_none() {
                until = clock::now().checked_add(LAST_WORD).min(until);
            }
        }
        self.until = until;
        let Some(due) = head_deadline.or(until) else { return Poll::Pending };
        loop {
            if self.timer.deadline().into_std() > due {
                self.timer.as_mut().reset(due.into());
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if clock::now() >= due {
                // The next wait sets it anew.
                return Poll::Ready(match head_deadline {
                    Some(_) => Next::Refused(Cut::SlowHead),
                    None => Next::Closed,
                });
            }
            self.timer.as_mut().reset(due.into());
        }
    }
}

// http.md §7: unfinished heads 64 MiB in all. One that is whole at once is none.
fn hold(bytes: usize, heads: &Arc<Heads>, room: &mut Option<Room>, cx: &mut Context<'_>) -> Result<(), Cut> {
    if bytes == 0 {
        return Ok(());
    }
    let room = room.get_or_insert_with(|| heads.begin());
    room.grow(bytes).map_err(|_| Cut::OldestHead)?;
    if room.poll_cut(cx).is_ready() { Err(Cut::OldestHead) } else { Ok(()) }
}
