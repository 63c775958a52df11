//! HELLO, both sides, both spellings (oap1 §3).

use bytes::Bytes;
use serde_json::{Value, json};

use super::frame::flag;

/// Which names the answer uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spelling {
    /// `flags_supported` (a number), `versions`.
    #[default]
    Current,
    /// `supported_flags` (names), `oap_versions`, `server_version`.
    Older,
}

/// What a server says of itself.
#[derive(Clone, Debug)]
pub struct ServerHello {
    /// Which names are used.
    pub spelling: Spelling,
    /// Largest frame that it takes, in bytes.
    pub max_frame: u32,
    /// Streams at once.
    pub max_inflight: u32,
    /// Flags that it speaks.
    pub flags: u16,
    /// Payload bytes of a request it takes unacknowledged; `None` leaves the key out.
    pub window: Option<u32>,
}

impl Default for ServerHello {
    fn default() -> Self {
        Self {
            spelling: Spelling::Current,
            max_frame: 1 << 20,
            max_inflight: 64,
            flags: flag::ACK,
            window: Some(256 * 1024),
        }
    }
}

impl ServerHello {
    /// The payload of the answer.
    pub fn encode(&self) -> Bytes {
        let mut hello = match self.spelling {
            Spelling::Current => json!({
                "max_frame": self.max_frame,
                "max_inflight": self.max_inflight,
                "flags_supported": self.flags,
                "versions": [1],
                "transports": ["tcp", "unix"],
            }),
            Spelling::Older => json!({
                "server_version": "scripted/1",
                "max_frame": self.max_frame,
                "max_inflight": self.max_inflight,
                "supported_flags": names(self.flags),
                "oap_versions": [1],
                "transports": ["tcp"],
            }),
        };
        if let (Some(window), Some(map)) = (self.window, hello.as_object_mut()) {
            drop(map.insert("window".into(), window.into()));
        }
        Bytes::from(hello.to_string())
    }
}

fn names(flags: u16) -> Vec<&'static str> {
    let all = ["REQ", "RESP", "EVENT", "START", "END", "ACK_REQ", "COMP", "APP_E2E", "ACK"];
    all.iter().enumerate().filter(|(bit, _)| flags & (1 << bit) != 0).map(|(_, name)| *name).collect()
}

/// What a client said of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// Its name.
    pub ua: String,
    /// Flags that it listed; 0 when it listed none.
    pub flags: u64,
    /// Payload bytes of an answer that it takes unacknowledged.
    pub window: Option<u64>,
}

impl ClientHello {
    /// Reads the payload of a HELLO request.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(payload).ok()?;
        Some(Self {
            ua: value.get("ua")?.as_str()?.to_owned(),
            flags: value.get("flags_supported").and_then(Value::as_u64).unwrap_or(0),
            window: value.get("window").and_then(Value::as_u64),
        })
    }

    /// Whether it asks for a multiplexed connection.
    pub fn wants_credit(&self) -> bool {
        self.flags & u64::from(flag::ACK) != 0 && self.window.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_say_the_same_in_their_own_words() {
        let current = ServerHello::default().encode();
        let current: Value = serde_json::from_slice(&current).unwrap();
        assert_eq!(current["flags_supported"], 256);
        assert_eq!(current["versions"], json!([1]));
        let older = ServerHello { spelling: Spelling::Older, ..ServerHello::default() }.encode();
        let older: Value = serde_json::from_slice(&older).unwrap();
        assert_eq!(older["supported_flags"], json!(["ACK"]));
        assert_eq!(older["oap_versions"], json!([1]));
        assert_eq!(older["window"], 262_144);
        assert!(older.get("versions").is_none());
    }

    #[test]
    fn a_client_without_flags_or_window_wants_an_exclusive_connection() {
        assert!(!ClientHello::decode(br#"{"ua":"t"}"#).unwrap().wants_credit());
        assert!(!ClientHello::decode(br#"{"ua":"t","flags_supported":256}"#).unwrap().wants_credit());
        assert!(
            ClientHello::decode(br#"{"ua":"t","flags_supported":256,"window":131072}"#)
                .unwrap()
                .wants_credit()
        );
        assert_eq!(ClientHello::decode(b"not json"), None);
    }
}
