use super::*;
use crate::caps::{Policy, check_head};

fn check(mode: Mode, declared: Option<u64>, fields: &[&str]) -> Result<Encoding, Breach> {
    let policy = Policy { body: 1 << 20, mode, decode: POLICY };
    check_head(&policy, declared, fields.iter().map(|field| field.as_bytes()))
}

#[test]
fn what_a_head_says_of_its_body_is_checked_by_the_routes_mode() {
    use Mode::{Decode, Off, Reject, Verify};
    let unsupported = Err(Breach::Unsupported);
    for (mode, fields, want) in [
        (Verify, &["gzip"][..], Ok(Encoding::Gzip)),
        (Decode, &["deflate"], Ok(Encoding::Deflate)),
        (Verify, &["br"], Ok(Encoding::Brotli)),
        (Verify, &[], Ok(Encoding::Identity)),
        (Verify, &["zstd"], unsupported),
        (Decode, &["gzip, br"], unsupported),
        (Decode, &["gzip", "br"], unsupported),
        (Reject, &[], Ok(Encoding::Identity)),
        (Reject, &["identity"], Ok(Encoding::Identity)),
        (Reject, &["gzip"], unsupported),
        (Reject, &["zstd"], unsupported),
        (Off, &["gzip"], Ok(Encoding::Identity)),
        (Off, &["zstd", "zstd"], Ok(Encoding::Identity)),
    ] {
        assert_eq!(check(mode, Some(5), fields), want, "{mode:?} {fields:?}");
    }
}

#[test]
fn a_declared_length_over_the_cap_is_said_first() {
    assert_eq!(check(Mode::Verify, Some(1 << 20), &["gzip"]), Ok(Encoding::Gzip));
    for mode in [Mode::Verify, Mode::Decode, Mode::Reject, Mode::Off] {
        assert_eq!(check(mode, Some((1 << 20) + 1), &["zstd"]), Err(Breach::BodyCap));
    }
}

#[test]
fn a_guard_of_a_route_that_rejects_encodings_is_not_to_be_had() {
    let memory = Arc::new(Memory::default());
    for (encoding, fits) in [(Encoding::Identity, true), (Encoding::Gzip, false), (Encoding::Brotli, false)] {
        assert_eq!(Guard::new(encoding, Mode::Reject, POLICY, &memory).is_ok(), fits);
    }
}
