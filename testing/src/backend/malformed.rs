//! One way to break each sentence of oap1 §2 and §5 that a server can break behind HELLO, with what the gateway must
//! make of it. HELLO's own are in [`BadHello`](super::BadHello).

use bytes::{BufMut, Bytes, BytesMut};

use crate::pattern;
use crate::wire::{Frame, HTTP_BINDING, flag, response_head, varint};

/// What the breach ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// The connection and every stream on it.
    Connection,
    /// The stream alone.
    Stream,
}

/// When a breach is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Where RESP|START was due: the client of the gateway gets 502.
    InsteadOfAnswer,
    /// After a good head that announces [`Moment::ANNOUNCED`] bytes, and [`Moment::SENT`] of them: its answer is cut.
    MidAnswer,
    /// While the client of the gateway still uploads.
    OpenUpload,
    /// Right after a good answer: that answer stands, the next request goes elsewhere.
    BetweenRequests,
}

impl Moment {
    /// Bytes that [`Moment::MidAnswer`] announces.
    pub const ANNOUNCED: usize = 100_000;
    /// Bytes that it sends.
    pub const SENT: usize = 50_000;
}

macro_rules! malformed {
    ($($(#[doc = $doc:literal])+ $name:ident => $reason:literal, $ends:ident, [$($moment:ident),+];)+) => {
        /// A breach; see [`Malformed::reason`], [`Malformed::ends`] and [`Malformed::moments`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Malformed { $($(#[doc = $doc])+ $name,)+ }

        impl Malformed {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The label of `oap_rejects_total`.
            pub fn reason(self) -> &'static str {
                match self { $(Self::$name => $reason,)+ }
            }

            /// What it ends.
            pub fn ends(self) -> Ends {
                match self { $(Self::$name => Ends::$ends,)+ }
            }

            /// When it can be committed.
            pub fn moments(self) -> &'static [Moment] {
                match self { $(Self::$name => &[$(Moment::$moment),+],)+ }
            }
        }
    };
}

