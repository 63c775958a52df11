//! Budgets that a request's capability brings along: they tighten the quota, and belong to no tenant's policy.
//!
//! Each is a bucket of its own in a table of as many rows as that of the principals; who finds no row shares one bucket with
//! all others like it. Several are not kept locked together: each is paid in turn, and what was paid is given back when
//! one of them, or the quota, says no. So a budget never gives more than it has, however many ask at once.

use std::hash::Hash;
use std::time::Instant;

use super::bucket::{Bucket, Level, Rate, Ticks};
use super::{Ask, Exhausted, Quotas, Taken, Which, exhausted};

/// A bucket, and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Which; the same in every request that draws on it.
    pub key: u128,
    /// How fast it fills.
    pub rate: Rate,
}

/// What a request draws on beside its quota.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Budgets {
    /// Of tokens: each gives what the request costs.
    pub rates: Vec<Budget>,
    /// Of bytes: each is debited as they pass, and refuses while it is in debt.
    pub bytes: Vec<Budget>,
}

impl Quotas {
    /// As [`take`](Self::take) without the address, which has paid before its token was looked at, and of each of
    /// `budgets`: of all or of none.
    ///
    /// # Errors
    /// [`Exhausted`], and nothing is taken anywhere.
    pub fn take_within<P: Hash>(
        &self,
        budgets: &Budgets,
        ask: &Ask<'_, P>,
        now: Instant,
    ) -> Result<Taken, Exhausted> {
        self.ask_bytes(budgets, now)?;
        let mut own = None;
        for (n, budget) in budgets.rates.iter().enumerate() {
            match self.pay_budget(budget, ask.cost, now) {
                Ok(level) => own = tighter(own, (Which::Capability, level)),
                Err(no) => {
                    self.give_back(budgets.rates.get(..n).unwrap_or_default(), ask.cost, now);
                    return Err(no);
                }
            }
        }
        match self.take(None, ask, now) {
            Ok(taken) => Ok(Taken { own: taken.own.map_or(own, |level| tighter(own, level)), ..taken }),
            Err(no) => {
                self.give_back(&budgets.rates, ask.cost, now);
                Err(no)
            }
        }
    }

    /// Whether [`take_within`](Self::take_within) would find what it asks for; nothing is taken.
    ///
    /// # Errors
    /// [`Exhausted`]
    pub fn look_within<P: Hash>(
        &self,
        budgets: &Budgets,
        ask: &Ask<'_, P>,
        now: Instant,
    ) -> Result<Taken, Exhausted> {
        self.ask_bytes(budgets, now)?;
        for budget in &budgets.rates {
            self.with_budget(budget, now, |bucket, now| ask_budget(*bucket, &budget.rate, ask.cost, now))?;
        }
        self.look(None, ask, now)
    }

    /// Counts bytes of a body that have passed, either way.
    pub fn debit_budgets(&self, budgets: &[Budget], bytes: u64, now: Instant) {
        for budget in budgets {
            self.with_budget(budget, now, |bucket, now| bucket.debit(budget.rate.price(bytes), now));
        }
    }

    /// Bytes are paid for as they pass: what is asked is whether the last ones are.
    fn ask_bytes(&self, budgets: &Budgets, now: Instant) -> Result<(), Exhausted> {
        budgets.bytes.iter().try_for_each(|budget| {
            self.with_budget(budget, now, |bucket, now| ask_budget(*bucket, &budget.rate, 0, now))
        })
    }

    fn pay_budget(&self, budget: &Budget, cost: u32, now: Instant) -> Result<Level, Exhausted> {
        self.with_budget(budget, now, |bucket, now| {
            ask_budget(*bucket, &budget.rate, cost, now)?;
            bucket.debit(budget.rate.price_of_few(cost), now);
            Ok(Level::of(*bucket, &budget.rate, now))
        })
    }

    fn give_back(&self, budgets: &[Budget], cost: u32, now: Instant) {
        for budget in budgets {
            self.with_budget(budget, now, |bucket, _| bucket.give_back(budget.rate.price_of_few(cost)));
        }
    }

    fn with_budget<R>(&self, budget: &Budget, now: Instant, then: impl FnOnce(&mut Bucket, Ticks) -> R) -> R {
        let now = self.ticks(now);
        let tables = self.tables.load();
        let key = tables.budgets.key(0, &budget.key);
        then(tables.budgets.find(key, 0, now).bucket(), now)
    }
}

/// One request is never more than a budget can hold.
fn ask_budget(bucket: Bucket, rate: &Rate, cost: u32, now: Ticks) -> Result<(), Exhausted> {
    let price = rate.price_of_few(cost);
    bucket
        .ask(price, rate.full().max(price), now)
        .map_err(|until| exhausted(Which::Capability, bucket, rate, until, now))
}

fn tighter(own: Option<(Which, Level)>, other: (Which, Level)) -> Option<(Which, Level)> {
    match own {
        Some((_, level)) if level.tighter(other.1) == level => own,
        _ => Some(other),
    }
}
