//! What a scripted service does with a request, step by step.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::event::Received;
use super::malformed::{Malformed, Moment};
use crate::pattern;
use crate::wire::response_head;

/// Holds scripts up until a test opens it. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Gate {
    /// Lets all pass from now on.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(super) async fn passed(&self) {
        drop(self.0.subscribe().wait_for(|open| *open).await);
    }
}

/// Steps, carried out in order. The stream's receiving side goes on by itself: the content is taken off the
/// connection, and credit is returned for what a step has read (or, after the last step, for all of it).
#[derive(Clone, Debug, Default)]
pub struct Script {
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    ReadBody,
    ReadBytes(usize),
    ReadAt(u64),
    IgnoreCredit,
    KeepCredit,
    Start { code: u16, payload: Bytes, end: bool },
    Data(Bytes),
    DataAt(Bytes, u64),
    Echo,
    End(u16),
    Stall,
    Reset,
    Close,
    CloseInsideFrame,
    Drain,
    Malformed(Malformed),
    OverSend(usize),
    Raw(Bytes),
    Wait(Gate),
    Pause(Duration),
    UntilGivenUp,
    LateFrames(usize),
    Mark(&'static str),
}

impl Script {
    /// No steps: the request stays unanswered, and its connection usable.
    pub fn new() -> Self {
        Self::default()
    }

    /// A whole answer in one frame, with its content-length, after the whole request was read.
    pub fn whole(status: u16, fields: &[(&str, &str)], content: impl Into<Bytes>) -> Self {
        Self::new().read_body().answer(status, fields, content)
    }

    /// What a service does when nothing else was asked of it: `/echo` returns the content as it comes,
    /// `/bytes/N` answers N bytes of [`pattern`], everything else says 200 (201 to POST and PUT) and `ok`.
    pub fn standard(request: &Received) -> Self {
        let path = request.path();
        let head = request.method() == "HEAD";
        if path.starts_with("/echo") {
            return Self::new().start(200, &[]).echo().end();
        }
        if path.starts_with("/bytes/") {
            let (length, script) = (request.number_in_path(), Self::new().read_body());
            let announced = script.announce(200, length as u64);
            return if head || length == 0 { announced.end() } else { announced.data(pattern(length)).end() };
        }
        let status = if matches!(request.method(), "POST" | "PUT") { 201 } else { 200 };
        if head { Self::new().announce(status, 2).end() } else { Self::whole(status, &[], "ok") }
    }

