//! One thread of the generator for HTTP/2: a runtime of its own, a task for each stream.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

use super::{GRACE, Plan, Seen};
use crate::client::Request;

/// What one client may send us ahead of our reading, on a stream and on the whole connection.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

struct Shared {
    plan: Plan,
    left_to_start: Cell<u64>,
    under_way: Cell<u64>,
    deadline: Instant,
    seen: RefCell<Seen>,
}

/// Runs a connection for each of `requests` until `count` answers, or the plan's time, are over.
pub(super) fn run(plan: &Plan, requests: &[&Request], streams: usize, count: u64) -> Seen {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let shared = Rc::new(Shared {
        plan: plan.clone(),
        left_to_start: Cell::new(count),
        under_way: Cell::new(0),
        deadline: Instant::from_std(std::time::Instant::now()) + plan.time,
        seen: RefCell::default(),
    });
    let all = async {
        let mut connections = JoinSet::new();
        for request in requests {
            connections.spawn_local(connection(Rc::clone(&shared), (*request).clone(), streams.max(1)));
        }
        // What is unfinished then is counted below.
        drop(tokio::time::timeout_at(shared.deadline + GRACE, connections.join_all()).await);
    };
    LocalSet::new().block_on(&runtime, all);
    drop(runtime);
    let mut seen = shared.seen.take();
    for _ in 0..shared.under_way.get() {
        seen.error("unfinished");
    }
    seen
}

/// Keeps a connection, and `streams` requests on it, going.
async fn connection(shared: Rc<Shared>, request: Request, streams: usize) {
    let (head, body) = (head(&request), request.body.unwrap_or_default());
    while shared.may_start() {
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
        let greeted = async {
            let stream = TcpStream::connect(shared.plan.target).await.ok()?;
            stream.set_nodelay(true).ok()?;
            builder.handshake::<_, Bytes>(stream).await.ok()
        };
        let Some((sender, driver)) = greeted.await else {
            return shared.seen.borrow_mut().error("connect");
        };
        let driver = tokio::task::spawn_local(async move { drop(driver.await) });
        let mut tasks = JoinSet::new();
        for _ in 0..streams {
            let (shared, sender, head, body) =
                (Rc::clone(&shared), sender.clone(), head.clone(), body.clone());
            tasks.spawn_local(async move { shared.stream(sender, &head, &body).await });
        }
        tasks.join_all().await;
        driver.abort();
    }
}

impl Shared {
    fn may_start(&self) -> bool {
        self.left_to_start.get() > 0 && Instant::now() < self.deadline
    }

    /// One request after the other, until there is none left or one fails.
    async fn stream(&self, mut sender: SendRequest<Bytes>, head: &http::Request<()>, body: &Bytes) {
        while self.may_start() {
            self.left_to_start.set(self.left_to_start.get() - 1);
            self.under_way.set(self.under_way.get() + 1);
            let started = Instant::now();
            let answer = exchange(&mut sender, head, body, self.plan.expect, self.plan.good).await;
            self.under_way.set(self.under_way.get() - 1);
            match answer {
                Ok(status) => self.seen.borrow_mut().answer(status, started.elapsed()),
                Err(kind) => return self.seen.borrow_mut().error(&kind),
            }
        }
    }
}

fn head(request: &Request) -> http::Request<()> {
    let uri = format!("http://{}{}", request.authority, request.path);
    let mut head = http::Request::builder().method(request.method.as_str()).uri(uri);
    for (name, value) in &request.fields {
        head = head.header(name, value);
    }
    if let (Some(body), false) = (&request.body, request.open_length) {
        head = head.header("content-length", body.len());
    }
    head.body(()).expect("a legal request")
}

/// The status of a good answer; anything else is an error by name.
async fn exchange(
    sender: &mut SendRequest<Bytes>,
    head: &http::Request<()>,
    body: &Bytes,
    expect: Option<usize>,
    good: Option<u16>,
) -> Result<u16, String> {
    let kind =
        |error: h2::Error| if error.is_io() || error.is_go_away() { "closed" } else { "reset" }.to_owned();
    std::future::poll_fn(|cx| sender.poll_ready(cx)).await.map_err(kind)?;
    let (response, mut upload) = sender.send_request(head.clone(), body.is_empty()).map_err(kind)?;
    let mut left = body.clone();
    while !left.is_empty() {
        upload.reserve_capacity(left.len());
        let room = std::future::poll_fn(|cx| upload.poll_capacity(cx)).await;
        let room = room.ok_or_else(|| "closed".to_owned())?.map_err(kind)?;
        let piece = left.split_to(room.min(left.len()));
        upload.send_data(piece, left.is_empty()).map_err(kind)?;
    }
    let (head, mut content) = response.await.map_err(kind)?.into_parts();
    let mut length = 0;
    while let Some(piece) = content.data().await {
        let piece = piece.map_err(kind)?;
        length += piece.len();
        content.flow_control().release_capacity(piece.len()).map_err(kind)?;
    }
    if !good.map_or(head.status.is_success(), |good| head.status == good) {
        return Err(head.status.as_str().to_owned());
    }
    if expect.is_some_and(|expected| expected != length) {
        return Err("length".to_owned());
    }
    Ok(head.status.as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::Origin;
    use crate::pattern;

    fn plan(origin: &Origin, request: Request, count: u64) -> Plan {
        let mut plan = Plan::new(origin.address(), request);
        (plan.count, plan.threads, plan.connections, plan.streams) = (count, 2, 3, Some(4));
        plan.time = crate::PATIENCE;
        plan
    }

    #[test]
    fn every_request_is_answered_and_counted_once() {
        let origin = Origin::http2();
        let mut get = plan(&origin, Request::get("/bytes/65536"), 301);
        get.expect = Some(65_536);
        let report = get.run();
        assert_eq!((report.requests, report.errors), (301, 0), "{:?}", report.kinds);
        let report = plan(&origin, Request::post("/sink", pattern(200_000)), 100).run();
        assert_eq!((report.requests, report.errors), (100, 0), "{:?}", report.kinds);
        assert_eq!(report.statuses.get(&201), Some(&100));
    }

    #[test]
    fn what_is_not_a_good_answer_is_an_error_of_its_kind() {
        let origin = Origin::http2();
        let report = plan(&origin, Request::get("/nothing"), 20).run();
        assert_eq!((report.requests, report.kinds.get("404")), (0, Some(&20)));
        let gone = Origin::http1(1);
        let mut unanswered = plan(&gone, Request::get("/bytes/13"), 20);
        drop(gone);
        unanswered.streams = Some(1);
        let report = unanswered.run();
        assert_eq!(report.requests, 0);
        assert!(report.errors > 0, "{:?}", report.kinds);
    }
}
