//! The 38-byte frame header of oap1 §1, and its flags.
//!
//! Checks here need nothing but the header itself; what the connection agreed on (direction, size, `ACK`) is held by
//! whoever reads the frame.
//!
//! | offset | field | size |
//! |---:|---|---:|
//! | 0 | `len`, of the whole frame | 4 |
//! | 4 | `ver` = 1 | 2 |
//! | 6 | `flags` | 2 |
//! | 8 | `code` | 2 |
//! | 10 | `app_proto_id` | 2 |
//! | 12 | `tenant_id` | 16 |
//! | 28 | `cap_len` | 2 |
//! | 30 | `corr_id` | 8 |

use std::ops::BitOr;

use bytes::BufMut;

use super::ProtocolError;

/// Length of a frame header, in bytes.
pub const HEADER_LEN: usize = 38;
/// Longest frame of the protocol, header included, in bytes; HELLO may lower it, nothing raises it.
pub const MAX_FRAME: u32 = 1 << 20;
/// The version that is spoken.
pub const VERSION: u16 = 1;
/// `app_proto_id` of HELLO and drain.
pub const CONTROL: u16 = 0;
/// `app_proto_id` of the HTTP binding.
pub const HTTP: u16 = 0x0401;
/// `code` of a `REQ|END` by which the client gives a stream up.
pub const GIVEN_UP: u16 = 499;
/// `code` of "not processed" and of the drain event.
pub const UNAVAILABLE: u16 = 503;

const HEADER_LEN_U32: u32 = 38;

/// A stream of a connection: the wire's `corr_id`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct StreamId(pub u64);

/// The flags of a frame. Bits that nobody knows are kept, and mean nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags(u16);

impl Flags {
    /// From the client.
    pub const REQ: Self = Self(1);
    /// From the server.
    pub const RESP: Self = Self(1 << 1);
    /// Belongs to no stream.
    pub const EVENT: Self = Self(1 << 2);
    /// Opens a stream, or its answer.
    pub const START: Self = Self(1 << 3);
    /// The sender's last frame of a stream.
    pub const END: Self = Self(1 << 4);
    /// The sender asks for credit at once.
    pub const ACK_REQ: Self = Self(1 << 5);
    /// Compressed payload; never agreed to.
    pub const COMP: Self = Self(1 << 6);
    /// End-to-end encrypted payload.
    pub const APP_E2E: Self = Self(1 << 7);
    /// Returns credit (oap1 §4).
    pub const ACK: Self = Self(1 << 8);
    /// No flag.
    pub const NONE: Self = Self(0);

    /// Whether all of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is set.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Those of either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// `other` as well, if `wanted`.
    #[must_use]
    pub const fn with(self, other: Self, wanted: bool) -> Self {
        if wanted { self.union(other) } else { self }
    }

    /// As on the wire.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// From the wire; unknown bits are kept.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

/// The header of one frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameHeader {
    /// Bytes of the whole frame: header, capability and payload.
    pub len: u32,
    /// What the frame is.
    pub flags: Flags,
    /// Status; 0 in a request that goes well.
    pub code: u16,
    /// 0 (control) or 0x0401 (HTTP).
    pub app_proto_id: u16,
    /// The tenant's id as a number, 0 for none.
    pub tenant_id: u128,
    /// Bytes of the capability token between header and payload (`cap_len`).
    pub capability_len: u16,
    /// The stream (`corr_id`).
    pub stream: StreamId,
}

impl FrameHeader {
    /// A header for a frame of the HTTP binding without capability, `payload` bytes long.
    #[must_use]
    pub fn http(stream: StreamId, flags: Flags, code: u16, payload: u32) -> Self {
        Self {
            len: HEADER_LEN_U32.saturating_add(payload),
            flags,
            code,
            app_proto_id: HTTP,
            tenant_id: 0,
            capability_len: 0,
            stream,
        }
    }

    /// Reads a header and refuses what no connection allows.
    ///
    /// # Errors
    ///
    /// Any of the first three reasons of oap1 §2, for as much of them as the header alone can show.
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Self, ProtocolError> {
        let [l0, l1, l2, l3, v0, v1, f0, f1, c0, c1, p0, p1, rest @ ..] = bytes;
        let (tenant, rest) = rest.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
        let (capability_len, rest) = rest.split_first_chunk::<2>().unwrap_or((&[0; 2], &[]));
        let stream = rest.first_chunk::<8>().unwrap_or(&[0; 8]);
        let header = Self {
            len: u32::from_be_bytes([*l0, *l1, *l2, *l3]),
            flags: Flags(u16::from_be_bytes([*f0, *f1])),
            code: u16::from_be_bytes([*c0, *c1]),
            app_proto_id: u16::from_be_bytes([*p0, *p1]),
            tenant_id: u128::from_be_bytes(*tenant),
            capability_len: u16::from_be_bytes(*capability_len),
            stream: StreamId(u64::from_be_bytes(*stream)),
        };
        header.check(u16::from_be_bytes([*v0, *v1]))?;
        Ok(header)
    }

    /// Writes the header as it stands.
    pub fn put(&self, out: &mut impl BufMut) {
        out.put_slice(&self.to_bytes());
    }

    /// The header as on the wire.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let mut out = bytes.as_mut_slice();
        out.put_u32(self.len);
        out.put_u16(VERSION);
        out.put_u16(self.flags.bits());
        out.put_u16(self.code);
        out.put_u16(self.app_proto_id);
        out.put_u128(self.tenant_id);
        out.put_u16(self.capability_len);
        out.put_u64(self.stream.0);
        bytes
    }

    /// Bytes of the payload.
    #[must_use]
    pub fn payload_len(&self) -> u32 {
        self.len.saturating_sub(HEADER_LEN_U32).saturating_sub(u32::from(self.capability_len))
    }

    fn check(&self, version: u16) -> Result<(), ProtocolError> {
        use ProtocolError::HeaderMalformed;
        // oap1 §1: 38 ≤ len ≤ 1 048 576.
        if self.len > MAX_FRAME {
            return Err(ProtocolError::FrameOversize { len: self.len, max: MAX_FRAME });
        }
        if self.len < HEADER_LEN_U32 {
            return Err(HeaderMalformed("shorter than its own header"));
        }
        if version != VERSION {
            return Err(ProtocolError::BadVersion(version));
        }
        // oap1 §2: `cap_len` > len − 38, or > 0 without START.
        if u32::from(self.capability_len) > self.len - HEADER_LEN_U32 {
            return Err(HeaderMalformed("capability longer than the frame"));
        }
        if self.capability_len > 0 && !self.flags.contains(Flags::START) {
            return Err(HeaderMalformed("capability without START"));
        }
        // oap1 §2: both or neither of REQ and RESP outside EVENT.
        if !self.flags.contains(Flags::EVENT)
            && self.flags.contains(Flags::REQ) == self.flags.contains(Flags::RESP)
        {
            return Err(HeaderMalformed("not one of REQ and RESP"));
        }
        if self.app_proto_id != CONTROL && self.app_proto_id != HTTP {
            return Err(HeaderMalformed("unknown app_proto_id"));
        }
        // oap1 §1: we never list COMP, so never receive it.
        if self.flags.contains(Flags::COMP) {
            return Err(HeaderMalformed("COMP was not agreed"));
        }
        Ok(())
    }
}
