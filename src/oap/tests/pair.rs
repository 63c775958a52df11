//! A client and a server wired together: random modes, windows, cuts, delays, give-ups and failures. What should finish
//! finishes (nobody is asked twice: each side acts on its wake-ups only), and what arrives is what was sent.

mod answering;
mod asking;
mod world;

use proptest::prelude::*;

use self::world::{Config, Job, Plan, World};
use super::*;

fn window() -> impl Strategy<Value = Option<u32>> {
    prop_oneof![1 => Just(None), 3 => (WINDOW..2 * WINDOW).prop_map(Some), 1 => Just(Some(MAX_WINDOW))]
}

fn config() -> impl Strategy<Value = Config> {
    (window(), window(), MIN_FRAME..=MAX_FRAME, 1u32..9, any::<u64>(), any::<bool>(), any::<bool>()).prop_map(
        |(client_window, server_window, max_frame, max_inflight, seed, slow, drains)| Config {
            client_window,
            server_window,
            max_frame,
            max_inflight,
            seed,
            slow,
            drains,
        },
    )
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![2 => 0usize..3, 3 => 0usize..20_000, 2 => 0usize..600_000]
}

fn plan() -> impl Strategy<Value = Plan> {
    prop_oneof![
        6 => any::<bool>().prop_map(|early| Plan::Whole { early }),
        2 => Just(Plan::AnswerEarly),
        3 => Just(Plan::GiveUp),
        2 => (0usize..100_000).prop_map(|after| Plan::Fail { after }),
        1 => Just(Plan::FailFirst),
        1 => Just(Plan::NotProcessed),
    ]
}

fn job() -> impl Strategy<Value = Job> {
    (size(), size(), any::<bool>(), plan()).prop_map(|(request, answer, announced, plan)| Job {
        request,
        answer,
        announced,
        plan,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn whatever_the_network_does_all_that_should_finish_finishes_and_no_byte_is_wrong(
        config in config(),
        jobs in prop::collection::vec(job(), 1..16),
    ) {
        World::new(config, jobs).run();
    }
}

#[test]
fn one_reader_that_stops_does_not_stop_the_others() {
    let config = Config {
        client_window: Some(WINDOW),
        server_window: Some(WINDOW),
        max_frame: MAX_FRAME,
        max_inflight: 8,
        seed: 7,
        slow: false,
        drains: false,
    };
    let plain = |answer| Job { request: 0, answer, announced: true, plan: Plan::Whole { early: false } };
    let mut world = World::new(config, [vec![plain(600_000)], vec![plain(200_000); 20]].concat());
    world.ignored = Some(0);
    world.run_until_still();
    assert!(!world.is_done(0) && (1..21).all(|job| world.is_done(job)));
    world.ignored = None;
    world.run();
}
