//! TLS handshakes: under a deadline, no more of them at once than may be, each failure under its reason.
//!
//! A client that has not sent its whole ClientHello takes no place: until then it costs its socket and the few bytes that
//! it has sent. It does not count, log, or say which certificate is shown.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pingora_core::server::ShutdownWatch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::Protocols;
use super::guard::handshakes::{Handshakes, Place};
use super::socket::Socket;
use super::transport::Replayed;
use crate::tls::{Alpn, Failure, Hello, Server};

/// How long a client may take, once the drain has begun.
const DRAINING: Duration = Duration::from_secs(1);
/// How long an alert may take to reach its client: what it goes on to send would turn a close into a reset, which may
/// eat the alert.
const LINGER: Duration = Duration::from_millis(250);
/// Bytes that are read meanwhile.
const DISCARD: usize = 16 * 1024;

/// How a listener's handshakes go.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// Certificates, versions, clients.
    pub server: Arc<Server>,
    /// From the first byte that is waited for to the last.
    pub timeout: Duration,
    /// How many may be under way.
    pub most: usize,
}

/// A listener's handshakes under way.
#[derive(Debug, Default)]
pub struct UnderWay(Mutex<Handshakes<oneshot::Sender<()>>>);

/// A place among these; given back when dropped.
struct Held<'a> {
    all: &'a UnderWay,
    place: Place,
    cut: oneshot::Receiver<()>,
}

impl UnderWay {
    /// A place, for which another may be given up.
    fn enter(&self, most: usize, client: Option<IpAddr>) -> Held<'_> {
        let (cuts, cut) = oneshot::channel();
        let (place, given_up) = self.0.lock().enter(most, client, cuts);
        // They notice by their senders being dropped.
        drop(given_up);
        Held { all: self, place, cut }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.all.0.lock().leave(self.place);
    }
}

/// Turns a connection into one over TLS, and says what is spoken on it.
///
/// # Errors
/// Why there is no such connection.
pub(super) async fn run(
    socket: Socket,
    with: &Handshake,
    under_way: &UnderWay,
    spoken: Protocols,
    mut draining: ShutdownWatch,
) -> Result<(Socket, Protocols), Failure> {
    let whole = tokio::time::timeout(with.timeout, handshake(socket, with, under_way, spoken));
    tokio::select! {
        biased;
        done = whole => done.unwrap_or(Err(Failure::Timeout)),
        () = async {
            drop(draining.wait_for(|on| *on).await);
            tokio::time::sleep(DRAINING).await;
        } => Err(Failure::Timeout),
    }
}

async fn handshake(
    mut socket: Socket,
    with: &Handshake,
    under_way: &UnderWay,
    spoken: Protocols,
) -> Result<(Socket, Protocols), Failure> {
    let mut hello = Hello::default();
    // It may have come with what was read before.
    while !hello.is_whole(socket.peeked())? {
        socket.peek_more().await.map_err(|_| Failure::Closed)?;
    }
    let mut held = under_way.enter(with.most, socket.client().map(|client| client.ip()));
    let (below, parts) = socket.into_parts();
    let accept = TlsAcceptor::from(Arc::clone(with.server.config())).accept(below).into_fallible();
    let accepted = tokio::select! {
        biased;
        accepted = accept => accepted,
        _ = &mut held.cut => return Err(Failure::Crowded),
    };
    drop(held);
    let stream = match accepted {
        Ok(stream) => stream,
        Err((error, below)) => {
            let why = Failure::of(&error);
            if why != Failure::Closed {
                drop(tokio::time::timeout(LINGER, farewell(below)).await);
            }
            return Err(why);
        }
    };
    let (secured, alpn) = with.server.seen(stream.get_ref().1)?;
    let spoken = match alpn {
        Some(Alpn::H2) => Protocols { h1: false, h2: spoken.h2 },
        Some(Alpn::Http1) => Protocols { h1: spoken.h1, h2: false },
        // RFC 9113 §3.2: HTTP/2 over TLS is agreed on by ALPN. Who knows nothing of that speaks HTTP/1.
        None if spoken.h1 => Protocols { h1: true, h2: false },
        None => return Err(Failure::Alpn),
    };
    Ok((Socket::over_tls(stream, parts, secured), spoken))
}

/// Says that nothing more comes, and reads on for a moment.
async fn farewell(mut below: Replayed) {
    let mut left = DISCARD;
    let mut some = [0; 1024];
    drop(below.shutdown().await);
    while let Ok(n @ 1..) = below.read(&mut some).await {
        left = left.saturating_sub(n);
        if left == 0 {
            return;
        }
    }
}
