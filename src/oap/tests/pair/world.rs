//! Two cores, the bytes between them, and their users.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::*;

/// What all bodies are pieces of: no two offsets look alike.
static NOISE: LazyLock<Bytes> = LazyLock::new(|| {
    let mut rng = Rng(0x9e37_79b9_7f4a_7c15);
    (0..1_000_000).map(|_| rng.next() as u8).collect::<Vec<u8>>().into()
});

#[derive(Clone, Copy, Debug)]
pub(super) struct Config {
    pub(super) client_window: Option<u32>,
    pub(super) server_window: Option<u32>,
    pub(super) max_frame: u32,
    pub(super) max_inflight: u32,
    pub(super) seed: u64,
    /// Whether credit comes late.
    pub(super) slow: bool,
    /// Whether the server drains in between.
    pub(super) drains: bool,
}

/// How an exchange is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    Whole { early: bool },
    AnswerEarly,
    GiveUp,
    Fail { after: usize },
    FailFirst,
    NotProcessed,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    pub(super) request: usize,
    pub(super) answer: usize,
    pub(super) announced: bool,
    pub(super) plan: Plan,
}

impl Job {
    pub(super) fn body(index: usize, direction: usize, len: usize) -> Bytes {
        let start = index * 1009 + direction * 100_003;
        NOISE.slice(start..start + len)
    }

    pub(super) fn length(&self, len: usize) -> Vec<(String, String)> {
        if self.announced { vec![("content-length".into(), len.to_string())] } else { Vec::new() }
    }
}

/// xorshift64*.
#[derive(Debug)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    pub(super) fn below(&mut self, most: usize) -> usize {
        self.next() as usize % most.max(1)
    }
}

/// An exchange as one of its ends sees it.
#[derive(Debug)]
pub(super) struct End {
    pub(super) job: usize,
    pub(super) to_send: Bytes,
    pub(super) got: Vec<u8>,
    pub(super) begun: bool,
    pub(super) sent_all: bool,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) config: Config,
    pub(super) jobs: Vec<Job>,
    pub(super) done: Vec<bool>,
    pub(super) rng: Rng,
    pub(super) client: Client,
    pub(super) server: Server,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    pub(super) asking: HashMap<StreamId, End>,
    pub(super) answering: HashMap<StreamId, End>,
    /// Woken, or left with something to say.
    pub(super) client_ready: Vec<StreamId>,
    pub(super) server_ready: Vec<StreamId>,
    pub(super) client_owes: Vec<(StreamId, u32)>,
    pub(super) server_owes: Vec<(StreamId, u32)>,
    /// A job whose answer nobody reads.
    pub(super) ignored: Option<usize>,
}

pub(super) fn head(fields: &[(String, String)]) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
    fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()))
}

impl World {
    pub(super) fn new(config: Config, jobs: Vec<Job>) -> Self {
        let (client, server) = Self::connect(&config);
        Self {
            done: vec![false; jobs.len()],
            jobs,
            rng: Rng(config.seed | 1),
            client,
            server,
            config,
            to_server: Vec::new(),
            to_client: Vec::new(),
            asking: HashMap::new(),
            answering: HashMap::new(),
            client_ready: Vec::new(),
            server_ready: Vec::new(),
            client_owes: Vec::new(),
            server_owes: Vec::new(),
            ignored: None,
        }
    }

    fn connect(config: &Config) -> (Client, Server) {
        let client = Client::new(&ClientConfig { user_agent: "c".into(), window: config.client_window });
        let server = Server::new(&ServerConfig {
            user_agent: "s".into(),
            max_frame: config.max_frame,
            max_inflight: config.max_inflight,
            window: config.server_window,
        });
        (client, server)
    }

    pub(super) fn is_done(&self, job: usize) -> bool {
        self.done[job]
    }

    /// Runs until nothing moves any more, and holds that everything has come to its end.
    pub(super) fn run(mut self) {
        self.run_until_still();
        assert!(
            self.done.iter().all(|done| *done),
            "stuck: {:?}\n{:?} {:?}",
            self.done,
            self.asking,
            self.answering
        );
        assert_eq!(self.client.open_streams(), 0);
        assert!(self.client.is_over() || self.client.probe_answered());
        assert!(self.client.is_over() || self.server.is_idle(), "{:?}", self.server);
        assert!(self.answering.is_empty());
    }

