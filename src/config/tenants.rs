//! What concerns tenants and other keys at once: listeners and tenants that must exist, ids and evidence that must be
//! one tenant's, costs that must fit into a bucket.
//!
//! When evidence is equal is [`crate::tenant`]'s to say; here it is said to the operator, with both places.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use super::Config;
use super::identify::Identify;
use super::listener::Listener;
use super::load::Origins;
use super::name::Name;
use super::rates::Rate;
use super::report::{Report, Spot};
use super::route::Route;
use super::suggest;
use super::tenant::Tenant;
use crate::tenant::{ANONYMOUS, Identifier, Policy};

/// Rows that one item of `identify` may compile to.
const MOST_COMBINATIONS: usize = 4096;

pub(super) fn check(config: &Config, origins: &Origins, report: &mut Report) {
    for (route, spot) in config.routes.iter().zip(&origins.routes) {
        check_route(config, origins, route, &spot.key("tenants"), report);
    }
    let mut ids = BTreeMap::new();
    for (name, tenant) in &config.tenants {
        let Some(spot) = origins.tenants.get(name) else { continue };
        check_tenant(config, origins, name, tenant, spot, report);
        if let Some(id) = tenant.id {
            let at = spot.key("id");
            if let Some(other) = ids.get(&id) {
                let place = report.place(other, &at);
                report.error(&at, format!("the tenant at {place} has this id already, give one another"));
            } else {
                ids.insert(id, at);
            }
        }
    }
    check_costs(config, origins, report);
    check_evidence(config, origins, report);
}

fn check_route(config: &Config, origins: &Origins, route: &Route, at: &Spot, report: &mut Report) {
    let mut seen = BTreeSet::new();
    for (n, name) in route.tenants.iter().enumerate() {
        if !config.tenants.contains_key(name) && !origins.may_have("tenants", name, report) {
            let known: Vec<_> = config.tenants.keys().map(Name::as_str).collect();
            let hint = suggest::hint(name.as_str(), &known);
            report.error(&at.item(n), format!("there is no tenant `{name}`{hint}"));
        }
        if !seen.insert(name) {
            report.error(&at.item(n), "stands in this list already, remove it");
        }
    }
}

fn check_tenant(
    config: &Config,
    origins: &Origins,
    name: &Name,
    tenant: &Tenant,
    spot: &Spot,
    report: &mut Report,
) {
    let parts = [
        ("quota", tenant.quota.rate.is_some(), tenant.quota.burst),
        ("principal", tenant.principal.rate.is_some(), tenant.principal.burst),
    ];
    for (part, has_rate, burst) in parts {
        let at = spot.key(part);
        if burst.is_some() && !has_rate && !report.is_spoiled(&at.key("rate")) {
            report.error(&at.key("burst"), "stands without its rate, add `rate`");
        }
    }
    if name.as_str() == ANONYMOUS && !tenant.identify.is_empty() {
        let at = spot.key("identify");
        report.error(&at, "`anonymous` is who has no other identity, remove it or name another tenant");
    }
    for (item, spot) in items(tenant, spot, report) {
        check_item(config, origins, item, &spot, report);
    }
}

/// The items of `identify` that were right, and where they stand.
fn items<'t>(tenant: &'t Tenant, spot: &Spot, report: &Report) -> Vec<(&'t Identify, Spot)> {
    let at = spot.key("identify");
    let spots: Vec<_> = report.kept(&at).iter().map(|n| at.item(*n)).collect();
    tenant.identify.iter().zip(spots).collect()
}

fn check_item(config: &Config, origins: &Origins, item: &Identify, spot: &Spot, report: &mut Report) {
    let criteria = item.criteria();
    if *item == Identify::default() && is_as_meant(spot, report) {
        report.error(
            spot,
            "recognises nobody, write at least one of listener, client_certificate, api_key, peer_uid, address, header \
             or sni",
        );
    }
    if criteria.combinations() > MOST_COMBINATIONS {
        let message = format!(
            "has {} combinations of values, at most {MOST_COMBINATIONS} are known at once: split it",
            criteria.combinations()
        );
        report.error(spot, message);
    }
    let listeners: Vec<_> = config.listeners.iter().map(|l| l.name.as_str()).collect();
    let may_be_there = origins.has_broken_listeners || report.is_spoiled(&Spot::root(0).key("listeners"));
    for (n, name) in item.listener.iter().enumerate() {
        if !listeners.contains(&name.as_str()) && !may_be_there {
            let hint = suggest::hint(name.as_str(), &listeners);
            report.error(&spot.key("listener").item(n), format!("there is no listener `{name}`{hint}"));
        }
    }
    if !may_be_there {
        check_certificates(config, origins, item, spot, report);
    }
    if item.api_key.as_ref().is_some_and(|key| key.header.as_str() == "authorization") {
        let at = spot.key("api_key").key("header");
        report.error(&at, "carries capabilities, write another such as x-api-key");
    }
}

