//! What concerns several keys: names that must exist, or be unique, and keys that only make sense together.

use std::collections::BTreeMap;

use super::Config;
use super::address::Address;
use super::backends::Backends;
use super::balance::{Balance, HashOn};
use super::cluster::{Cluster, ClusterProtocol};
use super::listener::{Listener, ProxyProtocol};
use super::listeners;
use super::load::Origins;
use super::matching::PathMatch;
use super::name::Name;
use super::report::{Report, Spot};
use super::route::{Route, RouteKind};
use super::suggest;

pub(super) fn check(config: &Config, origins: &Origins, report: &mut Report) {
    let main = Spot::root(0);
    check_listeners(config, origins, report);
    for (name, cluster) in &config.clusters {
        if let Some(spot) = origins.clusters.get(name) {
            check_cluster(config, cluster, spot, report);
        }
    }
    for (route, spot) in config.routes.iter().zip(&origins.routes) {
        check_route(config, origins, route, spot, report);
    }
    let routes = config.routes.iter().map(|r| &r.name).zip(origins.routes.iter().cloned());
    check_unique(routes, "route", report);
    if config.admission.queue_total < config.admission.queue {
        let spot = main.key("admission").key("queue_total");
        let message = format!("is less than `admission.queue`, write at least {}", config.admission.queue);
        report.error(&spot, message);
    }
    let decode = &config.limits.decode;
    if decode.floor > decode.max {
        let (floor, max) = (super::units::format_size(decode.floor), super::units::format_size(decode.max));
        let at = main.key("limits").key("decode");
        let at = if report.is_written(&at.key("floor")) { at.key("floor") } else { at.key("max") };
        report.error(
            &at,
            format!("the floor of {floor} is past the cap of {max} on all decoded bytes, lower `floor` or raise `max`"),
        );
    }
    let http2 = &config.limits.http2;
    let needed = u64::from(http2.streams).saturating_mul(http2.stream_window);
    if http2.connection_window < needed {
        let spot = main.key("limits").key("http2").key("connection_window");
        let needed = super::units::format_size(needed);
        report.error(&spot, format!("is less than streams × stream_window, write at least {needed}"));
    }
}

fn check_unique<'c>(named: impl Iterator<Item = (&'c Name, Spot)>, what: &str, report: &mut Report) {
    let mut first: BTreeMap<&Name, Spot> = BTreeMap::new();
    for (name, spot) in named {
        let spot = spot.key("name");
        if let Some(other) = first.get(name) {
            let place = report.place(other, &spot);
            report.error(
                &spot,
                format!("the {what} at {place} has the name `{name}` already, give one another"),
            );
        } else {
            first.insert(name, spot);
        }
    }
}

fn check_listeners(config: &Config, origins: &Origins, report: &mut Report) {
    let listeners = || config.listeners.iter().zip(&origins.listeners);
    check_unique(listeners().map(|(l, spot)| (&l.name, spot.clone())), "listener", report);
    let admin = Spot::root(0).key("admin");
    let mut taken = vec![(&config.admin.address, admin.key("address"))];
    if matches!(config.admin.address, Address::Unix(_)) {
        report.error(
            &admin.key("address"),
            "is a Unix socket, write HOST:PORT here and unix:/path at `admin.socket`",
        );
    }
    if let Some(socket) = &config.admin.socket {
        taken.push((socket, admin.key("socket")));
        if matches!(socket, Address::Tcp(_)) {
            report.error(&admin.key("socket"), "is no Unix socket, write unix:/path or none");
        }
    }
    for (listener, spot) in listeners() {
        if listener.name.as_str() == "admin" {
            report.error(&spot.key("name"), "`admin` is the admin listener's name, write another");
        }
        listeners::check(listener, spot, report);
        check_each_once(&listener.protocols, &spot.key("protocols"), report);
        check_proxy_protocol(listener, spot, report);
        let address = spot.key("address");
        match taken.iter().find(|(other, _)| collide(other, &listener.address)) {
            Some((_, other)) => {
                let place = report.place(other, &address);
                let message = format!(
                    "`{}` collides with `{}` at {place}, give one another port or path",
                    listener.address, other.path
                );
                report.error(&address, message);
            }
            None => taken.push((&listener.address, address)),
        }
    }
}

