//! What arrives on one stream: the opening message, then raw content (oap1 §5).
//!
//! Content is passed on in the pieces in which it arrives. Only a head is gathered, up to its length; that length is
//! held against its bound first. Sequence and END are the two sides' business.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use super::credit::ReceiveCredit;
use crate::bhttp::{BadMessage, Head, Progress, take_varint};

/// Pieces below this many bytes are copied out of the read buffer: a small piece must not pin a large buffer. With reads
/// of 64 KiB, what waits pins at most twice its own length.
const COPY_BELOW: usize = 32 * 1024;
/// Small pieces that nobody has taken yet grow together up to this many bytes.
const GROW_TO: usize = 16 * 1024;

/// One direction of a stream, as its receiver sees it.
#[derive(Debug)]
pub(super) struct Inbound<H> {
    pub(super) credit: ReceiveCredit,
    /// The head and its bytes of payload, until it is taken.
    pub(super) head: Option<(H, u32)>,
    pieces: Pieces,
    opening: Opening,
    /// Content that must still come, where that is known.
    missing: Option<u64>,
    pub(super) started: bool,
    pub(super) ended: bool,
}

/// Where in the payload of its START frame a stream is.
#[derive(Debug)]
enum Opening {
    Head { gathered: BytesMut, needs: usize },
    Length { bytes: [u8; 8], have: usize },
    Content(usize),
    Padding,
}

impl<H: Head> Inbound<H> {
    pub(super) fn new(window: Option<u32>) -> Self {
        Self {
            credit: ReceiveCredit::new(window),
            head: None,
            pieces: Pieces::default(),
            opening: Opening::Head { gathered: BytesMut::new(), needs: 1 },
            missing: None,
            started: false,
            ended: false,
        }
    }

    /// Takes `len` bytes of raw content off `input`.
    pub(super) fn data(&mut self, input: &mut BytesMut, len: usize) -> Result<(), BadMessage> {
        self.expect(len)?;
        if len < COPY_BELOW {
            self.pieces.grow(input.get(..len).unwrap_or_default());
            input.advance(len);
        } else {
            self.pieces.push(input.split_to(len).freeze());
        }
        Ok(())
    }

    /// Takes `len` bytes of a START payload off `input`; `left` more of it follow. `check` sees the head first.
    pub(super) fn opening(
        &mut self,
        input: &mut BytesMut,
        len: usize,
        left: usize,
        answers_head: bool,
        check: impl FnOnce(&H) -> Result<(), BadMessage>,
    ) -> Result<(), BadMessage> {
        let mut piece = if len < COPY_BELOW {
            let copy = Bytes::copy_from_slice(input.get(..len).unwrap_or_default());
            input.advance(len);
            copy
        } else {
            input.split_to(len).freeze()
        };
        if let Opening::Head { .. } = self.opening {
            let Some(head) = self.gather(&mut piece, left)? else { return Ok(()) };
            check(&head.0)?;
            self.missing = head.0.content(answers_head);
            self.head = Some(head);
            self.opening = Opening::Length { bytes: [0; 8], have: 0 };
        }
        self.section(piece, left)
    }

    /// The START frame is whole.
    pub(super) fn opened(&self) -> Result<(), BadMessage> {
        match self.opening {
            // oap1 §5: nothing behind the head means that content follows in frames.
            Opening::Length { have: 0, .. } | Opening::Content(0) | Opening::Padding => Ok(()),
            _ => Err(BadMessage::Truncated),
        }
    }

    /// Nothing more will come, and the sender says that it is the whole.
    pub(super) fn whole(&self) -> Result<(), BadMessage> {
        // oap1 §2: fewer bytes than `content-length`.
        if self.missing.is_some_and(|missing| missing > 0) {
            return Err(BadMessage::TooLittleContent);
        }
        Ok(())
    }

    /// The next piece of content.
    pub(super) fn piece(&mut self) -> Option<Bytes> {
        self.pieces.pop()
    }

    /// Forgets what has not been taken.
    pub(super) fn clear(&mut self) {
        self.head = None;
        self.pieces = Pieces::default();
        self.opening = Opening::Padding;
    }