malformed! {
    /// One byte over what HELLO settled, where that is below 1 MiB; else over 1 MiB.
    OverNegotiatedSize => "frame_oversize", Connection, [InsteadOfAnswer, MidAnswer, BetweenRequests];
    /// The largest length that can be written.
    HugeLength => "frame_oversize", Connection, [InsteadOfAnswer, MidAnswer, BetweenRequests];
    /// `len` 37.
    LengthBelowHeader => "header_malformed", Connection, [InsteadOfAnswer, MidAnswer, BetweenRequests];
    /// `len` 0.
    LengthZero => "header_malformed", Connection, [InsteadOfAnswer, MidAnswer, BetweenRequests];
    /// A capability longer than its frame.
    CapabilityBeyondFrame => "header_malformed", Connection, [InsteadOfAnswer, BetweenRequests];
    /// A capability without START.
    CapabilityWithoutStart => "header_malformed", Connection, [MidAnswer, BetweenRequests];
    /// Neither REQ nor RESP nor EVENT.
    NoDirection => "header_malformed", Connection, [InsteadOfAnswer, MidAnswer, BetweenRequests];
    /// REQ and RESP.
    BothDirections => "header_malformed", Connection, [InsteadOfAnswer, MidAnswer, BetweenRequests];
    /// REQ from a server.
    WrongDirection => "header_malformed", Connection, [InsteadOfAnswer, MidAnswer, BetweenRequests];
    /// `app_proto_id` 0x0402.
    UnknownProtocol => "header_malformed", Connection, [InsteadOfAnswer, MidAnswer, BetweenRequests];
    /// COMP, which nobody listed.
    Compressed => "header_malformed", Connection, [InsteadOfAnswer, MidAnswer, BetweenRequests];
    /// ACK on an exclusive connection; meaningless on a multiplexed one, where it is legal.
    AckNotAgreed => "header_malformed", Connection, [InsteadOfAnswer, MidAnswer];
    /// `ver` 0.
    VersionZero => "bad_version", Connection, [InsteadOfAnswer, MidAnswer, BetweenRequests];
    /// `ver` 2.
    VersionTwo => "bad_version", Connection, [InsteadOfAnswer, MidAnswer, BetweenRequests];
    /// One frame with more payload than the window (multiplexed only).
    BeyondWindowAtOnce => "credit_violation", Connection, [InsteadOfAnswer];
    /// Frames of 64 KiB, 32 MiB of them, without waiting for credit (multiplexed only). Sure to be noticed only where
    /// the gateway's client does not read.
    BeyondWindow => "credit_violation", Connection, [InsteadOfAnswer];
    /// An ACK of 7 bytes (multiplexed only).
    AckShort => "credit_violation", Connection, [InsteadOfAnswer, MidAnswer];
    /// An ACK of 9 bytes (multiplexed only).
    AckLong => "credit_violation", Connection, [InsteadOfAnswer, MidAnswer];
    /// An ACK below an earlier one (multiplexed only).
    AckGoesBack => "credit_violation", Connection, [InsteadOfAnswer, MidAnswer];
    /// An ACK of more than was sent (multiplexed only).
    AckPastSent => "credit_violation", Connection, [InsteadOfAnswer, MidAnswer];
    /// The end of the connection inside a header.
    EndInsideHeader => "truncated", Connection, [InsteadOfAnswer, MidAnswer, BetweenRequests];
    /// The end of the connection inside a payload.
    EndInsidePayload => "truncated", Connection, [InsteadOfAnswer, MidAnswer];
    /// The end of the connection between frames, with the stream open.
    EndWithOpenStream => "truncated", Connection, [InsteadOfAnswer, MidAnswer];
    /// A second RESP|START.
    SecondStart => "bad_sequence", Stream, [MidAnswer];
    /// RESP before RESP|START.
    DataBeforeStart => "bad_sequence", Stream, [InsteadOfAnswer];
    /// RESP|END code 0 without START.
    EndWithoutStart => "bad_sequence", Stream, [InsteadOfAnswer];
    /// RESP|END 500 without START.
    ErrorWithoutStart => "bad_sequence", Stream, [InsteadOfAnswer];
    /// RESP data behind RESP|END, both in one write, while the request is open.
    DataAfterEnd => "bad_sequence", Stream, [OpenUpload];
    /// Framing indicator 7.
    UnknownFraming => "bad_message", Stream, [InsteadOfAnswer];
    /// Framing indicator 0, a request.
    RequestHead => "bad_message", Stream, [InsteadOfAnswer];
    /// Framing indicator 3, an indeterminate-length response.
    IndeterminateLength => "bad_message", Stream, [InsteadOfAnswer];
    /// RESP|START|END with an empty payload.
    NoHead => "bad_message", Stream, [InsteadOfAnswer];
    /// RESP|START|END whose field section reaches past the payload.
    HeadCutShort => "bad_message", Stream, [InsteadOfAnswer];
    /// A field section whose last field reaches past it.
    FieldBeyondSection => "bad_message", Stream, [InsteadOfAnswer];
    /// Content section longer than the frame.
    ContentBeyondFrame => "bad_message", Stream, [InsteadOfAnswer];
    /// Bytes other than zero behind the content section.
    BytesBehindContent => "bad_message", Stream, [InsteadOfAnswer];
    /// A field name with a capital letter.
    CapitalInName => "bad_message", Stream, [InsteadOfAnswer];
    /// A field name with a colon.
    ColonInName => "bad_message", Stream, [InsteadOfAnswer];
    /// A field without a name.
    EmptyName => "bad_message", Stream, [InsteadOfAnswer];
    /// A field name with a blank.
    BlankInName => "bad_message", Stream, [InsteadOfAnswer];
    /// A value with CR LF: a header of the backend's choice in HTTP/1.1.
    LineInValue => "bad_message", Stream, [InsteadOfAnswer];
    /// A value with LF.
    LineFeedInValue => "bad_message", Stream, [InsteadOfAnswer];
    /// A value with NUL.
    NulInValue => "bad_message", Stream, [InsteadOfAnswer];
    /// `connection: close`.
    ConnectionField => "bad_message", Stream, [InsteadOfAnswer];
    /// `transfer-encoding: chunked`.
    TransferEncodingField => "bad_message", Stream, [InsteadOfAnswer];
    /// `keep-alive`.
    KeepAliveField => "bad_message", Stream, [InsteadOfAnswer];
    /// `upgrade`.
    UpgradeField => "bad_message", Stream, [InsteadOfAnswer];
    /// Two `content-length` that differ.
    TwoLengths => "bad_message", Stream, [InsteadOfAnswer];
    /// Two `content-length` that agree.
    SameLengthTwice => "bad_message", Stream, [InsteadOfAnswer];
    /// `content-length: +5`.
    LengthIsNoNumber => "bad_message", Stream, [InsteadOfAnswer];
    /// A head of more than 80 KiB.
    HeadTooLong => "bad_message", Stream, [InsteadOfAnswer];
    /// 129 fields.
    TooManyFields => "bad_message", Stream, [InsteadOfAnswer];
    /// Code 404 on a head of status 200.
    CodeUnlikeStatus => "bad_message", Stream, [InsteadOfAnswer];
    /// Status 103: informational responses are not sent.
    Informational => "bad_message", Stream, [InsteadOfAnswer];
    /// Status 600.
    StatusOutOfRange => "bad_message", Stream, [InsteadOfAnswer];
    /// END before the announced length.
    ShortContent => "bad_message", Stream, [MidAnswer];
    /// More bytes than announced.
    LongContent => "bad_message", Stream, [MidAnswer];
    /// A whole answer in one frame with less content than announced.
    ShortAtOnce => "bad_message", Stream, [InsteadOfAnswer];
    /// A whole answer in one frame with more content than announced.
    LongAtOnce => "bad_message", Stream, [InsteadOfAnswer];
}

