//! What both sides of a connection have in common: streams with credit, the output, who is to be woken, and the way of a
//! received frame up to the point where it matters whose side it is.
//!
//! What a frame means for a stream, and when a stream ends, is in `client` and `server`.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use super::ProtocolError;
use super::codec::{Decoder, Item};
use super::frame::{CONTROL, Flags, FrameHeader, StreamId};
use super::hello::{self, Settings};
use super::inbound::Inbound;
use super::outbound::{Outbound, Sent};
use super::output::Output;
use super::table::Table;
use super::wire::Wire;
use crate::bhttp::Head;

/// One stream. It leaves the table when it is closed, released, and none of its bytes waits in the output.
#[derive(Debug)]
pub(super) struct Stream<H, X> {
    pub(super) inbound: Inbound<H>,
    pub(super) outbound: Outbound,
    /// Nothing more is expected or sent on the wire.
    pub(super) closed: bool,
    /// The user of the core is done with it.
    pub(super) released: bool,
    /// What only one of the sides knows.
    pub(super) own: X,
    woken: bool,
    ack_queued: bool,
    ack_position: u64,
}

impl<H: Head, X> Stream<H, X> {
    pub(super) fn new(settings: &Settings, own: X) -> Self {
        Self {
            inbound: Inbound::new(settings.receiving()),
            outbound: Outbound::new(settings.sending()),
            closed: false,
            released: false,
            own,
            woken: false,
            ack_queued: false,
            ack_position: 0,
        }
    }
}

/// What becomes of the rest of the frame that is being read.
#[derive(Debug)]
enum Reading {
    Skip,
    Hello(BytesMut),
    Credit { up_to: [u8; 8], have: usize },
    Stream { left: usize },
}

/// The part of a connection that does not depend on the side.
#[derive(Debug)]
pub(super) struct Connection<H, X> {
    pub(super) wire: Wire,
    pub(super) settings: Option<Settings>,
    pub(super) streams: Table<Stream<H, X>>,
    pub(super) over: bool,
    /// Streams whose user is not done with them.
    pub(super) live: usize,
    decoder: Decoder,
    header: Option<FrameHeader>,
    reading: Reading,
    woken: VecDeque<StreamId>,
    acks: VecDeque<StreamId>,
}

/// What a side makes of frames that have passed the connection's checks.
pub(super) trait Side {
    type Head: Head;
    type Own;

    fn connection(&mut self) -> &mut Connection<Self::Head, Self::Own>;
    /// HELLO or its answer, whole.
    fn on_hello(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), ProtocolError>;
    /// An event, its payload aside.
    fn on_event(&mut self, header: &FrameHeader);
    /// The header of a frame of a stream; whether the rest of it is wanted.
    fn on_frame(&mut self, header: &FrameHeader) -> Result<bool, ProtocolError>;
    /// `len` bytes at the front of `input` are a piece of the capability.
    fn on_capability(&mut self, header: &FrameHeader, piece: &[u8]);
    /// `len` bytes at the front of `input` are a piece of the payload, `left` more follow. It takes off what it keeps.
    fn on_payload(&mut self, header: &FrameHeader, input: &mut BytesMut, len: usize, left: usize);
    /// The frame is whole.
    fn on_frame_end(&mut self, header: &FrameHeader);
}

/// Feeds all of `input` to a side.
pub(super) fn receive<S: Side>(side: &mut S, input: &mut BytesMut) -> Result<(), ProtocolError> {
    loop {
        let connection = side.connection();
        // An exclusive connection may end in the middle of this.
        if connection.over {
            input.clear();
            return Ok(());
        }
        match connection.decoder.next(input)? {
            None => return Ok(()),
            Some(Item::Header(header)) => {
                connection.wire.counters.received.count(&header);
                connection.header = Some(header);
                let reading = begin(side, &header)?;
                side.connection().reading = reading;
            }
            Some(Item::Capability(len)) => {
                if let (Some(header), Reading::Stream { .. }) = (connection.header, &connection.reading) {
                    side.on_capability(&header, input.get(..len).unwrap_or_default());
                }
                input.advance(len);
            }
            Some(Item::Payload(len)) => payload(side, input, len),
            Some(Item::End) => finish(side)?,
        }
    }
}

fn begin<S: Side>(side: &mut S, header: &FrameHeader) -> Result<Reading, ProtocolError> {
    side.connection().check(header)?;
    if header.flags.contains(Flags::EVENT) {
        side.on_event(header);
        return Ok(Reading::Skip);
    }
    if header.app_proto_id == CONTROL {
        hello::check_header(header)?;
        return Ok(Reading::Hello(BytesMut::with_capacity(header.payload_len() as usize)));
    }
    if header.flags.contains(Flags::ACK) {
        return Ok(Reading::Credit { up_to: [0; 8], have: 0 });
    }
    if side.on_frame(header)? {
        Ok(Reading::Stream { left: header.payload_len() as usize })
    } else {
        Ok(Reading::Skip)
    }
}

