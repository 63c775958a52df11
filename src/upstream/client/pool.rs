//! All connections to one backend, and the choice among them.
//!
//! What the backend agrees to is remembered while there is any connection. A worker's requests go to its own shared
//! connections, the one with the fewest streams first; when those are full another is dialled, as long as `max`
//! allows; then the other workers' are tried; then the request waits.

use std::sync::Arc;
use std::thread::ThreadId;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::dial::{Dial, OpenError};
use super::driver::drive;
use super::exclusive::Connection;
use super::flight::{Flight, Pilot, flight};
use super::greet::{greet, late};
use super::idle::Idle;
use super::observe::{Kind, Observer, Unobserved};
use super::places::{Holding, Places, Slot};
use super::policy::{Mode, PoolPolicy};
use super::shared::Shared;
use super::stream::{Opening, Stream};
use super::wire::Wire;
use super::worker::{Worker, this_worker};
use crate::oap::{Client, ClientConfig, Counters, StartRequest};

/// After a failed dial, and with connections left whose places can be waited for: how long until the next dial.
const GROW_AGAIN: Duration = Duration::from_secs(1);

/// All connections to one backend.
pub struct Pool<D: Dial> {
    policy: PoolPolicy,
    dial: D,
    places: Arc<Places>,
    /// As many as there are threads that ever opened a stream: a handful, found by looking.
    workers: ArcSwap<Vec<(ThreadId, Arc<Worker>)>>,
    idle: Arc<Idle<D::Io>>,
}

/// What a pool holds at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolCounts {
    /// Shared connections.
    pub shared: usize,
    /// Exclusive connections that wait for a stream.
    pub exclusive_idle: usize,
    /// Exclusive connections that carry one.
    pub exclusive_used: usize,
    /// Connections that are being made.
    pub dialing: usize,
    /// Frames of all connections, since the pool was made.
    pub frames: Counters,
}

/// Which connection a request would rather have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// One of its own; a shared one is the last resort.
    pub exclusive: bool,
    /// Of exclusive ones, one that was not idle: a request that was lost on a connection must not be lost a second time on
    /// another that has waited beside it.
    pub fresh: bool,
}

/// What can be done for a request at the moment.
enum Step<Io> {
    Opened(Stream<Io>),
    Dial(Slot),
    Wait(Option<Flight>),
}

/// A connection that was just greeted.
enum Fresh<Io> {
    Shared(Arc<Shared>, Wire<Io>, Slot),
    Exclusive(Box<Connection<Io>>),
}

impl<D: Dial> Pool<D> {
    /// A pool without connections; the first request dials.
    pub fn new(policy: PoolPolicy, dial: D) -> Arc<Self> {
        Self::observed(policy, dial, Arc::new(Unobserved))
    }

    /// As [`new`](Self::new), with somebody who is told what happens.
    pub fn observed(policy: PoolPolicy, dial: D, observer: Arc<dyn Observer>) -> Arc<Self> {
        let places = Places::new(policy.max, observer);
        let idle = Idle::new(policy.idle, Arc::clone(&places));
        Arc::new(Self { policy, dial, places, workers: ArcSwap::default(), idle })
    }

    /// Opens a stream for `start`, with what fits of `content` in its first frames; the rest stays in `content`. `end`:
    /// nothing follows after `content`. Waits for a dial, or for a place when all are taken: bounding that wait is the
    /// caller's, and dropping the future is safe at any time.
    ///
    /// # Errors
    /// With any error nothing was written: repeating the request elsewhere is safe.
    pub async fn open(
        self: &Arc<Self>,
        start: &StartRequest<'_>,
        content: &mut Bytes,
        end: bool,
        wish: Wish,
    ) -> Result<Stream<D::Io>, OpenError> {
        let mut opening = Opening { start, content, end };
        match self.step(&mut opening, wish)? {
            Step::Opened(stream) => Ok(stream),
            Step::Dial(slot) => self.open_fresh(slot, &mut opening).await,
            Step::Wait(_) => self.wait(&mut opening, wish).await,
        }
    }

    /// Takes no more requests. Idle connections are closed now, used ones when their streams end.
    pub fn close(&self) {
        self.places.close();
        self.idle.clear();
        for worker in self.all_workers() {
            for connection in worker.connections() {
                connection.retire();
            }
        }
    }

