//! What is legal and risky, for `check` and the log at start.

use std::collections::BTreeSet;

use super::Config;
use super::load::Origins;
use super::name::Method;
use super::report::{Report, Spot};
use super::route::Route;

pub(super) fn check(config: &Config, origins: &Origins, report: &mut Report) {
    for (listener, spot) in config.listeners.iter().zip(&origins.listeners) {
        let writes = config.routes.iter().find(|route| {
            let listeners = &route.matches.listener;
            takes_writes(route) && (listeners.is_empty() || listeners.contains(&listener.name))
        });
        if let Some(route) = writes.filter(|_| !listener.address.is_local()) {
            let message = format!(
                "reachable from other machines, and the writes of route `{}` need no capability; \
                 keep it on loopback or behind something that asks who is there",
                route.name
            );
            report.warn(&spot.key("address"), message);
        }
        for (n, network) in listener.trusted_addresses.iter().enumerate() {
            if network.is_everything() {
                let message = "everybody may claim to be anybody, name the proxies in front of the gateway";
                report.warn(&spot.key("trusted_addresses").item(n), message);
            }
        }
    }
    if !config.admin.address.is_local() {
        let message = "the control surface is reachable from other machines, keep it on loopback";
        report.warn(&Spot::root(0).key("admin").key("address"), message);
    }
    let used: BTreeSet<_> = config.routes.iter().map(|r| &r.cluster).collect();
    for (name, spot) in &origins.clusters {
        if !used.contains(name) && report.is_written(spot) {
            report.warn(spot, format!("no route goes to `{name}`, add one or remove the cluster"));
        }
    }
}

fn takes_writes(route: &Route) -> bool {
    route.matches.methods.is_empty() || route.matches.methods.iter().any(Method::mutates)
}
