//! One thread of the generator for HTTP/1.1: an epoll loop over its connections.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::{Plan, Seen};

struct Connection<'a> {
    stream: TcpStream,
    request: &'a [u8],
    written: usize,
    started: Instant,
    /// The head so far, or nothing when content is being read.
    head: Vec<u8>,
    /// Content still to come; `None` before the head is whole.
    left: Option<usize>,
    status: u16,
    /// Whether it waits for the end of the run.
    resting: bool,
}

struct Worker<'a> {
    plan: &'a Plan,
    poll: Poll,
    left_to_start: u64,
    buffer: Vec<u8>,
    seen: Seen,
}

/// Runs a connection for each of `requests` until `count` answers, or the plan's time, are over.
pub(super) fn run(plan: &Plan, requests: &[Bytes], count: u64) -> Seen {
    let mut worker = Worker {
        plan,
        poll: Poll::new().expect("epoll"),
        left_to_start: count,
        buffer: vec![0; 128 * 1024],
        seen: Seen::default(),
    };
    let mut all: Vec<Option<Connection<'_>>> =
        requests.iter().enumerate().map(|(n, request)| worker.open(n, request)).collect();
    let deadline = Instant::now() + plan.time;
    let last = deadline + super::GRACE;
    let mut events = Events::with_capacity(1024);
    loop {
        let now = Instant::now();
        if now >= deadline {
            worker.left_to_start = 0;
        }
        if now >= last || all.iter().flatten().all(|connection| connection.resting) {
            break;
        }
        let patience = last.saturating_duration_since(now).min(Duration::from_millis(50));
        match worker.poll.poll(&mut events, Some(patience)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled.expect("epoll"),
        }
        for event in &events {
            let Token(index) = event.token();
            let Some(connection) = &mut all[index] else { continue };
            if let Err(kind) = worker.advance(connection) {
                let (request, resting) = (connection.request, connection.resting);
                all[index] = None;
                if !resting {
                    worker.seen.error(&kind);
                    all[index] = worker.open(index, request);
                }
            }
        }
    }
    for _ in all.iter().flatten().filter(|connection| !connection.resting) {
        worker.seen.error("unfinished");
    }
    worker.seen
}

impl<'a> Worker<'a> {
    /// Connects and takes the first request on; `None` when nothing is left to start or nobody answers.
    fn open(&mut self, index: usize, request: &'a [u8]) -> Option<Connection<'a>> {
        if self.left_to_start == 0 {
            return None;
        }
        let stream = std::net::TcpStream::connect(self.plan.target).and_then(|stream| {
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            self.poll.registry().register(
                &mut stream,
                Token(index),
                Interest::READABLE | Interest::WRITABLE,
            )?;
            Ok(stream)
        });
        match stream {
            Ok(stream) => {
                self.left_to_start -= 1;
                let (head, started) = (Vec::with_capacity(1024), Instant::now());
                Some(Connection {
                    stream,
                    request,
                    written: 0,
                    started,
                    head,
                    left: None,
                    status: 0,
                    resting: false,
                })
            }
            Err(_) => {
                self.seen.error("connect");
                None
            }
        }
    }

    /// Writes and reads until the socket has no more for us.
    fn advance(&mut self, connection: &mut Connection<'_>) -> Result<(), String> {
        loop {
            while connection.written < connection.request.len() && !connection.resting {
                match connection.stream.write(&connection.request[connection.written..]) {
                    Ok(written) => connection.written += written,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(_) => return Err("reset".to_owned()),
                }
            }
            match connection.stream.read(&mut self.buffer) {
                Ok(0) => return Err("closed".to_owned()),
                Ok(read) => {
                    let full = read == self.buffer.len();
                    if self.arrived(connection, read)? {
                        self.seen.answer(connection.status, connection.started.elapsed());
                        self.next(connection);
                    } else if !full && connection.written == connection.request.len() {
                        // A short read: the next event tells when there is more.
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return Err("reset".to_owned()),
            }
        }
    }

    fn next(&mut self, connection: &mut Connection<'_>) {
        connection.head.clear();
        connection.left = None;
        if self.left_to_start == 0 {
            connection.resting = true;
            return;
        }
        self.left_to_start -= 1;
        connection.written = 0;
        connection.started = Instant::now();
    }

    /// Takes bytes of an answer; true when it is whole.
    fn arrived(&self, connection: &mut Connection<'_>, read: usize) -> Result<bool, String> {
        let mut bytes = &self.buffer[..read];
        if connection.left.is_none() {
            let from = connection.head.len().saturating_sub(3);
            connection.head.extend_from_slice(bytes);
            let found = connection.head[from..].windows(4).position(|window| window == b"\r\n\r\n");
            let Some(end) = found.map(|at| from + at + 4) else { return Ok(false) };
            let behind = connection.head.len() - end;
            bytes = &self.buffer[read - behind..read];
            let (status, length) = parse(&connection.head[..end], self.plan.good)?;
            if self.plan.expect.is_some_and(|expected| expected != length) {
                return Err("length".to_owned());
            }
            (connection.status, connection.left) = (status, Some(length));
        }
        let left = connection.left.unwrap_or(0);
        if bytes.len() > left || connection.resting || connection.written < connection.request.len() {
            return Err("unasked".to_owned());
        }
        connection.left = Some(left - bytes.len());
        Ok(left == bytes.len())
    }
}

/// Status and content-length of a good answer's head; anything else is an error by name.
fn parse(head: &[u8], good: Option<u16>) -> Result<(u16, usize), String> {
    let status = head.get(9..12).map(String::from_utf8_lossy).unwrap_or_default();
    let is_good = good.map_or_else(|| status.starts_with('2'), |good| status == good.to_string());
    if !is_good {
        return Err(status.into_owned());
    }
    let length = head.split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(15)?;
        let value = name.eq_ignore_ascii_case(b"content-length:").then_some(value)?;
        std::str::from_utf8(value).ok()?.trim().parse().ok()
    });
    status.parse().ok().zip(length).ok_or_else(|| "framing".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Request;
    use crate::origin::Origin;
    use crate::pattern;

    fn plan(origin: &Origin, request: Request, count: u64) -> Plan {
        let mut plan = Plan::new(origin.address(), request);
        (plan.count, plan.threads, plan.connections) = (count, 2, 9);
        plan.time = crate::PATIENCE;
        plan
    }

    #[test]
    fn every_request_is_answered_and_counted_once() {
        let origin = Origin::http1(1);
        let mut get = plan(&origin, Request::get("/bytes/65536"), 1001);
        get.expect = Some(65_536);
        let report = get.run();
        assert_eq!((report.requests, report.errors), (1001, 0), "{:?}", report.kinds);
        let report = plan(&origin, Request::post("/sink", pattern(65_536)), 500).run();
        assert_eq!((report.requests, report.errors), (500, 0), "{:?}", report.kinds);
        assert_eq!(report.statuses.get(&201), Some(&500));
        assert!(report.times.percentile(0.99) > Duration::ZERO);
    }

    #[test]
    fn what_is_not_a_good_answer_is_an_error_of_its_kind() {
        let origin = Origin::http1(1);
        let report = plan(&origin, Request::get("/nothing"), 20).run();
        assert_eq!((report.requests, report.kinds.get("404")), (0, Some(&20)));
        let mut other = plan(&origin, Request::get("/bytes/13"), 20);
        other.expect = Some(14);
        assert_eq!(other.run().kinds.get("length"), Some(&20));
    }
}
