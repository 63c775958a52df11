//! The frame of oap1 §1: a header of 38 bytes, capability, payload.
//!
//! Decoding wants the whole frame at hand. It refuses only what cannot be cut into frames at all; judging a frame
//! is the test's business.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Bytes of a frame before its capability.
pub const HEADER_LEN: usize = 38;

/// `app_proto_id` of the HTTP binding (oap1 §5); 0 is control.
pub const HTTP_BINDING: u16 = 0x0401;

/// Bits of `flags`.
pub mod flag {
    /// From the client.
    pub const REQ: u16 = 1;
    /// From the server.
    pub const RESP: u16 = 1 << 1;
    /// An announcement of the server, part of no stream.
    pub const EVENT: u16 = 1 << 2;
    /// First frame of its direction.
    pub const START: u16 = 1 << 3;
    /// Last frame of its direction.
    pub const END: u16 = 1 << 4;
    /// Asks for credit at once.
    pub const ACK_REQ: u16 = 1 << 5;
    /// The payload is compressed.
    pub const COMP: u16 = 1 << 6;
    /// The payload is encrypted end to end.
    pub const APP_E2E: u16 = 1 << 7;
    /// Returns credit (oap1 §4).
    pub const ACK: u16 = 1 << 8;
}

/// One frame. Every field goes onto the wire as it stands here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// `ver`; 1 where nothing else is meant.
    pub version: u16,
    /// See [`flag`].
    pub flags: u16,
    /// Status.
    pub code: u16,
    /// 0 or [`HTTP_BINDING`].
    pub app_proto_id: u16,
    /// The tenant's number; 0 for none.
    pub tenant_id: u128,
    /// `corr_id` on the wire.
    pub stream: u64,
    /// Capability token.
    pub capability: Bytes,
    /// What follows.
    pub payload: Bytes,
}

/// Bytes that cannot be cut into frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadFrame {
    /// `len` is below the header's own 38.
    ShorterThanHeader(u32),
    /// `len` is above the bound that the caller gave.
    Oversize(u32),
    /// `cap_len` reaches past the frame.
    CapabilityBeyondFrame(u16),
}

impl Frame {
    /// A frame of the HTTP binding without capability, code or tenant.
    pub fn new(stream: u64, flags: u16, payload: impl Into<Bytes>) -> Self {
        Self {
            version: 1,
            flags,
            code: 0,
            app_proto_id: HTTP_BINDING,
            tenant_id: 0,
            stream,
            capability: Bytes::new(),
            payload: payload.into(),
        }
    }

    /// A frame of `app_proto_id` 0.
    pub fn control(stream: u64, flags: u16, payload: impl Into<Bytes>) -> Self {
        Self { app_proto_id: 0, ..Self::new(stream, flags, payload) }
    }

    /// The frame that returns credit: `side` is the flag of its sender.
    pub fn ack(stream: u64, side: u16, up_to: u64) -> Self {
        Self::new(stream, side | flag::ACK, Bytes::copy_from_slice(&up_to.to_be_bytes()))
    }

    /// The same frame with a code.
    #[must_use]
    pub fn code(self, code: u16) -> Self {
        Self { code, ..self }
    }

    /// The same frame for a tenant.
    #[must_use]
    pub fn tenant(self, tenant_id: u128) -> Self {
        Self { tenant_id, ..self }
    }

    /// The same frame with a capability.
    #[must_use]
    pub fn capability(self, token: impl Into<Bytes>) -> Self {
        Self { capability: token.into(), ..self }
    }

    /// Whether all of `bits` are set.
    pub fn has(&self, bits: u16) -> bool {
        self.flags & bits == bits
    }

    /// The `len` that is true of this frame.
    pub fn len(&self) -> u32 {
        u32::try_from(HEADER_LEN + self.capability.len() + self.payload.len()).expect("a frame below 4 GiB")
    }

    /// Whether nothing follows the header.
    pub fn is_empty(&self) -> bool {
        self.capability.is_empty() && self.payload.is_empty()
    }

    /// The frame's bytes.
    pub fn encode(&self) -> Bytes {
        self.encode_lying(self.len(), u16::try_from(self.capability.len()).expect("a token below 64 KiB"))
    }

