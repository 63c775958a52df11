//! Before Pingora parses: who may connect, and which protocol a connection speaks.
//!
//! Pingora's listening service peeks for HTTP/2 without a time limit, panics in a task when it cannot bind, and
//! gives nobody its real port. This accept loop binds before anything runs, tells the port, peeks under the head
//! deadline, and knows how many connections are open so that a drain lasts no longer than they do.
//!
//! No request exists before its whole head is here and checked: `guarded` and `watched` hold a connection's bytes to
//! the guards of [`guard`]. It does not read requests: [`HttpServerApp`] does.

mod acceptor;
mod bind;
mod bounds;
mod connection;
mod drain;
pub mod guard;
mod guarded;
mod handshake;
mod paced;
mod serving_http1;
mod socket;
mod transport;
mod watched;
mod workers;

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pingora_core::apps::{HttpServerApp, ServerApp};
use pingora_core::protocols::Shutdown as _;
use pingora_core::server::{ListenFds, ShutdownWatch};
use pingora_core::services::Service;

use self::acceptor::{Accepted, Listening};
pub use self::bind::{Address, Bound, FileAccess};
pub use self::bounds::{Bounds, Cut};
pub use self::connection::Connection;
pub use self::drain::{Drain, Open};
pub use self::guard::connections::{Connections, Permit};
use self::guard::heads::Heads;
use self::guard::http2::PREFACE;
use self::guard::unread::Unread;
use self::guarded::Guarded;
pub use self::handshake::{Handshake, UnderWay};
pub use self::paced::Paced;
pub use self::socket::Socket;
pub use self::transport::Transport;
use self::watched::Watched;
use self::workers::{Late, Workers};
use crate::clock;
use crate::tls::Failure;

/// Time for a header of the PROXY protocol, which a proxy sends at once.
const PROXY_HEADER: Duration = Duration::from_secs(5);
/// How long `accept` rests when the process has no descriptor left.
const NO_DESCRIPTOR: Duration = Duration::from_millis(100);
/// How long a connection on which nothing is under way as the drain begins may take to say its last word.
const LAST_WORD: Duration = Duration::from_millis(250);
/// How many connections that the kernel has completed are still taken when the drain has begun.
const BACKLOG: usize = 4096;

/// The protocols that a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocols {
    /// HTTP/1.0 and HTTP/1.1.
    pub h1: bool,
    /// HTTP/2: by prior knowledge, and over TLS by ALPN.
    pub h2: bool,
}

/// What a listener serves with; asked anew for each connection.
pub trait Serves: Send + Sync + 'static {
    /// Who reads requests.
    type App: HttpServerApp + Send + Sync + 'static;

    /// Who answers a connection that has just come.
    fn app(&self) -> Arc<Self::App>;

    /// What its bytes are held to.
    fn bounds(&self) -> Bounds;

    /// Where its unfinished heads are counted.
    fn heads(&self) -> &Arc<Heads>;

    /// Where unread bodies of HTTP/2 are counted.
    fn unread(&self) -> &Arc<Unread>;

    /// Logs and counts what is refused before a request exists, and says what an HTTP/1 client is answered.
    fn on_refused(&self, why: Cut, client: Option<SocketAddr>, waited: Duration) -> Bytes;

    /// Logs and counts a connection of HTTP/2 that is cut, with all its requests.
    fn on_cut(&self, why: Cut, client: Option<SocketAddr>);

    /// Whether a connection from `peer`, which has this descriptor, may be opened now; `None` closes it.
    fn enter(&self, _peer: Peer, _descriptor: RawFd) -> Option<Entered> {
        Some(Entered::default())
    }

    /// Its TLS handshakes under way.
    fn handshakes(&self) -> Arc<UnderWay> {
        Arc::default()
    }

    /// A TLS handshake has come to nothing.
    fn on_handshake_failure(&self, _why: Failure) {}
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Of a TCP connection.
    Address(SocketAddr),
    /// Of a Unix socket: the user that its process runs as, if the system tells.
    User(Option<u32>),
}

