//! What decoders hold, in one body and in all.

use super::*;

/// The most that was reserved while `raw` was decoded.
fn peak(format: Format, raw: &[u8], mode: Mode) -> u64 {
    let memory = Arc::new(Memory::default());
    let mut guard = Guard::new(format.encoding(), mode, POLICY, &memory).unwrap();
    let mut peak = 0;
    for piece in raw.chunks(100) {
        guard.take(Bytes::copy_from_slice(piece), drop).unwrap();
        peak = peak.max(memory.used());
    }
    assert_eq!(guard.finish(), Ok(()));
    drop(guard);
    assert_eq!(memory.used(), 0);
    peak
}

#[test]
fn an_inflater_holds_its_window_and_a_little() {
    let plain = records(200 * KIB);
    for format in [Gzip, Zlib, Raw] {
        let raw = format.encode(&plain, 6);
        assert_eq!(peak(format, &raw, Mode::Verify), 48 * KIB as u64);
        // And the piece that goes on.
        assert_eq!(peak(format, &raw, Mode::Decode), (48 + 64) * KIB as u64);
    }
}

#[test]
fn a_brotli_decoder_holds_what_the_stream_needs_of_its_window_and_tables() {
    let plain = records(200 * KIB);
    for (window, most) in [(16, 64 * KIB), (18, 256 * KIB), (22, 256 * KIB)] {
        let peak = peak(Brotli, &brotli(&plain, 5, window), Mode::Verify);
        assert!(peak <= (most + 128 * KIB) as u64, "{window}: {peak}");
    }
}

#[test]
fn a_ring_that_has_grown_to_its_window_grows_no_more() {
    let policy = guard::Policy { ratio: u32::MAX, ..POLICY };
    let memory = Arc::new(Memory::default());
    let mut guard = Guard::new(Encoding::Brotli, Mode::Verify, policy, &memory).unwrap();
    let mut peak = 0;
    for byte in brotli(&vec![0; 8 * MIB], 5, 22) {
        guard.take(Bytes::copy_from_slice(&[byte]), drop).unwrap();
        peak = peak.max(memory.used());
    }
    assert_eq!(guard.finish(), Ok(()));
    let window = 4 * MIB as u64;
    assert!((window..window + 128 * KIB as u64).contains(&peak), "{peak}");
}

#[test]
fn nothing_is_held_before_the_first_byte_and_after_the_last_question() {
    for format in FORMATS {
        let memory = Arc::new(Memory::default());
        let mut guard = Guard::new(format.encoding(), Mode::Verify, POLICY, &memory).unwrap();
        assert_eq!(memory.used(), 0);
        let mut raw = Bytes::from(format.encode(b"hello", 6));
        let last = raw.split_off(raw.len() - 1);
        guard.take(raw, drop).unwrap();
        assert!(memory.used() > 0);
        guard.take(last, drop).unwrap();
        // A breach lets go at once: the guard may be asked for a while yet.
        assert_eq!(guard.take(Bytes::from_static(b"?"), drop), Err(Breach::Malformed));
        assert_eq!((memory.used(), guard.decoded()), (0, 5));
    }
}

#[test]
fn a_body_that_has_ended_holds_nothing_while_its_answer_is_read() {
    for format in FORMATS {
        for mode in [Mode::Verify, Mode::Decode] {
            let memory = Arc::new(Memory::default());
            let mut guard = Guard::new(format.encoding(), mode, POLICY, &memory).unwrap();
            guard.take(Bytes::from(format.encode(b"hello", 6)), drop).unwrap();
            assert_eq!((guard.finish(), memory.used()), (Ok(()), 0));
            assert_eq!(
                (guard.finish(), guard.decoded(), guard.rewrites()),
                (Ok(()), 5, mode == Mode::Decode)
            );
            assert_eq!(guard.turn(&mut Bytes::new()), Ok(Turn::Dry));
            assert_eq!(guard.turn(&mut Bytes::from_static(b"?")), Err(Breach::Malformed));
            assert_eq!(guard.finish(), Err(Breach::Malformed));
        }
    }
}

#[test]
fn a_decoder_that_finds_no_memory_is_degraded_at_any_point() {
    let plain = records(100 * KIB);
    for format in FORMATS {
        let raw = format.encode(&plain, 6);
        let (mut degraded, mut done) = (0, 0);
        for total in (0..500 * KIB as u64).step_by(1777) {
            let memory = Arc::new(Memory::default());
            let policy = guard::Policy { memory_total: total, ..POLICY };
            let got = outcome_of(format.encoding(), Mode::Verify, policy, raw.chunks(16 * KIB), &memory);
            match got.verdict {
                Ok(()) => done += 1,
                Err(breach) => {
                    assert_eq!((breach, done), (Breach::Degraded, 0), "{format:?} {total}");
                    degraded += 1;
                }
            }
            assert_eq!(memory.used(), 0);
        }
        assert!(degraded > 10 && done > 10, "{format:?}: {degraded} {done}");
    }
}

#[test]
fn all_decoders_share_one_memory() {
    let memory = Arc::new(Memory::default());
    let policy = guard::Policy { memory_total: 3 * 48 * KIB as u64 + 50, ..POLICY };
    let raw = Gzip.encode(b"hello", 6);
    let start = || {
        let mut guard = Guard::new(Encoding::Gzip, Mode::Verify, policy, &memory).unwrap();
        guard.take(Bytes::copy_from_slice(&raw[..12]), drop).map(|()| guard)
    };
    let mut three: Vec<_> = (0..3).map(|_| start().unwrap()).collect();
    assert_eq!(start().map(drop), Err(Breach::Degraded));
    for guard in &mut three {
        guard.take(Bytes::copy_from_slice(&raw[12..]), drop).unwrap();
        assert_eq!(guard.finish(), Ok(()));
    }
    three.pop();
    assert!(start().is_ok());
}

#[test]
fn a_guard_can_be_sent_to_another_thread() {
    fn sent<T: Send>() {}
    sent::<Guard>();
}
