//! The byte stream of one HTTP/2 connection, client to gateway: when it is a flood.
//!
//! HTTP/2 libraries bound how much there is at once (streams, header lists, windows). They do not bound how often: a
//! client that opens and resets, pings, or says settings at the speed of its line costs the gateway a processor and
//! itself nothing. The guard reads the preface and the heads of frames, and counts:
//!
//! | what | at most |
//! |---|---|
//! | RST_STREAM, and WINDOW_UPDATE by 0, which makes the gateway reset | `resets` a second |
//! | SETTINGS · PING, acknowledgements too | `settings` · `pings` a second |
//! | DATA without content · with less than 32 bytes, END_STREAM excepted | [`EMPTY_DATA`] · [`TINY_DATA`] a second |
//! | WINDOW_UPDATE by less than 1 KiB | [`WINDOW_UPDATES`] a second |
//! | PRIORITY · GOAWAY, PUSH_PROMISE and unknown types | [`PRIORITIES`] · [`UNKNOWN_FRAMES`] a second |
//! | bytes of a header block · its CONTINUATION frames | `head` · [`CONTINUATIONS`] |
//! | bytes of a frame | [`MAX_FRAME`] |
//!
//! It tells too since when a head, or a frame that is not DATA, has been unfinished, and how long it is by now: so much is
//! held behind the guard. It copies nothing and judges no HTTP/2 beyond that: the library behind it does, and answers with
//! GOAWAY where one is due.

mod bucket;
mod flood;
mod frame;
#[cfg(test)]
mod tests;

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use self::bucket::Bucket;
pub use self::flood::Flood;
use self::frame::{ACK, END_HEADERS, END_STREAM, Frame, HEAD, Kind};

/// The client's side begins with these bytes (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of a frame's payload: the default of SETTINGS_MAX_FRAME_SIZE, which the gateway leaves as it is.
pub const MAX_FRAME: u32 = 16 << 10;
/// CONTINUATION frames of a header block: four full ones make the longest list, and some clients cut finer.
pub const CONTINUATIONS: u32 = 8;
/// Empty DATA frames a second that do not end their stream.
pub const EMPTY_DATA: u32 = 100;
/// DATA frames of less than 32 bytes a second that do not end their stream: what costs 1 % of a processor or so.
pub const TINY_DATA: u32 = 5000;
/// WINDOW_UPDATE frames by less than 1 KiB a second. Simple clients send two for each DATA frame, however small.
pub const WINDOW_UPDATES: u32 = 5000;
/// PRIORITY frames a second. Browsers say some with each request.
pub const PRIORITIES: u32 = 200;
/// Frames of other types a second.
pub const UNKNOWN_FRAMES: u32 = 100;

const TINY_CONTENT: u32 = 32;
const TINY_INCREMENT: u32 = 1 << 10;

/// The bounds that an operator sets (http.md §7, config.md `limits.http2`). `None` lifts one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Resets a second.
    pub resets: Option<NonZeroU32>,
    /// SETTINGS a second.
    pub settings: Option<NonZeroU32>,
    /// PINGs a second.
    pub pings: Option<NonZeroU32>,
    /// Bytes of a header block as it comes, HPACK and padding included.
    pub head: u32,
    /// From the first byte of HEADERS to the last of the frame with END_HEADERS.
    pub head_timeout: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            resets: NonZeroU32::new(100),
            settings: NonZeroU32::new(20),
            pings: NonZeroU32::new(20),
            head: 64 << 10,
            head_timeout: Duration::from_secs(5),
        }
    }
}

/// The guard of one connection. See the module's documentation.
#[derive(Debug)]
pub struct Guard {
    policy: Policy,
    at: At,
    /// When what is unfinished began.
    since: Option<Instant>,
    /// Bytes of it, as far as it has come.
    unfinished: usize,
    /// Whether the client has said its SETTINGS.
    greeted: bool,
    block: Option<Block>,
    rates: Rates,
    bodies: Bodies,
    cut: Option<Flood>,
}

/// Bodies that a client has begun, and what it has sent of them and of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bodies {
    /// Heads that do not end their streams.
    pub begun: u64,
    /// Bytes of content, in DATA frames that have begun.
    pub content: u64,
}

#[derive(Clone, Copy, Debug)]
enum At {
    /// So many bytes of the preface are right.
    Preface(usize),
    /// So many bytes of a frame's head are there.
    Head([u8; HEAD], usize),
    /// The telling bytes of a frame, as many as there are.
    Telling(Frame, [u8; 4], usize),
    /// So many bytes of a frame are to come.
    Payload(Frame, u32),
}