/// A connection that may be opened.
#[derive(Debug, Default)]
pub struct Entered {
    /// Its place among all; given back when dropped.
    pub permit: Option<Permit>,
    /// It begins with a header of the PROXY protocol.
    pub proxied: bool,
    /// It goes on with a TLS handshake.
    pub tls: Option<Handshake>,
}

/// What one listener serves, and how.
pub struct Endpoint<S> {
    /// Where it listens.
    pub bound: Bound,
    /// What it speaks.
    pub protocols: Protocols,
    /// Who answers.
    pub serves: Arc<S>,
}

/// Accept loops, as a service of Pingora's server.
pub struct Accepting<S> {
    name: &'static str,
    threads: usize,
    endpoints: Vec<Endpoint<S>>,
    drain: Arc<Drain>,
    late: Late,
}

impl<S> Accepting<S> {
    /// A service called `name` on `threads` threads that accepts on every endpoint until `drain` begins.
    pub fn new(name: &'static str, threads: usize, endpoints: Vec<Endpoint<S>>, drain: Arc<Drain>) -> Self {
        Self { name, threads, endpoints, drain, late: Arc::new(|_| {}) }
    }

    /// Tells `late` by how much a thread came too late to what was due, several times a second.
    #[must_use]
    pub fn noting(self, late: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        Self { late: Arc::new(late), ..self }
    }
}

#[async_trait]
impl<S: Serves> Service for Accepting<S> {
    async fn start_service(&mut self, _fds: Option<ListenFds>, _shutdown: ShutdownWatch, _per_fd: usize) {
        let workers = Arc::new(Workers::find(self.threads, &self.late).await);
        let accepting: Vec<_> = std::mem::take(&mut self.endpoints)
            .into_iter()
            .map(|endpoint| {
                let (workers, drain) = (Arc::clone(&workers), Arc::clone(&self.drain));
                pingora_runtime::current_handle().spawn(accept(endpoint, workers, drain))
            })
            .collect();
        for task in accepting {
            if let Err(e) = task.await {
                log::error!("accept loop of {}: {e}", self.name);
            }
        }
    }

    fn name(&self) -> &str {
        self.name
    }

    fn threads(&self) -> Option<usize> {
        Some(self.threads)
    }
}

async fn accept<S: Serves>(endpoint: Endpoint<S>, workers: Arc<Workers>, drain: Arc<Drain>) {
    let Endpoint { bound, protocols, serves } = endpoint;
    let name = bound.name;
    let accepting = match Listening::new(bound.acceptor) {
        Ok(accepting) => accepting,
        Err(e) => return log::error!("listener {name}: {e}"),
    };
    let serve_next = |accepted: io::Result<Accepted>| match accepted {
        Ok(accepted) => {
            // http.md §1, step 0: closed without an answer.
            let Some(entered) = serves.enter(accepted.peer(), accepted.descriptor()) else { return Ok(()) };
            let (app, serves) = (serves.app(), Arc::clone(&serves));
            let (open, draining) = (drain.open(), drain.watch());
            let tls = entered.tls.map(|tls| (tls, Arc::clone(&serves)));
            workers.spawn(|place| async move {
                if let Ok(mut socket) = accepted.register(clock::wall())
                    && (!entered.proxied || proxied(&mut socket).await)
                    && let Some((socket, protocols)) = secured(socket, protocols, tls, &draining).await
                {
                    serve(socket, protocols, &serves, &app, draining).await;
                }
                drop((place, open, entered.permit));
            });
            Ok(())
        }
        Err(e) => {
            log::warn!("listener {name}: accept: {e}");
            Err(e)
        }
    };
    let mut draining = drain.watch();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = draining.wait_for(|on| *on) => break,
            accepted = accepting.next() => accepted,
        };
        if let Err(e) = serve_next(accepted)
            // EMFILE and ENFILE do not go away by asking again at once.
            && matches!(e.raw_os_error(), Some(23 | 24))
        {
            tokio::time::sleep(NO_DESCRIPTOR).await;
        }
    }
    // What the kernel has already completed a handshake with is served too: its client believes it connected.
    for _ in 0..BACKLOG {
        let Some(accepted) = accepting.at_once() else { break };
        if serve_next(accepted).is_err() {
            break;
        }
    }
    accepting.close();
}

