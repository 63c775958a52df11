//! A client of HTTP/1, to the guard.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gateway_fuzz::bodies::http1_guard(data));
