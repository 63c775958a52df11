use std::time::Instant;

use super::super::{Budget, Budgets, Which};
use super::*;

fn budgets(rates: &[(u128, Rate)], bytes: &[(u128, Rate)]) -> Budgets {
    let all =
        |list: &[(u128, Rate)]| list.iter().map(|(key, rate)| Budget { key: *key, rate: *rate }).collect();
    Budgets { rates: all(rates), bytes: all(bytes) }
}

#[test]
fn a_request_takes_of_every_budget_or_of_none_and_of_no_quota() {
    let start = Instant::now();
    let of_tenant = TenantPolicy { rate: Some(rate(1, 20)), ..TenantPolicy::default() };
    let quotas = Quotas::new(policy(), start);
    let tenant = quotas.tenant("a");
    let take = |within: &Budgets| quotas.take_within(within, &ask(&tenant, &of_tenant), start);
    let parent = (1, rate(1, 8));
    let both = budgets(&[parent, (2, slow(3, Duration::from_secs(60), 3))], &[]);
    for left in [2, 1, 0] {
        let (which, level) = take(&both).unwrap().own.unwrap();
        assert_eq!((which, level.remaining), (Which::Capability, left));
    }
    for _ in 0..1000 {
        let no = take(&both).unwrap_err();
        assert_eq!((no.which, no.retry_after), (Which::Capability, Duration::from_secs(20)));
        assert!(quotas.look_within(&both, &ask(&tenant, &of_tenant), start).is_err());
    }
    // Its parent lost three tokens by it, not a thousand and three; a sibling draws on the parent alone.
    let sibling = budgets(&[parent, (3, rate(100, 100))], &[]);
    for _ in 0..5 {
        take(&sibling).unwrap();
    }
    assert!(take(&sibling).is_err());
    // The tenant paid for eight requests, and its no costs a budget nothing.
    let free = budgets(&[(4, rate(1, 14))], &[]);
    for _ in 0..12 {
        take(&free).unwrap();
    }
    for _ in 0..10 {
        assert_eq!(take(&free).unwrap_err().which, Which::Tenant);
    }
    let other = quotas.tenant("b");
    let unlimited = TenantPolicy::default();
    let taken =
        |n| (0..n).filter(|_| quotas.take_within(&free, &ask(&other, &unlimited), start).is_ok()).count();
    assert_eq!(taken(5), 2);
    assert_eq!(take(&Budgets::default()).unwrap_err().which, Which::Tenant);
}

#[test]
fn a_budget_fills_at_its_rate_and_takes_one_request_however_dear() {
    let start = Instant::now();
    let quotas = Quotas::new(policy(), start);
    let (tenant, free) = (quotas.tenant("a"), TenantPolicy::default());
    let minute = budgets(&[(1, slow(30, Duration::from_secs(60), 30))], &[]);
    let at = |seconds| start + Duration::from_secs(seconds);
    let taken =
        |now| (0..100).filter(|_| quotas.take_within(&minute, &ask(&tenant, &free), now).is_ok()).count();
    assert_eq!((taken(start), taken(at(2)), taken(at(12)), taken(at(600))), (30, 1, 5, 30));
    let dear = |now| {
        quotas
            .take_within(&budgets(&[(2, rate(1, 1))], &[]), &Ask { cost: 5, ..ask(&tenant, &free) }, now)
            .is_ok()
    };
    assert_eq!([dear(at(700)), dear(at(704)), dear(at(705))], [true, false, true]);
}

#[test]
fn bytes_are_paid_for_as_they_pass_and_a_debt_refuses() {
    let start = Instant::now();
    let quotas = Quotas::new(policy(), start);
    let (tenant, free) = (quotas.tenant("a"), TenantPolicy::default());
    let within = budgets(&[(1, rate(1, 2))], &[(7, rate(1000, 1000)), (8, rate(100, 100))]);
    let take = |now| quotas.take_within(&within, &ask(&tenant, &free), now).map_err(|no| no.retry_after);
    assert!(take(start).is_ok());
    quotas.debit_budgets(&within.bytes, 300, start);
    let debt = Duration::from_secs(2);
    assert_eq!(take(start), Err(debt));
    assert_eq!(take(start + Duration::from_secs(1)), Err(Duration::from_secs(1)));
    // What was refused for its bytes took none of its other budget either.
    assert!(take(start + debt).is_ok() && take(start + debt).is_ok() && take(start + debt).is_err());
}

#[test]
fn the_address_of_a_claimed_token_is_looked_at_without_being_charged() {
    let start = Instant::now();
    let quotas = Quotas::new(Policy { address: Some(rate(1, 2)), ..policy() }, start);
    let home = "192.0.2.1".parse().unwrap();
    for _ in 0..10 {
        assert!(quotas.look_of_address(home, 1, start).is_ok());
    }
    assert!(quotas.take_of_address(home, 2, start).is_ok());
    assert_eq!(quotas.look_of_address(home, 1, start).unwrap_err().retry_after, Duration::from_secs(1));
}

#[test]
fn an_address_gets_back_what_it_paid_for_a_token_whose_tenant_has_none_left() {
    let start = Instant::now();
    let quotas = Quotas::new(Policy { address: Some(rate(1, 10)), ..policy() }, start);
    let home = "192.0.2.1".parse().unwrap();
    for n in 0..100 {
        let now = start + Duration::from_millis(n);
        quotas.take_of_address(home, 2, now).unwrap();
        quotas.give_back_of_address(home, 2, now);
    }
    let later = start + Duration::from_secs(1);
    assert!((0..5).all(|_| quotas.take_of_address(home, 2, later).is_ok()));
    assert!(quotas.take_of_address(home, 2, later).is_err());
}

#[test]
fn budgets_that_find_no_row_share_one_and_none_is_refilled_by_a_full_table() {
    let start = Instant::now();
    let quotas = Quotas::new(Policy { rows: 8, ..policy() }, start);
    let (tenant, free) = (quotas.tenant("a"), TenantPolicy::default());
    let take = |key| {
        let within = budgets(&[(key, slow(1, Duration::from_secs(60), 1))], &[]);
        quotas.take_within(&within, &ask(&tenant, &free), start).is_ok()
    };
    let first = (0..400).filter(|key| take(*key)).count();
    assert_eq!(first, 9);
    assert_eq!((0..400).filter(|key| take(*key)).count(), 0);
}
