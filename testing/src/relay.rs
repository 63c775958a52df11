//! Something that stands between the gateway and a service and passes bytes on: it can die, stall and come back whatever
//! the service speaks, speak TLS for it, and counts connections.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::net::{Address, Kept, Socket, listen_tcp};
use crate::tls::Server;

/// What a TLS handshake came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The protocol that was agreed to.
    pub alpn: Option<String>,
    /// The name that was asked for.
    pub server_name: Option<String>,
    /// Whether the client showed a certificate.
    pub client_certificate: bool,
}

/// A running relay on a thread of its own; gone, connections and all, when dropped.
#[derive(Debug)]
pub struct Relay {
    shared: Arc<Shared>,
    address: std::net::SocketAddr,
    _kept: Kept,
    acceptor: Mutex<Option<JoinHandle<()>>>,
    runtime: Option<Runtime>,
}

#[derive(Debug)]
struct Shared {
    to: Address,
    tls: Option<Tls>,
    accepted: AtomicUsize,
    open: watch::Sender<usize>,
    stalled: watch::Sender<bool>,
    /// How many connections, the first ones, move nothing any more.
    lost: watch::Sender<usize>,
    /// How often it was killed.
    deaths: watch::Sender<usize>,
    handshakes: Mutex<Vec<Result<Handshake, String>>>,
}

struct Tls(TlsAcceptor);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Relay {
    /// To a service, in clear text.
    pub fn to(service: impl Into<Address>) -> Self {
        Self::start(service.into(), None)
    }

    /// To a service in clear text, with TLS on this side.
    pub fn tls(server: &Server<'_>, service: impl Into<Address>) -> Self {
        Self::start(service.into(), Some(Tls(server.acceptor())))
    }

    fn start(to: Address, tls: Option<Tls>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("relay")
            .enable_all()
            .build()
            .expect("a runtime");
        let bound = listen_tcp(([127, 0, 0, 1], 0).into()).expect("a free port");
        let address = bound.local_addr().expect("an address");
        let kept = Kept::new(address).expect("an address to keep");
        let shared = Arc::new(Shared {
            to,
            tls,
            accepted: AtomicUsize::new(0),
            open: watch::Sender::new(0),
            stalled: watch::Sender::new(false),
            lost: watch::Sender::new(0),
            deaths: watch::Sender::new(0),
            handshakes: Mutex::default(),
        });
        let relay = Self { shared, address, _kept: kept, acceptor: Mutex::default(), runtime: Some(runtime) };
        relay.accept_on(bound);
        relay
    }

    /// Where it listens.
    pub fn address(&self) -> Address {
        self.address.into()
    }

