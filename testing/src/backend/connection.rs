//! One connection: greeting, frames to streams, what is written back in order.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Buf, Bytes, BytesMut};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;

use super::event::{Received, What};
use super::greeting::Greeting;
use super::stream::{Flow, Inbound, Stream};
use super::{Command, Shared, inspect};
use crate::net::Socket;
use crate::wire::{ClientHello, Frame, Head, ServerHello, flag};

/// What is to be written, in order.
pub(super) enum Out {
    Bytes(Bytes),
    Close,
}

/// What HELLO settled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) max_frame: u32,
    max_inflight: u32,
    /// The client's window and ours; `None` on an exclusive connection.
    pub(super) windows: Option<(u64, u64)>,
}

/// The EVENT that announces draining.
pub(super) fn drain() -> Bytes {
    Frame::control(0, flag::EVENT, Bytes::new()).code(503).encode()
}

/// Serves a connection until somebody ends it.
pub(super) async fn serve(shared: Arc<Shared>, id: u64, socket: Socket) {
    let (out, outgoing) = mpsc::unbounded_channel();
    let (command, commands) = mpsc::unbounded_channel();
    shared.connections.lock().unwrap().insert(id, command.clone());
    shared.record(id, None, What::Connected);
    let reset_at_once = matches!(*shared.greeting.lock().unwrap(), Greeting::Reset);
    let mut connection = Connection {
        shared: Arc::clone(&shared),
        id,
        out: out.clone(),
        command,
        settings: None,
        greeted: false,
        lanes: HashMap::new(),
        seen: HashSet::new(),
        tasks: JoinSet::new(),
    };
    let ending = if reset_at_once {
        Ending::Reset
    } else {
        tokio::select! {
            ending = connection.read(&socket) => ending,
            ending = write(&socket, outgoing) => ending,
            ending = obey(commands, &out) => ending,
        }
    };
    let by_client = matches!(ending, Ending::Client);
    if by_client && connection.settings.is_some_and(|settings| settings.windows.is_none()) {
        // oap1 §3: in exclusive mode a stream is given up by closing the connection.
        for (stream, lane) in connection.lanes.iter().filter(|(_, lane)| !lane.is_over()) {
            lane.flow.gone.send_replace(true);
            shared.record(id, Some(*stream), What::GivenUp(0));
        }
    }
    connection.tasks.shutdown().await;
    match ending {
        Ending::Reset => socket.reset(),
        Ending::Client | Ending::Closed => drop(socket),
    }
    shared.connections.lock().unwrap().remove(&id);
    shared.record(id, None, What::Closed { by_client });
}

enum Ending {
    Client,
    Closed,
    Reset,
}

async fn write(socket: &Socket, mut outgoing: UnboundedReceiver<Out>) -> Ending {
    while let Some(Out::Bytes(bytes)) = outgoing.recv().await {
        if socket.write_whole(&bytes).await.is_err() {
            return Ending::Client;
        }
    }
    socket.finish_writing();
    Ending::Closed
}

async fn obey(mut commands: UnboundedReceiver<Command>, out: &UnboundedSender<Out>) -> Ending {
    loop {
        match commands.recv().await {
            Some(Command::Write(bytes)) => drop(out.send(Out::Bytes(bytes))),
            Some(Command::Reset) => return Ending::Reset,
            Some(Command::Close) | None => drop(out.send(Out::Close)),
        }
    }
}

/// A stream as its connection sees it.
struct Lane {
    inbound: UnboundedSender<Inbound>,
    flow: Arc<Flow>,
    /// Payload of the request so far.
    received: u64,
    content: BytesMut,
    announced: Option<u64>,
    ended: bool,
}

impl Lane {
    fn is_over(&self) -> bool {
        *self.flow.gone.borrow() || self.ended && self.flow.answered.load(Ordering::Relaxed)
    }
}

struct Connection {
    shared: Arc<Shared>,
    id: u64,
    out: UnboundedSender<Out>,
    command: UnboundedSender<Command>,
    settings: Option<Settings>,
    greeted: bool,
    /// Streams that are open, or were when the last one was opened.
    lanes: HashMap<u64, Lane>,
    /// All streams there ever were: an id is never used twice.
    seen: HashSet<u64>,
    tasks: JoinSet<()>,
}

