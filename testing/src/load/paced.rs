//! An open loop over HTTP/1.1: so many requests a second, whatever became of those before.
//!
//! Threads that sleep until a request is due, to within some tens of microseconds, where a runtime's timers go by
//! milliseconds. Times count from when a request was due, not from when there was a connection for it.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What load.
#[derive(Clone, Debug)]
pub struct Paced {
    /// Whom.
    pub target: SocketAddr,
    /// The address that connections come from; `None` is the system's choice.
    pub source: Option<Ipv4Addr>,
    /// The request, as it goes over the wire; its connection is kept.
    pub request: Bytes,
    /// Requests a second.
    pub a_second: u64,
    /// For so long.
    pub time: Duration,
    /// Threads, and so connections and requests at once.
    pub threads: usize,
    /// Whether the threads are scheduled before others, where that is permitted (root): clients would be on other machines,
    /// and on this one they would be late for reasons that are not the gateway's.
    pub first: bool,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Of a whole answer; `None`: there was none.
    pub status: Option<u16>,
    /// `retry-after`, in seconds.
    pub retry_after: Option<u64>,
    /// From when it was due to the last byte of its answer.
    pub time: Duration,
}

/// Schedules the calling thread before others, where that is permitted.
pub fn first_in_line() {
    let _ = rustix::process::setpriority_process(None, -10);
}

impl Paced {
    /// Carries it out on threads of its own; returns when the last answer is there.
    pub fn run(&self) -> Vec<Told> {
        let (next, began) = (AtomicU64::new(0), Instant::now());
        let work = || {
            if self.first {
                first_in_line();
            }
            let (mut all, mut kept) = (Vec::new(), None);
            loop {
                let after = Duration::from_micros(next.fetch_add(1, Relaxed) * 1_000_000 / self.a_second);
                if after >= self.time {
                    return all;
                }
                let due = began + after;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                all.push(self.ask(&mut kept, due));
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads).map(|_| scope.spawn(work)).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("a thread that lives")).collect()
        })
    }

    /// Asks once, at once, on the connection that is kept, or a new one.
    pub fn ask(&self, kept: &mut Option<TcpStream>, due: Instant) -> Told {
        let answer = kept.take().or_else(|| self.connect()).and_then(|mut stream| {
            stream.write_all(&self.request).ok()?;
            let answer = read(&mut stream)?;
            *kept = answer.stays.then_some(stream);
            Some(answer)
        });
        Told {
            status: answer.as_ref().map(|answer| answer.status),
            retry_after: answer.and_then(|answer| answer.retry_after),
            time: due.elapsed(),
        }
    }

    fn connect(&self) -> Option<TcpStream> {
        let socket =
            socket2::Socket::new(socket2::Domain::for_address(self.target), socket2::Type::STREAM, None)
                .ok()?;
        if let Some(source) = self.source {
            socket.bind(&SocketAddr::new(source.into(), 0).into()).ok()?;
        }
        socket.connect(&self.target.into()).ok()?;
        socket.set_tcp_nodelay(true).ok()?;
        socket.set_read_timeout(Some(PATIENCE)).ok()?;
        Some(socket.into())
    }
}

struct Answer {
    status: u16,
    retry_after: Option<u64>,
    stays: bool,
}

/// A whole answer whose length is announced.
fn read(stream: &mut TcpStream) -> Option<Answer> {
    let (mut input, mut buffer) = (Vec::with_capacity(1024), [0; 4096]);
    loop {
        let n = stream.read(&mut buffer).ok().filter(|n| *n > 0)?;
        input.extend_from_slice(&buffer[..n]);
        let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&input[..end]).to_ascii_lowercase();
        let field = |name: &str| {
            head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        let length: usize = field("content-length").and_then(|value| value.parse().ok())?;
        if input.len() >= end + 4 + length {
            return Some(Answer {
                status: head.get(9..12)?.parse().ok()?,
                retry_after: field("retry-after").and_then(|value| value.parse().ok()),
                stays: field("connection") != Some("close"),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Request;
    use crate::origin::Origin;

    fn paced(request: &Request, target: SocketAddr) -> Paced {
        Paced {
            target,
            source: Some(Ipv4Addr::new(127, 0, 0, 9)),
            request: request.http1_bytes(),
            a_second: 1000,
            time: Duration::from_millis(50),
            threads: 3,
            first: false,
        }
    }

    #[test]
    fn so_many_are_asked_and_every_one_is_told_of() {
        let origin = Origin::http1(1);
        for (path, status) in [("/bytes/13", 200), ("/nothing", 404)] {
            let told = paced(&Request::get(path), origin.address()).run();
            assert_eq!(told.len(), 50, "{path}");
            assert!(told.iter().all(|told| told.status == Some(status)), "{path}: {told:?}");
        }
    }

    #[test]
    fn nobody_is_no_answer() {
        let origin = Origin::http1(1);
        let nobody = paced(&Request::get("/"), origin.address());
        drop(origin);
        assert_eq!(nobody.ask(&mut None, Instant::now()).status, None);
    }
}
