//! What the gateway's tests and measurements stand on.
//!
//! - [`Gateway`]: the real binary as a process, its log, its metrics, its memory.
//! - [`backend`]: a scripted OAP/1 service with a codec of its own ([`wire`]), which can break every rule.
//! - [`origin`]: plain HTTP/1.1 and h2c services, fast enough to measure against.
//! - [`relay`]: something between the two that dies, stalls, comes back, or speaks TLS ([`tls`]).
//! - [`client`]: HTTP/1.1 and HTTP/2 clients that say whether an answer was whole.
//! - [`raw`]: raw HTTP/1 requests and HTTP/2 frames, right and wrong, with what must become of them.
//! - [`encoded`]: bodies in gzip, deflate and brotli that grow as much as one wants.
//! - [`conf`]: configurations. [`load`]: a load generator; its program is `gateway-load`.
//!
//! It does not hold the gateway's tests, nor share a line of code with the gateway.
//!
//! ```no_run
//! use gateway_testing::{Gateway, backend::{Backend, Malformed, Moment, Script}, client::{Http1, Request}, conf, pattern};
//!
//! # async fn examples(binary: &str) {
//! // A request crosses and comes back whole.
//! let backend = Backend::oap().script(|_| Script::whole(200, &[], pattern(100_000))).start();
//! let config = conf::minimal().oap_cluster("app", &backend.address()).proxy_route("/", "app");
//! let gateway = Gateway::start(binary, &config.yaml()).await;
//! let mut client = Http1::connect(gateway.address("public")).await;
//! let answer = client.request(&Request::get("/x")).await;
//! assert!(answer.body.complete && answer.body.bytes == pattern(100_000));
//! assert_eq!(backend.next_request().await.field("host"), None);
//!
//! // A frame that no receiver may accept cuts the answer, and is counted under its reason.
//! let wrong = Malformed::VersionTwo;
//! backend.set_script(move |_| Script::malformed_at(Moment::MidAnswer, wrong));
//! let answer = client.request(&Request::get("/x")).await;
//! assert!(!answer.body.complete);
//! assert_eq!(gateway.metric(&format!("oap_rejects_total{{reason=\"{}\"}}", wrong.reason())).await, 1.0);
//!
//! // A client that leaves gives its stream up.
//! backend.set_script(|_| Script::new().mark("stalled").stall());
//! let mut leaving = Http1::connect(gateway.address("public")).await;
//! leaving.send(&Request::get("/slow").http1_bytes()).await;
//! backend.wait_for_mark("stalled").await;
//! drop(leaving);
//! backend.wait_for_give_up().await;
//! assert_eq!(backend.violations(), Vec::<String>::new());
//! # }
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    let_underscore_drop,
    reason = "a test's equipment fails by panicking, and reads the clock"
)]

pub mod backend;
pub mod client;
pub mod conf;
pub mod encoded;
mod gateway;
mod journal;
pub mod load;
pub mod net;
pub mod origin;
mod pattern;
pub mod process;
pub mod raw;
pub mod relay;
pub mod tls;
pub mod wire;

pub use gateway::{Builder, Gateway};
pub use journal::Journal;
pub use pattern::{pattern, pattern_at};

/// How long a test waits for what must happen before it fails. Long, since machines are slow and busy; no test
/// measures time by it.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);
/// How often it looks.
const LOOK: std::time::Duration = std::time::Duration::from_millis(10);

/// Waits for what nothing tells but a look: no line of the log, no metric, no answer.
///
/// # Panics
/// With `what`, when it does not come to be.
pub async fn comes_true(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !is_true() {
        assert!(looks.tick().await < deadline, "it does not come true: {what}");
    }
}
