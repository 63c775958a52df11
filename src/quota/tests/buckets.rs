use proptest::prelude::*;

use super::super::bucket::{Bucket, Level, duration, ticks};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_full_bucket_gives_its_burst_and_then_its_rate() {
    let rate = rate(500, 500);
    let mut bucket = Bucket::default();
    let mut accepted = 0;
    // 600 a second for a minute.
    for n in 0..36_000_u64 {
        let now = ticks(SECOND) * n / 600;
        if bucket.ask(rate.price_of_few(1), rate.full(), now).is_ok() {
            bucket.debit(rate.price_of_few(1), now);
            accepted += 1;
        }
    }
    let wanted = 500 * 60 + 500;
    assert!((wanted - 2..=wanted).contains(&accepted), "{accepted}");
}

#[test]
fn who_waits_as_long_as_told_finds_what_was_asked_for_and_not_sooner() {
    for (rate, cost) in [(rate(500, 10), 1), (rate(3, 7), 5), (slow(30, Duration::from_secs(60), 2), 2)] {
        let mut bucket = Bucket::default();
        let now = ticks(SECOND);
        while bucket.ask(rate.price_of_few(cost), rate.full(), now).is_ok() {
            bucket.debit(rate.price_of_few(cost), now);
        }
        let wait = bucket.ask(rate.price_of_few(cost), rate.full(), now).unwrap_err();
        assert!(bucket.ask(rate.price_of_few(cost), rate.full(), now + wait - 1).is_err());
        assert!(bucket.ask(rate.price_of_few(cost), rate.full(), now + wait).is_ok());
        assert!(duration(wait) >= Duration::from_nanos(wait / 16));
    }
}

#[test]
fn a_bucket_keeps_its_fill_as_a_fraction_when_its_rate_or_burst_changes() {
    let (old, new) = (rate(100, 100), rate(1000, 4000));
    let now = ticks(SECOND) * 10;
    let mut bucket = Bucket::default();
    bucket.debit(old.price(75), now);
    assert_eq!(Level::of(bucket, &old, now).remaining, 25);
    bucket.rescale(old.full(), new.full(), now);
    assert_eq!(Level::of(bucket, &new, now).remaining, 1000);
    bucket.rescale(new.full(), old.full(), now);
    assert_eq!(Level::of(bucket, &old, now).remaining, 25);
    // An empty one stays empty, a debt stays a debt.
    let mut bucket = Bucket::default();
    bucket.debit(old.price(150), now);
    bucket.rescale(old.full(), new.full(), now);
    assert_eq!(Level::of(bucket, &new, now).remaining, 0);
    assert!(bucket.debt(new.full(), now) > 0);
}

#[test]
fn a_bucket_that_was_out_of_force_is_as_empty_as_it_was_left() {
    let (rate, other) = (rate(10, 100), rate(10, 20));
    let now = ticks(SECOND) * 100;
    let mut bucket = Bucket::default();
    bucket.debit(rate.price(100), now);
    bucket.rescale(rate.full(), 0, now);
    // It fills meanwhile.
    let later = now + ticks(SECOND);
    bucket.rescale(0, rate.full(), later);
    assert_eq!(Level::of(bucket, &rate, later).remaining, 10);
    bucket.rescale(rate.full(), 0, later);
    bucket.rescale(0, other.full(), later);
    assert_eq!((Level::of(bucket, &other, later).remaining, bucket.debt(other.full(), later)), (0, 0));
    let much_later = now + ticks(SECOND) * 20;
    assert_eq!(Level::of(bucket, &other, much_later).remaining, 20);
}

proptest! {
    /// Against buckets as one would count them: exact fractions of tokens.
    #[test]
    fn gcra_says_what_a_counted_bucket_says(
        amount in 1_u64..2000,
        burst in 1_u64..2000,
        steps in prop::collection::vec((0_u64..20_000_000, 1_u32..5), 1..200),
    ) {
        let rate = slow(amount, SECOND, burst);
        let mut bucket = Bucket::default();
        let mut now = ticks(SECOND);
        // In tokens times ticks a second.
        let unit = u128::from(ticks(SECOND));
        let full = u128::from(burst) * unit;
        let mut level = full;
        for (pause, cost) in steps {
            let pause = pause * 16;
            now += pause;
            level = full.min(level + u128::from(pause) * u128::from(amount));
            let price = u128::from(cost) * unit;
            let counted = level >= price;
            let said = bucket.ask(rate.price_of_few(cost), rate.full(), now).is_ok();
            // Rounded up prices may be a few ticks late.
            let close = level.abs_diff(price) < unit / 1000;
            prop_assert!(said == counted || close, "{level} {price}");
            if said {
                bucket.debit(rate.price_of_few(cost), now);
                level = level.saturating_sub(price);
            }
        }
    }

    #[test]
    fn no_number_makes_it_panic(a: u64, b: u64, c: u64, cost: u32, amount in 1_u64.., burst in 1_u64..) {
        let rate = slow(amount, Duration::from_nanos(a), burst);
        let mut bucket = Bucket::default();
        bucket.debit(b, c);
        let _ = bucket.ask(rate.price_of_few(cost), rate.full(), a);
        bucket.rescale(a, b, c);
        bucket.debit_what_there_is(c, b, a);
        let _ = Level::of(bucket, &rate, c);
    }
}
