//! The instance's rate, shared by weight among those who ask, and work-conserving.
//!
//! Each tenant has a guarantee: a bucket that fills at its weighted part of the instance's rate, among the tenants that
//! are active: have asked within the last second, or taken what they have not got back yet. Who has something in it is
//! served, whatever the others do. Beyond it, a tenant borrows from the instance's own bucket, which pays for everybody,
//! and so holds what the others leave.
//!
//! Guarantees add up to the instance's rate, so the instance's debt stays within one burst: in any time `t` no more than
//! `rate × t` and two bursts pass, and exactly `rate × t` and one burst when one tenant asks. A tenant that begins to ask
//! while the instance is in debt begins with a guarantee of one request, if it has been quiet for as long as that takes:
//! who asks seldom is served, and taking turns at being new gains nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::bucket::{Bucket, Rate, Ticks, ticks};

/// Who has asked within this time is active, and for as long as its guarantee is not full.
pub(super) const ACTIVE: std::time::Duration = std::time::Duration::from_secs(1);
/// Tenants that are looked at a request, whether they are still active: more than can become so by it.
const LOOKS: usize = 4;

/// What the instance's sharing knows of a tenant.
#[derive(Debug, Default)]
pub(super) struct Member {
    /// Until when it is active, if it does not ask again.
    until: AtomicU64,
    /// The weight that it is counted with; 0 while it is not active.
    counted: AtomicU32,
}

/// The instance's bucket and those who share it.
#[derive(Debug)]
pub(super) struct Share {
    rate: Rate,
    instance: Bucket,
    /// Of the active tenants.
    weights: u64,
    active: VecDeque<(Ticks, Arc<Member>)>,
}

/// A tenant's claim on the instance, asked and granted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grant {
    price: Ticks,
    own_price: Ticks,
    own_full: Ticks,
}

impl Share {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, instance: Bucket::default(), weights: 0, active: VecDeque::new() }
    }

    /// Goes by another rate from now on, as full as before.
    pub(super) fn configure(&mut self, rate: Rate, now: Ticks) {
        self.instance.rescale(self.rate.full(), rate.full(), now);
        self.rate = rate;
    }

    /// Whether a tenant of `weight` with `guarantee` may take `tokens`; if not, how long until it may.
    pub(super) fn ask(
        &mut self,
        member: &Arc<Member>,
        guarantee: &mut Bucket,
        weight: u32,
        tokens: u32,
        now: Ticks,
    ) -> Result<Grant, Ticks> {
        let price = self.rate.price_of_few(tokens);
        let full = self.rate.full();
        let is_new = self.activate(member, weight, now);
        let own_price = self.own_price(price, weight);
        // One request is never more than a guarantee can hold.
        let own_full = full.max(own_price);
        if is_new && self.instance.debt(full, now) > 0 {
            guarantee.leave(own_price, own_full, now);
        }
        let grant = Grant { price, own_price, own_full };
        if self.instance.ask(price, full, now).is_ok() {
            return Ok(grant);
        }
        // Not more than one burst of debt: what is left when small guarantees were rounded up to one request.
        let debt = self.instance.ask(price, full.saturating_mul(2), now);
        match (guarantee.ask(own_price, own_full, now), debt) {
            (Ok(()), Ok(())) => Ok(grant),
            (guaranteed, debt) => {
                // What could be borrowed sooner, another may have borrowed by then.
                Err(guaranteed.err().unwrap_or(0).max(debt.err().unwrap_or(0)))
            }
        }
    }

    /// Takes what was granted.
    pub(super) fn take(&mut self, grant: Grant, member: &Member, guarantee: &mut Bucket, now: Ticks) {
        self.instance.debit(grant.price, now);
        // What is borrowed uses the guarantee up, and leaves no debt in it.
        guarantee.debit_what_there_is(grant.own_price, grant.own_full, now);
        // Until its guarantee is full again it counts: the others leave it what it has taken in advance.
        let _ = member.until.fetch_max(guarantee.full_at(), Relaxed);
    }

    /// The instance's price, for a part of it that fills so much slower.
    fn own_price(&self, price: Ticks, weight: u32) -> Ticks {
        let scaled = u128::from(price) * u128::from(self.weights.max(1)) / u128::from(weight.max(1));
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }

    /// Counts the tenant as active; whether it was not.
    fn activate(&mut self, member: &Arc<Member>, weight: u32, now: Ticks) -> bool {
        self.retire(now);
        let due = now.saturating_add(ticks(ACTIVE));
        let _ = member.until.fetch_max(due, Relaxed);
        let counted = member.counted.swap(weight, Relaxed);
        self.weights = self.weights.saturating_sub(counted.into()).saturating_add(weight.into());
        if counted == 0 {
            self.active.push_back((due, Arc::clone(member)));
        }
        counted == 0
    }

    /// Looks at some of those whose time may be over.
    fn retire(&mut self, now: Ticks) {
        for _ in 0..LOOKS {
            let Some((_, member)) = self.active.pop_front_if(|(due, _)| *due <= now) else { return };
            let due = member.until.load(Relaxed);
            if due > now {
                // Looked at again before that, so that the queue stays in order.
                self.active.push_back((due.min(now.saturating_add(ticks(ACTIVE))), member));
            } else {
                let counted = member.counted.swap(0, Relaxed);
                self.weights = self.weights.saturating_sub(counted.into());
            }
        }
    }

    #[cfg(test)]
    pub(super) fn weights(&self) -> u64 {
        self.weights
    }
}
