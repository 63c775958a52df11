//! A TLS client's first bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gateway_fuzz::bodies::client_hello(data));
