//! A response head, and what we write of it again.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gateway_fuzz::bodies::bhttp_response_head(data));
