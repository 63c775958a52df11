//! OAP/1 and Binary HTTP, written a second time from the specification alone.
//!
//! For scripted peers: a mistake of the gateway's codec is not mirrored here, and what a gateway must refuse can
//! be written down at all (every field of a frame is free, lengths may lie).
//!
//! It does not hold limits, states or credit, and knows nothing of sockets.

mod bhttp;
mod frame;
mod hello;

pub use bhttp::{BadHead, Head, Line, field_section, request_head, response_head, varint};
pub use frame::{BadFrame, Frame, HEADER_LEN, HTTP_BINDING, flag};
pub use hello::{ClientHello, ServerHello, Spelling};
