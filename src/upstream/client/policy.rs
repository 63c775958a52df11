//! How the connections to one backend are made and kept, as data. Compiled from the configuration elsewhere.

use std::time::Duration;

/// Whether requests may share a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Where the backend agrees to it in HELLO.
    #[default]
    Auto,
    /// Never: ACK and a window are not offered.
    Exclusive,
}

/// The connections of one backend.
#[derive(Clone, Debug)]
pub struct PoolPolicy {
    /// Whether requests may share a connection.
    pub mode: Mode,
    /// Shared connections of each worker thread, before more are made because these are full. 0 is read as 1.
    pub shared_per_worker: usize,
    /// Connections to this backend: of all workers and kinds, those being dialled included. 0 is read as 1.
    pub max: usize,
    /// Payload bytes of one stream that the backend may send without acknowledgement (oap1 §4).
    pub window: u32,
    /// Longest dial, TLS included.
    pub connect: Duration,
    /// Longest wait for the answer to HELLO.
    pub hello: Duration,
    /// How long a connection without streams is kept.
    pub idle: Duration,
    /// How long a connection's socket may take nothing while there is something to write, and how long a peer that was
    /// silent until a request was given up may stay so when it is asked for a sign of life.
    pub write: Duration,
    /// What HELLO says that we are.
    pub user_agent: String,
}

impl Default for PoolPolicy {
    /// The defaults of the configuration (oap1 §6).
    fn default() -> Self {
        Self {
            mode: Mode::Auto,
            shared_per_worker: 1,
            max: 256,
            window: 256 * 1024,
            connect: Duration::from_secs(1),
            hello: Duration::from_secs(1),
            idle: Duration::from_secs(60),
            write: Duration::from_secs(5),
            user_agent: String::from("svc-gateway"),
        }
    }
}
