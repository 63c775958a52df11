//! A scripted OAP/1 service on real sockets.
//!
//! It speaks through the codec of [`crate::wire`], does to each request what a [`Script`] says, good or bad, and
//! records what it sees, the client's own breaches included ([`Backend::violations`]). It runs on a thread of its own, so
//! that a test may block. It stores nothing and is not fast.

mod connection;
mod event;
mod greeting;
mod inspect;
mod malformed;
mod script;
mod stream;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

pub use event::{Event, Received, What};
pub use greeting::{BadHello, Greeting};
pub use malformed::{Ends, Malformed, Moment};
pub use script::{Gate, Script};

use crate::PATIENCE;
use crate::journal::Journal;
use crate::net::{Address, Bound, Kept, Listener};
use crate::wire::ServerHello;

type ScriptFor = Arc<dyn Fn(&Received) -> Script + Send + Sync>;

/// What connections and the handle share.
struct Shared {
    journal: Journal<Event>,
    script: Mutex<ScriptFor>,
    greeting: Mutex<Greeting>,
    connections: Mutex<BTreeMap<u64, UnboundedSender<Command>>>,
    next_connection: AtomicU64,
    requests: AtomicUsize,
    quiet: bool,
}

impl Shared {
    fn record(&self, connection: u64, stream: Option<u64>, what: What) {
        if self.quiet
            && matches!(what, What::Request(_) | What::Complete(_) | What::Acknowledged(_) | What::Done)
        {
            return;
        }
        self.journal.push(Event { at: Instant::now(), connection, stream, what });
    }
}

/// What the handle, or a script, asks of a connection; it jumps the queue of what is to be written.
enum Command {
    Write(Bytes),
    Close,
    Reset,
}

/// A service to be.
pub struct Builder {
    address: Option<Address>,
    script: ScriptFor,
    greeting: Greeting,
    quiet: bool,
}

/// A running service; it is gone, connections and all, when this is dropped.
pub struct Backend {
    shared: Arc<Shared>,
    address: Address,
    _kept: Option<Kept>,
    acceptor: Mutex<Option<JoinHandle<()>>>,
    runtime: Option<Runtime>,
    /// How many requests [`Backend::next_request`] has given out, as an index into the journal.
    cursor: AtomicUsize,
    _folder: Option<TempDir>,
}

impl Builder {
    /// Listens on a Unix socket instead of TCP.
    #[must_use]
    pub fn unix(mut self) -> Self {
        self.address = None;
        self
    }

    /// Listens at this address.
    #[must_use]
    pub fn at(mut self, address: Address) -> Self {
        self.address = Some(address);
        self
    }

    /// What is done to a request; [`Script::standard`] unless said.
    #[must_use]
    pub fn script(mut self, script: impl Fn(&Received) -> Script + Send + Sync + 'static) -> Self {
        self.script = Arc::new(script);
        self
    }

    /// How HELLO is answered; well, and multiplexed where the client wants it, unless said.
    #[must_use]
    pub fn hello(self, hello: ServerHello) -> Self {
        self.greeting(Greeting::Answer(hello))
    }

    /// Lists neither ACK nor a window: every connection is exclusive.
    #[must_use]
    pub fn exclusive(self) -> Self {
        self.hello(ServerHello { flags: 0, window: None, ..ServerHello::default() })
    }

    /// How connections are met.
    #[must_use]
    pub fn greeting(mut self, greeting: Greeting) -> Self {
        self.greeting = greeting;
        self
    }

    /// Records neither requests nor what becomes of them, for those that come in their hundred thousands.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Starts it.
    pub fn start(self) -> Backend {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("scripted-backend")
            .enable_all()
            .build()
            .expect("a runtime");
        let (address, folder) = match self.address {
            Some(address) => (address, None),
            None => {
                let folder = TempDir::with_prefix("oap-").expect("a temporary folder");
                (Address::Unix(folder.path().join("socket")), Some(folder))
            }
        };
        let (bound, address) = Listener::bind(&address).expect("a free address");
        let shared = Arc::new(Shared {
            journal: Journal::default(),
            script: Mutex::new(self.script),
            greeting: Mutex::new(self.greeting),
            connections: Mutex::default(),
            next_connection: AtomicU64::new(0),
            requests: AtomicUsize::new(0),
            quiet: self.quiet,
        });
        let kept = match &address {
            Address::Tcp(address) => Some(Kept::new(*address).expect("an address to keep")),
            Address::Unix(_) => None,
        };
        let backend = Backend {
            shared,
            address,
            _kept: kept,
            acceptor: Mutex::default(),
            runtime: Some(runtime),
            cursor: AtomicUsize::new(0),
            _folder: folder,
        };
        backend.accept_on(bound);
        backend
    }
}

