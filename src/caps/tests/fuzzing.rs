//! Whatever comes, nothing panics, the caps hold, and the verdict does not hang on the cuts.

use proptest::prelude::*;

use super::*;

fn check(encoding: Encoding, raw: &[u8], cut: usize) -> Result<(), TestCaseError> {
    let whole = outcome(encoding, Mode::Decode, POLICY, raw, raw.len().max(1));
    let pieces = outcome(encoding, Mode::Decode, POLICY, raw, cut);
    prop_assert_eq!(pieces.verdict, whole.verdict);
    if whole.verdict.is_ok() {
        prop_assert!(pieces == whole);
        prop_assert!(whole.decoded <= (64 * KIB).max(10 * raw.len()) as u64);
        let verified = outcome(encoding, Mode::Verify, POLICY, raw, cut);
        prop_assert_eq!((verified.verdict, &verified.forwarded[..]), (Ok(()), raw));
    }
    // The slice that is being decoded counts as come: 16 KiB at most.
    prop_assert!(whole.decoded <= 10 * (raw.len() + 16 * KIB) as u64 + 1);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn a_bent_stream_is_taken_or_refused(
        format in prop::sample::select(FORMATS.to_vec()),
        level in 0_u32..=9,
        (records_len, zeros) in (0_usize..20 * KIB, prop_oneof![Just(0_usize), 0_usize..300 * KIB]),
        bends in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in 1_usize..3000,
    ) {
        let mut plain = records(records_len);
        plain.resize(records_len + zeros, 0);
        let mut raw = format.encode(&plain, level);
        for (at, byte) in bends {
            let at = at.index(raw.len());
            raw[at] = byte;
        }
        check(format.encoding(), &raw, cut)?;
    }

    #[test]
    fn anything_is_taken_or_refused(
        encoding in prop::sample::select(vec![Encoding::Gzip, Encoding::Deflate, Encoding::Brotli]),
        raw in prop::collection::vec(any::<u8>(), 0..300),
        cut in 1_usize..300,
    ) {
        check(encoding, &raw, cut)?;
    }
}
