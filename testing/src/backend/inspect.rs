//! What a client's frames and heads may not be (oap1 §1, §2, §4, §5), in words for the journal.

use crate::wire::{Frame, HTTP_BINDING, Head, Line, flag};

/// Bytes of a head, and fields (oap1 §5).
const HEAD: usize = 80 * 1024;
const FIELDS: usize = 128;

const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "http2-settings",
    "host",
];

/// Faults of a frame's header.
pub(super) fn frame(frame: &Frame, multiplexed: bool) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |wrong: bool, words: String| {
        if wrong {
            faults.push(words);
        }
    };
    fault(frame.version != 1, format!("version {}", frame.version));
    fault(!frame.has(flag::REQ) || frame.has(flag::RESP), format!("flags {:#x} from a client", frame.flags));
    fault(frame.has(flag::COMP), "COMP".to_owned());
    fault(frame.flags >> 9 != 0, format!("reserved flags {:#x}", frame.flags));
    fault(frame.has(flag::ACK) && !multiplexed, "ACK that was not agreed".to_owned());
    fault(
        frame.has(flag::ACK) && frame.flags != flag::REQ | flag::ACK,
        format!("ACK with {:#x}", frame.flags),
    );
    fault(frame.has(flag::ACK) && frame.payload.len() != 8, "an ACK that is not 8 bytes".to_owned());
    fault(!frame.capability.is_empty() && !frame.has(flag::START), "a capability without START".to_owned());
    fault(!matches!(frame.app_proto_id, 0 | HTTP_BINDING), format!("app_proto_id {:#x}", frame.app_proto_id));
    faults
}

/// Faults of a request head that took so many bytes.
pub(super) fn head(head: &Head, bytes: usize) -> Vec<String> {
    let mut faults = Vec::new();
    if bytes > HEAD || head.fields.len() > FIELDS {
        faults.push(format!("a head of {bytes} bytes and {} fields", head.fields.len()));
    }
    for (name, value) in &head.fields {
        let token = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
        };
        if name.is_empty() || !name.bytes().all(token) {
            faults.push(format!("the field name {name:?}"));
        }
        if HOP_BY_HOP.contains(&name.as_str()) {
            faults.push(format!("the field {name}"));
        }
        if value.contains(['\r', '\n', '\0']) {
            faults.push(format!("the value {value:?} of {name}"));
        }
    }
    let count = |wanted: &str| head.fields.iter().filter(|(name, _)| name == wanted).count();
    if count("content-length") > 1 || count("cookie") > 1 {
        faults.push("content-length or cookie more than once".to_owned());
    }
    if count("x-corr-id") != 1 || count("x-deadline-ms") != 1 {
        faults.push("not one x-corr-id and one x-deadline-ms".to_owned());
    }
    match &head.line {
        Line::Request { method, path, .. } => {
            if method.is_empty() || !(path.starts_with('/') || path == "*") {
                faults.push(format!("the request line {method:?} {path:?}"));
            }
        }
        Line::Response { .. } => faults.push("a response head".to_owned()),
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_request_has_no_fault_and_each_bad_one_its_own() {
        let line = Line::Request {
            method: "GET".into(),
            scheme: "http".into(),
            authority: "a".into(),
            path: "/".into(),
        };
        let good = [("x-corr-id", "1"), ("x-deadline-ms", "5000"), ("accept", "*/*")];
        let with = |more: &[(&str, &str)]| {
            let fields = good.iter().chain(more).map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            head(&Head { line: line.clone(), fields }, 100).len()
        };
        assert_eq!(with(&[]), 0);
        for bad in [("te", "x"), ("host", "a"), ("Accept", "b"), ("a", "b\r\nc"), ("x-corr-id", "2")] {
            assert_eq!(with(&[bad]), 1, "{bad:?}");
        }
        assert_eq!(frame(&Frame::new(1, flag::REQ | flag::START, ""), false).len(), 0);
        assert_eq!(frame(&Frame::ack(1, flag::REQ, 5), true).len(), 0);
        assert_eq!(frame(&Frame::ack(1, flag::REQ, 5), false).len(), 1);
        assert_eq!(frame(&Frame::new(1, flag::RESP, ""), true).len(), 1);
    }
}
