//! Revocations are watched (config.md, `capability.revoked`): a line that is added to the list holds without a reload, and
//! one that is taken off holds no more when the file has stayed so for two seconds.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;
use serde_json::json;
use tokio::time::MissedTickBehavior;

use crate::clock;
use crate::snapshot::Seen;
use crate::state::State;

/// Between two looks at the file: a revocation holds a second after it was written at the latest.
const EVERY: Duration = Duration::from_millis(500);

/// Looks at the list again and again, as a service of Pingora's server.
pub(super) struct Watching(pub(super) Arc<State>);

#[async_trait]
impl BackgroundService for Watching {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let mut beat = tokio::time::interval(EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => return,
                _ = beat.tick() => {}
            }
            let state = Arc::clone(&self.0);
            // A file of many lines takes its time to read, and none of this service's thread.
            drop(tokio::task::spawn_blocking(move || look(&state)).await);
        }
    }
}

fn look(state: &State) {
    let policy = state.snapshot.load_full();
    match policy.capability.revoked.look() {
        Seen::Same => {}
        Seen::Changed(count) => {
            state.log.event(clock::wall(), "info", "revocations_read", &[("revoked", json!(count))]);
        }
        // The list in force stays: a revocation that cannot be read must not end those that were.
        Seen::Wrong(why) => {
            state.log.event(clock::wall(), "error", "revocations_refused", &[("error", json!(why))]);
        }
    }
}
