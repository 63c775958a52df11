//! What a peer can break, and how much of the connection that costs.
//!
//! One variant per reason of oap1 §2. It does not count: whoever gets the error counts it by its [`ProtocolError::reason`].

use std::borrow::Cow;

use crate::bhttp::BadMessage;

/// A peer broke OAP/1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A frame is longer than the negotiated maximum.
    #[error("frame of {len} bytes, at most {max} were agreed")]
    FrameOversize {
        /// The frame's own idea of its length, in bytes.
        len: u32,
        /// The negotiated `max_frame`, in bytes.
        max: u32,
    },
    /// The header contradicts itself or what was agreed.
    #[error("malformed frame header: {0}")]
    HeaderMalformed(&'static str),
    /// The version is not 1.
    #[error("protocol version {0}, only 1 is spoken")]
    BadVersion(u16),
    /// The greeting is missing, unreadable or out of range.
    #[error("bad HELLO: {0}")]
    BadHello(Cow<'static, str>),
    /// More payload than the window allows, or an acknowledgement that cannot be.
    #[error("credit violation: {0}")]
    CreditViolation(&'static str),
    /// The connection ended inside a frame or with streams open.
    #[error("the connection ended early")]
    Truncated,
    /// A frame that the state of its stream does not allow.
    #[error("frame out of sequence: {0}")]
    BadSequence(&'static str),
    /// A message that is not what oap1 §5 allows.
    #[error("bad message: {0}")]
    BadMessage(#[from] BadMessage),
}

/// How much a [`ProtocolError`] takes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// No later byte of the connection can be trusted.
    Connection,
    /// Only the stream is given up.
    Stream,
}

impl ProtocolError {
    /// The label of `oap_rejects_total{reason}`; append-only.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::FrameOversize { .. } => "frame_oversize",
            Self::HeaderMalformed(_) => "header_malformed",
            Self::BadVersion(_) => "bad_version",
            Self::BadHello(_) => "bad_hello",
            Self::CreditViolation(_) => "credit_violation",
            Self::Truncated => "truncated",
            Self::BadSequence(_) => "bad_sequence",
            Self::BadMessage(_) => "bad_message",
        }
    }

    /// Whether the whole connection ends with it, or one stream.
    #[must_use]
    pub fn ends(&self) -> Ends {
        match self {
            Self::BadSequence(_) | Self::BadMessage(_) => Ends::Stream,
            _ => Ends::Connection,
        }
    }
}
