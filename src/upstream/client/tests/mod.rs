//! The client against a scripted backend, over in-memory pipes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests fail by panicking"
)]

mod backend;
mod batching;
mod checking;
mod dialling;
mod ending;
mod exclusive;
mod leaving;
mod lifetimes;
mod liveness;
mod places;
mod shared;

use std::sync::Arc;

use bytes::Bytes;

use super::{OpenError, Pool, PoolPolicy, Stream, Wish};
use crate::bhttp::encode_request_head;
use crate::oap::{Incoming, StartRequest};
use backend::{Backend, Dialer, Pipe, Speaks};

/// An encoded head of `method path`.
fn head(method: &str, path: &str) -> Vec<u8> {
    let mut head = Vec::new();
    let none = std::iter::empty();
    encode_request_head(&mut head, method.as_bytes(), b"http", b"a", path.as_bytes(), none).unwrap();
    head
}

/// A pool towards a backend that speaks so.
fn pool(policy: PoolPolicy, speaks: Speaks) -> (Arc<Pool<Dialer>>, Backend) {
    let (dialer, backend) = backend::backend(speaks);
    (Pool::new(policy, dialer), backend)
}

/// Opens `GET path`.
async fn get(pool: &Arc<Pool<Dialer>>, path: &str) -> Result<Stream<Pipe>, OpenError> {
    open(pool, path, &mut Bytes::new(), true, false).await
}

/// Opens `GET path`, on a connection of its own.
async fn get_alone(pool: &Arc<Pool<Dialer>>, path: &str) -> Result<Stream<Pipe>, OpenError> {
    open(pool, path, &mut Bytes::new(), true, true).await
}

async fn open(
    pool: &Arc<Pool<Dialer>>,
    path: &str,
    content: &mut Bytes,
    end: bool,
    prefer_exclusive: bool,
) -> Result<Stream<Pipe>, OpenError> {
    let head = head("GET", path);
    let start = StartRequest { head: &head, capability: b"", tenant_id: 0, is_head: false };
    pool.open(&start, content, end, Wish { exclusive: prefer_exclusive, fresh: false }).await
}

/// Takes the whole answer, and passes it on.
async fn whole(stream: &mut Stream<Pipe>) -> Result<(u16, Vec<u8>), Incoming> {
    let (mut status, mut body) = (0, Vec::new());
    loop {
        let incoming = stream.recv().await;
        stream.passed_on(incoming.credit());
        match incoming {
            Incoming::Head { head, .. } => status = head.status,
            Incoming::Data { bytes, .. } => body.extend_from_slice(&bytes),
            Incoming::End => return Ok((status, body)),
            failed @ Incoming::Failed(_) => return Err(failed),
        }
    }
}

/// Lets every task that can run do so until none has anything left.
async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}
