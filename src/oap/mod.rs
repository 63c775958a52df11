//! OAP/1, the framed protocol between the gateway and the services behind it.
//!
//! A core in the strict sense: bytes go in, bytes and events come out. [`Client`] is the gateway's side of a connection,
//! [`Server`] a service's. Large payloads are cut through piece by piece and never gathered; every check of a frame is
//! made on its header, before anything is allocated for the rest.
//!
//! It does not read a socket or a clock, holds no lock, and does not wait: timeouts, retries and the choice of a
//! connection are its callers'.

mod client;
mod codec;
mod connection;
mod counters;
mod credit;
mod error;
mod frame;
mod hello;
mod inbound;
mod outbound;
mod output;
mod server;
mod table;
#[cfg(test)]
mod tests;
mod wire;

pub use client::{CannotOpen, Client, ClientConfig, Incoming, StartRequest};
pub use codec::{Decoder, Item};
pub use counters::{Counters, FrameCounts};
pub use error::{Ends, ProtocolError};
pub use frame::{
    CONTROL, Flags, FrameHeader, GIVEN_UP, HEADER_LEN, HTTP, MAX_FRAME, StreamId, UNAVAILABLE, VERSION,
};
pub use hello::{MAX_INFLIGHT, MAX_WINDOW, MIN_FRAME, MIN_WINDOW, Settings};
pub use outbound::Sent;
pub use output::Output;
pub use server::{Arriving, Server, ServerConfig};

pub use crate::bhttp::{MAX_FIELDS, MAX_HEAD};

/// Data is passed in pieces of about this many bytes: an I/O habit, not a limit. Also what one stream may hold unsent.
pub const CHUNK: usize = 64 * 1024;

/// Why a stream ended otherwise than whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamFailure {
    /// The server said that it has not looked at the request: safe to repeat elsewhere, whatever the method.
    #[error("not processed")]
    NotProcessed,
    /// The peer broke the protocol on this stream.
    #[error("{0}")]
    Protocol(ProtocolError),
    /// The answer had begun, and its END says that it failed: what arrived is not the whole.
    #[error("the answer broke off with {code}")]
    AfterStart {
        /// The code of END.
        code: u16,
    },
    /// The connection is gone.
    #[error("the connection is gone")]
    Lost,
}