fn payload<S: Side>(side: &mut S, input: &mut BytesMut, len: usize) {
    let connection = side.connection();
    match &mut connection.reading {
        Reading::Skip => input.advance(len),
        Reading::Hello(gathered) => gathered.extend_from_slice(&input.split_to(len)),
        Reading::Credit { up_to, have } => {
            for (to, from) in up_to.iter_mut().skip(*have).zip(input.split_to(len)) {
                *to = from;
            }
            *have += len;
        }
        Reading::Stream { left } => {
            *left -= len;
            let left = *left;
            let behind = input.len().saturating_sub(len);
            if let Some(header) = connection.header {
                side.on_payload(&header, input, len, left);
            }
            // What a broken stream leaves there is payload still, never the next frame's header.
            input.advance(input.len().saturating_sub(behind));
        }
    }
}

fn finish<S: Side>(side: &mut S) -> Result<(), ProtocolError> {
    let connection = side.connection();
    let reading = std::mem::replace(&mut connection.reading, Reading::Skip);
    let Some(header) = connection.header.take() else { return Ok(()) };
    match reading {
        Reading::Skip => Ok(()),
        Reading::Hello(payload) => side.on_hello(&header, &payload),
        Reading::Credit { up_to, .. } => connection.on_credit(header.stream, u64::from_be_bytes(up_to)),
        Reading::Stream { .. } => {
            side.on_frame_end(&header);
            Ok(())
        }
    }
}

impl<H: Head, X> Connection<H, X> {
    /// `side` is the flag of what is sent.
    pub(super) fn new(side: Flags) -> Self {
        Self {
            wire: Wire::new(side),
            settings: None,
            streams: Table::new(1),
            over: false,
            live: 0,
            decoder: Decoder::default(),
            header: None,
            reading: Reading::Skip,
            woken: VecDeque::new(),
            acks: VecDeque::new(),
        }
    }

    /// HELLO has settled this.
    pub(super) fn settle_on(&mut self, settings: Settings) {
        self.decoder.set_max_frame(settings.max_frame);
        self.wire.set_max_frame(settings.max_frame);
        self.streams = Table::new(settings.max_inflight);
        self.settings = Some(settings);
    }

    pub(super) fn is_multiplexed(&self) -> bool {
        self.settings.is_some_and(|settings| settings.multiplexed)
    }

    pub(super) fn is_inside_frame(&self) -> bool {
        self.decoder.is_inside_frame()
    }

    /// Checks of oap1 §2 that need to know the connection, on the header of a frame.
    fn check(&self, header: &FrameHeader) -> Result<(), ProtocolError> {
        use ProtocolError::HeaderMalformed;
        let flags = header.flags;
        let event = flags.contains(Flags::EVENT);
        // oap1 §2: a frame of the wrong direction.
        if !event && flags.contains(self.wire.side()) {
            return Err(HeaderMalformed("wrong direction"));
        }
        if flags.contains(Flags::ACK) {
            self.check_ack(header)?;
        }
        // oap1 §3: HELLO comes first on every connection.
        if self.settings.is_none() && !event && header.app_proto_id != CONTROL {
            return Err(hello::bad("missing"));
        }
        Ok(())
    }

    fn check_ack(&self, header: &FrameHeader) -> Result<(), ProtocolError> {
        use ProtocolError::HeaderMalformed;
        // oap1 §2: an ACK that was not agreed.
        if !self.is_multiplexed() {
            return Err(HeaderMalformed("ACK was not agreed"));
        }
        // oap1 §4: ACK and the flag of its sender, nothing else; about a stream, so not on control.
        let others = Flags::EVENT | Flags::START | Flags::END | Flags::ACK_REQ | Flags::APP_E2E;
        if header.flags.intersects(others) || header.app_proto_id == CONTROL {
            return Err(HeaderMalformed("ACK beside something else"));
        }
        // oap1 §2: an ACK whose payload is not 8 bytes.
        if header.payload_len() != 8 {
            return Err(ProtocolError::CreditViolation("an ACK is 8 bytes"));
        }
        Ok(())
    }

    fn on_credit(&mut self, id: StreamId, up_to: u64) -> Result<(), ProtocolError> {
        let Some(stream) = self.streams.get_mut(id).filter(|stream| !stream.closed) else {
            self.wire.counters.dropped += 1;
            return Ok(());
        };
        stream.outbound.credit.acknowledge(up_to)?;
        if stream.outbound.take_unblocked() {
            self.wake(id);
        }
        Ok(())
    }

    // oap1 §4: ACK_REQ asks for credit at once.
    pub(super) fn on_ack_request(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(id) {
            stream.inbound.credit.ask();
            self.queue_ack(id);
        }
    }

