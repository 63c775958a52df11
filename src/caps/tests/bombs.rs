//! Bodies that become too much, and how far they get.

use super::*;

/// 12 MiB of which an encoder makes about 100 KiB: noise for the better part of those, and zeros.
fn bomb() -> Vec<u8> {
    let mut plain = noise(12 * MIB);
    plain.chunks_mut(64 * 256).for_each(|row| row[40..].fill(0));
    plain
}

#[test]
fn a_hundred_kibibytes_that_become_twelve_mebibytes_stop_at_the_floor() {
    let plain = bomb();
    for format in FORMATS {
        let raw = format.encode(&plain, 1);
        assert!((40 * KIB..160 * KIB).contains(&raw.len()), "{format:?}: {}", raw.len());
        for cut in [1, 64 * KIB] {
            for mode in [Mode::Verify, Mode::Decode] {
                let got = outcome(format.encoding(), mode, POLICY, &raw, cut);
                assert_eq!(got.verdict, Err(Breach::DecodedRatio), "{format:?} {cut}");
                assert!(got.decoded <= 10 * 8 * KIB as u64 + 1, "{format:?} {cut}: {} decoded", got.decoded);
                let most = if mode == Mode::Decode { got.decoded } else { 8 * KIB as u64 };
                assert!(got.forwarded.len() as u64 <= most, "{format:?} {cut}: {}", got.forwarded.len());
            }
        }
    }
}

#[test]
fn the_ratio_is_exact_at_the_end_of_a_body() {
    for format in FORMATS {
        // Noise first, so that the ratio rises to its end: then the last zeros are too many, or not.
        let raw_of = |zeros| {
            let mut plain = noise(8 * KIB);
            plain.resize(8 * KIB + zeros, 0);
            (plain.len(), format.encode(&plain, 6))
        };
        let about = 10 * raw_of(74 * KIB).1.len() - 8 * KIB;
        let mut seen = [false; 2];
        for zeros in (about - 300..about + 300).step_by(11) {
            let (plain, raw) = raw_of(zeros);
            let fits = plain <= 10 * raw.len();
            seen[usize::from(fits)] = true;
            let want = if fits { Ok(()) } else { Err(Breach::DecodedRatio) };
            let got = outcome(format.encoding(), Mode::Verify, POLICY, &raw, 1000);
            assert_eq!(got.verdict, want, "{format:?}: {plain} of {}", raw.len());
        }
        assert_eq!(seen, [true; 2], "{format:?}");
    }
}

#[test]
fn a_little_over_ten_times_is_too_much_and_a_little_under_is_not() {
    for format in FORMATS {
        for (tenths, want) in [(99, Ok(())), (101, Err(Breach::DecodedRatio))] {
            let raw = of_ratio(format, tenths);
            assert_eq!(verdict(format, &raw), want, "{format:?} {tenths}");
            let got = outcome(format.encoding(), Mode::Decode, POLICY, &raw, 64 * KIB);
            assert_eq!(got.verdict, want, "{format:?} {tenths}");
        }
    }
}

#[test]
fn what_was_too_much_on_the_way_is_not_made_good_by_the_end() {
    let mut plain = noise(6 * KIB);
    plain.resize(160 * KIB, 0);
    plain.extend(noise(40 * KIB));
    for format in FORMATS {
        let raw = format.encode(&plain, 6);
        assert!(plain.len() < 5 * raw.len());
        assert_eq!(verdict(format, &raw), Err(Breach::DecodedRatio), "{format:?}");
    }
}

#[test]
fn a_bomb_that_breaks_off_is_a_bomb_however_much_of_it_was_still_in_the_decoder() {
    let mut encoder = written(brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22), &vec![0; 300 * KIB]);
    encoder.flush().unwrap();
    // The next block's header has a reserved bit set (RFC 7932 §9.2).
    let raw = [&encoder.get_ref()[..], &[0b1110]].concat();
    assert_eq!(verdict(Brotli, &raw), Err(Breach::DecodedRatio));
    let small = [&brotli(b"", 5, 22)[..1], &[0b1110]].concat();
    assert_eq!(verdict(Brotli, &small), Err(Breach::Malformed));
}

/// A stream that is so many tenths of what it was, to a twentieth; the same all along.
fn of_ratio(format: Format, tenths: usize) -> Vec<u8> {
    let (mut low, mut high) = (256, 512);
    while low < high {
        let middle = usize::midpoint(low, high);
        let (plain, raw) = mixed(format, middle);
        if plain * 10 > raw.len() * tenths { low = middle + 1 } else { high = middle }
    }
    let (plain, raw) = mixed(format, low);
    let hundredths = plain * 100 / raw.len();
    assert!(hundredths.abs_diff(tenths * 10) <= 5, "{format:?}: {hundredths}");
    raw
}

/// 256 KiB, each 4 KiB of which begin with so much noise: how many bytes, and what is made of them.
fn mixed(format: Format, len: usize) -> (usize, Vec<u8>) {
    let mut plain = noise(256 * KIB);
    plain.chunks_mut(4 * KIB).for_each(|row| row[len..].fill(0));
    (plain.len(), format.encode(&plain, 3))
}

#[test]
fn below_the_floor_any_ratio_passes() {
    for format in FORMATS {
        for (len, want) in [(64 * KIB, Ok(())), (64 * KIB + 1, Err(Breach::DecodedRatio))] {
            assert_eq!(verdict(format, &format.encode(&vec![0; len], 9)), want, "{format:?} {len}");
        }
    }
}

#[test]
fn the_absolute_cap_holds_whatever_the_ratio() {
    let lifted = guard::Policy { ratio: u32::MAX, ..POLICY };
    for format in FORMATS {
        for (more, want) in [(0, Ok(())), (1, Err(Breach::DecodedCap)), (1000, Err(Breach::DecodedCap))] {
            let raw = format.encode(&vec![0; 8 * MIB + more], 3);
            for cut in [7, MIB] {
                let got = outcome(format.encoding(), Mode::Verify, lifted, &raw, cut);
                // One byte too many is enough to know.
                let decoded = 8 * MIB as u64 + more.min(1) as u64;
                assert_eq!((got.verdict, got.decoded), (want, decoded), "{format:?} {more}");
            }
        }
        // A cap below the floor is the cap all the same.
        let small = guard::Policy { max: 100, ..POLICY };
        for (len, want) in [(100, Ok(())), (101, Err(Breach::DecodedCap))] {
            let got = outcome(format.encoding(), Mode::Decode, small, &format.encode(&noise(len), 6), 1);
            assert_eq!(got.verdict, want, "{format:?} {len}");
        }
    }
}

#[test]
fn raw_bytes_that_carry_nothing_count_as_raw_bytes() {
    // A name in a gzip header pays for the zeros that follow: it had to be sent.
    let zeros = Gzip.encode(&vec![0; 600 * KIB], 9);
    assert_eq!(verdict(Gzip, &zeros), Err(Breach::DecodedRatio));
    let mut named = [&zeros[..10], &vec![b'n'; 60 * KIB], b"\0", &zeros[10..]].concat();
    named[3] |= 8;
    assert_eq!(verdict(Gzip, &named), Ok(()));
}

#[test]
fn members_add_up() {
    let member = Gzip.encode(&vec![0; 40 * KIB], 9);
    assert_eq!(verdict(Gzip, &member), Ok(()));
    assert_eq!(verdict(Gzip, &member.repeat(2)), Err(Breach::DecodedRatio));
}
