//! 2 HOW OFTEN: token buckets of a client's address, its tenant, its principal, its capability's budgets and the instance
//! (http.md §2).
//!
//! All are asked, then all are debited or none: a request that is refused costs nobody anything. Buckets are one number
//! each (`bucket`); those of the many live in tables of fixed size (`table`); the instance's rate is shared by weight
//! (`share`). A request costs the same beside one tenant as beside a hundred thousand: what a snapshot holds of a tenant
//! leads to its buckets.
//!
//! [`Quotas`] outlives configurations: a reload changes rates, never how full a bucket is for its size. Nothing here reads
//! a clock, waits, or answers anybody.

mod bucket;
mod budgets;
pub mod fields;
mod penalty;
mod policy;
mod share;
mod table;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use self::bucket::{Bucket, Ticks, duration, ticks};
pub use self::bucket::{Level, Rate};
pub use self::budgets::{Budget, Budgets};
pub use self::penalty::{Penalty, PenaltyPolicy};
pub use self::policy::{Policy, TenantPolicy};
use self::share::{Member, Share};
use self::table::Table;

/// Whose bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The client address's.
    Address,
    /// The tenant's own.
    Tenant,
    /// The tenant's, of bytes.
    Bytes,
    /// The principal's.
    Principal,
    /// A budget that the request's capability has.
    Capability,
    /// The instance's: the load of everybody, nothing of the client's.
    Instance,
}

impl Which {
    /// Its name in fields and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Tenant => "tenant",
            Self::Bytes => "bytes",
            Self::Principal => "principal",
            Self::Capability => "capability",
            Self::Instance => "instance",
        }
    }
}

/// No token is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// Where; of several the one that takes longest.
    pub which: Which,
    /// Until there is one, if nobody else asks.
    pub retry_after: Duration,
    /// What the client may know of the bucket; never the instance's.
    pub level: Option<Level>,
}

/// The tokens were there, and are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The tightest of the client's own quotas.
    pub own: Option<(Which, Level)>,
    /// A tenant's quota in shadow would have refused it.
    pub shadowed: Option<Which>,
}

/// All buckets of a gateway.
#[derive(Debug)]
pub struct Quotas {
    epoch: Instant,
    policy: ArcSwap<Policy>,
    tables: ArcSwap<Tables>,
    share: Mutex<Share>,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Tables {
    addresses: Table,
    principals: Table,
    budgets: Table,
}

/// The tenants of all configurations whose buckets are still in use.
#[derive(Debug, Default)]
struct Known {
    numbers: u64,
    by_name: HashMap<String, Arc<Tenant>>,
}

/// A tenant's buckets: what a snapshot holds of it.
#[derive(Debug)]
pub struct Tenant {
    number: u64,
    member: Arc<Member>,
    buckets: Mutex<Buckets>,
}

#[derive(Debug, Default)]
struct Buckets {
    own: Bucket,
    bytes: Bucket,
    /// Its part of the instance's rate.
    guarantee: Bucket,
}

impl Tenant {
    /// A number that stays the same over reloads.
    pub fn number(&self) -> u64 {
        self.number
    }
}

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a, P> {
    /// Who pays.
    pub tenant: &'a Tenant,
    /// Its policy in the request's generation.
    pub policy: &'a TenantPolicy,
    /// Who acts.
    pub principal: &'a P,
    /// Tokens.
    pub cost: u32,
}

impl Quotas {
    /// All buckets full. No later time that it is given may be before `now`.
    pub fn new(policy: Policy, now: Instant) -> Self {
        Self {
            epoch: now,
            tables: ArcSwap::from_pointee(Tables {
                addresses: Table::new(policy.rows),
                principals: Table::new(policy.rows),
                budgets: Table::new(policy.rows),
            }),
            share: Mutex::new(Share::new(policy.instance)),
            policy: ArcSwap::from_pointee(policy),
            known: Mutex::default(),
        }
    }

    /// The buckets of the tenant called `name`: those that it has, or full ones.
    pub fn tenant(&self, name: &str) -> Arc<Tenant> {
        let mut known = self.known.lock();
        if let Some(tenant) = known.by_name.get(name) {
            return Arc::clone(tenant);
        }
        known.numbers = known.numbers.saturating_add(1);
        let number = known.numbers;
        let tenant = Arc::new(Tenant { number, member: Arc::default(), buckets: Mutex::default() });
        drop(known.by_name.insert(name.to_owned(), Arc::clone(&tenant)));
        tenant
    }

