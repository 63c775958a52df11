//! A connection's transport with what belongs to it: the buffer that is read into, and the clock of a peer that
//! takes nothing.
//!
//! It moves bytes and knows no protocol.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::{Instant, Sleep};

use crate::oap::Output;

/// Read at most this much at once.
const READ: usize = 64 * 1024;
/// Below this much room a fresh buffer is taken, if the old one is still in use by the pieces cut from it.
const LOW: usize = 16 * 1024;
/// Pieces handed to the kernel in one call.
const SLICES: usize = 64;

/// A transport, its read buffer and its write timer.
pub(super) struct Wire<Io> {
    io: Io,
    input: BytesMut,
    written: u64,
    unflushed: bool,
    patience: Duration,
    stalled: Stalled,
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Wire<Io> {
    /// `patience` is how long the transport may take nothing while there is something to write.
    pub(super) fn new(io: Io, patience: Duration) -> Self {
        let stalled = Stalled { armed: false, sleep: None };
        Self { io, input: BytesMut::new(), written: 0, unflushed: false, patience, stalled }
    }

    /// All bytes that the transport has taken so far.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Whether [`poll_write`](Self::poll_write) has something left to do even without further output.
    pub(super) fn is_unflushed(&self) -> bool {
        self.unflushed
    }

    /// Reads once. `Ready(Ok(&mut input))` holds what came, nothing at the end of the stream.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&mut BytesMut>> {
        let room = self.input.capacity() - self.input.len();
        if room < READ && !self.input.try_reclaim(READ) && room < LOW {
            self.input.reserve(READ);
        }
        ready!(pin!(self.io.read_buf(&mut self.input)).poll(cx))?;
        Poll::Ready(Ok(&mut self.input))
    }

    /// Writes all of `output` and flushes. Pending until the transport has taken everything; an error when it has
    /// taken nothing for too long.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, output: &mut Output) -> Poll<io::Result<()>> {
        while !output.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let filled = output.io_slices(&mut slices);
            let slices = slices.get(..filled).unwrap_or_default();
            let Poll::Ready(taken) = Pin::new(&mut self.io).poll_write_vectored(cx, slices)? else {
                return self.stalled.poll(cx, self.patience);
            };
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            output.advance(taken);
            self.written += taken as u64;
            self.unflushed = true;
            self.stalled.armed = false;
        }
        if self.unflushed {
            if Pin::new(&mut self.io).poll_flush(cx)?.is_pending() {
                return self.stalled.poll(cx, self.patience);
            }
            self.unflushed = false;
        }
        self.stalled.armed = false;
        Poll::Ready(Ok(()))
    }

    /// Says goodbye, as far as the transport has a way to.
    pub(super) async fn shutdown(mut self) {
        use tokio::io::AsyncWriteExt;
        // The peer may be gone or stuck, and nobody waits for this: how it ends is of no interest.
        let ended = tokio::time::timeout(self.patience, self.io.shutdown()).await;
        drop(ended);
    }
}

#[cfg(test)]
impl<Io> Wire<Io> {
    /// The bare transport.
    pub(super) fn into_io(self) -> Io {
        self.io
    }
}

/// The timer of a transport that takes nothing. Runs only while something waits to be written.
struct Stalled {
    armed: bool,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Stalled {
    fn poll(&mut self, cx: &mut Context<'_>, patience: Duration) -> Poll<io::Result<()>> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        if !self.armed {
            self.armed = true;
            sleep.as_mut().reset(Instant::now() + patience);
        }
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}
