//! Every metric, declared once (http.md §6). Labels are types or configured names: nothing that a client sends
//! becomes a label value, so the number of series is bounded by the configuration.
//!
//! The registry belongs to a gateway, not to the process: two gateways live in one test.

mod tenants;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use self::tenants::Families;
pub use self::tenants::TenantMetrics;
use crate::rejection::{Reason, auth_failures};
use crate::tls::Failure;

/// A request's method as a label: the ones HTTP knows, or `OTHER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// DELETE
    Delete,
    /// PATCH
    Patch,
    /// OPTIONS
    Options,
    /// Anything else.
    Other,
}

impl Method {
    /// Every one, in the order of their numbers.
    pub const ALL: [Self; 8] =
        [Self::Get, Self::Head, Self::Post, Self::Put, Self::Delete, Self::Patch, Self::Options, Self::Other];

    /// The label for a method as it came.
    pub fn of(method: &http::Method) -> Self {
        match *method {
            http::Method::GET => Self::Get,
            http::Method::HEAD => Self::Head,
            http::Method::POST => Self::Post,
            http::Method::PUT => Self::Put,
            http::Method::DELETE => Self::Delete,
            http::Method::PATCH => Self::Patch,
            http::Method::OPTIONS => Self::Options,
            _ => Self::Other,
        }
    }

    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Patch => "PATCH",
            Self::Options => "OPTIONS",
            Self::Other => "OTHER",
        }
    }
}

/// What a reload came to, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadResult {
    /// Another generation is in force.
    Applied,
    /// The old one was kept.
    Refused,
}

impl ReloadResult {
    const ALL: [Self; 2] = [Self::Applied, Self::Refused];

    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
        }
    }
}

/// Statuses whose counters are kept at hand; others are looked up.
const COMMON: [u16; 21] =
    [200, 201, 204, 206, 301, 302, 304, 400, 403, 404, 405, 413, 415, 416, 422, 429, 499, 500, 502, 503, 504];

/// Why an encoded body is refused.
const OF_ENCODED: [Reason; 5] =
    [Reason::Unsupported, Reason::DecodedRatio, Reason::DecodedCap, Reason::Malformed, Reason::Degraded];

/// What one route counts, with its series at hand so that a request looks nothing up.
pub struct RouteMetrics {
    name: String,
    requests: IntCounterVec,
    common: [[OnceLock<IntCounter>; COMMON.len()]; Method::ALL.len()],
    latency: [Histogram; Method::ALL.len()],
    /// `inflight_requests{route}`
    pub inflight: IntGauge,
    /// `busy_rejections_total{route}`
    pub busy: IntCounter,
    /// `bytes_in_total{route}`
    pub bytes_in: IntCounter,
    /// `bytes_out_total{route}`
    pub bytes_out: IntCounter,
}

impl RouteMetrics {
    /// Counts an answered request and the time it took.
    pub fn on_request(&self, method: Method, status: u16, latency: Duration) {
        let cached =
            COMMON.iter().position(|s| *s == status).and_then(|at| self.common.get(method as usize)?.get(at));
        match cached {
            Some(slot) => slot.get_or_init(|| self.series(method, status)).inc(),
            None => self.series(method, status).inc(),
        }
        if let Some(histogram) = self.latency.get(method as usize) {
            histogram.observe(latency.as_secs_f64());
        }
    }

    fn series(&self, method: Method, status: u16) -> IntCounter {
        self.requests.with_label_values(&[self.name.as_str(), method.as_str(), status.to_string().as_str()])
    }
}

/// Every metric of one gateway.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    latency: HistogramVec,
    inflight: IntGaugeVec,
    bytes_in: IntCounterVec,
    bytes_out: IntCounterVec,
    rejected: IntCounterVec,
    read_before: IntCounterVec,
    http2_cut: IntCounterVec,
    auth_failures: IntCounterVec,
    busy: IntCounterVec,
    decoded_reject: IntCounterVec,
    tenants: Families,
    /// `gateway_decoder_memory_bytes`: what the decoders of encoded bodies hold.
    pub decoder_memory: IntGauge,
    /// `gateway_http2_unread_bytes`: what clients have sent of bodies and no request has read.
    pub http2_unread: IntGauge,
    /// `gateway_degraded`: 1 while writes are shed.
    pub degraded: IntGauge,
    /// `integrity_fail_total`: objects whose bytes were not what their address says.
    pub integrity_fail: IntCounter,
    /// `readyz_fail_total{key}`
    pub readyz_fail: IntCounterVec,
    /// `upstream_connections{cluster,state}`
    pub upstream_connections: IntGaugeVec,
    /// `upstream_health{backend}`: 1 healthy, 0 not.
    pub upstream_health: IntGaugeVec,
    /// `oap_frames_total{kind}`
    pub oap_frames: IntCounterVec,
    oap_rejects: IntCounterVec,
    tls_failures: IntCounterVec,
    config_reloads: IntCounterVec,
    /// `config_version`: the generation that is in force.
    pub config_version: IntGauge,
}

