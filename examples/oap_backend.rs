//! A service of your own behind the gateway, in about a hundred lines: it counts visits, echoes uploads as they arrive, and
//! streams numbers. Run it, and point an `oap` cluster at it:
//!
//! ```text
//! cargo run --example oap_backend -- 127.0.0.1:9401
//! ```
//!
//! ```yaml
//! clusters: { mine: { backends: [ { address: 127.0.0.1:9401 } ] } }
//! routes:   [ { name: mine, match: { path: { prefix: / } }, kind: proxy, cluster: mine } ]
//! ```
//!
//! then `curl 127.0.0.1:8080/`, `curl --data-binary @FILE 127.0.0.1:8080/echo`, `curl '127.0.0.1:8080/numbers?1000000'`.

#![allow(clippy::panic, reason = "/panic shows what a panicking call costs")]

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use svc_gateway::backend::{Bound, Content, Gone, Listen, Policy, Reply, Request, Service};

const TEXT: (&str, &str) = ("content-type", "text/plain; charset=utf-8");
/// Numbers are sent in pieces of about this many bytes.
const PIECE: usize = 16 * 1024;

#[derive(Default)]
struct Example {
    visits: AtomicU64,
}

impl Service for Example {
    /// One call a request, many at a time. All of them run on the connection's task: awaiting is fine, blocking is not.
    async fn call(&self, request: Request, content: Content, reply: Reply) -> Result<(), Gone> {
        let target = String::from_utf8_lossy(&request.head.path).into_owned();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        match (&*request.head.method, path) {
            (b"GET", "/") => {
                let visit = self.visits.fetch_add(1, Ordering::Relaxed) + 1;
                let text = format!("Hello! You are visitor {visit}, tenant {}.\n", request.tenant_id);
                reply.whole(200, &[TEXT], Bytes::from(text)).await
            }
            (b"POST", "/echo") => echo(&request, content, reply).await,
            (b"GET", "/numbers") => numbers(query, reply).await,
            // The client sees 500; every other request goes on.
            (b"GET", "/panic") => std::panic::panic_any("asked to"),
            _ => reply.whole(404, &[TEXT], Bytes::from_static(b"Nothing here.\n")).await,
        }
    }
}

/// Content that goes out as it comes in: a slow reader of the answer slows the upload down, and neither is ever held whole.
async fn echo(request: &Request, mut content: Content, reply: Reply) -> Result<(), Gone> {
    let kind = request.head.fields.find(b"content-type").and_then(|kind| std::str::from_utf8(kind).ok());
    let mut sending = reply.begin(200, &[("content-type", kind.unwrap_or("application/octet-stream"))])?;
    while let Some(piece) = content.next().await? {
        sending.send(piece).await?;
    }
    sending.finish(Bytes::new()).await
}

/// An answer of unknown length. `send` waits until the client has room; when the client leaves, the call is dropped.
async fn numbers(query: &str, reply: Reply) -> Result<(), Gone> {
    let Ok(most) = query.parse::<u64>() else {
        return reply.whole(400, &[TEXT], Bytes::from_static(b"/numbers?HOW_MANY, please.\n")).await;
    };
    let mut sending = reply.begin(200, &[TEXT])?;
    let mut piece = String::with_capacity(PIECE + 32);
    for number in 1..=most {
        piece.push_str(&number.to_string());
        piece.push('\n');
        if piece.len() >= PIECE {
            sending.send(Bytes::from(std::mem::take(&mut piece))).await?;
        }
    }
    // Returning without this, or a panic before it, tells the client that the answer is not whole.
    sending.finish(Bytes::from(piece)).await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9401".to_owned());
    let listen = match address.strip_prefix("unix:") {
        Some(path) => Listen::Unix(path.into()),
        None => Listen::Tcp(address.parse::<SocketAddr>()?),
    };
    let bound = Bound::new(&listen)?;
    println!("serving on {}", bound.address());
    let interrupted = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            eprintln!("no signals here: {error}");
            std::future::pending::<()>().await;
        }
    };
    bound.serve(Arc::new(Example::default()), &Policy::default(), interrupted).await;
    Ok(())
}