/// What a breach needs to know of its surroundings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings {
    pub(super) stream: u64,
    pub(super) max_frame: u32,
    /// Payload of the request received so far.
    pub(super) received: u64,
}

impl Malformed {
    /// Whether it can happen in this mode.
    pub fn fits(self, multiplexed: bool) -> bool {
        match self {
            Self::AckNotAgreed => !multiplexed,
            _ => multiplexed || self.reason() != "credit_violation",
        }
    }

    /// Its bytes, written at once, and whether the connection ends behind them.
    pub(super) fn bytes(self, at: Surroundings) -> (Bytes, bool) {
        let ends = matches!(self, Self::EndInsideHeader | Self::EndInsidePayload | Self::EndWithOpenStream);
        (self.frames(at), ends)
    }

    fn frames(self, at: Surroundings) -> Bytes {
        let data = |flags: u16| Frame::new(at.stream, flags, &b"data"[..]);
        let resp = data(flag::RESP);
        let true_len = resp.len();
        match self {
            Self::OverNegotiatedSize => resp.encode_lying(at.max_frame + 1, 0),
            Self::HugeLength => resp.encode_lying(u32::MAX, 0),
            Self::LengthBelowHeader => resp.encode_lying(37, 0),
            Self::LengthZero => resp.encode_lying(0, 0),
            Self::CapabilityBeyondFrame => data(flag::RESP | flag::START).encode_lying(true_len, 5),
            Self::CapabilityWithoutStart => resp.capability(&b"tok"[..]).encode(),
            Self::NoDirection => data(0).encode(),
            Self::BothDirections => data(flag::REQ | flag::RESP).encode(),
            Self::WrongDirection => data(flag::REQ).encode(),
            Self::UnknownProtocol => Frame { app_proto_id: HTTP_BINDING + 1, ..resp }.encode(),
            Self::Compressed => data(flag::RESP | flag::COMP).encode(),
            Self::AckNotAgreed => Frame::ack(at.stream, flag::RESP, 0).encode(),
            Self::VersionZero => Frame { version: 0, ..resp }.encode(),
            Self::VersionTwo => Frame { version: 2, ..resp }.encode(),
            Self::BeyondWindowAtOnce => {
                let room = at.max_frame as usize - crate::wire::HEADER_LEN;
                join([open_head(at.stream), Frame::new(at.stream, flag::RESP, pattern(room))])
            }
            Self::BeyondWindow => {
                let piece = Frame::new(at.stream, flag::RESP, pattern(64 * 1024));
                join([open_head(at.stream)].into_iter().chain(std::iter::repeat_n(piece, 512)))
            }
            Self::AckShort => Frame::new(at.stream, flag::RESP | flag::ACK, vec![0; 7]).encode(),
            Self::AckLong => Frame::new(at.stream, flag::RESP | flag::ACK, vec![0; 9]).encode(),
            Self::AckGoesBack => {
                join([at.received, at.received - 1].map(|up_to| Frame::ack(at.stream, flag::RESP, up_to)))
            }
            Self::AckPastSent => Frame::ack(at.stream, flag::RESP, at.received + (16 << 20)).encode(),
            Self::EndInsideHeader => resp.encode().slice(..20),
            Self::EndInsidePayload => resp.encode_lying(true_len + 1000, 0),
            Self::EndWithOpenStream => Bytes::new(),
            Self::SecondStart => {
                Frame::new(at.stream, flag::RESP | flag::START, response_head(200, NONE, None))
                    .code(200)
                    .encode()
            }
            Self::DataBeforeStart => resp.encode(),
            Self::EndWithoutStart => Frame::new(at.stream, flag::RESP | flag::END, Bytes::new()).encode(),
            Self::ErrorWithoutStart => {
                Frame::new(at.stream, flag::RESP | flag::END, Bytes::new()).code(500).encode()
            }
            Self::DataAfterEnd => {
                let payload = response_head(200, &[("content-length", "2")], Some(b"ok"));
                let whole = flag::RESP | flag::START | flag::END;
                join([Frame::new(at.stream, whole, payload).code(200), resp])
            }
            Self::ShortContent => Frame::new(at.stream, flag::RESP | flag::END, Bytes::new()).encode(),
            Self::LongContent => {
                let more = pattern(Moment::ANNOUNCED - Moment::SENT + 1);
                Frame::new(at.stream, flag::RESP | flag::END, more).encode()
            }
            _ => {
                let (code, payload) = self.head();
                Frame::new(at.stream, flag::RESP | flag::START | flag::END, payload).code(code).encode()
            }
        }
    }

