//! What happens on a cluster's connections, as metrics.

use std::sync::Arc;

use prometheus::IntCounter;

use crate::metrics::Metrics;
use crate::oap::{Counters, ProtocolError};
use crate::upstream::client::Observer;

/// Counts frames and refused peers.
pub(super) struct Counting {
    metrics: Arc<Metrics>,
    received: Vec<(&'static str, IntCounter)>,
    sent: Vec<(&'static str, IntCounter)>,
    dropped: IntCounter,
}

impl Counting {
    pub(super) fn new(metrics: &Arc<Metrics>) -> Arc<Self> {
        let series = |direction: &str, counts: &crate::oap::FrameCounts| {
            counts
                .iter()
                .map(|(kind, _)| {
                    (kind, metrics.oap_frames.with_label_values(&[format!("{direction}_{kind}").as_str()]))
                })
                .collect()
        };
        let all = Counters::default();
        Arc::new(Self {
            metrics: Arc::clone(metrics),
            received: series("received", &all.received),
            sent: series("sent", &all.sent),
            dropped: metrics.oap_frames.with_label_values(&["received_dropped"]),
        })
    }
}

impl Observer for Counting {
    fn on_protocol_error(&self, error: &ProtocolError) {
        self.metrics.on_protocol_error(error.reason());
        log::warn!("a backend broke OAP/1: {error}");
    }

    fn on_frames(&self, frames: &Counters) {
        for (series, counts) in [(&self.received, &frames.received), (&self.sent, &frames.sent)] {
            for ((_, counter), (_, count)) in series.iter().zip(counts.iter()) {
                if count > 0 {
                    counter.inc_by(count);
                }
            }
        }
        self.dropped.inc_by(frames.dropped);
    }
}
