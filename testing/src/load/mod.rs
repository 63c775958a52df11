//! A closed-loop load generator: so many connections, each with one request (HTTP/2: several) at a time.
//!
//! HTTP/1.1 with keep-alive, on raw sockets and epoll without an allocation a request, since it shares its machine with
//! what it measures; HTTP/2 by prior knowledge on the `h2` crate, which costs more. A good answer is a whole one of the
//! status and length that are expected, a 2xx by default, and its length is announced. It does not pace, pipeline or check contents.

mod histogram;
mod http2;
mod paced;
mod report;
mod seen;
mod worker;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

pub use histogram::Histogram;
pub use paced::{Paced, Told, first_in_line};
pub use report::Report;
use seen::Seen;

use crate::client::Request;
use crate::process::cpu;

/// What is under way when a run's time is over may still come to its end, for so long.
const GRACE: Duration = Duration::from_secs(5);

/// What load.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whom.
    pub target: SocketAddr,
    /// Connection `n` sends the `n`th request, over and over; there is at least one.
    pub requests: Vec<Request>,
    /// At once.
    pub connections: usize,
    /// `None` is HTTP/1.1, a number HTTP/2 by prior knowledge with so many requests at once on each connection.
    pub streams: Option<usize>,
    /// Threads of the generator.
    pub threads: usize,
    /// Ends after so many answers…
    pub count: u64,
    /// … or after this time, whichever comes first.
    pub time: Duration,
    /// Content that every answer must have, in bytes; `None` takes any.
    pub expect: Option<usize>,
    /// The status of a good answer; `None` takes any 2xx.
    pub good: Option<u16>,
    /// Processes whose CPU time is measured meanwhile.
    pub pids: Vec<u32>,
}

impl Plan {
    /// A plan of one request over HTTP/1.1, 64 connections on one thread, for ten seconds.
    pub fn new(target: SocketAddr, request: Request) -> Self {
        Self {
            target,
            requests: vec![request],
            connections: 64,
            streams: None,
            threads: 1,
            count: u64::MAX,
            time: Duration::from_secs(10),
            expect: None,
            good: None,
            pids: Vec::new(),
        }
    }

    /// Carries it out, on this thread and others; returns when it is over.
    pub fn run(&self) -> Report {
        let threads = self.threads.clamp(1, self.connections.max(1));
        let all: Vec<&Request> = self.requests.iter().cycle().take(self.connections).collect();
        let wire: Vec<Bytes> = all.iter().map(|request| request.http1_bytes()).collect();
        let each = self.connections.div_ceil(threads).max(1);
        let before: Vec<_> = self.pids.iter().map(|pid| cpu(*pid)).collect();
        let started = Instant::now();
        let seen: Vec<Seen> = std::thread::scope(|scope| {
            let shares = all.chunks(each).zip(wire.chunks(each)).enumerate();
            let workers: Vec<_> = shares
                .map(|(thread, (requests, wire))| {
                    let (threads, thread) = (all.len().div_ceil(each) as u64, thread as u64);
                    let count = self.count / threads + u64::from(thread < self.count % threads);
                    scope.spawn(move || match self.streams {
                        None => worker::run(self, wire, count),
                        Some(streams) => http2::run(self, requests, streams, count),
                    })
                })
                .collect();
            workers.into_iter().map(|worker| worker.join().expect("a worker that lives")).collect()
        });
        let elapsed = started.elapsed();
        let cpu = self.pids.iter().zip(before).map(|(pid, before)| (*pid, cpu(*pid).saturating_sub(before)));
        Report::new(seen, elapsed, cpu.collect())
    }
}
