//! `routes`: which requests go to which cluster, and what holds for them.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::capability::{Demand, demand_schema};
use super::decode::{self, Decode};
use super::limits::{LARGEST_BODY, LONGEST, SHORTEST};
use super::matching::{Authority, ExactPath, HostPattern, PathMatch, PathPrefix, PathTemplate};
use super::name::{Method, NAME, Name};
use super::schema::{
    Schema, absent_or, duration, items, key, list_of_some, number, one_of, one_or_list, section, size, text,
    words,
};
use super::{text, units};
use crate::route::{Path, Rule};

/// One route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Unique; a label in metrics and logs.
    pub name: Name,
    /// Which requests it takes.
    #[serde(default, rename = "match")]
    pub matches: Match,
    /// What it does with them.
    pub kind: RouteKind,
    /// The name of a cluster that exists.
    pub cluster: Name,
    /// Whom it serves: these tenants, which exist; empty is everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tenants: Vec<Name>,
    /// Divides what its requests cost in admission, 1 to 1000.
    #[serde(default = "one")]
    pub weight: NonZeroU32,
    /// When its requests are shed.
    #[serde(default)]
    pub shed: Shed,
    /// Instead of `limits.request.timeout`.
    #[serde(default, with = "units::duration_if_set", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Bounds of the body.
    #[serde(default, skip_serializing_if = "RouteBody::is_unset")]
    pub body: RouteBody,
    /// What it asks of its requests; `None` is `capability.mutations` for methods that mutate, else nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<Demand>,
    /// What becomes of an encoded body.
    #[serde(default)]
    pub decode: Decode,
    /// What an encoded slash (`%2F`) in the path does.
    #[serde(default)]
    pub encoded_slash: EncodedSlash,
    /// The Host that the backend sees; `None` (`pass`) is the client's.
    #[serde(default, serialize_with = "text::or_pass")]
    pub host: Option<Authority>,
    /// Taken off the path before it crosses; every path that the route takes begins with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strip_prefix: Option<PathPrefix>,
}

fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

/// When a route's requests are shed under pressure (http.md §4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shed {
    /// Its writes first, with those of the others.
    #[default]
    WithWrites,
    /// When shedding the writes of the others was not enough.
    Last,
    /// Not at all.
    Never,
}

/// Which requests a route takes: all that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Match {
    /// One of these hosts; empty is any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub host: Vec<HostPattern>,
    /// This path; `None` is any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathMatch>,
    /// One of these methods; empty is any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<Method>,
    /// Through one of these listeners, which exist; empty is any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub listener: Vec<Name>,
}

impl Match {
    /// The rule by which requests are found to match, and what is found then.
    pub fn rule<T>(&self, payload: T) -> Rule<T> {
        Rule {
            hosts: self.host.iter().map(ToString::to_string).collect(),
            path: self.path.as_ref().map(|path| match path {
                PathMatch::Exact(path) => Path::Exact(path.to_string()),
                PathMatch::Prefix(path) => Path::Prefix(path.to_string()),
                PathMatch::Template(path) => Path::Template(path.to_string()),
            }),
            methods: self.methods.iter().map(ToString::to_string).collect(),
            listeners: self.listener.iter().map(ToString::to_string).collect(),
            payload,
        }
    }
}

/// What a route does with its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteKind {
    /// Content-addressed objects (http.md §3).
    Object,
    /// Whatever the cluster serves.
    Proxy,
}

/// Bounds of a route's bodies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RouteBody {
    /// Instead of `limits.body.max`.
    #[serde(with = "units::size_if_set", skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
}

impl RouteBody {
    fn is_unset(&self) -> bool {
        self.max.is_none()
    }
}

/// What an encoded slash in the path does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncodedSlash {
    /// 400 `malformed`.
    #[default]
    Reject,
    /// It crosses as it is.
    Allow,
}

pub(super) fn default_routes() -> Vec<Route> {
    let route = |name, path, methods| Route {
        name: Name::fixed(name),
        matches: Match { path: Some(path), methods, ..Match::default() },
        kind: RouteKind::Object,
        cluster: Name::fixed("objects"),
        tenants: Vec::new(),
        weight: one(),
        shed: Shed::WithWrites,
        timeout: None,
        body: RouteBody::default(),
        capability: None,
        decode: Decode::Verify,
        encoded_slash: EncodedSlash::Reject,
        host: None,
        strip_prefix: None,
    };
    vec![
        route("objects", PathMatch::Prefix(PathPrefix::fixed("/o/")), Vec::new()),
        route("put", PathMatch::Exact(ExactPath::fixed("/api/put")), vec![Method::post()]),
    ]
}

pub(super) fn schema() -> Schema {
    let name = || text::<Name>(NAME);
    items(
        section([
            key("name", "unique; a label in metrics and logs", name()).required(),
            key("match", "which requests it takes; all that is set must hold", match_schema()),
            key("kind", "object: content-addressed objects; proxy: any path", words(&["object", "proxy"]))
                .required(),
            key("cluster", "where its requests go", name()).required(),
            key("tenants", "whom it serves, everybody else gets 403", list_of_some(name())),
            key("weight", "divides what its requests cost", number(1, 1000)),
            key(
                "shed",
                "when its requests are shed under pressure",
                words(&["with_writes", "last", "never"]),
            ),
            key("timeout", "instead of limits.request.timeout", duration(SHORTEST, LONGEST)),
            key(
                "body",
                "bounds of the body",
                section([key("max", "instead of limits.body.max", size(0, LARGEST_BODY))]),
            ),
            key("capability", "whether requests bring a token", demand_schema()),
            key("decode", "what becomes of an encoded body", decode::mode_schema()),
            key("encoded_slash", "what %2F in a path does", words(&["reject", "allow"])),
            key(
                "host",
                "the Host that the backend sees",
                absent_or("pass", text::<Authority>("a host such as api.internal")),
            ),
            key(
                "strip_prefix",
                "taken off the path before it crosses",
                text::<PathPrefix>("a path such as /x"),
            ),
        ]),
        false,
    )
}

fn match_schema() -> Schema {
    section([
        key(
            "host",
            "one or a list",
            one_or_list(text::<HostPattern>("a host such as a.example or \"*.b.example\"")),
        ),
        key(
            "path",
            "exact before template before the longest prefix",
            one_of([
                key("exact", "the whole path", text::<ExactPath>("a path such as /api/put")),
                key("prefix", "its beginning, in whole segments", text::<PathPrefix>("a path such as /o/")),
                key("template", "with variables", text::<PathTemplate>("a path such as /users/{id}")),
            ]),
        ),
        key("methods", "any of these", list_of_some(text::<Method>("a method such as GET"))),
        key("listener", "through any of these", one_or_list(text::<Name>(NAME))),
    ])
}
