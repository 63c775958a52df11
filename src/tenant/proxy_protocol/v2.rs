//! Version 2: binary.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{BadHeader, LONGEST_V2, Progress, Source};

pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family, length.
const FIXED: usize = 16;

pub(super) fn parse(input: &[u8]) -> Result<Progress, BadHeader> {
    let Some((fixed, rest)) = input.split_first_chunk::<FIXED>() else {
        return Ok(Progress::Needs(FIXED));
    };
    let &[.., command, family, high, low] = fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let total = FIXED + length;
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(BadHeader::Command),
    };
    let addresses = addresses(family)?;
    if total > LONGEST_V2 {
        return Err(BadHeader::TooLong);
    }
    if !is_local && length < addresses.len() {
        return Err(BadHeader::TooShort);
    }
    let Some(body) = rest.get(..length) else { return Ok(Progress::Needs(total)) };
    // §2.2: of LOCAL the receiver must take the real connection's endpoints, whatever stands there.
    let source = if is_local { Source::Local } else { addresses.source(body) };
    Ok(Progress::Complete { source, consumed: total })
}

/// What the address block holds.
#[derive(Clone, Copy)]
enum Addresses {
    V4,
    V6,
    /// Of a connection without addresses that we could use, so many bytes.
    Other(usize),
}

/// §2.2: family in the upper four bits, transport in the lower. What came as datagrams did not come as this stream did.
fn addresses(family: u8) -> Result<Addresses, BadHeader> {
    match family {
        0x00..=0x02 => Ok(Addresses::Other(0)),
        0x11 => Ok(Addresses::V4),
        0x21 => Ok(Addresses::V6),
        0x10 | 0x12 => Ok(Addresses::Other(12)),
        0x20 | 0x22 => Ok(Addresses::Other(36)),
        0x30..=0x32 => Ok(Addresses::Other(216)),
        _ => Err(BadHeader::Family),
    }
}

impl Addresses {
    /// Bytes of source, destination and both ports.
    fn len(self) -> usize {
        match self {
            Self::V4 => 12,
            Self::V6 => 36,
            Self::Other(len) => len,
        }
    }

    fn source(self, body: &[u8]) -> Source {
        let client = match self {
            Self::V4 => body.first_chunk::<12>().map(|&[a, b, c, d, _, _, _, _, high, low, ..]| {
                SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low]))
            }),
            Self::V6 => body.first_chunk::<16>().zip(body.get(32..34)).map(|(ip, port)| {
                let port = port.iter().fold(0, |port, byte| port << 8 | u16::from(*byte));
                SocketAddr::new(Ipv6Addr::from(*ip).into(), port)
            }),
            Self::Other(_) => None,
        };
        client.map_or(Source::Unknown, Source::Client)
    }
}
