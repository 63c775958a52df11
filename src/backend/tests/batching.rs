//! How often the kernel is asked.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use super::calls::Paths;
use super::peer::Peer;
use crate::backend::Policy;
use crate::backend::driver::drive;
use crate::backend::link::Link;

/// A transport that takes everything and counts.
struct Counting(DuplexStream, Arc<AtomicUsize>);

impl AsyncRead for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counting {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn answers_that_are_ready_together_leave_in_one_write() {
    let (service, _ends) = Paths::new();
    let (near, far) = tokio::io::duplex(1 << 20);
    let writes = Arc::new(AtomicUsize::new(0));
    let policy = Policy::default();
    let link = Link::new(&policy.announced());
    tokio::spawn(drive(Counting(far, Arc::clone(&writes)), link, service, policy));
    let mut peer = Peer::over(near, Some(256 * 1024)).await;
    for _ in 0..10 {
        let before = writes.load(Ordering::Relaxed);
        let streams: Vec<_> = (0..64).map(|_| peer.get("/hello")).collect();
        peer.flush().await;
        for id in streams {
            assert_eq!(peer.answer(id).await.body, b"hello");
        }
        assert_eq!(writes.load(Ordering::Relaxed) - before, 1);
    }
}