impl Connection {
    async fn read(&mut self, socket: &Socket) -> Ending {
        let mut input = BytesMut::new();
        let mut piece = vec![0; 64 * 1024];
        loop {
            match socket.read_some(&mut piece).await {
                Ok(0) | Err(_) => return Ending::Client,
                Ok(read) => input.extend_from_slice(&piece[..read]),
            }
            let max_frame = self.settings.map_or(1 << 20, |settings| settings.max_frame);
            loop {
                match Frame::decode(&mut input, max_frame) {
                    Ok(Some(frame)) => self.take(frame),
                    Ok(None) => break,
                    Err(error) => {
                        self.violation(None, format!("{error:?}"));
                        return Ending::Closed;
                    }
                }
            }
        }
    }

    fn record(&self, stream: u64, what: What) {
        self.shared.record(self.id, Some(stream), what);
    }

    fn violation(&self, stream: Option<u64>, words: String) {
        self.shared.record(self.id, stream, What::Violation(words));
    }

    fn take(&mut self, frame: Frame) {
        let multiplexed = self.settings.is_some_and(|settings| settings.windows.is_some());
        for fault in inspect::frame(&frame, multiplexed) {
            self.violation(Some(frame.stream), fault);
        }
        if frame.app_proto_id == 0 {
            self.hello(&frame);
        } else if self.settings.is_none() {
            self.violation(Some(frame.stream), "a stream before HELLO was answered".to_owned());
        } else if frame.has(flag::ACK) {
            self.acknowledged(&frame);
        } else if frame.has(flag::START) {
            self.open(frame);
        } else {
            self.more(&frame);
        }
    }

    fn hello(&mut self, frame: &Frame) {
        let Some(client) = ClientHello::decode(&frame.payload) else {
            return self.violation(None, format!("HELLO {:?}", frame.payload));
        };
        self.shared.record(self.id, None, What::Hello(client.clone()));
        let greeting = self.shared.greeting.lock().unwrap().clone();
        let (gate, hello) = match greeting {
            Greeting::Answer(hello) => (None, hello),
            Greeting::Late(gate, hello) => (Some(gate), hello),
            Greeting::Malformed(bad) => return self.send(bad.bytes(frame.stream)),
            Greeting::Silent => return,
            Greeting::Close | Greeting::Reset => return drop(self.out.send(Out::Close)),
        };
        if !self.greeted {
            self.greeted = true;
            self.settings = Some(settle(&client, &hello));
        }
        let answer = Frame::control(frame.stream, flag::RESP, hello.encode()).code(200).encode();
        match gate {
            None => self.send(answer),
            Some(gate) => {
                let out = self.out.clone();
                self.tasks.spawn(async move {
                    gate.passed().await;
                    drop(out.send(Out::Bytes(answer)));
                });
            }
        }
    }

    fn open(&mut self, frame: Frame) {
        let Some(settings) = self.settings else { return };
        if !self.seen.insert(frame.stream) {
            return self.violation(Some(frame.stream), "a corr_id used twice".to_owned());
        }
        self.lanes.retain(|_, lane| !lane.is_over());
        let places = settings.windows.map_or(1, |_| settings.max_inflight as usize);
        if self.lanes.len() >= places {
            self.violation(Some(frame.stream), format!("a stream more than the {places} places"));
        }
        let (head, first) = match Head::decode(&frame.payload) {
            Ok(parsed) => parsed,
            Err(error) => return self.violation(Some(frame.stream), format!("a head: {error:?}")),
        };
        for fault in inspect::head(&head, frame.payload.len() - first.len()) {
            self.violation(Some(frame.stream), fault);
        }
        let ended = frame.has(flag::END);
        let received = Arc::new(Received {
            connection: self.id,
            stream: frame.stream,
            number: self.shared.requests.fetch_add(1, Ordering::Relaxed),
            tenant_id: frame.tenant_id,
            capability: frame.capability.clone(),
            head,
            first: first.clone(),
            ended,
            multiplexed: settings.windows.is_some(),
        });
        let announced = received.field("content-length").and_then(|length| length.parse().ok());
        let (inbound, arriving) = mpsc::unbounded_channel();
        let flow = Arc::new(Flow::default());
        let lane = Lane {
            inbound,
            flow: Arc::clone(&flow),
            received: 0,
            content: BytesMut::new(),
            announced,
            ended: false,
        };
        self.lanes.insert(frame.stream, lane);
        self.record(frame.stream, What::Request(Arc::clone(&received)));
        let script = Arc::clone(&*self.shared.script.lock().unwrap());
        let script = script(&received);
        let head_bytes = (frame.payload.len() - first.len()) as u64;
        let stream = Stream::new(&received, settings, self.out.clone(), arriving, flow, head_bytes);
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn(stream.carry_out(script, Arc::clone(&self.shared), self.command.clone()));
        self.arrived(frame.stream, head_bytes, first, frame.flags);
    }

