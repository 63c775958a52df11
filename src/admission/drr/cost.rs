//! What a request costs, in integers.

use std::num::NonZeroU32;

use crate::admission::policy::Policy;

/// One unit of cost: a request of no bytes on a route of weight 1. A round gives a tenant its weight in units. Fine
/// enough for 64 bytes of a 64 MiB cost unit, or a request on a route of weight 1000.
pub(super) const UNIT: u64 = 1 << 20;

/// A larger cost counts as this one, so that a ring is never longer than 16 384 rounds.
const LARGEST: u64 = 3000 * UNIT;
/// No sum of costs overflows.
const CEILING: u64 = 1 << 50;

/// http.md §2: a debt is at most so many of the largest declarable costs.
pub(super) const DEBT: u64 = 4;

// http.md §2: cost of a request = 1 + (request + response bytes) / 64 KiB; its route's weight divides it.
pub(super) fn cost(policy: &Policy, bytes: u64, route_weight: u32) -> u64 {
    let unit = u128::from(UNIT);
    let whole = unit + u128::from(bytes) * unit / u128::from(policy.cost_unit.get());
    let cost = whole / u128::from(route_weight.max(1));
    u64::try_from(cost).unwrap_or(CEILING).clamp(1, CEILING)
}

/// The largest declarable cost.
pub(super) fn largest(policy: &Policy) -> u64 {
    cost(policy, policy.largest_body, NonZeroU32::MIN.get()).min(LARGEST)
}

/// Rounds until `missing` is covered at `quantum` a round.
pub(super) fn rounds(missing: i64, quantum: i64) -> u64 {
    let missing = u64::try_from(missing).unwrap_or_default();
    missing.div_ceil(u64::try_from(quantum).unwrap_or(1).max(1))
}

/// A cost as a signed amount; costs are below 2⁵⁰.
pub(super) fn signed(cost: u64) -> i64 {
    i64::try_from(cost).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_costs_one_and_its_bytes_by_64_kib_divided_by_its_routes_weight() {
        let policy = Policy::default();
        for (bytes, weight, want) in [
            (0, 1, UNIT),
            (64 << 10, 1, 2 * UNIT),
            (1 << 20, 1, 17 * UNIT),
            (13, 1, UNIT + 13 * 16),
            (1 << 20, 4, 17 * UNIT / 4),
            (0, 1000, UNIT / 1000),
            (u64::MAX, 1, CEILING),
        ] {
            assert_eq!(cost(&policy, bytes, weight), want, "{bytes} bytes, weight {weight}");
        }
        assert_eq!(largest(&policy), 17 * UNIT);
    }

    #[test]
    fn a_debt_is_paid_in_whole_rounds() {
        for (missing, quantum, want) in [(-5, 2, 0), (0, 2, 0), (1, 2, 1), (2, 2, 1), (3, 2, 2), (7, 0, 7)] {
            assert_eq!(rounds(missing, quantum), want, "{missing} at {quantum}");
        }
    }
}
