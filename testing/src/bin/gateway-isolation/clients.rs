//! Who asks: each tenant from addresses of its own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use gateway_testing::load::Paced;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::origin::length;

/// Connections from one address.
const A_ADDRESS: usize = 250;
/// Addresses of a tenant whose clients open a connection for each request.
const ADDRESSES: usize = 50;
/// Threads of a client that asks at its own times; more requests than these are never under way.
const APART: usize = 64;

/// A tenant's clients.
#[derive(Clone)]
pub struct Tenant {
    /// Its first address, which others follow.
    first: Ipv4Addr,
    pub target: SocketAddr,
    pub ok: Arc<AtomicU64>,
    pub failed: Arc<AtomicU64>,
    /// Of good answers, from when they were to be asked, in microseconds.
    pub times: Arc<Mutex<Vec<u64>>>,
}

impl Tenant {
    /// Its addresses are `127.0.NET.*`.
    pub fn new(net: u8, target: SocketAddr) -> Self {
        Self::at(Ipv4Addr::new(127, 0, net, 1), target)
    }

    /// One of many, with one address.
    pub fn many(n: usize, target: SocketAddr) -> Self {
        Self::at(Self::address_of_many(n), target)
    }

    /// The address of the `n`th of many.
    pub fn address_of_many(n: usize) -> Ipv4Addr {
        Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 1).to_bits() + u32::try_from(n).unwrap_or(0))
    }

    fn at(first: Ipv4Addr, target: SocketAddr) -> Self {
        Self { first, target, ok: Arc::default(), failed: Arc::default(), times: Arc::default() }
    }

    async fn connect(&self, n: usize) -> Option<TcpStream> {
        let socket = TcpSocket::new_v4().ok()?;
        let address = Ipv4Addr::from_bits(self.first.to_bits() + u32::try_from(n / A_ADDRESS).ok()?);
        socket.bind(SocketAddr::new(IpAddr::V4(address), 0)).ok()?;
        let stream = socket.connect(self.target).await.ok()?;
        drop(stream.set_nodelay(true));
        Some(stream)
    }

    fn count(&self, status: Option<u16>, due: Instant) {
        self.note(status, due.elapsed());
    }

    fn note(&self, status: Option<u16>, time: Duration) {
        if status == Some(200) {
            self.ok.fetch_add(1, Relaxed);
            self.times.lock().push(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        } else {
            self.failed.fetch_add(1, Relaxed);
        }
    }

    /// Asks so often a second, whatever became of what was asked before.
    pub async fn steadily(self, a_second: u64, time: Duration) {
        let idle: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let began = Instant::now();
        let mut under_way = JoinSet::new();
        for n in 0.. {
            let due = began + Duration::from_micros(n * 1_000_000 / a_second);
            if due.duration_since(began) >= time {
                break;
            }
            tokio::time::sleep_until(due).await;
            let (this, idle) = (self.clone(), Arc::clone(&idle));
            drop(under_way.spawn(async move {
                let kept = idle.lock().pop();
                let stream = match kept {
                    Some(stream) => Some(stream),
                    None => this.connect(0).await,
                };
                let Some(mut stream) = stream else { return this.count(None, due) };
                let status = ask(&mut stream, &get()).await;
                this.count(status, due);
                if status.is_some() {
                    idle.lock().push(stream);
                }
            }));
        }
        while under_way.join_next().await.is_some() {}
    }

    /// As [`Self::steadily`], with a clock that the others cannot make late.
    pub async fn steadily_apart(self, a_second: u64, time: Duration) {
        let paced = Paced {
            target: self.target,
            source: Some(self.first),
            request: get().into(),
            a_second,
            time,
            threads: APART,
            first: true,
        };
        for told in tokio::task::spawn_blocking(move || paced.run()).await.expect("a load that lives") {
            self.note(told.status, told.time);
        }
    }

    /// One connection, one request after the other; a refusal is followed by a short rest.
    pub async fn closed_loop(self, n: usize, request: Arc<Vec<u8>>, until: Instant) {
        while Instant::now() < until {
            let Some(mut stream) = self.connect(n).await else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            while Instant::now() < until {
                let due = Instant::now();
                let status = ask(&mut stream, &request).await;
                self.count(status, due);
                match status {
                    Some(200) => {}
                    Some(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                    None => break,
                }
            }
        }
    }

    /// `n` connections, each from an address of its own, that ask every so often, at most one request at a time, whatever they are told. One that has been
    /// refused 19 times in a row goes: the penalty box would hold it.
    pub fn paced(
        &self,
        n: usize,
        every: Duration,
        request: &Arc<Vec<u8>>,
        until: Instant,
        all: &mut JoinSet<()>,
    ) {
        for k in 0..n {
            let (this, request) = (self.clone(), Arc::clone(request));
            let after = every * u32::try_from(k).unwrap_or(0) / u32::try_from(n).unwrap_or(1);
            drop(all.spawn(async move {
                let mut due = Instant::now() + after;
                let (mut kept, mut refused) = (None, 0);
                while due < until {
                    tokio::time::sleep_until(due).await;
                    let stream = match kept.take() {
                        Some(stream) => Some(stream),
                        None => this.connect(k * A_ADDRESS).await,
                    };
                    let status = match stream {
                        Some(mut stream) => {
                            let status = ask(&mut stream, &request).await;
                            refused = if status == Some(200) { 0 } else { refused + 1 };
                            kept = (status.is_some() && refused < 19).then_some(stream);
                            status
                        }
                        None => None,
                    };
                    refused = if kept.is_some() { refused } else { 0 };
                    this.count(status, due);
                    due = (due + every).max(Instant::now());
                }
            }));
        }
    }

    /// A connection for each request.
    /// Each from the next of its addresses, since an address has no more than some 28,000 ports a minute.
    pub async fn reconnecting(self, n: usize, until: Instant) {
        for turn in n.. {
            if Instant::now() >= until {
                break;
            }
            let due = Instant::now();
            let status = match self.connect(turn % ADDRESSES * A_ADDRESS).await {
                Some(mut stream) => ask(&mut stream, &get()).await,
                None => None,
            };
            self.count(status, due);
            if status != Some(200) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    /// Posts a byte every tenth of a second.
    pub async fn trickling(self, n: usize, until: Instant) {
        while Instant::now() < until {
            let Some(mut stream) = self.connect(n).await else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            if stream
                .write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n")
                .await
                .is_err()
            {
                continue;
            }
            while Instant::now() < until {
                if stream.write_all(b"x").await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

pub fn get() -> Vec<u8> {
    b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_vec()
}

pub fn post(bytes: usize) -> Vec<u8> {
    let mut request = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {bytes}\r\n\r\n").into_bytes();
    request.resize(request.len() + bytes, b'x');
    request
}

/// The status of the answer, once it is whole; `None` when the connection is over.
async fn ask(stream: &mut TcpStream, request: &[u8]) -> Option<u16> {
    stream.write_all(request).await.ok()?;
    let mut input = Vec::with_capacity(1024);
    let mut buffer = [0; 4096];
    loop {
        if let Some(status) = status(&input) {
            return status;
        }
        match stream.read(&mut buffer).await {
            Ok(n) if n > 0 => input.extend_from_slice(&buffer[..n]),
            _ => return None,
        }
    }
}

/// `None` as long as the answer is not whole; `Some(None)` for one that closes its connection.
fn status(input: &[u8]) -> Option<Option<u16>> {
    let at = input.windows(4).position(|four| four == b"\r\n\r\n")?;
    if input.len() < at + 4 + length(&input[..at + 4]) {
        return None;
    }
    let status = std::str::from_utf8(input.get(9..12)?).ok()?.parse().ok()?;
    let closes = String::from_utf8_lossy(&input[..at]).to_ascii_lowercase().contains("connection: close");
    Some(if closes && status == 200 { None } else { Some(status) })
}