    /// Goes by another configuration from now on: `changes` are its tenants with the policies that they had, where they
    /// had any, and have. Buckets keep their fill as a fraction (http.md §7). A tenant that is not among them is forgotten
    /// once nobody holds it.
    pub fn configure<'a>(
        &self,
        policy: Policy,
        changes: impl IntoIterator<Item = (&'a Arc<Tenant>, Option<&'a TenantPolicy>, &'a TenantPolicy)>,
        now: Instant,
    ) {
        let now = self.ticks(now);
        let before = self.policy.swap(Arc::new(policy));
        let mut principals = HashMap::new();
        let full = |rate: Option<Rate>| rate.map_or(0, |rate| rate.full());
        for (tenant, old, new) in changes {
            let Some(old) = old else { continue };
            let mut buckets = tenant.buckets.lock();
            buckets.own.rescale(full(old.rate), full(new.rate), now);
            buckets.bytes.rescale(full(old.bytes), full(new.bytes), now);
            buckets.guarantee.rescale(before.instance.full(), policy.instance.full(), now);
            if old.principal != new.principal {
                let _ = principals.insert(tenant.number, (full(old.principal), full(new.principal)));
            }
        }
        let tables = self.tables.load();
        if !principals.is_empty() {
            tables.principals.for_each(|owner, bucket| {
                if let Some((old, new)) = principals.get(&owner) {
                    bucket.rescale(*old, *new, now);
                }
            });
        }
        let (old, new) = (full(before.address), full(policy.address));
        if old != new {
            tables.addresses.for_each(|_, bucket| bucket.rescale(old, new, now));
            tables.addresses.change_overflow(|bucket| bucket.rescale(old, new, now));
        }
        if before.rows != policy.rows {
            self.tables.store(Arc::new(Tables {
                addresses: tables.addresses.resized(policy.rows, now),
                principals: tables.principals.resized(policy.rows, now),
                budgets: tables.budgets.resized(policy.rows, now),
            }));
        }
        self.share.lock().configure(policy.instance, now);
    }

    /// Forgets the tenants that nobody holds any more and whose buckets are full.
    pub fn sweep(&self, now: Instant) {
        let now = self.ticks(now);
        self.known.lock().by_name.retain(|_, tenant| {
            let buckets = tenant.buckets.lock();
            let full = [buckets.own, buckets.bytes, buckets.guarantee].iter().all(|b| b.is_full(now));
            Arc::strong_count(tenant) > 1 || !full
        });
    }

    /// Takes `cost` tokens of the address alone: for a request whose token is still to be verified (http.md §2).
    ///
    /// # Errors
    /// [`Exhausted`], and nothing is taken.
    pub fn take_of_address(&self, address: IpAddr, cost: u32, now: Instant) -> Result<Taken, Exhausted> {
        self.decide_of_address(address, cost, true, now)
    }

    /// Gives back what [`take_of_address`](Self::take_of_address) took a moment ago: another bucket said no (http.md §2: a
    /// rejected request costs nothing).
    pub fn give_back_of_address(&self, address: IpAddr, cost: u32, now: Instant) {
        let now = self.ticks(now);
        if let Some(rate) = &self.policy.load().address {
            let tables = self.tables.load();
            let mut place = tables.addresses.find(tables.addresses.key(0, &network(address)), 0, now);
            place.bucket().give_back(rate.price_of_few(cost));
        }
    }

    /// Whether [`take_of_address`](Self::take_of_address) would find what it asks for; nothing is taken.
    ///
    /// # Errors
    /// [`Exhausted`]
    pub fn look_of_address(&self, address: IpAddr, cost: u32, now: Instant) -> Result<Taken, Exhausted> {
        self.decide_of_address(address, cost, false, now)
    }

    fn decide_of_address(
        &self,
        address: IpAddr,
        cost: u32,
        takes: bool,
        now: Instant,
    ) -> Result<Taken, Exhausted> {
        let now = self.ticks(now);
        let policy = self.policy.load();
        let Some(rate) = &policy.address else { return Ok(Taken::default()) };
        let tables = self.tables.load();
        let mut place = tables.addresses.find(tables.addresses.key(0, &network(address)), 0, now);
        let bucket = place.bucket();
        let price = rate.price_of_few(cost);
        bucket
            .ask(price, rate.full(), now)
            .map_err(|until| exhausted(Which::Address, *bucket, rate, until, now))?;
        if !takes {
            return Ok(Taken::default());
        }
        bucket.debit(price, now);
        Ok(Taken { own: Some((Which::Address, Level::of(*bucket, rate, now))), shadowed: None })
    }

    /// Takes `cost` tokens of the address, if one is given, the tenant, the principal and the instance: of all or of none.
    ///
    /// # Errors
    /// [`Exhausted`], and nothing is taken anywhere.
    pub fn take<P: Hash>(
        &self,
        address: Option<IpAddr>,
        ask: &Ask<'_, P>,
        now: Instant,
    ) -> Result<Taken, Exhausted> {
        self.decide(address, ask, true, now)
    }

    /// Whether [`take`](Self::take) would find what it asks for; nothing is taken.
    ///
    /// # Errors
    /// [`Exhausted`]
    pub fn look<P: Hash>(
        &self,
        address: Option<IpAddr>,
        ask: &Ask<'_, P>,
        now: Instant,
    ) -> Result<Taken, Exhausted> {
        self.decide(address, ask, false, now)
    }

