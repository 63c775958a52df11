//! Streams that are not what they should be, and such as look strange and are.

use super::*;

const MALFORMED: Result<(), Breach> = Err(Breach::Malformed);

#[test]
fn a_body_that_is_cut_short_anywhere_is_malformed() {
    let plain = records(3 * KIB);
    for format in FORMATS {
        let raw = format.encode(&plain, 6);
        for len in 1..raw.len() {
            assert_eq!(
                verdict(format, &raw[..len]),
                MALFORMED,
                "{format:?} cut after {len} of {}",
                raw.len()
            );
        }
        assert_eq!(verdict(format, &raw), Ok(()));
    }
}

#[test]
fn what_follows_the_end_is_malformed() {
    for format in FORMATS {
        let raw = format.encode(b"hello", 6);
        // gzip(1) takes zeros after a member for padding; who reads a body may not.
        for more in [&b"\0"[..], b"\0\0\0\0\0\0\0\0", b"x", b"\x1f", b"\x1f\x8b", b"hello"] {
            assert_eq!(verdict(format, &[&raw, more].concat()), MALFORMED, "{format:?} {more:?}");
        }
        let twice = verdict(format, &[&raw[..], &raw].concat());
        assert_eq!(twice, if format == Gzip { Ok(()) } else { MALFORMED }, "{format:?}");
    }
}

#[test]
fn members_one_after_another_are_one_stream() {
    let parts = [&b""[..], b"hello", b"", b"", b", ", b"world"];
    let raw: Vec<u8> = parts.iter().flat_map(|part| Gzip.encode(part, 6)).collect();
    for cut in 1..raw.len() {
        let got = outcome(Encoding::Gzip, Mode::Decode, POLICY, &raw, cut);
        assert_eq!((got.verdict, &got.forwarded[..]), (Ok(()), &b"hello, world"[..]), "{cut}");
    }
    for padding in [1, 7, 512] {
        assert_eq!(verdict(Gzip, &[&raw[..], &vec![0; padding]].concat()), MALFORMED);
    }
}

#[test]
fn a_checksum_or_a_length_that_does_not_fit_is_malformed() {
    let plain = records(2 * KIB);
    for (format, trailer) in [(Gzip, 8), (Zlib, 4)] {
        let raw = format.encode(&plain, 6);
        for at in raw.len() - trailer..raw.len() {
            for bit in 0..8 {
                let mut bent = raw.clone();
                bent[at] ^= 1 << bit;
                assert_eq!(verdict(format, &bent), MALFORMED, "{format:?} byte {at}");
            }
        }
    }
}

/// A member with this head and the content `hello`.
fn member(head: &[u8]) -> Vec<u8> {
    let plain = Gzip.encode(b"hello", 6);
    [head, &plain[10..]].concat()
}

fn with_check(head: &[u8], bent: u8) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(head);
    let [low, high, ..] = crc.sum().to_le_bytes();
    [head, &[low ^ bent, high]].concat()
}

#[test]
fn every_part_of_a_gzip_header_is_read() {
    let fixed = |flags| [0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 255];
    let all: [&[u8]; 5] = [&fixed(0b1_1111), &[3, 0, 1, 2, 3], b"name\0", b"comment\0", &[]];
    let long = [&fixed(0b1_1100)[..], &[0xff, 0xff], &[7; 65535], &[b'n'; 70_000], b"\0\0"].concat();
    for (head, fits) in [
        (fixed(0).to_vec(), true),
        // Only a hint that the content is text.
        (fixed(1).to_vec(), true),
        ([&fixed(4)[..], &[0, 0]].concat(), true),
        ([&fixed(8)[..], b"\0"].concat(), true),
        ([&fixed(16)[..], b"\0"].concat(), true),
        (long, true),
        (with_check(&all.concat(), 0), true),
        (with_check(&all.concat(), 1), false),
        (with_check(&fixed(2), 0), true),
        (with_check(&fixed(2), 0x80), false),
        (fixed(0x20).to_vec(), false),
        (fixed(0x40).to_vec(), false),
        (fixed(0x80).to_vec(), false),
        (vec![0x1f, 0x8b, 7, 0, 0, 0, 0, 0, 0, 0], false),
        (vec![0x1f, 0x8c, 8, 0, 0, 0, 0, 0, 0, 0], false),
        (vec![0x1e, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0], false),
    ] {
        let want = if fits { Ok(()) } else { MALFORMED };
        assert_eq!(verdict(Gzip, &member(&head)), want, "{:02x?}", &head[..head.len().min(20)]);
    }
}

