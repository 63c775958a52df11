//! HELLO: what the two sides of a connection say about themselves (oap1 §3), and what follows from it.
//!
//! Two spellings of the answer are in use, and both are read; the first is the one that is written.

use serde_json::Value;

use super::frame::{Flags, FrameHeader, MAX_FRAME};
use super::{ProtocolError, VERSION};

/// Smallest `max_frame` that may be announced, in bytes.
pub const MIN_FRAME: u32 = 128 * 1024;
/// Most streams at once; more is clamped.
pub const MAX_INFLIGHT: u32 = 1024;
/// Smallest window that may be announced, in bytes.
pub const MIN_WINDOW: u32 = 128 * 1024;
/// Largest window that is used, in bytes; more is clamped.
pub const MAX_WINDOW: u32 = 4 * 1024 * 1024;
/// Longest HELLO, in bytes of its payload.
const MAX_HELLO: u32 = 64 * 1024;
/// Streams at once where the server does not say.
const DEFAULT_INFLIGHT: u32 = 64;
/// `code` of an answer.
pub(super) const OK: u16 = 200;

/// Everything that is understood: all but COMP.
const SUPPORTED: Flags = Flags::from_bits(0x01bf);

/// What both sides agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Longest frame, header included, in bytes.
    pub max_frame: u32,
    /// Streams at once; 1 on an exclusive connection.
    pub max_inflight: u32,
    /// Whether streams share the connection, with credit.
    pub multiplexed: bool,
    /// Payload bytes of a stream that may be sent unacknowledged; 0 on an exclusive connection (no limit but TCP's).
    pub send_window: u32,
    /// The same for what is received.
    pub receive_window: u32,
}

impl Settings {
    /// The window for what is sent, where there is one.
    pub(super) fn sending(&self) -> Option<u32> {
        self.multiplexed.then_some(self.send_window)
    }

    /// The window for what is received, where there is one.
    pub(super) fn receiving(&self) -> Option<u32> {
        self.multiplexed.then_some(self.receive_window)
    }

    // oap1 §4: exclusive unless both list ACK and a window.
    fn agree(max_frame: u32, max_inflight: u32, ours: Option<u32>, theirs: Option<u32>) -> Self {
        match (ours, theirs) {
            (Some(receive_window), Some(send_window)) => {
                Self { max_frame, max_inflight, multiplexed: true, send_window, receive_window }
            }
            _ => Self { max_frame, max_inflight: 1, multiplexed: false, send_window: 0, receive_window: 0 },
        }
    }
}

/// A window of ours, as it may be announced.
pub(super) fn own_window(window: Option<u32>) -> Option<u32> {
    window.map(|bytes| bytes.clamp(MIN_WINDOW, MAX_WINDOW))
}

/// The client's HELLO; `window` is what it wants for multiplexing.
pub(super) fn request(user_agent: &str, window: Option<u32>) -> Vec<u8> {
    let user_agent = Value::from(user_agent);
    match window {
        Some(window) => {
            format!(r#"{{"ua":{user_agent},"flags_supported":{},"window":{window}}}"#, SUPPORTED.bits())
        }
        None => format!(r#"{{"ua":{user_agent}}}"#),
    }
    .into_bytes()
}

/// The server's answer.
pub(super) fn answer(user_agent: &str, max_frame: u32, max_inflight: u32, window: Option<u32>) -> Vec<u8> {
    let user_agent = Value::from(user_agent);
    let flags = if window.is_some() { SUPPORTED.bits() } else { SUPPORTED.bits() & !Flags::ACK.bits() };
    let window = window.map_or_else(String::new, |window| format!(r#""window":{window},"#));
    format!(
        r#"{{"ua":{user_agent},"max_frame":{max_frame},"max_inflight":{max_inflight},"flags_supported":{flags},{window}"versions":[{VERSION}],"transports":["tcp","tls","unix"]}}"#
    )
    .into_bytes()
}

/// Holds the header of a HELLO against its bound, before its payload is gathered.
pub(super) fn check_header(header: &FrameHeader) -> Result<(), ProtocolError> {
    // oap1 §2: longer than 64 KiB.
    if header.payload_len() > MAX_HELLO { Err(bad("longer than 64 KiB")) } else { Ok(()) }
}

/// What the client makes of an answer; `window` is its own.
pub(super) fn read_answer(code: u16, payload: &[u8], window: Option<u32>) -> Result<Settings, ProtocolError> {
    // oap1 §2: code other than 200.
    if code != OK {
        return Err(bad("code other than 200"));
    }
    let hello = Hello::parse(payload)?;
    let max_frame = hello.number("max_frame", MIN_FRAME, MAX_FRAME)?.unwrap_or(MAX_FRAME);
    let max_inflight = hello.number("max_inflight", 1, MAX_INFLIGHT)?.unwrap_or(DEFAULT_INFLIGHT);
    Ok(Settings::agree(max_frame, max_inflight, window, hello.window()?))
}

/// What the server makes of a client's HELLO; the rest is its own.
pub(super) fn read_request(
    payload: &[u8],
    max_frame: u32,
    max_inflight: u32,
    window: Option<u32>,
) -> Result<Settings, ProtocolError> {
    let hello = Hello::parse(payload)?;
    Ok(Settings::agree(max_frame, max_inflight, window, hello.window()?))
}

pub(super) fn bad(what: &'static str) -> ProtocolError {
    ProtocolError::BadHello(what.into())
}

/// A HELLO of either side in either spelling.
struct Hello(Value);

impl Hello {
    fn parse(payload: &[u8]) -> Result<Self, ProtocolError> {
        let hello: Value = serde_json::from_slice(payload)
            .map_err(|error| ProtocolError::BadHello(error.to_string().into()))?;
        if !hello.is_object() {
            return Err(bad("not a JSON object"));
        }
        let hello = Self(hello);
        hello.check_versions()?;
        Ok(hello)
    }

    /// The first of these keys that is there.
    fn find(&self, keys: [&str; 2]) -> Option<&Value> {
        keys.iter().find_map(|key| self.0.get(key)).filter(|value| !value.is_null())
    }

    // oap1 §3: more is clamped, less is `bad_hello`.
    fn number(&self, key: &'static str, least: u32, most: u32) -> Result<Option<u32>, ProtocolError> {
        let Some(value) = self.find([key, key]) else { return Ok(None) };
        match value.as_u64() {
            Some(number) if number >= u64::from(least) => {
                Ok(Some(u32::try_from(number).unwrap_or(most).min(most)))
            }
            _ => Err(ProtocolError::BadHello(format!("{key} out of range").into())),
        }
    }

    /// The window, if the side lists `ACK` as well.
    fn window(&self) -> Result<Option<u32>, ProtocolError> {
        let window = self.number("window", MIN_WINDOW, MAX_WINDOW)?;
        Ok(window.filter(|_| self.lists_ack()))
    }

    fn lists_ack(&self) -> bool {
        match self.find(["flags_supported", "supported_flags"]) {
            Some(Value::Array(names)) => names.iter().any(|name| name == "ACK"),
            Some(mask) => mask.as_u64().is_some_and(|bits| bits & u64::from(Flags::ACK.bits()) != 0),
            None => false,
        }
    }

    fn check_versions(&self) -> Result<(), ProtocolError> {
        let Some(versions) = self.find(["versions", "oap_versions"]) else { return Ok(()) };
        let common = versions.as_array().is_some_and(|list| list.iter().any(|version| *version == VERSION));
        if common { Ok(()) } else { Err(bad("no common version")) }
    }
}
