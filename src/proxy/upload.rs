//! The gate of a request's body on its way up: counted, capped, decoded and hashed, whichever way the bytes go. The
//! relay, Pingora's body filter and whoever gathers small bodies feed the same type.
//!
//! Nothing here reads or writes, or waits for its turn: bytes in, pieces that may pass or a no out.

use std::sync::Arc;

use bytes::Bytes;

use crate::caps::{BodyCap, Encoding, Guard, Memory, Mode, Policy, Turn};
use crate::edge::guard::unread::Body;
use crate::object::{Address, Upload};
use crate::rejection::{Reason, Rejection};

/// The request's body on its way up.
pub(super) struct UploadGate {
    max: u64,
    declared: Option<u64>,
    cap: BodyCap,
    guard: Guard,
    /// What another guard is made of; a body that is not decoded needs none.
    encoded: Option<Encoded>,
    digest: Option<Digest>,
    /// Counts what is read of it.
    unread: Option<Body>,
    /// What the guard has still to look at.
    raw: Bytes,
    /// All of it was found good; what comes now is the same once more.
    judged: bool,
    /// Decoded until then.
    decoded: u64,
    charged: u64,
}

struct Encoded {
    encoding: Encoding,
    policy: Policy,
    memory: Arc<Memory>,
}

struct Digest {
    hash: Upload,
    named: Option<Address>,
}

impl UploadGate {
    /// A gate for a body that its head says is encoded so. `memory` is what all decoders share.
    pub(super) fn new(policy: &Policy, encoding: Encoding, memory: &Arc<Memory>) -> Result<Self, Rejection> {
        let guard = Guard::new(encoding, policy.mode, policy.decode, memory)?;
        let encoded =
            guard.decodes().then(|| Encoded { encoding, policy: *policy, memory: Arc::clone(memory) });
        Ok(Self {
            max: policy.body,
            declared: None,
            cap: BodyCap::new(policy.body),
            guard,
            encoded,
            digest: None,
            unread: None,
            raw: Bytes::new(),
            judged: false,
            decoded: 0,
            charged: 0,
        })
    }

    /// The same for an object's upload: hashes what passes, and holds it against the address in the path if there is
    /// one.
    // http.md §3: over the bytes that it forwards.
    #[must_use]
    pub(super) fn hashing(self, named: Option<Address>) -> Self {
        Self { digest: Some(Digest { hash: Upload::new(), named }), ..self }
    }

    /// The same for a body of so many bytes, if its head says.
    #[must_use]
    pub(super) fn of_length(self, declared: Option<u64>) -> Self {
        Self { declared, ..self }
    }

    /// Whether all has come that the head has said, of a body that is forwarded with that length.
    pub(super) fn has_come(&self) -> bool {
        !self.rewrites() && self.declared == Some(self.cap.seen())
    }

    /// The same for a body over HTTP/2: what is read of it is unread no more.
    #[must_use]
    pub(super) fn reading(self, unread: Option<Body>) -> Self {
        Self { unread, ..self }
    }

    /// Body bytes that came.
    pub(super) fn seen(&self) -> u64 {
        self.cap.seen()
    }

    /// Whether what passes is not what came, so that nothing is known of its length before its end.
    pub(super) fn rewrites(&self) -> bool {
        self.encoded.as_ref().is_some_and(|encoded| encoded.policy.mode == Mode::Decode)
    }

    /// Whether the body is decoded, be it to check it.
    pub(super) fn decodes(&self) -> bool {
        self.guard.decodes()
    }

    /// Counts a piece that came, and takes it when the one before is used up; [`turn`](Self::turn) tells what may pass
    /// for it.
    ///
    /// # Errors
    /// `body_cap` for a piece that crosses the cap, which does not pass.
    pub(super) fn take(&mut self, piece: Bytes) -> Result<(), Rejection> {
        if !self.judged {
            self.count(&piece)?;
        }
        self.feed(piece);
        Ok(())
    }

    /// The first half of [`take`](Self::take): counts a piece.
    pub(super) fn count(&mut self, piece: &[u8]) -> Result<(), Rejection> {
        if let Some(unread) = &self.unread {
            unread.read(piece.len() as u64);
        }
        Ok(self.cap.take(piece)?)
    }