    pub(super) fn passed_on(&mut self, id: StreamId, bytes: u32) {
        if let Some(stream) = self.streams.get_mut(id) {
            stream.inbound.credit.pass_on(u64::from(bytes));
            self.queue_ack(id);
        }
    }

    pub(super) fn queue_ack(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        let wanted = !stream.closed && !stream.inbound.ended && stream.inbound.credit.is_due();
        if wanted && !stream.ack_queued {
            stream.ack_queued = true;
            self.acks.push_back(id);
        }
    }

    /// The output, with the credit that is due in it.
    pub(super) fn output(&mut self) -> &mut Output {
        self.settle();
        for _ in 0..self.acks.len() {
            let Some(id) = self.acks.pop_front() else { break };
            let Some(stream) = self.streams.get_mut(id) else { continue };
            if stream.closed || stream.inbound.ended {
                stream.ack_queued = false;
            } else if self.wire.output.has_left(stream.ack_position) {
                stream.ack_queued = false;
                let up_to = stream.inbound.credit.up_to();
                stream.ack_position = self.wire.put_ack(id, up_to);
            } else {
                // oap1 §4: hold at most one per stream unsent.
                self.acks.push_back(id);
            }
        }
        &mut self.wire.output
    }

    pub(super) fn wants_write(&self) -> bool {
        !self.over && (!self.wire.output.is_empty() || !self.acks.is_empty())
    }

    /// Books off what has been written: room for more of a stream, or the last of it.
    pub(super) fn settle(&mut self) {
        while let Some((id, bytes)) = self.wire.output.next_left() {
            let Some(stream) = self.streams.get_mut(id) else { continue };
            stream.outbound.unsent = stream.outbound.unsent.saturating_sub(bytes);
            if stream.outbound.take_unblocked() {
                self.wake(id);
            }
            self.remove_if_done(id);
        }
    }

    pub(super) fn insert(&mut self, id: StreamId, stream: Stream<H, X>) {
        self.live += 1;
        self.streams.insert(id, stream);
    }

    /// The user of the core is done with the stream.
    pub(super) fn release(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        if !std::mem::replace(&mut stream.released, true) {
            self.live -= 1;
        }
        self.remove_if_done(id);
    }

    pub(super) fn remove_if_done(&mut self, id: StreamId) {
        if !self
            .streams
            .get(id)
            .is_some_and(|stream| stream.closed && stream.released && stream.outbound.unsent == 0)
        {
            return;
        }
        self.streams.remove(id);
        // Whoever never asks who was woken, or cannot write, must not make the lists grow.
        let (streams, most) = (&self.streams, 2 * self.streams.len() + 64);
        for list in [&mut self.woken, &mut self.acks] {
            if list.len() > most {
                list.retain(|id| streams.get(*id).is_some());
            }
        }
    }

    pub(super) fn wake(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        if !stream.woken && !stream.released {
            stream.woken = true;
            self.woken.push_back(id);
        }
    }

    pub(super) fn next_woken(&mut self) -> Option<StreamId> {
        self.settle();
        while let Some(id) = self.woken.pop_front() {
            let Some(stream) = self.streams.get_mut(id) else { continue };
            stream.woken = false;
            if !stream.released {
                return Some(id);
            }
        }
        None
    }

    pub(super) fn send(&mut self, id: StreamId, data: &mut Bytes, end: bool) -> Sent {
        self.settle();
        match self.streams.get_mut(id) {
            Some(stream) if !stream.closed && !stream.released => {
                stream.outbound.send(&mut self.wire, id, data, end)
            }
            _ => Sent::Closed,
        }
    }

    /// Whether the stream has room for more, and how many of its bytes wait to be written.
    pub(super) fn has_room(&mut self, id: StreamId) -> (bool, usize) {
        self.settle();
        self.streams
            .get_mut(id)
            .filter(|stream| !stream.closed && !stream.released)
            .map_or((true, 0), |stream| (stream.outbound.has_room(), stream.outbound.unsent))
    }

    pub(super) fn credit(&self, id: StreamId) -> u32 {
        self.streams
            .get(id)
            .filter(|stream| !stream.closed)
            .map_or(0, |stream| stream.outbound.credit.available())
    }

    pub(super) fn has_unsent(&self, id: StreamId) -> bool {
        self.streams.get(id).is_some_and(|stream| !self.wire.output.has_left(stream.outbound.position))
    }

    /// Lengths of the lists of streams that are owed an ACK and that are to be woken.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> [usize; 2] {
        [self.acks.len(), self.woken.len()]
    }

    /// Nothing more will be read or written.
    pub(super) fn shut(&mut self) {
        self.over = true;
        self.wire.output.clear();
        self.acks.clear();
        self.settle();
    }
}
