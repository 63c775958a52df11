//! What encoders write comes through.

use proptest::prelude::*;

use super::*;

#[test]
fn a_body_is_forwarded_as_it_came_or_plain() {
    let plain = records(150 * KIB);
    for format in FORMATS {
        for level in [1, 6] {
            let raw = format.encode(&plain, level);
            for (mode, want) in [(Mode::Verify, &raw), (Mode::Decode, &plain)] {
                for cut in [1, 1000, 64 * KIB, MIB] {
                    let got = outcome(format.encoding(), mode, POLICY, &raw, cut);
                    assert_eq!(
                        (got.verdict, got.decoded),
                        (Ok(()), 150 * KIB as u64),
                        "{format:?} {level} {cut}"
                    );
                    assert!(got.forwarded == *want, "{format:?} {level} {mode:?} {cut}");
                }
            }
        }
    }
}

#[test]
fn a_large_piece_is_handed_on_in_steps() {
    let plain = records(400 * KIB);
    for format in FORMATS {
        let memory = Arc::new(Memory::default());
        let mut guard = Guard::new(format.encoding(), Mode::Decode, POLICY, &memory).unwrap();
        let mut raw = Bytes::from(format.encode(&plain, 6));
        let whole = raw.len();
        let first = guard.next_piece(&mut raw).unwrap().unwrap();
        assert!(first.len() <= guard::STEP && plain.starts_with(&first));
        assert!(raw.len() > whole / 2, "what is not asked for is not decoded: {} of {whole}", raw.len());
        assert!(guard.rewrites());
    }
}

#[test]
fn a_turn_is_little_work_however_much_there_is() {
    let plain = records(600 * KIB);
    for format in FORMATS {
        for mode in [Mode::Verify, Mode::Decode] {
            let mut guard =
                Guard::new(format.encoding(), mode, POLICY, &Arc::new(Memory::default())).unwrap();
            let raw = format.encode(&plain, 6);
            let mut left = Bytes::from(raw.clone());
            let (mut before, mut forwarded, mut turns) = (0, Vec::new(), 0);
            loop {
                let turn = guard.turn(&mut left).unwrap();
                let work = guard.decoded() - before;
                assert!(work < 2 * guard::STEP as u64, "{format:?} {mode:?}: {work}");
                before = guard.decoded();
                turns += 1;
                match turn {
                    Turn::Piece(piece) => forwarded.extend_from_slice(&piece),
                    Turn::Again => {}
                    Turn::Dry => break,
                }
            }
            assert!(turns > 5, "{format:?} {mode:?}: {turns}");
            assert_eq!(guard.finish(), Ok(()));
            assert!(forwarded == if mode == Mode::Decode { plain.clone() } else { raw });
        }
    }
}

#[test]
fn without_an_encoding_or_a_guard_everything_passes() {
    for (encoding, mode) in [
        (Encoding::Identity, Mode::Verify),
        (Encoding::Identity, Mode::Decode),
        (Encoding::Identity, Mode::Reject),
        (Encoding::Gzip, Mode::Off),
    ] {
        let got = outcome(encoding, mode, POLICY, b"no gzip at all", 3);
        assert_eq!(
            got,
            Outcome { verdict: Ok(()), forwarded: b"no gzip at all".to_vec(), decoded: 0 },
            "{mode:?}"
        );
    }
}

#[test]
fn a_body_without_a_byte_is_none_whatever_its_head_says() {
    for format in FORMATS {
        for mode in [Mode::Verify, Mode::Decode] {
            let got = outcome(format.encoding(), mode, POLICY, b"", 1);
            assert_eq!(got, Outcome { verdict: Ok(()), forwarded: Vec::new(), decoded: 0 });
        }
    }
}

#[test]
fn what_is_encoded_twice_is_decoded_once() {
    let inner = Gzip.encode(&vec![0; 12 * MIB], 9);
    for format in FORMATS {
        let raw = format.encode(&inner, 1);
        let got = outcome(format.encoding(), Mode::Decode, POLICY, &raw, MIB);
        assert_eq!((got.verdict, got.forwarded == inner), (Ok(()), true), "{format:?}");
    }
}

/// Bytes of every kind of entropy.
fn plain() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..3000),
        prop::collection::vec(0_u8..3, 0..3000),
        (0_usize..200 * KIB).prop_map(records),
        (0_usize..64 * KIB).prop_map(|len| vec![7; len]),
        (0_usize..40 * KIB, 0_usize..40 * KIB).prop_map(|(zeros, len)| {
            let mut all = noise(len);
            all.resize(len + zeros, 0);
            all
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_encoded_comes_out_however_it_is_cut(
        plain in plain(),
        format in prop::sample::select(FORMATS.to_vec()),
        level in 0_u32..=7,
        cuts in prop::collection::vec(1_usize..2000, 1..20),
    ) {
        let raw = format.encode(&plain, level);
        prop_assume!(plain.len() <= 64 * KIB || plain.len() <= 10 * raw.len());
        let mut rest = &raw[..];
        let mut cuts = cuts.iter().cycle();
        let pieces: Vec<_> = std::iter::from_fn(|| {
            let (piece, after) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            rest = after;
            (!piece.is_empty()).then_some(piece)
        })
        .collect();
        for (mode, want) in [(Mode::Decode, &plain), (Mode::Verify, &raw)] {
            let memory = Arc::new(Memory::default());
            let got = outcome_of(format.encoding(), mode, POLICY, pieces.iter().copied(), &memory);
            prop_assert_eq!(got.verdict, Ok(()));
            prop_assert!(got.forwarded == *want);
            prop_assert_eq!(got.decoded, plain.len() as u64);
            prop_assert_eq!(memory.used(), 0);
        }
    }
}
