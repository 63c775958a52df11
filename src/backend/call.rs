//! One call of the service, as the connection's task polls it.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::FutureExt;

use super::link::{Arrived, Link};
use super::{Content, Gone, Reply, Service};

/// Runs a call to its end, or until nobody waits for its answer; then it is dropped where it stands. A panic ends the call
/// alone: its reply is dropped, and fails the stream.
pub(super) async fn run<S: Service>(service: Arc<S>, link: Arc<Link>, arrived: Arrived) {
    let Arrived { id, request } = arrived;
    let content = Content::new(Arc::clone(&link), id);
    let reply = Reply::new(Arc::clone(&link), id);
    let call = async { service.call(request, content, reply).await };
    let mut call = pin!(AssertUnwindSafe(call).catch_unwind());
    let mut waited = false;
    poll_fn(|cx| {
        if waited && link.is_gone(id, None) {
            return Poll::Ready(());
        }
        match call.as_mut().poll(cx) {
            Poll::Ready(Ok(Ok(()) | Err(Gone))) => Poll::Ready(()),
            Poll::Ready(Err(_)) => {
                log::error!("a call of the service panicked; its client is told 500");
                Poll::Ready(())
            }
            Poll::Pending => {
                waited = true;
                if link.is_gone(id, Some(cx.waker())) { Poll::Ready(()) } else { Poll::Pending }
            }
        }
    })
    .await;
}
