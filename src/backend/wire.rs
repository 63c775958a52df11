//! The transport of a connection: reads into a buffer that pieces are cut from, writes in one call what waits.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::oap::Output;

/// Read at most this much at once.
const READ: usize = 64 * 1024;
/// With less room than this a fresh buffer is taken, while pieces cut from the old one are still in use.
const LOW: usize = 16 * 1024;
/// Pieces handed to the kernel in one call.
const SLICES: usize = 128;

/// A transport and its read buffer.
pub(super) struct Wire<Io> {
    io: Io,
    input: BytesMut,
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Wire<Io> {
    pub(super) fn new(io: Io) -> Self {
        Self { io, input: BytesMut::new() }
    }

    /// Reads once; the buffer is empty afterwards only if the peer has closed its side.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&mut BytesMut>> {
        let room = self.input.capacity() - self.input.len();
        if room < READ && !self.input.try_reclaim(READ) && room < LOW {
            self.input.reserve(READ);
        }
        ready!(pin!(self.io.read_buf(&mut self.input)).poll(cx))?;
        Poll::Ready(Ok(&mut self.input))
    }

    /// Writes once, as much of `output` as one call takes; `Ready` when it took something.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, output: &mut Output) -> Poll<io::Result<()>> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = output.io_slices(&mut slices);
        let slices = slices.get(..filled).unwrap_or_default();
        let taken = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, slices))?;
        if taken == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        output.advance(taken);
        Poll::Ready(Ok(()))
    }

    /// Says goodbye.
    pub(super) async fn shutdown(mut self) {
        // The peer may be gone, and nobody waits for this.
        drop(self.io.shutdown().await);
    }
}