fn check_proxy_protocol(listener: &Listener, spot: &Spot, report: &mut Report) {
    let at = spot.key("proxy_protocol");
    if listener.proxy_protocol == ProxyProtocol::Off {
        return;
    }
    if matches!(listener.address, Address::Unix(_)) {
        report.error(&at, "on a Unix socket nobody has a trusted address, write off");
    } else if listener.trusted_addresses.is_empty() && !report.is_spoiled(&spot.key("trusted_addresses")) {
        report.error(
            &at,
            "is taken from `trusted_addresses` only and there are none, name the proxies there or write off",
        );
    }
}

/// Whether both cannot be bound at once.
fn collide(a: &Address, b: &Address) -> bool {
    match (a, b) {
        (Address::Tcp(a), Address::Tcp(b)) => {
            let same_ip = a.ip() == b.ip()
                || (a.is_ipv4() == b.is_ipv4() && (a.ip().is_unspecified() || b.ip().is_unspecified()));
            a.port() == b.port() && a.port() != 0 && same_ip
        }
        _ => a == b,
    }
}

fn check_each_once<T: PartialEq>(items: &[T], spot: &Spot, report: &mut Report) {
    for (n, item) in items.iter().enumerate() {
        if items.iter().take(n).any(|earlier| earlier == item) {
            report.error(&spot.item(n), "stands in this list already, remove it");
        }
    }
}

fn check_cluster(config: &Config, cluster: &Cluster, spot: &Spot, report: &mut Report) {
    let Cluster { protocol, backends, hedge, tls, .. } = cluster;
    let oap = *protocol == ClusterProtocol::Oap || report.is_spoiled(&spot.key("protocol"));
    let backends_at = spot.key("backends");
    if *backends == Backends::Embedded && !oap {
        report.error(
            &backends_at,
            "the embedded store speaks OAP/1 only, write protocol: oap or list the backends",
        );
    }
    if hedge.is_some() && !oap {
        report.error(&spot.key("hedge"), "only `oap` clusters hedge, write hedge: off or protocol: oap");
    }
    if let Backends::Static(list) = backends {
        let addresses: Vec<_> = list.iter().map(|b| &b.address).collect();
        for (n, address) in addresses.iter().enumerate() {
            if addresses.iter().take(n).any(|earlier| earlier == address) {
                report.error(
                    &backends_at.item(n).key("address"),
                    "stands in this list already, give one a larger weight",
                );
            }
        }
    }
    if let Some(tls) = tls {
        check_tls(backends, tls, spot, report);
    }
    if cluster.ejection.base > cluster.ejection.max {
        report.error(
            &spot.key("ejection").key("base"),
            "is longer than `ejection.max`, write less or raise that",
        );
    }
    if cluster.balance == Balance::Hash(HashOn::Object) {
        check_hash_object(config, spot, report);
    }
}

fn check_tls(backends: &Backends, tls: &super::cluster::ClusterTls, spot: &Spot, report: &mut Report) {
    let tls_at = spot.key("tls");
    match backends {
        Backends::Embedded => {
            if !report.is_spoiled(&spot.key("backends")) {
                report.error(&tls_at, "the embedded store has no TLS, remove `tls` or list the backends");
            }
        }
        Backends::Static(list) => {
            if list.iter().any(|b| matches!(b.address, Address::Unix(_))) {
                report.error(
                    &tls_at,
                    "there is no TLS on Unix sockets, remove `tls` or write HOST:PORT addresses",
                );
            } else if tls.server_name.is_none() {
                let at = tls_at.key("server_name");
                report.error(&at, "is missing, write the name in the backends' certificate");
            }
        }
        Backends::Dns(_) => {}
    }
    let (cert, key) = (tls_at.key("client_cert"), tls_at.key("client_key"));
    if tls.client_cert.is_some() && tls.client_key.is_none() && !report.is_spoiled(&key) {
        report.error(&cert, "stands without its key, add `client_key`");
    }
    if tls.client_key.is_some() && tls.client_cert.is_none() && !report.is_spoiled(&cert) {
        report.error(&key, "stands without its certificate, add `client_cert`");
    }
}