    /// A script that breaks a rule at this moment; see [`Moment`] for what surrounds it.
    pub fn malformed_at(moment: Moment, malformed: Malformed) -> Self {
        match moment {
            Moment::InsteadOfAnswer => Self::new().read_body().malformed(malformed).stall(),
            Moment::MidAnswer => Self::new()
                .read_body()
                .announce(200, Moment::ANNOUNCED as u64)
                .data(pattern(Moment::SENT))
                .malformed(malformed)
                .stall(),
            Moment::OpenUpload => Self::new().read_bytes(1).malformed(malformed).stall(),
            Moment::BetweenRequests => Self::whole(200, &[], "ok").malformed(malformed).stall(),
        }
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Reads the rest of the request.
    #[must_use]
    pub fn read_body(self) -> Self {
        self.step(Step::ReadBody)
    }

    /// Reads until at least so many bytes of the request's content have been read, or all of it.
    #[must_use]
    pub fn read_bytes(self, bytes: usize) -> Self {
        self.step(Step::ReadBytes(bytes))
    }

    /// Reads the rest of the request at a rate; credit follows the rate.
    #[must_use]
    pub fn read_at(self, bytes_per_second: u64) -> Self {
        self.step(Step::ReadAt(bytes_per_second))
    }

    /// From here on, sends without asking for credit.
    #[must_use]
    pub fn ignore_credit(self) -> Self {
        self.step(Step::IgnoreCredit)
    }

    /// From here on, returns no credit for what is read.
    #[must_use]
    pub fn keep_credit(self) -> Self {
        self.step(Step::KeepCredit)
    }

    /// A whole answer in one frame, content-length included.
    #[must_use]
    pub fn answer(self, status: u16, fields: &[(&str, &str)], content: impl Into<Bytes>) -> Self {
        let content = content.into();
        let length = content.len().to_string();
        let fields: Vec<_> = fields.iter().copied().chain([("content-length", length.as_str())]).collect();
        let payload = response_head(status, &fields, Some(&content)).freeze();
        self.step(Step::Start { code: status, payload, end: true })
    }

    /// `RESP|START` with these fields alone; the content follows.
    #[must_use]
    pub fn start(self, status: u16, fields: &[(&str, &str)]) -> Self {
        let payload = response_head(status, fields, None).freeze();
        self.step(Step::Start { code: status, payload, end: false })
    }

    /// `RESP|START` that announces so many bytes; the content follows.
    #[must_use]
    pub fn announce(self, status: u16, length: u64) -> Self {
        self.start(status, &[("content-length", &length.to_string())])
    }

    /// A START frame of any code and payload.
    #[must_use]
    pub fn start_raw(self, code: u16, payload: impl Into<Bytes>, end: bool) -> Self {
        self.step(Step::Start { code, payload: payload.into(), end })
    }

    /// Content, in frames of up to 64 KiB, as credit allows.
    #[must_use]
    pub fn data(self, content: impl Into<Bytes>) -> Self {
        self.step(Step::Data(content.into()))
    }

    /// Content in frames of exactly these sizes, over and over.
    #[must_use]
    pub fn pieces(mut self, content: impl Into<Bytes>, sizes: &[usize]) -> Self {
        let mut content = content.into();
        for size in sizes.iter().copied().cycle() {
            if content.is_empty() {
                break;
            }
            let piece = content.split_to(size.clamp(1, content.len()));
            self = self.step(Step::Data(piece));
        }
        self
    }

    /// Content at a rate.
    #[must_use]
    pub fn data_at(self, content: impl Into<Bytes>, bytes_per_second: u64) -> Self {
        self.step(Step::DataAt(content.into(), bytes_per_second))
    }

    /// Returns the request's content as it comes.
    #[must_use]
    pub fn echo(self) -> Self {
        self.step(Step::Echo)
    }

    /// `RESP|END` with code 0.
    #[must_use]
    pub fn end(self) -> Self {
        self.step(Step::End(0))
    }

    /// `RESP|END` with any code: after START a failure, unless it is 0 or START's.
    #[must_use]
    pub fn end_with(self, code: u16) -> Self {
        self.step(Step::End(code))
    }

    /// `RESP|END` 503 without START: safe to repeat elsewhere.
    #[must_use]
    pub fn not_processed(self) -> Self {
        self.step(Step::End(503))
    }

    /// Does nothing more, until the stream is given up or the connection ends.
    #[must_use]
    pub fn stall(self) -> Self {
        self.step(Step::Stall)
    }

    /// Resets the connection (RST where it is TCP); what was sent before and not yet taken is lost.
    #[must_use]
    pub fn reset(self) -> Self {
        self.step(Step::Reset)
    }

    /// Closes the connection behind what was sent.
    #[must_use]
    pub fn close(self) -> Self {
        self.step(Step::Close)
    }

    /// Closes the connection in the middle of a frame of this stream.
    #[must_use]
    pub fn close_inside_frame(self) -> Self {
        self.step(Step::CloseInsideFrame)
    }

    /// Announces that no further streams are wanted.
    #[must_use]
    pub fn drain(self) -> Self {
        self.step(Step::Drain)
    }

    /// Breaks a rule.
    #[must_use]
    pub fn malformed(self, malformed: Malformed) -> Self {
        self.step(Step::Malformed(malformed))
    }

    /// Sends so many bytes more than the client's window allows, at once.
    #[must_use]
    pub fn over_send(self, bytes: usize) -> Self {
        self.step(Step::OverSend(bytes))
    }

    /// Writes bytes onto the connection as they are.
    #[must_use]
    pub fn raw(self, bytes: impl Into<Bytes>) -> Self {
        self.step(Step::Raw(bytes.into()))
    }

    /// Waits until the test opens the gate.
    #[must_use]
    pub fn wait(self, gate: &Gate) -> Self {
        self.step(Step::Wait(gate.clone()))
    }

    /// Lets time pass, as a slow service does.
    #[must_use]
    pub fn pause(self, time: Duration) -> Self {
        self.step(Step::Pause(time))
    }

    /// Waits until the client gives the stream up. Only a script with this step goes on after that; it then
    /// sends without asking for credit.
    #[must_use]
    pub fn until_given_up(self) -> Self {
        self.step(Step::UntilGivenUp)
    }

    /// Sends so many data frames of 1 KiB for this stream, credit or not.
    #[must_use]
    pub fn late_frames(self, count: usize) -> Self {
        self.step(Step::LateFrames(count))
    }

    /// Records a [`Mark`](super::What::Mark).
    #[must_use]
    pub fn mark(self, name: &'static str) -> Self {
        self.step(Step::Mark(name))
    }

    pub(super) fn outlives_give_up(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::UntilGivenUp))
    }
}