    /// The other half: a piece that was counted when it came.
    pub(super) fn feed(&mut self, piece: Bytes) {
        self.raw = piece;
    }

    /// Does about 64 KiB of work with what was taken.
    ///
    /// # Errors
    /// What becomes of the body when it is decoded may not be.
    pub(super) fn turn(&mut self) -> Result<Turn, Rejection> {
        let turn = self.guard.turn(&mut self.raw)?;
        if let (Turn::Piece(piece), Some(digest), false) = (&turn, &mut self.digest, self.judged) {
            digest.hash.update(piece);
        }
        Ok(turn)
    }

    /// Whether [`turn`](Self::turn) has certainly nothing more to give for what was taken.
    pub(super) fn is_dry(&self) -> bool {
        self.raw.is_empty() && !self.rewrites()
    }

    /// The body is complete. Called before END goes up, so that a wrong object is never stored (http.md §3).
    ///
    /// # Errors
    /// It was cut short, or is not what the path says.
    pub(super) fn finish(&mut self) -> Result<(), Rejection> {
        self.guard.finish()?;
        match &self.digest {
            Some(Digest { hash, named: Some(named) }) if !self.judged && hash.address() != *named => {
                Err(Reason::DigestMismatch.into())
            }
            _ => Ok(()),
        }
    }

    /// All of the body has been through, to its [`finish`](Self::finish), and was kept: it comes once more, to be
    /// forwarded.
    pub(super) fn has_judged(&mut self) {
        self.decoded = self.guard.decoded();
        self.judged = true;
        self.restart();
    }

    /// The body comes again from its first byte.
    pub(super) fn restart(&mut self) {
        self.raw = Bytes::new();
        self.guard = self.another_guard();
        if !self.judged {
            self.cap = BodyCap::new(self.max);
        }
    }

    fn another_guard(&self) -> Guard {
        match &self.encoded {
            Some(Encoded { encoding, policy, memory }) if !self.judged || self.rewrites() => {
                // The first one was made of the same.
                Guard::new(*encoding, policy.mode, policy.decode, memory).unwrap_or_else(|_| Guard::passing())
            }
            _ => Guard::passing(),
        }
    }

    /// The rest of the body is not wanted: nothing is held for it.
    pub(super) fn let_go(&mut self) {
        self.raw = Bytes::new();
        // Asked for what it lets go of, not for what it says.
        let _ = self.guard.finish();
    }