    fn more(&mut self, frame: &Frame) {
        if !self.seen.contains(&frame.stream) {
            return self.violation(Some(frame.stream), "a frame of a stream that never was".to_owned());
        }
        if frame.has(flag::END) && frame.code != 0 {
            let Some(lane) = self.lanes.get_mut(&frame.stream) else { return };
            lane.ended = true;
            lane.flow.gone.send_replace(true);
            return self.record(frame.stream, What::GivenUp(frame.code));
        }
        self.arrived(frame.stream, 0, frame.payload.clone(), frame.flags);
    }

    /// Counts payload of a request, and hands its content on.
    fn arrived(&mut self, stream: u64, head: u64, content: Bytes, flags: u16) {
        let ours = self.settings.and_then(|settings| settings.windows).map(|(_, ours)| ours);
        let Some(lane) = self.lanes.get_mut(&stream) else { return };
        let mut faults = Vec::new();
        if lane.ended {
            faults.push("data behind END".to_owned());
        }
        lane.received += head + content.len() as u64;
        lane.flow.received.store(lane.received, Ordering::Relaxed);
        let owed = lane.received - lane.flow.returned.load(Ordering::Relaxed);
        if ours.is_some_and(|window| owed > window) {
            faults.push(format!("{owed} bytes unacknowledged"));
        }
        lane.content.extend_from_slice(&content);
        if flags & flag::ACK_REQ != 0 {
            drop(lane.inbound.send(Inbound::AskedForCredit));
        }
        drop(lane.inbound.send(Inbound::Content(content)));
        let mut whole = None;
        if flags & flag::END != 0 && !lane.ended {
            lane.ended = true;
            let length = lane.content.len() as u64;
            if lane.announced.is_some_and(|announced| announced != length) {
                faults.push(format!("{length} bytes of content, {:?} announced", lane.announced));
            }
            whole = Some(lane.content.split().freeze());
            drop(lane.inbound.send(Inbound::End));
        }
        for fault in faults {
            self.violation(Some(stream), fault);
        }
        if let Some(content) = whole {
            self.record(stream, What::Complete(content));
        }
    }

    fn acknowledged(&mut self, frame: &Frame) {
        let Some(lane) = self.lanes.get(&frame.stream) else { return };
        let up_to = frame.payload.clone().try_get_u64().unwrap_or(0);
        let before = *lane.flow.acknowledged.borrow();
        let sent = lane.flow.sent.load(Ordering::Relaxed);
        lane.flow.acknowledged.send_replace(up_to);
        if up_to < before || up_to > sent {
            self.violation(Some(frame.stream), format!("an ACK up to {up_to} after {before}, {sent} sent"));
        }
        self.record(frame.stream, What::Acknowledged(up_to));
    }

    fn send(&self, bytes: Bytes) {
        drop(self.out.send(Out::Bytes(bytes)));
    }
}

/// oap1 §3 and §4: what two HELLOs come to.
fn settle(client: &ClientHello, hello: &ServerHello) -> Settings {
    let windows = match (client.window, hello.window) {
        (Some(theirs), Some(ours)) if client.wants_credit() && hello.flags & flag::ACK != 0 => {
            Some((theirs.min(4 << 20), u64::from(ours.min(4 << 20))))
        }
        _ => None,
    };
    Settings { max_frame: hello.max_frame.min(1 << 20), max_inflight: hello.max_inflight.min(1024), windows }
}
