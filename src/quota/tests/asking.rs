use std::net::IpAddr;
use std::time::Instant;

use super::super::Which;
use super::*;

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn limited() -> (Policy, TenantPolicy) {
    let of_tenant =
        TenantPolicy { rate: Some(rate(50, 20)), principal: Some(rate(50, 10)), ..TenantPolicy::default() };
    (Policy { address: Some(rate(50, 30)), ..policy() }, of_tenant)
}

#[test]
fn the_bucket_that_is_empty_says_no_and_none_is_debited() {
    let start = Instant::now();
    let (policy, of_tenant) = limited();
    let quotas = Quotas::new(policy, start);
    let tenant = quotas.tenant("a");
    let take = |principal: u32| {
        quotas.take(
            Some(HOME),
            &Ask { tenant: &tenant, policy: &of_tenant, principal: &principal, cost: 1 },
            start,
        )
    };
    for _ in 0..10 {
        take(1).unwrap();
    }
    for _ in 0..1000 {
        assert_eq!(take(1).unwrap_err().which, Which::Principal);
    }
    for _ in 0..10 {
        take(2).unwrap();
    }
    let no = take(3).unwrap_err();
    assert_eq!(no.which, Which::Tenant);
    assert_eq!(no.level.unwrap().remaining, 0);
    assert_eq!(no.retry_after, Duration::from_millis(20));
    // Another tenant from the same address: it has ten tokens left, whatever was refused above.
    let other = quotas.tenant("b");
    let free = TenantPolicy::default();
    let from_home = || quotas.take(Some(HOME), &ask(&other, &free), start);
    for _ in 0..10 {
        from_home().unwrap();
    }
    assert_eq!(from_home().unwrap_err().which, Which::Address);
    assert!(quotas.take(Some("192.0.2.2".parse().unwrap()), &ask(&other, &free), start).is_ok());
}

#[test]
fn a_request_whose_token_is_still_to_be_verified_costs_its_address_alone() {
    let start = Instant::now();
    let (policy, of_tenant) = limited();
    let quotas = Quotas::new(policy, start);
    for _ in 0..30 {
        quotas.take_of_address(HOME, 1, start).unwrap();
    }
    assert_eq!(quotas.take_of_address(HOME, 1, start).unwrap_err().which, Which::Address);
    let tenant = quotas.tenant("a");
    let level = quotas.take(None, &ask(&tenant, &of_tenant), start).unwrap().own.unwrap();
    assert_eq!((level.0, level.1.remaining), (Which::Principal, 9));
}

#[test]
fn addresses_share_a_bucket_as_networks_do() {
    let start = Instant::now();
    let quotas = Quotas::new(Policy { address: Some(rate(1, 1)), ..policy() }, start);
    let take = |address: &str| quotas.take_of_address(address.parse().unwrap(), 1, start).is_ok();
    assert!(take("2001:db8::1"));
    assert!(!take("2001:db8::ffff:ffff:ffff:ffff"), "the same /64");
    assert!(take("2001:db8:0:1::1"), "another /64");
    assert!(take("192.0.2.1") && take("192.0.2.2"));
    assert!(!take("::ffff:192.0.2.1"), "an IPv4 address however it is written");
}

#[test]
fn a_quota_in_shadow_counts_and_lets_pass() {
    let start = Instant::now();
    let quotas = Quotas::new(policy(), start);
    let tenant = quotas.tenant("a");
    let policy = TenantPolicy { rate: Some(rate(10, 5)), shadow: true, ..TenantPolicy::default() };
    let taken: Vec<_> = (0..20).map(|_| quotas.take(None, &ask(&tenant, &policy), start).unwrap()).collect();
    assert_eq!(taken.iter().filter(|taken| shadowed(taken)).count(), 15);
}

#[test]
fn a_quota_in_shadow_counts_what_it_would_refuse_in_force_and_runs_up_no_debt() {
    let start = Instant::now();
    for bytes in [None, Some(rate(1000, 1000))] {
        let quotas = Quotas::new(policy(), start);
        let (shadow, force) = (quotas.tenant("shadow"), quotas.tenant("force"));
        let force_policy = TenantPolicy { rate: Some(rate(10, 5)), bytes, ..TenantPolicy::default() };
        let shadow_policy = TenantPolicy { shadow: true, ..force_policy };
        let (mut counted, mut refused) = (0, 0);
        for n in 0..200 {
            let now = start + Duration::from_millis(50 * n);
            match quotas.take(None, &ask(&force, &force_policy), now) {
                Ok(_) => quotas.debit_bytes(&force, &force_policy, 90, now),
                Err(_) => refused += 1,
            }
            counted += u32::from(shadowed(&quotas.take(None, &ask(&shadow, &shadow_policy), now).unwrap()));
            quotas.debit_bytes(&shadow, &shadow_policy, 90, now);
        }
        let end = start + Duration::from_secs(10);
        assert!(refused > 50);
        if bytes.is_none() {
            assert_eq!(counted, refused);
        }
        // In force from now on: its debt is that of one request at most.
        let wait = quotas
            .take(None, &ask(&shadow, &force_policy), end)
            .map_or_else(|no| no.retry_after, |_| Duration::ZERO);
        assert!(wait <= Duration::from_millis(100), "{wait:?}");
    }
}