    /// What the pool holds now, and the frames of all its connections so far.
    pub fn counts(&self) -> PoolCounts {
        for worker in self.all_workers() {
            for connection in worker.connections() {
                connection.collect();
            }
        }
        let held = self.places.held();
        PoolCounts {
            shared: held.shared,
            exclusive_idle: held.idle,
            exclusive_used: held.used,
            dialing: held.dialing,
            frames: self.places.frames(),
        }
    }

    /// What can be done without waiting.
    fn step(self: &Arc<Self>, opening: &mut Opening<'_, '_>, wish: Wish) -> Result<Step<D::Io>, OpenError> {
        if self.places.is_closed() {
            return Err(OpenError::Closed);
        }
        let exclusive_only =
            self.policy.mode == Mode::Exclusive || self.places.learned() == Some(Kind::Exclusive);
        if wish.exclusive || exclusive_only {
            self.step_exclusive(opening, wish.fresh)
        } else {
            self.step_shared(opening)
        }
    }

    fn step_exclusive(
        self: &Arc<Self>,
        opening: &mut Opening<'_, '_>,
        fresh: bool,
    ) -> Result<Step<D::Io>, OpenError> {
        if !fresh && let Some(stream) = self.open_idle(opening)? {
            return Ok(Step::Opened(stream));
        }
        if let Some(slot) = self.places.reserve() {
            return Ok(Step::Dial(slot));
        }
        if fresh
            && self.idle.evict()
            && let Some(slot) = self.places.reserve()
        {
            return Ok(Step::Dial(slot));
        }
        Ok(self.open_anywhere(opening)?.map_or(Step::Wait(None), Step::Opened))
    }

    fn step_shared(self: &Arc<Self>, opening: &mut Opening<'_, '_>) -> Result<Step<D::Io>, OpenError> {
        let worker = self.worker();
        if let Some(found) = worker.open(opening)? {
            if found.beside > 0 && worker.may_grow(self.policy.shared_per_worker) {
                drop(worker.flight(|| self.launch(&worker)));
            }
            return Ok(Step::Opened(Stream::shared(found.stream)));
        }
        if let Some(flight) = worker.flight(|| self.launch(&worker)) {
            return Ok(Step::Wait(Some(flight)));
        }
        if let Some(stream) = self.open_anywhere(opening)? {
            return Ok(Step::Opened(stream));
        }
        Ok(self.open_idle(opening)?.map_or(Step::Wait(None), Step::Opened))
    }

    /// On an exclusive connection that is idle.
    fn open_idle(&self, opening: &mut Opening<'_, '_>) -> Result<Option<Stream<D::Io>>, OpenError> {
        self.idle.pop(this_worker()).map(|connection| self.open_on(connection, opening)).transpose()
    }

    fn open_on(
        &self,
        connection: Box<Connection<D::Io>>,
        opening: &mut Opening<'_, '_>,
    ) -> Result<Stream<D::Io>, OpenError> {
        match connection.open(&self.idle, opening) {
            Ok(stream) => Ok(Stream::exclusive(stream)),
            Err((connection, error)) => {
                self.idle.push(connection);
                Err(error)
            }
        }
    }

    /// On a shared connection of whichever worker has a place.
    fn open_anywhere(&self, opening: &mut Opening<'_, '_>) -> Result<Option<Stream<D::Io>>, OpenError> {
        for worker in self.all_workers() {
            if let Some(found) = worker.open(opening)? {
                return Ok(Some(Stream::shared(found.stream)));
            }
        }
        Ok(None)
    }

    /// The slow path: waits for the worker's dial, or in the queue for a place.
    async fn wait(
        self: &Arc<Self>,
        opening: &mut Opening<'_, '_>,
        wish: Wish,
    ) -> Result<Stream<D::Io>, OpenError> {
        let waiting = self.places.enter();
        loop {
            let mut freed = std::pin::pin!(waiting.freed());
            freed.as_mut().enable();
            match self.step(opening, wish)? {
                Step::Opened(stream) => {
                    waiting.found();
                    return Ok(stream);
                }
                Step::Dial(slot) => {
                    waiting.found();
                    return self.open_fresh(slot, opening).await;
                }
                Step::Wait(None) => freed.await,
                // A dial's end frees places too; what it ended with comes first, or a failed one would be begun anew.
                Step::Wait(Some(flight)) => tokio::select! {
                    biased;
                    landed = flight.landed() => match landed {
                        // The connections that there are will have places again.
                        Err(_) if self.worker().has_future() => {}
                        landed => landed?,
                    },
                    () = freed => {}
                },
            }
        }
    }