    /// Bytes to be charged since this was asked last: those that came, and those that they became.
    pub(super) fn due(&mut self) -> u64 {
        let decoded = if self.judged { self.decoded } else { self.guard.decoded() };
        let all = self.cap.seen().saturating_add(decoded);
        let due = all.saturating_sub(self.charged);
        self.charged = self.charged.saturating_add(due);
        due
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::caps::guard;

    fn gate(body: u64, mode: Mode, encoding: Encoding) -> UploadGate {
        let decode = guard::Policy { ratio: 10, floor: 64 << 10, max: 8 << 20, memory_total: 1 << 20 };
        UploadGate::new(&Policy { body, mode, decode }, encoding, &Arc::default()).unwrap()
    }

    fn gzip(plain: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap().into()
    }

    /// What passes for a body that comes in pieces of so many bytes.
    fn passed(gate: &mut UploadGate, body: &[u8], cut: usize) -> Result<Vec<u8>, Reason> {
        let mut passed = Vec::new();
        let mut all = || {
            for piece in body.chunks(cut) {
                gate.take(Bytes::copy_from_slice(piece))?;
                loop {
                    match gate.turn()? {
                        Turn::Piece(piece) => passed.extend_from_slice(&piece),
                        Turn::Again => {}
                        Turn::Dry => break,
                    }
                }
            }
            gate.finish()
        };
        let verdict: Result<(), Rejection> = all();
        verdict.map(|()| passed).map_err(|no| no.reason)
    }

    #[test]
    fn the_cap_is_the_last_byte_that_passes() {
        for mode in [Mode::Verify, Mode::Off] {
            assert_eq!(passed(&mut gate(10, mode, Encoding::Identity), &[0; 10], 6), Ok(vec![0; 10]));
            assert_eq!(passed(&mut gate(10, mode, Encoding::Identity), &[0; 11], 6), Err(Reason::BodyCap));
        }
    }

    #[test]
    fn an_upload_under_another_name_than_its_own_is_refused_at_its_end() {
        let encoded = gzip(b"hello");
        for (mode, encoding, body, named, fits) in [
            (Mode::Verify, Encoding::Identity, &b"hello"[..], Address::of(b"hello"), true),
            (Mode::Verify, Encoding::Identity, b"hello", Address::of(b"other"), false),
            // Over the bytes that are forwarded: as they came, or plain.
            (Mode::Verify, Encoding::Gzip, &encoded, Address::of(&encoded), true),
            (Mode::Verify, Encoding::Gzip, &encoded, Address::of(b"hello"), false),
            (Mode::Decode, Encoding::Gzip, &encoded, Address::of(b"hello"), true),
            (Mode::Decode, Encoding::Gzip, &encoded, Address::of(&encoded), false),
        ] {
            let mut gate = gate(100, mode, encoding).hashing(Some(named));
            let passed = passed(&mut gate, body, 3);
            assert_eq!(passed.is_ok(), fits, "{mode:?} {encoding:?}");
            if !fits {
                assert_eq!(passed, Err(Reason::DigestMismatch));
            }
            assert_eq!(gate.address() == Some(named), fits);
        }
    }

    #[test]
    fn a_body_that_was_judged_passes_once_more_and_costs_nothing_more() {
        let plain = vec![7; 50_000];
        let encoded = gzip(&plain);
        for (mode, rewrites) in [(Mode::Verify, false), (Mode::Decode, true)] {
            let mut gate = gate(encoded.len() as u64, mode, Encoding::Gzip).hashing(None);
            let crossing = if rewrites { plain.clone() } else { encoded.to_vec() };
            assert_eq!(passed(&mut gate, &encoded, 1000), Ok(crossing.clone()));
            gate.has_judged();
            assert_eq!(gate.due(), (encoded.len() + plain.len()) as u64);
            for _attempt in 0..2 {
                assert_eq!(passed(&mut gate, &encoded, 1000), Ok(crossing.clone()), "{mode:?}");
                gate.restart();
            }
            assert_eq!((gate.due(), gate.seen()), (0, encoded.len() as u64));
            assert_eq!((gate.rewrites(), gate.decodes()), (rewrites, rewrites));
            assert_eq!(gate.address(), Some(Address::of(&crossing)));
        }
    }

    #[test]
    fn a_body_that_begins_anew_is_counted_anew_and_charged_once() {
        let encoded = gzip(&[7; 50_000]);
        let mut gate = gate(encoded.len() as u64, Mode::Verify, Encoding::Gzip);
        gate.take(encoded.slice(..20)).unwrap();
        assert_eq!(gate.turn().unwrap(), Turn::Piece(encoded.slice(..20)));
        let before = gate.due();
        assert!(before >= 20);
        gate.restart();
        assert_eq!(gate.due(), 0);
        assert_eq!(passed(&mut gate, &encoded, 1000), Ok(encoded.to_vec()));
        assert_eq!(before + gate.due(), (encoded.len() + 50_000) as u64);
    }

    #[test]
    fn what_is_not_wanted_holds_nothing() {
        let memory: Arc<Memory> = Arc::default();
        let decode = guard::Policy { ratio: 10, floor: 64 << 10, max: 8 << 20, memory_total: 1 << 20 };
        let policy = Policy { body: 1000, mode: Mode::Verify, decode };
        let mut gate = UploadGate::new(&policy, Encoding::Gzip, &memory).unwrap();
        gate.take(gzip(b"hello").slice(..20)).unwrap();
        drop(gate.turn().unwrap());
        assert!(memory.used() > 0);
        gate.let_go();
        assert_eq!(memory.used(), 0);
    }
}
