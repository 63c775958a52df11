//! How much one request may bring: bytes as they arrive, and bytes that they become when they are decoded.
//!
//! | part | holds |
//! |---|---|
//! | [`check_head`], [`encoding`] | what a head declares: its length, and one content coding that we know |
//! | [`body`] | bytes as they arrive |
//! | [`guard`] | bytes as they come out of a decoder: a ratio past a floor, and a cap |
//! | [`memory`] | what all decoders together may hold |
//! | [`decode`] | the decoders, and nobody else names one |
//!
//! It reads no stream, edits no head and answers nobody: bytes in, bytes or a [`Breach`] out.

pub mod body;
pub mod decode;
pub mod encoding;
pub mod guard;
pub mod memory;

#[cfg(test)]
mod tests;

pub use body::BodyCap;
pub use encoding::Encoding;
pub use guard::{Guard, Turn};
pub use memory::Memory;

/// What a route does with an encoded body: `routes.*.decode` (config.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Decoded to be checked, forwarded as it came.
    Verify,
    /// Forwarded plain.
    Decode,
    /// Refused, whatever its encoding.
    Reject,
    /// Not looked at.
    Off,
}

/// What a route lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Bytes of a body as they arrive.
    pub body: u64,
    /// What happens to an encoded body.
    pub mode: Mode,
    /// What it may become.
    pub decode: guard::Policy,
}

/// A cap's no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Breach {
    /// More bytes than the body may have, declared or arrived.
    #[error("the body is too large")]
    BodyCap,
    /// A content coding that is not known or not wanted here, or more than one.
    #[error("the content coding is not supported")]
    Unsupported,
    /// The body becomes too many times what it is.
    #[error("the body grows too much when it is decoded")]
    DecodedRatio,
    /// The body becomes too large, or needs a decoder that is.
    #[error("the decoded body is too large")]
    DecodedCap,
    /// The body is not what its content coding says: corrupt, cut short, or followed by something else.
    #[error("the encoded body is malformed")]
    Malformed,
    /// The memory of all decoders is spent.
    #[error("no memory is left for a decoder")]
    Degraded,
}

/// Checks what a head says of its body, before a byte of that is read. `declared` is its content-length, `fields` the
/// values of its content-encoding fields in their order. Gives the coding that a [`Guard`] is to be made for.
///
/// # Errors
/// [`Breach::BodyCap`] and [`Breach::Unsupported`], in this order.
// http.md §1 step 5: declared length over the cap; encoding not gzip/deflate/br/identity, or more than one.
pub fn check_head<'a>(
    policy: &Policy,
    declared: Option<u64>,
    fields: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Encoding, Breach> {
    BodyCap::new(policy.body).check_declared(declared)?;
    match (policy.mode, Encoding::parse(fields)) {
        // A route that does not look at bodies has nothing to say of what they are encoded with.
        (Mode::Off, _) => Ok(Encoding::Identity),
        (_, None) => Err(Breach::Unsupported),
        (Mode::Reject, Some(encoding)) if encoding != Encoding::Identity => Err(Breach::Unsupported),
        (_, Some(encoding)) => Ok(encoding),
    }
}
