//! A world in virtual time: clients, a backend with a service time, and the core between them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::admission::busy::Why;
use crate::admission::drr::{Drr, Entered, Grant, Outcome};
use crate::admission::policy::{Bound, Claim, Policy, TenantPolicy};

pub const UNIT: u64 = 64 << 10;

pub fn slots(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

pub fn policy(in_flight: u32) -> Policy {
    Policy { in_flight: slots(in_flight), only_tenant: false, ..Policy::default() }
}

/// How a client sends.
#[derive(Clone, Copy, Debug)]
pub enum Pattern {
    /// The next as soon as the last is answered, on so many connections.
    Closed(u32),
    /// One each so often, whatever becomes of the last; ± half of that at random.
    Every(Duration),
}

/// One tenant's client.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    pub tenant: u64,
    pub weight: u32,
    pub pattern: Pattern,
    pub request: u64,
    pub response: u64,
    pub cluster: u64,
    /// Of its requests; `None`: the world's.
    pub service: Option<Duration>,
    /// Before it tries again after a no.
    pub backoff: Duration,
}

impl Client {
    pub fn new(tenant: u64, pattern: Pattern) -> Self {
        Self {
            tenant,
            weight: 1,
            pattern,
            request: 0,
            response: 13,
            cluster: 0,
            service: None,
            backoff: Duration::from_millis(10),
        }
    }

    pub fn claim(&self) -> Claim {
        Claim {
            generation: 0,
            tenant: self.tenant,
            policy: TenantPolicy { weight: slots(self.weight), ..TenantPolicy::default() },
            principal: self.tenant,
            cluster: self.cluster,
            cluster_in_flight: Bound::Auto,
            declared: self.request,
            route_weight: NonZeroU32::MIN,
            streams: false,
        }
    }
}

/// What came of a client's requests.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub waits: Vec<Duration>,
    pub done: u64,
    pub cost: f64,
    pub rejected: BTreeMap<&'static str, u64>,
}

impl Seen {
    /// The wait that so many in a thousand do not exceed.
    pub fn wait(&self, per_mille: usize) -> Duration {
        let mut waits = self.waits.clone();
        waits.sort();
        waits
            .get((waits.len() * per_mille / 1000).min(waits.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    }

    pub fn failed(&self) -> u64 {
        self.rejected.values().sum()
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Send(usize),
    Done(usize),
    Expire,
}

pub struct World {
    pub drr: Drr,
    pub clients: Vec<Client>,
    pub seen: Vec<Seen>,
    pub service: Duration,
    pub now: Instant,
    events: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    order: u64,
    grants: Vec<Option<(usize, Grant)>>,
    rng: u64,
}

impl World {
    pub fn new(policy: Policy, service: Duration, clients: Vec<Client>) -> Self {
        let now = Instant::now();
        let mut world = Self {
            drr: Drr::new(policy, now),
            seen: vec![Seen::default(); clients.len()],
            clients,
            service,
            now,
            events: BinaryHeap::new(),
            order: 0,
            grants: Vec::new(),
            rng: 7,
        };
        for n in 0..world.clients.len() {
            match world.clients[n].pattern {
                Pattern::Closed(connections) => {
                    (0..connections).for_each(|_| world.at(Duration::ZERO, Event::Send(n)))
                }
                Pattern::Every(every) => {
                    let after = every * world.random(1000) / 1000;
                    world.at(after, Event::Send(n));
                }
            }
        }
        world
    }

    fn random(&mut self, below: u32) -> u32 {
        self.rng = self.rng.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.rng >> 33) as u32) % below
    }

    fn at(&mut self, after: Duration, event: Event) {
        self.order += 1;
        self.events.push(Reverse((self.now + after, self.order, event)));
    }

    /// Forgets what was seen so far.
    pub fn forget(&mut self) {
        self.seen.iter_mut().for_each(|seen| *seen = Seen::default());
    }

    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(Reverse((at, ..))) = self.events.peek() {
            if *at > end {
                break;
            }
            let Some(Reverse((at, _, event))) = self.events.pop() else { break };
            self.now = at;
            match event {
                Event::Send(client) => self.send(client),
                Event::Done(grant) => self.done(grant),
                Event::Expire => self.drr.expire(at),
            }
            while let Some((token, outcome)) = self.drr.poll_outcome() {
                match outcome {
                    Outcome::Granted(grant) => self.granted(token as usize, grant),
                    Outcome::Busy(busy) => self.busy(token as usize, busy.why),
                }
            }
        }
        self.now = end;
    }

    fn send(&mut self, client: usize) {
        let claim = self.clients[client].claim();
        if let Pattern::Every(every) = self.clients[client].pattern {
            let after = every / 2 + every * self.random(1000) / 1000;
            self.at(after, Event::Send(client));
        }
        match self.drr.enter(&claim, client as u32, self.now) {
            Entered::Granted(grant) => self.granted(client, grant),
            Entered::Waiting(_) => {
                let wait = Policy::default().wait;
                self.at(wait, Event::Expire);
            }
            Entered::Busy(busy) => self.busy(client, busy.why),
        }
    }

    fn granted(&mut self, client: usize, grant: Grant) {
        self.seen[client].waits.push(grant.waited());
        let place = match self.grants.iter().position(Option::is_none) {
            Some(place) => place,
            None => {
                self.grants.push(None);
                self.grants.len() - 1
            }
        };
        self.grants[place] = Some((client, grant));
        // A little noise, so that slots do not march in step.
        let service = self.clients[client].service.unwrap_or(self.service);
        let noise = self.random(100);
        self.at(service * (950 + noise) / 1000, Event::Done(place));
    }

    fn done(&mut self, place: usize) {
        let (n, grant) = self.grants[place].take().unwrap();
        let client = self.clients[n];
        let bytes = client.request + client.response;
        self.seen[n].done += 1;
        self.seen[n].cost += 1.0 + bytes as f64 / UNIT as f64;
        self.drr.release(grant, bytes, self.now);
        if let Pattern::Closed(_) = client.pattern {
            self.at(Duration::from_micros(200), Event::Send(n));
        }
    }

    fn busy(&mut self, client: usize, why: Why) {
        let why = match why {
            Why::QueueFull => "queue full",
            Why::WouldWait => "would wait",
            Why::WaitedTooLong => "waited too long",
            Why::Outbid => "outbid",
        };
        *self.seen[client].rejected.entry(why).or_default() += 1;
        if let Pattern::Closed(_) = self.clients[client].pattern {
            self.at(self.clients[client].backoff, Event::Send(client));
        }
    }
}
