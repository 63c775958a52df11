//! One stream carrying out its script, within credit unless the script says otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;

use super::connection::{Out, Settings, drain};
use super::event::{Received, What};
use super::malformed::{Malformed, Surroundings};
use super::script::{Script, Step};
use super::{Command, Shared};
use crate::client::Pace;
use crate::pattern;
use crate::wire::{Frame, HEADER_LEN, flag};

/// Content of one frame, an I/O habit (oap1 §1).
const CHUNK: usize = 64 * 1024;

/// What a stream and its connection both count.
#[derive(Default)]
pub(super) struct Flow {
    /// Payload that the client has acknowledged.
    pub(super) acknowledged: watch::Sender<u64>,
    /// Payload that we have sent.
    pub(super) sent: AtomicU64,
    /// Payload that the client has sent.
    pub(super) received: AtomicU64,
    /// Payload that we have acknowledged.
    pub(super) returned: AtomicU64,
    /// Whether RESP|END is on its way.
    pub(super) answered: AtomicBool,
    /// Whether the client has given the stream up.
    pub(super) gone: watch::Sender<bool>,
}

/// What arrives for a stream.
pub(super) enum Inbound {
    Content(Bytes),
    AskedForCredit,
    End,
}

pub(super) struct Stream {
    connection: u64,
    id: u64,
    settings: Settings,
    out: UnboundedSender<Out>,
    arriving: UnboundedReceiver<Inbound>,
    flow: Arc<Flow>,
    /// Payload of the request that was read.
    passed_on: u64,
    /// Content of the request that was read.
    read: usize,
    ended: bool,
    ignores_credit: bool,
    keeps_credit: bool,
}

impl Stream {
    pub(super) fn new(
        received: &Received,
        settings: Settings,
        out: UnboundedSender<Out>,
        arriving: UnboundedReceiver<Inbound>,
        flow: Arc<Flow>,
        head: u64,
    ) -> Self {
        Self {
            connection: received.connection,
            id: received.stream,
            settings,
            out,
            arriving,
            flow,
            passed_on: head,
            read: 0,
            ended: false,
            ignores_credit: false,
            keeps_credit: false,
        }
    }

    /// Carries the script out; a stream that is given up stops, unless its script waits for that.
    pub(super) async fn carry_out(
        mut self,
        script: Script,
        shared: Arc<Shared>,
        command: UnboundedSender<Command>,
    ) {
        if script.outlives_give_up() {
            self.steps(script, &shared, &command).await;
        } else {
            let mut gone = self.flow.gone.subscribe();
            tokio::select! {
                () = self.steps(script, &shared, &command) => {}
                _ = gone.wait_for(|gone| *gone) => {}
            }
        }
    }

