use proptest::prelude::*;

use super::*;

const TICK: Duration = Duration::from_millis(100);

fn overload() -> (Overload, Instant) {
    (Overload::new(Policy::default()), Instant::now())
}

fn level(overload: &Overload) -> Level {
    overload.shedding().level
}

fn level_of(overload: &Overload, cluster: u64) -> Level {
    overload.shedding_of(cluster).level
}

const CALM: Readings = Readings {
    in_flight: 0,
    slots: 512,
    wait: Duration::ZERO,
    lag: Duration::ZERO,
    memory: 0,
    descriptors: 0,
    descriptors_allowed: 1000,
};

#[test]
fn each_cause_presses_by_itself_and_only_over_its_threshold() {
    let ms = Duration::from_millis;
    for (readings, want) in [
        (CALM, vec![]),
        (Readings { in_flight: 512, ..CALM }, vec![]),
        (Readings { wait: ms(200), ..CALM }, vec![]),
        (Readings { in_flight: 460, wait: ms(200), ..CALM }, vec![]),
        (Readings { in_flight: 462, wait: ms(100), ..CALM }, vec![]),
        (Readings { in_flight: 462, wait: ms(101), ..CALM }, vec![Cause::InFlight]),
        (Readings { lag: ms(50), ..CALM }, vec![]),
        (Readings { lag: ms(51), ..CALM }, vec![Cause::Lag]),
        (Readings { memory: 1001, ..CALM }, vec![]),
        (Readings { memory: 1002, ..CALM }, vec![Cause::Memory]),
        (Readings { descriptors: 900, ..CALM }, vec![]),
        (Readings { descriptors: 901, lag: ms(60), ..CALM }, vec![Cause::Lag, Cause::Descriptors]),
        (Readings { descriptors: 901, descriptors_allowed: 0, ..CALM }, vec![]),
    ] {
        let mut overload = Overload::new(Policy { memory: Some(1001), ..Policy::default() });
        overload.handle_readings(&readings, Instant::now());
        assert_eq!(overload.causes(), want, "{readings:?}");
        assert_eq!(level(&overload) > Level::Normal, !want.is_empty(), "{readings:?}");
    }
}

#[test]
fn without_a_bound_memory_does_not_count() {
    let (mut overload, now) = overload();
    overload.handle_readings(&Readings { memory: u64::MAX, ..CALM }, now);
    assert_eq!(level(&overload), Level::Normal);
}

#[test]
fn pressure_that_stays_sheds_the_last_too_and_is_released_step_by_step() {
    let (mut overload, mut now) = overload();
    let lag = |ms| Readings { lag: Duration::from_millis(ms), ..CALM };
    let mut levels: Vec<(Level, i32)> = Vec::new();
    // 3 s over it, 3 s between, 8 s below.
    for tick in 0..140 {
        let ms = if tick < 30 {
            60
        } else if tick < 60 {
            45
        } else {
            40
        };
        overload.handle_readings(&lag(ms), now);
        if levels.last().is_none_or(|(last, _)| *last != level(&overload)) {
            levels.push((level(&overload), tick));
        }
        now += TICK;
    }
    assert_eq!(levels, [(Level::Writes, 0), (Level::Last, 20), (Level::Writes, 80), (Level::Normal, 130)]);
}

#[test]
fn a_failing_cluster_presses_on_its_own_routes_only() {
    let (mut overload, mut now) = overload();
    for n in 0..100 {
        overload.handle_result(1, n % 5 < 3, now);
        overload.handle_result(2, n % 5 < 2, now);
        now += TICK / 10;
    }
    overload.handle_readings(&CALM, now);
    assert_eq!((level(&overload), level_of(&overload, 1)), (Level::Normal, Level::Writes));
    assert_eq!((level_of(&overload, 2), level_of(&overload, 3)), (Level::Normal, Level::Normal));
    assert_eq!(overload.causes(), [Cause::Backends(1)]);
    // Its failures are forgotten after five seconds; two steps of two more and three trials of one release it.
    assert_eq!(level_of(&overload, 1), Level::Writes);
    for _ in 0..125 {
        overload.handle_readings(&CALM, now);
        now += TICK;
    }
    assert_eq!(level_of(&overload, 1), Level::Normal);
    overload.configure(Policy::default(), |cluster| cluster == 2);
    assert_eq!(overload.clusters.len(), 1);
}

