//! The body gate of a request, both directions: what is counted, capped, hashed and held back, whichever way the
//! bytes go up. The relay and Pingora's body filters feed the same two types.
//!
//! Nothing here reads or writes: bytes in, a verdict out.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::object::{Address, Download, Upload, address_of_answer};
use crate::rejection::{Reason, Rejection};

/// How much of a consumed body is held so that the request can be repeated (http.md §7).
pub(super) const HOLD: usize = 64 * 1024;

/// The request's body on its way up.
pub(super) struct UploadGate {
    max: u64,
    seen: u64,
    digest: Option<Digest>,
}

struct Digest {
    hash: Upload,
    named: Option<Address>,
}

impl UploadGate {
    /// A gate that lets `max` bytes pass.
    pub(super) fn new(max: u64) -> Self {
        Self { max, seen: 0, digest: None }
    }

    /// A gate for an object upload: hashes what passes, and holds it against the address in the path if there is
    /// one.
    pub(super) fn object(max: u64, named: Option<Address>) -> Self {
        Self { max, seen: 0, digest: Some(Digest { hash: Upload::new(), named }) }
    }

    /// Body bytes that came.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// Checks a declared length before a byte is read.
    pub(super) fn check_declared(&self, declared: Option<u64>) -> Result<(), Rejection> {
        match declared {
            Some(length) if length > self.max => Err(Reason::BodyCap.into()),
            _ => Ok(()),
        }
    }

    /// Counts a piece; a piece that crosses the cap does not pass.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<(), Rejection> {
        self.seen = self.seen.saturating_add(piece.len() as u64);
        if self.seen > self.max {
            return Err(Reason::BodyCap.into());
        }
        if let Some(digest) = &mut self.digest {
            digest.hash.update(piece);
        }
        Ok(())
    }

    /// The body is complete. Called before END goes up, so that a wrong object is never stored (http.md §3).
    pub(super) fn finish(&mut self) -> Result<(), Rejection> {
        match &self.digest {
            Some(Digest { hash, named: Some(named) }) if hash.address() != *named => {
                Err(Reason::DigestMismatch.into())
            }
            _ => Ok(()),
        }
    }

    /// Whether this is an object's upload.
    pub(super) fn hashes(&self) -> bool {
        self.digest.is_some()
    }

    /// What the backend must have named the object: the digest of what passed.
    pub(super) fn address(&self) -> Option<Address> {
        self.digest.as_ref().map(|digest| digest.hash.address())
    }
}

/// What was consumed of a request's body, as long as all of it is held: repeats the request on another backend.
pub(super) struct Held {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    whole: bool,
}

impl Held {
    pub(super) fn new() -> Self {
        Self { pieces: VecDeque::new(), bytes: 0, whole: true }
    }

    /// Keeps a piece, or lets go of everything when it becomes too much.
    pub(super) fn push(&mut self, piece: &Bytes) {
        if !self.whole {
            return;
        }
        self.bytes = self.bytes.saturating_add(piece.len());
        if self.bytes > HOLD {
            self.whole = false;
            self.pieces = VecDeque::new();
        } else {
            self.pieces.push_back(piece.clone());
        }
    }

    /// Whether everything that was consumed is held.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Whether nothing was consumed.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The pieces from the first, to be sent again.
    pub(super) fn replay(&self) -> VecDeque<Bytes> {
        self.pieces.clone()
    }
}

/// The longest answer to an upload that is read before it is passed on.
const NAMING: usize = 4 * 1024;

/// The answer's body on its way down: what may pass at once, and what waits for END.
pub(super) struct DownloadGate {
    declared: Option<u64>,
    seen: u64,
    held: Option<Bytes>,
    check: Check,
}

/// What an answer's bytes are held against.
enum Check {
    /// Nothing but their number.
    None,
    /// An object's address.
    Digest(Box<Download>),
    /// The address of what was uploaded: all of the answer is held until it is read.
    Names(Address, BytesMut),
}

impl DownloadGate {
    /// A gate for an answer of `declared` bytes.
    pub(super) fn new(declared: Option<u64>) -> Self {
        Self { declared, seen: 0, held: None, check: Check::None }
    }

    /// A gate that also holds the bytes against an object's address; the last piece waits for the verdict.
    pub(super) fn verified(declared: Option<u64>, address: Address) -> Self {
        Self { check: Check::Digest(Box::new(Download::new(address))), ..Self::new(declared) }
    }

