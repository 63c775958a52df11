//! From bytes to frames, however they are cut.
//!
//! The decoder holds 38 bytes at most: capability and payload stay in the caller's buffer, which takes them off piece by
//! piece as they arrive. It knows frames, not streams.

use bytes::{Buf, BytesMut};

use super::ProtocolError;
use super::frame::{FrameHeader, HEADER_LEN, MAX_FRAME};

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// A frame begins; its header has been taken off the buffer.
    Header(FrameHeader),
    /// So many bytes at the front of the buffer are a piece of the capability: take them off before going on.
    Capability(usize),
    /// So many bytes at the front of the buffer are a piece of the payload: take them off before going on.
    Payload(usize),
    /// The frame is whole.
    End,
}

/// Cuts a connection's bytes into frames.
#[derive(Debug)]
pub struct Decoder {
    max_frame: u32,
    header: [u8; HEADER_LEN],
    have: usize,
    inside: bool,
    capability: usize,
    payload: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            max_frame: MAX_FRAME,
            header: [0; HEADER_LEN],
            have: 0,
            inside: false,
            capability: 0,
            payload: 0,
        }
    }
}

impl Decoder {
    /// Holds frames from now on against `max_frame` bytes.
    pub fn set_max_frame(&mut self, max_frame: u32) {
        self.max_frame = max_frame;
    }

    /// Whether a frame has begun and not ended.
    #[must_use]
    pub fn is_inside_frame(&self) -> bool {
        self.inside || self.have > 0
    }

    /// The next item; `None` when `input` is used up.
    ///
    /// # Errors
    ///
    /// What is wrong with a header, on its last byte and before anything behind it is looked at. There is no going on
    /// after that.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Item>, ProtocolError> {
        if !self.inside {
            return self.header(input);
        }
        if self.capability > 0 {
            let piece = self.capability.min(input.len());
            self.capability -= piece;
            return Ok((piece > 0).then_some(Item::Capability(piece)));
        }
        if self.payload > 0 {
            let piece = self.payload.min(input.len());
            self.payload -= piece;
            return Ok((piece > 0).then_some(Item::Payload(piece)));
        }
        self.inside = false;
        Ok(Some(Item::End))
    }

    fn header(&mut self, input: &mut BytesMut) -> Result<Option<Item>, ProtocolError> {
        let header = match input.first_chunk::<HEADER_LEN>() {
            Some(whole) if self.have == 0 => {
                let header = FrameHeader::parse(whole);
                input.advance(HEADER_LEN);
                header?
            }
            _ => {
                let missing = self.header.get_mut(self.have..).unwrap_or_default();
                let piece = missing.len().min(input.len());
                for (to, from) in missing.iter_mut().zip(input.split_to(piece)) {
                    *to = from;
                }
                self.have += piece;
                if self.have < HEADER_LEN {
                    return Ok(None);
                }
                self.have = 0;
                FrameHeader::parse(&self.header)?
            }
        };
        // oap1 §2: `len` > the negotiated max_frame, before any allocation for the rest.
        if header.len > self.max_frame {
            return Err(ProtocolError::FrameOversize { len: header.len, max: self.max_frame });
        }
        self.inside = true;
        self.capability = usize::from(header.capability_len);
        self.payload = header.payload_len() as usize;
        Ok(Some(Item::Header(header)))
    }
}