impl Metrics {
    /// Declares every metric in a registry of its own.
    ///
    /// # Errors
    /// Two metrics of one name: a bug that the tests would show.
    pub fn new() -> Result<Arc<Self>, prometheus::Error> {
        let registry = Registry::new();
        // 0.25 ms to 16 s: a cached answer of a neighbour to a request that has used its time up.
        let latency =
            HistogramOpts::new("request_latency_seconds", "Whole time of a request, by route and method.")
                .buckets(prometheus::exponential_buckets(0.000_25, 2.0, 17)?);
        // 0.1 ms to 1.6 s: from a place that was free at once to the longest wait that is worth its while.
        let wait = HistogramOpts::new(
            "gateway_drr_wait_seconds",
            "How long requests waited for a place in flight, by tenant.",
        )
        .buckets(prometheus::exponential_buckets(0.000_1, 2.0, 15)?);
        let metrics = Self {
            requests: counters(
                &registry,
                "http_requests_total",
                "Requests answered.",
                &["route", "method", "status"],
            )?,
            latency: register(&registry, HistogramVec::new(latency, &["route", "method"])?)?,
            inflight: gauges(&registry, "inflight_requests", "Requests under way.", &["route"])?,
            bytes_in: counters(&registry, "bytes_in_total", "Body bytes read from clients.", &["route"])?,
            bytes_out: counters(&registry, "bytes_out_total", "Body bytes sent to clients.", &["route"])?,
            rejected: counters(&registry, "rejected_total", "Requests refused, by reason.", &["reason"])?,
            read_before: counters(
                &registry,
                "rejected_body_bytes_read_total",
                "Body bytes that had been read of requests when they were refused, by reason.",
                &["reason"],
            )?,
            http2_cut: counters(
                &registry,
                "http2_cut_total",
                "Connections of HTTP/2 that were cut, by reason.",
                &["reason"],
            )?,
            auth_failures: counters(
                &registry,
                "auth_failures_total",
                "Requests whose evidence was wrong, missing or not enough, by reason.",
                &["reason"],
            )?,
            busy: counters(
                &registry,
                "busy_rejections_total",
                "Requests that found no place in flight, by route.",
                &["route"],
            )?,
            decoded_reject: counters(
                &registry,
                "decoded_reject_total",
                "Requests refused for what their encoded body is or becomes, by reason.",
                &["reason"],
            )?,
            tenants: Families {
                exhaustions: counters(
                    &registry,
                    "gateway_quota_exhaustions_total",
                    "Requests beyond a quota, refused or in shadow, by tenant.",
                    &["tenant"],
                )?,
                wait: register(&registry, HistogramVec::new(wait, &["tenant"])?)?,
                depth: gauges(
                    &registry,
                    "gateway_drr_queue_depth",
                    "Requests that wait for a place in flight, by tenant.",
                    &["tenant"],
                )?,
            },
            decoder_memory: register(
                &registry,
                IntGauge::new(
                    "gateway_decoder_memory_bytes",
                    "What the decoders of encoded bodies hold, of limits.decode.memory_total.",
                )?,
            )?,
            http2_unread: register(
                &registry,
                IntGauge::new(
                    "gateway_http2_unread_bytes",
                    "Bodies over HTTP/2 that came and are not read yet, of limits.http2.unread_total.",
                )?,
            )?,
            degraded: register(&registry, IntGauge::new("gateway_degraded", "1 while writes are shed.")?)?,
            integrity_fail: register(
                &registry,
                IntCounter::new(
                    "integrity_fail_total",
                    "Objects whose bytes were not what their address says.",
                )?,
            )?,
            readyz_fail: counters(
                &registry,
                "readyz_fail_total",
                "Answers of /readyz that named key.",
                &["key"],
            )?,
            upstream_connections: gauges(
                &registry,
                "upstream_connections",
                "Connections to backends, by cluster and state.",
                &["cluster", "state"],
            )?,
            upstream_health: gauges(
                &registry,
                "upstream_health",
                "1 when the backend takes requests.",
                &["backend"],
            )?,
            oap_frames: counters(
                &registry,
                "oap_frames_total",
                "OAP/1 frames, by direction and kind.",
                &["kind"],
            )?,
            oap_rejects: counters(
                &registry,
                "oap_rejects_total",
                "OAP/1 peers refused, by reason.",
                &["reason"],
            )?,
            tls_failures: counters(
                &registry,
                "tls_handshake_failures_total",
                "TLS handshakes of clients that came to nothing, by reason.",
                &["reason"],
            )?,
            config_reloads: counters(
                &registry,
                "config_reloads_total",
                "Reloads of the configuration, by what they came to.",
                &["result"],
            )?,
            config_version: register(
                &registry,
                IntGauge::new("config_version", "Generation of the configuration in force.")?,
            )?,
            registry,
        };
        let build = Opts::new("build_info", "Always 1; the labels tell what runs.")
            .const_label("version", env!("CARGO_PKG_VERSION"));
        register(&metrics.registry, IntGauge::with_opts(build)?)?.set(1);
        metrics.registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        for result in ReloadResult::ALL {
            drop(metrics.config_reloads.with_label_values(&[result.as_str()]));
        }
        for why in Failure::ALL {
            drop(metrics.tls_failures.with_label_values(&[why.as_str()]));
        }
        for word in auth_failures() {
            drop(metrics.auth_failures.with_label_values(&[word]));
        }
        for reason in Reason::ALL {
            drop(metrics.rejected.with_label_values(&[reason.as_str()]));
            drop(metrics.read_before.with_label_values(&[reason.as_str()]));
        }
        for reason in OF_ENCODED {
            drop(metrics.decoded_reject.with_label_values(&[reason.as_str()]));
        }
        Ok(Arc::new(metrics))
    }

