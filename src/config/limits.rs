//! `limits`: how much all requests together, one request and one connection may take.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::decode::{self, DecodeLimits};
use super::in_flight::MOST;
use super::quota::{self, BURST, Cost, LARGEST_BURST, MOST_CONNECTIONS, Penalty, PerAddress, RATE};
use super::rates::{ByteRate, Rate};
use super::schema::{Schema, absent_or, duration, key, number, section, size, text as written};
use super::{text, units};

/// Bounds of the instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Tokens of all requests; past 2000 a second it needs `danger_ok`.
    pub rate: Rate,
    /// Tokens at once.
    pub burst: NonZeroU32,
    /// Requests at once; past 4096 it needs `danger_ok`.
    pub in_flight: NonZeroU32,
    /// Connections at once.
    pub connections: NonZeroU32,
    /// Of one client address.
    pub per_address: PerAddress,
    /// Of a connection that goes on asking after it was refused.
    pub penalty: Penalty,
    /// Of one request's time and head.
    pub request: RequestLimits,
    /// Of one request's body.
    pub body: BodyLimits,
    /// Of what that becomes when it is decoded.
    pub decode: DecodeLimits,
    /// Of one HTTP/2 connection.
    pub http2: Http2Limits,
    /// Tokens that a request takes.
    pub cost: Cost,
    /// Rows of the table of principals.
    pub principals: NonZeroU32,
}

impl Default for Limits {
    fn default() -> Self {
        const fn count(n: u32) -> NonZeroU32 {
            NonZeroU32::MIN.saturating_add(n - 1)
        }
        Self {
            rate: RATE,
            burst: BURST,
            in_flight: count(512),
            connections: count(10_000),
            per_address: PerAddress::default(),
            penalty: Penalty::default(),
            request: RequestLimits::default(),
            body: BodyLimits::default(),
            decode: DecodeLimits::default(),
            http2: Http2Limits::default(),
            cost: Cost::default(),
            principals: count(100_000),
        }
    }
}

/// Bounds of one request's time and head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestLimits {
    /// From the whole request head to the head of the answer, the client's own upload time excepted.
    #[serde(with = "units::duration")]
    pub timeout: Duration,
    /// From the first byte of a head to its last.
    #[serde(with = "units::duration")]
    pub head_timeout: Duration,
    /// Between two requests on a connection.
    #[serde(with = "units::duration")]
    pub idle: Duration,
    /// Bytes of a body within five seconds, either way, while the client is waited for; `None` (`none`) lifts it.
    #[serde(serialize_with = "text::or_none")]
    pub min_rate: Option<ByteRate>,
    /// Bytes of a request's head.
    #[serde(with = "units::size")]
    pub head: u64,
    /// Header fields of a request.
    pub fields: u32,
    /// Bytes of a request's target.
    #[serde(with = "units::size")]
    pub uri: u64,
    /// Bytes of all heads that are not whole; beyond, the oldest is cut.
    #[serde(with = "units::size")]
    pub heads_total: u64,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            head_timeout: Duration::from_secs(5),
            idle: Duration::from_secs(60),
            min_rate: NonZeroU64::new(16 << 10).map(ByteRate::a_second),
            head: 64 << 10,
            fields: 100,
            uri: 8 << 10,
            heads_total: 64 << 20,
        }
    }
}

/// Bounds of one request's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BodyLimits {
    /// Bytes as they arrive; a route may say otherwise.
    #[serde(with = "units::size")]
    pub max: u64,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { max: 1 << 20 }
    }
}

/// Bounds of one HTTP/2 connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http2Limits {
    /// Requests at once.
    pub streams: u32,
    /// Resets of streams; `None` (`none`) lifts it.
    #[serde(serialize_with = "text::or_none")]
    pub resets: Option<Rate>,
    /// SETTINGS frames; `None` (`none`) lifts it.
    #[serde(serialize_with = "text::or_none")]
    pub settings: Option<Rate>,
    /// PING frames; `None` (`none`) lifts it.
    #[serde(serialize_with = "text::or_none")]
    pub pings: Option<Rate>,
    /// Bytes that a client may send on one stream before we have read them.
    #[serde(with = "units::size")]
    pub stream_window: u64,
    /// The same for all streams of a connection together; at least `streams` × `stream_window`.
    #[serde(with = "units::size")]
    pub connection_window: u64,
    /// The same for all connections: beyond it, requests with a body are refused on those that hold most of it.
    #[serde(with = "units::size")]
    pub unread_total: u64,
}

impl Default for Http2Limits {
    fn default() -> Self {
        let a_second = |tokens| NonZeroU32::new(tokens).map(Rate::a_second);
        Self {
            streams: 100,
            resets: a_second(100),
            settings: a_second(20),
            pings: a_second(20),
            stream_window: 64 << 10,
            connection_window: 8 << 20,
            unread_total: 64 << 20,
        }
    }
}

/// The largest body cap that can be written at all; past 1 MiB it needs `danger_ok`.
pub(super) const LARGEST_BODY: u64 = 1 << 40;
pub(super) const SHORTEST: Duration = Duration::from_millis(1);
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 3600);

pub(super) fn schema() -> Schema {
    section([
        key("rate", "tokens of all requests", quota::rate_schema()),
        key("burst", "tokens at once", number(1, LARGEST_BURST)),
        key("in_flight", "requests at once", number(1, u64::from(MOST))),
        key("connections", "connections at once", number(1, MOST_CONNECTIONS)),
        key("per_address", "bounds of one client address", quota::per_address_schema()),
        key("penalty", "for a connection that goes on asking after it was refused", quota::penalty_schema()),
        key(
            "request",
            "bounds of one request's time and head",
            section([
                key("timeout", "request head received to answer's head sent", duration(SHORTEST, LONGEST)),
                key("head_timeout", "first byte of a head to its last", duration(SHORTEST, LONGEST)),
                key("idle", "between two requests on a connection", duration(SHORTEST, LONGEST)),
                key(
                    "min_rate",
                    "bytes of a body, within five seconds; none: unbounded",
                    absent_or("none", written::<ByteRate>("a rate such as 16KiB/s")),
                ),
                // oap1 §5: a head is at most 80 KiB and 128 fields: a client's 64 KiB and 100, and what we add.
                key("head", "bytes of a head", size(1 << 10, 64 << 10)),
                key("fields", "header fields", number(1, 100)),
                key("uri", "bytes of the target", size(64, 64 << 10)),
                key("heads_total", "bytes of all unfinished heads", size(64 << 10, 16 << 30)),
            ]),
        ),
        key(
            "body",
            "bounds of one body",
            section([key("max", "bytes as they arrive", size(0, LARGEST_BODY))]),
        ),
        decode::limits_schema(),
        key(
            "http2",
            "bounds of one HTTP/2 connection",
            section([
                key("streams", "requests at once", number(1, 1000)),
                key("resets", "resets of streams; none: unbounded", absent_or("none", quota::rate_schema())),
                key("settings", "SETTINGS; none: unbounded", absent_or("none", quota::rate_schema())),
                key("pings", "PINGs; none: unbounded", absent_or("none", quota::rate_schema())),
                key("stream_window", "unread bytes of one stream", size(16 << 10, 16 << 20)),
                key("connection_window", "unread bytes of all streams", size(64 << 10, 1 << 30)),
                key("unread_total", "unread bytes of all connections", size(64 << 10, 64 << 30)),
            ]),
        ),
        key("cost", "tokens that a request takes, by its method", quota::cost_schema()),
        key("principals", "rows of the table of principals", number(1, 100_000_000)),
    ])
}