    pub(super) fn run_until_still(&mut self) {
        let mut drained = !self.config.drains;
        for round in 0.. {
            assert!(round < 2_000_000, "no end");
            // Some rounds leave some out; one that does everything and moves nothing is the last.
            let all = self.rng.below(3) == 0;
            let mut moved = false;
            for step in 0..8 {
                if all || self.rng.below(2) == 0 {
                    moved |= self.step(step);
                }
            }
            self.check_memory();
            if !drained && self.done.iter().any(|done| *done) {
                drained = true;
                self.server.drain();
                moved = true;
            }
            if all && !moved {
                return;
            }
        }
    }

    fn step(&mut self, step: usize) -> bool {
        match step {
            0 => self.open(),
            1 => self.carry_to_server(),
            2 => self.carry_to_client(),
            3 => self.ask(),
            4 => self.answer(),
            5 => self.pay(),
            6 => self.rng.below(50) == 0 && self.client.probe(),
            _ => self.reconnect(),
        }
    }

    fn check_memory(&mut self) {
        let streams = 2 * self.config.max_inflight.max(1) as usize;
        let most = (streams + 1) * (CHUNK + 2048);
        assert!(self.client.output().len() <= most && self.server.output().len() <= most);
    }

    fn carry_to_server(&mut self) -> bool {
        let (most, cut) = (self.rng.below(200_000), 1 + self.rng.below(70_000));
        self.to_server.extend(take(self.client.output(), most));
        let cut = cut.min(self.to_server.len());
        let mut input: BytesMut = self.to_server.drain(..cut).collect();
        self.server.handle_input(&mut input).unwrap();
        cut > 0 || most == 0 || self.client.wants_write()
    }

    fn carry_to_client(&mut self) -> bool {
        let (most, cut) = (self.rng.below(200_000), 1 + self.rng.below(70_000));
        self.to_client.extend(take(self.server.output(), most));
        let cut = cut.min(self.to_client.len());
        let mut input: BytesMut = self.to_client.drain(..cut).collect();
        self.client.handle_input(&mut input).unwrap();
        cut > 0 || most == 0 || self.server.wants_write()
    }

    /// Passes on what was taken.
    fn pay(&mut self) -> bool {
        let slow = self.config.slow;
        let mut moved = false;
        for (owes, client) in [(&mut self.client_owes, true), (&mut self.server_owes, false)] {
            let kept = if slow { self.rng.below(owes.len() + 1) } else { 0 };
            for (id, credit) in owes.drain(kept..) {
                moved = true;
                if client {
                    self.client.passed_on(id, credit);
                } else {
                    self.server.passed_on(id, credit);
                }
            }
            moved |= kept > 0;
        }
        moved
    }

    /// A connection that is over, or drained and done, is replaced.
    fn reconnect(&mut self) -> bool {
        let over = self.client.is_over() || self.client.is_draining() && self.client.open_streams() == 0;
        if !over || self.done.iter().all(|done| *done) && self.client.is_over() && self.answering.is_empty() {
            return false;
        }
        if !self.client.is_over()
            && (self.client.wants_write() || !self.answering.is_empty() || !self.server.is_idle())
        {
            return false;
        }
        assert!(self.asking.is_empty(), "an exclusive connection ends with its stream: {:?}", self.asking);
        drop(self.server.handle_eof());
        for id in std::mem::take(&mut self.answering).into_keys() {
            while let Some(event) = self.server.poll(id) {
                assert!(!matches!(event, Arriving::End));
            }
        }
        assert_eq!(self.server.open_streams(), 0);
        (self.client, self.server) = Self::connect(&self.config);
        self.to_client.clear();
        self.to_server.clear();
        self.client_owes.clear();
        self.server_owes.clear();
        self.client_ready.clear();
        self.server_ready.clear();
        true
    }
}