/// Only object routes have an address to hash.
fn check_hash_object(config: &Config, spot: &Spot, report: &mut Report) {
    let Some(cluster) = spot.path.strip_prefix("clusters.") else { return };
    let other = config.routes.iter().find(|r| r.cluster.as_str() == cluster && r.kind != RouteKind::Object);
    if let Some(route) = other {
        report.error(
            &spot.key("balance").key("hash"),
            format!(
                "the route `{}` brings requests without an object, write hash: {{ header: NAME }}",
                route.name
            ),
        );
    }
}

fn check_route(config: &Config, origins: &Origins, route: &Route, spot: &Spot, report: &mut Report) {
    let is_known =
        config.clusters.contains_key(&route.cluster) || origins.may_have("clusters", &route.cluster, report);
    if !is_known {
        let names: Vec<_> = config.clusters.keys().map(Name::as_str).collect();
        let at = spot.key("cluster");
        if report.is_written(&at) {
            let hint = suggest::hint(route.cluster.as_str(), &names);
            report.error(&at, format!("there is no cluster `{}`{hint}", route.cluster));
        } else if !report.is_spoiled(&Spot::root(0).key("routes")) {
            // A default route: the file replaced the clusters and kept the routes.
            let at = Spot::root(0).key("clusters");
            let message = format!(
                "the default routes go to the cluster `{}`, write `routes` too or a cluster of that name",
                route.cluster
            );
            report.error(&at, message);
        }
    }
    let matches_at = spot.key("match");
    let listeners: Vec<_> = config.listeners.iter().map(|l| l.name.as_str()).collect();
    let http = config.clusters.get(&route.cluster).filter(|cluster| cluster.protocol != ClusterProtocol::Oap);
    if route.kind == RouteKind::Object && http.is_some() {
        let at = spot.key("cluster");
        let message = format!(
            "objects are verified on their way to OAP/1 services, and `{}` speaks HTTP: write kind: proxy or another cluster",
            route.cluster
        );
        report.error(&at, message);
    }
    for (n, name) in route.matches.listener.iter().enumerate() {
        let seen = listeners.contains(&name.as_str()) || report.is_spoiled(&Spot::root(0).key("listeners"));
        if !seen && !origins.has_broken_listeners {
            let hint = suggest::hint(name.as_str(), &listeners);
            report.error(&matches_at.key("listener").item(n), format!("there is no listener `{name}`{hint}"));
        }
    }
    check_each_once(&route.matches.methods, &matches_at.key("methods"), report);
    check_each_once(&route.matches.host, &matches_at.key("host"), report);
    check_each_once(&route.matches.listener, &matches_at.key("listener"), report);
    check_strip_prefix(route, spot, report);
}

fn check_strip_prefix(route: &Route, spot: &Spot, report: &mut Report) {
    let Some(prefix) = &route.strip_prefix else { return };
    let at = spot.key("strip_prefix");
    let path_at = spot.key("match").key("path");
    if route.kind == RouteKind::Object {
        report.error(&at, "an object's path crosses as it is, remove it or write kind: proxy");
    } else if !route.matches.path.as_ref().map(PathMatch::as_str).is_some_and(|path| prefix.covers(path))
        && !report.is_spoiled(&path_at)
    {
        let message = format!(
            "not every path of this route begins with `{prefix}`, write match: {{ path: {{ prefix: {prefix} }} }}"
        );
        report.error(&at, message);
    }
}
