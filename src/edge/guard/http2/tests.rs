use gateway_testing::raw::http2::{self as raw, Expect, cases, frame};
use proptest::prelude::*;

use super::*;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;

fn guard() -> Guard {
    Guard::new(Policy::default())
}

/// A guard whose client has said the preface and its settings, long ago.
fn started(policy: Policy) -> Guard {
    let mut guard = Guard::new(policy);
    guard.feed(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat(), Instant::now()).unwrap();
    guard
}

fn feed<'p>(
    guard: &mut Guard,
    pieces: impl IntoIterator<Item = &'p [u8]>,
    now: Instant,
) -> Result<(), Flood> {
    pieces.into_iter().try_for_each(|piece| guard.feed(piece, now))
}

#[test]
fn each_case_has_its_verdict() {
    assert!(cases().len() >= 60);
    for case in cases() {
        let want = match case.expect {
            Expect::Cut(word) => Err(word),
            Expect::Passes | Expect::RefusedByParser => Ok(()),
        };
        let now = Instant::now();
        let verdict = |result: Result<(), Flood>| result.map_err(Flood::reason);
        assert_eq!(verdict(guard().feed(&case.bytes, now)), want, "{}", case.name);
        // Long ones are cut into pieces that meet every place of a frame, short ones at every byte.
        for cut in if case.bytes.len() < 4096 { 1..20 } else { 100..102 } {
            assert_eq!(
                verdict(feed(&mut guard(), case.bytes.chunks(cut), now)),
                want,
                "{} in {cut}",
                case.name
            );
        }
        for at in 0..if case.bytes.len() < 600 { case.bytes.len() } else { 0 } {
            let (one, two) = case.bytes.split_at(at);
            assert_eq!(verdict(feed(&mut guard(), [one, two], now)), want, "{} cut at {at}", case.name);
        }
    }
}

#[test]
fn after_a_flood_nothing_passes() {
    let (mut guard, now) = (started(Policy::default()), Instant::now());
    assert_eq!(guard.feed(&frame(PING, 0, 0, &[0; 8]).repeat(21), now), Err(Flood::Pings));
    let later = now + Duration::from_secs(60);
    assert_eq!(guard.feed(&frame(RST_STREAM, 0, 1, &[0; 4]), later), Err(Flood::Pings));
    assert_eq!(guard.feed(&[], later), Err(Flood::Pings));
}

#[test]
fn what_is_unfinished_is_measured_from_its_first_byte_to_its_last() {
    let (start, mut guard) = (Instant::now(), started(Policy::default()));
    let mut after = |bytes: &[u8], seconds| {
        guard.feed(bytes, start + Duration::from_secs(seconds)).unwrap();
        guard.unfinished().map(|(since, bytes)| ((since - start).as_secs(), bytes))
    };
    let block = |kind, flags| frame(kind, flags, 1, &[0; 100]);
    assert_eq!(after(&[], 1), None);
    assert_eq!(after(&block(HEADERS, END_HEADERS), 2), None);
    assert_eq!(after(&block(HEADERS, 0)[..1], 3), Some((3, 1)));
    assert_eq!(after(&block(HEADERS, 0)[1..], 4), Some((3, 109)));
    assert_eq!(after(&block(CONTINUATION, 0)[..60], 5), Some((3, 169)));
    assert_eq!(after(&block(CONTINUATION, 0)[60..], 6), Some((3, 218)));
    // One that begins in the read that ends the one before is another.
    let next = [block(CONTINUATION, END_HEADERS), frame(HEADERS, 0, 3, &[0; 50])].concat();
    assert_eq!(after(&next, 7), Some((7, 59)));
    assert_eq!(after(&frame(CONTINUATION, END_HEADERS, 3, &[]), 8), None);
    // Of other frames too, but not of DATA, whose bytes are those of a body.
    assert_eq!(after(&frame(PING, 0, 0, &[0; 8])[..16], 9), Some((9, 16)));
    assert_eq!(after(&[0], 10), None);
    assert_eq!(after(&frame(0, 0, 1, &[0; 100])[..8], 11), Some((11, 8)));
    assert_eq!(after(&frame(0, 0, 1, &[0; 100])[8..50], 12), None);
    assert_eq!(after(&frame(0, 0, 1, &[0; 100])[50..], 13), None);
}

#[test]
fn what_comes_at_the_rate_passes_for_ever() {
    let (mut guard, start) = (started(Policy::default()), Instant::now());
    let second: Vec<u8> =
        [frame(PING, 0, 0, &[0; 8]).repeat(20), frame(RST_STREAM, 0, 1, &[0; 4]).repeat(100)].concat();
    for n in 0..100 {
        assert_eq!(guard.feed(&second, start + Duration::from_secs(n)), Ok(()), "second {n}");
    }
    assert_eq!(guard.feed(&second, start + Duration::from_millis(99_900)), Err(Flood::Pings));
}

