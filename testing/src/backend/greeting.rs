//! How a scripted service meets a connection: HELLO, or something that is none.

use bytes::Bytes;

use super::script::Gate;
use crate::wire::{Frame, ServerHello, flag};

/// What happens on a new connection.
#[derive(Clone, Debug)]
pub enum Greeting {
    /// HELLO is answered like this.
    Answer(ServerHello),
    /// HELLO is answered when the gate opens.
    Late(Gate, ServerHello),
    /// HELLO is answered wrongly.
    Malformed(BadHello),
    /// HELLO is never answered.
    Silent,
    /// The connection is closed when HELLO has come.
    Close,
    /// The connection is reset as soon as it is there.
    Reset,
}

/// Answers to HELLO that are `bad_hello`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BadHello {
    /// A frame of the HTTP binding comes first.
    Missing,
    /// Not JSON.
    NotJson,
    /// JSON, but no object.
    NotAnObject,
    /// Longer than 64 KiB.
    TooLong,
    /// Code 500.
    OtherCode,
    /// Another `corr_id` than HELLO's.
    OtherId,
    /// `versions` 2 alone.
    NoCommonVersion,
    /// `max_frame` 128 KiB − 1.
    SmallFrames,
    /// `max_inflight` 0.
    NoStreams,
    /// `window` 128 KiB − 1.
    SmallWindow,
    /// `max_frame` a text.
    WrongType,
}

impl BadHello {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Missing,
        Self::NotJson,
        Self::NotAnObject,
        Self::TooLong,
        Self::OtherCode,
        Self::OtherId,
        Self::NoCommonVersion,
        Self::SmallFrames,
        Self::NoStreams,
        Self::SmallWindow,
        Self::WrongType,
    ];

    pub(super) fn bytes(self, id: u64) -> Bytes {
        let good = ServerHello::default();
        let answer = |payload: Bytes| Frame::control(id, flag::RESP, payload).code(200);
        let text = |text: &'static str| answer(Bytes::from_static(text.as_bytes()));
        let frame = match self {
            Self::Missing => Frame::new(id, flag::RESP, &b"data"[..]),
            Self::NotJson => text("max_frame=1048576"),
            Self::NotAnObject => text("[1048576]"),
            Self::TooLong => answer(format!("{{\"pad\":\"{}\"}}", "x".repeat(64 * 1024)).into()),
            Self::OtherCode => answer(good.encode()).code(500),
            Self::OtherId => Frame { stream: id.wrapping_add(1), ..answer(good.encode()) },
            Self::NoCommonVersion => text(r#"{"max_frame":1048576,"max_inflight":64,"versions":[2]}"#),
            Self::SmallFrames => answer(ServerHello { max_frame: 128 * 1024 - 1, ..good }.encode()),
            Self::NoStreams => answer(ServerHello { max_inflight: 0, ..good }.encode()),
            Self::SmallWindow => answer(ServerHello { window: Some(128 * 1024 - 1), ..good }.encode()),
            Self::WrongType => text(r#"{"max_frame":"1048576","max_inflight":64}"#),
        };
        frame.encode()
    }
}
