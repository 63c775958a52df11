//! Encoded bodies, good ones and bombs.
//!
//! What grows is noise, which no encoder makes smaller, with zeros behind it, which every encoder makes next to nothing.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

/// A format, with the raw form of `deflate` as one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 1952
    Gzip,
    /// RFC 1950, by the name `deflate`
    Zlib,
    /// RFC 1951, by the same name
    Raw,
    /// RFC 7932
    Brotli,
}

impl Format {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Gzip, Self::Zlib, Self::Raw, Self::Brotli];

    /// Its `content-encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zlib | Self::Raw => "deflate",
            Self::Brotli => "br",
        }
    }

    /// Encodes.
    pub fn encode(self, plain: &[u8]) -> Bytes {
        let level = Compression::new(6);
        let encoded = match self {
            Self::Gzip => written(GzEncoder::new(Vec::new(), level), plain).finish(),
            Self::Zlib => written(ZlibEncoder::new(Vec::new(), level), plain).finish(),
            Self::Raw => written(DeflateEncoder::new(Vec::new(), level), plain).finish(),
            Self::Brotli => Ok(brotli(plain, 22)),
        };
        encoded.expect("memory takes it").into()
    }

    /// A body of about `len` bytes that becomes `tenths` / 10 times as much, and no less.
    pub fn growing(self, len: usize, tenths: usize) -> Bytes {
        let mut plain = noise(len);
        loop {
            let encoded = self.encode(&plain);
            let wanted = (encoded.len() * tenths).div_ceil(10);
            if plain.len() >= wanted {
                return encoded;
            }
            plain.resize(wanted, 0);
        }
    }

    /// A body of about `len` bytes that becomes `plain` bytes.
    pub fn becoming(self, len: usize, plain: usize) -> Bytes {
        let mut body = noise(len);
        body.resize(plain, 0);
        self.encode(&body)
    }
}

/// Brotli with a window of two to the power of `window`.
pub fn brotli(plain: &[u8], window: u32) -> Vec<u8> {
    written(brotli::CompressorWriter::new(Vec::new(), 4096, 5, window), plain).into_inner()
}

fn written<W: Write>(mut encoder: W, plain: &[u8]) -> W {
    encoder.write_all(plain).expect("memory takes it");
    encoder
}

/// Bytes that do not compress, the same ones every time.
pub fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_is_as_large_as_it_was_meant_to_be() {
        for format in Format::ALL {
            let body = format.growing(20_000, 101);
            assert!((20_000..22_000).contains(&body.len()), "{format:?}: {}", body.len());
            let bomb = format.becoming(10_000, 1_000_000);
            assert!((10_000..13_000).contains(&bomb.len()), "{format:?}: {}", bomb.len());
        }
    }
}