    /// How many connections it has taken so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        *self.shared.open.borrow()
    }

    /// What the TLS handshakes so far came to.
    pub fn handshakes(&self) -> Vec<Result<Handshake, String>> {
        self.shared.handshakes.lock().unwrap().clone()
    }

    /// What a killed process looks like: no listener, every connection reset.
    pub async fn kill(&self) {
        let acceptor = self.acceptor.lock().unwrap().take();
        if let Some(acceptor) = acceptor {
            acceptor.abort();
            // Its socket is closed when the task is gone.
            drop(acceptor.await);
        }
        self.reset_connections().await;
    }

    /// Resets every connection.
    pub async fn reset_connections(&self) {
        self.shared.deaths.send_modify(|deaths| *deaths += 1);
        drop(self.shared.open.subscribe().wait_for(|open| *open == 0).await);
    }

    /// Listens again, at the same address.
    pub fn restart(&self) {
        self.accept_on(listen_tcp(self.address).expect("the address is free again"));
    }

    /// What a stopped process looks like: connections are taken, and not a byte moves on any.
    pub fn stall(&self) {
        self.shared.stalled.send_replace(true);
    }

    /// What a broken path looks like: not a byte moves any more on the connections that there are, nor do they end. New
    /// ones are well.
    pub fn lose_connections(&self) {
        self.shared.lost.send_replace(self.accepted());
    }

    /// Goes on with what has stalled.
    pub fn resume(&self) {
        self.shared.stalled.send_replace(false);
    }

    fn accept_on(&self, bound: std::net::TcpListener) {
        bound.set_nonblocking(true).expect("a socket that does not block");
        let runtime = self.runtime.as_ref().expect("it is there until drop");
        let shared = Arc::clone(&self.shared);
        let acceptor = runtime.spawn(async move {
            let listener = TcpListener::from_std(bound).expect("a registered socket");
            while let Ok((stream, _)) = listener.accept().await {
                drop(stream.set_nodelay(true));
                let number = shared.accepted.fetch_add(1, Ordering::Relaxed);
                shared.open.send_modify(|open| *open += 1);
                tokio::spawn(pass(Arc::clone(&shared), stream, number));
            }
        });
        *self.acceptor.lock().unwrap() = Some(acceptor);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn pass(shared: Arc<Shared>, stream: TcpStream, number: usize) {
    let mut lost = shared.lost.subscribe();
    let mut deaths = shared.deaths.subscribe();
    let handle = SockRef::from(&stream).try_clone().expect("a second handle");
    let carried = async {
        tokio::select! {
            biased;
            // The second handle keeps it open.
            () = async { drop(lost.wait_for(|lost| number < *lost).await) } => std::future::pending().await,
            _ = carry(&shared, stream) => {}
        }
    };
    tokio::select! {
        () = carried => drop(handle),
        _ = deaths.changed() => {
            // The last handle closes, which with this is RST.
            drop(handle.set_linger(Some(Duration::ZERO)));
            drop(handle);
        }
    }
    shared.open.send_modify(|open| *open -= 1);
}

async fn carry(shared: &Shared, stream: TcpStream) -> io::Result<()> {
    let mut stalled = shared.stalled.subscribe();
    drop(stalled.wait_for(|stalled| !stalled).await);
    let Some(Tls(acceptor)) = &shared.tls else { return between(shared, stream).await };
    let accepted = acceptor.accept(stream).await;
    let seen = match &accepted {
        Ok(stream) => {
            let (_, session) = stream.get_ref();
            Ok(Handshake {
                alpn: session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
                server_name: session.server_name().map(str::to_owned),
                client_certificate: session.peer_certificates().is_some(),
            })
        }
        Err(error) => Err(error.to_string()),
    };
    shared.handshakes.lock().unwrap().push(seen);
    between(shared, accepted?).await
}

async fn between(shared: &Shared, mut client: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut service = Socket::try_connect(&shared.to).await?;
    let mut stalled = shared.stalled.subscribe();
    let copying = copy_bidirectional(&mut client, &mut service);
    tokio::pin!(copying);
    loop {
        tokio::select! {
            biased;
            _ = stalled.wait_for(|stalled| *stalled) => {}
            ended = &mut copying => return ended.map(drop),
        }
        drop(stalled.wait_for(|stalled| !stalled).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Http1, Request};
    use crate::origin::Origin;
    use crate::pattern;

    #[tokio::test]
    async fn it_passes_bytes_on_stalls_dies_and_comes_back() {
        let origin = Origin::http1(1);
        let relay = Relay::to(origin.address());
        let request = Request::get("/bytes/1000");
        let mut client = Http1::connect(relay.address()).await;
        client.request(&request).await.expect(200, &pattern(1000));
        relay.stall();
        assert!(client.send(&request.http1_bytes()).await);
        let mut late = Http1::connect(relay.address()).await;
        assert!(late.send(&request.http1_bytes()).await);
        relay.resume();
        client.answer("GET").await.expect(200, &pattern(1000));
        late.answer("GET").await.expect(200, &pattern(1000));
        assert_eq!((relay.accepted(), relay.open()), (2, 2));
        relay.kill().await;
        assert!(client.closed().await.is_empty());
        assert!(Socket::try_connect(&relay.address()).await.is_err());
        relay.restart();
        let mut again = Http1::connect(relay.address()).await;
        again.request(&request).await.expect(200, &pattern(1000));
    }
}
