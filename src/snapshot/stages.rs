//! What the configuration says, in the stages' own terms.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use crate::admission::overload::Shed;
use crate::admission::{self, Bound, overload};
use crate::caps;
use crate::config::{self, ByteRate, Config, InFlight, Limits};
use crate::edge::Bounds;
use crate::edge::guard::progress::MinRate;
use crate::edge::guard::unread::Windows;
use crate::edge::guard::{http1, http2};
use crate::quota;

/// Over how long `min_rate` is measured (http.md §7).
const MIN_RATE_OVER: Duration = Duration::from_secs(5);

/// `limits`, for the bytes of connections.
pub(super) fn bounds(limits: &Limits) -> Bounds {
    let request = &limits.request;
    let (head_timeout, head) = (request.head_timeout, request.head);
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let rate = |rate: Option<config::Rate>| rate.map(config::Rate::one_second);
    Bounds {
        http1: http1::Policy {
            head: size(head),
            fields: request.fields,
            uri: size(request.uri),
            head_timeout,
        },
        http2: http2::Policy {
            resets: rate(limits.http2.resets),
            settings: rate(limits.http2.settings),
            pings: rate(limits.http2.pings),
            // A list that is too long but fits one frame is answered 431 behind the guard, and costs the other streams nothing.
            head: u32::try_from(head).unwrap_or(u32::MAX).max(HTTP2_FRAME),
            head_timeout,
        },
        windows: Windows { stream: limits.http2.stream_window, connection: limits.http2.connection_window },
        idle: request.idle,
        min_rate: request.min_rate.map(|rate| MinRate { per_second: rate.one_second(), over: MIN_RATE_OVER }),
    }
}

/// The longest frame of a client that was told nothing else, in bytes (RFC 9113 §6.5.2).
const HTTP2_FRAME: u32 = 16 << 10;

/// `limits`, for the quotas.
pub(super) fn quotas(config: &Config) -> quota::Policy {
    let limits = &config.limits;
    quota::Policy {
        instance: rate(limits.rate, limits.burst),
        address: limits.per_address.bucket().map(|(tokens, burst)| rate(tokens, burst)),
        rows: usize::try_from(limits.principals.get()).unwrap_or(usize::MAX),
    }
}

/// A tenant, for the quotas.
pub(super) fn tenant_quota(tenant: &config::Tenant) -> quota::TenantPolicy {
    quota::TenantPolicy {
        weight: tenant.weight.get(),
        rate: tenant.quota.bucket().map(|(tokens, burst)| rate(tokens, burst)),
        bytes: tenant.quota.bytes.map(bytes),
        shadow: tenant.quota.shadow,
        principal: tenant.principal.bucket().map(|(tokens, burst)| rate(tokens, burst)),
    }
}

/// A tenant, for admission.
pub(super) fn tenant_admission(tenant: &config::Tenant, config: &Config) -> admission::TenantPolicy {
    admission::TenantPolicy {
        weight: tenant.weight,
        in_flight: bound(tenant.in_flight),
        queue: tenant.queue.unwrap_or(config.admission.queue).get(),
        principal_in_flight: bound(tenant.principal.in_flight),
    }
}

/// `limits.in_flight` and `admission`.
pub(super) fn admission(config: &Config) -> admission::Policy {
    let routes = config.routes.iter().map(|route| route.body.max.unwrap_or(config.limits.body.max));
    admission::Policy {
        in_flight: config.limits.in_flight,
        queue_total: config.admission.queue_total.get(),
        wait: config.admission.wait,
        cost_unit: NonZeroU64::new(config.admission.cost_unit).unwrap_or(NonZeroU64::MIN),
        lend: config.admission.lend,
        largest_body: routes.max().unwrap_or(config.limits.body.max),
        only_tenant: config.tenants.len() <= 1,
        only_cluster: config.clusters.len() <= 1,
    }
}

/// How much a route lets in.
pub(super) fn caps(route: &config::Route, config: &Config) -> caps::Policy {
    let decode = &config.limits.decode;
    caps::Policy {
        body: route.body.max.unwrap_or(config.limits.body.max),
        mode: match route.decode {
            config::Decode::Verify => caps::Mode::Verify,
            config::Decode::Decode => caps::Mode::Decode,
            config::Decode::Reject => caps::Mode::Reject,
            config::Decode::Off => caps::Mode::Off,
        },
        decode: caps::guard::Policy {
            ratio: decode.ratio.get(),
            floor: decode.floor,
            max: decode.max,
            memory_total: decode.memory_total,
        },
    }
}

/// `degrade`.
pub(super) fn overload(config: &Config) -> overload::Policy {
    let degrade = &config.degrade;
    let share = |share: config::Share| u16::try_from(share.per_mille()).unwrap_or(1000);
    overload::Policy {
        in_flight: share(degrade.in_flight),
        wait: degrade.wait,
        lag: degrade.lag,
        memory: degrade.memory,
        descriptors: share(degrade.descriptors),
        backend_failures: share(degrade.backend_failures),
        release: share(degrade.release),
        hold: degrade.hold,
    }
}

pub(super) fn shed(shed: config::Shed) -> Shed {
    match shed {
        config::Shed::WithWrites => Shed::WithWrites,
        config::Shed::Last => Shed::Last,
        config::Shed::Never => Shed::Never,
    }
}

pub(super) fn bound(in_flight: InFlight) -> Bound {
    match in_flight {
        InFlight::Auto => Bound::Auto,
        InFlight::Requests(slots) => Bound::Slots(slots),
        InFlight::Share(share) => Bound::Share(u16::try_from(share.per_mille()).unwrap_or(1000)),
    }
}

fn rate(rate: config::Rate, burst: NonZeroU32) -> quota::Rate {
    quota::Rate::new(rate.tokens().into(), rate.period(), burst.into())
}

/// A second's worth may pass at once.
fn bytes(rate: ByteRate) -> quota::Rate {
    let second =
        u128::from(rate.bytes().get()) * Duration::from_secs(1).as_nanos() / rate.period().as_nanos().max(1);
    let burst = u64::try_from(second).ok().and_then(NonZeroU64::new).unwrap_or(NonZeroU64::MIN);
    quota::Rate::new(rate.bytes(), rate.period(), burst)
}

/// A number for a name, the same in every generation.
pub(super) fn number(name: &str) -> u64 {
    blake3::hash(name.as_bytes()).as_bytes().first_chunk().map_or(0, |eight| u64::from_be_bytes(*eight))
}

/// Tokens that a request takes, by its method.
#[derive(Clone, Debug)]
pub struct Costs([u32; crate::metrics::Method::ALL.len()]);

impl Costs {
    pub(super) fn new(cost: &config::Cost) -> Self {
        Self(crate::metrics::Method::ALL.map(|method| cost.of(method.as_str()).get()))
    }

    /// Tokens of a request with `method`.
    pub fn of(&self, method: crate::metrics::Method) -> u32 {
        self.0.get(method as usize).copied().unwrap_or(1)
    }
}

/// A tenant as requests meet it.
pub struct Tenant {
    /// Its name in the configuration.
    pub name: String,
    /// What services know it by; 0: nothing.
    pub id: u128,
    /// How often it may ask.
    pub quota: quota::TenantPolicy,
    /// Its buckets, which outlive the configuration.
    pub buckets: Arc<quota::Tenant>,
    /// Its place among the others.
    pub admission: admission::TenantPolicy,
    /// Its series.
    pub metrics: Arc<crate::metrics::TenantMetrics>,
}