impl Backend {
    /// A service at a port that the system chooses.
    pub fn oap() -> Builder {
        Builder {
            address: Some(Address::parse("127.0.0.1:0")),
            script: Arc::new(Script::standard),
            greeting: Greeting::Answer(ServerHello::default()),
            quiet: false,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> Address {
        self.address.clone()
    }

    /// Replaces the script, for requests to come.
    pub fn set_script(&self, script: impl Fn(&Received) -> Script + Send + Sync + 'static) {
        *self.shared.script.lock().unwrap() = Arc::new(script);
    }

    /// Replaces the greeting, for connections to come.
    pub fn set_greeting(&self, greeting: Greeting) {
        *self.shared.greeting.lock().unwrap() = greeting;
    }

    /// Stops listening: new connections are refused, old ones go on.
    pub async fn stop_listening(&self) {
        let acceptor = self.acceptor.lock().unwrap().take();
        if let Some(acceptor) = acceptor {
            acceptor.abort();
            // Its socket is closed when the task is gone.
            drop(acceptor.await);
        }
    }

    /// What a killed process looks like: no listener, every connection reset.
    pub async fn kill(&self) {
        self.stop_listening().await;
        self.reset_connections();
    }

    /// Listens again, at the same address.
    pub fn restart(&self) {
        let (bound, _) = Listener::bind(&self.address).expect("the address is free again");
        self.accept_on(bound);
    }

    /// Resets every connection.
    pub fn reset_connections(&self) {
        self.command(|| Command::Reset);
    }

    /// Closes every connection.
    pub fn close_connections(&self) {
        self.command(|| Command::Close);
    }

    /// Writes bytes onto every connection.
    pub fn write_to_connections(&self, bytes: &Bytes) {
        self.command(|| Command::Write(bytes.clone()));
    }

    /// Tells every connection that no further streams are wanted on it.
    pub fn drain(&self) {
        self.write_to_connections(&connection::drain());
    }

    /// Breaks a rule on every connection, between requests.
    pub fn break_rule(&self, malformed: Malformed) {
        let at = malformed::Surroundings { stream: 0, max_frame: 1 << 20, received: 1 };
        let (bytes, ends) = malformed.bytes(at);
        self.write_to_connections(&bytes);
        if ends {
            self.close_connections();
        }
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.shared.connections.lock().unwrap().len()
    }

    /// All that happened.
    pub fn events(&self) -> Vec<Event> {
        self.shared.journal.since(0)
    }

    /// How many events there are: a place to wait from.
    pub fn now(&self) -> usize {
        self.shared.journal.count()
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Arc<Received>> {
        self.shared.journal.pick(request)
    }

    /// What the client did that OAP/1 forbids.
    pub fn violations(&self) -> Vec<String> {
        self.shared.journal.pick(|event| match &event.what {
            What::Violation(words) => Some(words.clone()),
            _ => None,
        })
    }

    /// The next request, in order of arrival, each once.
    pub async fn next_request(&self) -> Arc<Received> {
        let from = self.cursor.load(Ordering::Relaxed);
        let (at, found) = self.shared.journal.wait(from, PATIENCE, request).await.expect("no request comes");
        self.cursor.store(at + 1, Ordering::Relaxed);
        found
    }

    /// Waits for an event, past or to come.
    pub async fn wait_for<R>(&self, pick: impl FnMut(&Event) -> Option<R>) -> R {
        self.wait_from(0, pick).await
    }

    /// Waits for an event from the `from`th on (see [`Backend::now`]).
    pub async fn wait_from<R>(&self, from: usize, pick: impl FnMut(&Event) -> Option<R>) -> R {
        match self.shared.journal.wait(from, PATIENCE, pick).await {
            Some((_, found)) => found,
            None => panic!("it does not happen; what did:\n{:#?}", self.events()),
        }
    }

    /// Waits until a script has reached a mark.
    pub async fn wait_for_mark(&self, name: &'static str) -> Event {
        self.wait_for(|event| matches!(event.what, What::Mark(mark) if mark == name).then(|| event.clone()))
            .await
    }

    /// Waits until a stream was given up, in either mode.
    pub async fn wait_for_give_up(&self) -> Event {
        self.wait_for(|event| matches!(event.what, What::GivenUp(_)).then(|| event.clone())).await
    }

    /// Waits until so many streams were given up.
    pub async fn wait_for_give_ups(&self, count: usize) {
        let mut seen = 0;
        self.wait_for(|event| {
            seen += usize::from(matches!(event.what, What::GivenUp(_)));
            (seen >= count).then_some(())
        })
        .await;
    }

    /// Waits until the request with this number is whole, and returns its content.
    pub async fn content_of(&self, request: &Received) -> Bytes {
        let this = (request.connection, Some(request.stream));
        self.wait_for(|event| match &event.what {
            What::Complete(content) if (event.connection, event.stream) == this => Some(content.clone()),
            _ => None,
        })
        .await
    }

    fn command(&self, command: impl Fn() -> Command) {
        for connection in self.shared.connections.lock().unwrap().values() {
            drop(connection.send(command()));
        }
    }

    fn accept_on(&self, bound: Bound) {
        let runtime = self.runtime.as_ref().expect("it is there until drop");
        let shared = Arc::clone(&self.shared);
        let acceptor = runtime.spawn(async move {
            let listener = Listener::adopt(bound).expect("a registered socket");
            while let Ok(socket) = listener.accept().await {
                let shared = Arc::clone(&shared);
                let id = shared.next_connection.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(connection::serve(shared, id, socket));
            }
        });
        *self.acceptor.lock().unwrap() = Some(acceptor);
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn request(event: &Event) -> Option<Arc<Received>> {
    match &event.what {
        What::Request(received) => Some(Arc::clone(received)),
        _ => None,
    }
}