    /// Moves bytes of the head out of `piece`; the head once it is whole.
    fn gather(&mut self, piece: &mut Bytes, left: usize) -> Result<Option<(H, u32)>, BadMessage> {
        let Opening::Head { gathered, needs } = &mut self.opening else { return Ok(None) };
        let total = gathered.len() + piece.len() + left;
        while gathered.len() + piece.len() >= *needs {
            // The common case: the head is whole in one piece, and nothing is copied.
            if gathered.is_empty() {
                match H::parse(piece, total)? {
                    Progress::Complete { head, consumed } => {
                        piece.advance(consumed);
                        return Ok(Some((head, u32::try_from(consumed).unwrap_or(u32::MAX))));
                    }
                    Progress::Needs(more) => *needs = more,
                }
            } else {
                gathered.extend_from_slice(&piece.split_to(needs.saturating_sub(gathered.len())));
                let candidate = std::mem::take(gathered).freeze();
                match H::parse(&candidate, total)? {
                    Progress::Complete { head, consumed } => {
                        return Ok(Some((head, u32::try_from(consumed).unwrap_or(u32::MAX))));
                    }
                    Progress::Needs(more) => {
                        *needs = more;
                        *gathered = BytesMut::from(candidate);
                    }
                }
            }
        }
        gathered.extend_from_slice(&std::mem::take(piece));
        Ok(None)
    }

    /// What follows the head in its frame.
    fn section(&mut self, mut piece: Bytes, left: usize) -> Result<(), BadMessage> {
        while !piece.is_empty() {
            match &mut self.opening {
                Opening::Head { .. } => return Ok(()),
                Opening::Length { bytes, have } => {
                    if let Some(slot) = bytes.get_mut(*have) {
                        *slot = piece.get_u8();
                    }
                    *have += 1;
                    self.credit.pass_on(1);
                    let Some(content) = take_varint(&mut bytes.get(..*have).unwrap_or_default()) else {
                        continue;
                    };
                    // oap1 §5: its length counts the bytes in this frame.
                    let in_frame = piece.len() + left;
                    let content = usize::try_from(content).unwrap_or(usize::MAX);
                    if content > in_frame {
                        return Err(BadMessage::Truncated);
                    }
                    self.opening = Opening::Content(content);
                }
                Opening::Content(0) => self.opening = Opening::Padding,
                Opening::Content(rest) => {
                    let content = piece.split_to(piece.len().min(*rest));
                    *rest -= content.len();
                    self.expect(content.len())?;
                    self.pieces.add(content);
                }
                Opening::Padding => {
                    // oap1 §5: only zero bytes may follow.
                    if piece.iter().any(|byte| *byte != 0) {
                        return Err(BadMessage::Trailing);
                    }
                    self.credit.pass_on(piece.len() as u64);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn expect(&mut self, bytes: usize) -> Result<(), BadMessage> {
        if let Some(missing) = &mut self.missing {
            // oap1 §2: more bytes than `content-length`.
            *missing = missing.checked_sub(bytes as u64).ok_or(BadMessage::TooMuchContent)?;
        }
        Ok(())
    }
}

/// Content that waits to be taken. A single piece needs no list.
#[derive(Debug, Default)]
struct Pieces {
    first: Option<Bytes>,
    more: VecDeque<Bytes>,
    tail: BytesMut,
}

impl Pieces {
    fn push(&mut self, piece: Bytes) {
        self.close_tail();
        if self.first.is_none() {
            self.first = Some(piece);
        } else {
            self.more.push_back(piece);
        }
    }

    /// A piece that may be tiny: where another waits already, it does not get a place of its own.
    fn add(&mut self, piece: Bytes) {
        if piece.len() < COPY_BELOW && self.first.is_some() {
            self.grow(&piece);
        } else {
            self.push(piece);
        }
    }

    fn grow(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        if self.tail.len() >= GROW_TO {
            self.close_tail();
        }
    }

    fn close_tail(&mut self) {
        if self.tail.is_empty() {
            return;
        }
        let tail = std::mem::take(&mut self.tail).freeze();
        self.push(tail);
    }

    fn pop(&mut self) -> Option<Bytes> {
        match self.first.take() {
            Some(piece) => {
                self.first = self.more.pop_front();
                Some(piece)
            }
            None if self.tail.is_empty() => None,
            None => Some(std::mem::take(&mut self.tail).freeze()),
        }
    }
}