async fn serve<S: Serves>(
    mut socket: Socket,
    protocols: Protocols,
    serves: &Arc<S>,
    app: &Arc<S::App>,
    mut draining: ShutdownWatch,
) {
    let bounds = serves.bounds();
    let told = tokio::select! {
        biased;
        told = protocol(&mut socket, protocols, &bounds) => told,
        () = async {
            drop(draining.wait_for(|on| *on).await);
            tokio::time::sleep(LAST_WORD).await;
        } => return,
    };
    match told {
        Ok(Protocol::H2) => {
            let watched = Watched::new(socket, &bounds, serves.unread(), serves.heads());
            let connection = watched.connection();
            drop(app.process_new(Box::new(watched), &draining).await);
            if let Some(connection) = connection
                && let Some(why) = connection.refused()
            {
                serves.on_cut(why, connection.client());
            }
        }
        Ok(Protocol::H1) => serving_http1::serve(socket, serves, app, &draining).await,
        Ok(Protocol::Untold) => {
            let connection = Guarded::new(socket, &bounds);
            let waited = bounds.http1.head_timeout;
            serving_http1::refuse(connection, serves.as_ref(), Cut::SlowHead, waited).await;
        }
        // Silence, a connection that is gone, or a protocol that this listener does not speak. Over TLS there is a word
        // for that, without which an end is taken for an attack (RFC 8446 §6.1).
        Ok(Protocol::Neither) | Err(_) => drop(tokio::time::timeout(LAST_WORD, socket.shutdown()).await),
    }
}

/// Reads whom the proxy at the other end speaks for; `false`: it does not say so as it must, or not in time.
async fn proxied(socket: &mut Socket) -> bool {
    matches!(tokio::time::timeout(PROXY_HEADER, socket.read_proxy_header()).await, Ok(Ok(())))
}

/// Does the TLS handshake, if there is to be one; `None`: it came to nothing.
async fn secured<S: Serves>(
    socket: Socket,
    spoken: Protocols,
    tls: Option<(Handshake, Arc<S>)>,
    draining: &ShutdownWatch,
) -> Option<(Socket, Protocols)> {
    let Some((with, serves)) = tls else { return Some((socket, spoken)) };
    // On the heap: it needs more than all that follows, and is over soon.
    let done = Box::pin(handshake::run(socket, &with, &serves.handshakes(), spoken, draining.clone())).await;
    done.inspect_err(|why| serves.on_handshake_failure(*why)).ok()
}

enum Protocol {
    H1,
    H2,
    Neither,
    /// It has begun to speak, and does not say enough to tell.
    Untold,
}

async fn protocol(socket: &mut Socket, spoken: Protocols, bounds: &Bounds) -> io::Result<Protocol> {
    tokio::time::timeout(bounds.idle, socket.readable()).await??;
    if !spoken.h2 {
        return Ok(if spoken.h1 { Protocol::H1 } else { Protocol::Neither });
    }
    // http.md §7: `head_timeout` 5 s: first byte of a head to its last.
    let begins = tokio::time::timeout(bounds.http1.head_timeout, socket.begins_with(PREFACE)).await;
    Ok(match (begins, spoken.h1) {
        (Ok(Err(e)), _) => return Err(e),
        (Ok(Ok(true)), _) => Protocol::H2,
        (Ok(Ok(false)), true) => Protocol::H1,
        (Err(_), true) => Protocol::Untold,
        (_, false) => Protocol::Neither,
    })
}