/// A header block that has begun.
#[derive(Clone, Copy, Debug)]
struct Block {
    stream: u32,
    bytes: u32,
    continuations: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Rates {
    resets: Bucket,
    settings: Bucket,
    pings: Bucket,
    empty_data: Bucket,
    tiny_data: Bucket,
    window_updates: Bucket,
    priorities: Bucket,
    unknown_frames: Bucket,
}

const NEXT: At = At::Head([0; HEAD], 0);

impl Guard {
    /// A guard before the preface.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            at: At::Preface(0),
            since: None,
            unfinished: 0,
            greeted: false,
            block: None,
            rates: Rates::default(),
            bodies: Bodies::default(),
            cut: None,
        }
    }

    /// Judges the bytes that came next, at `now`: all of them may go on to the parser, or none of them nor of those
    /// that follow.
    ///
    /// # Errors
    /// Why the connection must be cut; the same again from then on.
    pub fn feed(&mut self, input: &[u8], now: Instant) -> Result<(), Flood> {
        if let Some(flood) = self.cut {
            return Err(flood);
        }
        let mut rest = input;
        while !rest.is_empty() {
            let taken = self.take(rest, now).inspect_err(|flood| self.cut = Some(*flood))?;
            self.unfinished = self.since.map_or(0, |_| self.unfinished.saturating_add(taken));
            rest = rest.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// What has begun since this was asked last.
    pub fn take_bodies(&mut self) -> Bodies {
        std::mem::take(&mut self.bodies)
    }

    // http.md §7: `head_timeout` 5 s: first byte of a head to its last.
    /// When what is unfinished must be finished: the preface, a header block, or any frame but DATA, which has a
    /// minimum rate instead.
    pub fn head_deadline(&self) -> Option<Instant> {
        self.since?.checked_add(self.policy.head_timeout)
    }

    /// When what is unfinished began, and its bytes so far: those of all the frames of a header block.
    pub fn unfinished(&self) -> Option<(Instant, usize)> {
        Some((self.since?, self.unfinished))
    }

    fn take(&mut self, rest: &[u8], now: Instant) -> Result<usize, Flood> {
        match self.at {
            At::Preface(seen) => self.take_preface(seen, rest, now),
            At::Head(mut head, have) => {
                self.since = self.since.or(Some(now));
                let taken = fill(&mut head, have, rest);
                self.at = At::Head(head, have.saturating_add(taken));
                if have.saturating_add(taken) == HEAD {
                    self.begin(Frame::parse(head), now)?;
                }
                Ok(taken)
            }
            At::Telling(frame, mut bytes, have) => {
                let want = usize::from(frame.telling());
                let taken = fill(bytes.get_mut(..want).unwrap_or_default(), have, rest);
                self.at = At::Telling(frame, bytes, have.saturating_add(taken));
                if have.saturating_add(taken) == want {
                    self.rates.told(&self.policy, &frame, bytes, now)?;
                    self.count(&frame, bytes);
                    self.go_on(frame, frame.length.saturating_sub(u32::from(frame.telling())));
                }
                Ok(taken)
            }
            At::Payload(frame, left) => {
                let taken = u32::try_from(rest.len()).unwrap_or(u32::MAX).min(left);
                self.go_on(frame, left.saturating_sub(taken));
                Ok(usize::try_from(taken).unwrap_or(usize::MAX))
            }
        }
    }

    fn take_preface(&mut self, seen: usize, rest: &[u8], now: Instant) -> Result<usize, Flood> {
        self.since = self.since.or(Some(now));
        let want = PREFACE.get(seen..).unwrap_or_default();
        let taken = want.len().min(rest.len());
        if want.get(..taken) != rest.get(..taken) {
            return Err(Flood::Preface);
        }
        if taken < want.len() {
            self.at = At::Preface(seen.saturating_add(taken));
        } else {
            (self.at, self.since) = (NEXT, None);
        }
        Ok(taken)
    }

    /// A frame's head is whole.
    fn begin(&mut self, frame: Frame, now: Instant) -> Result<(), Flood> {
        if frame.length > MAX_FRAME {
            return Err(Flood::FrameSize);
        }
        // RFC 9113 §3.4: the preface is these bytes and a SETTINGS frame, which may be empty.
        self.greeted |= frame.kind == Kind::Settings && !frame.has(ACK);
        if !self.greeted {
            return Err(Flood::Preface);
        }
        self.continue_block(&frame)?;
        self.rates.begun(&self.policy, &frame, now)?;
        if frame.kind == Kind::Data {
            self.since = None;
        }
        if frame.telling() > 0 {
            self.at = At::Telling(frame, [0; 4], 0);
        } else {
            self.count(&frame, [0; 4]);
            self.go_on(frame, frame.length);
        }
        Ok(())
    }

    fn count(&mut self, frame: &Frame, [padding, ..]: [u8; 4]) {
        let Bodies { begun, content } = &mut self.bodies;
        match frame.kind {
            Kind::Data => *content = content.saturating_add(frame.content(padding).into()),
            // Trailers end their stream (RFC 9113 §8.1).
            Kind::Headers if !frame.has(END_STREAM) => *begun = begun.saturating_add(1),
            _ => {}
        }
    }

    // RFC 9113 §4.3: a header block is one run of frames, of one stream, with nothing in between.
    fn continue_block(&mut self, frame: &Frame) -> Result<(), Flood> {
        let block = match (frame.kind, self.block) {
            (Kind::Headers, None) => Block { stream: frame.stream, bytes: frame.length, continuations: 0 },
            (Kind::Continuation, Some(block)) if block.stream == frame.stream => Block {
                bytes: block.bytes.saturating_add(frame.length),
                continuations: block.continuations.saturating_add(1),
                ..block
            },
            (Kind::Continuation, _) | (_, Some(_)) => return Err(Flood::Framing),
            (_, None) => return Ok(()),
        };
        if block.bytes > self.policy.head {
            return Err(Flood::HeaderList);
        }
        if block.continuations > CONTINUATIONS {
            return Err(Flood::Continuations);
        }
        self.block = Some(block);
        Ok(())
    }

    /// So many bytes of `frame` are to come; none: it is over.
    fn go_on(&mut self, frame: Frame, left: u32) {
        if left > 0 {
            self.at = At::Payload(frame, left);
            return;
        }
        self.at = NEXT;
        // A frame of any other kind within a block is an error, so this one is its last.
        if frame.has(END_HEADERS) {
            self.block = None;
        }
        if self.block.is_none() {
            self.since = None;
        }
    }
}

/// Copies what fits of `from` into `into` behind its first `have` bytes; how much did.
fn fill(into: &mut [u8], have: usize, from: &[u8]) -> usize {
    let free = into.get_mut(have..).unwrap_or_default();
    let taken = free.len().min(from.len());
    free.iter_mut().zip(from).for_each(|(into, from)| *into = *from);
    taken
}

impl Rates {
    /// Counts a frame by its head.
    fn begun(&mut self, policy: &Policy, frame: &Frame, now: Instant) -> Result<(), Flood> {
        match frame.kind {
            Kind::RstStream => take(&mut self.resets, policy.resets, now).ok_or(Flood::Resets),
            Kind::Settings => take(&mut self.settings, policy.settings, now).ok_or(Flood::Settings),
            Kind::Ping => take(&mut self.pings, policy.pings, now).ok_or(Flood::Pings),
            Kind::Priority => {
                take(&mut self.priorities, NonZeroU32::new(PRIORITIES), now).ok_or(Flood::Priorities)
            }
            Kind::Other => take(&mut self.unknown_frames, NonZeroU32::new(UNKNOWN_FRAMES), now)
                .ok_or(Flood::UnknownFrames),
            Kind::Data if frame.telling() == 0 => self.content(frame, frame.length, now),
            // Streams and their heads are bounded by the library, and by the quota.
            Kind::Data | Kind::Headers | Kind::Continuation | Kind::WindowUpdate => Ok(()),
        }
    }

    /// Counts a frame by the first bytes of its payload.
    fn told(&mut self, policy: &Policy, frame: &Frame, bytes: [u8; 4], now: Instant) -> Result<(), Flood> {
        let [first, ..] = bytes;
        match (frame.kind, u32::from_be_bytes(bytes) & 0x7fff_ffff) {
            (Kind::Data, _) => self.content(frame, frame.content(first), now),
            // RFC 9113 §6.9: an error of the stream, which the library answers with a reset.
            (_, 0) => take(&mut self.resets, policy.resets, now).ok_or(Flood::Resets),
            (_, 1..TINY_INCREMENT) => take(&mut self.window_updates, NonZeroU32::new(WINDOW_UPDATES), now)
                .ok_or(Flood::WindowUpdates),
            _ => Ok(()),
        }
    }

    fn content(&mut self, frame: &Frame, content: u32, now: Instant) -> Result<(), Flood> {
        match content {
            _ if frame.has(END_STREAM) => Ok(()),
            0 => take(&mut self.empty_data, NonZeroU32::new(EMPTY_DATA), now).ok_or(Flood::EmptyData),
            1..TINY_CONTENT => {
                take(&mut self.tiny_data, NonZeroU32::new(TINY_DATA), now).ok_or(Flood::TinyData)
            }
            _ => Ok(()),
        }
    }
}

fn take(bucket: &mut Bucket, rate: Option<NonZeroU32>, now: Instant) -> Option<()> {
    rate.is_none_or(|rate| bucket.take(rate.get(), now)).then_some(())
}
