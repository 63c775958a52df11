//! The other side: a service behind the gateway, on the server side of OAP/1.
//!
//! [`Service`] is what somebody writes, [`Bound::serve`] what runs it: one task a connection moves its bytes, polls the
//! calls that its streams carry, and writes what all of them have to say in one go. Content comes in, and answers go out,
//! piece by piece; a piece's credit is returned when the next one is asked for.
//!
//! [`run`] serves the built-in service, content-addressed objects (http.md §3), from memory or from a folder.
//!
//! Nothing here routes, retries or knows tenants: that is the gateway's.

mod call;
mod driver;
mod exchange;
mod link;
mod listen;
mod object;
mod policy;
mod serve;
mod store;
#[cfg(test)]
mod tests;
mod timing;
mod wire;

use std::io;
use std::sync::Arc;

pub use self::exchange::{Content, Reply, Sending};
pub use self::listen::{Bound, Listen};
pub use self::policy::{Keep, Options, Policy};

use crate::bhttp::RequestHead;
use bytes::Bytes;

/// Answers requests.
///
/// A call is polled by the task of its connection: it must not block, and what computes for long belongs on a thread of
/// its own. It is dropped when its client gives the request up or the connection ends. One that panics fails its own
/// stream and nothing else.
pub trait Service: Send + Sync + 'static {
    /// Answers one request. The answer may begin before the content has been read. A reply that is dropped, here or by a
    /// panic, before it was finished tells the client that it failed.
    ///
    /// # Errors
    /// [`Gone`] from `content` or `reply` may be handed on; it means nothing more than that the call is over.
    fn call(
        &self,
        request: Request,
        content: Content,
        reply: Reply,
    ) -> impl Future<Output = Result<(), Gone>> + Send;
}

/// What arrived before the content.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method, path and fields.
    pub head: RequestHead,
    /// The tenant's id as a number, 0 for none.
    pub tenant_id: u128,
    /// The capability token that the gateway has verified, empty for none.
    pub capability: Bytes,
}

/// Nobody waits for the answer any more: the client gave the request up, broke the protocol, or is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody waits for the answer any more")]
pub struct Gone;

/// Serves objects until `shutdown`, then finishes what runs, for `policy.drain` at most. `on_bound` is told the address,
/// with its real port, once connections are accepted. Dropping the future stops at once.
///
/// # Errors
/// The folder cannot be used, or the address cannot be had.
pub async fn run(
    options: Options,
    shutdown: impl Future<Output = ()>,
    on_bound: impl FnOnce(&str),
) -> io::Result<()> {
    let store = store::Store::open(&options.keep)?;
    let bound = Bound::new(&options.listen)?;
    on_bound(bound.address());
    let objects = object::Objects::new(store, options.object_max);
    bound.serve(Arc::new(objects), &options.policy, shutdown).await;
    Ok(())
}