    /// The series of one route, made when a configuration names it.
    pub fn route(&self, name: &str) -> Arc<RouteMetrics> {
        Arc::new(RouteMetrics {
            name: name.to_owned(),
            requests: self.requests.clone(),
            common: Default::default(),
            latency: Method::ALL.map(|m| self.latency.with_label_values(&[name, m.as_str()])),
            inflight: self.inflight.with_label_values(&[name]),
            busy: self.busy.with_label_values(&[name]),
            bytes_in: self.bytes_in.with_label_values(&[name]),
            bytes_out: self.bytes_out.with_label_values(&[name]),
        })
    }

    /// What the tenant called `name` counts; of its own once it is ranked.
    pub fn tenant(&self, name: &str) -> Arc<TenantMetrics> {
        self.tenants.tenant(name)
    }

    /// Gives the busiest of `tenants` series of their own, `most` at most.
    pub fn rank_tenants<'a>(&self, tenants: impl Iterator<Item = &'a Arc<TenantMetrics>>, most: usize) {
        self.tenants.rank(tenants, most);
    }

    /// Takes away the series of a tenant that is no more.
    pub fn forget_tenant(&self, name: &str) {
        self.tenants.forget(name);
    }

    /// How many requests of each tenant wait now; of the others none do.
    pub fn set_queue_depths<'a>(&self, waiting: impl Iterator<Item = (&'a TenantMetrics, u32)>) {
        self.tenants.depths(waiting);
    }

    /// Takes away the series of backends and of clusters that are no more, so that names that come and go do not pile up.
    pub fn retain_upstreams(&self, has_backend: impl Fn(&str) -> bool, has_cluster: impl Fn(&str) -> bool) {
        retain(&self.upstream_health, "backend", has_backend);
        retain(&self.upstream_connections, "cluster", has_cluster);
    }

    /// Counts a rejection under the word that answer and log carry.
    pub fn on_rejection(&self, reason: Reason) {
        self.rejected.with_label_values(&[reason.as_str()]).inc();
    }

    /// Counts a TLS handshake that came to nothing.
    pub fn on_handshake_failure(&self, why: Failure) {
        self.tls_failures.with_label_values(&[why.as_str()]).inc();
    }

    /// Counts a connection of HTTP/2 that was cut. `reason` is one of a few words of the code's.
    pub fn on_http2_cut(&self, reason: &'static str) {
        self.http2_cut.with_label_values(&[reason]).inc();
    }

    /// Counts a request that failed to say who it is from, or was not allowed: one of [`auth_failures`].
    pub fn on_auth_failure(&self, word: &'static str) {
        self.auth_failures.with_label_values(&[word]).inc();
    }

    /// Counts a rejection of an encoded body, beside [`on_rejection`](Self::on_rejection).
    pub fn on_encoded_rejection(&self, reason: Reason) {
        self.decoded_reject.with_label_values(&[reason.as_str()]).inc();
    }

    /// Counts a reload.
    pub fn on_reload(&self, result: ReloadResult) {
        self.config_reloads.with_label_values(&[result.as_str()]).inc();
    }

    /// Counts body bytes that had been read when a request was refused.
    pub fn on_read_before(&self, reason: Reason, bytes: u64) {
        self.read_before.with_label_values(&[reason.as_str()]).inc_by(bytes);
    }

    /// Counts an OAP/1 peer that broke a rule of oap1 §2.
    pub fn on_protocol_error(&self, reason: &'static str) {
        self.oap_rejects.with_label_values(&[reason]).inc();
    }

    /// The Prometheus text exposition format, version 0.0.4.
    ///
    /// # Errors
    /// What the encoder says; it has no reason to.
    pub fn render(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::with_capacity(16 * 1024);
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec, prometheus::Error> {
    register(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn gauges(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntGaugeVec, prometheus::Error> {
    register(registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
}

/// Keeps the series whose `label` has a value that `stays`. All labels of the vector are in their names' order.
fn retain(gauges: &IntGaugeVec, label: &str, stays: impl Fn(&str) -> bool) {
    for family in gauges.collect() {
        for series in family.get_metric() {
            let labels = series.get_label();
            if labels.iter().any(|pair| pair.name() == label && !stays(pair.value())) {
                let values: Vec<_> = labels.iter().map(prometheus::proto::LabelPair::value).collect();
                // Whoever was faster has removed it.
                drop(gauges.remove_label_values(&values));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_shows_under_its_route_method_and_status_however_rare_the_status() {
        let metrics = Metrics::new().unwrap();
        let route = metrics.route("objects");
        route.on_request(Method::Get, 200, Duration::from_millis(1));
        route.on_request(Method::Other, 418, Duration::from_millis(1));
        let text = String::from_utf8(metrics.render().unwrap()).unwrap();
        assert!(
            text.contains(r#"http_requests_total{method="GET",route="objects",status="200"} 1"#),
            "{text}"
        );
        assert!(
            text.contains(r#"http_requests_total{method="OTHER",route="objects",status="418"} 1"#),
            "{text}"
        );
    }

    #[test]
    fn upstreams_that_are_no_more_have_no_series() {
        let metrics = Metrics::new().unwrap();
        for backend in ["10.0.0.1:1", "10.0.0.2:1"] {
            metrics.upstream_health.with_label_values(&[backend]).set(1);
        }
        for (cluster, state) in [("a", "shared"), ("b", "shared"), ("b", "dialing")] {
            metrics.upstream_connections.with_label_values(&[cluster, state]).set(1);
        }
        metrics.retain_upstreams(|backend| backend == "10.0.0.2:1", |cluster| cluster == "a");
        let text = String::from_utf8(metrics.render().unwrap()).unwrap();
        let series: Vec<_> = text.lines().filter(|line| line.starts_with("upstream_")).collect();
        assert_eq!(
            series,
            [
                r#"upstream_connections{cluster="a",state="shared"} 1"#,
                r#"upstream_health{backend="10.0.0.2:1"} 1"#
            ]
        );
    }

    #[test]
    fn every_reason_has_its_series_before_it_happens() {
        let text = String::from_utf8(Metrics::new().unwrap().render().unwrap()).unwrap();
        for reason in Reason::ALL {
            assert!(text.contains(&format!("rejected_total{{reason=\"{}\"}} 0", reason.as_str())));
        }
    }
}
