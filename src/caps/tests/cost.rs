//! Floods of what carries nothing: they end, with a verdict, and hold no more at their end than at their beginning.
//! What they cost is measured in benches/caps.rs.

use super::*;

#[test]
fn floods_of_nothing_are_bodies_of_nothing() {
    let members = Gzip.encode(b"", 6);
    // Raw: empty stored blocks, then an empty last one. Brotli: empty metadata blocks, then the last one.
    let stored = [0, 0, 0, 0xff, 0xff];
    for (format, raw) in [
        (Gzip, members.repeat(256 * KIB / members.len())),
        (Raw, [&stored.repeat(256 * KIB / 5)[..], &[3, 0]].concat()),
        (Brotli, [&[0b1100][..], &[0b0110].repeat(256 * KIB), &[0b11]].concat()),
    ] {
        let memory = Arc::new(Memory::default());
        let got = outcome_of(format.encoding(), Mode::Decode, POLICY, raw.chunks(64 * KIB), &memory);
        assert_eq!(got, Outcome { verdict: Ok(()), forwarded: Vec::new(), decoded: 0 }, "{format:?}");
        let cut = outcome(format.encoding(), Mode::Decode, POLICY, &raw[..raw.len() - 1], 64 * KIB);
        assert_eq!(cut.verdict, Err(Breach::Malformed), "{format:?}");
    }
}