    async fn steps(&mut self, script: Script, shared: &Shared, command: &UnboundedSender<Command>) {
        let mut steps = script.steps.into_iter().peekable();
        while let Some(step) = steps.next() {
            // oap1 §3: END rides on the last data frame.
            let end =
                matches!(step, Step::Data(_)) && steps.next_if(|step| matches!(step, Step::End(0))).is_some();
            match step {
                Step::Data(content) => self.send(content, end).await,
                Step::Mark(name) => shared.record(self.connection, Some(self.id), What::Mark(name)),
                Step::Reset => drop(command.send(Command::Reset)),
                step => self.step(step).await,
            }
        }
        shared.record(self.connection, Some(self.id), What::Done);
        while self.next().await.is_some() {}
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::ReadBody => while self.next().await.is_some() {},
            Step::ReadBytes(bytes) => while self.read < bytes && self.next().await.is_some() {},
            Step::ReadAt(rate) => self.read_at(rate).await,
            Step::IgnoreCredit => self.ignores_credit = true,
            Step::KeepCredit => self.keeps_credit = true,
            Step::Start { code, payload, end } => self.start(code, payload, end).await,
            Step::DataAt(mut content, rate) => {
                let mut pace = Pace::new(rate);
                while !content.is_empty() {
                    let piece = content.split_to(pace.piece().min(content.len()));
                    let moved = piece.len();
                    self.send(piece, false).await;
                    pace.moved(moved).await;
                }
            }
            Step::Echo => {
                while let Some(content) = self.next().await {
                    self.send(content, false).await;
                }
            }
            Step::End(code) => {
                self.flow.answered.store(true, Ordering::Relaxed);
                self.frame(Frame::new(self.id, flag::RESP | flag::END, Bytes::new()).code(code));
            }
            Step::Stall => std::future::pending().await,
            Step::Close => self.out(Out::Close),
            Step::CloseInsideFrame => {
                let frame = Frame::new(self.id, flag::RESP, pattern(1000)).encode();
                self.out(Out::Bytes(frame.slice(..frame.len() / 2)));
                self.out(Out::Close);
            }
            Step::Drain => self.out(Out::Bytes(drain())),
            Step::Malformed(malformed) => {
                let received = self.flow.received.load(Ordering::Relaxed);
                let at = Surroundings { stream: self.id, max_frame: self.settings.max_frame, received };
                let (bytes, ends) = malformed.bytes(at);
                if matches!(malformed, Malformed::BeyondWindow | Malformed::BeyondWindowAtOnce) {
                    // Credit for what of it arrived before it was too much is in order.
                    self.flow.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                }
                self.out(Out::Bytes(bytes));
                if malformed == Malformed::DataAfterEnd {
                    // The breach follows a whole answer, so that only the client's END is still owed.
                    self.flow.answered.store(true, Ordering::Relaxed);
                }
                if ends {
                    self.out(Out::Close);
                }
            }
            Step::OverSend(bytes) => {
                let window =
                    self.settings.windows.map_or(0, |(theirs, _)| usize::try_from(theirs).unwrap_or(0));
                let ignored = std::mem::replace(&mut self.ignores_credit, true);
                self.send(pattern(window + bytes), false).await;
                self.ignores_credit = ignored;
            }
            Step::Raw(bytes) => self.out(Out::Bytes(bytes)),
            Step::Wait(gate) => gate.passed().await,
            Step::Pause(time) => tokio::time::sleep(time).await,
            Step::UntilGivenUp => {
                drop(self.flow.gone.subscribe().wait_for(|gone| *gone).await);
                self.ignores_credit = true;
            }
            Step::LateFrames(count) => {
                for _ in 0..count {
                    self.frame(Frame::new(self.id, flag::RESP, pattern(1024)));
                }
            }
            Step::Data(_) | Step::Mark(_) | Step::Reset => unreachable!("carried out above"),
        }
    }

    /// The next piece of the request's content; reading it returns its credit. `None` at its end.
    async fn next(&mut self) -> Option<Bytes> {
        while !self.ended {
            match self.arriving.recv().await? {
                Inbound::Content(content) => {
                    self.passed_on += content.len() as u64;
                    self.read += content.len();
                    self.return_credit(false);
                    if !content.is_empty() {
                        return Some(content);
                    }
                }
                Inbound::AskedForCredit => self.return_credit(true),
                Inbound::End => self.ended = true,
            }
        }
        None
    }

    async fn read_at(&mut self, rate: u64) {
        let mut pace = Pace::new(rate);
        while !self.ended {
            let Some(arrived) = self.arriving.recv().await else { return };
            match arrived {
                Inbound::Content(mut content) => {
                    while !content.is_empty() {
                        let piece = content.split_to(pace.piece().min(content.len()));
                        pace.moved(piece.len()).await;
                        self.passed_on += piece.len() as u64;
                        self.read += piece.len();
                        self.return_credit(false);
                    }
                }
                Inbound::AskedForCredit => self.return_credit(true),
                Inbound::End => self.ended = true,
            }
        }
    }

    // oap1 §4: send one when at least N/2 are owed, not per frame.
    fn return_credit(&mut self, at_once: bool) {
        let Some((_, ours)) = self.settings.windows else { return };
        let owed = self.passed_on - self.flow.returned.load(Ordering::Relaxed);
        if !self.keeps_credit && (owed >= ours / 2 || at_once) {
            self.flow.returned.store(self.passed_on, Ordering::Relaxed);
            self.frame(Frame::ack(self.id, flag::RESP, self.passed_on));
        }
    }

    async fn start(&mut self, code: u16, payload: Bytes, end: bool) {
        // What fits into one frame and the window goes at once; a head never waits for credit, it is the first.
        let largest = self.settings.max_frame as usize - HEADER_LEN;
        let window = self.settings.windows.map_or(u64::MAX, |(theirs, _)| theirs);
        let room = usize::try_from(window).unwrap_or(usize::MAX).min(largest).min(payload.len());
        let whole = room == payload.len();
        let flags = flag::RESP | flag::START | if end && whole { flag::END } else { 0 };
        if end && whole {
            self.flow.answered.store(true, Ordering::Relaxed);
        }
        self.flow.sent.fetch_add(room as u64, Ordering::Relaxed);
        self.frame(Frame::new(self.id, flags, payload.slice(..room)).code(code));
        if !whole {
            self.send(payload.slice(room..), end).await;
        }
    }

    async fn send(&mut self, mut content: Bytes, end: bool) {
        while !content.is_empty() {
            let room = self.room().await;
            let piece = content.split_to(room.min(CHUNK).min(content.len()));
            self.flow.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
            let last = end && content.is_empty();
            if last {
                self.flow.answered.store(true, Ordering::Relaxed);
            }
            self.frame(Frame::new(self.id, flag::RESP | if last { flag::END } else { 0 }, piece));
        }
        if end && !self.flow.answered.load(Ordering::Relaxed) {
            self.flow.answered.store(true, Ordering::Relaxed);
            self.frame(Frame::new(self.id, flag::RESP | flag::END, Bytes::new()));
        }
    }

    /// Payload that may be sent now; waits for some.
    async fn room(&self) -> usize {
        let Some((window, _)) = self.settings.windows else { return CHUNK };
        if self.ignores_credit {
            return CHUNK;
        }
        let sent = self.flow.sent.load(Ordering::Relaxed);
        let mut acknowledged = self.flow.acknowledged.subscribe();
        let up_to = acknowledged.wait_for(|up_to| sent.saturating_sub(*up_to) < window).await;
        let up_to = up_to.map_or(sent, |up_to| *up_to);
        usize::try_from(window - sent.saturating_sub(up_to)).unwrap_or(CHUNK)
    }

    fn frame(&self, frame: Frame) {
        self.out(Out::Bytes(frame.encode()));
    }

    fn out(&self, out: Out) {
        drop(self.out.send(out));
    }
}