    /// The code and the payload of a START|END frame whose message is wrong.
    fn head(self) -> (u16, BytesMut) {
        let field = |name: &[u8], value: &[u8]| response_head(200, &[(name, value)], Some(b""));
        let lengths = |values: &[&str]| {
            let fields: Vec<_> = values.iter().map(|value| ("content-length", *value)).collect();
            response_head(200, &fields, Some(b"hello"))
        };
        let payload = match self {
            Self::UnknownFraming => indicator(7),
            Self::IndeterminateLength => indicator(3),
            Self::RequestHead => crate::wire::request_head("GET", "a", "/", NONE),
            Self::NoHead => BytesMut::new(),
            Self::HeadCutShort => {
                let whole = field(b"name", b"value");
                BytesMut::from(&whole[..whole.len() - 4])
            }
            Self::FieldBeyondSection => {
                let mut out = BytesMut::new();
                varint(&mut out, 1);
                varint(&mut out, 200);
                varint(&mut out, 4);
                out.put_slice(b"\x01n\x05v\x00");
                out
            }
            Self::ContentBeyondFrame => {
                let mut out = response_head(200, NONE, None);
                varint(&mut out, 10);
                out.put_slice(b"short");
                out
            }
            Self::BytesBehindContent => {
                let mut out = lengths(&["5"]);
                out.put_slice(b"\0\0x");
                out
            }
            Self::CapitalInName => field(b"Name", b"v"),
            Self::ColonInName => field(b"na:me", b"v"),
            Self::EmptyName => field(b"", b"v"),
            Self::BlankInName => field(b"na me", b"v"),
            Self::LineInValue => field(b"name", b"v\r\nset-cookie: stolen=1"),
            Self::LineFeedInValue => field(b"name", b"v\nx"),
            Self::NulInValue => field(b"name", b"v\0x"),
            Self::ConnectionField => field(b"connection", b"close"),
            Self::TransferEncodingField => field(b"transfer-encoding", b"chunked"),
            Self::KeepAliveField => field(b"keep-alive", b"timeout=5"),
            Self::UpgradeField => field(b"upgrade", b"websocket"),
            Self::TwoLengths => lengths(&["5", "6"]),
            Self::SameLengthTwice => lengths(&["5", "5"]),
            Self::LengthIsNoNumber => lengths(&["+5"]),
            Self::ShortAtOnce => lengths(&["6"]),
            Self::LongAtOnce => lengths(&["4"]),
            Self::HeadTooLong => field(b"name", &[b'v'; 80 * 1024]),
            Self::TooManyFields => {
                let fields: Vec<_> = (0..129).map(|n| (format!("n{n}"), "v")).collect();
                response_head(200, &fields, Some(b""))
            }
            Self::CodeUnlikeStatus => return (404, response_head(200, NONE, Some(b""))),
            Self::Informational => return (103, response_head(103, NONE, None)),
            Self::StatusOutOfRange => return (600, response_head(600, NONE, Some(b""))),
            other => unreachable!("{other:?} is not a matter of the head"),
        };
        (200, payload)
    }
}