#[test]
fn a_few_failures_say_nothing() {
    let (mut overload, now) = overload();
    for _ in 0..9 {
        overload.handle_result(1, true, now);
    }
    overload.handle_readings(&CALM, now);
    assert_eq!(level_of(&overload, 1), Level::Normal);
    overload.handle_result(1, true, now);
    overload.handle_readings(&CALM, now);
    assert_eq!(level_of(&overload, 1), Level::Writes);
}

#[test]
fn routes_are_shed_in_their_order() {
    use Level::{Last, Normal, Writes};
    for (level, with_writes, last, never) in
        [(Normal, false, false, false), (Writes, true, false, false), (Last, true, true, false)]
    {
        let shedding = Shedding { level, parts: PARTS };
        let sheds = [Shed::WithWrites, Shed::Last, Shed::Never].map(|order| shedding.sheds(order, 3));
        assert_eq!(sheds, [with_writes, last, never], "{level:?}");
    }
}

#[test]
fn writes_are_let_through_on_trial_before_the_level_falls() {
    let (mut overload, mut now) = overload();
    overload.handle_readings(&Readings { lag: Duration::from_millis(60), ..CALM }, now);
    let mut shed = Vec::new();
    while level(&overload) > Level::Normal {
        let of_64 = (0..64).filter(|turn| overload.shedding().sheds(Shed::WithWrites, *turn)).count();
        if shed.last() != Some(&of_64) {
            shed.push(of_64);
        }
        now += TICK;
        overload.handle_readings(&CALM, now);
    }
    assert_eq!(shed, [64, 62, 48, 0]);
}

/// A neighbour's stall, with writes that press as soon as a half of them is let through.
#[test]
fn pressure_that_comes_of_the_writes_alone_does_not_flap() {
    let (mut overload, mut now) = overload();
    let (mut levels, mut through_on_trial) = (vec![level(&overload)], 0);
    for tick in 0..600 {
        let through = (0..32).filter(|turn| !overload.shedding().sheds(Shed::WithWrites, *turn)).count();
        let lag = if tick < 400 && through > 8 { 60 } else { 10 };
        through_on_trial += usize::from((1..=8).contains(&through));
        overload.handle_readings(&Readings { lag: Duration::from_millis(lag), ..CALM }, now);
        if levels.last() != Some(&level(&overload)) {
            levels.push(level(&overload));
        }
        now += TICK;
    }
    assert_eq!(levels, [Level::Normal, Level::Writes, Level::Normal]);
    assert!(through_on_trial > 100, "{through_on_trial}");
}

proptest! {
    #[test]
    fn a_level_never_flaps_whatever_the_readings(lags in prop::collection::vec(0_u64..120, 1..400)) {
        let (mut overload, mut now) = overload();
        let hold = Policy::default().hold;
        let (mut up, mut changed) = (None::<bool>, None::<Instant>);
        let mut last_below: Option<Instant> = None;
        for lag in lags {
            let before = level(&overload);
            overload.handle_readings(&Readings { lag: Duration::from_millis(lag), ..CALM }, now);
            let after = level(&overload);
            if lag > 40 {
                last_below = None;
            } else {
                last_below = last_below.or(Some(now));
            }
            if before != after {
                let rises = after > before;
                prop_assert!(!rises || lag > 50, "rises at {lag}");
                prop_assert!(rises || last_below.is_some_and(|since| now - since >= hold), "falls too early");
                // A fall comes no sooner than `hold` after any change; so there is no more than one way up and down in it.
                prop_assert!(rises || changed.is_none_or(|changed| now - changed >= hold));
                (up, changed) = (Some(rises), Some(now));
            }
            prop_assert!(lag <= 50 || after > Level::Normal, "pressure is answered at once");
            now += TICK;
        }
        // It never stays when all is calm.
        for _ in 0..75 {
            overload.handle_readings(&CALM, now);
            now += TICK;
        }
        prop_assert_eq!(level(&overload), Level::Normal, "up {:?}", up);
    }

    #[test]
    fn between_release_and_threshold_nothing_changes(
        pressed: bool, lags in prop::collection::vec(41_u64..=50, 1..200),
    ) {
        let (mut overload, mut now) = overload();
        if pressed {
            overload.handle_readings(&Readings { lag: Duration::from_millis(51), ..CALM }, now);
        }
        let before = level(&overload);
        for lag in lags {
            now += TICK;
            overload.handle_readings(&Readings { lag: Duration::from_millis(lag), ..CALM }, now);
            prop_assert_eq!(level(&overload), before);
        }
    }
}
