//! Bytes that wait to be written, and whose they are.
//!
//! Small frames are encoded one after another into one buffer, payload of 4 KiB and more is kept as the piece that it
//! is. Every byte is booked on its stream until it has left, so that no stream can fill the queue. It knows no frame and
//! no limit: those are the connection's.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

use super::StreamId;

/// Payload of at least this many bytes is queued as it is, shorter payload is copied behind its header.
const OWN_PIECE: usize = 4 * 1024;
/// A burst of small frames may have made the buffer larger than this; then it is given back once it is empty.
const KEEP: usize = 256 * 1024;
/// Bytes of one stream are booked in pieces of this size, so that room is seen before a whole frame has left.
const SHARE: u64 = 16 * 1024;

/// The queue of bytes to write, oldest first.
#[derive(Debug, Default)]
pub struct Output {
    pieces: VecDeque<Bytes>,
    tail: BytesMut,
    len: usize,
    queued: u64,
    written: u64,
    booked: u64,
    shares: VecDeque<Share>,
}

/// Whose the bytes up to a position are.
#[derive(Clone, Copy, Debug)]
struct Share {
    stream: StreamId,
    start: u64,
    end: u64,
}

impl Output {
    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Points as many of `dst` as are needed at what waits, oldest first, and says how many it filled.
    pub fn io_slices<'a>(&'a self, dst: &mut [IoSlice<'a>]) -> usize {
        let tail = (!self.tail.is_empty()).then_some(self.tail.as_ref());
        let waiting = self.pieces.iter().map(AsRef::as_ref).chain(tail);
        let mut filled = 0;
        for (slot, piece) in dst.iter_mut().zip(waiting) {
            *slot = IoSlice::new(piece);
            filled += 1;
        }
        filled
    }

    /// `n` bytes have been written; more than wait are taken as all of them.
    pub fn advance(&mut self, n: usize) {
        let mut left = n.min(self.len);
        self.len -= left;
        self.written += left as u64;
        while let Some(front) = self.pieces.front_mut() {
            if left < front.len() {
                front.advance(left);
                return;
            }
            left -= front.len();
            drop(self.pieces.pop_front());
        }
        self.tail.advance(left.min(self.tail.len()));
        if self.tail.is_empty() && self.tail.capacity() > KEEP {
            self.tail = BytesMut::new();
        }
    }

    /// Appends by copying.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        self.len += bytes.len();
        self.queued += bytes.len() as u64;
    }

    /// Appends a payload; a large one is not copied.
    pub(super) fn put_payload(&mut self, payload: Bytes) {
        if payload.len() < OWN_PIECE {
            return self.put(&payload);
        }
        if !self.tail.is_empty() {
            self.pieces.push_back(self.tail.split().freeze());
        }
        self.len += payload.len();
        self.queued += payload.len() as u64;
        self.pieces.push_back(payload);
    }

    /// Books everything appended since the last booking on `stream`, and says how much that is.
    pub(super) fn book(&mut self, stream: StreamId) -> usize {
        let mut start = self.booked;
        let booked = self.queued - start;
        self.booked = self.queued;
        if let Some(last) = self.shares.back_mut()
            && last.stream == stream
            && last.end == start
            && self.queued - last.start <= SHARE
        {
            last.end = self.queued;
        } else {
            while start < self.queued {
                let end = self.queued.min(start + SHARE);
                self.shares.push_back(Share { stream, start, end });
                start = end;
            }
        }
        usize::try_from(booked).unwrap_or(usize::MAX)
    }

    /// What was appended since the last booking is no stream's.
    pub(super) fn book_nobody(&mut self) {
        self.booked = self.queued;
    }

    /// The next share of a stream that has left whole: whose, and how many bytes.
    pub(super) fn next_left(&mut self) -> Option<(StreamId, usize)> {
        let share = self.shares.pop_front_if(|share| share.end <= self.written)?;
        Some((share.stream, usize::try_from(share.end - share.start).unwrap_or(usize::MAX)))
    }

    /// The position behind the last byte appended.
    pub(super) fn position(&self) -> u64 {
        self.queued
    }

    /// Whether everything before `position` has been written.
    pub(super) fn has_left(&self, position: u64) -> bool {
        self.written >= position
    }

    /// Forgets everything that waits: the connection is over.
    pub(super) fn clear(&mut self) {
        self.pieces.clear();
        self.tail = BytesMut::new();
        self.written = self.queued;
        self.booked = self.queued;
        self.len = 0;
    }
}
