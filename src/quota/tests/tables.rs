use proptest::prelude::*;

use super::super::bucket::ticks;
use super::super::table::{Place, Table};
use super::*;

#[test]
fn a_key_finds_its_bucket_again() {
    let table = Table::new(64);
    let key = table.key(1, &"who");
    table.find(key, 1, 0).bucket().debit(100, 0);
    assert_eq!(table.find(key, 1, 0).bucket().missing(0), 100);
    assert_ne!(table.key(2, &"who"), key, "of another tenant it is another");
}

#[test]
fn a_full_table_forgets_no_bucket_in_use_and_the_rest_share_one() {
    let table = Table::new(64);
    let hour = ticks(Duration::from_secs(3600));
    let mut rows = Vec::new();
    let mut shared = 0;
    for n in 0..10_000_u32 {
        let key = table.key(0, &n);
        let mut place = table.find(key, 0, 0);
        if matches!(place, Place::Row(..)) {
            rows.push(key);
        } else {
            shared += 1;
        }
        place.bucket().debit(hour, 0);
    }
    assert_eq!(rows.len(), table.rows(), "every row was found");
    assert_eq!(shared, 10_000 - table.rows());
    for key in rows {
        assert_eq!(table.find(key, 0, 1).bucket().missing(0), hour, "nobody was refilled");
    }
    let mut stranger = table.find(table.key(0, &"stranger"), 0, 1);
    assert_eq!(stranger.bucket().missing(0), hour * shared as u64, "who finds no row pays for all like it");
}

#[test]
fn rows_are_free_again_when_their_buckets_are_full() {
    let table = Table::new(8);
    for n in 0..8_u32 {
        table.find(table.key(0, &n), 0, 0).bucket().debit(100, 0);
    }
    assert!(matches!(table.find(table.key(0, &"late"), 0, 99), Place::Overflow(_)));
    assert!(matches!(table.find(table.key(0, &"later"), 0, 100), Place::Row(..)));
}

#[test]
fn a_table_of_another_size_keeps_what_is_in_use() {
    // So many that no set of it is full.
    let table = Table::new(4096);
    for n in 0..32_u32 {
        table.find(table.key(0, &n), 0, 0).bucket().debit(100 + u64::from(n), 0);
    }
    let larger = table.resized(8192, 50);
    for n in 0..32_u32 {
        assert_eq!(larger.find(table.key(0, &n), 0, 50).bucket().missing(0), 100 + u64::from(n));
    }
    // What no longer fits is not refilled either.
    let smaller = larger.resized(8, 50);
    for n in 0..32_u32 {
        assert!(smaller.find(table.key(0, &n), 0, 50).bucket().missing(0) >= 100 + u64::from(n));
    }
}

proptest! {
    #[test]
    fn whatever_comes_an_active_bucket_is_never_refilled(
        asked in prop::collection::vec((0_u32..60, 1_u64..1000), 1..400),
    ) {
        let table = Table::new(16);
        let mut owed = std::collections::HashMap::new();
        for (now, (who, price)) in (0_u64..).zip(asked) {
            let now = now * 10;
            let mut place = table.find(table.key(0, &who), 0, now);
            let before = place.bucket().missing(now);
            place.bucket().debit(price, now);
            // What was paid from the shared one is everybody's.
            if matches!(place, Place::Row(..)) {
                let owes = owed.entry(who).or_insert(0_u64);
                let left = owes.saturating_sub(now);
                prop_assert_eq!(before, left, "{} at {}", who, now);
                *owes = now + left + price;
            }
        }
    }
}
