//! A scarce service: so many requests at once, each so long, in the order in which they came. HTTP/1.1.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// The service; it ends with the process.
pub struct Scarce {
    pub address: SocketAddr,
    micros: Arc<AtomicU64>,
    served: Arc<AtomicU64>,
}

impl Scarce {
    /// On a thread of its own.
    pub fn start(slots: usize, service: Duration) -> Self {
        let micros = Arc::new(AtomicU64::new(0));
        let served = Arc::new(AtomicU64::new(0));
        let bound = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        bound.set_nonblocking(true).expect("a socket");
        let address = bound.local_addr().expect("an address");
        let (each, count) = (Arc::clone(&micros), Arc::clone(&served));
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::from_std(bound).expect("a listener");
                let places = Arc::new(Semaphore::new(slots));
                while let Ok((stream, _)) = listener.accept().await {
                    drop(stream.set_nodelay(true));
                    drop(tokio::spawn(serve(
                        stream,
                        Arc::clone(&places),
                        Arc::clone(&each),
                        Arc::clone(&count),
                    )));
                }
            });
        });
        let scarce = Self { address, micros, served };
        scarce.set(service);
        scarce
    }

    /// Each request takes so long from now on.
    pub fn set(&self, service: Duration) {
        self.micros.store(u64::try_from(service.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Requests served so far.
    pub fn served(&self) -> u64 {
        self.served.load(Relaxed)
    }
}

async fn serve(
    mut stream: TcpStream,
    places: Arc<Semaphore>,
    micros: Arc<AtomicU64>,
    served: Arc<AtomicU64>,
) {
    let mut input = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let head = loop {
            if let Some(at) = input.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            match stream.read(&mut buffer).await {
                Ok(n) if n > 0 => input.extend_from_slice(&buffer[..n]),
                _ => return,
            }
        };
        let mut left = length(&input[..head]);
        let here = left.min(input.len() - head);
        drop(input.drain(..head + here));
        left -= here;
        while left > 0 {
            match stream.read(&mut buffer).await {
                Ok(n) if n > 0 => {
                    let body = n.min(left);
                    left -= body;
                    input.extend_from_slice(&buffer[body..n]);
                }
                _ => return,
            }
        }
        let Ok(place) = places.acquire().await else { return };
        tokio::time::sleep(Duration::from_micros(micros.load(Relaxed))).await;
        drop(place);
        served.fetch_add(1, Relaxed);
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\nhello, world!").await.is_err() {
            return;
        }
    }
}

/// What `content-length` says; 0 without one.
pub fn length(head: &[u8]) -> usize {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let line = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    line.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}