    /// The frame's bytes with another `len` and `cap_len` than the true ones.
    pub fn encode_lying(&self, len: u32, cap_len: u16) -> Bytes {
        let mut out = BytesMut::with_capacity(HEADER_LEN + self.capability.len() + self.payload.len());
        out.put_u32(len);
        out.put_u16(self.version);
        out.put_u16(self.flags);
        out.put_u16(self.code);
        out.put_u16(self.app_proto_id);
        out.put_u128(self.tenant_id);
        out.put_u16(cap_len);
        out.put_u64(self.stream);
        out.put_slice(&self.capability);
        out.put_slice(&self.payload);
        out.freeze()
    }

    /// Takes one frame off the front of `input`; `None` when it is not whole yet.
    pub fn decode(input: &mut BytesMut, max_frame: u32) -> Result<Option<Self>, BadFrame> {
        let Some(mut head) = input.get(..HEADER_LEN) else { return Ok(None) };
        let len = head.get_u32();
        if (len as usize) < HEADER_LEN {
            return Err(BadFrame::ShorterThanHeader(len));
        }
        if len > max_frame {
            return Err(BadFrame::Oversize(len));
        }
        let (version, flags, code, app_proto_id) =
            (head.get_u16(), head.get_u16(), head.get_u16(), head.get_u16());
        let (tenant_id, cap_len, stream) = (head.get_u128(), head.get_u16(), head.get_u64());
        let body = len as usize - HEADER_LEN;
        if usize::from(cap_len) > body {
            return Err(BadFrame::CapabilityBeyondFrame(cap_len));
        }
        if input.len() < len as usize {
            return Ok(None);
        }
        input.advance(HEADER_LEN);
        let capability = input.split_to(usize::from(cap_len)).freeze();
        let payload = input.split_to(body - usize::from(cap_len)).freeze();
        Ok(Some(Self { version, flags, code, app_proto_id, tenant_id, stream, capability, payload }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// oap1 §7, typed from the page.
    const HELLO: [u8; 48] = [
        0x00, 0x00, 0x00, 0x30, 0x00, 0x01, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, //
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, //
        0, 0, 0, 0, 0, 0, 0, 0, 0, 1, //
        0x7b, 0x22, 0x75, 0x61, 0x22, 0x3a, 0x22, 0x74, 0x22, 0x7d,
    ];

    #[test]
    fn the_worked_bytes_of_the_specification_come_out_and_go_in() {
        let frame = Frame::control(1, flag::REQ, &br#"{"ua":"t"}"#[..]);
        assert_eq!(frame.encode(), &HELLO[..]);
        let mut input = BytesMut::from(&HELLO[..]);
        assert_eq!(Frame::decode(&mut input, 1 << 20), Ok(Some(frame)));
        assert!(input.is_empty());
    }

    #[test]
    fn a_frame_that_is_not_whole_stays_where_it_is() {
        for cut in 0..HELLO.len() {
            let mut input = BytesMut::from(&HELLO[..cut]);
            assert_eq!(Frame::decode(&mut input, 1 << 20), Ok(None));
            assert_eq!(input.len(), cut);
        }
    }

    #[test]
    fn lengths_that_lie_are_written_and_refused() {
        let frame = Frame::new(7, flag::RESP, &b"abc"[..]);
        let decode = |bytes: Bytes| Frame::decode(&mut BytesMut::from(&bytes[..]), 1 << 20);
        assert_eq!(decode(frame.encode_lying(37, 0)), Err(BadFrame::ShorterThanHeader(37)));
        assert_eq!(decode(frame.encode_lying(41, 4)), Err(BadFrame::CapabilityBeyondFrame(4)));
        assert_eq!(decode(frame.encode_lying((1 << 20) + 1, 0)), Err(BadFrame::Oversize((1 << 20) + 1)));
    }

    proptest! {
        #[test]
        fn every_frame_comes_back(
            flags: u16, code: u16, app_proto_id: u16, tenant_id: u128, stream: u64,
            capability in proptest::collection::vec(any::<u8>(), 0..64),
            payload in proptest::collection::vec(any::<u8>(), 0..256),
        ) {
            let frame = Frame {
                version: 1, flags, code, app_proto_id, tenant_id, stream,
                capability: capability.into(), payload: payload.into(),
            };
            let mut input = BytesMut::from(&frame.encode()[..]);
            input.extend_from_slice(b"more");
            prop_assert_eq!(Frame::decode(&mut input, 1 << 20), Ok(Some(frame)));
            prop_assert_eq!(&input[..], b"more");
        }
    }
}
