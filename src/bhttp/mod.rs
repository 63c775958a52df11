//! Heads of Binary HTTP (RFC 9292), known-length form: what opens a stream of the HTTP binding (oap1 §5).
//!
//! | part | request | response |
//! |---|---|---|
//! | framing indicator | 0 | 1 |
//! | control data | method, scheme, authority, path, each behind its length | status |
//! | header section | its length, then per field: length, name, length, value | the same |
//!
//! All numbers are QUIC's variable-length integers. What follows a head (content, padding) is the stream's business, and
//! so is the transfer of a body: nothing here knows frames, credit or HTTP/1.

mod encode;
mod error;
mod fields;
mod head;
mod parse;
#[cfg(test)]
mod tests;
mod varint;

pub use encode::{encode_request_head, encode_response_head};
pub use error::BadMessage;
pub use fields::Fields;
pub use head::{RequestHead, ResponseHead};
pub use parse::{Progress, parse_request_head, parse_response_head};

pub(crate) use head::Head;
pub(crate) use varint::{Varint, take_varint, varint_len};

/// Longest head, framing indicator to last field, in bytes (oap1 §5).
pub const MAX_HEAD: usize = 80 * 1024;
/// Most fields of a head (oap1 §5).
pub const MAX_FIELDS: usize = 128;