#[test]
fn a_format_under_another_ones_name_is_malformed() {
    for (format, name) in
        [(Gzip, Zlib), (Zlib, Gzip), (Raw, Gzip), (Brotli, Gzip), (Zlib, Brotli), (Brotli, Zlib)]
    {
        let raw = format.encode(&records(KIB), 6);
        assert_eq!(verdict(name, &raw), MALFORMED, "{format:?} as {name:?}");
    }
    // gzip's first byte asks for a window of 16 MiB.
    assert_eq!(verdict(Brotli, &Gzip.encode(&records(KIB), 6)), Err(Breach::DecodedCap));
    for name in FORMATS {
        assert_eq!(verdict(name, br#"{"a":"plain text"}"#), MALFORMED, "{name:?}");
    }
}

#[test]
fn a_dictionary_that_nobody_has_is_malformed() {
    // The smallest zlib stream with FDICT: a header that fits, a dictionary's checksum, an empty stream.
    assert_eq!(verdict(Zlib, &[0x78, 0xbb, 0, 0, 0, 1, 3, 0, 0, 0, 0, 1]), MALFORMED);
}

#[test]
fn raw_streams_of_two_bytes_are_told_too() {
    assert_eq!(verdict(Raw, &[0x03, 0x00]), Ok(()));
    // One literal and the end of the block.
    let got = outcome(Encoding::Deflate, Mode::Decode, POLICY, &[0x4b, 0x04, 0x00], 1);
    assert_eq!((got.verdict, &got.forwarded[..]), (Ok(()), &b"a"[..]));
}

#[test]
fn windows_over_four_mebibytes_are_too_large_before_anything_is_allocated() {
    let (large, other) = (Err(Breach::DecodedCap), MALFORMED);
    // RFC 7932 §9.1; what is known of the window is in the first byte. What follows is none.
    for (first, want) in [
        // 23 and 24.
        (0b1101, large),
        (0b1111, large),
        // Large-window brotli, and what is neither.
        (0b001_0001, large),
        (0b1001_0001, other),
    ] {
        let memory = Arc::new(Memory::default());
        let mut guard = Guard::new(Encoding::Brotli, Mode::Verify, POLICY, &memory).unwrap();
        let got = guard.next_piece(&mut Bytes::copy_from_slice(&[first])).map(drop);
        assert_eq!(got, want, "{first:08b}");
        assert!(memory.used() <= guard::STEP as u64);
    }
    let plain = records(20 * KIB);
    for (window, want) in [(10, Ok(())), (16, Ok(())), (17, Ok(())), (22, Ok(())), (23, large), (24, large)] {
        assert_eq!(verdict(Brotli, &brotli(&plain, 5, window)), want, "{window}");
    }
}

#[test]
fn metadata_and_empty_blocks_of_brotli_are_passed_over() {
    // RFC 7932 §9.2: WBITS 16 and metadata of 3 bytes; metadata of none; the last block, empty.
    let raw = [0b0010_1100, 0b0000_0001, b'a', b'b', b'c', 0b0110, 0b0011];
    let got = outcome(Encoding::Brotli, Mode::Decode, POLICY, &raw, 1);
    assert_eq!(got, Outcome { verdict: Ok(()), forwarded: Vec::new(), decoded: 0 });
    assert_eq!(verdict(Brotli, &raw[..6]), MALFORMED);
    // The reserved bit of a metadata block.
    assert_eq!(verdict(Brotli, &[0b0001_1100, 0b11]), MALFORMED);
}
