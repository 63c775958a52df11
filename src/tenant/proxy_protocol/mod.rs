//! The PROXY protocol, versions 1 and 2, as a receiver reads it (HAProxy's `proxy-protocol.txt`, revision of 2020/03/05).
//!
//! ```text
//! v1   "PROXY" SP ("TCP4" | "TCP6") SP source SP destination SP source-port SP destination-port CR LF
//!      "PROXY" SP "UNKNOWN" … CR LF                                                   at most 107 bytes
//! v2   signature 12 | version and command 1 | family 1 | length 2 | addresses, TLVs   at most 536 bytes
//! ```
//!
//! A header is looked at from its first byte each time, which its bounds make cheap. Extensions (TLVs) are skipped,
//! checksums among them. It does not ask whether the peer may speak it: the listener does, by its trusted addresses.

mod v1;
mod v2;

use std::net::SocketAddr;

/// Most bytes of a header of version 1, the line's end included (§2.1).
pub const LONGEST_V1: usize = 107;
/// Most bytes of a header of version 2: what fits into the first segment on any link (§2.2).
pub const LONGEST_V2: usize = 536;
/// Fewest bytes of a header: "PROXY UNKNOWN" and the line's end.
const SHORTEST: usize = 15;

/// Whom a proxy speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// This client.
    Client(SocketAddr),
    /// Itself: it looks whether we are well.
    Local,
    /// A client that it cannot name, or one without an IP address.
    Unknown,
}

/// How far a header has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It takes so many bytes in all to say more; never more than [`LONGEST_V2`].
    Needs(usize),
    /// It is whole.
    Complete {
        /// Whom the proxy speaks for.
        source: Source,
        /// Bytes of the header; what follows is the client's.
        consumed: usize,
    },
}

/// A connection that does not begin as it has to. It is closed without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHeader {
    /// Neither version begins like this.
    #[error("no PROXY protocol header")]
    Signature,
    /// Version 1: the line is not over after [`LONGEST_V1`] bytes.
    #[error("a PROXY line of more than 107 bytes")]
    LineTooLong,
    /// Version 1: the line does not say what it must.
    #[error("a PROXY line that says no connection")]
    Line,
    /// Version 2: another version or an unknown command.
    #[error("an unknown PROXY protocol version or command")]
    Command,
    /// Version 2: an unknown address family or transport.
    #[error("an unknown address family")]
    Family,
    /// Version 2: more than [`LONGEST_V2`] bytes.
    #[error("a PROXY protocol header of more than 536 bytes")]
    TooLong,
    /// Version 2: shorter than its addresses.
    #[error("a PROXY protocol header that is shorter than its addresses")]
    TooShort,
}

/// Reads the beginning of a connection.
///
/// # Errors
/// It is no header; nothing that comes later can change that.
pub fn parse(input: &[u8]) -> Result<Progress, BadHeader> {
    if input.is_empty() {
        Ok(Progress::Needs(SHORTEST))
    } else if begins(input, v2::SIGNATURE) {
        v2::parse(input)
    } else if begins(input, v1::SIGNATURE) {
        v1::parse(input)
    } else {
        Err(BadHeader::Signature)
    }
}

/// Whether the input begins with the signature, or may when more of it has come.
fn begins(input: &[u8], signature: &[u8]) -> bool {
    let len = input.len().min(signature.len());
    input.get(..len) == signature.get(..len)
}

#[cfg(test)]
mod tests;