const NONE: &[(&str, &str)] = &[];

fn indicator(framing: u64) -> BytesMut {
    let mut out = BytesMut::new();
    varint(&mut out, framing);
    out.extend_from_slice(&response_head(200, NONE, Some(b""))[1..]);
    out
}

fn open_head(stream: u64) -> Frame {
    let payload = response_head(200, &[("content-length", "67108864")], None);
    Frame::new(stream, flag::RESP | flag::START, payload).code(200)
}

fn join(frames: impl IntoIterator<Item = Frame>) -> Bytes {
    let mut out = BytesMut::new();
    for frame in frames {
        out.extend_from_slice(&frame.encode());
    }
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{BadFrame, Head};

    const AT: Surroundings = Surroundings { stream: 9, max_frame: 1 << 20, received: 40 };

    #[test]
    fn every_reason_of_the_specification_is_there_and_ends_what_it_says() {
        let ends = |reason: &str| {
            let mut all: Vec<_> =
                Malformed::ALL.iter().filter(|m| m.reason() == reason).map(|m| m.ends()).collect();
            all.dedup();
            all
        };
        for reason in ["frame_oversize", "header_malformed", "bad_version", "credit_violation", "truncated"] {
            assert_eq!(ends(reason), [Ends::Connection], "{reason}");
        }
        for reason in ["bad_sequence", "bad_message"] {
            assert_eq!(ends(reason), [Ends::Stream], "{reason}");
        }
    }

    #[test]
    fn what_is_wrong_in_the_message_is_right_in_the_frame() {
        for malformed in Malformed::ALL.iter().filter(|m| m.ends() == Ends::Stream) {
            let mut input = BytesMut::from(&malformed.bytes(AT).0[..]);
            while !input.is_empty() {
                let frame = Frame::decode(&mut input, 1 << 20).unwrap().expect("a whole frame");
                assert!(frame.version == 1 && frame.stream == 9 && frame.has(flag::RESP), "{malformed:?}");
            }
        }
    }

    #[test]
    fn what_is_wrong_in_the_frame_is_wrong_in_the_way_it_says() {
        let decode = |m: Malformed| Frame::decode(&mut BytesMut::from(&m.bytes(AT).0[..]), 1 << 20);
        assert_eq!(decode(Malformed::OverNegotiatedSize), Err(BadFrame::Oversize((1 << 20) + 1)));
        assert_eq!(decode(Malformed::LengthBelowHeader), Err(BadFrame::ShorterThanHeader(37)));
        assert_eq!(decode(Malformed::CapabilityBeyondFrame), Err(BadFrame::CapabilityBeyondFrame(5)));
        assert_eq!(decode(Malformed::EndInsideHeader), Ok(None));
        assert_eq!(decode(Malformed::EndInsidePayload), Ok(None));
        let unagreed = decode(Malformed::CapabilityWithoutStart).unwrap().unwrap();
        assert!(!unagreed.capability.is_empty() && !unagreed.has(flag::START));
    }

    #[test]
    fn heads_that_do_not_parse_do_not_parse_here_either() {
        use Malformed::{
            BytesBehindContent, ContentBeyondFrame, FieldBeyondSection, HeadCutShort, NoHead, UnknownFraming,
        };
        for malformed in
            [UnknownFraming, NoHead, HeadCutShort, FieldBeyondSection, ContentBeyondFrame, BytesBehindContent]
        {
            assert!(Head::decode(&malformed.head().1.freeze()).is_err(), "{malformed:?}");
        }
        assert!(Malformed::HeadTooLong.head().1.len() > 80 * 1024);
    }
}
