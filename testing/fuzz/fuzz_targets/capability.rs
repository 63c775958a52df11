//! A bearer token, a caveat, a list of revocations.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gateway_fuzz::bodies::capability(data));