/// A certificate, and a name beside one, are seen where clients are asked for certificates.
fn check_certificates(config: &Config, origins: &Origins, item: &Identify, spot: &Spot, report: &mut Report) {
    let asks = |(listener, at): (&Listener, &Spot)| {
        let hears = item.listener.is_empty() || item.listener.contains(&listener.name);
        let asks = listener.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        let tls = at.key("tls");
        hears && (asks || report.is_spoiled(&tls) || report.is_spoiled(&tls.key("client_ca")))
    };
    if config.listeners.iter().zip(&origins.listeners).any(asks) {
        return;
    }
    for (key, written) in
        [("client_certificate", item.client_certificate.is_some()), ("sni", !item.sni.is_empty())]
    {
        if written {
            let message = "no listener that it may come through asks for client certificates, write `tls.client_ca` there \
                           or take other evidence";
            report.error(&spot.key(key), message);
        }
    }
}

/// Whether no part of an item was refused: else what is left is not what was meant.
fn is_as_meant(spot: &Spot, report: &Report) -> bool {
    ["listener", "client_certificate", "api_key", "peer_uid", "address", "header", "sni"]
        .iter()
        .all(|part| !report.is_spoiled(&spot.key(part)))
}

/// Longest time in which a bucket fills.
const LONGEST_FILL: Duration = Duration::from_secs(366 * 24 * 3600);

/// A bucket that takes longer to fill than anybody waits holds what was never meant.
fn check_fill(rate: Rate, burst: NonZeroU32, at: &Spot, report: &mut Report) {
    let seconds =
        u64::from(burst.get()).saturating_mul(rate.period().as_secs()) / u64::from(rate.tokens().get());
    if seconds > LONGEST_FILL.as_secs() {
        let most = LONGEST_FILL.as_secs().saturating_mul(rate.tokens().get().into())
            / rate.period().as_secs().max(1);
        let message =
            format!("takes more than a year to fill at `rate`, write at most {most}, or a higher rate");
        report.error(&at.key("burst"), message);
    }
}

/// A request that costs more than a bucket holds would never be accepted.
fn check_costs(config: &Config, origins: &Origins, report: &mut Report) {
    let limits = Spot::root(0).key("limits");
    let Some((method, cost)) = config.limits.cost.all().into_iter().max_by_key(|(_, cost)| *cost) else {
        return;
    };
    let mut check = |bucket: Option<(Rate, NonZeroU32)>, at: Spot| {
        let Some((rate, burst)) = bucket else { return };
        check_fill(rate, burst, &at, report);
        if burst < cost {
            let burst_at = at.key("burst");
            let message = format!(
                "holds fewer tokens than the {cost} that a {method} costs (`limits.cost`), write a burst of at least {cost}"
            );
            report.error(&burst_at, message);
        }
    };
    check(Some((config.limits.rate, config.limits.burst)), limits.clone());
    check(config.limits.per_address.bucket(), limits.key("per_address"));
    for (name, tenant) in &config.tenants {
        if let Some(spot) = origins.tenants.get(name) {
            check(tenant.quota.bucket(), spot.key("quota"));
            check(tenant.principal.bucket(), spot.key("principal"));
        }
    }
}

// http.md §2: two tenants with equal evidence are a configuration error where that can be seen.
fn check_evidence(config: &Config, origins: &Origins, report: &mut Report) {
    let (mut policies, mut places) = (Vec::new(), Vec::new());
    // In the order of the text, so that it is the later one that is refused.
    let mut tenants: Vec<_> = origins
        .tenants
        .iter()
        .filter_map(|(name, spot)| Some((spot, name, config.tenants.get(name)?)))
        .collect();
    tenants.sort_by_key(|(spot, ..)| (spot.file, report.position(spot)));
    for (spot, name, tenant) in tenants {
        let mut items = items(tenant, spot, report);
        items.retain(|(item, at)| {
            is_as_meant(at, report) && item.criteria().combinations() <= MOST_COMBINATIONS
        });
        let identify = items.iter().map(|(item, _)| item.criteria()).collect();
        policies.push(Policy { name: name.to_string(), identify });
        places.push((name, items.into_iter().map(|(_, at)| at).collect::<Vec<_>>()));
    }
    let Err(clashes) = Identifier::new(&policies) else { return };
    let place = |(tenant, item): (usize, usize)| {
        places.get(tenant).and_then(|(name, items)| Some((*name, items.get(item)?)))
    };
    for clash in clashes {
        let (Some((name, earlier)), Some((_, later))) = (place(clash.earlier), place(clash.later)) else {
            continue;
        };
        let at = report.place(earlier, later);
        let kinds: Vec<_> = clash.kinds.iter().map(ToString::to_string).collect();
        let kinds = kinds.join(" and ");
        let message = format!(
            "`{name}` is recognised by the same {kinds} at {at}, take it from one or ask for more there"
        );
        report.error(later, message);
    }
}
