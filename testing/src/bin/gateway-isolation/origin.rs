//! A scarce service: so many requests at once, each so long, in the order in which they came. HTTP/1.1.
//!
//! A thread for each connection: a thread sleeps for as long as it is told to, to within some 60 us, where a runtime's timers
//! go by whole milliseconds and would have all places free up at the same moments.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// The service; it ends with the process.
pub struct Scarce {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    micros: AtomicU64,
    served: AtomicU64,
    places: Mutex<usize>,
    freed: Condvar,
}

impl Scarce {
    /// On threads of its own.
    pub fn start(slots: usize, service: Duration) -> Self {
        let shared = Arc::new(Shared {
            micros: AtomicU64::new(0),
            served: AtomicU64::new(0),
            places: Mutex::new(slots),
            freed: Condvar::new(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let scarce = Self { address, shared: Arc::clone(&shared) };
        scarce.set(service);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                drop(stream.set_nodelay(true));
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    // It would be on another machine: what it takes is what it was told to take.
                    gateway_testing::load::first_in_line();
                    serve(stream, &shared);
                });
            }
        });
        scarce
    }

    /// Each request takes so long from now on.
    pub fn set(&self, service: Duration) {
        self.shared.micros.store(u64::try_from(service.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Requests served so far.
    pub fn served(&self) -> u64 {
        self.shared.served.load(Relaxed)
    }
}

/// Serves one connection until its client goes.
fn serve(mut stream: TcpStream, shared: &Shared) -> Option<()> {
    let mut input = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let head = loop {
            if let Some(at) = input.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            let n = stream.read(&mut buffer).ok().filter(|n| *n > 0)?;
            input.extend_from_slice(&buffer[..n]);
        };
        let mut left = length(&input[..head]);
        let here = left.min(input.len() - head);
        drop(input.drain(..head + here));
        left -= here;
        while left > 0 {
            let n = stream.read(&mut buffer).ok().filter(|n| *n > 0)?;
            let body = n.min(left);
            left -= body;
            input.extend_from_slice(&buffer[body..n]);
        }
        shared.work();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\nhello, world!").ok()?;
    }
}

impl Shared {
    fn work(&self) {
        let mut places = self.places.lock();
        while *places == 0 {
            self.freed.wait(&mut places);
        }
        *places -= 1;
        drop(places);
        std::thread::sleep(Duration::from_micros(self.micros.load(Relaxed)));
        *self.places.lock() += 1;
        self.freed.notify_one();
        self.served.fetch_add(1, Relaxed);
    }
}

/// What `content-length` says; 0 without one.
pub fn length(head: &[u8]) -> usize {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let line = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    line.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}
