//! What is measured again and again beside the requests: the pressure, and which tenants are the busiest.

use std::sync::Arc;

use async_trait::async_trait;
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;
use tokio::time::MissedTickBehavior;

use crate::clock;
use crate::pressure::{self, process};
use crate::state::State;

/// Measurements between two counts of the open descriptors, which take longer the more there are.
const COUNT: u32 = 10;
/// Measurements between two rankings of the tenants.
const RANK: u32 = 100;

/// Measures, as a service of Pingora's server.
pub(super) struct Measuring(pub(super) Arc<State>);

#[async_trait]
impl BackgroundService for Measuring {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let mut beat = tokio::time::interval(pressure::EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut descriptors = 0;
        for n in (0_u32..).cycle() {
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => return,
                _ = beat.tick() => {}
            }
            if n % COUNT == 0 {
                descriptors = process::descriptors().unwrap_or(0);
            }
            if n % RANK == 0 {
                self.0.rank_tenants();
                self.0.quotas.sweep(clock::now());
            }
            self.0.measure(descriptors, clock::now());
        }
    }
}
