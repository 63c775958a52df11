//! One request and its answer crossing the gateway: a state machine that moves pieces between the client's side
//! and an OAP/1 stream, both directions at once, at most one piece under way in each.
//!
//! It decides what may pass and when, and nothing else: choosing a backend, repeating a request and writing heads
//! belong to `relay`. Credit goes back to the backend only for what the client's transport has taken, so a slow
//! reader costs one window and stalls nobody else (oap1 §4).

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::Sleep;

use super::body::{DownloadGate, Held};
use super::downstream::{Broken, Downstream, FromClient};
use super::meter::Meter;
use super::trouble::Trouble;
use super::upload::UploadGate;
use crate::bhttp::ResponseHead;
use crate::caps::Turn;
use crate::clock;
use crate::cluster::OapStream;
use crate::oap::{Incoming, Sent, StreamFailure};
use crate::rejection::{Reason, Rejection};
use crate::upstream::retry::Body;

/// What the exchange needs its owner for.
#[derive(Debug)]
pub(super) enum Step {
    /// The answer's head is here.
    Head(ResponseHead),
    /// This may go to the client now; the flag says that it ends the answer.
    Pass(Bytes, bool),
    /// The answer is whole, and all of its body has been written.
    Whole,
    /// It will not come to a good end.
    Failed(Fail),
}

/// Why an exchange ends early.
#[derive(Debug)]
pub(super) enum Fail {
    /// We say no.
    Rejected(Rejection),
    /// The client left.
    Left,
    /// The backend failed us.
    Upstream(Trouble),
    /// The object's bytes are not what its address says.
    Integrity,
}

impl From<Broken> for Fail {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Left => Self::Left,
            Broken::Refused(no) => Self::Rejected(no),
        }
    }
}

impl Fail {
    /// What the client is told; nobody is left to be told when it has gone.
    pub(super) fn rejection(self) -> Option<Rejection> {
        match self {
            Self::Left => None,
            Self::Rejected(no) => Some(no),
            Self::Upstream(trouble) => Some(trouble.rejection()),
            Self::Integrity => {
                Some(Rejection::new(Reason::Upstream).because("the object is not what its address says"))
            }
        }
    }
}

/// The times that bound an exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// When the answer's head must be here, the client's own time to upload excepted.
    pub deadline: Instant,
    /// After the request's END: how long a stream that has credit may stay silent.
    pub read: Duration,
    /// How long a stream that has bytes to send may go without credit.
    pub write: Duration,
}

/// The machine.
pub(super) struct Exchange<'a, 's> {
    pub(super) down: Downstream<'a>,
    pub(super) gate: &'a mut UploadGate,
    pub(super) held: Held,
    pub(super) answer: Option<DownloadGate>,
    pub(super) meter: Option<&'a Meter>,
    bounds: Bounds,
    sleep: Pin<&'s mut Sleep>,
    /// What was read of the body before, and has still to go through the gate.
    gathered: VecDeque<Bytes>,
    /// All of the body has been given to the gate.
    came_whole: bool,
    replay: VecDeque<Bytes>,
    sending: Option<(Bytes, bool)>,
    /// All of it has come out of the gate.
    read_whole: bool,
    end_sent: bool,
    owed: u32,
    /// What came while the client was still taking the piece before.
    next: Option<Incoming>,
    ending: bool,
    client_awaited: Option<Instant>,
    blocked: Option<Instant>,
    /// Bytes that wait to be written to the backend, as seen last.
    unsent: usize,
    heard: Instant,
}

impl<'a, 's> Exchange<'a, 's> {
    pub(super) fn new(
        down: Downstream<'a>,
        gate: &'a mut UploadGate,
        bounds: Bounds,
        sleep: Pin<&'s mut Sleep>,
        now: Instant,
    ) -> Self {
        let over = down.body_is_over();
        Self {
            down,
            gate,
            held: Held::new(),
            answer: None,
            meter: None,
            bounds,
            sleep,
            gathered: VecDeque::new(),
            came_whole: over,
            replay: VecDeque::new(),
            sending: None,
            read_whole: over,
            end_sent: false,
            owed: 0,
            next: None,
            ending: false,
            client_awaited: None,
            blocked: None,
            unsent: 0,
            heard: now,
        }
    }