#[test]
fn content_in_fair_pieces_is_no_flood() {
    let (now, tiny, fair) = (Instant::now(), frame(0, 0, 1, &[7; 31]), frame(0, 0, 1, &[7; 32]));
    assert_eq!(started(Policy::default()).feed(&fair.repeat(50_000), now), Ok(()));
    assert_eq!(started(Policy::default()).feed(&tiny.repeat(5001), now), Err(Flood::TinyData));
}

#[test]
fn an_operator_s_bounds_hold_and_none_lifts_one() {
    let (now, pings) = (Instant::now(), frame(PING, 0, 0, &[0; 8]));
    let policy = Policy { pings: NonZeroU32::new(3), ..Policy::default() };
    assert_eq!(started(policy).feed(&pings.repeat(3), now), Ok(()));
    assert_eq!(started(policy).feed(&pings.repeat(4), now), Err(Flood::Pings));
    let lifted = Policy { pings: None, ..policy };
    assert_eq!(started(lifted).feed(&pings.repeat(10_000), now), Ok(()));
    let head = frame(HEADERS, 0, 1, &[0x82; 1025]);
    assert_eq!(started(Policy { head: 1024, ..policy }).feed(&head, now), Err(Flood::HeaderList));
    assert_eq!(started(Policy { head: 1025, ..policy }).feed(&head, now), Ok(()));
}

#[test]
fn a_deadline_runs_while_a_head_or_a_frame_that_is_not_data_is_unfinished() {
    let (start, second) = (Instant::now(), Duration::from_secs(1));
    let due = |since: Instant| Some(since + Duration::from_secs(5));
    let mut guard = Guard::new(Policy::default());
    assert_eq!(guard.head_deadline(), None);
    guard.feed(&PREFACE[..3], start).unwrap();
    guard.feed(&PREFACE[3..23], start + second).unwrap();
    assert_eq!(guard.head_deadline(), due(start));
    guard.feed(&PREFACE[23..], start + second).unwrap();
    guard.feed(&frame(SETTINGS, 0, 0, &[]), start + second).unwrap();
    assert_eq!(guard.head_deadline(), None);
    // A head: from the first byte of HEADERS to the last of the frame that ends it.
    let begun = start + 2 * second;
    let (head, more) = (frame(HEADERS, 0, 1, &[0x82; 4]), frame(CONTINUATION, 4, 1, &[0x86]));
    for (n, byte) in head.iter().chain(&more).enumerate() {
        assert_eq!(guard.head_deadline(), if n == 0 { None } else { due(begun) }, "byte {n}");
        guard.feed(&[*byte], begun + second * n as u32 / 10).unwrap();
    }
    assert_eq!(guard.head_deadline(), None);
    // A ping in the making holds the connection as well; a body has its minimum rate.
    guard.feed(&frame(PING, 0, 0, &[0; 8])[..16], start).unwrap();
    assert_eq!(guard.head_deadline(), due(start));
    guard.feed(&[0], start).unwrap();
    let data = frame(0, 0, 1, &[7; 100]);
    guard.feed(&data[..8], start).unwrap();
    assert_eq!(guard.head_deadline(), due(start));
    guard.feed(&data[8..50], start).unwrap();
    assert_eq!(guard.head_deadline(), None);
}

#[test]
fn each_flood_has_a_word_of_its_own() {
    let words: std::collections::HashSet<_> = Flood::ALL.iter().map(|flood| flood.reason()).collect();
    assert_eq!(words.len(), Flood::ALL.len());
    for case in cases() {
        let Expect::Cut(word) = case.expect else { continue };
        assert!(words.contains(word), "{word}");
    }
    for word in words {
        assert!(cases().iter().any(|case| case.expect == Expect::Cut(word)), "no case for {word}");
    }
}

#[test]
fn the_guard_is_small() {
    assert_eq!(raw::PREFACE, PREFACE);
    assert!(size_of::<Guard>() <= 320, "{}", size_of::<Guard>());
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..12),
        Just(vec![0; 4]),
        (0_usize..17_000).prop_map(|len| vec![7; len]),
    ];
    (0_u8..11, any::<u8>(), 0_u32..4, payload, prop_oneof![Just(1_usize), 1_usize..30])
        .prop_map(|(kind, flags, stream, payload, times)| frame(kind, flags, stream, &payload).repeat(times))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_comes_is_judged_alike_however_it_is_cut(
        frames in prop::collection::vec(any_frame(), 0..6),
        noise in prop::collection::vec(any::<u8>(), 0..40),
        cuts in prop::collection::vec(1_usize..5000, 1..20),
    ) {
        let now = Instant::now();
        let bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &frames.concat(), &noise].concat();
        let one = guard().feed(&bytes, now);
        let mut rest = &bytes[..];
        let mut guard = guard();
        let mut cut = Ok(());
        for len in cuts.iter().cycle() {
            let (piece, after) = rest.split_at((*len).min(rest.len()));
            cut = guard.feed(piece, now);
            rest = after;
            if rest.is_empty() || cut.is_err() {
                break;
            }
        }
        prop_assert_eq!(one, cut);
    }
}