    fn decide<P: Hash>(
        &self,
        address: Option<IpAddr>,
        ask: &Ask<'_, P>,
        takes: bool,
        now: Instant,
    ) -> Result<Taken, Exhausted> {
        let now = self.ticks(now);
        let policy = self.policy.load();
        let tables = self.tables.load();
        let Ask { tenant, policy: of_tenant, principal, cost } = *ask;
        // Locked in this order by everybody, and kept until all have been asked.
        let mut address = address.zip(policy.address.as_ref()).map(|(address, rate)| {
            (tables.addresses.find(tables.addresses.key(0, &network(address)), 0, now), rate)
        });
        let mut principal = of_tenant.principal.as_ref().map(|rate| {
            let key = tables.principals.key(tenant.number, principal);
            (tables.principals.find(key, tenant.number, now), rate)
        });
        let mut buckets = tenant.buckets.lock();
        let mut verdict = Verdict { worst: None, shadowed: None, now };
        if let Some((place, rate)) = &mut address {
            verdict.ask(Which::Address, *place.bucket(), rate, cost, false);
        }
        if let Some(rate) = &of_tenant.rate {
            verdict.ask(Which::Tenant, buckets.own, rate, cost, of_tenant.shadow);
        }
        if let Some(rate) = &of_tenant.bytes {
            // Bytes are paid for as they pass: what is asked is whether the last ones are.
            verdict.ask(Which::Bytes, buckets.bytes, rate, 0, of_tenant.shadow);
        }
        if let Some((place, rate)) = &mut principal {
            verdict.ask(Which::Principal, *place.bucket(), rate, cost, false);
        }
        let mut share = self.share.lock();
        let granted = share.ask(&tenant.member, &mut buckets.guarantee, of_tenant.weight, cost, now);
        let grant = match (granted, verdict.worst) {
            (Ok(grant), None) => grant,
            (Err(until), worst) => {
                let no = Exhausted { which: Which::Instance, retry_after: duration(until), level: None };
                return Err(worst.filter(|worst| worst.retry_after >= no.retry_after).unwrap_or(no));
            }
            (Ok(_), Some(worst)) => return Err(worst),
        };
        if !takes {
            return Ok(Taken { own: None, shadowed: verdict.shadowed });
        }
        share.take(grant, &tenant.member, &mut buckets.guarantee, now);
        drop(share);
        let mut own = None;
        let mut note = |which, bucket: &mut Bucket, rate: &Rate, cost| {
            bucket.debit(rate.price_of_few(cost), now);
            let level = Level::of(*bucket, rate, now);
            own = match own {
                Some((_, tightest)) if level.tighter(tightest) == tightest => own,
                _ => Some((which, level)),
            };
        };
        if let Some(rate) = &of_tenant.rate {
            // What a quota in force would have refused would have cost nothing.
            note(Which::Tenant, &mut buckets.own, rate, if verdict.shadowed.is_some() { 0 } else { cost });
        }
        drop(buckets);
        if let Some((place, rate)) = &mut principal {
            note(Which::Principal, place.bucket(), rate, cost);
        }
        if let Some((place, rate)) = &mut address {
            note(Which::Address, place.bucket(), rate, cost);
        }
        Ok(Taken { own, shadowed: verdict.shadowed })
    }

    /// Counts bytes of a body that have passed, either way.
    pub fn debit_bytes(&self, tenant: &Tenant, policy: &TenantPolicy, bytes: u64, now: Instant) {
        if let Some(rate) = &policy.bytes {
            let now = self.ticks(now);
            let mut buckets = tenant.buckets.lock();
            // In shadow nothing keeps a tenant that is in debt from running further into it.
            if !policy.shadow || buckets.bytes.ask(0, rate.full(), now).is_ok() {
                buckets.bytes.debit(rate.price(bytes), now);
            }
        }
    }

    /// Rows of the table of principals.
    pub fn rows(&self) -> usize {
        self.tables.load().principals.rows()
    }

    fn ticks(&self, now: Instant) -> Ticks {
        ticks(now.saturating_duration_since(self.epoch))
    }
}

/// What the buckets that were asked so far say.
struct Verdict {
    worst: Option<Exhausted>,
    shadowed: Option<Which>,
    now: Ticks,
}

impl Verdict {
    fn ask(&mut self, which: Which, bucket: Bucket, rate: &Rate, cost: u32, shadow: bool) {
        let Err(until) = bucket.ask(rate.price_of_few(cost), rate.full(), self.now) else { return };
        if shadow {
            self.shadowed = Some(which);
            return;
        }
        let no = exhausted(which, bucket, rate, until, self.now);
        if self.worst.is_none_or(|worst| worst.retry_after < no.retry_after) {
            self.worst = Some(no);
        }
    }
}

fn exhausted(which: Which, bucket: Bucket, rate: &Rate, until: Ticks, now: Ticks) -> Exhausted {
    Exhausted { which, retry_after: duration(until), level: Some(Level::of(bucket, rate, now)) }
}

/// Who shares an address's bucket: IPv4 /32, IPv6 /64 (http.md §2).
fn network(address: IpAddr) -> (bool, u64) {
    match address.to_canonical() {
        IpAddr::V4(ip) => (false, ip.to_bits().into()),
        IpAddr::V6(ip) => (true, u64::try_from(ip.to_bits() >> 64).unwrap_or(0)),
    }
}
