//! What is held of bodies: a request's, so that it can be repeated, and what of an answer waits for its END. What of a
//! request may pass at all is the [`upload`](super::upload) gate's to say. The relay and Pingora's body filters feed the
//! same types.
//!
//! Nothing here reads or writes: bytes in, a verdict out.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::caps::guard::STEP;
use crate::object::{Address, Download, address_of_answer};

/// How much of a consumed body is held so that the request can be repeated (http.md §7).
pub(super) const HOLD: usize = 64 * 1024;

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

    /// Lets go of everything when a whole step of a body that grows has passed: more is to come, and a step is what each of
    /// many such bodies would hold while it waits for its turn.
    pub(super) fn push_grown(&mut self, piece: &Bytes) {
        self.push(piece);
        if piece.len() >= STEP {
            self.whole = false;
            self.pieces = VecDeque::new();
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
        let mut held = Held::new();
        held.push_grown(&Bytes::from(vec![1; STEP - 1]));
        assert!(held.is_whole() && held.replay().len() == 1);
        let mut held = Held::new();
        held.push_grown(&Bytes::from(vec![1; STEP]));
        assert!(!held.is_whole() && !held.is_empty() && held.replay().is_empty());
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
            let mut gate = DownloadGate::verified(None, Address::of(b"hello"));
            let mut passed = Vec::new();
            for byte in sent {
                passed.extend(gate.take(Bytes::copy_from_slice(&[*byte])).unwrap());
            }
            assert_eq!(passed.len(), sent.len() - 1);
            assert_eq!(gate.finish().is_ok(), fits, "{sent:?}");
        }
    }
}