#[test]
fn bytes_are_paid_for_as_they_pass_and_the_next_request_waits_for_the_debt() {
    let start = Instant::now();
    let quotas = Quotas::new(policy(), start);
    let tenant = quotas.tenant("a");
    let policy = TenantPolicy { bytes: Some(rate(1_000_000, 1_000_000)), ..TenantPolicy::default() };
    assert!(passes(&quotas, &tenant, &policy, start));
    quotas.debit_bytes(&tenant, &policy, 3_000_000, start);
    let no = quotas.take(None, &ask(&tenant, &policy), start).unwrap_err();
    assert_eq!((no.which, no.retry_after), (Which::Bytes, Duration::from_secs(2)));
    assert!(passes(&quotas, &tenant, &policy, start + no.retry_after));
}

#[test]
fn methods_cost_what_they_cost() {
    let start = Instant::now();
    let quotas = Quotas::new(policy(), start);
    let tenant = quotas.tenant("a");
    let policy = TenantPolicy { rate: Some(rate(10, 10)), ..TenantPolicy::default() };
    let take = |cost| quotas.take(None, &Ask { cost, ..ask(&tenant, &policy) }, start);
    assert_eq!(take(7).unwrap().own.unwrap().1.remaining, 3);
    assert_eq!(take(4).unwrap_err().retry_after, Duration::from_millis(100));
    assert!(take(3).is_ok());
}

#[test]
fn who_waits_as_long_as_told_is_served_whatever_said_no() {
    let start = Instant::now();
    let (policy, of_tenant) = limited();
    let quotas = Quotas::new(Policy { instance: rate(40, 15), ..policy }, start);
    let tenant = quotas.tenant("a");
    let mut now = start;
    let mut refused = std::collections::BTreeSet::new();
    for n in 0_u32..400 {
        let principal = n % 3;
        let ask = Ask { tenant: &tenant, policy: &of_tenant, principal: &principal, cost: 1 + n % 2 };
        if let Err(no) = quotas.take(Some(HOME), &ask, now) {
            refused.insert(no.which.as_str());
            now += no.retry_after;
            quotas.take(Some(HOME), &ask, now).unwrap();
        }
    }
    assert!(refused.contains("instance"), "{refused:?}");
}

#[test]
fn a_reload_keeps_how_full_each_bucket_is() {
    let start = Instant::now();
    let (policy, before) = limited();
    let quotas = Quotas::new(policy, start);
    let tenant = quotas.tenant("a");
    for _ in 0..10 {
        quotas.take(Some(HOME), &ask(&tenant, &before), start).unwrap();
    }
    let after = TenantPolicy {
        rate: Some(rate(500, 200)),
        principal: Some(rate(500, 100)),
        ..TenantPolicy::default()
    };
    let new = Policy { address: Some(rate(500, 300)), rows: 5000, instance: rate(5000, 5000) };
    quotas.configure(new, [(&tenant, Some(&before), &after)], start);
    // The principal's was empty, the tenant's half full, the address's two thirds full.
    let no = quotas.take(Some(HOME), &ask(&tenant, &after), start).unwrap_err();
    assert_eq!(no.which, Which::Principal);
    let take = |principal: u32| {
        quotas.take(Some(HOME), &Ask { principal: &principal, ..ask(&tenant, &after) }, start)
    };
    let passed = (0..200).filter(|n| take(7 + n % 10).is_ok()).count();
    assert_eq!(passed, 100, "half of the tenant's");
    assert_eq!(quotas.take_of_address(HOME, 1, start).unwrap().own.unwrap().1.remaining, 99);
    assert!(std::sync::Arc::ptr_eq(&quotas.tenant("a"), &tenant));
}

#[test]
fn a_tenant_that_is_gone_is_forgotten_once_its_buckets_are_full() {
    let start = Instant::now();
    let quotas = Quotas::new(policy(), start);
    let policy = TenantPolicy { rate: Some(rate(1, 10)), ..TenantPolicy::default() };
    let tenant = quotas.tenant("a");
    let number = tenant.number();
    assert!(passes(&quotas, &tenant, &policy, start));
    drop(tenant);
    quotas.sweep(start);
    assert_eq!(quotas.tenant("a").number(), number, "it still owes");
    quotas.sweep(start + Duration::from_secs(10));
    assert_ne!(quotas.tenant("a").number(), number);
}