    /// Begins with a body that has been read already.
    pub(super) fn begin_with(&mut self, pieces: VecDeque<Bytes>) {
        self.came_whole = pieces.is_empty();
        self.read_whole = self.came_whole;
        self.gathered = pieces;
    }

    /// Waits for the first piece of the request's body, so that it leaves in one write with the head. Counted and
    /// hashed like every other.
    pub(super) fn poll_first_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fail>> {
        if self.sending.is_some() || self.read_whole {
            return Poll::Ready(Ok(()));
        }
        match self.poll_read(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(fail)) => Poll::Ready(Err(fail)),
            Poll::Pending => self.poll_time(cx).map(Err),
        }
    }

    /// The next piece of the body to open a stream with, and whether the body ends with it.
    pub(super) fn take_first(&mut self) -> (Bytes, bool) {
        if self.sending.is_none() {
            self.sending =
                self.replay.pop_front().map(|piece| (piece, self.replay.is_empty() && self.read_whole));
        }
        self.sending.take().unwrap_or_else(|| (Bytes::new(), self.read_whole))
    }

    /// What the stream's opening left of the first piece.
    pub(super) fn opened(&mut self, rest: Bytes, end: bool, now: Instant) {
        if rest.is_empty() {
            self.end_sent = end;
        } else {
            self.sending = Some((rest, end));
        }
        self.heard = now;
    }

    /// No stream was opened: what was taken for it is still to be sent.
    pub(super) fn not_opened(&mut self, content: Bytes, end: bool) {
        self.sending = Some((content, end));
    }

    /// What there is of the request's body for a further attempt.
    pub(super) fn body(&self) -> Body {
        match (self.held.is_whole(), self.held.is_empty()) {
            (true, true) => Body::Untouched,
            (true, false) => Body::Held,
            (false, _) => Body::Gone,
        }
    }

    /// Whether the whole request has been handed over.
    pub(super) fn is_sent(&self) -> bool {
        self.end_sent
    }

    /// Starts over for another backend.
    pub(super) fn restart(&mut self, now: Instant) {
        self.replay = self.held.replay();
        self.sending = None;
        self.end_sent = false;
        self.answer = None;
        self.owed = 0;
        self.next = None;
        self.blocked = None;
        self.heard = now;
    }

    /// Takes another stream's answer over, whose head took `credit`.
    pub(super) fn adopt(&mut self, credit: u32) {
        self.owed = credit;
        self.next = None;
        self.blocked = None;
        self.heard = clock::now();
    }

    /// Watches the client and the clock alone, while nothing can be moved.
    pub(super) fn poll_client(&mut self, cx: &mut Context<'_>) -> Poll<Fail> {
        match self.down.poll_body(cx) {
            Poll::Ready(Err(broken)) => Poll::Ready(broken.into()),
            Poll::Ready(Ok(_)) | Poll::Pending => self.poll_time(cx),
        }
    }

    /// How long the answer's head may still take.
    pub(super) fn left(&self, now: Instant) -> Duration {
        self.bounds.deadline.saturating_duration_since(now)
    }

    /// Moves what can be moved.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, up: &mut OapStream) -> Poll<Step> {
        loop {
            let mut moved = false;
            match self.poll_down(cx, up) {
                Poll::Ready(Some(step)) => return Poll::Ready(step),
                Poll::Ready(None) => moved = true,
                Poll::Pending => {}
            }
            match self.poll_up(cx, up) {
                Poll::Ready(Ok(())) => moved = true,
                Poll::Ready(Err(fail)) => return Poll::Ready(Step::Failed(fail)),
                Poll::Pending => {}
            }
            if !moved {
                return self.poll_time(cx).map(Step::Failed);
            }
        }
    }

    /// The answer's way down. `Ready(None)`: something moved.
    fn poll_down(&mut self, cx: &mut Context<'_>, up: &mut OapStream) -> Poll<Option<Step>> {
        // Polled also while the client is slow: an exclusive connection moves both ways only when it is.
        let mut moved = false;
        if self.next.is_none()
            && !self.ending
            && let Poll::Ready(incoming) = up.poll_recv(cx)
        {
            self.heard = clock::now();
            self.next = Some(incoming);
            moved = true;
        }
        if self.down.is_writing() {
            match self.down.poll_written(cx) {
                Poll::Ready(Ok(())) => {
                    up.passed_on(std::mem::take(&mut self.owed));
                    self.heard = clock::now();
                    return Poll::Ready(self.ending.then_some(Step::Whole));
                }
                Poll::Ready(Err(broken)) => return Poll::Ready(Some(Step::Failed(broken.into()))),
                Poll::Pending => return if moved { Poll::Ready(None) } else { Poll::Pending },
            }
        }
        match self.next.take() {
            Some(incoming) => Poll::Ready(self.on_incoming(incoming, up)),
            None => Poll::Pending,
        }
    }

    fn on_incoming(&mut self, incoming: Incoming, up: &mut OapStream) -> Option<Step> {
        match (incoming, &mut self.answer) {
            (Incoming::Head { head, credit }, _) => {
                self.owed = self.owed.saturating_add(credit);
                Some(Step::Head(head))
            }
            (Incoming::Data { bytes, credit }, Some(answer)) => {
                self.owed = self.owed.saturating_add(credit);
                if let Some(meter) = self.meter {
                    meter.count(bytes.len() as u64);
                }
                match answer.take(bytes) {
                    Ok(Some(piece)) => return Some(Step::Pass(piece, false)),
                    Ok(None) => up.passed_on(std::mem::take(&mut self.owed)),
                    Err(_) => return Some(Step::Failed(Fail::Integrity)),
                }
                None
            }
            (Incoming::End, Some(answer)) => {
                self.ending = true;
                Some(match answer.finish() {
                    Ok(Some(piece)) => Step::Pass(piece, true),
                    Ok(None) => Step::Whole,
                    Err(_) => Step::Failed(Fail::Integrity),
                })
            }
            (Incoming::Failed(failure), _) => Some(Step::Failed(Fail::Upstream(failure.into()))),
            // The core never sends a body before a head.
            (Incoming::Data { .. } | Incoming::End, None) => {
                Some(Step::Failed(Fail::Upstream(StreamFailure::Lost.into())))
            }
        }
    }

    /// The request's way up. `Ready(Ok)`: something moved.
    fn poll_up(&mut self, cx: &mut Context<'_>, up: &mut OapStream) -> Poll<Result<(), Fail>> {
        if self.end_sent {
            // Nothing goes up any more; what the client's side can still say is that it left.
            return match self.down.poll_body(cx) {
                Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
                Poll::Ready(Err(broken)) => Poll::Ready(Err(broken.into())),
                Poll::Pending => Poll::Pending,
            };
        }
        if let Some((piece, last)) = &mut self.sending {
            let before = piece.len();
            return match up.poll_send(cx, piece, *last) {
                Poll::Ready(sent) => {
                    // Closed: the answer has ended early. The rest of the body is not wanted.
                    if sent == Sent::Closed {
                        self.gate.let_go();
                    }
                    self.end_sent = *last || sent == Sent::Closed;
                    self.sending = None;
                    self.blocked = None;
                    self.heard = clock::now();
                    Poll::Ready(Ok(()))
                }
                Poll::Pending => {
                    // oap1 §6: time without credit, so whatever went begins it anew.
                    if self.blocked.is_none() || piece.len() < before {
                        self.blocked = Some(clock::now());
                    }
                    Poll::Pending
                }
            };
        }
        if let Some(piece) = self.replay.pop_front() {
            self.sending = Some((piece, self.replay.is_empty() && self.read_whole));
            return Poll::Ready(Ok(()));
        }
        if self.read_whole {
            self.sending = Some((Bytes::new(), true));
            return Poll::Ready(Ok(()));
        }
        let before = self.unsent;
        if up.poll_room(cx, &mut self.unsent).is_pending() {
            // The backend takes none of it, or takes it slowly.
            if self.blocked.is_none() || self.unsent < before {
                self.blocked = Some(clock::now());
            }
            return Poll::Pending;
        }
        self.blocked = None;
        self.poll_read(cx)
    }

    /// Gets one piece of the request's body through the gate.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fail>> {
        loop {
            let turn = self.gate.turn();
            self.charge();
            match turn {
                Ok(Turn::Piece(piece)) => return Poll::Ready(self.pass_up(piece)),
                // Decoding has its turns, and so have the others on this thread.
                Ok(Turn::Again) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Ok(Turn::Dry) if self.came_whole => return Poll::Ready(self.pass_up(Bytes::new())),
                Ok(Turn::Dry) => {}
                Err(no) => return Poll::Ready(Err(Fail::Rejected(no))),
            }
            let (piece, last) = match self.poll_piece(cx) {
                Poll::Ready(Ok(piece)) => piece,
                Poll::Ready(Err(fail)) => return Poll::Ready(Err(fail)),
                Poll::Pending => return Poll::Pending,
            };
            self.came_whole = last;
            if let Err(no) = self.gate.take(piece) {
                return Poll::Ready(Err(Fail::Rejected(no)));
            }
        }
    }

    /// Takes what came out of the gate to be sent. END goes with the last of it, if that can be known.
    fn pass_up(&mut self, piece: Bytes) -> Result<(), Fail> {
        let last = self.came_whole && (self.gate.is_dry() || piece.is_empty());
        if last {
            self.gate.finish().map_err(Fail::Rejected)?;
        }
        if self.gate.rewrites() {
            self.held.push_grown(&piece);
        } else {
            self.held.push(&piece);
        }
        self.read_whole = last;
        self.sending = Some((piece, last));
        Ok(())
    }

    fn charge(&mut self) {
        if let Some(meter) = self.meter {
            meter.count(self.gate.due());
        }
    }

    /// Takes the next piece of the request's body as it came.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<(Bytes, bool), Fail>> {
        if let Some(piece) = self.gathered.pop_front() {
            return Poll::Ready(Ok((piece, self.gathered.is_empty())));
        }
        let piece = match self.down.poll_body(cx) {
            Poll::Ready(Ok(FromClient::Piece(piece, last))) => Ok((piece, last)),
            Poll::Ready(Ok(FromClient::End)) => Ok((Bytes::new(), true)),
            Poll::Ready(Err(broken)) => Err(broken.into()),
            Poll::Pending => {
                if self.client_awaited.is_none() {
                    self.client_awaited = Some(clock::now());
                }
                return Poll::Pending;
            }
        };
        if let Some(since) = self.client_awaited.take() {
            // http.md §7: the time that the client itself needs to upload is excepted.
            self.bounds.deadline += clock::now().saturating_duration_since(since);
        }
        Poll::Ready(piece)
    }

    /// Fires when one of the bounds is crossed.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<Fail> {
        // A bound that has come up since may be nearer than what was waited for, such as `write` within a long `timeout`.
        if let Some(nearest) = self.bounds().into_iter().flatten().min()
            && nearest < self.sleep.deadline().into_std()
        {
            self.sleep.as_mut().reset(nearest.into());
        }
        while self.sleep.as_mut().poll(cx).is_ready() {
            let now = clock::now();
            let Some(next) = self.next_bound(now) else {
                return Poll::Ready(Fail::Rejected(Reason::Timeout.into()));
            };
            self.sleep.as_mut().reset(next.into());
        }
        Poll::Pending
    }

    /// The next time at which a bound may be crossed; `None` when one is.
    fn next_bound(&self, now: Instant) -> Option<Instant> {
        let bounds = self.bounds();
        if bounds.iter().flatten().any(|at| *at <= now) {
            return None;
        }
        // With nothing to wait for now, look again when something may have come up.
        Some(bounds.iter().flatten().min().copied().unwrap_or(now + self.bounds.read))
    }

    /// When `read`, `write` and the answer's head are overdue, as far as they are waited for.
    fn bounds(&self) -> [Option<Instant>; 3] {
        // oap1 §6: a slow client is neither a slow reader nor a slow writer of the backend's.
        let read = (self.end_sent && !self.down.is_writing()).then(|| self.heard + self.bounds.read);
        let write = self.blocked.map(|since| since + self.bounds.write);
        let head = (self.answer.is_none() && self.client_awaited.is_none()).then_some(self.bounds.deadline);
        [read, write, head]
    }
}