    /// A gate for the answer to an upload: nothing passes before it is known that it names no other object than
    /// `address`.
    pub(super) fn naming(declared: Option<u64>, address: Address) -> Self {
        Self { check: Check::Names(address, BytesMut::new()), ..Self::new(declared) }
    }

    /// Takes a piece, gives back what may be passed on now.
    ///
    /// oap1 §3: the last announced byte is passed on only with END.
    ///
    /// # Errors
    /// An answer to an upload that is longer than any that names an object.
    pub(super) fn take(&mut self, piece: Bytes) -> Result<Option<Bytes>, Mismatch> {
        self.seen = self.seen.saturating_add(piece.len() as u64);
        match &mut self.check {
            Check::None if self.declared != Some(self.seen) => return Ok(Some(piece)),
            Check::None => {}
            Check::Digest(digest) => digest.update(&piece),
            Check::Names(_, said) if said.len().saturating_add(piece.len()) > NAMING => return Err(Mismatch),
            Check::Names(_, said) => {
                said.extend_from_slice(&piece);
                return Ok(None);
            }
        }
        Ok(self.held.replace(piece))
    }

    /// The answer is whole: gives back what was held.
    ///
    /// # Errors
    /// The bytes are not what the address says, or name another one.
    pub(super) fn finish(&mut self) -> Result<Option<Bytes>, Mismatch> {
        match std::mem::replace(&mut self.check, Check::None) {
            Check::None => Ok(self.held.take()),
            Check::Digest(digest) => digest.finish().map(|()| self.held.take()).map_err(|_| Mismatch),
            Check::Names(address, said) => match address_of_answer(&said) {
                Some(named) if named != address => Err(Mismatch),
                _ => Ok(Some(said.freeze()).filter(|said| !said.is_empty())),
            },
        }
    }
}

/// An object's bytes are not what its address says, or an answer names another object than was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mismatch;

#[cfg(test)]
mod tests {
    use super::*;

    fn address_of(bytes: &[u8]) -> Address {
        let mut upload = Upload::new();
        upload.update(bytes);
        upload.address()
    }

    #[test]
    fn the_cap_is_the_last_byte_that_passes() {
        let mut gate = UploadGate::new(10);
        assert!(gate.check_declared(Some(10)).is_ok());
        assert_eq!(gate.check_declared(Some(11)).unwrap_err().reason, Reason::BodyCap);
        assert!(gate.take(&[0; 6]).is_ok());
        assert!(gate.take(&[0; 4]).is_ok());
        assert_eq!(gate.take(&[0; 1]).unwrap_err().reason, Reason::BodyCap);
    }

    #[test]
    fn an_upload_under_another_name_than_its_own_is_refused_at_its_end() {
        for (named, fits) in [(address_of(b"hello"), true), (address_of(b"other"), false)] {
            let mut gate = UploadGate::object(100, Some(named));
            gate.take(b"hel").unwrap();
            gate.take(b"lo").unwrap();
            assert_eq!(gate.finish().is_ok(), fits);
        }
    }

    #[test]
    fn a_body_is_held_whole_or_not_at_all() {
        let mut held = Held::new();
        held.push(&Bytes::from(vec![1; HOLD - 1]));
        held.push(&Bytes::from_static(b"x"));
        assert!(held.is_whole());
        assert_eq!(held.replay().iter().map(Bytes::len).sum::<usize>(), HOLD);
        held.push(&Bytes::from_static(b"y"));
        assert!(!held.is_whole());
        assert!(held.replay().is_empty());
    }

    #[test]
    fn the_last_announced_byte_waits_for_the_end() {
        let mut gate = DownloadGate::new(Some(5));
        assert_eq!(gate.take(Bytes::from_static(b"he")), Ok(Some(Bytes::from_static(b"he"))));
        assert_eq!(gate.take(Bytes::from_static(b"llo")), Ok(None));
        assert_eq!(gate.finish(), Ok(Some(Bytes::from_static(b"llo"))));
    }

    #[test]
    fn an_objects_last_piece_waits_for_its_digest() {
        for (sent, fits) in [(&b"hello"[..], true), (b"hellO", false), (b"hell", false), (b"hello!", false)] {
            let mut gate = DownloadGate::verified(None, address_of(b"hello"));
            let mut passed = Vec::new();
            for byte in sent {
                passed.extend(gate.take(Bytes::copy_from_slice(&[*byte])).unwrap());
            }
            assert_eq!(passed.len(), sent.len() - 1);
            assert_eq!(gate.finish().is_ok(), fits, "{sent:?}");
        }
    }
}
