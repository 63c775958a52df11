//! A token bucket as one number: the generic cell rate algorithm (ITU-T I.371, "virtual scheduling").
//!
//! A bucket is the time at which it will be full again. It is full when that has passed, empty when that is a whole burst
//! ahead, in debt beyond. So it fills by itself, and nothing has to be written for it to do so.
//!
//! Time is [`Ticks`] since an epoch of the owner's; nothing here reads a clock.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

/// Sixteenths of a nanosecond: a rate of 30 million a second is then right to 2 parts in a thousand, and an uptime of 36
/// years fits.
pub(super) type Ticks = u64;

const TICKS_A_NANOSECOND: u64 = 16;

/// A time as ticks; what does not fit is for ever.
pub(super) fn ticks(time: Duration) -> Ticks {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    nanos.saturating_mul(TICKS_A_NANOSECOND)
}

/// Ticks as a time, rounded up.
pub(super) fn duration(ticks: Ticks) -> Duration {
    Duration::from_nanos(ticks.div_ceil(TICKS_A_NANOSECOND))
}

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    amount: NonZeroU64,
    period: Duration,
    burst: NonZeroU64,
    /// Ticks that one token takes.
    token: Ticks,
    /// Ticks from empty to full.
    full: Ticks,
}

impl Rate {
    /// `amount` tokens each `period`, at most `burst` at once.
    pub fn new(amount: NonZeroU64, period: Duration, burst: NonZeroU64) -> Self {
        let mut rate = Self { amount, period, burst, token: 0, full: 0 };
        rate.token = rate.price(1);
        rate.full = rate.price(burst.get());
        rate
    }

    /// So many tokens a second, and at once.
    pub fn a_second(amount: NonZeroU32, burst: NonZeroU32) -> Self {
        Self::new(amount.into(), Duration::from_secs(1), burst.into())
    }

    /// Tokens at once.
    pub fn burst(&self) -> u64 {
        self.burst.get()
    }

    /// From empty to full.
    pub fn window(&self) -> Duration {
        duration(self.full)
    }

    /// Ticks that `tokens` take, rounded up: a bucket never gives more than its rate.
    pub(super) fn price(&self, tokens: u64) -> Ticks {
        let all = u128::from(tokens).saturating_mul(u128::from(ticks(self.period)));
        u64::try_from(all.div_ceil(u128::from(self.amount.get()))).unwrap_or(u64::MAX)
    }

    /// The price of a few tokens, without a division.
    pub(super) fn price_of_few(&self, tokens: u32) -> Ticks {
        self.token.saturating_mul(tokens.into())
    }

    pub(super) fn full(&self) -> Ticks {
        self.full
    }

    pub(super) fn token(&self) -> Ticks {
        self.token.max(1)
    }
}

/// A bucket. A new one is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    /// When it is full again.
    full_at: Ticks,
}

impl Bucket {
    /// Whether `price` can be paid now from a bucket that takes `full` to fill; if not, how long until it can.
    pub(super) fn ask(self, price: Ticks, full: Ticks, now: Ticks) -> Result<(), Ticks> {
        let after = self.full_at.max(now).saturating_add(price);
        let limit = now.saturating_add(full);
        if after <= limit { Ok(()) } else { Err(after.saturating_sub(limit)) }
    }

    /// Pays, whatever is in it: beyond empty it is in debt.
    pub(super) fn debit(&mut self, price: Ticks, now: Ticks) {
        self.full_at = self.full_at.max(now).saturating_add(price);
    }

    /// Takes a payment back that was made a moment ago.
    pub(super) fn give_back(&mut self, price: Ticks) {
        self.full_at = self.full_at.saturating_sub(price);
    }

    /// Pays as far as there is something in it.
    pub(super) fn debit_what_there_is(&mut self, price: Ticks, full: Ticks, now: Ticks) {
        let empty = now.saturating_add(full);
        if self.full_at < empty {
            self.debit(price, now);
            self.full_at = self.full_at.min(empty);
        }
    }

    /// No more than `price` is in it any more, if there was.
    pub(super) fn leave(&mut self, price: Ticks, full: Ticks, now: Ticks) {
        self.full_at = self.full_at.max(now.saturating_add(full.saturating_sub(price)));
    }

    /// How far beyond empty it is.
    pub(super) fn debt(self, full: Ticks, now: Ticks) -> Ticks {
        self.full_at.saturating_sub(now.saturating_add(full))
    }

    /// As empty as the emptier of the two.
    pub(super) fn join(&mut self, other: Self) {
        self.full_at = self.full_at.max(other.full_at);
    }

    pub(super) fn is_full(self, now: Ticks) -> bool {
        self.full_at <= now
    }

    /// When it is full again.
    pub(super) fn full_at(self) -> Ticks {
        self.full_at
    }

    /// Time until it is full.
    pub(super) fn missing(self, now: Ticks) -> Ticks {
        self.full_at.saturating_sub(now)
    }

    /// Keeps its fill as a fraction when what it takes to fill changes (http.md §7). One that is out of force, which takes
    /// 0 to fill, goes on filling, and is as empty as it was left when it is in force again.
    pub(super) fn rescale(&mut self, before: Ticks, after: Ticks, now: Ticks) {
        if before == 0 && after > 0 {
            self.full_at = self.full_at.min(now.saturating_add(after));
        } else if before != after && after > 0 && !self.is_full(now) {
            let missing = u128::from(self.missing(now)) * u128::from(after) / u128::from(before.max(1));
            self.full_at = now.saturating_add(u64::try_from(missing).unwrap_or(u64::MAX));
        }
    }
}

/// What a client may know of one of its own buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Tokens at once.
    pub limit: u64,
    /// From empty to full.
    pub window: Duration,
    /// Tokens that are left.
    pub remaining: u64,
    /// Until it is full.
    pub reset: Duration,
}

impl Level {
    pub(super) fn of(bucket: Bucket, rate: &Rate, now: Ticks) -> Self {
        let missing = bucket.missing(now);
        Self {
            limit: rate.burst(),
            window: rate.window(),
            remaining: rate.full().saturating_sub(missing) / rate.token(),
            reset: duration(missing),
        }
    }

    /// The one of two that leaves less, for its size.
    pub(super) fn tighter(self, other: Self) -> Self {
        let left = |a: &Self, b: &Self| u128::from(a.remaining) * u128::from(b.limit);
        if left(&other, &self) < left(&self, &other) { other } else { self }
    }
}