    /// Dials an exclusive connection for this request alone.
    async fn open_fresh(
        &self,
        slot: Slot,
        opening: &mut Opening<'_, '_>,
    ) -> Result<Stream<D::Io>, OpenError> {
        match self.connect(slot, None).await? {
            Fresh::Exclusive(mut connection) => {
                connection.hold(Holding::Used);
                self.open_on(connection, opening)
            }
            // Nothing was offered that could be shared.
            Fresh::Shared(..) => Err(OpenError::Draining),
        }
    }

    /// Starts a dial for the worker, if there is a place.
    fn launch(self: &Arc<Self>, worker: &Arc<Worker>) -> Option<Flight> {
        let slot = self.places.reserve().or_else(|| {
            // A connection for many is worth more than one for nobody.
            self.idle.evict().then(|| self.places.reserve()).flatten()
        })?;
        let (pilot, flight) = flight();
        drop(tokio::spawn(Arc::clone(self).fly(Arc::clone(worker), slot, pilot)));
        Some(flight)
    }

    /// The dial that many may wait for.
    async fn fly(self: Arc<Self>, worker: Arc<Worker>, slot: Slot, pilot: Pilot) {
        let outcome = match self.connect(slot, Some(self.policy.window)).await {
            Ok(Fresh::Shared(shared, wire, mut slot)) => {
                self.places.learn(Kind::Shared);
                slot.hold(Holding::Shared);
                let driver = drive(wire, Arc::clone(&shared), Arc::downgrade(&worker), slot, &self.policy);
                worker.landed(Some(Arc::clone(&shared)), None);
                drop(tokio::spawn(driver));
                if self.places.is_closed() {
                    shared.retire();
                }
                Ok(())
            }
            Ok(Fresh::Exclusive(connection)) => {
                self.places.learn(Kind::Exclusive);
                self.idle.push(connection);
                worker.landed(None, None);
                Ok(())
            }
            Err(error) => {
                worker.landed(None, Some(Instant::now() + GROW_AGAIN));
                Err(error)
            }
        };
        pilot.land(outcome);
        self.places.many_freed();
    }

    /// Dials and says HELLO, offering `window`.
    async fn connect(&self, slot: Slot, window: Option<u32>) -> Result<Fresh<D::Io>, OpenError> {
        let dialled = timeout(self.policy.connect, self.dial.dial()).await.map_err(|_| OpenError::Timeout)?;
        let mut wire = Wire::new(dialled.map_err(OpenError::Connect)?, self.policy.write);
        let mut core = Client::new(&ClientConfig { user_agent: self.policy.user_agent.clone(), window });
        let greeted =
            timeout(self.policy.hello, greet(&mut wire, &mut core)).await.unwrap_or_else(|_| Err(late()));
        if let Err(OpenError::Protocol(error)) = &greeted {
            self.places.broken(error);
        }
        if greeted?.multiplexed {
            let shared = Shared::new(core, wire.written(), Arc::clone(&self.places), self.policy.hello);
            return Ok(Fresh::Shared(shared, wire, slot));
        }
        Ok(Fresh::Exclusive(Box::new(Connection::new(wire, core, slot, this_worker()))))
    }

    fn worker(&self) -> Arc<Worker> {
        let id = this_worker();
        let known = |workers: &[(ThreadId, Arc<Worker>)]| {
            workers.iter().find(|(known, _)| *known == id).map(|(_, worker)| Arc::clone(worker))
        };
        if let Some(worker) = known(&self.workers.load()) {
            return worker;
        }
        // Nobody else adds this thread's.
        let worker = Arc::<Worker>::default();
        drop(self.workers.rcu(|workers| {
            let mut more = Vec::clone(workers);
            more.push((id, Arc::clone(&worker)));
            more
        }));
        worker
    }

    fn all_workers(&self) -> Vec<Arc<Worker>> {
        self.workers.load().iter().map(|(_, worker)| Arc::clone(worker)).collect()
    }
}

impl<D: Dial> Drop for Pool<D> {
    fn drop(&mut self) {
        self.close();
    }
}
