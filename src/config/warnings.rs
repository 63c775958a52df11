//! What is legal and risky, for `check` and the log at start.

use std::collections::BTreeSet;

use super::decode::Decode;
use super::listener::Listener;
use super::load::Origins;
use super::report::{Report, Spot};
use super::{Config, capability};

pub(super) fn check(config: &Config, origins: &Origins, report: &mut Report) {
    for (listener, spot) in config.listeners.iter().zip(&origins.listeners) {
        let writes = config.routes.iter().find(|route| {
            let listeners = &route.matches.listener;
            capability::takes_open_writes(config, route)
                && (listeners.is_empty() || listeners.contains(&listener.name))
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
    capability::warn(config, origins, report);
    if !config.admin.address.is_local() {
        let message = "the control surface is reachable from other machines, keep it on loopback";
        report.warn(&Spot::root(0).key("admin").key("address"), message);
    }
    for (route, spot) in config.routes.iter().zip(&origins.routes) {
        if route.decode == Decode::Off {
            let message =
                "encoded bodies are forwarded unseen, whatever they become when the service decodes them";
            report.warn(&spot.key("decode"), message);
        }
    }
    check_rates(config, report);
    check_header_evidence(config, origins, report);
    let used: BTreeSet<_> = config.routes.iter().map(|r| &r.cluster).collect();
    for (name, spot) in &origins.clusters {
        if !used.contains(name) && report.is_written(spot) {
            report.warn(spot, format!("no route goes to `{name}`, add one or remove the cluster"));
        }
    }
}

/// Tenants that all use what they were given get less than that.
fn check_rates(config: &Config, report: &mut Report) {
    let rates = config.tenants.values().filter_map(|tenant| tenant.quota.rate);
    let sum = rates.fold(0_u64, |sum, rate| sum.saturating_add(rate.an_hour()));
    let rate = config.limits.rate;
    if sum > rate.an_hour() {
        let message = format!(
            "the tenants' rates add up to {}/s, more than the {rate} of the instance: when all of them are busy each \
             gets its share by weight, not its rate",
            sum.div_ceil(3600)
        );
        let written = Spot::root(0).key("limits").key("rate");
        let at = if report.is_written(&written) { written } else { Spot::root(0).key("tenants") };
        report.warn(&at, message);
    }
}

/// A header counts from trusted addresses only.
fn check_header_evidence(config: &Config, origins: &Origins, report: &mut Report) {
    for (name, spot) in &origins.tenants {
        let Some(tenant) = config.tenants.get(name) else { continue };
        for (n, item) in tenant.identify.iter().enumerate().filter(|(_, item)| item.header.is_some()) {
            let hears = |l: &&Listener| item.listener.is_empty() || item.listener.contains(&l.name);
            if config.listeners.iter().filter(hears).all(|l| l.trusted_addresses.is_empty()) {
                let message = "no listener that it may come through has `trusted_addresses`, so this header is never \
                               believed, name the proxies there";
                report.warn(&spot.key("identify").item(n).key("header"), message);
            }
        }
    }
}
